//! What a key may be used from and for: addresses and endpoints.

use std::net::{IpAddr, Ipv6Addr};

use http::Method;
use ipnet::{IpNet, Ipv4Net};

/// The limits of one key; what is empty limits nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    addresses: Vec<IpNet>,
    endpoints: Vec<Pattern>,
}

/// `GET /crm/contacts*`: a method, where there is one, and a path in which `*` stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    method: Option<Method>,
    path: String,
}

impl Allowed {
    /// Reads addresses and ranges (`203.0.113.7`, `10.0.0.0/8`, `2001:db8::/32`) and endpoint patterns (`/crm/*`,
    /// `GET /crm/contacts*`).
    ///
    /// # Errors
    /// Every text that is neither, with what is wrong with it.
    pub fn parse<T: AsRef<str>>(addresses: &[T], endpoints: &[T]) -> Result<Allowed, Vec<String>> {
        let mut faults = Vec::new();
        let mut allowed = Allowed::default();
        for text in addresses.iter().map(AsRef::as_ref) {
            match range(text) {
                Some(range) => allowed.addresses.push(range),
                None => faults.push(format!("{text:?} is no address and no range such as 10.0.0.0/8")),
            }
        }
        for text in endpoints.iter().map(AsRef::as_ref) {
            match pattern(text) {
                Some(pattern) => allowed.endpoints.push(pattern),
                None => faults.push(format!("{text:?} is no endpoint such as /crm/* or GET /crm/contacts*")),
            }
        }
        if faults.is_empty() { Ok(allowed) } else { Err(faults) }
    }

    /// Whether calls may come from that address.
    pub fn address(&self, remote: IpAddr) -> bool {
        let remote = remote.to_canonical();
        // All ranges are looked at, so that how long it takes tells nothing about the list.
        self.addresses.is_empty()
            || self.addresses.iter().fold(false, |found, range| found | range.contains(&remote))
    }

    /// Whether that endpoint may be called. `path` is the routed one, its ids decoded; `method` is the one meant.
    pub fn endpoint(&self, method: &Method, path: &str) -> bool {
        let fits = |pattern: &Pattern| {
            pattern.method.as_ref().is_none_or(|only| only == method) && matches(&pattern.path, path)
        };
        self.endpoints.is_empty() || self.endpoints.iter().any(fits)
    }
}

/// An address or range; IPv4 that is written as IPv6 is IPv4.
fn range(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let range = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => text.parse::<IpNet>().ok()?,
    };
    let mapped = |address: Ipv6Addr| address.to_ipv4_mapped();
    Some(match range {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match mapped(v6.addr()) {
            Some(v4) => IpNet::V4(Ipv4Net::new(v4, v6.prefix_len() - 96).ok()?),
            None => range,
        },
        other => other,
    })
}

fn pattern(text: &str) -> Option<Pattern> {
    let text = text.trim();
    let (method, path) = match text.split_once(char::is_whitespace) {
        None => (None, text),
        Some((method, path)) => {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).ok()?;
            let known = [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE];
            (Some(known.contains(&method).then_some(method)?), path.trim())
        }
    };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '?' | '#' | '%');
    let fits = (path.starts_with('/') || path.starts_with('*')) && path.chars().all(plain);
    fits.then(|| Pattern { method, path: path.to_owned() })
}

/// Whether a text fits a pattern in which `*` stands for any text, none included.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        // The part before this one may lie anywhere; the first place leaves the most to the next.
        if let Some(part) = last.replace(part) {
            match rest.find(part) {
                Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
    }
    match last {
        Some(end) => rest.ends_with(end),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_held_against_ranges_of_both_families() {
        let rows = [
            (&["203.0.113.7"][..], "203.0.113.7", true),
            (&["203.0.113.7"], "203.0.113.8", false),
            (&["203.0.113.7"], "::ffff:203.0.113.7", true),
            (&["::ffff:203.0.113.7"], "203.0.113.7", true),
            (&["::ffff:10.0.0.0/104"], "10.9.9.9", true),
            (&["::ffff:10.0.0.0/104"], "11.0.0.1", false),
            (&["10.0.0.0/8", "2001:db8::/32"], "2001:db8:1::1", true),
            (&["10.0.0.0/8", "2001:db8::/32"], "2001:db9::1", false),
            (&["10.0.0.0/8"], "::10.0.0.1", false),
            (&["0.0.0.0/0"], "2001:db8::1", false),
            (&[], "198.51.100.1", true),
        ];
        for (list, remote, fits) in rows {
            let allowed = Allowed::parse(list, &[]).unwrap();
            assert_eq!(allowed.address(remote.parse().unwrap()), fits, "{list:?} {remote}");
        }
    }

    #[test]
    fn endpoints_are_held_against_patterns() {
        let rows = [
            (&["/crm/*"][..], "GET", "/crm/contacts", true),
            (&["/crm/*"], "GET", "/vault/consumers", false),
            (&["/crm/*"], "GET", "/crm", false),
            (&["GET /crm/contacts*"], "GET", "/crm/contacts", true),
            (&["GET /crm/contacts*"], "GET", "/crm/contacts/7", true),
            (&["GET /crm/contacts*"], "POST", "/crm/contacts", false),
            (&["get  /crm/contacts/*"], "GET", "/crm/contacts/7", true),
            (&["/crm/contacts"], "GET", "/crm/contacts/7", false),
            (&["GET /crm/notes", "/vault/*/stats"], "GET", "/vault/consumers/ann/stats", true),
            (&["/vault/*/stats"], "GET", "/vault/consumers/stats/ann", false),
            (&["*/contacts"], "PATCH", "/crm/contacts", true),
            (&["/a*b*c"], "GET", "/abc", true),
            (&["/a*bc"], "GET", "/abcbc", true),
            (&["/a*bc"], "GET", "/abcb", false),
            (&["*"], "DELETE", "/anything", true),
            (&[], "DELETE", "/anything", true),
        ];
        for (list, method, path, fits) in rows {
            let allowed = Allowed::parse(&[], list).unwrap();
            assert_eq!(allowed.endpoint(&method.parse().unwrap(), path), fits, "{list:?} {method} {path}");
        }
    }

    #[test]
    fn everything_that_cannot_be_read_is_told() {
        let faults = Allowed::parse(
            &["10.0.0.1/33", "localhost", "10.0.0.1"],
            &["crm", "FETCH /crm/*", "GET", "/a?b", "/crm/%2e", "GET /crm/x"],
        )
        .unwrap_err();
        assert_eq!(faults.len(), 7, "{faults:#?}");
        for bad in ["10.0.0.1/33", "localhost", "FETCH /crm/*", "/crm/%2e"] {
            assert!(faults.iter().any(|fault| fault.contains(bad)), "{bad}: {faults:#?}");
        }
    }
}
