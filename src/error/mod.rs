//! Every failure is one row of the [`catalogue`](CATALOGUE): type, status, whose fault, whether to try again.
//!
//! `says` is for the caller, `source` for the log. The only place that knows statuses.

mod catalogue;

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::model::ServiceId;

pub use catalogue::{CATALOGUE, Fault, Kind, Row};

/// One failure of one call.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    status: StatusCode,
    fault: Fault,
    retriable: bool,
    says: String,
    detail: Value,
    downstream_errors: Vec<DownstreamError>,
    retry_after_ms: Option<u64>,
    headers: Vec<(&'static str, String)>,
    source: Option<String>,
    downstream: Duration,
    service: Option<ServiceId>,
    back: Option<String>,
}

/// One entry of `downstream_errors`: what the CRM itself said.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DownstreamError {
    /// The CRM's code.
    pub code: String,
    /// The CRM's message.
    pub message: String,
    /// Where or about what.
    pub detail: String,
}

/// A failure or a value.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of that catalogue row, with the sentence for the caller.
    pub fn new(kind: Kind, says: impl Into<String>) -> Error {
        let row = kind.row();
        Error(Box::new(Inner {
            kind,
            status: row.status,
            fault: row.fault,
            retriable: row.retriable,
            says: says.into(),
            detail: Value::Null,
            downstream_errors: Vec::new(),
            retry_after_ms: None,
            headers: Vec::new(),
            source: None,
            downstream: Duration::ZERO,
            service: None,
            back: None,
        }))
    }

    /// Our own fault: the caller sees only the request id, the log sees `source`.
    pub fn internal(source: impl fmt::Display) -> Error {
        Error::new(Kind::InternalError, "Something went wrong inside the gateway.").source(source)
    }

    /// Sets `detail`: a string or an object (an array is wrapped as `{"errors": […]}`, as SDKs take no array).
    pub fn detail(mut self, detail: impl Into<Value>) -> Error {
        self.0.detail = match detail.into() {
            Value::Array(errors) => json!({ "errors": errors }),
            other => other,
        };
        self
    }

    /// Adds a key to an object `detail`; a string `detail` moves to `detail.message` first.
    pub fn detail_entry(mut self, key: &str, value: impl Into<Value>) -> Error {
        let mut object = match std::mem::take(&mut self.0.detail) {
            Value::Object(object) => object,
            Value::Null => serde_json::Map::new(),
            other => serde_json::Map::from_iter([("message".to_owned(), other)]),
        };
        object.insert(key.to_owned(), value.into());
        self.0.detail = Value::Object(object);
        self
    }

    /// Replaces the row's status, where the catalogue lets the CRM's pass.
    pub fn status(mut self, status: StatusCode) -> Error {
        self.0.status = status;
        self
    }

    /// Replaces whose fault it is, where the row leaves it open.
    pub fn fault(mut self, fault: Fault) -> Error {
        self.0.fault = fault;
        self
    }

    /// Replaces whether the same call may succeed later.
    pub fn retriable(mut self, retriable: bool) -> Error {
        self.0.retriable = retriable;
        self
    }

    /// Says when to try again, in milliseconds; also sent as `Retry-After`.
    pub fn retry_after_ms(mut self, retry_after_ms: u64) -> Error {
        self.0.retry_after_ms = Some(retry_after_ms);
        self
    }

    /// Adds what the CRM itself said.
    pub fn downstream(mut self, errors: Vec<DownstreamError>) -> Error {
        self.0.downstream_errors = errors;
        self
    }

    /// Adds a reply header, such as `Allow`.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Error {
        self.0.headers.push((name, value.into()));
        self
    }

    /// Adds the cause, for the log only.
    pub fn source(mut self, source: impl fmt::Display) -> Error {
        self.0.source = Some(source.to_string());
        self
    }

    /// Says how long the CRM was waited for before the failure.
    pub fn downstream_took(mut self, time: Duration) -> Error {
        self.0.downstream = time;
        self
    }

    /// Says which connector the failure concerns, where the caller left the choice to us.
    pub fn service(mut self, service: ServiceId) -> Error {
        self.0.service = Some(service);
        self
    }

    /// How long the CRM was waited for.
    pub fn downstream_time(&self) -> Duration {
        self.0.downstream
    }

    /// The connector that the failure concerns.
    pub fn which_service(&self) -> Option<&ServiceId> {
        self.0.service.as_ref()
    }

    /// The catalogue row.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The status of the reply.
    pub fn http_status(&self) -> StatusCode {
        self.0.status
    }

    /// Whose fault it is.
    pub fn whose_fault(&self) -> Fault {
        self.0.fault
    }

    /// What the caller is told: one sentence.
    pub fn says(&self) -> &str {
        &self.0.says
    }

    /// The cause for the log.
    pub fn log_source(&self) -> Option<&str> {
        self.0.source.as_deref()
    }

    /// When to try again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after_ms.map(Duration::from_millis)
    }

    /// With the page that a browser is sent to instead of being shown the error; it is told of the error in its query.
    pub fn back(mut self, to: impl Into<String>) -> Error {
        self.0.back = Some(to.into());
        self
    }

    /// Where a browser is sent.
    pub fn goes_back(&self) -> Option<&str> {
        self.0.back.as_deref()
    }

    /// Headers that belong on the reply, `Retry-After` (whole seconds, rounded up) included.
    pub fn reply_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = self.0.headers.clone();
        if let Some(ms) = self.0.retry_after_ms {
            headers.push(("retry-after", ms.div_ceil(1000).to_string()));
        }
        headers
    }

    /// What the detail says of a write: `written` where it happened, `uncertain` where nobody knows.
    pub fn outcome(&self) -> Option<&str> {
        self.0.detail.get("outcome").and_then(Value::as_str)
    }

    /// The JSON body of the reply; `docs_base` is where the catalogue's pages are served.
    pub fn body(&self, request_id: &str, docs_base: &str) -> Value {
        let inner = &self.0;
        let name = inner.kind.name();
        let mut body = json!({
            "status_code": inner.status.as_u16(),
            "error": inner.status.canonical_reason().unwrap_or("Error"),
            "type_name": name,
            "message": inner.says,
            "detail": inner.detail,
            "ref": format!("{docs_base}/errors/{name}"),
            "request_id": request_id,
            "fault": inner.fault.name(),
            "retriable": inner.retriable,
        });
        if let Some(object) = body.as_object_mut() {
            if inner.detail.is_null() {
                object.insert("detail".into(), Value::String(inner.says.clone()));
            }
            if let Some(ms) = inner.retry_after_ms {
                object.insert("retry_after_ms".into(), ms.into());
            }
            if !inner.downstream_errors.is_empty() {
                object.insert("downstream_errors".into(), json!(inner.downstream_errors));
            }
        }
        body
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.name(), self.0.says)
    }
}

impl std::error::Error for Error {}
