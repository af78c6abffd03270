//! Fields of an application's own: declared by it, found by each connection where its CRM has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::error::{Error, Kind, Result};
use crate::mapping::{CustomMappings, Finder};
use crate::model::{AppId, Connection, ConnectionId, ConsumerId, Resource, ServiceId};
use crate::storage::{self, MappingSource, MappingTarget, Store};

/// Which target field: `crm+contacts+lead_score` on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetId {
    /// Of which resource.
    pub resource: Resource,
    /// Its name in `custom_mappings`.
    pub key: String,
}

/// A target field as one connection has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomMapping {
    /// The target field.
    pub target: MappingTarget,
    /// The path into the CRM's record; none where the connection has none yet.
    pub path: Option<String>,
}

impl TargetId {
    /// Reads `crm+<resource>+<key>`.
    ///
    /// # Errors
    /// `EntityNotFoundError`: no field can have that id.
    pub fn parse(text: &str) -> Result<TargetId> {
        let mut parts = text.splitn(3, '+');
        let found = match (parts.next(), parts.next(), parts.next()) {
            (Some("crm"), Some(resource), Some(key)) if usable(key) => {
                Resource::from_name(resource).map(|resource| TargetId { resource, key: key.to_owned() })
            }
            _ => None,
        };
        found.ok_or_else(|| {
            Error::new(
                Kind::EntityNotFoundError,
                "There is no target field with that id; it has the form `crm+contacts+lead_score`.",
            )
        })
    }
}

impl std::fmt::Display for TargetId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "crm+{}+{}", self.resource, self.key)
    }
}

impl CustomMapping {
    /// The target field's id.
    pub fn id(&self) -> TargetId {
        TargetId { resource: self.target.resource, key: self.target.key.clone() }
    }
}

/// Whether a name can stand in `custom_mappings` and in `fields`: letters, digits, `_` and `-`, 64 at most.
fn usable(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !key.is_empty() && key.len() <= 64 && key.bytes().all(plain)
}

/// Declares a target field of an application, or changes its texts.
///
/// # Errors
/// `RequestValidationError`: the key cannot be one, or there are too many.
pub async fn declare(store: &Store, app: &AppId, target: &MappingTarget) -> Result<()> {
    if !usable(&target.key) {
        let says = "The key of a target field has 1 to 64 letters, digits, `_` or `-`.";
        let fault = json!({ "pointer": "/key", "message": says });
        return Err(Error::new(Kind::RequestValidationError, says).detail(vec![fault]));
    }
    store.set_mapping_target(app, target).await.map_err(stored)
}

/// The target fields of an application as a connection has them, of one resource where one is given.
///
/// # Errors
/// `ConnectionNotFoundError`.
pub async fn list(
    store: &Store,
    app: &AppId,
    consumer: &ConsumerId,
    service: &ServiceId,
    resource: Option<Resource>,
) -> Result<Vec<CustomMapping>> {
    let connection = connection(store, app, consumer, service).await?;
    let targets = store.mapping_targets(app, Some(service)).await?;
    let sources = store.mapping_sources(app, consumer).await?;
    let path = |target: &MappingTarget| {
        let source = sources.iter().find(|source| {
            source.connection == connection.id
                && source.resource == target.resource
                && source.key == target.key
        });
        source.and_then(|source| source.path.clone())
    };
    Ok(targets
        .into_iter()
        .filter(|target| resource.is_none_or(|resource| target.resource == resource))
        .map(|target| CustomMapping { path: path(&target), target })
        .collect())
}

/// One target field as a connection has it.
///
/// # Errors
/// `ConnectionNotFoundError`; `EntityNotFoundError`: the application has no such target field.
pub async fn one(
    store: &Store,
    app: &AppId,
    consumer: &ConsumerId,
    service: &ServiceId,
    id: &TargetId,
) -> Result<CustomMapping> {
    let all = list(store, app, consumer, service, Some(id.resource)).await?;
    all.into_iter().find(|mapping| mapping.target.key == id.key).ok_or_else(|| {
        Error::new(Kind::EntityNotFoundError, format!("There is no target field `{id}` of `{service}`."))
    })
}

/// Gives a connection its path for a target field, declaring that field where the application has not yet.
///
/// # Errors
/// `ConnectionNotFoundError`; `RequestValidationError`: the path is none, with its position; `ConflictError`: the
/// connection has a path already.
pub async fn create(
    store: &Store,
    app: &AppId,
    consumer: &ConsumerId,
    service: &ServiceId,
    id: &TargetId,
    path: &str,
) -> Result<CustomMapping> {
    check(path)?;
    let known = list(store, app, consumer, service, Some(id.resource)).await?;
    match known.iter().find(|mapping| mapping.target.key == id.key) {
        Some(mapping) if mapping.path.is_some() => {
            let says = format!("The connection has a path for `{id}` already.");
            return Err(Error::new(Kind::ConflictError, says));
        }
        Some(_) => {}
        None => {
            let target = MappingTarget {
                service: service.clone(),
                resource: id.resource,
                key: id.key.clone(),
                label: id.key.clone(),
                description: None,
            };
            declare(store, app, &target).await?;
        }
    }
    set(store, app, consumer, service, id, Some(path)).await
}

