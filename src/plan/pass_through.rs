//! What callers hand through to the CRM: query parameters, and parts of a body.

use serde_json::{Map, Value};

use super::Ground;
use crate::model::{Call, Operation, Request, Resource, Verb};

/// Adds the call's query parameters to a request.
pub fn query(call: &Call, request: &mut Request) {
    if !call.query.pass_through.is_empty() {
        request.url.query_pairs_mut().extend_pairs(call.query.pass_through.iter());
    }
}

/// Takes `pass_through` out of a body: the entries for this connector, whatever step they are for.
pub fn take(body: &mut Map<String, Value>, ground: &Ground) -> Vec<Value> {
    let Some(Value::Array(entries)) = body.remove("pass_through") else { return Vec::new() };
    let service = ground.connection.service.as_str();
    let ours =
        |entry: &Value| entry.get("service_id").and_then(Value::as_str).is_none_or(|named| named == service);
    entries.into_iter().filter(ours).collect()
}

/// The contract's `operationId` of a call, such as `contactsUpdate`.
pub fn operation_id(call: &Call) -> String {
    named(call.operation)
}

fn named(operation: Operation) -> String {
    format!("{}{}", camel(operation.resource.name()), capital(operation.verb.wire_name()))
}

/// Whether a text names an operation of the contract, as `contactsUpdate` or `contacts.update`.
pub fn is_operation(text: &str) -> bool {
    Resource::ALL
        .into_iter()
        .flat_map(|resource| Verb::ALL.map(|verb| Operation::new(resource, verb)))
        .any(|operation| text == named(operation) || text == operation.to_string())
}

/// Merges the entries into a downstream body.
///
/// # Errors
/// One sentence per path that leads nowhere.
pub fn extend(body: &mut Value, entries: &[Value]) -> Result<(), Vec<String>> {
    let mut faults = Vec::new();
    for entry in entries {
        match entry.get("extend_object") {
            Some(_) if body.is_array() => {
                faults.push("`extend_object` has no place in a body that is a list".to_owned());
            }
            Some(object) => merge(body, object),
            None => {}
        }
        for path in entry.get("extend_paths").and_then(Value::as_array).into_iter().flatten() {
            let text = path.get("path").and_then(Value::as_str).unwrap_or_default();
            let value = path.get("value").cloned().unwrap_or(Value::Null);
            if let Err(fault) = set(body, text, value) {
                faults.push(fault);
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Sets the value at a path such as `$.properties.colour`, `$['a b'].c` or `items[0].x`; objects on the way are made.
fn set(body: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let steps =
        steps(path).ok_or_else(|| format!("`{path}` is not a path such as `$.a.b` or `$['a b'][0]`"))?;
    let mut at = body;
    for step in steps {
        if at.is_null() {
            *at = match step {
                Step::Key(_) => Value::Object(Map::new()),
                Step::Index(_) => Value::Array(Vec::new()),
            };
        }
        if let (Step::Index(index), Value::Array(list)) = (&step, &mut *at)
            && *index == list.len()
        {
            list.push(Value::Null);
        }
        let below = match (step, at) {
            (Step::Key(key), Value::Object(object)) => Some(object.entry(key).or_insert(Value::Null)),
            (Step::Index(index), Value::Array(list)) => list.get_mut(index),
            _ => None,
        };
        at = below.ok_or_else(|| {
            format!("`{path}` leads through a value that is no object or list, or past a list's end")
        })?;
    }
    *at = value;
    Ok(())
}

enum Step {
    Key(String),
    Index(usize),
}

fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (inside, after) = after.split_once(']')?;
            let quoted = inside.strip_prefix(['\'', '"']).and_then(|inside| inside.strip_suffix(['\'', '"']));
            steps.push(match quoted {
                Some(key) => Step::Key(key.to_owned()),
                None => Step::Index(inside.parse().ok()?),
            });
            rest = after;
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            if key.is_empty() {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        }
    }
    (!steps.is_empty()).then_some(steps)
}

/// `custom-objects` as `customObjects`: the contract's operation ids.
fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &capital(word))
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_merge_and_paths_reach_deep() {
        let mut body = json!({"properties": {"a": 1, "list": [{"x": 1}]}});
        let entries = [json!({
            "service_id": "hubspot",
            "extend_object": {"properties": {"b": {"c": 2}}, "top": true},
            "extend_paths": [
                {"path": "$.properties.list[0].x", "value": 7},
                {"path": "$.new['odd key'][0].z", "value": null},
            ],
        })];
        assert_eq!(extend(&mut body, &entries), Ok(()));
        assert_eq!(
            body,
            json!({"properties": {"a": 1, "b": {"c": 2}, "list": [{"x": 7}]}, "top": true, "new": {"odd key": [{"z": null}]}})
        );
    }

    #[test]
    fn every_path_that_leads_nowhere_is_named() {
        let mut body = json!({"a": 1});
        let entries = [
            json!({"extend_paths": [{"path": "a.b", "value": 1}, {"path": "$[", "value": 1}, {"path": "", "value": 1}]}),
        ];
        assert_eq!(extend(&mut body, &entries).unwrap_err().len(), 3);
    }
}
