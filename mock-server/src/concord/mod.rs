//! Room: Concord CRM, a self-hosted CRM on Laravel. In: a request below `/concord`. Out: what an installation would
//! answer. Never: sockets, faults.
//!
//! Reading order: `errors`, `resource`, `custom`, `table`, `account`; then the endpoints: `list`, `check`, `records`.

pub mod account;
mod check;
pub mod custom;
pub mod errors;
mod generate;
mod list;
mod records;
pub mod resource;
pub mod table;

pub use account::Account;

use std::sync::RwLock;

use serde_json::{Value, json};

use crate::exchange::{Outcome, Reply, Request};
use crate::faults::glob;
use crate::oauth::Standing;
use crate::vendor::Vendor;
use crate::world::{RateLimit, World, write};

/// The limit that an installation announces: requests a minute.
const ANNOUNCED: RateLimit = RateLimit { max: 90, window_ms: 60_000 };

/// The account that a request's credentials name, whether they still hold or not.
pub fn account_of(request: &Request, world: &World) -> Option<String> {
    match world.standing(Vendor::Concord, request.bearer()?) {
        Standing::Account(account) | Standing::Expired { account, .. } => Some(account),
        Standing::Unknown => None,
    }
}

/// Answers a request.
pub fn answer(request: &Request, world: &World) -> Reply {
    // A request that names where it comes from is taken for a browser's, which must show a CSRF token.
    if request.header("origin").is_some() || request.header("referer").is_some() {
        return errors::csrf();
    }
    let wants_json = request.header("accept").is_some_and(|accept| accept.contains("json"));
    let standing = request.bearer().map(|token| world.standing(Vendor::Concord, token));
    let Some(Standing::Account(account)) = standing else {
        // Without `Accept: application/json` Laravel sends browsers to the login page.
        let login = format!("{}/login", world.vendor_url(Vendor::Concord));
        return if wants_json { errors::unauthenticated() } else { Reply::redirect(&login) };
    };
    let settings = world.settings(Vendor::Concord, &account);
    if settings.forbidden_paths.iter().any(|pattern| glob(pattern, &request.path)) {
        return errors::unauthorized();
    }
    let allowance = world.count(Vendor::Concord, &account, "all", settings.rate_limit, ANNOUNCED);
    let wait_s = (allowance.reset_ms.max(0) + 999) / 1000;
    let reply = if allowance.passes {
        route(request, &world.concord(&account), &world.vendor_url(Vendor::Concord))
            .unwrap_or_else(|reply| reply)
    } else {
        errors::rate_limited()
            .with("retry-after", wait_s.to_string())
            .with("x-ratelimit-reset", (crate::clock::now_ms() / 1000 + wait_s).to_string())
    };
    reply
        .with("x-ratelimit-limit", allowance.limit.max.to_string())
        .with("x-ratelimit-remaining", allowance.remaining.to_string())
}

fn route(request: &Request, account: &RwLock<Account>, base: &str) -> Outcome {
    let parts = request.parts();
    let ["api", rest @ ..] = parts.as_slice() else { return Err(errors::no_route(&request.path)) };
    let mut account = write(account);
    let account = &mut *account;
    match (request.method.as_str(), rest) {
        ("GET", ["custom-fields"]) => fields(request, account),
        ("GET", ["countries"]) => small(account, "countries"),
        ("GET", ["currencies"]) => {
            Ok(Reply::json(200, &json!({ "USD": { "name": "US Dollar", "iso_code": "USD" } })))
        }
        ("GET", ["timezones"]) => Ok(Reply::json(200, &["UTC", "Europe/Stockholm", "America/Toronto"])),
        (_, ["trashed", name, rest @ ..]) => {
            let resource = known(request, account, name)?;
            records::trash(request, account, resource, rest, base)
        }
        (_, ["associations", name, id]) => {
            let resource = known(request, account, name)?;
            records::associations(request, account, resource, id)
        }
        ("GET", [name]) => {
            let resource = known(request, account, name)?;
            list::all(request, account, resource, base, false)
        }
        ("POST", [name]) => {
            let resource = known(request, account, name)?;
            records::store(request, account, resource)
        }
        ("GET", [name, "search"]) => {
            let resource = known(request, account, name)?;
            list::search(request, account, resource)
        }
        ("GET", [name, id]) => {
            let resource = known(request, account, name)?;
            records::show(account, resource, id, false)
        }
        ("PUT", [name, id]) => {
            let resource = known(request, account, name)?;
            records::update(request, account, resource, id)
        }
        ("DELETE", [name, id]) => {
            let resource = known(request, account, name)?;
            records::destroy(account, resource, id)
        }
        ("GET", [name, id, other]) => {
            let resource = known(request, account, name)?;
            records::linked(request, account, resource, id, other, base)
        }
        (method, [name] | [name, _]) => {
            known(request, account, name)?;
            Err(errors::bad_method(method, &request.path))
        }
        _ => Err(errors::no_route(&request.path)),
    }
}

/// The resource of a path; its demo records are there afterwards.
fn known(request: &Request, account: &mut Account, name: &str) -> Result<&'static resource::Resource, Reply> {
    let resource = resource::of(name).ok_or_else(|| errors::no_route(&request.path))?;
    account.table(name);
    Ok(resource)
}

/// `GET /api/custom-fields`: the definitions of all resources, newest first, in pages.
fn fields(request: &Request, account: &Account) -> Outcome {
    let all: Vec<Value> = account.fields.iter().rev().map(custom::Field::wire).collect();
    let size = request.param("per_page").and_then(|text| text.parse().ok()).unwrap_or(15).clamp(1, 100);
    let page: usize = request.param("page").and_then(|text| text.parse().ok()).unwrap_or(1).max(1);
    let last = all.len().div_ceil(size).max(1);
    let data: Vec<&Value> = all.iter().skip((page - 1) * size).take(size).collect();
    Ok(Reply::json(
        200,
        &json!({
            "data": data,
            "meta": { "current_page": page, "last_page": last, "per_page": size, "total": all.len() },
        }),
    ))
}

fn small(account: &Account, table: &str) -> Outcome {
    let rows = account.tables.get(table).map(|table| table.records.values());
    let rows: Vec<Value> = rows
        .into_iter()
        .flatten()
        .map(|row| json!({ "id": row.id, "name": row.get("name"), "iso_3166_2": row.get("iso_3166_2") }))
        .collect();
    Ok(Reply::json(200, &rows))
}
