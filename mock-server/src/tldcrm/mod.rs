//! Room: TLDCRM. In: a request below `/tldcrm`. Out: what an account's subdomain would answer. Never: sockets, faults.
//!
//! Reading order: `errors`, `params`, `table`, `account`; then `egress` (reads) and `ingress` (writes).

pub mod account;
mod egress;
pub mod errors;
mod ingress;
mod params;
pub mod table;

pub use account::Account;

use crate::exchange::{Outcome, Reply, Request};
use crate::faults::glob;
use crate::oauth::Standing;
use crate::vendor::Vendor;
use crate::world::{RateLimit, World, write};
use params::Params;

/// TLDCRM announces no limit; what an account enforces is not told in headers.
const ANNOUNCED: RateLimit = RateLimit { max: 1_000_000, window_ms: 1000 };

/// The API id and the API key, from headers or parameters.
fn pair(request: &Request, params: &Params) -> (Option<String>, Option<String>) {
    let header = |name: &str| request.header(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let id = header("tld-api-id").or_else(|| params.text("api_id")).or_else(|| params.text("api"));
    let key = header("tld-api-key").or_else(|| params.text("api_key")).or_else(|| params.text("apikey"));
    (id, key)
}

/// The account that a request's credentials name, whether they still hold or not.
pub fn account_of(request: &Request, world: &World) -> Option<String> {
    match world.standing(Vendor::Tldcrm, &pair(request, &Params::of(request)).1?) {
        Standing::Account(account) | Standing::Expired { account, .. } => Some(account),
        Standing::Unknown => None,
    }
}

/// Answers a request.
pub fn answer(request: &Request, world: &World) -> Reply {
    let params = Params::of(request);
    let (id, key) = pair(request, &params);
    let Some(id) = id else { return errors::no_id() };
    let Some(key) = key else { return errors::no_key() };
    let standing = world.standing(Vendor::Tldcrm, &key);
    let Standing::Account(account) = standing else { return errors::bad_pair() };
    if id.parse::<u64>().is_err() {
        return errors::bad_pair();
    }
    let settings = world.settings(Vendor::Tldcrm, &account);
    if settings.forbidden_paths.iter().any(|pattern| glob(pattern, &request.path)) {
        return errors::not_allowed();
    }
    if !world.count(Vendor::Tldcrm, &account, "all", settings.rate_limit, ANNOUNCED).passes {
        return errors::rate_limited();
    }
    route(request, &params, world, &account).unwrap_or_else(|reply| reply)
}

fn route(request: &Request, params: &Params, world: &World, account: &str) -> Outcome {
    let account = world.tldcrm(account);
    let mut account = write(&account);
    account.load();
    let parts = request.parts();
    match parts.as_slice() {
        ["api", "egress", rest @ ..] => {
            if !matches!(request.method.as_str(), "GET" | "POST") {
                return Err(errors::says(405, "Method Not Allowed"));
            }
            match table::of(&rest.join("/")) {
                Some(schema) => {
                    egress::rows(request, params, &account, schema, &world.vendor_url(Vendor::Tldcrm))
                }
                None => egress::docs(rest),
            }
        }
        ["api", "ingress", rest @ ..] => ingress::answer(request, params, &mut account, rest),
        _ => Err(errors::no_endpoint()),
    }
}
