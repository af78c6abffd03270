//! What a call is answered with.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use super::ServiceId;

/// A successful answer, ready to be sent.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The JSON body; empty only for 204.
    pub body: Bytes,
    /// Headers besides those that every reply has, such as `x-downstream-ratelimit-remaining`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Time spent waiting for the CRM.
    pub downstream: Duration,
    /// The connector that answered.
    pub service: Option<ServiceId>,
}

impl Answer {
    /// A JSON answer that took no time downstream.
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
        Answer { status, body: body.into(), headers: Vec::new(), downstream: Duration::ZERO, service: None }
    }
}
