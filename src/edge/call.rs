//! From a routed request to a checked call.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use http_body::Body as _;
use hyper::body::Incoming;
use serde_json::{Map, Value};

use super::accepted::accepted;
use super::body;
use super::query::{self, Fault, decode_path};
use super::route::{Asked, PortalAsked};
use crate::contract::body::Schema;
use crate::contract::{Contract, Rules};
use crate::error::{Error, Result};
use crate::model::{Call, Format, Operation, OperationId, PortalCall, Query};

/// A request whose query is not yet checked and whose body has not yet been read, so that who calls can be settled first.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) contract: Arc<Contract>,
    pub(super) method: Method,
    pub(super) posted_method: bool,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) body_bytes: usize,
    pub(super) body_time: Duration,
}

/// What the contract had nothing against.
struct Checked {
    query: Query,
    body: Option<Map<String, Value>>,
    path: String,
    raw_query: String,
}

/// A unified call, not yet checked.
#[derive(Debug)]
pub struct Arriving {
    pub(super) asked: Asked,
    pub(super) raw: bool,
    pub(super) scan: bool,
    pub(super) received: Received,
}

/// A call of the Vault or Connector API, not yet checked.
#[derive(Debug)]
pub struct PortalArriving {
    pub(super) asked: PortalAsked,
    pub(super) received: Received,
}

impl Arriving {
    /// What is asked.
    pub fn operation(&self) -> Operation {
        self.asked.operation
    }

    /// The method meant, and the path with its ids decoded.
    pub fn route(&self) -> (&Method, Cow<'_, str>) {
        self.received.route()
    }

    /// The request's headers, such as an idempotency key.
    pub fn headers(&self) -> &HeaderMap {
        &self.received.headers
    }

    /// Checks the query, reads the body and checks it against the contract.
    ///
    /// Errors: `RequestValidationError` with all faults of query and body, `UnsupportedMediaTypeError`,
    /// `PayloadTooLargeError`, `RequestTimeoutError`.
    pub async fn call(self) -> Result<Call> {
        let Arriving { asked, raw, scan, received } = self;
        let contract = Arc::clone(&received.contract);
        let rules = contract.rules(asked.operation).ok_or_else(|| unruled(asked.operation))?;
        let Checked { mut query, body, path, raw_query } = received.checked(rules, raw).await?;
        query.scan = scan;
        Ok(Call {
            operation: asked.operation,
            id: asked.id,
            parent: asked.parent,
            query,
            body,
            path,
            raw_query,
        })
    }
}

impl PortalArriving {
    /// What is asked.
    pub fn operation(&self) -> OperationId {
        self.asked.operation
    }

    /// The method meant, and the path with its ids decoded.
    pub fn route(&self) -> (&Method, Cow<'_, str>) {
        self.received.route()
    }

    /// The request's headers, such as the cookies of a page.
    pub fn headers(&self) -> &HeaderMap {
        &self.received.headers
    }

    /// Checks the query, reads the body and checks it against the contract.
    ///
    /// Errors: as [`Arriving::call`].
    pub async fn call(self) -> Result<PortalCall> {
        let PortalArriving { asked, received } = self;
        let contract = Arc::clone(&received.contract);
        let rules = contract.portal_rules(asked.operation).ok_or_else(|| unruled(asked.operation))?;
        let Checked { query, body, path, raw_query } = received.checked(rules, false).await?;
        Ok(PortalCall { operation: asked.operation, ids: asked.ids, query, body, path, raw_query })
    }
}

fn unruled(operation: impl std::fmt::Display) -> Error {
    Error::internal(format!("{operation} has a route and no rules"))
}

impl Received {
    /// The method meant, and the path with its ids decoded: what patterns of allowed endpoints are held against.
    fn route(&self) -> (&Method, Cow<'_, str>) {
        // Whatever was matched as it stands has no escapes, and no id holds a slash.
        let path = decode_path(&self.path).unwrap_or(Cow::Borrowed(&self.path));
        let method = if self.method == Method::HEAD { &Method::GET } else { &self.method };
        (method, path)
    }

    /// The request, held against its rules; `raw` tells that a header asks for the CRM's replies.
    async fn checked<O>(self, rules: &Rules<O>, raw: bool) -> Result<Checked> {
        let mut faults = Vec::new();
        let usual = if rules.parameters.format { accepted(&self.headers) } else { Format::Json };
        let mut query = query::read(&self.query, &rules.parameters, self.posted_method, usual, &mut faults);
        query.raw |= raw;
        if query.format != Format::Json {
            for (name, _) in
                [("raw", query.raw), ("explain", query.explain)].iter().filter(|(_, asked)| *asked)
            {
                faults.push(Fault::parameter(*name, "is for a page, not for a streamed list: ask for JSON"));
            }
        }
        if rules.body.is_some() && !self.body.is_end_stream() {
            body::expect_json(&self.headers)?;
        }
        let bytes = body::collect(self.body, self.body_bytes, self.body_time).await?;
        let body = match &rules.body {
            Some(schema) => checked(&bytes, schema, rules.needs_body, &mut faults)?,
            None => {
                // Some SDKs send an empty object with every request.
                if !matches!(bytes.trim_ascii(), b"" | b"{}") {
                    faults.push(Fault::pointer("", "This operation takes no body."));
                }
                None
            }
        };
        if !faults.is_empty() {
            return Err(query::refused(faults));
        }
        Ok(Checked { query, body, path: self.path, raw_query: self.query })
    }
}

fn checked(
    bytes: &[u8],
    schema: &Schema,
    needed: bool,
    faults: &mut Vec<Fault>,
) -> Result<Option<Map<String, Value>>> {
    if bytes.trim_ascii().is_empty() {
        if needed {
            faults.push(Fault::pointer("", "The body must be a JSON object; it is empty."));
        }
        return Ok(None);
    }
    let body = match body::object(bytes) {
        Ok(object) => Value::Object(object),
        Err(fault) => {
            faults.push(fault);
            return Ok(None);
        }
    };
    let found = schema.faults(&body).map_err(Error::internal)?;
    faults.extend(found.into_iter().map(|fault| Fault::pointer(fault.pointer, fault.message)));
    Ok(match body {
        Value::Object(object) => Some(object),
        _ => None,
    })
}
