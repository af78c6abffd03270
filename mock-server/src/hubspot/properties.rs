//! Property definitions over HTTP.

use std::sync::RwLock;

use serde_json::{Map, Value, json};

use super::account::Account;
use super::property::{Choice, Kind, Property};
use super::{errors, objects, unknown_object};
use crate::clock::now_ms;
use crate::exchange::{Outcome, Reply, Request};
use crate::json::put;
use crate::world::{read, write};

/// Answers below `/crm/v3/properties/{object}`.
pub fn answer(request: &Request, account: &RwLock<Account>, object: &str, rest: &[&str]) -> Outcome {
    match (request.method.as_str(), rest) {
        ("GET", []) => list(&read(account), object, request.param("archived") == Some("true")),
        ("GET", ["groups"]) => groups(&read(account), object),
        ("GET", [name]) => {
            let account = read(account);
            let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
            let found = account.object(at).and_then(|objects| objects.property(name));
            found
                .map(|property| Reply::json(200, &to_wire(&account, at, property)))
                .ok_or_else(|| missing(name))
        }
        ("POST", []) => {
            let property = from_body(&objects::object_body(request)?)?;
            let mut account = write(account);
            let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
            let objects = account.object_mut(at).ok_or_else(|| unknown_object(object))?;
            if objects.property(&property.name).is_some() {
                let message =
                    format!("A property named '{}' already exists for this object type.", property.name);
                return Err(errors::detailed(
                    409,
                    "OBJECT_ALREADY_EXISTS",
                    &message,
                    &json!({ "subCategory": "Properties.PROPERTY_EXISTS" }),
                ));
            }
            let shown = property.to_wire();
            objects.add_property(property);
            Ok(Reply::json(201, &shown))
        }
        ("PATCH", [name]) => {
            let body = objects::object_body(request)?;
            let mut account = write(account);
            let property = own(&mut account, object, name)?;
            change(property, &body)?;
            Ok(Reply::json(200, &property.to_wire()))
        }
        ("DELETE", [name]) => {
            let mut account = write(account);
            own(&mut account, object, name)?.archived = true;
            Ok(Reply::empty(204))
        }
        ("POST", ["batch", "read"]) => {
            let body = objects::object_body(request)?;
            let account = read(account);
            let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
            let mut results = Vec::new();
            let mut lost = Vec::new();
            for name in super::batch::inputs(&body, 100)?.iter().filter_map(|input| input["name"].as_str()) {
                match account.object(at).and_then(|objects| objects.property(name)) {
                    Some(property) => {
                        results
                            .push(serde_json::to_vec(&to_wire(&account, at, property)).unwrap_or_default());
                    }
                    None => lost.push(name.to_owned()),
                }
            }
            Ok(super::batch::reply(&results, &super::batch::missing(&lost), 200))
        }
        (_, [] | [_]) => Err(errors::bad_method()),
        _ => Err(errors::no_endpoint()),
    }
}

fn missing(name: &str) -> Reply {
    let message = format!("Property {name} does not exist");
    errors::detailed(404, "OBJECT_NOT_FOUND", &message, &json!({ "context": { "propertyName": [name] } }))
}

/// A property as it is shown: pipelines and stages are choices too.
fn to_wire(account: &Account, at: super::account::TypeIndex, property: &Property) -> Value {
    let mut wire = property.to_wire();
    let pipelines = account.pipelines.get(&at).map(Vec::as_slice).unwrap_or_default();
    let live = pipelines.iter().filter(|pipeline| !pipeline.archived);
    let choices: Vec<(&str, &str)> = match property.name.as_str() {
        "pipeline" | "hs_pipeline" => {
            live.map(|pipeline| (pipeline.id.as_str(), pipeline.label.as_str())).collect()
        }
        "dealstage" | "hs_pipeline_stage" => {
            let stages = live.flat_map(|pipeline| &pipeline.stages);
            stages.map(|stage| (stage.id.as_str(), stage.label.as_str())).collect()
        }
        _ => return wire,
    };
    let options: Vec<Value> = choices
        .iter()
        .enumerate()
        .map(|(order, (value, label))| {
            json!({ "label": label, "value": value, "displayOrder": order, "hidden": false })
        })
        .collect();
    put(&mut wire, "options", Value::Array(options));
    wire
}

