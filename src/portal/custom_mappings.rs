//! Custom mappings and custom fields of a connection.

use serde_json::{Value, json};

use super::{Desk, reply};
use crate::error::{Error, Kind, Result};
use crate::model::{Answer, Context, FieldDefinition, Resource, ServiceId};
use crate::unify;
use crate::vault::custom_mappings::{self, CustomMapping, TargetId};

/// `GET /vault/custom-mappings/{unified_api}/{service_id}`.
///
/// # Errors
/// `ConnectionNotFoundError`.
pub(super) async fn list(desk: &Desk<'_>) -> Result<Answer> {
    all(desk, None).await
}

/// `GET /vault/connections/{unified_api}/{service_id}/{resource}/custom-mappings`.
///
/// # Errors
/// `ConnectionNotFoundError`; `EntityNotFoundError`: no such resource.
pub(super) async fn of_resource(desk: &Desk<'_>) -> Result<Answer> {
    all(desk, Some(resource(desk)?)).await
}

async fn all(desk: &Desk<'_>, resource: Option<Resource>) -> Result<Answer> {
    let store = &desk.shared.store;
    let service = service(desk)?;
    let found = custom_mappings::list(store, desk.app()?, desk.consumer()?, &service, resource).await?;
    Ok(reply::ok(found.iter().map(|mapping| record(desk, mapping)).collect::<Result<Vec<Value>>>()?))
}

/// `GET /vault/custom-mappings/{unified_api}/{service_id}/{target_field_id}`.
///
/// # Errors
/// `ConnectionNotFoundError`, `EntityNotFoundError`.
pub(super) async fn one(desk: &Desk<'_>) -> Result<Answer> {
    let (service, id) = (service(desk)?, target(desk)?);
    let found =
        custom_mappings::one(&desk.shared.store, desk.app()?, desk.consumer()?, &service, &id).await?;
    Ok(reply::ok(record(desk, &found)?))
}

/// `POST …`: gives the connection its path.
///
/// # Errors
/// `ConnectionNotFoundError`, `RequestValidationError`, `ConflictError`.
pub(super) async fn create(desk: &Desk<'_>) -> Result<Answer> {
    let (service, id) = (service(desk)?, target(desk)?);
    let store = &desk.shared.store;
    let made =
        custom_mappings::create(store, desk.app()?, desk.consumer()?, &service, &id, path(desk)).await?;
    Ok(reply::ok(record(desk, &made)?))
}

/// `PATCH …`: changes the path.
///
/// # Errors
/// `ConnectionNotFoundError`, `EntityNotFoundError`, `RequestValidationError`.
pub(super) async fn update(desk: &Desk<'_>) -> Result<Answer> {
    let (service, id) = (service(desk)?, target(desk)?);
    let store = &desk.shared.store;
    let (app, consumer) = (desk.app()?, desk.consumer()?);
    let changed = match desk.call.body.as_ref().and_then(|body| body.get("value")) {
        Some(_) => custom_mappings::update(store, app, consumer, &service, &id, path(desk)).await?,
        None => custom_mappings::one(store, app, consumer, &service, &id).await?,
    };
    Ok(reply::ok(record(desk, &changed)?))
}

/// `DELETE …`: forgets the path.
///
/// # Errors
/// `ConnectionNotFoundError`, `EntityNotFoundError`.
pub(super) async fn delete(desk: &Desk<'_>) -> Result<Answer> {
    let (service, id) = (service(desk)?, target(desk)?);
    custom_mappings::delete(&desk.shared.store, desk.app()?, desk.consumer()?, &service, &id).await?;
    Ok(reply::no_content())
}

/// `GET /vault/connections/{unified_api}/{service_id}/{resource}/custom-fields`: what the CRM says of its customer's fields
/// at the moment.
///
/// # Errors
/// Those of resolving a connection, and the CRM's own.
pub(super) async fn fields(desk: &Desk<'_>) -> Result<Answer> {
    let parent = desk.call.query.keys.iter().find(|(name, _)| name == "resource_id");
    let parent = parent.and_then(|(_, id)| id.as_str().map(str::to_owned));
    let context = Context {
        request_id: desk.visitor.request_id.clone(),
        app: desk.app()?.clone(),
        consumer: desk.consumer()?.clone(),
        service: Some(service(desk)?),
        remote: desk.visitor.remote,
        public_base: desk.visitor.public_base.clone(),
        trail: desk.visitor.trail.clone(),
        trace: None,
        idempotency_key: None,
    };
    let found = unify::custom_fields(desk.shared, &context, resource(desk)?, parent).await?;
    let shown = found.definitions.fields.iter().filter(|field| field.custom);
    let shown = shown.map(|field| finder(field, found.base.as_deref()));
    Ok(reply::ok(shown.collect::<Vec<Value>>()))
}

/// A field of the CRM, with the path under which its records have it.
fn finder(field: &FieldDefinition, base: Option<&str>) -> Value {
    let quoted = |key: &str| format!("['{}']", key.replace('\\', "\\\\").replace('\'', "\\'"));
    let base: String = base.into_iter().flat_map(|base| base.split('.')).map(quoted).collect();
    json!({
        "id": field.id,
        "name": field.name,
        "description": field.description,
        "finder": format!("${base}{}", quoted(&field.id)),
    })
}

fn record(desk: &Desk<'_>, mapping: &CustomMapping) -> Result<Value> {
    let mut record = json!({
        "id": mapping.id().to_string(),
        "key": mapping.target.key,
        "label": mapping.target.label,
        "description": mapping.target.description,
        "required": false,
        "custom_field": false,
        "consumer_id": desk.consumer()?.as_str(),
    });
    if let (Some(path), Some(record)) = (&mapping.path, record.as_object_mut()) {
        record.insert("value".to_owned(), json!(path));
    }
    Ok(record)
}

/// The CRM meant; of the unified APIs there is one.
fn service(desk: &Desk<'_>) -> Result<ServiceId> {
    match desk.call.id("unified_api") {
        "crm" => Ok(ServiceId::new(desk.call.id("service_id"))),
        _ => Err(Error::new(Kind::EntityNotFoundError, "The only unified API here is `crm`.")),
    }
}

fn resource(desk: &Desk<'_>) -> Result<Resource> {
    let name = desk.call.id("resource");
    Resource::from_name(name)
        .ok_or_else(|| Error::new(Kind::EntityNotFoundError, format!("There is no resource `{name}`.")))
}

fn target(desk: &Desk<'_>) -> Result<TargetId> {
    TargetId::parse(desk.call.id("target_field_id"))
}

fn path<'d>(desk: &'d Desk<'_>) -> &'d str {
    desk.call.body.as_ref().and_then(|body| body.get("value")?.as_str()).unwrap_or_default()
}
