//! `_raw`: the downstream replies as they came, for callers who ask to see them.

use serde_json::{Map, Value, json};

use crate::model::Outcome;

/// Keys whose values are never shown, wherever they stand.
const SECRET_KEYS: [&str; 9] = [
    "access_token",
    "refresh_token",
    "client_secret",
    "api_token",
    "api_key",
    "apikey",
    "password",
    "authorization",
    "secret",
];

/// The replies of one call.
#[derive(Debug, Default)]
pub struct Replies {
    bodies: Vec<Value>,
}

impl Replies {
    /// Keeps the bodies of a batch.
    pub fn keep(&mut self, outcomes: &[Outcome]) {
        self.bodies.extend(
            outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).map(|reply| body(&reply.body)),
        );
    }

    /// One reply as its body, several in the order sent under `replies`; always an object.
    pub fn into_value(self) -> Value {
        joined(self.bodies)
    }
}

/// One reply as it is, several in their order under `replies`; always an object.
pub fn joined(mut bodies: Vec<Value>) -> Value {
    match bodies.pop() {
        Some(body @ Value::Object(_)) if bodies.is_empty() => body,
        Some(body) if bodies.is_empty() => json!({ "data": body }),
        Some(body) => {
            bodies.push(body);
            json!({ "replies": bodies })
        }
        None => Value::Object(Map::new()),
    }
}

/// A body as JSON, secrets blotted out; text where it is no JSON.
pub fn body(bytes: &[u8]) -> Value {
    match serde_json::from_slice(bytes) {
        Ok(mut value) => {
            redact(&mut value);
            value
        }
        Err(_) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// Whether what stands under a key is never shown.
pub fn is_secret(key: &str) -> bool {
    SECRET_KEYS.iter().any(|secret| secret.eq_ignore_ascii_case(key))
}

/// Blots out the values of secret keys.
pub fn redact(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if is_secret(key) && !value.is_null() {
                    *value = Value::String("***".to_owned());
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out_at_any_depth() {
        let value = body(br#"{"a": [{"Access_Token": "x", "b": 1}], "password": null}"#);
        assert_eq!(value, json!({"a": [{"Access_Token": "***", "b": 1}], "password": null}));
    }

    #[test]
    fn raw_is_always_an_object() {
        assert_eq!(Replies::default().into_value(), json!({}));
        assert_eq!(Replies { bodies: vec![json!([1])] }.into_value(), json!({"data": [1]}));
        assert_eq!(
            Replies { bodies: vec![json!({"a": 1}), json!(2)] }.into_value(),
            json!({"replies": [{"a": 1}, 2]})
        );
    }
}
