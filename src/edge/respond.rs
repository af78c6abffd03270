//! Replies: the headers that each has, and the one log line of each request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::context::Origin;
use super::outgoing::{Held, Outgoing, Pieces};
use crate::error::{Error, Fault, Kind};
use crate::logs::Recorder;
use crate::model::trail::cut;
use crate::model::{
    Answer, AppId, Body, ConsumerId, End, LoggedCall, Operation, OperationId, ServiceId, Trail,
};
use crate::web;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const YAML: HeaderValue = HeaderValue::from_static("application/yaml; charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A reply before the headers that all have.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    content_type: Option<HeaderValue>,
    body: Body,
    headers: Vec<(HeaderName, HeaderValue)>,
    downstream: Duration,
    /// What a stream holds on to.
    held: Held,
}

impl Reply {
    fn new(status: StatusCode, content_type: Option<HeaderValue>, body: impl Into<Bytes>) -> Reply {
        Reply {
            status,
            content_type,
            body: Body::Whole(body.into()),
            headers: Vec::new(),
            downstream: Duration::ZERO,
            held: Held::default(),
        }
    }

    pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Reply {
        Reply::new(status, Some(JSON), body)
    }

    pub(super) fn yaml(body: &'static str) -> Reply {
        Reply::new(StatusCode::OK, Some(YAML), body)
    }

    pub(super) fn html(body: String) -> Reply {
        let mut reply = Reply::new(StatusCode::OK, Some(HTML), body);
        let policy =
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
        reply.headers.push((CONTENT_SECURITY_POLICY, policy));
        reply
    }

    /// 204 with `Allow`.
    pub(super) fn allow(methods: &str) -> Reply {
        let mut reply = Reply::new(StatusCode::NO_CONTENT, None, Bytes::new());
        reply.headers.extend(HeaderValue::from_str(methods).ok().map(|value| (http::header::ALLOW, value)));
        reply
    }

    pub(super) fn answer(answer: Answer, held: Held) -> Reply {
        // A page says itself what it is.
        let typed = answer.headers.iter().any(|(name, _)| *name == CONTENT_TYPE);
        let content_type = match &answer.body {
            Body::Whole(bytes) => (!bytes.is_empty() && !typed).then_some(JSON),
            Body::Stream(stream) => Some(stream.content_type.clone()),
        };
        Reply {
            status: answer.status,
            content_type,
            body: answer.body,
            headers: answer.headers,
            downstream: answer.downstream,
            held,
        }
    }

    /// An error; `docs_base` is where the pages of the catalogue are.
    pub(super) fn error(error: &Error, request_id: &str, docs_base: &str) -> Reply {
        let mut reply = Reply::json(error.http_status(), error.body(request_id, docs_base).to_string());
        for (name, value) in error.reply_headers() {
            let value = HeaderValue::from_str(&value).ok();
            reply.headers.extend(HeaderName::from_bytes(name.as_bytes()).ok().zip(value));
        }
        reply.downstream = error.downstream_time();
        reply
    }

