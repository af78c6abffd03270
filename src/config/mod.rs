//! Every setting: one row each in the [`table`], read from a TOML file, the environment and flags.
//!
//! Later sources win: defaults, the file, `CROSSWALK_…` variables, flags. All faults are told at once.

mod source;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

pub use source::{Fault, Faults};
pub use table::{Row, TABLE};

use source::Given;

/// All settings of the gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where calls are accepted.
    pub listen: SocketAddr,
    /// The gateway's own TLS; none behind a proxy or on loopback.
    pub tls: Option<Tls>,
    /// Addresses of proxies that end TLS in front of the gateway.
    pub trusted_proxies: Vec<IpNet>,
    /// Scheme, host and path prefix as callers see them, without a trailing slash; none takes the call's own host.
    pub public_url: Option<String>,
    /// Where the database and key file live unless they are named.
    pub data_dir: PathBuf,
    /// The SQLite file; none is `crosswalk.db` in the data directory.
    pub database: Option<PathBuf>,
    /// The file with the key that seals credentials; none is `master.key` in the data directory.
    pub master_key_file: Option<PathBuf>,
    /// Sizes and counts.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
    /// Base URLs that replace those of connectors, by service id.
    pub base_urls: BTreeMap<String, Url>,
    /// Connectors from a directory, instead of those in the program.
    pub connectors_dir: Option<PathBuf>,
    /// Mappings from a directory, instead of those in the program.
    pub mappings_dir: Option<PathBuf>,
    /// Private, loopback and link-local addresses that requests to CRMs may go to.
    pub private_ranges: Vec<IpNet>,
    /// Keys under which writes happen once.
    pub idempotency: Idempotency,
    /// The request log.
    pub request_log: RequestLog,
    /// Log lines.
    pub log: Log,
}

/// Certificate and key files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// Sizes and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Bytes of a request's path, query and headers together.
    pub header_bytes: usize,
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// Calls at work; more are answered 503.
    pub calls: usize,
    /// Calls a minute of one API key; none is no limit.
    pub calls_per_minute_per_key: Option<u32>,
    /// Calls a minute of one consumer; none is no limit.
    pub calls_per_minute_per_consumer: Option<u32>,
    /// The CRM's pages that one call may read to filter or sort what the CRM cannot.
    pub scan_pages: u32,
}

/// Times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a request to the end of its headers; also for a new connection's first byte and TLS.
    pub header: Duration,
    /// How long a connection without a call stays open.
    pub idle: Duration,
    /// From the end of the headers to the end of the body.
    pub body: Duration,
    /// How long a caller may take nothing of a reply that is sent piece by piece.
    pub write: Duration,
    /// How long a stopping gateway waits for calls at work.
    pub drain: Duration,
    /// Connecting to a CRM.
    pub downstream_connect: Duration,
    /// One request to a CRM, from connecting to the end of its reply.
    pub downstream_total: Duration,
}

/// Keys under which writes happen once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// How long a key and its answer are kept.
    pub keep: Duration,
    /// How long a gateway that gives no sign of life still holds a key.
    pub lease: Duration,
    /// Bytes of a kept answer.
    pub answer_bytes: usize,
}

/// The request log: what is kept of each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLog {
    /// Whether calls are recorded.
    pub enabled: bool,
    /// How long a call is kept.
    pub keep: Duration,
    /// Calls kept; beyond them the oldest go.
    pub calls: usize,
    /// Calls that wait to be written; more are dropped and counted.
    pub queue: usize,
}

