//! Lists of a body: fixed places, and lists made from lists.

use serde_json::{Map, Value};

use super::super::document::escape;
use super::super::path::Path;
use super::super::rule::{Each, Field, Item, Place, Rule};
use super::place::set;
use super::{MOST_ELEMENTS, Output, WriteMode, clear, encode, link, not_stored, value_to_wire};

/// The elements of a list in a body.
fn elements<'v>(value: &'v Value, pointer: &str, output: &mut Output<'_>) -> Option<&'v [Value]> {
    match value {
        Value::Null => Some(&[]),
        Value::Array(items) if items.len() <= MOST_ELEMENTS => Some(items),
        Value::Array(_) => {
            output.fault(pointer, "", format!("a list of more than {MOST_ELEMENTS} elements"));
            None
        }
        _ => {
            output.fault(pointer, "", "a list is needed");
            None
        }
    }
}

pub(super) fn places_to_wire(
    places: &[Place],
    exact: bool,
    value: &Value,
    pointer: &str,
    output: &mut Output<'_>,
) {
    let Some(items) = elements(value, pointer, output) else { return };
    if value.is_null() && output.mode == WriteMode::Create {
        return;
    }
    let constants = |place: &Place, wanted: &Value| {
        place.fields.iter().all(|field| match &field.rule {
            Rule::Value(rule) => rule
                .constant()
                .is_none_or(|text| wanted.get(&field.name).and_then(Value::as_str) == Some(text)),
            _ => true,
        })
    };
    let writes = |field: &Field| {
        !field.read_only && matches!(&field.rule, Rule::Value(rule) if rule.constant().is_none())
    };
    let writable: Vec<&Place> =
        places.iter().filter(|place| place.spread.is_none() && place.fields.iter().any(writes)).collect();
    let mut taken: Vec<Option<usize>> = vec![None; writable.len()];
    let mut left: Vec<usize> = Vec::new();
    // First those that say which place is theirs, then the others in order.
    for (index, item) in items.iter().enumerate() {
        let place = writable
            .iter()
            .zip(taken.iter_mut())
            .find(|(place, taken)| taken.is_none() && constants(place, item))
            .map(|(_, taken)| taken);
        match place {
            Some(taken) => *taken = Some(index),
            None => left.push(index),
        }
    }
    for index in left {
        let at = format!("{pointer}/{index}");
        match taken.iter_mut().find(|taken| taken.is_none() && !exact) {
            Some(taken) => *taken = Some(index),
            None => output.warn(
                &at,
                "",
                format!("{} has no place for this element; it is not stored", output.connector),
            ),
        }
    }
    for (place, taken) in writable.iter().zip(&taken) {
        match taken {
            Some(index) => {
                let at = format!("{pointer}/{index}");
                if let Some(item) = items.get(*index) {
                    place_to_wire(place, item, &at, output);
                }
            }
            None if output.mode == WriteMode::Update => {
                for field in &place.fields {
                    if let (Rule::Value(rule), false) = (&field.rule, field.read_only)
                        && rule.constant().is_none()
                    {
                        clear(rule, pointer, output);
                    }
                }
            }
            None => {}
        }
    }
}

fn place_to_wire(place: &Place, item: &Value, pointer: &str, output: &mut Output<'_>) {
    let Some(entries) = item.as_object() else {
        return output.fault(pointer, "", "an object is needed");
    };
    for field in &place.fields {
        let Rule::Value(rule) = &field.rule else { continue };
        let value = entries.get(&field.name).unwrap_or(&Value::Null);
        let at = format!("{pointer}/{}", field.name);
        match rule.constant() {
            Some(text) => {
                if let Some(given) = value.as_str().filter(|given| *given != text) {
                    output.warn(
                        &at,
                        "",
                        format!("`{given}` is kept as `{text}`: {} has no other place", output.connector),
                    );
                }
            }
            None if field.read_only => {
                if !value.is_null() {
                    output.warn(
                        &at,
                        "",
                        format!("`{}` is read-only in {}; it is not written", field.name, output.connector),
                    );
                }
            }
            None => value_to_wire(rule, value, None, &at, output),
        }
    }
    for (name, value) in entries {
        if !place.fields.iter().any(|field| field.name == *name) {
            not_stored(name, value, &format!("{pointer}/{name}"), output);
        }
    }
}

pub(super) fn each_to_wire(each: &Each, value: &Value, pointer: &str, output: &mut Output<'_>) {
    if let Some(name) = &each.link {
        return link(name, value, pointer, output);
    }
    let Some(items) = elements(value, pointer, output) else { return };
    if value.is_null() {
        if output.mode == WriteMode::Update {
            output.set(&each.path, each.null_as.clone().unwrap_or_else(|| Value::Array(Vec::new())));
        }
        return;
    }
    let list = list_to_wire(each, items, pointer, output);
    output.set(&each.path, Value::Array(list));
}

/// The elements of a list as the CRM has them.
fn list_to_wire(each: &Each, items: &[Value], pointer: &str, output: &mut Output<'_>) -> Vec<Value> {
    let mut list = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let at = format!("{pointer}/{index}");
        match &each.item {
            Item::Value(rule) => match encode(rule, item, None, output) {
                Ok((values, remark)) => {
                    for (path, value) in values {
                        list.push(wrap(&path, value));
                    }
                    if let Some(remark) = remark {
                        output.warn(&at, &each.path.to_string(), remark);
                    }
                }
                Err(message) => output.fault(&at, &each.path.to_string(), message),
            },
            Item::Fields(fields) => list.extend(element_to_wire(each, fields, item, &at, output)),
        }
    }
    list
}

/// A value as it stands within an otherwise empty element.
fn wrap(path: &Path, value: Value) -> Value {
    if path.steps.is_empty() {
        return value;
    }
    let mut map = Map::new();
    set(&mut map, &path.steps, value);
    Value::Object(map)
}

fn element_to_wire(
    each: &Each,
    fields: &[Field],
    item: &Value,
    pointer: &str,
    output: &mut Output<'_>,
) -> Option<Value> {
    let Some(entries) = item.as_object() else {
        output.fault(pointer, &each.path.to_string(), "an object is needed");
        return None;
    };
    let mut element = Map::new();
    for (name, value) in entries {
        let at = format!("{pointer}/{}", escape(name));
        let Some(field) = fields.iter().find(|field| field.name == *name) else {
            not_stored(name, value, &at, output);
            continue;
        };
        if value.is_null() {
            continue;
        }
        if field.read_only {
            output.warn(&at, "", format!("`{name}` is read-only in {}; it is not written", output.connector));
            continue;
        }
        let rule = match &field.rule {
            Rule::Value(rule) => rule,
            Rule::Each(inner) if inner.link.is_none() => {
                if let Some(items) = elements(value, &at, output) {
                    let list = list_to_wire(inner, items, &at, output);
                    set(&mut element, &inner.path.steps, Value::Array(list));
                }
                continue;
            }
            _ => {
                not_stored(name, value, &at, output);
                continue;
            }
        };
        if let Some(text) = rule.constant() {
            if value.as_str() != Some(text) {
                output.warn(
                    &at,
                    "",
                    format!("the value is kept as `{text}`: {} has no other", output.connector),
                );
            }
            continue;
        }
        match encode(rule, value, None, output) {
            Ok((values, remark)) => {
                for (path, value) in values {
                    set(&mut element, &path.steps, value);
                }
                if let Some(remark) = remark {
                    output.warn(&at, &each.path.to_string(), remark);
                }
            }
            Err(message) => output.fault(&at, &each.path.to_string(), message),
        }
    }
    Some(Value::Object(element))
}
