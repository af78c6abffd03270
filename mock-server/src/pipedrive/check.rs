//! Checks the members of a write against the entity, and gives them in the form that is kept.

use serde_json::{Map, Value, json};

use super::account::Account;
use super::entity::{Entity, Takes};
use super::errors;
use super::field::Field;
use crate::clock::{iso_s, parse, parse_date};
use crate::exchange::Reply;
use crate::json::put;

/// Checks a body; for a new record also that the required members are there.
pub fn members(
    account: &Account,
    entity: &Entity,
    body: &Map<String, Value>,
    creating: bool,
) -> Result<Map<String, Value>, Reply> {
    if creating {
        for name in entity.required {
            if body.get(*name).is_none_or(|value| value.is_null() || value == "") {
                return Err(errors::schema(&format!("{name}: Required")));
            }
        }
    }
    let mut checked = Map::new();
    for (name, value) in body {
        let takes = entity.writes.iter().find(|(known, _)| known == name).map(|(_, takes)| *takes);
        let takes = takes.ok_or_else(|| errors::schema(&format!("{name}: Unrecognized key")))?;
        if value.is_null() && name == entity.title {
            return Err(errors::schema(&format!("{name}: must not be null")));
        }
        let kept = member(account, entity, name, takes, value)?;
        checked.insert(name.clone(), kept);
    }
    Ok(checked)
}

fn must<T>(name: &str, what: &str) -> Result<T, Reply> {
    Err(errors::schema(&format!("{name}: must be {what}")))
}

fn member(
    account: &Account,
    entity: &Entity,
    name: &str,
    takes: Takes,
    value: &Value,
) -> Result<Value, Reply> {
    if value.is_null() {
        return Ok(match takes {
            Takes::Contacts | Takes::Wholes | Takes::Objects => json!([]),
            Takes::Custom => json!({}),
            _ => Value::Null,
        });
    }
    match takes {
        Takes::Text if value.is_string() => Ok(value.clone()),
        Takes::Text => must(name, "string"),
        Takes::Whole if value.is_i64() || value.is_u64() => Ok(value.clone()),
        Takes::Whole => must(name, "integer"),
        Takes::Number if value.is_number() => Ok(value.clone()),
        Takes::Number => must(name, "number"),
        Takes::Flag if value.is_boolean() => Ok(value.clone()),
        Takes::Flag => must(name, "boolean"),
        Takes::Date => match value.as_str() {
            Some(text) if parse_date(text).is_some() => Ok(value.clone()),
            _ => must(name, "a date of the form YYYY-MM-DD"),
        },
        Takes::Clock => match value.as_str().and_then(clock) {
            Some(text) => Ok(json!(text)),
            None => must(name, "a time of the form HH:MM or HH:MM:SS"),
        },
        Takes::Stamp => match value.as_str().and_then(parse) {
            Some(ms) => Ok(json!(iso_s(ms))),
            None => must(name, "a valid datetime"),
        },
        Takes::Contacts => contacts(name, value),
        Takes::Wholes => match value.as_array() {
            Some(list) if list.iter().all(|one| one.is_u64()) => Ok(value.clone()),
            _ => must(name, "an array of integers"),
        },
        Takes::Address => match value {
            Value::Object(_) => Ok(address(value)),
            _ => must(name, "an object"),
        },
        Takes::Objects => match value.as_array() {
            Some(list) if list.iter().all(Value::is_object) => Ok(value.clone()),
            _ => must(name, "an array of objects"),
        },
        Takes::Custom => custom(account, entity, value),
        Takes::Ref(other) => {
            let Some(id) = value.as_u64() else { return must(name, "integer") };
            match account.tables.get(other).and_then(|table| table.live(id)) {
                Some(_) => Ok(value.clone()),
                None => {
                    Err(errors::coded(400, "ERR_INVALID_REFERENCE", &format!("{name}: {id} does not exist")))
                }
            }
        }
        Takes::User => match account.users.iter().any(|user| user["id"] == *value) {
            true => Ok(value.clone()),
            false => Err(errors::coded(400, "ERR_INVALID_REFERENCE", &format!("{name}: {value} is no user"))),
        },
        Takes::Choice(choices) => match value.as_str() {
            Some(text) if choices.contains(&text) => Ok(value.clone()),
            _ => must(name, &format!("one of [{}]", choices.join(", "))),
        },
    }
}

fn clock(text: &str) -> Option<String> {
    let mut parts = text.split(':');
    let mut part = |max: u32| {
        let part = parts.next()?;
        let number: u32 = (part.len() == 2).then(|| part.parse().ok()).flatten()?;
        (number <= max).then_some(number)
    };
    let (hours, minutes) = (part(99)?, part(59)?);
    let seconds = if text.len() > 5 { part(59)? } else { 0 };
    (parts.next().is_none()).then(|| format!("{hours:02}:{minutes:02}:{seconds:02}"))
}

