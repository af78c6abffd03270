//! TLDCRM's errors: one sentence under `error`, wrapped like every answer.

use serde_json::{Value, json};

use crate::exchange::Reply;

/// An error with its sentence.
pub fn says(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "response": { "error": text } }))
}

/// 400 without an API id.
pub fn no_id() -> Reply {
    says(400, "No API ID Provided")
}

/// 400 without an API key.
pub fn no_key() -> Reply {
    says(400, "No API Key Provided")
}

/// 401 for a pair that opens nothing.
pub fn bad_pair() -> Reply {
    says(401, "Invalid API ID or Key")
}

/// 403 for an endpoint that the key may not use.
pub fn not_allowed() -> Reply {
    says(403, "Endpoint Not Allowed")
}

/// 404 for a path that is no endpoint.
pub fn no_endpoint() -> Reply {
    says(404, "Endpoint Not Found")
}

/// 429.
pub fn rate_limited() -> Reply {
    says(429, "Too Many Requests")
}

/// 200 with an error inside: nothing was done.
pub fn warning(body: &Value) -> Reply {
    Reply::json(200, &json!({ "response": body }))
}

/// An error of a status that nothing in particular caused.
pub fn of_status(status: u16) -> Reply {
    match status {
        401 => bad_pair(),
        403 => not_allowed(),
        404 => no_endpoint(),
        429 => rate_limited(),
        500..=504 => Reply::html(status, "<html><body><h1>Bad Gateway</h1></body></html>"),
        _ => says(status, "Request Error"),
    }
}
