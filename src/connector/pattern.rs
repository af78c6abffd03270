//! Patterns: what several resources of one CRM have in common is said once.

use serde_json::Value;

use super::compile::PointedFault;

/// Fills every resource that has `like` into a copy of its pattern.
///
/// Returns a fault for every pattern that there is not.
pub fn apply(manifest: &mut Value) -> Vec<PointedFault> {
    let patterns = manifest.get("patterns").cloned().unwrap_or_default();
    let mut faults = Vec::new();
    let resources = manifest.get_mut("resources").and_then(Value::as_object_mut);
    for (name, resource) in resources.into_iter().flatten() {
        let Some(like) = resource.get("like").and_then(Value::as_str) else { continue };
        match patterns.get(like) {
            Some(pattern) => {
                let own = std::mem::replace(resource, pattern.clone());
                merge(resource, own);
            }
            None => faults.push((format!("/resources/{name}/like"), format!("there is no pattern `{like}`"))),
        }
    }
    faults
}

/// Objects merge key by key, lists of entries with a `name` by it; anything else is replaced. `null` takes away.
fn merge(into: &mut Value, own: Value) {
    match (into, own) {
        (Value::Object(into), Value::Object(own)) => {
            for (key, value) in own {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (Value::Array(into), Value::Array(own)) if own.iter().all(|entry| entry.get("name").is_some()) => {
            for entry in own {
                match into.iter_mut().find(|known| known.get("name") == entry.get("name")) {
                    Some(known) => merge(known, entry),
                    None => into.push(entry),
                }
            }
        }
        (into, own) => *into = own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_resource_fills_its_pattern() {
        let mut manifest = json!({
            "patterns": {"object": {"one": {"path": "/{object}"}, "list": [{"name": "a", "x": 1}, {"name": "b"}], "delete": {}}},
            "resources": {
                "contacts": {"like": "object", "object": "people", "list": [{"name": "b", "y": 2}], "delete": null},
                "users": {"like": "none"},
            },
        });
        let faults = apply(&mut manifest);
        assert_eq!(faults, [("/resources/users/like".to_owned(), "there is no pattern `none`".to_owned())]);
        assert_eq!(
            manifest["resources"]["contacts"],
            json!({"one": {"path": "/{object}"}, "list": [{"name": "a", "x": 1}, {"name": "b", "y": 2}], "like": "object", "object": "people"})
        );
    }
}
