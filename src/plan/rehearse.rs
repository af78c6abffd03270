//! A dry run: what a write would send is kept and not sent. What it reads before is read; a request that writes, or reads
//! what is not there yet, is answered here as a CRM that is content would.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::Ground;
use crate::connector::compile::ResourcePlan;
use crate::error::Result;
use crate::model::{Call, Outcome, Reply, Request, Safety};

/// Stands for the id that the CRM gives a new record. It is made of letters that no URL encodes.
pub const NEW_ID: &str = "NEW-RECORD-ID";

/// A dry run under way.
#[derive(Debug, Default)]
pub struct Rehearsal {
    kept: Vec<Request>,
}

/// A batch of which some are sent: the others' outcomes are there already.
#[derive(Debug)]
pub struct Waiting(Vec<Option<Outcome>>);

impl Rehearsal {
    /// The requests of a batch that may be sent, and what becomes of the others.
    ///
    /// # Errors
    /// If the connector has no such resource.
    pub fn take(
        &mut self,
        batch: Vec<Request>,
        call: &Call,
        ground: &Ground,
    ) -> Result<(Vec<Request>, Waiting)> {
        let content = content(ground.resource(call)?);
        let mut sent = Vec::new();
        let mut outcomes = Vec::with_capacity(batch.len());
        for request in batch {
            let writes = request.safety != Safety::Read;
            if writes {
                self.kept.push(request);
            } else if needs_new_record(&request) {
                // Nothing is associated with a record that is not there yet.
            } else {
                sent.push(request);
                outcomes.push(None);
                continue;
            }
            outcomes.push(Some(Ok(Reply {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: if writes { content.clone() } else { Bytes::from_static(b"{}") },
                elapsed: Duration::ZERO,
            })));
        }
        Ok((sent, Waiting(outcomes)))
    }

    /// The requests that were not sent, in order; `show` says of one its URL and headers, without secrets, and its body.
    ///
    /// # Errors
    /// Those of `show`.
    pub fn shown(
        self,
        show: impl Fn(&Request) -> Result<(String, Vec<(String, String)>, Option<Value>)>,
    ) -> Result<Value> {
        let mut any_unknown = false;
        let mut requests = Vec::with_capacity(self.kept.len());
        for request in &self.kept {
            let (url, headers, body) = show(request)?;
            let headers: Map<String, Value> =
                headers.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
            let mut shown = json!({
                "operation_id": &*request.step,
                "method": request.method.as_str(),
                "url": url,
                "headers": headers,
            });
            if let (Some(shown), Some(body)) = (shown.as_object_mut(), body) {
                shown.insert("body".into(), body);
            }
            any_unknown |= needs_new_record(request);
            requests.push(shown);
        }
        let mut data = json!({ "dry_run": true, "requests": requests });
        if let (Some(data), true) = (data.as_object_mut(), any_unknown) {
            let placeholders = json!({ NEW_ID: "The id that the CRM gives the new record." });
            data.insert("placeholders".into(), placeholders);
        }
        Ok(data)
    }
}

impl Waiting {
    /// The whole batch's outcomes, with those of what was sent.
    pub fn with(self, sent: Vec<Outcome>) -> Vec<Outcome> {
        let mut sent = sent.into_iter();
        self.0.into_iter().filter_map(|outcome| outcome.or_else(|| sent.next())).collect()
    }
}

fn needs_new_record(request: &Request) -> bool {
    request.url.as_str().contains(NEW_ID)
        || request.body.as_ref().is_some_and(|body| memchr::memmem::find(body, NEW_ID.as_bytes()).is_some())
}

/// What a content CRM answers a write: the new record's id, where the resource's replies have it.
fn content(resource: &ResourcePlan) -> Bytes {
    let plans = std::iter::once(resource).chain(resource.sources.iter().map(|source| &source.plan));
    let mut reply = Map::new();
    for path in plans.filter_map(|plan| plan.create.as_ref()?.spec.id.as_deref()) {
        place(&mut reply, path);
    }
    // A `Value` always serialises.
    Bytes::from(serde_json::to_vec(&Value::Object(reply)).unwrap_or_default())
}

fn place(object: &mut Map<String, Value>, path: &str) {
    match path.split_once('.') {
        None => drop(object.insert(path.to_owned(), Value::from(NEW_ID))),
        Some((key, rest)) => {
            let below = object.entry(key.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(below) = below {
                place(below, rest);
            }
        }
    }
}
