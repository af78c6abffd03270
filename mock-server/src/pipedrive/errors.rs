//! Pipedrive's error bodies.

use serde_json::{Value, json};

use crate::exchange::Reply;

const SEE: &str = "Please check developers.pipedrive.com to find more information about the Pipedrive API.";

/// An error of version 2: a sentence and a code.
pub fn coded(status: u16, code: &str, says: &str) -> Reply {
    Reply::json(status, &json!({ "success": false, "error": says, "code": code, "additional_data": null }))
}

/// An error of version 1.
pub fn plain(status: u16, says: &str, info: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "success": false, "error": says, "error_info": info, "data": null, "additional_data": null }),
    )
}

/// 400 of version 1.
pub fn bad(says: &str) -> Reply {
    plain(400, says, SEE)
}

/// 400 of version 2 for a request that does not fit its schema.
pub fn schema(says: &str) -> Reply {
    coded(400, "ERR_SCHEMA_VALIDATION_FAILED", &format!("Validation failed: {says}"))
}

/// 404 of version 2.
pub fn not_found(singular: &str) -> Reply {
    let mut name = singular.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    coded(404, "ERR_NOT_FOUND", &format!("{name} not found."))
}

/// 410 for a record that was deleted before.
pub fn gone(singular: &str) -> Reply {
    coded(410, "ERR_GONE", &format!("This {singular} was deleted already."))
}

/// 404 for a path that is no endpoint.
pub fn no_endpoint() -> Reply {
    Reply::json(404, &json!({ "success": false, "error": "Unknown method .", "error_info": SEE }))
}

/// 405 for an endpoint that lacks the verb.
pub fn bad_method() -> Reply {
    plain(405, "Method not allowed", SEE)
}

/// 401 without credentials that hold.
pub fn unauthenticated() -> Reply {
    Reply::json(
        401,
        &json!({ "success": false, "error": "unauthorized access", "errorCode": 401, "error_info": SEE }),
    )
}

/// 403 for a missing scope.
pub fn scope() -> Reply {
    Reply::json(
        403,
        &json!({ "success": false, "error": "Scope and URL mismatch", "errorCode": 403, "error_info": SEE }),
    )
}

/// 429.
pub fn rate_limited() -> Reply {
    Reply::json(
        429,
        &json!({ "success": false, "error": "request over limit", "errorCode": 429, "error_info": SEE }),
    )
}

/// An error of a status that nothing in particular caused.
pub fn of_status(status: u16) -> Reply {
    match status {
        400 => schema("the request was rejected"),
        401 => unauthenticated(),
        403 => scope(),
        404 => not_found("item"),
        410 => gone("item"),
        429 => rate_limited(),
        500 => coded(500, "ERR_UNKNOWN", "Internal Server Error"),
        502..=504 => {
            Reply::html(status, "<html><head><title>Bad gateway</title></head><body>cloudflare</body></html>")
        }
        _ => Reply::json(
            status,
            &json!({ "success": false, "error": "Error", "error_info": SEE, "data": Value::Null }),
        ),
    }
}
