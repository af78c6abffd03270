//! One request, from its arrival to its reply: read, identify, faults before, the vendor's room, faults after, journal.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::body::{Delivery, Dropped};
use crate::clock::now_ms;
use crate::exchange::{Reply, Request, segments};
use crate::faults::{self, Kind, Target, spoil};
use crate::journal::Kept;
use crate::vendor::Vendor;
use crate::world::{World, lock};
use crate::{concord, control, hubspot, pipedrive, tldcrm};

const BODY_LIMIT: usize = 32 << 20;
const URL_LIMIT: usize = 16 << 10;

/// Answers a request; an error closes the connection without a reply.
pub async fn handle(
    request: hyper::Request<Incoming>,
    world: &World,
) -> Result<hyper::Response<Delivery>, Dropped> {
    let at_ms = now_ms();
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else { return Err(Dropped) };
    let whole = parts.uri.path().to_owned();
    let mut request = Request {
        method: parts.method,
        segments: Vec::new(),
        query: url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes()).into_owned().collect(),
        raw_query: parts.uri.query().map(str::to_owned),
        path: whole.clone(),
        headers: parts.headers,
        body: body.to_bytes(),
    };
    let Some((vendor, below)) = Vendor::of_path(&whole) else {
        request.segments = segments(&whole);
        return Ok(respond(control::answer(&request, world)));
    };
    request.path = below.to_owned();
    request.segments = segments(below);
    let too_long = parts.uri.path_and_query().is_some_and(|url| url.as_str().len() > URL_LIMIT);

    let account = identify(vendor, &request, world);
    let met = lock(&world.faults).take(&Target {
        vendor,
        account: account.as_deref(),
        method: request.method.as_str(),
        path: &request.path,
        header: request.header(faults::HEADER),
    });
    for kind in &met {
        if let Kind::Latency { ms } = kind {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
        }
    }
    let fault = met.iter().find(|kind| !matches!(kind, Kind::Latency { .. }));
    if matches!(fault, Some(Kind::Hold { unprocessed: true })) {
        world.hold().await;
    }
    let reply = if too_long {
        Ok(Reply::html(414, "<html><body><h1>414 Request-URI Too Large</h1></body></html>"))
    } else {
        match fault {
            Some(fault) => match instead(fault, vendor) {
                Some(instead) => instead,
                None => afterwards(fault, dispatch(vendor, &request, world), &request),
            },
            None => Ok(dispatch(vendor, &request, world)),
        }
    };
    lock(&world.journal).add(Kept {
        vendor,
        account,
        method: request.method.as_str().to_owned(),
        path: request.path,
        query: request.raw_query,
        headers: request.headers,
        body: request.body,
        status: reply.as_ref().ok().map(|reply| reply.status.as_u16()),
        faults: met.iter().map(name).collect(),
        at_ms,
    });
    world.finished.notify_waiters();
    if matches!(fault, Some(Kind::Hold { unprocessed: false })) {
        world.hold().await;
    }
    let reply = reply?;
    Ok(match fault {
        Some(Kind::Truncate { keep }) => deliver(&reply, |body| Delivery::cut(body, *keep)),
        Some(Kind::Drip { chunk, every_ms }) => {
            deliver(&reply, |body| Delivery::drip(body, *chunk, *every_ms))
        }
        _ => respond(reply),
    })
}

/// The vendor's room for this request.
fn dispatch(vendor: Vendor, request: &Request, world: &World) -> Reply {
    match vendor {
        Vendor::Hubspot => hubspot::answer(request, world),
        Vendor::Pipedrive => pipedrive::answer(request, world),
        Vendor::Concord => concord::answer(request, world),
        Vendor::Tldcrm => tldcrm::answer(request, world),
    }
}

fn identify(vendor: Vendor, request: &Request, world: &World) -> Option<String> {
    match vendor {
        Vendor::Hubspot => hubspot::account_of(request, world),
        Vendor::Pipedrive => pipedrive::account_of(request, world),
        Vendor::Concord => concord::account_of(request, world),
        Vendor::Tldcrm => tldcrm::account_of(request, world),
    }
}

/// A vendor-shaped error that is not the answer to anything, for faults.
fn error(vendor: Vendor, status: u16) -> Reply {
    match vendor {
        Vendor::Hubspot => hubspot::errors::of_status(status),
        Vendor::Pipedrive => pipedrive::errors::of_status(status),
        Vendor::Concord => concord::errors::of_status(status),
        Vendor::Tldcrm => tldcrm::errors::of_status(status),
    }
}

/// The reply of a fault that keeps the request from being processed.
fn instead(fault: &Kind, vendor: Vendor) -> Option<Result<Reply, Dropped>> {
    let after = |reply: Reply, seconds: &Option<u64>| match seconds {
        Some(seconds) => reply.with("retry-after", seconds.to_string()),
        None => reply,
    };
    Some(match fault {
        Kind::RateLimited { retry_after_s } => Ok(after(error(vendor, 429), retry_after_s)),
        Kind::Status { status, body, retry_after_s } => {
            let mut reply = error(vendor, *status);
            if let Some(body) = body {
                reply.body = Bytes::from(body.clone());
            }
            Ok(after(reply, retry_after_s))
        }
        Kind::NotJson { status } => Ok(Reply::html(
            *status,
            "<!DOCTYPE html>\n<html><body><h1>Something went wrong</h1></body></html>",
        )),
        Kind::ExpiredToken => Ok(error(vendor, 401)),
        Kind::DropBefore => Err(Dropped),
        _ => return None,
    })
}

/// The reply of a processed request, spoiled.
fn afterwards(fault: &Kind, mut reply: Reply, request: &Request) -> Result<Reply, Dropped> {
    let spoiled = match fault {
        Kind::DropAfter => return Err(Dropped),
        Kind::BadRecord { at, shape } => spoil::bad_record(&reply.body, *at, *shape),
        Kind::BrokenJson => Some(reply.body.slice(..reply.body.len() / 2).to_vec()),
        Kind::StuckCursor => {
            let body = request.json().unwrap_or_default();
            let after = body.get("after").and_then(serde_json::Value::as_str);
            let cursor = request.param("after").or(request.param("cursor")).or(after);
            spoil::stuck_cursor(&reply.body, cursor.unwrap_or(""))
        }
        _ => None,
    };
    if let Some(spoiled) = spoiled {
        reply.body = Bytes::from(spoiled);
    }
    Ok(reply)
}

fn name(kind: &Kind) -> String {
    serde_json::to_value(kind)
        .ok()
        .and_then(|value| value.get("kind")?.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn respond(reply: Reply) -> hyper::Response<Delivery> {
    deliver(&reply, Delivery::whole)
}

fn deliver(reply: &Reply, delivery: impl FnOnce(Bytes) -> Delivery) -> hyper::Response<Delivery> {
    let mut response = hyper::Response::new(delivery(reply.body.clone()));
    *response.status_mut() = reply.status;
    for (name, value) in &reply.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}