/// Contacts come back with every member and one primary.
fn contacts(name: &str, value: &Value) -> Result<Value, Reply> {
    let Some(list) = value.as_array() else { return must(name, "an array of objects") };
    let mut kept = Vec::new();
    for one in list {
        let Some(text) = one["value"].as_str() else { return must(&format!("{name}.value"), "string") };
        if one.as_object().is_some_and(|members| {
            members.keys().any(|key| !["value", "primary", "label"].contains(&key.as_str()))
        }) {
            return Err(errors::schema(&format!("{name}: Unrecognized key")));
        }
        kept.push(json!({
            "value": text,
            "primary": one["primary"].as_bool().unwrap_or(false),
            "label": one["label"].as_str().unwrap_or("work"),
        }));
    }
    let primaries = kept.iter().filter(|one| one["primary"] == true).count();
    if primaries > 1 {
        return Err(errors::schema(&format!("{name}: only one can be primary")));
    }
    if primaries == 0
        && let Some(first) = kept.first_mut()
    {
        put(first, "primary", json!(true));
    }
    Ok(Value::Array(kept))
}

fn address(value: &Value) -> Value {
    let mut whole = json!({
        "value": null, "country": null, "admin_area_level_1": null, "admin_area_level_2": null, "locality": null,
        "sublocality": null, "route": null, "street_number": null, "subpremise": null, "postal_code": null,
    });
    for (name, part) in value.as_object().into_iter().flatten() {
        put(&mut whole, name, part.clone());
    }
    whole
}

fn custom(account: &Account, entity: &Entity, value: &Value) -> Result<Value, Reply> {
    let Some(given) = value.as_object() else { return must("custom_fields", "an object") };
    let Some(table) = account.tables.get(entity.name) else { return must("custom_fields", "absent") };
    let mut kept = Map::new();
    for (key, value) in given {
        let field = table.custom(key);
        let field = field.ok_or_else(|| errors::schema(&format!("custom_fields.{key}: Unrecognized key")))?;
        kept.insert(key.clone(), custom_value(field, value)?);
    }
    Ok(Value::Object(kept))
}

/// Checks the value of a custom field.
pub fn custom_value(field: &Field, value: &Value) -> Result<Value, Reply> {
    let name = format!("custom_fields.{}", field.code);
    if value.is_null() {
        return Ok(Value::Null);
    }
    let known =
        |id: &Value| id.as_u64().is_some_and(|id| field.options.iter().any(|(known, _)| *known == id));
    match field.kind.as_str() {
        "double" if value.is_number() => Ok(value.clone()),
        "double" => must(&name, "number"),
        "enum" if known(value) => Ok(value.clone()),
        "enum" => must(&name, "the id of an option"),
        "set" => match value.as_array() {
            Some(list) if list.iter().all(known) => Ok(value.clone()),
            _ => must(&name, "an array of ids of options"),
        },
        "monetary" => match (&value["value"], &value["currency"]) {
            (Value::Number(_), Value::String(currency)) if currency.len() == 3 => Ok(value.clone()),
            _ => must(&name, "an object with value and currency"),
        },
        "date" => match value.as_str() {
            Some(text) if parse_date(text).is_some() => Ok(value.clone()),
            _ => must(&name, "a date of the form YYYY-MM-DD"),
        },
        "time" if only(value, &["value", "timezone_id"]) && is_clock(&value["value"]) => Ok(value.clone()),
        "time" => must(&name, "an object with a value of the form HH:MM:SS"),
        "timerange"
            if only(value, &["value", "until", "timezone_id"])
                && is_clock(&value["value"])
                && is_clock(&value["until"]) =>
        {
            Ok(value.clone())
        }
        "timerange" => must(&name, "an object with value and until of the form HH:MM:SS"),
        "daterange"
            if only(value, &["value", "until"]) && is_day(&value["value"]) && is_day(&value["until"]) =>
        {
            Ok(value.clone())
        }
        "daterange" => must(&name, "an object with value and until of the form YYYY-MM-DD"),
        "address" if value.is_object() => {
            let whole = address(value);
            let known = address(&json!({}));
            let texts = |(key, part): (&String, &Value)| {
                known.get(key).is_some() && (part.is_string() || part.is_null())
            };
            match whole.as_object().is_some_and(|parts| parts.iter().all(texts)) {
                true => Ok(whole),
                false => must(&name, "an object of the parts of an address"),
            }
        }
        "address" => must(&name, "an object"),
        "boolean" if value.is_boolean() => Ok(value.clone()),
        "boolean" => must(&name, "boolean"),
        "user" | "org" | "people" if value.is_u64() => Ok(value.clone()),
        "user" | "org" | "people" => must(&name, "integer"),
        _ => match value.as_str() {
            Some(text) if text.chars().count() <= 255 || field.kind == "text" => Ok(value.clone()),
            Some(_) => must(&name, "at most 255 characters long"),
            None => must(&name, "string"),
        },
    }
}

fn only(value: &Value, keys: &[&str]) -> bool {
    value.as_object().is_some_and(|members| members.keys().all(|key| keys.contains(&key.as_str())))
}

fn is_clock(value: &Value) -> bool {
    value.as_str().and_then(clock).is_some()
}

fn is_day(value: &Value) -> bool {
    value.as_str().and_then(parse_date).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        assert_eq!(clock("09:30").as_deref(), Some("09:30:00"));
        assert_eq!(clock("09:30:15").as_deref(), Some("09:30:15"));
        for bad in ["9:30", "09:60", "09:30:15:00", "morning", ""] {
            assert_eq!(clock(bad), None, "{bad}");
        }
    }
}
