//! Who calls, for whom, from where: the headers of a request, all faults at once.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::{HeaderMap, Uri};
use ipnet::IpNet;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::contract::{Consumer, Needs};
use crate::error::{Error, Kind, Result};
use crate::model::{AppId, ConsumerId, Secret, ServiceId};

const APP: &str = "x-apideck-app-id";
const CONSUMER: &str = "x-apideck-consumer-id";
const SERVICE: &str = "x-apideck-service-id";
const RAW: &str = "x-apideck-raw";
/// The two names of an idempotency key.
const IDEMPOTENCY: [&str; 2] = ["x-unique-transaction-id", "idempotency-key"];
const FILTER: &str = "x-crosswalk-filter";

/// What the headers of a call say.
#[derive(Debug)]
pub(super) struct Headers {
    pub(super) app: AppId,
    /// None only where the operation does not need one.
    pub(super) consumer: Option<ConsumerId>,
    pub(super) service: Option<ServiceId>,
    pub(super) raw: bool,
    pub(super) scan: bool,
    pub(super) key: Secret,
    pub(super) idempotency_key: Option<Secret>,
}

/// Where a call comes from.
#[derive(Debug)]
pub(super) struct Origin {
    /// The caller's address.
    pub(super) remote: IpAddr,
    /// Scheme and host as the caller sees them.
    pub(super) base: String,
}

/// The caller's own request id where it is fit to be kept, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    let mut given = headers.get_all("request-id").iter();
    let (Some(id), None) = (given.next(), given.next()) else { return Uuid::now_v7().to_string() };
    let fit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match id.to_str() {
        Ok(id) if (8..=128).contains(&id.len()) && id.as_bytes().iter().all(fit) => id.to_owned(),
        _ => Uuid::now_v7().to_string(),
    }
}

/// The gateway's own cookies: names and values, a bounded number of them.
pub(super) fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let own = pairs.filter(|(name, _)| name.starts_with("crosswalk_"));
    own.take(100).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Reads the headers of a call to an operation that needs these; an idempotency key only of one that writes.
///
/// Errors: `RequestHeadersValidationError` with all that are missing or malformed, then `UnauthorizedError`.
pub(super) fn read(headers: &HeaderMap, needs: Needs, writes: bool) -> Result<Headers> {
    let mut faults = Faults::default();
    let app = faults.required(headers, APP, 128);
    let consumer = match needs.consumer {
        Consumer::Yes => faults.required(headers, CONSUMER, 255),
        Consumer::Maybe => faults.optional(headers, CONSUMER, 255),
        Consumer::No => None,
    };
    let service = faults.optional(headers, SERVICE, 64);
    let service_form =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if service.as_deref().is_some_and(|text| !service_form(text)) {
        faults.malformed(SERVICE, "must be a connector's id such as hubspot");
    }
    let raw = match faults.optional(headers, RAW, 8).as_deref() {
        None if !headers.contains_key(RAW) => false,
        Some("false") => false,
        Some("true") => true,
        _ => {
            faults.malformed(RAW, "must be true or false");
            false
        }
    };
    let idempotency_key = if writes { faults.idempotency_key(headers) } else { None };
    let scan = match faults.optional(headers, FILTER, 16).as_deref() {
        None | Some("strict") => false,
        Some("scan") => true,
        Some(_) => {
            faults.malformed(FILTER, "must be strict or scan");
            false
        }
    };
    let authorization = faults.optional(headers, AUTHORIZATION.as_str(), 1024);
    let (Some(app), true) = (app, faults.is_empty()) else {
        return Err(faults.error());
    };
    Ok(Headers {
        app: AppId::new(app),
        consumer: consumer.map(ConsumerId::new),
        service: service.map(ServiceId::new),
        raw,
        idempotency_key,
        scan,
        key: bearer(authorization.as_deref())?,
    })
}

fn bearer(authorization: Option<&str>) -> Result<Secret> {
    let refused = |says: &str| {
        Error::new(Kind::UnauthorizedError, says).header("www-authenticate", "Bearer".to_owned())
    };
    let Some(authorization) = authorization else {
        return Err(refused("Authorization is missing: send Authorization: Bearer and an API key."));
    };
    let key = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match key.map(|(_, key)| key.trim()) {
        Some(key) if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Secret::new(key))
        }
        _ => Err(refused("Authorization must be the word Bearer and an API key.")),
    }
}

