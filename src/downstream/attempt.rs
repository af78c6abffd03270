//! One exchange on the wire: a request out, a whole reply in, and precisely what went wrong.

use std::error::Error as _;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};

use super::guard::Blocked;
use crate::model::{Attempt, Failure, Policy, Reply, Request};

/// Why there is no reply: as [`Failure`], and whether asking again could change it.
#[derive(Debug)]
pub(super) enum Fault {
    /// Not sent, and never will be: the URL or its address may not be called.
    Blocked(String),
    /// Not sent: no connection.
    Unreachable(String),
    /// Sent, in part or whole, and the connection ended.
    Dropped(String),
    /// No whole reply in time.
    TimedOut(Duration),
    /// The reply is larger than allowed.
    TooLarge(usize),
}

impl Fault {
    /// What the other rooms are told.
    pub(super) fn failure(&self, host: &str) -> Failure {
        match self {
            Fault::Blocked(why) | Fault::Unreachable(why) => Failure::NotSent(format!("{host}: {why}")),
            Fault::Dropped(why) => Failure::Dropped(format!("{host}: {why}")),
            Fault::TimedOut(after) => Failure::TimedOut(*after),
            Fault::TooLarge(bytes_max) => Failure::TooLarge(*bytes_max),
        }
    }
}

/// Headers that carry a secret by their nature.
const SECRET_HEADERS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];
/// Names that mark a header or query key as secret wherever they occur in it.
const SECRET_WORDS: [&str; 8] =
    ["token", "secret", "password", "api_key", "api-key", "apikey", "signature", "authorization"];
/// Query keys that carry a secret although their name holds none of the words.
const SECRET_KEYS: [&str; 4] = ["key", "code", "auth", "sig"];

/// Sends a request once and reads the whole reply.
///
/// Errors: every [`Fault`]. Where no connection came about it is `Unreachable`; a connection that ends at any later point
/// is `Dropped`, also when the reply's head had arrived.
pub(super) async fn exchange(
    http: &reqwest::Client,
    request: &Request,
    policy: &Policy,
    bytes_max: usize,
    time_max: Duration,
) -> Result<Reply, Fault> {
    let started = Instant::now();
    let exchange = async {
        let mut response = http.execute(on_the_wire(request, policy)).await.map_err(fault)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let body = read(response, bytes_max).await?;
        Ok(Reply { status, headers, body, elapsed: started.elapsed() })
    };
    tokio::time::timeout(time_max, exchange).await.unwrap_or(Err(Fault::TimedOut(time_max)))
}

/// The request as the HTTP client takes it; values of secret headers are marked, so that nothing prints or indexes them.
fn on_the_wire(request: &Request, policy: &Policy) -> reqwest::Request {
    let mut wire = reqwest::Request::new(request.method.clone(), request.url.clone());
    let headers = wire.headers_mut();
    headers.reserve(request.headers.len() + 2);
    for (name, value) in &request.headers {
        let mut value = value.clone();
        if is_secret_header(name, policy) {
            value.set_sensitive(true);
        }
        headers.append(name, value);
    }
    if let Some(body) = &request.body {
        *wire.body_mut() = Some(body.clone().into());
    }
    wire
}

pub(super) fn is_secret_header(name: &HeaderName, policy: &Policy) -> bool {
    SECRET_HEADERS.contains(name)
        || policy.secret_headers.contains(name)
        || SECRET_WORDS.iter().any(|word| name.as_str().contains(word))
}

/// Reads the body up to a limit, after decompression. A body that arrives in one piece is not copied.
async fn read(mut response: reqwest::Response, bytes_max: usize) -> Result<Bytes, Fault> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > bytes_max) {
        return Err(Fault::TooLarge(bytes_max));
    }
    let Some(first) = response.chunk().await.map_err(fault)? else { return Ok(Bytes::new()) };
    if first.len() > bytes_max {
        return Err(Fault::TooLarge(bytes_max));
    }
    let Some(mut next) = response.chunk().await.map_err(fault)? else { return Ok(first) };
    let mut whole = BytesMut::with_capacity(announced.unwrap_or(first.len() + next.len()));
    whole.extend_from_slice(&first);
    drop(first);
    loop {
        if whole.len() + next.len() > bytes_max {
            return Err(Fault::TooLarge(bytes_max));
        }
        whole.extend_from_slice(&next);
        match response.chunk().await.map_err(fault)? {
            Some(chunk) => next = chunk,
            None => return Ok(whole.freeze()),
        }
    }
}

/// What an error of the HTTP client means. Its own text names the URL, secrets included, so only its cause is kept.
fn fault(error: reqwest::Error) -> Fault {
    let mut cause = "the request could not be made".to_owned();
    let mut source = error.source();
    while let Some(inner) = source {
        cause = inner.to_string();
        if inner.is::<Blocked>() {
            return Fault::Blocked(cause);
        }
        source = inner.source();
    }
    if error.is_builder() {
        Fault::Blocked(cause)
    } else if error.is_connect() {
        Fault::Unreachable(cause)
    } else {
        Fault::Dropped(cause)
    }
}