    /// An error for a browser: to the page that is to be told of it, or else a page that tells.
    pub(super) fn refused(error: &Error, request_id: &str) -> Reply {
        let back = error.goes_back().and_then(|back| HeaderValue::from_str(back).ok());
        let mut reply = Reply::html(web::refusal_page(error, request_id));
        reply.status = error.http_status();
        if let Some(back) = back {
            reply = Reply::new(StatusCode::FOUND, None, Bytes::new());
            reply.headers.push((LOCATION, back));
        }
        // The address of the page may hold what is nobody else's business.
        reply.headers.push((REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
        reply.downstream = error.downstream_time();
        reply
    }

    /// The whole response, with its line logged; that of a stream is logged at its end.
    pub(super) fn finish(self, mut line: Line, way: Way) -> Response<Outgoing> {
        let mut response = Response::new(Outgoing::whole(Bytes::new()));
        *response.status_mut() = self.status;
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 8);
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if let Ok(id) = HeaderValue::from_str(&line.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        let gateway = line.started.elapsed().saturating_sub(self.downstream);
        let timing =
            format!("gateway;dur={:.2}, downstream;dur={:.2}", millis(gateway), millis(self.downstream));
        headers.extend(HeaderValue::from_str(&timing).ok().map(|timing| (SERVER_TIMING, timing)));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if way.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        match self.body {
            Body::Stream(stream) if !way.head_only => {
                let pieces = Pieces::new(stream, line, way.takes_trailers, self.held);
                *response.body_mut() = Outgoing::Pieces(Box::new(pieces));
            }
            body => {
                line.served(self.status, self.downstream);
                if let Some(bytes) = body.whole().filter(|_| way.head_only) {
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                } else if let Body::Whole(bytes) = body {
                    *response.body_mut() = Outgoing::whole(bytes);
                }
            }
        }
        *response.headers_mut() = headers;
        response
    }
}

/// How a reply is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// Whether an HTTP/1 caller is told to use another connection.
    pub(super) close: bool,
    /// Whether only the head is wanted.
    pub(super) head_only: bool,
    /// Whether the caller has said that it reads trailers.
    pub(super) takes_trailers: bool,
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The log line of one request, filled on its way through. Dropped unfinished, it says that the caller went away.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) started: Instant,
    pub(super) request_id: String,
    pub(super) method: http::Method,
    pub(super) path: String,
    pub(super) app: Option<AppId>,
    pub(super) consumer: Option<ConsumerId>,
    pub(super) service: Option<ServiceId>,
    pub(super) operation: Option<Asked>,
    /// Probes and pages are told at debug level.
    pub(super) quiet: bool,
    finished: bool,
    /// What the request log keeps of it.
    kept: Option<Kept>,
}

/// A call that is to be recorded.
#[derive(Debug)]
struct Kept {
    recorder: Arc<Recorder>,
    trail: Trail,
    api: &'static str,
    base_url: String,
    source: IpAddr,
    at_ms: i64,
}

/// A failure: the row of the catalogue, whose fault it is, what the caller was told.
type Told = (&'static str, &'static str, Option<String>);

/// The operation of a log line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Unified(Operation),
    Portal(OperationId),
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Asked::Unified(operation) => operation.fmt(f),
            Asked::Portal(operation) => operation.fmt(f),
        }
    }
}

macro_rules! told {
    ($level:ident, $line:expr, $status:expr, $downstream:expr, $($more:tt)*) => {
        tracing::$level!(
            request_id = $line.request_id,
            app = $line.app.as_ref().map(AppId::as_str),
            consumer = $line.consumer.as_ref().map(ConsumerId::as_str),
            service = $line.service.as_ref().map(ServiceId::as_str),
            operation = $line.operation.map(tracing::field::display),
            method = $line.method.as_str(),
            path = $line.path,
            status = $status,
            ms = tenths($line.started.elapsed()),
            downstream_ms = tenths($downstream),
            $($more)*
        )
    };
}

/// Milliseconds with one decimal.
fn tenths(time: Duration) -> f64 {
    (millis(time) * 10.0).round() / 10.0
}

impl Line {
    pub(super) fn new(request_id: String, method: http::Method, path: String) -> Line {
        Line {
            started: Instant::now(),
            request_id,
            method,
            path,
            app: None,
            consumer: None,
            service: None,
            operation: None,
            quiet: true,
            finished: false,
            kept: None,
        }
    }

    /// Has the call recorded, if its key proves to be the application's; what rooms on its way are to note it on.
    pub(super) fn keep(
        &mut self,
        recorder: Option<&Arc<Recorder>>,
        api: &'static str,
        origin: &Origin,
    ) -> Trail {
        let Some(recorder) = recorder else { return Trail::default() };
        let trail = Trail::kept();
        self.kept = Some(Kept {
            recorder: Arc::clone(recorder),
            trail: trail.clone(),
            api,
            base_url: origin.base.clone(),
            source: origin.remote,
            at_ms: jiff::Timestamp::now().as_millisecond(),
        });
        trail
    }

