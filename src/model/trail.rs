//! What calls leave behind for the request log: noted on the way, kept as one record.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{AppId, Attempt, ConsumerId, ServiceId};

/// Requests to CRMs that one call's record holds; a stream may send more, of which only the number is kept.
const REQUESTS: usize = 100;

/// What rooms note of a call on its way. Clones note the same call; nothing is noted where no log is kept.
#[derive(Debug, Clone, Default)]
pub struct Trail(Option<Arc<Mutex<Noted>>>);

/// What was noted of a call.
#[derive(Debug, Default)]
pub struct Noted {
    /// Whether the key shown is the application's: nobody else may leave anything in its log.
    pub admitted: bool,
    /// Requests to the CRM, the first hundred.
    pub requests: Vec<LoggedRequest>,
    /// How many there were in all.
    pub requests_sent: u32,
}

impl Trail {
    /// A trail that notes.
    pub fn kept() -> Trail {
        Trail(Some(Arc::default()))
    }

    /// Notes that the key is the application's.
    pub fn admit(&self) {
        self.note(|noted| noted.admitted = true);
    }

    /// Notes requests to the CRM.
    pub fn sent(&self, attempts: &[Attempt]) {
        self.note(|noted| {
            let room = REQUESTS.saturating_sub(noted.requests.len());
            noted.requests.extend(attempts.iter().take(room).map(LoggedRequest::of));
            let more = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
            noted.requests_sent = noted.requests_sent.saturating_add(more);
        });
    }

    /// What was noted so far.
    pub fn take(&self) -> Noted {
        let noted = self.0.as_ref().map(|noted| noted.lock().unwrap_or_else(PoisonError::into_inner));
        noted.map(|mut noted| std::mem::take(&mut *noted)).unwrap_or_default()
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        if let Some(noted) = &self.0 {
            note(&mut noted.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// One call, as the request log keeps it. It holds no secret and no record.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedCall {
    /// The reply's `Request-Id`.
    pub id: String,
    /// The application.
    pub app: AppId,
    /// The consumer; none for calls that are about none.
    pub consumer: Option<ConsumerId>,
    /// The connector that was reached or named.
    pub service: Option<ServiceId>,
    /// Which API, in the log's words: `crm`, `vault` or `proxy`.
    pub api: String,
    /// The operation, such as `contacts.list` or `connectionsAll`.
    pub operation: String,
    /// The method.
    pub method: String,
    /// The path as called, without its query.
    pub path: String,
    /// Scheme and host as called.
    pub base_url: String,
    /// The status; 499 where the caller went away.
    pub status: u16,
    /// The row of the catalogue, for failures.
    pub error: Option<String>,
    /// Whose fault a failure is.
    pub fault: Option<String>,
    /// What the caller was told of a failure.
    pub message: Option<String>,
    /// When it came in, milliseconds since 1970.
    pub at_ms: i64,
    /// From its first byte to the end of the reply, in microseconds.
    pub total_us: i64,
    /// Of that, waiting for the CRM.
    pub downstream_us: i64,
    /// The caller's address.
    pub source: Option<IpAddr>,
    /// Requests to the CRM, the first hundred.
    pub requests: Vec<LoggedRequest>,
    /// How many there were in all.
    pub requests_sent: u32,
}

/// One attempt at a request to a CRM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// Which step of the operation.
    pub step: String,
    /// Counts attempts at the same request from 1.
    pub attempt: u32,
    /// The method.
    pub method: String,
    /// The URL without secrets.
    pub url: String,
    /// The CRM's status; none where no reply came.
    pub status: Option<u16>,
    /// Why no reply came.
    pub failure: Option<String>,
    /// How long it took, in microseconds.
    pub elapsed_us: i64,
}

/// The longest URL or sentence that is kept, in characters.
const LONGEST: usize = 2000;

/// A text cut to what a record holds.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => text.get(..at).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

impl LoggedRequest {
    fn of(attempt: &Attempt) -> LoggedRequest {
        LoggedRequest {
            step: attempt.step.to_string(),
            attempt: attempt.number,
            method: attempt.method.to_string(),
            url: cut(&attempt.url),
            status: attempt.result.as_ref().ok().map(http::StatusCode::as_u16),
            failure: attempt.result.as_ref().err().map(|failure| cut(&format!("{failure:?}"))),
            elapsed_us: i64::try_from(attempt.elapsed.as_micros()).unwrap_or(i64::MAX),
        }
    }
}
