//! Room: Pipedrive. In: a request below `/pipedrive`. Out: what Pipedrive would answer. Never: sockets, faults.
//!
//! Reading order: `errors`, `field`, `entity`, `table`, `account`; then the endpoints: `oauth`, `records`,
//! `list`, `check` and `search` (v2), `fields` (v2), `leads`, `notes` and `small` (v1).

pub mod account;
mod check;
pub mod entity;
pub mod errors;
pub mod field;
mod fields;
mod generate;
mod leads;
mod list;
mod notes;
mod oauth;
mod paging;
mod records;
mod search;
mod small;
pub mod table;

pub use account::Account;
pub use field::key as custom_field_key;

use std::sync::RwLock;

use crate::exchange::{Outcome, Reply, Request};
use crate::faults::glob;
use crate::oauth::Standing;
use crate::vendor::Vendor;
use crate::world::{RateLimit, World, write};

/// The burst limit that Pipedrive announces.
const ANNOUNCED: RateLimit = RateLimit { max: 80, window_ms: 2000 };

fn token(request: &Request) -> Option<&str> {
    request.header("x-api-token").or_else(|| request.bearer()).or_else(|| request.param("api_token"))
}

/// The account that a request's credentials name, whether they still hold or not.
pub fn account_of(request: &Request, world: &World) -> Option<String> {
    if request.path.starts_with("/oauth/") {
        let form = request.form();
        let token = form.iter().find(|(name, _)| name == "refresh_token").map(|(_, token)| token)?;
        return write(&world.grants).refresh_account(Vendor::Pipedrive, token);
    }
    match world.standing(Vendor::Pipedrive, token(request)?) {
        Standing::Account(account) | Standing::Expired { account, .. } => Some(account),
        Standing::Unknown => None,
    }
}

/// Answers a request.
pub fn answer(request: &Request, world: &World) -> Reply {
    if request.segments.first().is_some_and(|first| first == "oauth") {
        return oauth::answer(request, world).unwrap_or_else(|reply| reply);
    }
    let standing = token(request).map(|token| world.standing(Vendor::Pipedrive, token));
    let Some(Standing::Account(account)) = standing else { return errors::unauthenticated() };
    let settings = world.settings(Vendor::Pipedrive, &account);
    if settings.forbidden_paths.iter().any(|pattern| glob(pattern, &request.path)) {
        return errors::scope();
    }
    let allowance = world.count(Vendor::Pipedrive, &account, "all", settings.rate_limit, ANNOUNCED);
    let reply = if allowance.passes {
        route(request, &world.pipedrive(&account)).unwrap_or_else(|reply| reply)
    } else {
        errors::rate_limited()
    };
    let reset_s = (allowance.reset_ms.max(0) + 999) / 1000;
    reply
        .with("x-ratelimit-limit", allowance.limit.max.to_string())
        .with("x-ratelimit-remaining", allowance.remaining.to_string())
        .with("x-ratelimit-reset", reset_s.to_string())
        .with("x-daily-requests-left", "29000".to_owned())
}

fn route(request: &Request, account: &RwLock<Account>) -> Outcome {
    let parts = request.parts();
    match parts.as_slice() {
        ["api", "v2", "itemSearch"] => search::items(request, account),
        ["api", "v2", entity, "search"] => search::answer(request, account, entity),
        [
            "api",
            "v2",
            name
            @ ("personFields" | "organizationFields" | "dealFields" | "productFields" | "activityFields"),
            rest @ ..,
        ] => fields::answer(request, account, name, rest),
        ["api", "v2", entity, rest @ ..] => records::answer(request, account, entity, rest),
        ["api", "v1", rest @ ..] | ["v1", rest @ ..] => version_1(request, account, rest),
        _ => Err(errors::no_endpoint()),
    }
}

fn version_1(request: &Request, account: &RwLock<Account>, rest: &[&str]) -> Outcome {
    match rest {
        ["leads", rest @ ..] => leads::answer(request, account, rest),
        ["notes", rest @ ..] => notes::answer(request, account, rest),
        ["users", rest @ ..] => small::users(request, account, rest),
        ["filters", rest @ ..] => small::filters(request, account, rest),
        ["webhooks", rest @ ..] => small::webhooks(request, account, rest),
        ["currencies"] => small::currencies(request),
        ["activityTypes"] => small::activity_types(request),
        ["leadLabels"] => small::lead_labels(request),
        ["leadSources"] => small::lead_sources(request),
        _ => Err(errors::no_endpoint()),
    }
}