    fn record(&mut self, status: u16, downstream: Duration, failure: Option<Told>) {
        let Some(kept) = self.kept.take() else { return };
        let (noted, Some(app)) = (kept.trail.take(), &self.app) else { return };
        if !noted.admitted {
            return;
        }
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let (error, fault, message) = match failure {
            Some((error, fault, message)) => (Some(error.to_owned()), Some(fault.to_owned()), message),
            None => (None, None, None),
        };
        kept.recorder.record(LoggedCall {
            id: self.request_id.clone(),
            app: app.clone(),
            consumer: self.consumer.clone(),
            service: self.service.clone(),
            api: kept.api.to_owned(),
            operation: self.operation.map(|operation| operation.to_string()).unwrap_or_default(),
            method: self.method.to_string(),
            path: cut(&self.path),
            base_url: kept.base_url,
            status,
            error,
            fault,
            message: message.as_deref().map(cut),
            at_ms: kept.at_ms,
            total_us: micros(self.started.elapsed()),
            downstream_us: micros(downstream),
            source: Some(kept.source),
            requests: noted.requests,
            requests_sent: noted.requests_sent,
        });
    }

    /// Tells of a reply that is no failure, unless its failure has been told of.
    fn served(&mut self, status: StatusCode, downstream: Duration) {
        if self.finished {
            return;
        }
        self.finished = true;
        self.record(status.as_u16(), downstream, None);
        if self.quiet {
            told!(debug, self, status.as_u16(), downstream, "served");
        } else {
            told!(info, self, status.as_u16(), downstream, "served");
        }
    }

    /// Tells of a stream that has ended.
    pub(super) fn streamed(&mut self, end: &End) {
        self.finished = true;
        let (records, downstream) = (end.records, end.downstream);
        let early =
            end.early.as_ref().map(|early| (early.kind, early.fault, Some("It ended early.".to_owned())));
        self.record(200, downstream, early);
        match &end.early {
            None => told!(info, self, 200_u16, downstream, records, "served"),
            Some(early) => {
                let (error, fault, source) = (early.kind, early.fault, early.source.as_deref());
                told!(warn, self, 200_u16, downstream, records, error, fault, source, "ended early");
            }
        }
    }

    /// Tells of a stream that stopped without saying why: our fault.
    pub(super) fn broken_off(&mut self) {
        self.finished = true;
        self.record(200, Duration::ZERO, Some((Kind::InternalError.name(), Fault::Gateway.name(), None)));
        told!(error, self, 200_u16, Duration::ZERO, fault = Fault::Gateway.name(), "broken off");
    }

    /// Tells of a failure: an error if it is ours, a warning if it is the CRM's.
    pub(super) fn failed(&mut self, error: &Error) {
        self.finished = true;
        if let Some(service) = error.which_service() {
            self.service = Some(service.clone());
        }
        let (status, downstream) = (error.http_status().as_u16(), error.downstream_time());
        let (kind, fault) = (error.kind().name(), error.whose_fault());
        let source = error.log_source();
        self.record(status, downstream, Some((kind, fault.name(), Some(error.says().to_owned()))));
        match fault {
            Fault::Gateway => {
                told!(error, self, status, downstream, error = kind, fault = fault.name(), source, "failed");
            }
            Fault::Vendor => {
                told!(warn, self, status, downstream, error = kind, fault = fault.name(), source, "failed");
            }
            Fault::Caller | Fault::Connection => {
                told!(info, self, status, downstream, error = kind, fault = fault.name(), source, "failed");
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.finished {
            self.record(499, Duration::ZERO, None);
            told!(info, self, 499_u16, Duration::ZERO, "the caller went away");
        }
    }
}
