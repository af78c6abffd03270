//! From the OpenAPI document to rules.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Map, Value, json};

use super::parameter::{Key, Kind, Parameters};
use super::{Consumer, Needs, Rules, body};
use crate::model::{Operation, OperationId, Resource, Verb};

/// What is wrong with the contract document: a fault of ours, found at start-up and by tests.
#[derive(Debug, thiserror::Error)]
#[error("the API contract: {0}")]
pub struct Error(String);

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Error {
        Error(message.into())
    }
}

/// Parses a document.
pub(super) fn parse(yaml: &str) -> Result<Value, Error> {
    serde_saphyr::from_str(yaml).map_err(|error| Error::new(error.to_string()))
}

/// Reads the rules of the unified operations of a document.
pub(super) fn unified(document: &Value) -> Result<Vec<Rules>, Error> {
    read(document, "x-operation", &named)
}

/// Reads the rules of the Vault's or Connector API's operations of a document.
pub(super) fn portal(document: &Value) -> Result<Vec<Rules<OperationId>>, Error> {
    read(document, "operationId", &OperationId::from_name)
}

/// Reads the rules of a document's operations that have that key.
fn read<O>(
    document: &Value,
    key: &str,
    operation_of: &dyn Fn(&str) -> Option<O>,
) -> Result<Vec<Rules<O>>, Error> {
    let mut rules = Vec::new();
    let paths =
        document.get("paths").and_then(Value::as_object).ok_or_else(|| Error::new("it has no paths"))?;
    for (path, item) in paths {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let Some(name) = operation.get(key).and_then(Value::as_str) else { continue };
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes())
                .map_err(|_| Error::new(format!("{path}: {method} is not a method")))?;
            rules.push(Rules {
                operation: operation_of(name).ok_or_else(|| Error::new(format!("{name} is unknown")))?,
                path: path.clone(),
                method,
                parameters: parameters(document, operation)?,
                needs: needs(document, operation)?,
                body: body_schema(document, operation, name)?,
                needs_body: operation.pointer("/requestBody/required") == Some(&Value::Bool(true)),
            });
        }
    }
    Ok(rules)
}

fn named(name: &str) -> Option<Operation> {
    let (resource, verb) = name.split_once('.')?;
    let verb = Verb::ALL.into_iter().find(|known| known.name() == verb)?;
    Some(Operation::new(Resource::from_name(resource)?, verb))
}

/// The node itself, or what its `$ref` points to.
fn resolve<'a>(document: &'a Value, node: &'a Value) -> Result<&'a Value, Error> {
    let Some(reference) = node.get("$ref").and_then(Value::as_str) else { return Ok(node) };
    reference
        .strip_prefix('#')
        .and_then(|pointer| document.pointer(pointer))
        .ok_or_else(|| Error::new(format!("{reference} leads nowhere")))
}

/// Which headers an operation needs; one that says `security: []` is open to all.
fn needs(document: &Value, operation: &Value) -> Result<Needs, Error> {
    let open = operation.get("security").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let mut needs = Needs { key: !open, app: false, consumer: Consumer::No };
    for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
        let parameter = resolve(document, parameter)?;
        let required = parameter.get("required") == Some(&Value::Bool(true));
        match parameter.get("name").and_then(Value::as_str) {
            Some("x-apideck-app-id") => needs.app = required,
            Some("x-apideck-consumer-id") => {
                needs.consumer = if required { Consumer::Yes } else { Consumer::Maybe };
            }
            _ => {}
        }
    }
    Ok(needs)
}

