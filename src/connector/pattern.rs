//! Patterns: what several resources of one CRM have in common is said once.

use std::collections::HashMap;

use serde_json::Value;

use super::compile::PointedFault;
use crate::mapping::document::escape;

/// Where the parts of a filled resource were written: the pointer in the filled manifest, and the one in the file.
pub type Origins = HashMap<String, String>;

/// Fills every resource that has `like` into a copy of its pattern.
///
/// Returns where every part of the filled resources comes from, and a fault for every pattern that there is not.
pub fn apply(manifest: &mut Value) -> (Origins, Vec<PointedFault>) {
    let patterns = manifest.get("patterns").cloned().unwrap_or_default();
    let mut origins = Origins::new();
    let mut faults = Vec::new();
    let resources = manifest.get_mut("resources").and_then(Value::as_object_mut);
    for (name, resource) in resources.into_iter().flatten() {
        let at = format!("/resources/{}", escape(name));
        fill(resource, &at, &patterns, &mut origins, &mut faults);
        let sources = resource.get_mut("sources").and_then(Value::as_array_mut);
        for (index, source) in sources.into_iter().flatten().enumerate() {
            if let Some(resource) = source.get_mut("resource") {
                let at = format!("{at}/sources/{index}/resource");
                fill(resource, &at, &patterns, &mut origins, &mut faults);
            }
        }
    }
    (origins, faults)
}

/// Fills one entry into a copy of its pattern, which may itself be like another one.
fn fill(
    entry: &mut Value,
    at: &str,
    patterns: &Value,
    origins: &mut Origins,
    faults: &mut Vec<PointedFault>,
) {
    let mut layers = vec![(at.to_owned(), entry.clone())];
    while let Some(like) = layers.last().and_then(|(_, layer)| layer.get("like")?.as_str().map(str::to_owned))
    {
        let from = format!("/patterns/{}", escape(&like));
        match patterns.get(&like) {
            Some(pattern) if !layers.iter().any(|(known, _)| *known == from) => {
                layers.push((from, pattern.clone()));
            }
            Some(_) => {
                faults.push((format!("{at}/like"), format!("the pattern `{like}` is like itself")));
                return;
            }
            None => {
                let at = layers.last().map_or(at, |(from, _)| from);
                faults.push((format!("{at}/like"), format!("there is no pattern `{like}`")));
                return;
            }
        }
    }
    // From the most general to the entry's own.
    let mut layers = layers.into_iter().rev();
    let Some((from, general)) = layers.next() else { return };
    if from != at {
        note(&general, at, &from, origins);
    }
    *entry = general;
    for (from, layer) in layers {
        merge(entry, layer, at, &from, origins);
    }
}

/// Objects merge key by key, lists of entries with a `name` by it; anything else is replaced. `null` takes away.
///
/// `at` is the value's pointer in the filled manifest, `from` the pointer of `own` in the file.
fn merge(into: &mut Value, own: Value, at: &str, from: &str, origins: &mut Origins) {
    match (into, own) {
        (Value::Object(into), Value::Object(own)) => {
            origins.insert(at.to_owned(), from.to_owned());
            for (key, value) in own {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    let below = format!("/{}", escape(&key));
                    let (at, from) = (format!("{at}{below}"), format!("{from}{below}"));
                    merge(into.entry(key).or_insert(Value::Null), value, &at, &from, origins);
                }
            }
        }
        (Value::Array(into), Value::Array(own)) if own.iter().all(|entry| entry.get("name").is_some()) => {
            origins.insert(at.to_owned(), from.to_owned());
            for (number, entry) in own.into_iter().enumerate() {
                let from = format!("{from}/{number}");
                let known = into.iter().position(|known| known.get("name") == entry.get("name"));
                let place = format!("{at}/{}", known.unwrap_or(into.len()));
                match known.and_then(|index| into.get_mut(index)) {
                    Some(known) => merge(known, entry, &place, &from, origins),
                    None => {
                        note(&entry, &place, &from, origins);
                        into.push(entry);
                    }
                }
            }
        }
        (into, own) => {
            note(&own, at, from, origins);
            *into = own;
        }
    }
}

/// Notes where a value and all its parts come from.
fn note(value: &Value, at: &str, from: &str, origins: &mut Origins) {
    origins.insert(at.to_owned(), from.to_owned());
    let mut below = |key: &str, value: &Value| {
        note(value, &format!("{at}/{key}"), &format!("{from}/{key}"), origins);
    };
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| below(&escape(key), value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_resource_fills_its_pattern() {
        let mut manifest = json!({
            "patterns": {
                "object": {"one": {"path": "/{object}"}, "list": [{"name": "a", "x": 1}, {"name": "b"}], "delete": {}},
                "more": {"like": "object", "one": {"more": 1}},
                "round": {"like": "round"},
            },
            "resources": {
                "deals": {"like": "more"},
                "leads": {"like": "round"},
                "activities": {"sources": [{"resource": {"like": "object", "delete": null}}]},
                "contacts": {"like": "object", "object": "people", "list": [{"name": "b", "y": 2}], "delete": null},
                "users": {"like": "none"},
            },
        });
        let (origins, faults) = apply(&mut manifest);
        assert_eq!(
            faults,
            [
                ("/resources/leads/like".to_owned(), "the pattern `round` is like itself".to_owned()),
                ("/resources/users/like".to_owned(), "there is no pattern `none`".to_owned()),
            ]
        );
        assert_eq!(manifest["resources"]["deals"]["one"], json!({"path": "/{object}", "more": 1}));
        let source = &manifest["resources"]["activities"]["sources"][0]["resource"];
        assert_eq!(source["one"]["path"], "/{object}");
        assert!(source.get("delete").is_none());
        assert_eq!(
            manifest["resources"]["contacts"],
            json!({"one": {"path": "/{object}"}, "list": [{"name": "a", "x": 1}, {"name": "b", "y": 2}], "like": "object", "object": "people"})
        );
        for (at, from) in [
            ("/resources/contacts", "/resources/contacts"),
            ("/resources/deals/one/path", "/patterns/object/one/path"),
            ("/resources/deals/one/more", "/patterns/more/one/more"),
            ("/resources/contacts/one/path", "/patterns/object/one/path"),
            ("/resources/contacts/list/0/x", "/patterns/object/list/0/x"),
            ("/resources/contacts/list/1/y", "/resources/contacts/list/0/y"),
        ] {
            assert_eq!(origins.get(at).map(String::as_str), Some(from));
        }
    }
}
