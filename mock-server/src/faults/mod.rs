//! Room: faults. In: a request's vendor, account, verb and path. Out: what shall go wrong with it. Never: sockets.

pub mod spoil;

use serde::{Deserialize, Serialize};

use crate::vendor::Vendor;

/// The request header that carries a fault for just this request: a fault as JSON, or a bare kind such as `drop_after`.
pub const HEADER: &str = "x-mock-fault";

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// The reply comes late; the request is processed after the wait.
    Latency {
        /// How late, milliseconds.
        ms: u64,
    },
    /// 429 in the vendor's shape; not processed.
    RateLimited {
        /// `Retry-After` in seconds; no such header when absent.
        #[serde(default)]
        retry_after_s: Option<u64>,
    },
    /// Any status, with a body in the vendor's shape or the given one; not processed.
    Status {
        /// The status.
        status: u16,
        /// A body to send instead of the vendor's own.
        #[serde(default)]
        body: Option<String>,
        /// `Retry-After` in seconds.
        #[serde(default)]
        retry_after_s: Option<u64>,
    },
    /// The connection closes without a reply; not processed.
    DropBefore,
    /// The request is processed, then the connection closes without a reply.
    DropAfter,
    /// The reply is held back until it is let go (`POST /__mock/release`).
    Hold {
        /// Whether the request is processed only then, and not before.
        #[serde(default)]
        unprocessed: bool,
    },
    /// Processed; the reply announces its whole length and stops after some bytes.
    Truncate {
        /// Bytes that do arrive.
        #[serde(default = "sixty_four")]
        keep: usize,
    },
    /// An HTML page where JSON belongs; not processed.
    NotJson {
        /// Its status.
        #[serde(default = "two_hundred")]
        status: u16,
    },
    /// 401 as for an expired token; not processed.
    ExpiredToken,
    /// Processed; the reply's body trickles.
    Drip {
        /// Bytes a time.
        #[serde(default = "sixty_four")]
        chunk: usize,
        /// Pause before each, milliseconds.
        #[serde(default = "ten")]
        every_ms: u64,
    },
    /// Processed; one record of the page is malformed.
    BadRecord {
        /// Which, from zero.
        #[serde(default)]
        at: usize,
        /// How.
        #[serde(default)]
        shape: BadShape,
    },
    /// Processed; the page's JSON is replaced by a part that does not parse.
    BrokenJson,
    /// Processed; the page announces the cursor that the request was made with.
    StuckCursor,
}

/// How a record of a page is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadShape {
    /// Nested objects become numbers, texts become objects.
    #[default]
    WrongTypes,
    /// The record is `null`.
    Null,
    /// The record has no id.
    MissingId,
    /// The record is a text.
    Text,
}

fn sixty_four() -> usize {
    64
}
fn two_hundred() -> u16 {
    200
}
fn ten() -> u64 {
    10
}

/// A fault and the requests that it meets. Absent conditions match everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: Kind,
    /// How many requests it meets; absent means until it is removed.
    #[serde(default)]
    pub times: Option<u32>,
    /// Matching requests that pass first.
    #[serde(default)]
    pub skip: u32,
    /// Only this vendor's requests.
    #[serde(default)]
    pub vendor: Option<Vendor>,
    /// Only this account's requests.
    #[serde(default)]
    pub account: Option<String>,
    /// Only this verb, in capitals.
    #[serde(default)]
    pub method: Option<String>,
    /// Only paths (below the vendor's prefix) that match; `*` stands for any run of characters.
    #[serde(default)]
    pub path: Option<String>,
}

impl Fault {
    /// A fault that meets the next request whatever it is.
    pub fn once(kind: Kind) -> Fault {
        Fault { kind, times: Some(1), skip: 0, vendor: None, account: None, method: None, path: None }
    }

    /// A fault that meets every request.
    pub fn always(kind: Kind) -> Fault {
        Fault { times: None, ..Fault::once(kind) }
    }

    /// The fault, for this many requests.
    pub fn times(mut self, times: u32) -> Fault {
        self.times = Some(times);
        self
    }

    /// The fault, after this many matching requests.
    pub fn after(mut self, skip: u32) -> Fault {
        self.skip = skip;
        self
    }

