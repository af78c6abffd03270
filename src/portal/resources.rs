//! What records of one resource look like: the unified schema, and an example of it.

use serde_json::{Map, Value, json};

use super::Desk;
use super::card::UNIFIED_API;
use super::connections::find;
use super::defaults::resource_of;
use super::reply::ok;
use crate::contract;
use crate::error::{Error, Result};
use crate::model::{Answer, Resource};

/// `GET …/{resource}/schema`: the JSON Schema of a record, with everything it refers to.
///
/// # Errors
/// `EntityNotFoundError` for the resource, and those of [`find`].
pub(super) async fn schema(desk: &Desk<'_>) -> Result<Answer> {
    let found = find(desk).await?;
    let resource = resource_of(&found.service, desk.call.id("resource"))?;
    let (name, mut schema) = record(resource)?;
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        object.insert("title".to_owned(), name.into());
        object.insert("components".to_owned(), json!({ "schemas": reached(object) }));
    }
    Ok(ok(schema))
}

/// `GET …/{resource}/example`.
///
/// # Errors
/// As [`schema`].
pub(super) async fn example(desk: &Desk<'_>) -> Result<Answer> {
    let found = find(desk).await?;
    let resource = resource_of(&found.service, desk.call.id("resource"))?;
    let response = format!("/components/responses/Get{}Response", resource.schema());
    let example = contract::document()
        .pointer(&response)
        .and_then(|response| response.pointer("/content/application~1json/example"));
    Ok(ok(json!({
        "unified_api": UNIFIED_API,
        "service_id": found.id.as_str(),
        "resource": { "id": resource.name(), "name": resource.schema(), "status": "live" },
        "example_response": example.cloned().unwrap_or_else(|| json!({})),
    })))
}

/// The name and schema of a record as a reply holds it.
fn record(resource: Resource) -> Result<(String, Value)> {
    let schemas = contract::document().pointer("/components/schemas");
    let names = [format!("{}Record", resource.schema()), resource.schema().to_owned()];
    let found = names.into_iter().find_map(|name| Some((schemas?.get(&name)?.clone(), name)));
    let (schema, name) = found.ok_or_else(|| Error::internal(format!("{resource} has no schema")))?;
    Ok((name, schema))
}

/// All component schemas that a schema leads to.
fn reached(schema: &Map<String, Value>) -> Map<String, Value> {
    let mut found = Map::new();
    let mut open: Vec<&Value> = schema.values().collect();
    while let Some(node) = open.pop() {
        match node {
            Value::Object(object) => {
                let name = object.get("$ref").and_then(Value::as_str);
                let name = name.and_then(|name| name.strip_prefix("#/components/schemas/"));
                let target = name.and_then(|name| {
                    Some((name, contract::document().pointer(&format!("/components/schemas/{name}"))?))
                });
                if let Some((name, target)) = target.filter(|(name, _)| !found.contains_key(*name)) {
                    found.insert(name.to_owned(), target.clone());
                    open.push(target);
                }
                open.extend(object.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}
