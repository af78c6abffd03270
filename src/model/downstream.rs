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
    /// Changes the CRM: sent again only when it surely did not arrive.
    Write,
}

/// A request to a CRM, not yet signed: it holds no secret.
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