    /// The fault, for one account of one vendor.
    pub fn of(mut self, vendor: Vendor, account: &str) -> Fault {
        self.vendor = Some(vendor);
        self.account = Some(account.to_owned());
        self
    }

    /// The fault, for one verb and paths of one pattern.
    pub fn on(mut self, method: &str, path: &str) -> Fault {
        self.method = Some(method.to_owned());
        self.path = Some(path.to_owned());
        self
    }

    fn meets(&self, target: &Target<'_>) -> bool {
        self.vendor.is_none_or(|vendor| vendor == target.vendor)
            && self.account.as_deref().is_none_or(|account| Some(account) == target.account)
            && self.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(target.method))
            && self.path.as_deref().is_none_or(|path| glob(path, target.path))
    }
}

/// The request that faults are chosen for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its vendor.
    pub vendor: Vendor,
    /// Its account, if its credentials name one.
    pub account: Option<&'a str>,
    /// Its verb.
    pub method: &'a str,
    /// Its path below the vendor's prefix.
    pub path: &'a str,
    /// Its fault header.
    pub header: Option<&'a str>,
}

/// The faults that are set.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Removes all faults.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Removes the faults of one account.
    pub fn clear_of(&mut self, vendor: Vendor, account: &str) {
        self.0.retain(|fault| fault.vendor != Some(vendor) || fault.account.as_deref() != Some(account));
    }

    /// The faults still set.
    pub fn all(&self) -> &[Fault] {
        &self.0
    }

    /// The faults that this request meets: every latency, and the first of the other kinds. Uses them up.
    pub fn take(&mut self, target: &Target<'_>) -> Vec<Kind> {
        let mut met = Vec::new();
        if let Some(kind) = target.header.and_then(from_header) {
            met.push(kind);
        }
        for fault in &mut self.0 {
            if fault.times == Some(0) || !fault.meets(target) {
                continue;
            }
            let latency = matches!(fault.kind, Kind::Latency { .. });
            if !latency && met.iter().any(|kind| !matches!(kind, Kind::Latency { .. })) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times = fault.times.map(|times| times - 1);
            met.push(fault.kind.clone());
        }
        self.0.retain(|fault| fault.times != Some(0));
        met
    }
}

fn from_header(text: &str) -> Option<Kind> {
    serde_json::from_str(text).ok().or_else(|| {
        let bare = serde_json::json!({ "kind": text.trim(), "ms": 100, "status": 500 });
        serde_json::from_value(bare).ok()
    })
}

/// Whether a text matches a pattern in which `*` stands for any run of characters.
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last: Option<&str> = None;
    for part in parts {
        if let Some(previous) = last.replace(part) {
            match rest.find(previous) {
                Some(at) => rest = rest.get(at + previous.len()..).unwrap_or(""),
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(tail) => rest.ends_with(tail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("/crm/*", "/crm/v3/objects", true),
            ("*", "", true),
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("*/search", "/crm/v3/objects/contacts/search", true),
            ("/crm/*/contacts/*", "/crm/v3/objects/contacts/12", true),
            ("/crm/*/contacts/*", "/crm/v3/objects/companies/12", false),
            ("*a*a", "a", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn faults_are_used_up_and_wait_their_turn() {
        let mut faults = Faults::default();
        faults.add(Fault::once(Kind::DropBefore).of(Vendor::Hubspot, "a").after(1).on("GET", "/crm/*"));
        faults.add(Fault::once(Kind::Latency { ms: 5 }).times(2));
        let target = Target {
            vendor: Vendor::Hubspot,
            account: Some("a"),
            method: "GET",
            path: "/crm/x",
            header: None,
        };
        assert_eq!(faults.take(&target), [Kind::Latency { ms: 5 }]);
        assert_eq!(faults.take(&Target { account: Some("b"), ..target }), [Kind::Latency { ms: 5 }]);
        assert_eq!(faults.take(&target), [Kind::DropBefore]);
        assert!(faults.take(&target).is_empty() && faults.all().is_empty());
        let by_header = Target { header: Some(r#"{"kind":"status","status":503}"#), ..target };
        assert_eq!(faults.take(&by_header), [Kind::Status { status: 503, body: None, retry_after_s: None }]);
    }
}
