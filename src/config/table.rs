//! The table of settings.

use std::path::PathBuf;
use std::time::Duration;

use super::source::Given;
use super::{LogFormat, Settings, TlsFiles};

/// One setting.
pub struct Row {
    /// The key in the file, with its table.
    pub key: &'static str,
    /// The unit or form of the value.
    pub unit: &'static str,
    /// The default as TOML; `none` where there is none.
    pub default: &'static str,
    /// Another value, as TOML.
    pub example: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Stores a value; the fault is the end of a sentence that begins with the key.
    pub(super) set: fn(&mut Settings, &mut TlsFiles, &Given) -> Result<(), String>,
}

impl Row {
    /// The environment variable, such as `CROSSWALK_LIMITS_BODY_BYTES`.
    pub fn variable(&self) -> String {
        format!("CROSSWALK_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }

    /// The long flag, where there is one.
    pub fn flag(&self) -> String {
        match self.key {
            "data_dir" => "data".to_owned(),
            "base_urls" => "base-url".to_owned(),
            key => key.replace(['.', '_'], "-"),
        }
    }
}

/// Milliseconds from 1 to an hour.
fn time(given: &Given) -> Result<Duration, String> {
    given.integer(1, 3_600_000).map(Duration::from_millis)
}

/// A count or size.
fn count(given: &Given, least: u64) -> Result<usize, String> {
    let number = given.integer(least, 1 << 32)?;
    usize::try_from(number).map_err(|_| "is too large".to_owned())
}

fn per_minute(given: &Given) -> Result<u32, String> {
    u32::try_from(given.integer(1, 1_000_000_000)?).map_err(|_| "is too large".to_owned())
}

fn path(given: &Given) -> Result<PathBuf, String> {
    given.text().map(PathBuf::from)
}

/// Every setting, in the order of the printed file.
pub const TABLE: &[Row] = &[
    Row {
        key: "listen",
        unit: "address and port",
        default: "\"127.0.0.1:8080\"",
        example: "\"127.0.0.1:9000\"",
        about: "Where calls are accepted. Port 0 takes a free one.",
        set: |settings, _, given| {
            given.parsed("an address and port such as 127.0.0.1:8080").map(|v| settings.listen = v)
        },
    },
    Row {
        key: "trusted_proxies",
        unit: "list of addresses or ranges",
        default: "[]",
        example: "[\"10.0.0.0/8\"]",
        about: "Proxies that end TLS in front. Only calls through them are taken, with X-Forwarded-Proto: https.",
        set: |settings, _, given| given.ranges().map(|v| settings.trusted_proxies = v),
    },
    Row {
        key: "public_url",
        unit: "URL",
        default: "none",
        example: "\"https://crm.example.com\"",
        about: "The gateway as callers see it, used in links. Without it, the host that the call names.",
        set: |settings, _, given| {
            given.url().map(|v| settings.public_url = Some(v.as_str().trim_end_matches('/').to_owned()))
        },
    },
    Row {
        key: "data_dir",
        unit: "path",
        default: "\"data\"",
        example: "\"/var/lib/crosswalk\"",
        about: "Where the database and the key file live.",
        set: |settings, _, given| path(given).map(|v| settings.data_dir = v),
    },
    Row {
        key: "database",
        unit: "path",
        default: "none",
        example: "\"/var/lib/crosswalk/crosswalk.db\"",
        about: "The SQLite file. Without it, crosswalk.db in data_dir.",
        set: |settings, _, given| path(given).map(|v| settings.database = Some(v)),
    },
    Row {
        key: "master_key_file",
        unit: "path",
        default: "none",
        example: "\"/run/secrets/crosswalk.key\"",
        about: "The key that seals credentials, made at the first start. Without it, master.key in data_dir.",
        set: |settings, _, given| path(given).map(|v| settings.master_key_file = Some(v)),
    },
    Row {
        key: "connectors_dir",
        unit: "path",
        default: "none",
        example: "\"connectors\"",
        about: "Connectors from a directory, instead of those built in.",
        set: |settings, _, given| path(given).map(|v| settings.connectors_dir = Some(v)),
    },
    Row {
        key: "mappings_dir",
        unit: "path",
        default: "none",
        example: "\"mappings\"",
        about: "Mappings from a directory, instead of those built in.",
        set: |settings, _, given| path(given).map(|v| settings.mappings_dir = Some(v)),
    },
    Row {
        key: "private_ranges",
        unit: "list of addresses or ranges",
        default: "[]",
        example: "[\"127.0.0.0/8\"]",
        about: "Private and loopback addresses that requests to CRMs may go to. All others are refused.",
        set: |settings, _, given| given.ranges().map(|v| settings.private_ranges = v),
    },
    Row {
        key: "base_urls",
        unit: "table of URLs by service id",
        default: "{}",
        example: "{ hubspot = \"http://127.0.0.1:8090/hubspot\" }",
        about: "Base URLs instead of the connectors' own, for tests and private gateways.",
        set: |settings, _, given| given.urls().map(|v| settings.base_urls.extend(v)),
    },
    Row {
        key: "tls.certificate",
        unit: "path of a PEM file",
        default: "none",
        example: "\"/etc/crosswalk/tls.crt\"",
        about: "Certificate with its chain. Read again on SIGHUP and when the file changes.",
        set: |_, tls, given| path(given).map(|v| tls.certificate = Some(v)),
    },
    Row {
        key: "tls.key",
        unit: "path of a PEM file",
        default: "none",
        example: "\"/etc/crosswalk/tls.key\"",
        about: "The certificate's private key.",
        set: |_, tls, given| path(given).map(|v| tls.key = Some(v)),
    },
    Row {
        key: "limits.body_bytes",
        unit: "bytes",
        default: "1048576",
        example: "4194304",
        about: "Largest request body; more is answered 413.",
        set: |settings, _, given| count(given, 1024).map(|v| settings.limits.body_bytes = v),
    },
    Row {
        key: "limits.header_bytes",
        unit: "bytes",
        default: "32768",
        example: "65536",
        about: "Path, query and headers of a request together; more is answered 400.",
        set: |settings, _, given| count(given, 8192).map(|v| settings.limits.header_bytes = v),
    },
    Row {
        key: "limits.connections",
        unit: "connections",
        default: "10000",
        example: "500",
        about: "Open connections; more wait to be accepted.",
        set: |settings, _, given| count(given, 1).map(|v| settings.limits.connections = v),
    },
    Row {
        key: "limits.calls",
        unit: "calls",
        default: "2000",
        example: "200",
        about: "Calls at work; more are answered 503 with Retry-After.",
        set: |settings, _, given| count(given, 1).map(|v| settings.limits.calls = v),
    },
    Row {
        key: "limits.calls_per_minute_per_key",
        unit: "calls",
        default: "none",
        example: "600",
        about: "Calls a minute of one API key, all at once or evenly; more are answered 429. Counted in each gateway by itself.",
        set: |settings, _, given| {
            per_minute(given).map(|v| settings.limits.calls_per_minute_per_key = Some(v))
        },
    },
    Row {
        key: "limits.calls_per_minute_per_consumer",
        unit: "calls",
        default: "none",
        example: "120",
        about: "The same of one consumer, whatever the key.",
        set: |settings, _, given| {
            per_minute(given).map(|v| settings.limits.calls_per_minute_per_consumer = Some(v))
        },
    },
    Row {
        key: "limits.scan_pages",
        unit: "pages",
        default: "20",
        example: "50",
        about: "Pages of a CRM that one call with x-crosswalk-filter: scan may read to filter or sort what the CRM cannot.",
        set: |settings, _, given| {
            given.integer(1, 1_000).map(|v| settings.limits.scan_pages = u32::try_from(v).unwrap_or(1_000))
        },
    },
    Row {
        key: "timeouts.header_ms",
        unit: "milliseconds",
        default: "10000",
        example: "5000",
        about: "From a request's first byte to the end of its headers; also for a new connection's first request and TLS.",
        set: |settings, _, given| time(given).map(|v| settings.timeouts.header = v),
    },
    Row {
        key: "timeouts.idle_ms",
        unit: "milliseconds",
        default: "75000",
        example: "120000",
        about: "How long a connection without a call stays open. Keep it above the idle time of a proxy in front.",
        set: |settings, _, given| time(given).map(|v| settings.timeouts.idle = v),
    },
    Row {
        key: "timeouts.body_ms",
        unit: "milliseconds",
        default: "30000",
        example: "10000",
        about: "For a request body to arrive; later is answered 408.",
        set: |settings, _, given| time(given).map(|v| settings.timeouts.body = v),
    },
    Row {
        key: "timeouts.write_ms",
        unit: "milliseconds",
        default: "60000",
        example: "120000",
        about: "How long a caller may take nothing of a streamed list; then its connection is cut.",
        set: |settings, _, given| time(given).map(|v| settings.timeouts.write = v),
    },
    Row {
        key: "timeouts.drain_ms",
        unit: "milliseconds",
        default: "30000",
        example: "60000",
        about: "How long a stopping gateway waits for calls at work.",
        set: |settings, _, given| time(given).map(|v| settings.timeouts.drain = v),
    },
    Row {
        key: "timeouts.downstream_connect_ms",
        unit: "milliseconds",
        default: "5000",
        example: "2000",
        about: "For connecting to a CRM.",
        set: |settings, _, given| time(given).map(|v| settings.timeouts.downstream_connect = v),
    },
    Row {
        key: "timeouts.downstream_total_ms",
        unit: "milliseconds",
        default: "30000",
        example: "20000",
        about: "For one request to a CRM, from connecting to the end of its reply.",
        set: |settings, _, given| time(given).map(|v| settings.timeouts.downstream_total = v),
    },
    Row {
        key: "idempotency.keep_s",
        unit: "seconds",
        default: "86400",
        example: "172800",
        about: "How long an idempotency key is remembered, with the answer that was given under it.",
        set: |settings, _, given| {
            given.integer(1, 2_592_000).map(|v| settings.idempotency.keep = Duration::from_secs(v))
        },
    },
    Row {
        key: "idempotency.lease_ms",
        unit: "milliseconds",
        default: "15000",
        example: "5000",
        about: "How long after a gateway's end the keys of its writes under way answer 409. Lower only where pauses are short.",
        set: |settings, _, given| {
            given.integer(100, 3_600_000).map(|v| settings.idempotency.lease = Duration::from_millis(v))
        },
    },
    Row {
        key: "idempotency.answer_bytes",
        unit: "bytes",
        default: "65536",
        example: "16384",
        about: "The largest answer that is kept whole; a larger one is kept without _raw and meta.",
        set: |settings, _, given| count(given, 1024).map(|v| settings.idempotency.answer_bytes = v),
    },
    Row {
        key: "request_log.enabled",
        unit: "true or false",
        default: "true",
        example: "false",
        about: "Whether each call leaves a record that GET /vault/logs shows: never bodies, headers or secrets.",
        set: |settings, _, given| given.flag().map(|v| settings.request_log.enabled = v),
    },
    Row {
        key: "request_log.keep_h",
        unit: "hours",
        default: "168",
        example: "720",
        about: "How long a call's record is kept.",
        set: |settings, _, given| {
            given.integer(1, 87_600).map(|v| settings.request_log.keep = Duration::from_secs(v * 3600))
        },
    },
    Row {
        key: "request_log.calls",
        unit: "calls",
        default: "1000000",
        example: "100000",
        about: "Records kept; beyond them the oldest go.",
        set: |settings, _, given| count(given, 1).map(|v| settings.request_log.calls = v),
    },
    Row {
        key: "request_log.queue",
        unit: "calls",
        default: "10000",
        example: "1000",
        about: "Records that wait to be written; more are dropped and counted in a log line, no call waits.",
        set: |settings, _, given| count(given, 1).map(|v| settings.request_log.queue = v),
    },
    Row {
        key: "log.format",
        unit: "json or text",
        default: "\"json\"",
        example: "\"text\"",
        about: "How log lines look.",
        set: |settings, _, given| {
            settings.log.format = match given.text()?.as_str() {
                "json" => LogFormat::Json,
                "text" => LogFormat::Text,
                _ => return Err("must be json or text".to_owned()),
            };
            Ok(())
        },
    },
    Row {
        key: "log.level",
        unit: "level, or a list of target=level",
        default: "\"info\"",
        example: "\"crosswalk=debug,warn\"",
        about: "Which log lines are written: error, warn, info, debug, trace, off.",
        set: |settings, _, given| {
            let text = given.text()?;
            match text.parse::<tracing_subscriber::filter::Targets>() {
                Ok(_) => settings.log.level = text,
                Err(_) => return Err("must be a level, or a list of target=level".to_owned()),
            }
            Ok(())
        },
    },
];
