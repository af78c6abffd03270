//! `/crm/v3/objects/{object}/batch/{read,create,update,upsert,archive}`.

use std::sync::RwLock;

use serde_json::{Map, Value, json};

use super::account::{Account, TypeIndex, ready};
use super::{errors, objects, unknown_object};
use crate::clock::{iso_ms, now_ms};
use crate::exchange::{Outcome, Reply, Request};
use crate::world::{read, write};

const MAX_INPUTS: usize = 100;

/// Answers a batch.
pub fn answer(request: &Request, account: &RwLock<Account>, object: &str, verb: &str) -> Outcome {
    if request.method != http::Method::POST {
        return Err(errors::bad_method());
    }
    ready(account, &[object]);
    let body = objects::object_body(request)?;
    let inputs = inputs(&body, MAX_INPUTS)?;
    if verb == "read" {
        return read_many(&read(account), object, &body, inputs);
    }
    let mut account = write(account);
    let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
    match verb {
        "create" => create_many(&mut account, at, inputs),
        "update" => update_many(&mut account, at, inputs),
        "upsert" => upsert_many(&mut account, at, inputs),
        "archive" => {
            for id in inputs.iter().filter_map(|input| objects::id_of(&input["id"])) {
                if let Some(objects) = account.object_mut(at) {
                    objects.archive(id);
                }
            }
            Ok(Reply::empty(204))
        }
        _ => Err(errors::no_endpoint()),
    }
}

/// The `inputs` of a batch; 400 when there are too many.
pub fn inputs(body: &Map<String, Value>, max: usize) -> Result<&[Value], Reply> {
    let inputs = body.get("inputs").and_then(Value::as_array);
    let inputs = inputs.ok_or_else(|| errors::bad_json("Some required fields were not set: [inputs]"))?;
    if inputs.len() > max {
        let says = format!("The batch is too large: the limit is {max}, {} inputs were given", inputs.len());
        return Err(errors::invalid(&says));
    }
    Ok(inputs)
}

/// A batch reply around results that are written already; 207 when some inputs failed.
pub fn reply(results: &[Vec<u8>], faults: &[Value], status: u16) -> Reply {
    let now = iso_ms(now_ms());
    let mut out = b"{\"status\":\"COMPLETE\",\"results\":[".to_vec();
    out.extend_from_slice(&results.join(&b','));
    out.push(b']');
    if !faults.is_empty() {
        out.extend_from_slice(format!(",\"numErrors\":{},\"errors\":", faults.len()).as_bytes());
        let _ = serde_json::to_writer(&mut out, faults);
    }
    out.extend_from_slice(format!(",\"startedAt\":\"{now}\",\"completedAt\":\"{now}\"}}").as_bytes());
    Reply::written(if faults.is_empty() { status } else { 207 }, out)
}

/// 207's entry for ids that were not found.
pub fn missing(ids: &[String]) -> Vec<Value> {
    if ids.is_empty() {
        return Vec::new();
    }
    vec![json!({
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": "Could not get some objects, they may be deleted or not exist. Check that ids are valid.",
        "context": { "ids": ids },
    })]
}

fn read_many(account: &Account, object: &str, body: &Map<String, Value>, inputs: &[Value]) -> Outcome {
    let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
    let by = body.get("idProperty").and_then(Value::as_str);
    let asked = body.get("properties").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let asked: Vec<&str> = asked.iter().filter_map(Value::as_str).collect();
    let mut results = Vec::new();
    let mut lost = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for input in inputs {
        let id = match &input["id"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match objects::find(account, at, &id, by) {
            Ok(found) if seen.insert(found) => {
                let mut out = Vec::new();
                objects::write_one(&mut out, account, at, found, asked.iter().copied());
                results.push(out);
            }
            Ok(_) => {}
            Err(_) => lost.push(id),
        }
    }
    Ok(reply(&results, &missing(&lost), 200))
}

fn fields(input: &Value) -> Result<&Map<String, Value>, Reply> {
    input.as_object().ok_or_else(|| errors::bad_json("inputs must be objects"))
}

/// A create batch is all or nothing when an input is invalid, as HubSpot's is.
fn create_many(account: &mut Account, at: TypeIndex, inputs: &[Value]) -> Outcome {
    for input in inputs {
        let none = Map::new();
        let given = fields(input)?.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let checked = super::check::properties(account, at, given, true)?;
        super::check::conflict(account, at, &checked, None)?;
    }
    let mut results = Vec::new();
    for input in inputs {
        let (id, asked) = objects::create(account, at, fields(input)?)?;
        let mut out = Vec::new();
        objects::write_one(&mut out, account, at, id, asked.iter().map(String::as_str));
        results.push(out);
    }
    Ok(reply(&results, &[], 201))
}

fn update_many(account: &mut Account, at: TypeIndex, inputs: &[Value]) -> Outcome {
    let mut results = Vec::new();
    let mut lost = Vec::new();
    for input in inputs {
        let id = input["id"].as_str().map_or_else(|| input["id"].to_string(), str::to_owned);
        let Ok(found) = objects::find(account, at, &id, input["idProperty"].as_str()) else {
            lost.push(id);
            continue;
        };
        let asked = objects::update(account, at, found, fields(input)?)?;
        let mut out = Vec::new();
        objects::write_one(&mut out, account, at, found, asked.iter().map(String::as_str));
        results.push(out);
    }
    Ok(reply(&results, &missing(&lost), 200))
}

fn upsert_many(account: &mut Account, at: TypeIndex, inputs: &[Value]) -> Outcome {
    let mut results = Vec::new();
    for input in inputs {
        let by = input["idProperty"].as_str();
        let id = input["id"].as_str().unwrap_or_default();
        let (found, asked, new) = match objects::find(account, at, id, by) {
            Ok(found) => (found, objects::update(account, at, found, fields(input)?)?, false),
            Err(_) => {
                let by = by.ok_or_else(|| errors::not_found(id))?;
                let mut input = fields(input)?.clone();
                if let Some(properties) = input.get_mut("properties").and_then(Value::as_object_mut) {
                    properties.entry(by).or_insert_with(|| json!(id));
                }
                let (found, asked) = objects::create(account, at, &input)?;
                (found, asked, true)
            }
        };
        let mut out = Vec::new();
        objects::write_one(&mut out, account, at, found, asked.iter().map(String::as_str));
        // The upsert's results also say whether the record is new.
        out.pop();
        out.extend_from_slice(format!(",\"new\":{new}}}").as_bytes());
        results.push(out);
    }
    Ok(reply(&results, &[], 200))
}
