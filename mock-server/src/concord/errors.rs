//! Concord's error bodies: those of the Laravel framework.

use serde_json::{Map, Value, json};

use crate::exchange::Reply;

fn message(status: u16, says: &str) -> Reply {
    Reply::json(status, &json!({ "message": says }))
}

/// 401 without a token that holds.
pub fn unauthenticated() -> Reply {
    message(401, "Unauthenticated.")
}

/// 403 for what the token's user may not do.
pub fn unauthorized() -> Reply {
    message(403, "This action is unauthorized.")
}

/// 404 for a record that is not there.
pub fn no_record(model: &str, id: &str) -> Reply {
    message(404, &format!("No query results for model [{model}] {id}"))
}

/// 404 for a path that is no route.
pub fn no_route(path: &str) -> Reply {
    message(404, &format!("The route {} could not be found.", path.trim_start_matches('/')))
}

/// 405 for a route that lacks the verb.
pub fn bad_method(method: &str, path: &str) -> Reply {
    let path = path.trim_start_matches('/');
    message(405, &format!("The {method} method is not supported for route {path}."))
}

/// 409 for a record that others depend on.
pub fn in_use(says: &str) -> Reply {
    message(409, says)
}

/// 419 for a request that names where it comes from, as browsers do.
pub fn csrf() -> Reply {
    message(419, "CSRF token mismatch.")
}

/// 422 with the faults of each member; the sentence is the first of them and how many more there are.
pub fn invalid(faults: &[(String, String)]) -> Reply {
    let first = faults.first().map_or("The given data was invalid.", |(_, says)| says.as_str());
    let says = match faults.len() {
        0 | 1 => first.to_owned(),
        2 => format!("{first} (and 1 more error)"),
        more => format!("{first} (and {} more errors)", more - 1),
    };
    let mut errors = Map::new();
    for (member, says) in faults {
        if let Some(list) = errors.entry(member.clone()).or_insert_with(|| json!([])).as_array_mut() {
            list.push(Value::String(says.clone()));
        }
    }
    Reply::json(422, &json!({ "message": says, "errors": errors }))
}

/// 429.
pub fn rate_limited() -> Reply {
    message(429, "Too Many Attempts.")
}

/// An error of a status that nothing in particular caused.
pub fn of_status(status: u16) -> Reply {
    match status {
        401 => unauthenticated(),
        403 => unauthorized(),
        404 => no_record("Modules\\Contacts\\Models\\Contact", "0"),
        419 => csrf(),
        422 => invalid(&[("name".to_owned(), "The name field is required.".to_owned())]),
        429 => rate_limited(),
        502..=504 => {
            Reply::html(status, "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>")
        }
        _ => message(status, "Server Error"),
    }
}
