//! Values that fill bodies of creates where a call names none: the customer's own, resource by resource.

use serde_json::{Map, Value, json};

use super::Desk;
use super::connections::{find, shown, there};
use crate::app::Service;
use crate::error::{Error, Kind, Result};
use crate::model::{Answer, Resource, Verb};

/// The resource of the path.
///
/// # Errors
/// `EntityNotFoundError` for one that the unified API or the connector does not have.
pub fn resource_of(service: &Service, name: &str) -> Result<Resource> {
    let known = Resource::from_name(name).filter(|known| service.connector.resources.contains_key(known));
    known.ok_or_else(|| {
        let says = format!("`{name}` is no resource of {}.", service.connector.manifest.name);
        Error::new(Kind::EntityNotFoundError, says)
    })
}

/// `GET …/{resource}/config`: the connection, with its configuration.
///
/// # Errors
/// `EntityNotFoundError` for the resource, and those of [`find`].
pub(super) async fn read(desk: &Desk<'_>) -> Result<Answer> {
    resource_of(&find(desk).await?.service, desk.call.id("resource"))?;
    shown(desk).await
}

/// `PATCH …/{resource}/config`: replaces the defaults of that resource.
///
/// # Errors
/// `RequestValidationError` with every default that is no value of a field; `ConnectionNotFoundError`.
pub(super) async fn update(desk: &Desk<'_>) -> Result<Answer> {
    let found = find(desk).await?;
    let resource = resource_of(&found.service, desk.call.id("resource"))?;
    let of = &there(&found)?.connection;
    for (name, defaults) in read_configuration(desk, &found.service, desk.body())? {
        if name == resource.name() {
            desk.shared.store.set_defaults(of, &name, &defaults).await?;
        }
    }
    shown(desk).await
}

/// The defaults that a body's `configuration` sets, by resource, checked against the contract.
///
/// # Errors
/// `RequestValidationError` with all faults.
pub fn read_configuration(
    desk: &Desk<'_>,
    service: &Service,
    body: &Map<String, Value>,
) -> Result<Vec<(String, Vec<Value>)>> {
    let mut read = Vec::new();
    let mut faults = Vec::new();
    let given = body.get("configuration").and_then(Value::as_array);
    for (at, entry) in given.into_iter().flatten().enumerate() {
        let name = entry.get("resource").and_then(Value::as_str).unwrap_or_default();
        let mut fault = |below: String, message: &str| {
            faults.push(json!({ "pointer": format!("/configuration/{at}{below}"), "message": message }));
        };
        let resource = resource_of(service, name).ok();
        let creates = |resource: &Resource| {
            service.connector.resources.get(resource).is_some_and(|plan| plan.has(Verb::Create))
        };
        let Some(resource) = resource.filter(creates) else {
            fault("/resource".to_owned(), "Must be a resource that this connector can create.");
            continue;
        };
        let mut defaults = Vec::new();
        for (n, default) in entry.get("defaults").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            let id = default.get("id").and_then(Value::as_str).unwrap_or_default();
            // A default without a value is none.
            let Some(value) = default.get("value") else { continue };
            let schema = desk.contract.fields(resource);
            let schema = schema.ok_or_else(|| Error::internal(format!("{resource} has no update")))?;
            let found = schema.faults(&json!({ id: value })).map_err(Error::internal)?;
            for wrong in &found {
                fault(format!("/defaults/{n}{}", wrong.pointer), &wrong.message);
            }
            defaults.push(json!({ "target": "resource", "id": id, "options": [], "value": value }));
        }
        read.push((resource.name().to_owned(), defaults));
    }
    match faults.as_slice() {
        [] => Ok(read),
        _ => {
            Err(Error::new(Kind::RequestValidationError, "Some defaults cannot be taken; detail lists them.")
                .detail(json!({ "errors": faults })))
        }
    }
}