fn list(account: &Account, object: &str, archived: bool) -> Outcome {
    let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
    let objects = account.object(at).ok_or_else(|| unknown_object(object))?;
    let shown = objects.properties.iter().filter(|property| property.archived == archived);
    let results: Vec<Value> = shown.map(|property| to_wire(account, at, property)).collect();
    Ok(Reply::json(200, &json!({ "results": results })))
}

fn groups(account: &Account, object: &str) -> Outcome {
    let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
    let objects = account.object(at).ok_or_else(|| unknown_object(object))?;
    let mut names: Vec<&str> = objects.properties.iter().map(|property| property.group.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let results: Vec<Value> = names
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| json!({ "name": name, "label": name, "displayOrder": -1, "archived": false }))
        .collect();
    Ok(Reply::json(200, &json!({ "results": results })))
}

/// A customer's own property, to change; HubSpot's own are refused.
fn own<'a>(account: &'a mut Account, object: &str, name: &str) -> Result<&'a mut Property, Reply> {
    let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
    let objects = account.object_mut(at).ok_or_else(|| unknown_object(object))?;
    let property = objects.any_property_mut(name).filter(|property| !property.archived);
    let property = property.ok_or_else(|| missing(name))?;
    if property.hubspot_defined {
        return Err(errors::error(400, "VALIDATION_ERROR", &format!("{name} is a read-only definition")));
    }
    Ok(property)
}

/// A new property as a client wrote it.
pub fn from_body(body: &Map<String, Value>) -> Result<Property, Reply> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let absent: Vec<&str> =
        ["name", "label", "type", "fieldType"].into_iter().filter(|name| text(name).is_none()).collect();
    if !absent.is_empty() {
        return Err(errors::bad_json(&format!("Some required fields were not set: [{}]", absent.join(", "))));
    }
    let name = text("name").unwrap_or_default();
    let fits = name.starts_with(|ch: char| ch.is_ascii_lowercase())
        && name.chars().all(|ch| ch.is_ascii_lowercase() || ch.is_ascii_digit() || ch == '_');
    if !fits {
        return Err(errors::invalid(&format!(
            "{name} is not a valid property name: lower-case letters, digits and underscores only"
        )));
    }
    let kind_name = text("type").unwrap_or_default();
    let kind =
        Kind::of(kind_name).ok_or_else(|| errors::invalid(&format!("{kind_name} is not a property type")))?;
    let now = now_ms();
    let mut property = Property {
        name: name.to_owned(),
        label: String::new(),
        kind,
        field_type: String::new(),
        group: String::new(),
        description: String::new(),
        choices: Vec::new(),
        read_only: text("fieldType") == Some("calculation_equation"),
        calculated: text("fieldType") == Some("calculation_equation"),
        unique: body.get("hasUniqueValue").and_then(Value::as_bool).unwrap_or(false),
        owner: text("referencedObjectType") == Some("OWNER"),
        hubspot_defined: false,
        archived: false,
        created_ms: now,
        updated_ms: now,
    };
    change(&mut property, body)?;
    Ok(property)
}

fn change(property: &mut Property, body: &Map<String, Value>) -> Result<(), Reply> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    property.label = text("label").unwrap_or_else(|| std::mem::take(&mut property.label));
    property.field_type = text("fieldType").unwrap_or_else(|| std::mem::take(&mut property.field_type));
    property.group = text("groupName").unwrap_or_else(|| std::mem::take(&mut property.group));
    property.description = text("description").unwrap_or_else(|| std::mem::take(&mut property.description));
    if let Some(options) = body.get("options").and_then(Value::as_array) {
        property.choices = options
            .iter()
            .map(|option| {
                let member = |name: &str| option[name].as_str().map(str::to_owned);
                Some(Choice {
                    label: member("label")?,
                    value: member("value")?,
                    hidden: option["hidden"].as_bool().unwrap_or(false),
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| errors::bad_json("options need label and value"))?;
    }
    property.updated_ms = now_ms();
    Ok(())
}