#[derive(Default)]
struct Faults {
    missing: Vec<Value>,
    malformed: Vec<Value>,
}

impl Faults {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.malformed.is_empty()
    }

    fn malformed(&mut self, name: &str, message: &str) {
        self.malformed.push(json!({ name: message }));
    }

    fn required<'h>(
        &mut self,
        headers: &'h HeaderMap,
        name: &'static str,
        longest: usize,
    ) -> Option<Cow<'h, str>> {
        let before = self.malformed.len();
        let value = self.optional(headers, name, longest);
        if value.is_none() && self.malformed.len() == before {
            self.missing.push(json!({ name: "required" }));
        }
        value
    }

    /// The one value of a header; empty is absent.
    fn optional<'h>(
        &mut self,
        headers: &'h HeaderMap,
        name: &'static str,
        longest: usize,
    ) -> Option<Cow<'h, str>> {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?;
        if values.next().is_some() {
            self.malformed(name, "is given more than once");
            return None;
        }
        let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
            self.malformed(name, "is not UTF-8");
            return None;
        };
        let text = text.trim();
        if text.len() > longest {
            self.malformed(name, &format!("is longer than {longest} bytes"));
            return None;
        }
        if text.chars().any(char::is_control) {
            self.malformed(name, "contains control characters");
            return None;
        }
        (!text.is_empty()).then_some(Cow::Borrowed(text))
    }

    /// The idempotency key, under either of its names.
    fn idempotency_key(&mut self, headers: &HeaderMap) -> Option<Secret> {
        let [documented, alias] = IDEMPOTENCY.map(|name| {
            let key = self.optional(headers, name, 255)?;
            if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                self.malformed(name, "must be 1 to 255 visible ASCII characters");
                return None;
            }
            Some(key)
        });
        if let (Some(documented), Some(alias)) = (&documented, &alias)
            && documented != alias
        {
            self.malformed("idempotency-key", "differs from x-unique-transaction-id, which means the same");
        }
        documented.or(alias).map(Secret::new)
    }

    fn error(self) -> Error {
        let Faults { missing, malformed } = self;
        let names = |faults: &[Value]| {
            let names: Vec<&str> = faults
                .iter()
                .filter_map(Value::as_object)
                .flat_map(|f| f.keys())
                .map(String::as_str)
                .collect();
            names.join(", ")
        };
        let says = match (missing.as_slice(), malformed.as_slice()) {
            (missing, []) => format!("Required headers are missing: {}.", names(missing)),
            ([], malformed) => format!("Headers are malformed: {}.", names(malformed)),
            (missing, malformed) => {
                format!("Headers are missing ({}) or malformed ({}).", names(missing), names(malformed))
            }
        };
        let mut detail = serde_json::Map::new();
        for (key, faults) in [("missing", missing), ("malformed", malformed)] {
            if !faults.is_empty() {
                detail.insert(key.to_owned(), faults.into());
            }
        }
        Error::new(Kind::RequestHeadersValidationError, says).detail(Value::Object(detail))
    }
}

/// How requests reach the gateway.
#[derive(Debug, Clone)]
pub(super) struct Entrance {
    /// Proxies that end TLS in front.
    pub(super) trusted_proxies: Vec<IpNet>,
    /// The gateway as callers see it, where it is set.
    pub(super) public_url: Option<String>,
    /// Whether the gateway itself speaks TLS.
    pub(super) tls: bool,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Entrance {
    /// Where a request comes from, and how the caller sees the gateway. Forwarded headers count only when the peer
    /// is a declared proxy.
    pub(super) fn origin(&self, peer: IpAddr, headers: &HeaderMap, uri: &Uri) -> Origin {
        let peer = peer.to_canonical();
        let proxied = self.trusts(peer);
        let remote = if proxied { self.forwarded_for(peer, headers) } else { peer };
        let base = match &self.public_url {
            Some(url) => url.clone(),
            None => {
                let scheme = if self.tls || (proxied && is_https(headers)) { "https" } else { "http" };
                let forwarded = proxied.then(|| headers.get("x-forwarded-host")).flatten();
                let host = forwarded.or_else(|| headers.get(HOST)).and_then(|host| host.to_str().ok());
                let host = uri
                    .authority()
                    .map(http::uri::Authority::as_str)
                    .filter(|_| forwarded.is_none())
                    .or(host);
                match host.filter(|host| is_host(host)) {
                    Some(host) => format!("{scheme}://{host}"),
                    None => format!("{scheme}://{}", self.address),
                }
            }
        };
        Origin { remote, base }
    }

    /// Refuses a call that came over plain HTTP although TLS is meant to protect it.
    ///
    /// Errors: `ForbiddenError`.
    pub(super) fn protected(&self, peer: IpAddr, headers: &HeaderMap) -> Result<()> {
        if self.tls || self.trusted_proxies.is_empty() {
            // Without TLS and proxies the settings allow a loopback address only.
            return Ok(());
        }
        let says = match (self.trusts(peer.to_canonical()), is_https(headers)) {
            (true, true) => return Ok(()),
            (true, false) => {
                "Calls over plain HTTP are refused: the proxy did not say X-Forwarded-Proto: https."
            }
            (false, _) => {
                "Calls over plain HTTP are refused: call the gateway over HTTPS, through its proxy."
            }
        };
        Err(Error::new(Kind::ForbiddenError, says))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|range| range.contains(&address))
    }