/// Log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How they look.
    pub format: LogFormat,
    /// A level, or a list of `target=level`.
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Settings {
    /// The defaults.
    pub fn defaults() -> Settings {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            trusted_proxies: Vec::new(),
            public_url: None,
            data_dir: PathBuf::from("data"),
            database: None,
            master_key_file: None,
            limits: Limits {
                body_bytes: 1_048_576,
                header_bytes: 32_768,
                connections: 10_000,
                calls: 2_000,
                scan_pages: 20,
                calls_per_minute_per_key: None,
                calls_per_minute_per_consumer: None,
            },
            timeouts: Timeouts {
                header: Duration::from_secs(10),
                idle: Duration::from_secs(75),
                body: Duration::from_secs(30),
                write: Duration::from_secs(60),
                drain: Duration::from_secs(30),
                downstream_connect: Duration::from_secs(5),
                downstream_total: Duration::from_secs(30),
            },
            base_urls: BTreeMap::new(),
            connectors_dir: None,
            mappings_dir: None,
            private_ranges: Vec::new(),
            idempotency: Idempotency {
                keep: Duration::from_secs(86_400),
                lease: Duration::from_secs(15),
                answer_bytes: 65_536,
            },
            request_log: RequestLog {
                enabled: true,
                keep: Duration::from_secs(7 * 86_400),
                calls: 1_000_000,
                queue: 10_000,
            },
            log: Log { format: LogFormat::Json, level: "info".to_owned() },
        }
    }

    /// The SQLite file.
    pub fn database_path(&self) -> PathBuf {
        self.database.clone().unwrap_or_else(|| self.data_dir.join("crosswalk.db"))
    }

    /// The file with the sealing key.
    pub fn master_key_path(&self) -> PathBuf {
        self.master_key_file.clone().unwrap_or_else(|| self.data_dir.join("master.key"))
    }
}

/// Settings, and what in the environment was not understood.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Variables that begin with `CROSSWALK_` and name no setting. Not faults: orchestrators set such variables too.
    pub warnings: Vec<String>,
}

/// Reads settings from a file (where one is given), the environment and flags (`key=value` pairs of the table).
///
/// Errors: every fault of every source, and settings that do not go together.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[(&str, String)],
) -> Result<Loaded, Faults> {
    let mut settings = Settings::defaults();
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let mut tls = TlsFiles::default();
    if let Some(path) = file {
        match std::fs::read_to_string(path) {
            Ok(text) => source::file(path, &text, &mut settings, &mut tls, &mut faults),
            Err(error) => faults.push(Fault::new(path.display(), error.to_string())),
        }
    }
    source::environment(environment, &mut settings, &mut tls, &mut faults, &mut warnings);
    for (key, value) in flags {
        if let Some(row) = TABLE.iter().find(|row| row.key == *key) {
            source::set(row, Given::Text(value.clone()), &mut settings, &mut tls)
                .unwrap_or_else(|message| faults.push(Fault::new(format!("--{}", row.flag()), message)));
        }
    }
    settings.tls = tls.both(&mut faults);
    together(&settings, &mut faults);
    if faults.is_empty() { Ok(Loaded { settings, warnings }) } else { Err(Faults(faults)) }
}

