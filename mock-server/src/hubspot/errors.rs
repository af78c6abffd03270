//! HubSpot's error bodies.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::clock::{iso_ms, now_ms};
use crate::exchange::Reply;
use crate::seed::Rng;

static COUNTER: AtomicU64 = AtomicU64::new(1);

/// A fresh correlation id.
pub fn correlation() -> String {
    Rng::new(now_ms().unsigned_abs(), "correlation", COUNTER.fetch_add(1, Ordering::Relaxed)).uuid()
}

/// An error of one category.
pub fn error(status: u16, category: &str, message: &str) -> Reply {
    detailed(status, category, message, &json!({}))
}

/// An error with more members (`errors`, `context`, `subCategory` …).
pub fn detailed(status: u16, category: &str, message: &str, more: &Value) -> Reply {
    let id = correlation();
    let mut body =
        json!({ "status": "error", "message": message, "correlationId": id, "category": category });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    Reply::json(status, &body).with("x-hubspot-correlation-id", id)
}

/// 400 for a request that does not hold.
pub fn invalid(message: &str) -> Reply {
    error(400, "VALIDATION_ERROR", message)
}

/// 400 for a body that is not JSON of the expected form.
pub fn bad_json(says: &str) -> Reply {
    invalid(&format!("Invalid input JSON: {says}"))
}

/// 404 for a record or definition that does not exist.
pub fn not_found(id: &str) -> Reply {
    let more = json!({ "context": { "id": [id] } });
    detailed(404, "OBJECT_NOT_FOUND", "resource not found", &more)
}

/// 404 for a path that is no endpoint.
pub fn no_endpoint() -> Reply {
    Reply::html(
        404,
        "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=utf-8\"/>\n<title>Error 404 Not Found</title>\n</head>\n<body><h2>HTTP ERROR 404</h2>\n</body>\n</html>\n",
    )
}

/// 405 for an endpoint that lacks the verb.
pub fn bad_method() -> Reply {
    error(405, "VALIDATION_ERROR", "HTTP 405 Method Not Allowed")
}

/// 401 without (known) credentials.
pub fn unauthenticated() -> Reply {
    error(
        401,
        "INVALID_AUTHENTICATION",
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
    )
}

/// 401 for an expired token.
pub fn expired(at_ms: i64) -> Reply {
    let ago_s = (now_ms() - at_ms) / 1000;
    let more = json!({ "context": { "expire time": [iso_ms(at_ms)] } });
    let message = format!("The OAuth token used to make this call expired {ago_s} second(s) ago.");
    detailed(401, "EXPIRED_AUTHENTICATION", &message, &more)
}

/// 403 for a missing scope.
pub fn missing_scopes() -> Reply {
    let more = json!({
        "errors": [{
            "message": "One or more of the following scopes are required.",
            "context": { "requiredGranularScopes": ["crm.objects.contacts.read"] }
        }],
        "links": { "scopes": "https://developers.hubspot.com/scopes" }
    });
    let message = "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: https://developers.hubspot.com/scopes.";
    detailed(403, "MISSING_SCOPES", message, &more)
}

/// 429 by one policy: `TEN_SECONDLY_ROLLING`, `SECONDLY` or `DAILY`.
pub fn rate_limited(policy: &str) -> Reply {
    let body = json!({
        "status": "error",
        "message": format!("You have reached your {} limit.", policy.to_lowercase()),
        "errorType": "RATE_LIMIT",
        "correlationId": correlation(),
        "policyName": policy,
        "groupName": "publicapi:private-apps-api-call-limits",
    });
    Reply::json(429, &body)
}

/// An error of a status that nothing in particular caused.
pub fn of_status(status: u16) -> Reply {
    match status {
        400 => invalid("The request was rejected."),
        401 => expired(now_ms() - 360_000),
        403 => missing_scopes(),
        404 => not_found("0"),
        409 => error(409, "CONFLICT", "The record conflicts with another one."),
        429 => rate_limited("TEN_SECONDLY_ROLLING"),
        423 => error(423, "LOCKED", "The resource is locked."),
        502 | 504 => Reply::html(status, "<html><head><title>Bad Gateway</title></head><body></body></html>"),
        503 => error(503, "SERVICE_UNAVAILABLE", "Service temporarily unavailable."),
        _ => Reply::json(
            status,
            &json!({ "status": "error", "message": "internal error", "correlationId": correlation() }),
        ),
    }
}
