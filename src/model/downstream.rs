//! Requests to a CRM and what comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

/// Whether sending a request twice could do harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// Changes nothing, whatever its method: may be sent again.
    Read,
    /// Changes the CRM, but twice as once: may be sent again.
    Repeatable,
    /// Changes the CRM: sent again only when it surely did not arrive.
    Write,
}

/// A request to a CRM. Plan makes it without secrets; authentication is added just before it is sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which step of the operation it is, such as `contacts.list` or `contacts.associations`: for logs and warnings.
    pub step: Arc<str>,
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: Url,
    /// Headers besides authentication, `Host` and `Content-Length`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; its type is among the headers.
    pub body: Option<Bytes>,
    /// Whether it may be repeated.
    pub safety: Safety,
}

/// A CRM's whole reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// From the first byte sent to the last received, over all attempts.
    pub elapsed: Duration,
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The request never reached the CRM: no connection, name not found, TLS refused, address not allowed.
    NotSent(String),
    /// The request was sent, in part or whole, and the connection ended without a whole reply.
    Dropped(String),
    /// No whole reply in time; the request may have been carried out.
    TimedOut(Duration),
    /// The reply is larger than allowed.
    TooLarge(usize),
}

/// A reply or why there is none.
pub type Outcome = Result<Reply, Failure>;

/// How one connector's requests are repeated and paced. Plain data: the manifest names what differs from [`Policy::default`].
#[derive(Debug, Clone)]
pub struct Policy {
    /// Attempts for one request, the first included; 1 never repeats.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles with each further one, and up to half of it is random.
    pub backoff: Duration,
    /// The longest wait between attempts that we choose ourselves (a `Retry-After` may ask for more).
    pub backoff_max: Duration,
    /// Statuses after which a read is repeated.
    pub retry_read: Vec<StatusCode>,
    /// Statuses that say a write surely was not carried out, so that it is repeated too.
    pub retry_write: Vec<StatusCode>,
    /// Whether 503 with `Retry-After` also says that a write was not carried out.
    pub unavailable_is_untouched: bool,
    /// Whether `Retry-After` (seconds or an HTTP date) replaces the backoff.
    pub honour_retry_after: bool,
    /// Limits that the CRM reports in headers; one with nothing remaining pauses the connection until its reset.
    pub limits: Vec<LimitHeaders>,
    /// Header names that carry a secret, besides the well-known ones.
    pub secret_headers: Vec<HeaderName>,
    /// Query keys that carry a secret, besides the well-known ones: their values stay out of [`Attempt::url`].
    pub secret_query: Vec<String>,
    /// Requests of one batch under way at once.
    pub parallel: usize,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            attempts: 3,
            backoff: Duration::from_millis(250),
            backoff_max: Duration::from_secs(8),
            retry_read: vec![
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ],
            retry_write: vec![StatusCode::TOO_MANY_REQUESTS],
            unavailable_is_untouched: false,
            honour_retry_after: true,
            limits: Vec::new(),
            secret_headers: Vec::new(),
            secret_query: Vec::new(),
            parallel: 4,
        }
    }
}

/// Two headers in which a CRM reports one of its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitHeaders {
    /// Says how many requests remain, such as `x-ratelimit-remaining`.
    pub remaining: HeaderName,
    /// Says when there will be more, such as `x-ratelimit-reset`.
    pub reset: HeaderName,
    /// The unit of `reset`.
    pub unit: ResetUnit,
}

/// What the number in a reset header means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResetUnit {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// Seconds since 1970.
    Epoch,
}

/// One attempt at a request, for the request log. It holds no secret.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The request's step.
    pub step: Arc<str>,
    /// Counts from 1.
    pub number: u32,
    /// The method.
    pub method: Method,
    /// The URL; values of secret query keys and user names are replaced by `***`.
    pub url: String,
    /// What came of it: a status or why there is none.
    pub result: Result<StatusCode, Failure>,
    /// From the attempt's start to the reply's last byte or the failure.
    pub elapsed: Duration,
}

/// What came of a request, and what was tried.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The last attempt's outcome.
    pub outcome: Outcome,
    /// Every attempt in order; empty if the CRM had told this connection to wait and nothing was sent.
    pub attempts: Vec<Attempt>,
}
