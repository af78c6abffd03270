//! What a connection makes of a call: fields that are not granted leave it, the customer's defaults fill it.

use serde_json::Value;

use super::Resolved;
use crate::error::Result;
use crate::model::{Call, Verb, Warning};

/// Holds a call to what is granted; the warning says what is left out. Costs nothing where all is.
///
/// Errors: `ForbiddenError`.
pub fn limit(resolved: &Resolved, call: &mut Call) -> Result<Vec<Warning>> {
    match &resolved.limits {
        None => Ok(Vec::new()),
        Some(limits) => Ok(limits.narrow(call)?.into_iter().collect()),
    }
}

/// Fills a create with the connection's defaults; the warning says what was filled.
pub fn fill(resolved: &Resolved, call: &mut Call) -> Option<Warning> {
    if call.operation.verb != Verb::Create || resolved.defaults.is_empty() {
        return None;
    }
    let defaults = resolved.defaults.get(call.operation.resource.name())?;
    let body = call.body.as_mut()?;
    let mut filled = Vec::new();
    for default in defaults {
        let id = default.get("id").and_then(Value::as_str)?;
        // A null was said by the caller; only what was not said is filled.
        if !body.contains_key(id) {
            body.insert(id.to_owned(), default.get("value")?.clone());
            filled.push(id);
        }
    }
    let says = format!("Filled from the connection's defaults: {}.", filled.join(", "));
    (!filled.is_empty()).then(|| Warning::new("DefaultsWarning", says))
}