/// Changes a connection's path for a target field.
///
/// # Errors
/// `ConnectionNotFoundError`; `EntityNotFoundError`: the connection has no path for it; `RequestValidationError`.
pub async fn update(
    store: &Store,
    app: &AppId,
    consumer: &ConsumerId,
    service: &ServiceId,
    id: &TargetId,
    path: &str,
) -> Result<CustomMapping> {
    check(path)?;
    has_path(store, app, consumer, service, id).await?;
    set(store, app, consumer, service, id, Some(path)).await
}

/// Forgets a connection's path for a target field; the field itself stays declared.
///
/// # Errors
/// `ConnectionNotFoundError`; `EntityNotFoundError`: the connection has no path for it.
pub async fn delete(
    store: &Store,
    app: &AppId,
    consumer: &ConsumerId,
    service: &ServiceId,
    id: &TargetId,
) -> Result<()> {
    has_path(store, app, consumer, service, id).await?;
    set(store, app, consumer, service, id, None).await.map(drop)
}

async fn has_path(
    store: &Store,
    app: &AppId,
    consumer: &ConsumerId,
    service: &ServiceId,
    id: &TargetId,
) -> Result<()> {
    match one(store, app, consumer, service, id).await?.path {
        Some(_) => Ok(()),
        None => {
            let says = format!("The connection has no path for `{id}`.");
            Err(Error::new(Kind::EntityNotFoundError, says))
        }
    }
}

/// Sets a connection's path for a declared target field, or forgets it.
///
/// # Errors
/// `ConnectionNotFoundError`; `EntityNotFoundError`: no such target field; `RequestValidationError`: the path is none.
pub async fn set(
    store: &Store,
    app: &AppId,
    consumer: &ConsumerId,
    service: &ServiceId,
    id: &TargetId,
    path: Option<&str>,
) -> Result<CustomMapping> {
    if let Some(path) = path {
        check(path)?;
    }
    let connection = connection(store, app, consumer, service).await?;
    store.set_mapping_source(&connection, id.resource, &id.key, path).await.map_err(stored)?;
    one(store, app, consumer, service, id).await
}

/// Whether a text is a path that can be used.
fn check(path: &str) -> Result<()> {
    Finder::parse(path).map(drop).map_err(|message| {
        Error::new(Kind::RequestValidationError, "The path cannot be used.")
            .detail(vec![json!({ "pointer": "/value", "message": message })])
    })
}

async fn connection(
    store: &Store,
    app: &AppId,
    consumer: &ConsumerId,
    service: &ServiceId,
) -> Result<Connection> {
    let all = store.connections(app, Some(consumer)).await?;
    let found = all.into_iter().map(|stored| stored.connection).find(|known| known.service == *service);
    found.ok_or_else(|| {
        let says = format!("Consumer `{consumer}` has no connection to `{service}`.");
        Error::new(Kind::ConnectionNotFoundError, says)
    })
}

fn stored(error: storage::Error) -> Error {
    match error {
        storage::Error::Missing(..) => Error::new(Kind::EntityNotFoundError, format!("{error}.")),
        storage::Error::Unusable(says) => Error::new(Kind::RequestValidationError, format!("{says}.")),
        other => other.into(),
    }
}

/// What a connection maps, by resource; nothing of a resource for which it has no path at all. A path that is no longer
/// one is left out.
pub(super) fn compile(
    connection: &ConnectionId,
    sources: &[MappingSource],
) -> BTreeMap<Resource, Arc<CustomMappings>> {
    let mut fields: BTreeMap<Resource, Vec<(String, Option<Finder>)>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.connection == *connection) {
        let finder = source.path.as_deref().and_then(|path| Finder::parse(path).ok());
        fields.entry(source.resource).or_default().push((source.key.clone(), finder));
    }
    fields.retain(|_, fields| fields.iter().any(|(_, finder)| finder.is_some()));
    fields.into_iter().map(|(resource, fields)| (resource, Arc::new(CustomMappings::new(fields)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_api_resource_and_key() {
        let id = TargetId::parse("crm+contacts+lead_score").unwrap();
        assert_eq!((id.resource, id.key.as_str()), (Resource::Contacts, "lead_score"));
        assert_eq!(id.to_string(), "crm+contacts+lead_score");
        for bad in [
            "",
            "lead_score",
            "hris+employees+a",
            "crm+nothing+a",
            "crm+contacts+",
            "crm+contacts+a b",
            "crm+contacts+a+b",
        ] {
            assert!(TargetId::parse(bad).is_err(), "{bad}");
        }
    }
}
