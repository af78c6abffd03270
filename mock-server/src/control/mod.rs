//! Room: control. In: requests under `/__mock`. Out: faults set, the journal read, tokens made, records put in place.
//! Never: a vendor's wire shape.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::clock::now_ms;
use crate::exchange::{Outcome, Reply, Request};
use crate::faults::Fault;
use crate::journal::Filter;
use crate::vendor::Vendor;
use crate::world::{AccountSettings, World, lock, read, write};

/// Answers a request outside every vendor's prefix.
pub fn answer(request: &Request, world: &World) -> Reply {
    route(request, world).unwrap_or_else(|reply| reply)
}

#[derive(Debug, Deserialize)]
struct Place {
    vendor: Vendor,
    account: String,
}

#[derive(Debug, Deserialize)]
struct TokenOrder {
    vendor: Vendor,
    account: Option<String>,
    action: Option<String>,
    token: Option<String>,
    lifetime_s: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct SeedOrder {
    vendor: Vendor,
    account: String,
    object: String,
    count: usize,
}

#[derive(Debug, Deserialize)]
struct RecordOrder {
    vendor: Vendor,
    account: String,
    object: String,
    fields: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct ClientOrder {
    vendor: Vendor,
    id: String,
    secret: String,
}

fn body<T: serde::de::DeserializeOwned>(request: &Request) -> Result<T, Reply> {
    serde_json::from_slice(&request.body).map_err(|fault| bad(&fault.to_string()))
}

fn bad(says: &str) -> Reply {
    Reply::json(400, &json!({ "error": says }))
}

fn ok(body: &Value) -> Outcome {
    Ok(Reply::json(200, body))
}

fn route(request: &Request, world: &World) -> Outcome {
    let parts = request.parts();
    let ["__mock", below @ ..] = parts.as_slice() else {
        return Err(Reply::json(
            404,
            &json!({ "error": "paths begin with a vendor, such as /hubspot, or /__mock" }),
        ));
    };
    match (request.method.as_str(), below) {
        ("GET", ["health"]) => ok(&json!({ "ok": true })),
        ("GET", ["faults"]) => ok(&json!({ "faults": lock(&world.faults).all() })),
        ("POST", ["faults"]) => {
            let fault: Fault = body(request)?;
            lock(&world.faults).add(fault);
            ok(&json!({ "ok": true }))
        }
        ("DELETE", ["faults"]) => {
            lock(&world.faults).clear();
            ok(&json!({ "ok": true }))
        }
        ("GET", ["journal"]) => {
            let entries = lock(&world.journal).entries(&filter(request)?);
            ok(&json!({ "entries": entries }))
        }
        ("DELETE", ["journal"]) => {
            lock(&world.journal).clear();
            ok(&json!({ "ok": true }))
        }
        ("POST", ["release"]) => {
            world.released.send_modify(|times| *times += 1);
            ok(&json!({ "ok": true }))
        }
        ("POST", ["reset"]) => {
            world.reset();
            ok(&json!({ "ok": true }))
        }
        ("POST", ["tokens"]) => tokens(&body(request)?, world),
        ("POST", ["clients"]) => {
            let order: ClientOrder = body(request)?;
            write(&world.grants).add_client(order.vendor, &order.id, &order.secret);
            ok(&json!({ "ok": true }))
        }
        ("POST" | "PUT", ["settings"]) => {
            let place: Place = body(request)?;
            let settings: AccountSettings = body(request)?;
            world.set_settings(place.vendor, &place.account, settings);
            ok(&json!({ "ok": true }))
        }
        ("POST", ["seed"]) => {
            let order: SeedOrder = body(request)?;
            ok(&json!({
                "ids": seed_records(world, order.vendor, &order.account, &order.object, order.count)
            }))
        }
        ("POST", ["generate"]) => {
            let order: SeedOrder = body(request)?;
            let known = order.vendor == Vendor::Hubspot
                && write(&world.hubspot(&order.account)).compute(&order.object, order.count as u64);
            if known { ok(&json!({ "ok": true })) } else { Err(bad("only for objects of hubspot")) }
        }
        ("POST", ["records"]) => {
            let order: RecordOrder = body(request)?;
            match insert_record(world, order.vendor, &order.account, &order.object, &order.fields) {
                Some(id) => ok(&json!({ "id": id })),
                None => Err(bad("the vendor has no such object")),
            }
        }
        ("GET", ["stats"]) => {
            let vendor = request.param("vendor").and_then(|name| serde_json::from_value(json!(name)).ok());
            let account = request.param("account").unwrap_or("demo");
            let counts = vendor.map(|vendor| read(&world.grants).counts(vendor, account));
            ok(&json!({ "requests": lock(&world.journal).total(), "refreshes": counts }))
        }
        _ => Err(Reply::json(404, &json!({ "error": "no such control" }))),
    }
}

fn filter(request: &Request) -> Result<Filter, Reply> {
    let mut fields = Map::new();
    for (name, value) in &request.query {
        let value = match name.as_str() {
            "status" | "after" => json!(value.parse::<u64>().map_err(|fault| bad(&fault.to_string()))?),
            _ => json!(value),
        };
        fields.insert(name.clone(), value);
    }
    serde_json::from_value(Value::Object(fields)).map_err(|fault| bad(&fault.to_string()))
}

fn tokens(order: &TokenOrder, world: &World) -> Outcome {
    let account = order.account.as_deref().unwrap_or("demo");
    let mut grants = write(&world.grants);
    match order.action.as_deref().unwrap_or("mint") {
        "mint" => {
            let lifetime_s = order.lifetime_s.unwrap_or(order.vendor.token_lifetime_s());
            let tokens = grants.mint(order.vendor, account, lifetime_s, now_ms());
            Ok(Reply::json(200, &tokens))
        }
        "expire" => ok(&json!({ "expired": grants.expire_access(order.vendor, account, now_ms()) })),
        "revoke" => match order.token.as_deref() {
            Some(token) => ok(&json!({ "revoked": usize::from(grants.revoke(order.vendor, token)) })),
            None => ok(&json!({ "revoked": grants.revoke_account(order.vendor, account) })),
        },
        other => Err(bad(&format!("action {other:?}: mint, expire or revoke"))),
    }
}

/// Adds generated records to an account; answers their ids.
pub fn seed_records(world: &World, vendor: Vendor, account: &str, object: &str, count: usize) -> Vec<String> {
    match vendor {
        Vendor::Hubspot => write(&world.hubspot(account)).generate(object, count),
        Vendor::Pipedrive => write(&world.pipedrive(account)).generate(object, count),
        Vendor::Concord => write(&world.concord(account)).generate(object, count),
        Vendor::Tldcrm => write(&world.tldcrm(account)).generate(object, count),
    }
}

/// Adds one record with the given fields; answers its id.
pub fn insert_record(
    world: &World,
    vendor: Vendor,
    account: &str,
    object: &str,
    fields: &Map<String, Value>,
) -> Option<String> {
    match vendor {
        Vendor::Hubspot => write(&world.hubspot(account)).insert(object, fields),
        Vendor::Pipedrive => write(&world.pipedrive(account)).insert(object, fields),
        Vendor::Concord => write(&world.concord(account)).insert(object, fields),
        Vendor::Tldcrm => write(&world.tldcrm(account)).insert(object, fields),
    }
}
