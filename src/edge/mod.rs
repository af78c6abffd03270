//! Rooms 1, 2 and 8, edge. In: sockets. Out: checked calls to a handler, replies to callers. Never: credentials beyond
//! the caller's key, CRMs, the database. The only place that names hyper.
//!
//! [`accept`] sockets, limits, drain · `tls` certificates · `activity` silent and idle peers · [`route`] one enum of all
//! endpoints · `context` headers · `query`, `accepted`, `body`, [`call`] the request against the contract · `respond` replies and
//! the log line · `outgoing` their bodies, whole or piece by piece.

pub mod accept;
mod accepted;
mod activity;
mod body;
pub mod call;
mod context;
mod outgoing;
mod query;
mod respond;
pub mod route;
mod tls;

use std::any::Any;
use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{ACCEPT, TE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

pub use accept::{Drained, Gate};
pub use call::{Arriving, PortalArriving};
pub use route::{Asked, Endpoint, PortalAsked};

use call::Received;
use context::{Entrance, Origin};
use outgoing::{Held, Outgoing};
use respond::{Line, Reply, Way};
use route::{Form, Routes};

use crate::config::Settings;
use crate::contract::{self, Contract, Needs};
use crate::error::{Error, Kind, Result};
use crate::logs::Recorder;
use crate::model::{Answer, Body, Context, Secret, Trail, Visitor};
use crate::{observe, web};

/// The id in a path that is a token: log lines show the contract's path instead.
const SECRET_ID: &str = "jwt";

/// What answers calls: any `async fn(Context, Secret, Arriving) -> Result<Answer>`, or a type of its own that serves the
/// Vault and Connector APIs too. It settles who calls, then reads the call with [`Arriving::call`], then answers it.
pub trait Handler: Send + Sync + 'static {
    /// Answers one unified call.
    fn answer(
        &self,
        context: Context,
        key: Secret,
        call: Arriving,
    ) -> impl Future<Output = Result<Answer>> + Send;

    /// Where calls are recorded; none where they are not.
    fn recorder(&self) -> Option<&Arc<Recorder>> {
        None
    }

    /// Answers one call of the Vault or Connector API. There is a key unless the operation is open to all.
    fn portal(
        &self,
        visitor: Visitor,
        key: Option<Secret>,
        call: PortalArriving,
    ) -> impl Future<Output = Result<Answer>> + Send {
        drop((visitor, key));
        let says = format!("The operation {} is not served yet.", call.operation());
        async move { Err(Error::new(Kind::ConnectorOperationMappingNotFoundError, says)) }
    }
}

impl<F, Fut> Handler for F
where
    F: Fn(Context, Secret, Arriving) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer>> + Send,
{
    fn answer(
        &self,
        context: Context,
        key: Secret,
        call: Arriving,
    ) -> impl Future<Output = Result<Answer>> + Send {
        self(context, key, call)
    }
}

/// Everything that replies need, shared by all connections.
#[derive(Debug)]
pub struct Server<H> {
    settings: Arc<Settings>,
    contract: Arc<Contract>,
    routes: Routes,
    entrance: Entrance,
    handler: H,
    calls: TaskTracker,
    places: Arc<Semaphore>,
    draining: AtomicBool,
}