/// The record of an attempt.
pub(super) fn record(
    request: &Request,
    policy: &Policy,
    number: u32,
    ended: &Result<Reply, Fault>,
    elapsed: Duration,
) -> Attempt {
    Attempt {
        step: request.step.clone(),
        number,
        method: request.method.clone(),
        url: without_secrets(request, policy),
        result: match ended {
            Ok(reply) => Ok(reply.status),
            Err(fault) => Err(fault.failure(host(request))),
        },
        elapsed,
    }
}

/// The host that a request goes to.
pub(super) fn host(request: &Request) -> &str {
    request.url.host_str().unwrap_or_default()
}

/// The URL with the values of secret query keys, and any user name and password, replaced by `***`.
pub(super) fn without_secrets(request: &Request, policy: &Policy) -> String {
    let url = &request.url;
    let is_secret = |key: &str| {
        let key = key.to_ascii_lowercase();
        SECRET_KEYS.contains(&key.as_str())
            || policy.secret_query.iter().any(|secret| secret.eq_ignore_ascii_case(&key))
            || SECRET_WORDS.iter().any(|word| key.contains(word))
    };
    let named = !url.username().is_empty() || url.password().is_some();
    let keyed = url.query().is_some_and(|query| query.split('&').any(|pair| has_secret(pair, is_secret)));
    if !named && !keyed {
        return url.as_str().to_owned();
    }
    let mut shown = url.clone();
    if named {
        // Neither fails on a URL that had a user name.
        let _ = shown.set_password(None);
        let _ = shown.set_username("***");
    }
    if keyed {
        let query: Vec<String> =
            url.query().unwrap_or_default().split('&').map(|pair| shown_pair(pair, is_secret)).collect();
        shown.set_query(Some(&query.join("&")));
    }
    shown.into()
}

/// One `key=value` as it stood, or with `***` for the value.
fn shown_pair(pair: &str, is_secret: impl Fn(&str) -> bool) -> String {
    match pair.split_once('=') {
        Some((key, _)) if has_secret(pair, is_secret) => format!("{key}=***"),
        _ => pair.to_owned(),
    }
}

/// Whether the key of a `key=value` is a secret's; the value, often long, is not decoded.
fn has_secret(pair: &str, is_secret: impl Fn(&str) -> bool) -> bool {
    let key = pair.split_once('=').map_or(pair, |(key, _)| key);
    url::form_urlencoded::parse(key.as_bytes()).next().is_some_and(|(key, _)| is_secret(&key))
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method};

    use super::*;
    use crate::model::Safety;

    fn request(url: &str) -> Request {
        Request {
            step: "contacts.list".into(),
            method: Method::GET,
            url: url.parse().unwrap(),
            headers: Vec::new(),
            body: None,
            safety: Safety::Read,
        }
    }

    #[test]
    fn secrets_stay_out_of_the_recorded_url() {
        let policy = Policy { secret_query: vec!["hapikey".to_owned()], ..Policy::default() };
        let rows = [
            ("https://a.example/x?limit=1&q=a%20b", "https://a.example/x?limit=1&q=a%20b"),
            ("https://a.example/x?api_token=s3&limit=1", "https://a.example/x?api_token=***&limit=1"),
            ("https://a.example/x?limit=1&HAPIKEY=s3", "https://a.example/x?limit=1&HAPIKEY=***"),
            ("https://a.example/x?api%5Ftoken=s3", "https://a.example/x?api%5Ftoken=***"),
            (
                "https://a.example/x?access_token=s3&client_secret=s4",
                "https://a.example/x?access_token=***&client_secret=***",
            ),
            ("https://me:s3@a.example/x", "https://***@a.example/x"),
            ("https://a.example/x", "https://a.example/x"),
        ];
        for (url, shown) in rows {
            assert_eq!(without_secrets(&request(url), &policy), shown);
        }
    }

    #[test]
    fn secret_headers_are_marked() {
        let policy = Policy { secret_headers: vec![HeaderName::from_static("x-login")], ..Policy::default() };
        let mut request = request("https://a.example/");
        for name in ["authorization", "x-api-key", "x-login", "x-auth-token", "accept"] {
            request.headers.push((name.parse().unwrap(), HeaderValue::from_static("s3")));
        }
        let wire = on_the_wire(&request, &policy);
        let marked: Vec<&str> = wire
            .headers()
            .iter()
            .filter(|(_, value)| value.is_sensitive())
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(marked, ["authorization", "x-api-key", "x-login", "x-auth-token"]);
    }
}