fn parameters(document: &Value, operation: &Value) -> Result<Parameters, Error> {
    let open = !needs(document, operation)?.key;
    let mut known = Parameters { others: open, ..Parameters::default() };
    for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
        let parameter = resolve(document, parameter)?;
        if parameter.get("in").and_then(Value::as_str) != Some("query") {
            continue;
        }
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        let schema = resolve(document, parameter.get("schema").unwrap_or(&Value::Null))?;
        let properties = || schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        match name {
            "raw" => known.raw = true,
            "explain" => known.explain = true,
            "dry_run" => known.dry_run = true,
            "format" => known.format = true,
            "limit" => known.limit = true,
            "cursor" => known.cursor = true,
            "fields" => known.fields = true,
            "pass_through" => known.pass_through = true,
            "filter" => {
                for (name, schema) in properties() {
                    known.filter.push((name.clone(), Kind::of(resolve(document, schema)?)));
                }
            }
            "sort" => {
                for (_, schema) in properties().filter(|(name, _)| *name == "by") {
                    known.sort = Kind::names(resolve(document, schema)?);
                }
            }
            // The Vault and Connector APIs have keys of single operations; a unified operation has none.
            other if operation.get("x-operation").is_none() => known.keys.push(Key {
                name: other.to_owned(),
                kind: Kind::of(schema),
                required: parameter.get("required") == Some(&Value::Bool(true)),
            }),
            other => return Err(Error::new(format!("the query key {other} is not understood"))),
        }
    }
    Ok(known)
}

fn body_schema(document: &Value, operation: &Value, name: &str) -> Result<Option<body::Schema>, Error> {
    let Some(body) = operation.get("requestBody") else { return Ok(None) };
    let schema = resolve(document, body)?
        .pointer("/content/application~1json/schema")
        .ok_or_else(|| Error::new(format!("the body of {name} has no JSON schema")))?;
    let mut reached = BTreeSet::new();
    reach(document, schema, &mut reached)?;
    let mut schemas = Map::new();
    for reference in reached {
        if let Some(found) = document.pointer(&format!("/components/schemas/{reference}")) {
            let mut found = found.clone();
            let read_only = |property: &Value| {
                let own = property.get("readOnly");
                own.or_else(|| resolve(document, property).ok()?.get("readOnly")) == Some(&Value::Bool(true))
            };
            spare(&mut found, &read_only);
            schemas.insert(reference, found);
        }
    }
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [schema],
        "components": { "schemas": schemas },
    });
    Ok(Some(body::Schema::new(name, whole)))
}

/// Takes read-only keys out of `required`: of a request they are not asked.
fn spare(schema: &mut Value, read_only: &impl Fn(&Value) -> bool) {
    match schema {
        Value::Object(object) => {
            let spared: Vec<Value> = match (object.get("required"), object.get("properties")) {
                (Some(Value::Array(required)), Some(properties)) => {
                    let of_reply = |name: &&Value| {
                        name.as_str().and_then(|name| properties.get(name)).is_some_and(read_only)
                    };
                    required.iter().filter(of_reply).cloned().collect()
                }
                _ => Vec::new(),
            };
            if let Some(Value::Array(required)) = object.get_mut("required") {
                required.retain(|name| !spared.contains(name));
            }
            object.values_mut().for_each(|below| spare(below, read_only));
        }
        Value::Array(items) => items.iter_mut().for_each(|below| spare(below, read_only)),
        _ => {}
    }
}

/// Collects the names of all component schemas that a schema leads to.
fn reach(document: &Value, schema: &Value, reached: &mut BTreeSet<String>) -> Result<(), Error> {
    match schema {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                let target = resolve(document, schema)?;
                let name = reference.strip_prefix("#/components/schemas/").unwrap_or_default();
                if reached.insert(name.to_owned()) {
                    reach(document, target, reached)?;
                }
            }
            object.values().try_for_each(|below| reach(document, below, reached))
        }
        Value::Array(items) => items.iter().try_for_each(|below| reach(document, below, reached)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_not_asked_for_what_is_read_only() {
        let document = parse(
            "
            components: { schemas: {
              Consent: {
                required: [id, granted],
                properties: { id: { readOnly: true }, granted: { type: boolean } } },
              Connection: { properties: { consent: { $ref: '#/components/schemas/Consent' } } } } }
            requestBody: { content: { application/json: { schema: { $ref: '#/components/schemas/Connection' } } } }
            ",
        )
        .unwrap();
        let schema = body_schema(&document, &document, "connections").unwrap().unwrap();
        assert_eq!(schema.faults(&json!({ "consent": { "granted": true } })).unwrap(), []);
        let faults = schema.faults(&json!({ "consent": {} })).unwrap();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].pointer, "/consent/granted");
    }
}