impl<H: Handler> Server<H> {
    /// A server behind that gate.
    ///
    /// Errors: the contract's paths cannot be told apart.
    pub fn new(
        gate: &Gate,
        settings: Arc<Settings>,
        contract: Arc<Contract>,
        handler: H,
    ) -> std::result::Result<Arc<Server<H>>, contract::Error> {
        let entrance = Entrance {
            trusted_proxies: settings.trusted_proxies.clone(),
            public_url: settings.public_url.clone(),
            tls: gate.is_tls(),
            address: gate.address(),
        };
        Ok(Arc::new(Server {
            routes: Routes::new(&contract)?,
            places: Arc::new(Semaphore::new(settings.limits.calls)),
            entrance,
            settings,
            contract,
            handler,
            calls: TaskTracker::new(),
            draining: AtomicBool::new(false),
        }))
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn calls(&self) -> &TaskTracker {
        &self.calls
    }

    fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Replies to one request. What may write runs as a task of its own, so that it does not die with the caller's
    /// socket; a read is dropped with it.
    async fn respond(self: Arc<Self>, request: Request<Incoming>, peer: IpAddr) -> Response<Outgoing> {
        let calls = self.calls.clone();
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            let _counted = calls.token();
            return self.work(request, peer).await;
        }
        match calls.spawn(self.work(request, peer)).await {
            Ok(response) => response,
            // Only when the runtime itself is shut down.
            Err(_) => {
                let mut response = Response::new(Outgoing::whole(Bytes::new()));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }

    /// The outer function: owns the request id, the time, the log line, and turns errors and panics into replies.
    async fn work(self: Arc<Self>, request: Request<Incoming>, peer: IpAddr) -> Response<Outgoing> {
        let (head, body) = request.into_parts();
        let id = context::request_id(&head.headers);
        let mut line = Line::new(id, head.method.clone(), head.uri.path().to_owned());
        let origin = self.entrance.origin(peer, &head.headers, &head.uri);
        let docs_base = origin.base.clone();
        let (head_only, is_http1) = (head.method == Method::HEAD, head.version < Version::HTTP_2);
        let takes_trailers = takes_trailers(&head.headers);
        let outcome = AssertUnwindSafe(self.serve(&mut line, head, body, peer, origin)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|panic| Err(Error::internal(told(panic.as_ref()))));
        let reply = outcome.unwrap_or_else(|error| {
            line.failed(&error);
            Reply::error(&error, &line.request_id, &docs_base)
        });
        let close = is_http1 && self.is_draining();
        reply.finish(line, Way { close, head_only, takes_trailers })
    }

    async fn serve(
        &self,
        line: &mut Line,
        head: Parts,
        body: Incoming,
        peer: IpAddr,
        origin: Origin,
    ) -> Result<Reply> {
        self.measure(&head)?;
        let query = head.uri.query().unwrap_or_default();
        let method = route::meant_method(&head.method, query)?.into_owned();
        match self.routes.find(&method, head.uri.path())? {
            Endpoint::Health => Ok(self.health()),
            Endpoint::Options(methods) => Ok(Reply::allow(&methods)),
            Endpoint::OpenApi(api, Form::Json) => Ok(Reply::json(StatusCode::OK, self.contract.json(api))),
            Endpoint::OpenApi(api, Form::Yaml) => Ok(Reply::yaml(api.yaml())),
            Endpoint::ErrorPage(name) => error_page(&name, &head),
            Endpoint::Unified(asked) => {
                line.operation = Some(respond::Asked::Unified(asked.operation));
                self.open_for(line, &head, peer)?;
                self.unified(line, asked, self.received(&method, head, body), origin).await
            }
            Endpoint::Portal(asked) => {
                line.operation = Some(respond::Asked::Portal(asked.operation));
                if asked.ids.iter().any(|(name, _)| name == SECRET_ID)
                    && let Some(rules) = self.contract.portal_rules(asked.operation)
                {
                    line.path.clone_from(&rules.path);
                }
                self.open_for(line, &head, peer)?;
                self.portal(line, asked, self.received(&method, head, body), origin).await
            }
            Endpoint::Proxy => Err(Error::new(
                Kind::ConnectorOperationMappingNotFoundError,
                "Calls are not passed through to CRMs yet.",
            )),
        }
    }

    /// Whether the gateway takes calls, and over this transport.
    fn open_for(&self, line: &mut Line, head: &Parts, peer: IpAddr) -> Result<()> {
        line.quiet = false;
        if self.is_draining() {
            return Err(
                Error::new(Kind::ServiceUnavailableError, "The gateway is stopping.").retry_after_ms(1000)
            );
        }
        self.entrance.protected(peer, &head.headers)
    }

    fn received(&self, method: &Method, head: Parts, body: Incoming) -> Received {
        Received {
            contract: Arc::clone(&self.contract),
            posted_method: *method != head.method && head.method != Method::HEAD,
            method: method.clone(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body,
            body_bytes: self.settings.limits.body_bytes,
            body_time: self.settings.timeouts.body,
        }
    }

    /// A place among the calls at work.
    fn place(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Error::new(Kind::ServiceUnavailableError, "The gateway has too many calls at work.")
                .retry_after_ms(1000)
        })
    }

    async fn unified(
        &self,
        line: &mut Line,
        asked: Asked,
        received: Received,
        origin: Origin,
    ) -> Result<Reply> {
        let headers = context::read(&received.headers, Needs::ALL, asked.operation.verb.writes())?;
        let consumer = headers.consumer.ok_or_else(|| Error::internal("a call without its consumer"))?;
        line.app = Some(headers.app.clone());
        line.consumer = Some(consumer.clone());
        line.service = headers.service.clone();
        let trail = line.keep(self.handler.recorder(), "crm", &origin);
        let place = self.place()?;
        let context = Context {
            request_id: line.request_id.clone(),
            app: headers.app,
            consumer,
            service: headers.service,
            remote: origin.remote,
            public_base: origin.base,
            trace: observe::accept(&received.headers),
            idempotency_key: headers.idempotency_key,
            trail,
        };
        let arriving = Arriving { asked, raw: headers.raw, scan: headers.scan, received };
        let answer = self.handler.answer(context, headers.key, arriving).await?;
        if let Some(service) = &answer.service {
            line.service = Some(service.clone());
        }
        Ok(self.replied(answer, place))
    }

    /// The reply; one in pieces keeps its place until the last.
    fn replied(&self, answer: Answer, place: OwnedSemaphorePermit) -> Reply {
        let held = match &answer.body {
            Body::Whole(_) => Held::default(),
            Body::Stream(_) => {
                Held { place: Some(place), counted: Some(self.calls.token()), ..Held::default() }
            }
        };
        Reply::answer(answer, held)
    }

    async fn portal(
        &self,
        line: &mut Line,
        asked: PortalAsked,
        received: Received,
        origin: Origin,
    ) -> Result<Reply> {
        let rules = self.contract.portal_rules(asked.operation);
        let rules = rules.ok_or_else(|| Error::internal("a route without rules"))?;
        let needs = rules.needs;
        let mut visitor = Visitor {
            request_id: line.request_id.clone(),
            app: None,
            consumer: None,
            remote: origin.remote,
            public_base: origin.base.clone(),
            trail: Trail::default(),
            cookies: Vec::new(),
        };
        let mut html = false;
        let mut key = None;
        if needs.key {
            let headers = context::read(&received.headers, needs, false)?;
            line.app = Some(headers.app.clone());
            line.consumer = headers.consumer.clone();
            (visitor.app, visitor.consumer) = (Some(headers.app), headers.consumer);
            key = Some(headers.key);
            if rules.path.starts_with("/vault/") {
                visitor.trail = line.keep(self.handler.recorder(), "vault", &origin);
            }
        } else {
            visitor.cookies = context::cookies(&received.headers);
            let accept = received.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
            html = web::wants_html(accept);
        }
        let place = self.place()?;
        let answer = match self.handler.portal(visitor, key, PortalArriving { asked, received }).await {
            Err(error) if html => {
                line.failed(&error);
                return Ok(Reply::refused(&error, &line.request_id));
            }
            answer => answer?,
        };
        if let Some(service) = &answer.service {
            line.service = Some(service.clone());
        }
        Ok(self.replied(answer, place))
    }

    /// Refuses a request whose path, query and headers are too large together.
    fn measure(&self, head: &Parts) -> Result<()> {
        let limit = self.settings.limits.header_bytes;
        let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
        let headers: usize =
            head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if target + headers <= limit {
            return Ok(());
        }
        let says = format!("Path, query and headers together are larger than {limit} bytes.");
        let kind =
            if target > headers { Kind::RequestValidationError } else { Kind::RequestHeadersValidationError };
        Err(Error::new(kind, says).detail_entry("limit_bytes", limit))
    }

    fn health(&self) -> Reply {
        if self.is_draining() {
            Reply::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"stopping"}"#)
        } else {
            Reply::json(StatusCode::OK, r#"{"status":"ok"}"#)
        }
    }
}

fn error_page(name: &str, head: &Parts) -> Result<Reply> {
    let accept = head.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let reply = if web::wants_html(accept) {
        web::error_page(name).map(Reply::html)
    } else {
        web::error_json(name).map(|json| Reply::json(StatusCode::OK, json))
    };
    reply.ok_or_else(|| Error::new(Kind::EntityNotFoundError, "There is no error of that name."))
}

/// Whether the caller has said that it reads trailers: `TE: trailers`.
fn takes_trailers(headers: &HeaderMap) -> bool {
    let texts = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|word| word.trim().eq_ignore_ascii_case("trailers"))
}

fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a panic: {}", text.unwrap_or_else(|| "without a message".to_owned()))
}
