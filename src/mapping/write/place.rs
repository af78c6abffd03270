//! Setting a value in a body at a path, making what is on the way.

use serde_json::{Map, Value};

use super::super::codec::number_text;
use super::super::path::Step;

/// Sets a value in a body, making what is on the way.
pub(super) fn set(map: &mut Map<String, Value>, steps: &[Step], value: Value) {
    let Some((Step::Key(key), rest)) = steps.split_first() else { return };
    if rest.is_empty() {
        map.insert(key.clone(), value);
        return;
    }
    let entry = map.entry(key.clone()).or_insert(Value::Null);
    set_in(entry, rest, value);
}

fn set_in(at: &mut Value, steps: &[Step], value: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *at = value;
        return;
    };
    match step {
        Step::Key(key) => {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            if let Some(map) = at.as_object_mut() {
                set_in(map.entry(key.clone()).or_insert(Value::Null), rest, value);
            }
        }
        Step::Index(index) => {
            if let Some(items) = list_of(at) {
                // Positions are written from the front; there are no holes.
                let index = (*index).min(items.len());
                if index == items.len() {
                    items.push(Value::Null);
                }
                if let Some(item) = items.get_mut(index) {
                    set_in(item, rest, value);
                }
            }
        }
        Step::Choice(key, wanted) => {
            if let Some(items) = list_of(at) {
                let is = |item: &Value| match item.get(key) {
                    Some(Value::String(text)) => text == wanted,
                    Some(Value::Bool(flag)) => flag.to_string() == *wanted,
                    Some(Value::Number(number)) => number_text(number) == *wanted,
                    _ => false,
                };
                let index = match items.iter().position(is) {
                    Some(index) => index,
                    None => {
                        let mut item = Map::new();
                        let wanted = match wanted.as_str() {
                            "true" => Value::Bool(true),
                            "false" => Value::Bool(false),
                            text => Value::from(text),
                        };
                        item.insert(key.clone(), wanted);
                        items.push(Value::Object(item));
                        items.len() - 1
                    }
                };
                if let Some(item) = items.get_mut(index) {
                    set_in(item, rest, value);
                }
            }
        }
        Step::Rest => {}
    }
}

fn list_of(at: &mut Value) -> Option<&mut Vec<Value>> {
    if !at.is_array() {
        *at = Value::Array(Vec::new());
    }
    at.as_array_mut()
}
