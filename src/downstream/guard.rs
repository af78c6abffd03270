//! Which addresses may be called. A customer names hosts (a CRM's subdomain, a self-hosted CRM), so a host may
//! turn out to be ours: the loopback, the cloud's metadata service, a machine of the internal network.
//!
//! Names are checked by the resolver, so that the address checked is the address connected to. Address literals never
//! reach a resolver and are checked before the request is built.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Networks that are not the public internet (the IANA special-purpose registries).
const NOT_PUBLIC: [(&str, &str); 30] = [
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local, cloud metadata"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved, broadcast"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::/96", "IPv4-compatible"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("64:ff9b::/96", "IPv4 behind NAT64"),
    ("64:ff9b:1::/48", "IPv4 behind local NAT64"),
    ("100::/64", "discard"),
    ("2001::/23", "protocol assignments, Teredo"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("3fff::/20", "documentation"),
    ("fc00::/7", "unique local"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
];

/// Addresses that may be called: public ones over HTTPS, and declared networks over anything.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    allow: Vec<IpNet>,
    not_public: Vec<IpNet>,
}

/// Why an address may not be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blocked(String);

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Blocked {}

impl Guard {
    /// A guard that makes an exception for these networks.
    pub(super) fn new(allow: Vec<IpNet>) -> Guard {
        let not_public = NOT_PUBLIC.iter().filter_map(|(net, _)| net.parse().ok()).collect();
        Guard { allow, not_public }
    }

    /// Whether an address lies in a declared network.
    fn declared(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.iter().any(|net| net.contains(&address))
    }

    /// Whether an address may be called.
    fn permits(&self, address: IpAddr, plain: bool) -> bool {
        self.declared(address) || (!plain && !self.not_public.iter().any(|net| net.contains(&address)))
    }

    /// Checks scheme, host and address literals; a name is left to the resolver.
    ///
    /// Errors: neither `https` nor `http`; a user name or password in the URL; a literal that may not be called.
    pub(super) fn check(&self, url: &Url) -> Result<(), Blocked> {
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            other => return Err(Blocked(format!("the scheme {other} is not called"))),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Blocked("a URL must not hold a user name or password".to_owned()));
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) if plain && self.allow.is_empty() => {
                return Err(Blocked("plain HTTP is not allowed".to_owned()));
            }
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(Blocked("the URL has no host".to_owned())),
        };
        if self.permits(literal, plain) { Ok(()) } else { Err(refusal(literal, plain)) }
    }
}

fn refusal(address: IpAddr, plain: bool) -> Blocked {
    Blocked(if plain {
        format!("plain HTTP to the address {address} is not allowed")
    } else {
        format!("the address {address} is not allowed")
    })
}

/// A resolver that gives only addresses that may be called. `plain`: over plain HTTP.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    pub(super) guard: Arc<Guard>,
    pub(super) plain: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Resolver { guard, plain } = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let permitted: Vec<SocketAddr> =
                found.iter().copied().filter(|address| guard.permits(address.ip(), plain)).collect();
            match (permitted.is_empty(), found.first()) {
                (true, Some(address)) => Err(refusal(address.ip(), plain).into()),
                _ => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_in_the_table_is_one() {
        assert_eq!(Guard::new(Vec::new()).not_public.len(), NOT_PUBLIC.len());
    }

    #[test]
    fn only_public_addresses_are_called() {
        let guard = Guard::new(Vec::new());
        let rows = [
            ("https://93.184.216.34/", true),
            ("https://[2606:4700::1111]/", true),
            ("https://api.example.com/", true),
            ("http://93.184.216.34/", false),
            ("http://api.example.com/", false),
            ("ftp://api.example.com/", false),
            ("https://user@api.example.com/", false),
            ("https://:secret@api.example.com/", false),
            ("https://127.0.0.1/", false),
            ("https://127.1/", false),
            ("https://0x7f000001/", false),
            ("https://2130706433/", false),
            ("https://0.0.0.0/", false),
            ("https://10.1.2.3/", false),
            ("https://100.64.0.1/", false),
            ("https://100.128.0.1/", true),
            ("https://169.254.169.254/latest/meta-data", false),
            ("https://172.31.255.255/", false),
            ("https://172.32.0.1/", true),
            ("https://192.168.1.1/", false),
            ("https://224.0.0.1/", false),
            ("https://255.255.255.255/", false),
            ("https://[::]/", false),
            ("https://[::1]/", false),
            ("https://[::ffff:127.0.0.1]/", false),
            ("https://[::ffff:93.184.216.34]/", false),
            ("https://[64:ff9b::7f00:1]/", false),
            ("https://[2002:7f00:1::]/", false),
            ("https://[fd00::1]/", false),
            ("https://[fe80::1]/", false),
            ("https://[ff02::1]/", false),
        ];
        for (url, permitted) in rows {
            assert_eq!(guard.check(&url.parse().unwrap()).is_ok(), permitted, "{url}");
        }
    }

    #[test]
    fn a_declared_network_is_called_over_plain_http_too_and_nothing_else_is() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let rows = [
            ("http://127.0.0.1:8090/", true),
            ("https://127.0.0.1/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://[::1]/", false),
            ("http://10.0.0.1/", false),
            ("http://93.184.216.34/", false),
            ("https://93.184.216.34/", true),
        ];
        for (url, permitted) in rows {
            assert_eq!(guard.check(&url.parse().unwrap()).is_ok(), permitted, "{url}");
        }
    }
}