    /// The last address in `X-Forwarded-For` that is not a proxy of ours.
    fn forwarded_for(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer;
        let lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
        let mut hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        while let Some(hop) = hops.pop() {
            let address =
                hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
            match address {
                Ok(address) => nearest = address.to_canonical(),
                // What stands before a hop that makes no sense cannot be trusted.
                Err(_) => break,
            }
            if !self.trusts(nearest) {
                break;
            }
        }
        nearest
    }
}

fn is_https(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all("x-forwarded-proto").iter();
    matches!((values.next(), values.next()), (Some(value), None) if value.as_bytes().eq_ignore_ascii_case(b"https"))
}

fn is_host(text: &str) -> bool {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(fit)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn read_all(headers: &HeaderMap) -> Result<Headers> {
        read(headers, Needs::ALL, true)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn all_header_faults_are_told_at_once() {
        let given = headers(&[
            (APP, ""),
            (SERVICE, "hub spot"),
            (RAW, "yes"),
            ("authorization", "Bearer a"),
            ("authorization", "Bearer b"),
        ]);
        let body = read_all(&given).unwrap_err().body("id", "");
        assert_eq!(body["type_name"], "RequestHeadersValidationError");
        assert_eq!(body["detail"]["missing"], json!([{ APP: "required" }, { CONSUMER: "required" }]));
        let malformed: Vec<&str> = body["detail"]["malformed"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|fault| fault.as_object().unwrap().keys())
            .map(String::as_str)
            .collect();
        assert_eq!(malformed, [SERVICE, RAW, "authorization"]);
    }

    #[test]
    fn bearers() {
        let with = |authorization: &str| {
            read_all(&headers(&[
                (APP, "a"),
                (CONSUMER, "c"),
                (SERVICE, ""),
                ("authorization", authorization),
            ]))
        };
        assert_eq!(with("bearer  sk_1").unwrap().key.expose(), "sk_1");
        assert_eq!(format!("{:?}", with("Bearer sk_1").unwrap().key), "***");
        assert_eq!(with("Bearer sk_1").unwrap().service, None);
        for wrong in ["", "sk_1", "Basic abc", "Bearer", "Bearer ", "Bearer a b"] {
            let error = with(wrong).unwrap_err();
            assert_eq!(error.kind(), Kind::UnauthorizedError, "{wrong}");
            assert_eq!(error.reply_headers(), [("www-authenticate", "Bearer".to_owned())]);
        }
    }

    #[test]
    fn an_idempotency_key_has_two_names_and_one_value() {
        let with = |pairs: &[(&'static str, &str)], writes| {
            let mut given = headers(&[(APP, "a"), (CONSUMER, "c"), ("authorization", "Bearer sk_1")]);
            given.extend(headers(pairs));
            read(&given, Needs::ALL, writes)
                .map(|headers| headers.idempotency_key.map(|key| key.expose().to_owned()))
        };
        let [documented, alias] = IDEMPOTENCY;
        let longest = "k".repeat(255);
        for (pairs, key) in [
            (&[][..], None),
            (&[(documented, ""), (alias, "")], None),
            (&[(documented, "a")], Some("a")),
            (&[(alias, "a")], Some("a")),
            (&[(documented, "a"), (alias, " a ")], Some("a")),
            (&[(documented, ""), (alias, &longest)], Some(longest.as_str())),
        ] {
            assert_eq!(with(pairs, true).unwrap().as_deref(), key, "{pairs:?}");
            assert_eq!(with(pairs, false).unwrap(), None, "{pairs:?}");
        }
        let long = "k".repeat(256);
        for (pairs, name) in [
            (&[(documented, "a"), (alias, "b")][..], alias),
            (&[(documented, "a b")], documented),
            (&[(alias, "ä")], alias),
            (&[(alias, &long)], alias),
            (&[(alias, "a"), (alias, "a")], alias),
        ] {
            let body = with(pairs, true).unwrap_err().body("id", "");
            assert_eq!(body["type_name"], "RequestHeadersValidationError", "{pairs:?}");
            assert!(body["detail"]["malformed"][0].get(name).is_some(), "{pairs:?}: {body:#}");
            assert_eq!(with(pairs, false).unwrap(), None, "a read has no use for it: {pairs:?}");
        }
    }

    #[test]
    fn request_ids_are_kept_when_fit() {
        assert_eq!(request_id(&headers(&[("request-id", "abc-123_.X")])), "abc-123_.X");
        for unfit in ["short", "with space", "a\"b\"c\"d\"e", &"x".repeat(129)] {
            assert_eq!(request_id(&headers(&[("request-id", unfit)])).len(), 36, "{unfit}");
        }
        assert_eq!(request_id(&headers(&[("request-id", "abcdefgh"), ("request-id", "abcdefgi")])).len(), 36);
    }

    fn entrance(proxies: &[&str]) -> Entrance {
        Entrance {
            trusted_proxies: proxies.iter().map(|range| range.parse().unwrap()).collect(),
            public_url: None,
            tls: false,
            address: "127.0.0.1:8080".parse().unwrap(),
        }
    }

    #[test]
    fn forwarded_addresses_count_only_from_declared_proxies() {
        let sent = headers(&[("x-forwarded-for", "6.6.6.6, 203.0.113.9"), ("x-forwarded-for", "10.0.0.2")]);
        let uri = Uri::from_static("/x");
        let remote = |proxies: &[&str], peer: &str| {
            entrance(proxies).origin(peer.parse().unwrap(), &sent, &uri).remote.to_string()
        };
        assert_eq!(remote(&["10.0.0.0/8"], "10.0.0.1"), "203.0.113.9");
        assert_eq!(remote(&["10.0.0.0/8"], "::ffff:10.0.0.1"), "203.0.113.9");
        assert_eq!(remote(&["10.0.0.0/8"], "198.51.100.1"), "198.51.100.1");
        assert_eq!(remote(&[], "10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn the_public_base_is_what_the_caller_sees() {
        let base = |proxies: &[&str], pairs: &[(&'static str, &str)]| {
            entrance(proxies)
                .origin("10.0.0.1".parse().unwrap(), &headers(pairs), &Uri::from_static("/x"))
                .base
        };
        assert_eq!(base(&[], &[("host", "crm.test:81")]), "http://crm.test:81");
        assert_eq!(base(&[], &[("host", "a\"b")]), "http://127.0.0.1:8080");
        let forwarded = [("host", "inner"), ("x-forwarded-host", "outer"), ("x-forwarded-proto", "https")];
        assert_eq!(base(&["10.0.0.0/8"], &forwarded), "https://outer");
        assert_eq!(base(&[], &forwarded), "http://inner");
    }

    #[test]
    fn plain_http_is_refused_where_a_proxy_should_end_tls() {
        let refused = |proxies: &[&str], peer: &str, pairs: &[(&'static str, &str)]| {
            entrance(proxies).protected(peer.parse().unwrap(), &headers(pairs)).is_err()
        };
        let https = [("x-forwarded-proto", "https")];
        assert!(!refused(&[], "127.0.0.1", &[]));
        assert!(!refused(&["10.0.0.0/8"], "10.0.0.1", &https));
        assert!(refused(&["10.0.0.0/8"], "10.0.0.1", &[]));
        assert!(refused(&["10.0.0.0/8"], "10.0.0.1", &[("x-forwarded-proto", "http")]));
        assert!(refused(&["10.0.0.0/8"], "198.51.100.1", &https));
    }
}
