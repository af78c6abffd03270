//! From a routed request to a checked call.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http_body::Body as _;
use hyper::body::Incoming;
use serde_json::{Map, Value};

use super::body;
use super::query::{self, Fault};
use super::route::Asked;
use crate::contract::Contract;
use crate::contract::body::Schema;
use crate::error::{Error, Result};
use crate::model::{Call, Operation};

/// A call whose query is not yet checked and whose body has not yet been read, so that who calls can be settled first.
#[derive(Debug)]
pub struct Arriving {
    pub(super) contract: Arc<Contract>,
    pub(super) asked: Asked,
    pub(super) posted_method: bool,
    pub(super) raw: bool,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) body_bytes: usize,
    pub(super) body_time: Duration,
}

impl Arriving {
    /// What is asked.
    pub fn operation(&self) -> Operation {
        self.asked.operation
    }

    /// The path as called.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The request's headers, such as an idempotency key.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Checks the query, reads the body and checks it against the contract.
    ///
    /// Errors: `RequestValidationError` with all faults of query and body, `UnsupportedMediaTypeError`,
    /// `PayloadTooLargeError`, `RequestTimeoutError`.
    pub async fn call(self) -> Result<Call> {
        let Arriving { contract, asked, headers, body, .. } = self;
        let rules = contract
            .rules(asked.operation)
            .ok_or_else(|| Error::internal(format!("{} has a route and no rules", asked.operation)))?;
        let mut faults = Vec::new();
        let mut query = query::read(&self.query, &rules.parameters, self.posted_method, &mut faults);
        query.raw |= self.raw;
        if rules.body.is_some() && !body.is_end_stream() {
            body::expect_json(&headers)?;
        }
        let bytes = body::collect(body, self.body_bytes, self.body_time).await?;
        let body = match &rules.body {
            Some(schema) => checked(&bytes, schema, &mut faults)?,
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
        Ok(Call {
            operation: asked.operation,
            id: asked.id,
            parent: asked.parent,
            query,
            body,
            path: self.path,
            raw_query: self.query,
        })
    }
}

fn checked(bytes: &[u8], schema: &Schema, faults: &mut Vec<Fault>) -> Result<Option<Map<String, Value>>> {
    if bytes.trim_ascii().is_empty() {
        faults.push(Fault::pointer("", "The body must be a JSON object; it is empty."));
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
