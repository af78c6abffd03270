//! Room: HubSpot. In: a request below `/hubspot`. Out: what HubSpot would answer. Never: sockets, faults.
//!
//! Reading order: `errors`, `property`, `catalogue`, `records`, `links`, `account`; then the endpoints: `oauth`,
//! `objects`, `check`, `search`, `filter`, `batch`, `associations`, `owners`, `pipelines`, `properties`, `schemas`, `lists`.

pub mod account;
mod associations;
mod batch;
mod catalogue;
mod check;
pub mod errors;
mod filter;
mod generate;
pub mod links;
pub mod lists;
mod oauth;
mod objects;
mod owners;
mod paging;
pub mod pipelines;
mod properties;
pub mod property;
pub mod records;
mod schemas;
mod search;

pub use account::Account;

use crate::exchange::{Outcome, Reply, Request};
use crate::faults::glob;
use crate::oauth::Standing;
use crate::vendor::Vendor;
use crate::world::{Allowance, RateLimit, World};

/// What HubSpot announces for a private app of a paying portal.
const ANNOUNCED: RateLimit = RateLimit { max: 190, window_ms: 10_000 };

/// The account that a request's credentials name, whether they still hold or not.
pub fn account_of(request: &Request, world: &World) -> Option<String> {
    if request.path.starts_with("/oauth/") {
        let form = request.form();
        let token = form.iter().find(|(name, _)| name == "refresh_token").map(|(_, token)| token)?;
        return crate::world::write(&world.grants).refresh_account(Vendor::Hubspot, token);
    }
    match world.standing(Vendor::Hubspot, request.bearer()?) {
        Standing::Account(account) | Standing::Expired { account, .. } => Some(account),
        Standing::Unknown => None,
    }
}

/// Answers a request.
pub fn answer(request: &Request, world: &World) -> Reply {
    if request.segments.first().is_some_and(|first| first == "oauth") {
        return oauth::answer(request, world).unwrap_or_else(|reply| reply);
    }
    let account = match request.bearer().map(|token| world.standing(Vendor::Hubspot, token)) {
        Some(Standing::Account(account)) => account,
        Some(Standing::Expired { at_ms, .. }) => return errors::expired(at_ms),
        Some(Standing::Unknown) | None => return errors::unauthenticated(),
    };
    let settings = world.settings(Vendor::Hubspot, &account);
    if settings.forbidden_paths.iter().any(|pattern| glob(pattern, &request.path)) {
        return errors::missing_scopes();
    }
    if request.segments.last().is_some_and(|last| last == "search") {
        // Search has its own limit and answers without the headers.
        let announced = RateLimit { max: 5, window_ms: 1000 };
        let search = world.count(Vendor::Hubspot, &account, "search", settings.search_limit, announced);
        if !search.passes {
            return errors::rate_limited("SECONDLY");
        }
        return route(request, world, &account).unwrap_or_else(|reply| reply);
    }
    let allowance = world.count(Vendor::Hubspot, &account, "all", settings.rate_limit, ANNOUNCED);
    let reply = if allowance.passes {
        route(request, world, &account).unwrap_or_else(|reply| reply)
    } else {
        errors::rate_limited("TEN_SECONDLY_ROLLING")
    };
    with_limits(reply, allowance)
}

fn with_limits(reply: Reply, allowance: Allowance) -> Reply {
    reply
        .with("x-hubspot-ratelimit-daily", "650000".to_owned())
        .with("x-hubspot-ratelimit-daily-remaining", "649000".to_owned())
        .with("x-hubspot-ratelimit-interval-milliseconds", allowance.limit.window_ms.to_string())
        .with("x-hubspot-ratelimit-max", allowance.limit.max.to_string())
        .with("x-hubspot-ratelimit-remaining", allowance.remaining.to_string())
}

fn route(request: &Request, world: &World, name: &str) -> Outcome {
    let account = world.hubspot(name);
    let mut parts = request.parts();
    // The dated versions of the objects API answer as version 3 does: `/crm/objects/2026-03/…`.
    if let ["crm", "objects", version, ..] = parts.as_slice()
        && version.starts_with("20")
    {
        parts.splice(1..3, ["v3", "objects"]);
    }
    match parts.as_slice() {
        ["crm", "v3", "objects", object, "search"] => {
            let lag_ms = world.settings(Vendor::Hubspot, name).search_lag_ms;
            search::answer(request, &account, object, lag_ms)
        }
        ["crm", "v3", "objects", object, "batch", verb] => batch::answer(request, &account, object, verb),
        ["crm", "v3", "objects", object, rest @ ..] => objects::answer(request, &account, object, rest),
        ["crm", "v4", "objects", from, id, "associations", rest @ ..] => {
            associations::of_record(request, &account, from, id, rest)
        }
        ["crm", "v3" | "v4", "associations", from, to, "batch", verb @ ..] => {
            associations::batch(request, &account, from, to, verb)
        }
        ["crm", "v4", "associations", from, to, "labels"] => {
            associations::labels(request, &account, from, to)
        }
        ["crm", "v3", "owners", rest @ ..] => owners::answer(request, &crate::world::read(&account), rest),
        ["crm", "v3", "pipelines", object, rest @ ..] => pipelines::answer(request, &account, object, rest),
        ["crm", "v3", "properties", object, rest @ ..] => properties::answer(request, &account, object, rest),
        ["crm", "v3", "schemas", rest @ ..] | ["crm-object-schemas", "v3", "schemas", rest @ ..] => {
            schemas::answer(request, &account, rest)
        }
        ["crm", "v3", "lists", rest @ ..] => lists::answer(request, &account, rest),
        ["account-info", "v3", "details"] => {
            let portal_id = crate::world::read(&account).portal_id;
            Ok(Reply::json(
                200,
                &serde_json::json!({
                    "portalId": portal_id,
                    "accountType": "STANDARD",
                    "timeZone": "US/Eastern",
                    "companyCurrency": "USD",
                    "additionalCurrencies": ["EUR", "GBP", "JPY", "KWD"],
                    "utcOffset": "-05:00",
                    "utcOffsetMilliseconds": -18_000_000,
                    "uiDomain": "app.hubspot.com",
                    "dataHostingLocation": "na1",
                }),
            ))
        }
        _ => Err(errors::no_endpoint()),
    }
}

/// 400 for an object name that names nothing.
fn unknown_object(name: &str) -> Reply {
    errors::invalid(&format!("Unable to infer object type from: {name}"))
}