/// The two halves of TLS while sources are read.
#[derive(Debug, Default)]
pub struct TlsFiles {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl TlsFiles {
    fn both(self, faults: &mut Vec<Fault>) -> Option<Tls> {
        match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some(Tls { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                faults.push(Fault::new("tls.key", "is needed beside tls.certificate"));
                None
            }
            (None, Some(_)) => {
                faults.push(Fault::new("tls.certificate", "is needed beside tls.key"));
                None
            }
        }
    }
}

fn together(settings: &Settings, faults: &mut Vec<Fault>) {
    if settings.tls.is_none() && settings.trusted_proxies.is_empty() && !settings.listen.ip().is_loopback() {
        faults.push(Fault::new(
            "listen",
            format!(
                "{} is not a loopback address: set tls.certificate and tls.key, or trusted_proxies if a proxy ends TLS in front",
                settings.listen
            ),
        ));
    }
    if settings.timeouts.idle < settings.timeouts.header {
        faults.push(Fault::new("timeouts.idle_ms", "must not be less than timeouts.header_ms"));
    }
    if settings.timeouts.downstream_total < settings.timeouts.downstream_connect {
        faults.push(Fault::new(
            "timeouts.downstream_total_ms",
            "must not be less than timeouts.downstream_connect_ms",
        ));
    }
}

/// A whole settings file: every setting with its explanation, commented out at its default.
pub fn commented() -> String {
    let mut text = String::from(
        "# Settings of crosswalk. Every setting can also come from the environment:\n\
         # CROSSWALK_ and the key in capitals, dots as underscores (lists with commas), such as\n\
         # CROSSWALK_LIMITS_BODY_BYTES=2097152. Lines that start with # show the default.\n",
    );
    let mut section = "";
    for row in TABLE {
        let (table, key) = row.key.rsplit_once('.').unwrap_or(("", row.key));
        if table != section {
            let _ = write!(text, "\n[{table}]\n");
            section = table;
        }
        let _ = match row.default {
            "none" => write!(
                text,
                "\n# {}\n# Unit: {}. Not set by default.\n# {key} = {}\n",
                row.about, row.unit, row.example
            ),
            set => write!(
                text,
                "\n# {}\n# Unit: {}. Example: {}\n# {key} = {set}\n",
                row.about, row.unit, row.example
            ),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str) -> Result<Loaded, Faults> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crosswalk.toml");
        std::fs::write(&path, text).unwrap();
        load(Some(&path), [], &[])
    }

    fn messages(result: Result<Loaded, Faults>) -> Vec<String> {
        result.unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_printed_file_says_the_defaults() {
        let mut section = String::new();
        let mut uncommented = String::new();
        for line in commented().lines() {
            if let Some(table) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = format!("{table}.");
            }
            let key = line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")).map(|(key, _)| key);
            let row = key.and_then(|key| TABLE.iter().find(|row| row.key == format!("{section}{key}")));
            let is_default = row.is_some_and(|row| row.default != "none");
            uncommented.push_str(if is_default { &line[2..] } else { line });
            uncommented.push('\n');
        }
        assert!(uncommented.contains("\nbody_bytes = 1048576\n"), "{uncommented}");
        let read = with_file(&uncommented).unwrap().settings;
        assert_eq!(format!("{read:?}"), format!("{:?}", Settings::defaults()));
    }

    #[test]
    fn every_example_is_accepted() {
        for row in TABLE {
            let (table, key) = row.key.rsplit_once('.').unwrap_or(("", row.key));
            let header = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
            let text = format!("{header}{key} = {}", row.example);
            // Settings that only go in pairs are still understood one by one.
            let own_fault = match with_file(&text) {
                Ok(_) => None,
                Err(Faults(faults)) => {
                    faults.into_iter().find(|fault| fault.place.contains("crosswalk.toml"))
                }
            };
            assert_eq!(own_fault.map(|fault| fault.to_string()), None, "{text}");
        }
    }

    #[test]
    fn all_faults_are_told_at_once_with_their_line() {
        let faults = messages(with_file(
            "listne = \"127.0.0.1:1\"\ndata_dir = 3\n[limits]\nbody_bytes = \"big\"\nconnections = -1\n[base_urls]\nhubspot = \"nowhere\"\n[tls]\nkey = \"k.pem\"\n",
        ));
        let expected = [
            "crosswalk.toml:1: listne: is unknown; did you mean listen?",
            "crosswalk.toml:2: data_dir: must be a text",
            "crosswalk.toml:4: limits.body_bytes: must be a whole number",
            "crosswalk.toml:5: limits.connections: must be at least 1",
            "crosswalk.toml:6: base_urls: hubspot: `nowhere` is not an http or https URL",
            "tls.certificate: is needed beside tls.key",
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.contains(expected), "{fault} ≠ {expected}");
        }
    }

    #[test]
    fn the_environment_overrides_the_file_and_flags_override_both() {
        let environment = [
            ("CROSSWALK_LISTEN".to_owned(), "127.0.0.1:2".to_owned()),
            ("CROSSWALK_LIMITS_CALLS".to_owned(), "7".to_owned()),
            ("CROSSWALK_BASE_URLS".to_owned(), "hubspot=http://127.0.0.1:9".to_owned()),
            ("CROSSWALK_TRUSTED_PROXIES".to_owned(), "10.0.0.0/8, 192.0.2.1".to_owned()),
            ("CROSSWALK_LIMITS_CALL".to_owned(), "7".to_owned()),
        ];
        let Loaded { settings, warnings } =
            load(None, environment, &[("listen", "127.0.0.1:3".to_owned())]).unwrap();
        assert_eq!(settings.listen.port(), 3);
        assert_eq!(settings.limits.calls, 7);
        assert_eq!(settings.trusted_proxies.len(), 2);
        assert_eq!(settings.base_urls["hubspot"].as_str(), "http://127.0.0.1:9/");
        assert_eq!(
            warnings,
            ["CROSSWALK_LIMITS_CALL names no setting; did you mean CROSSWALK_LIMITS_CALLS?"]
        );
    }

    #[test]
    fn plain_http_beyond_loopback_needs_a_declared_proxy() {
        let faults = messages(with_file("listen = \"0.0.0.0:80\""));
        assert!(faults.iter().any(|fault| fault.contains("not a loopback address")), "{faults:?}");
        assert!(with_file("listen = \"0.0.0.0:80\"\ntrusted_proxies = [\"10.0.0.0/8\"]").is_ok());
    }
}
