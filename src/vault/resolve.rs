//! Which connection is meant, and whether it can be called.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use serde_json::{Value, json};

use super::scopes::Limits;
use super::{Vault, custom_mappings};
use crate::error::{self, Error, Kind};
use crate::mapping::CustomMappings;
use crate::model::{AppId, Connection, ConnectionState, ConsumerId, Credentials, Resource, ServiceId};
use crate::storage::{Integration, StoredConnection, StoredCredentials, Topic};

/// A connection that can be called, with what signs its requests.
#[derive(Debug)]
pub struct Resolved {
    /// The connection.
    pub connection: Arc<Connection>,
    /// What signs its requests.
    pub credentials: Credentials,
    /// Which version of the credentials it is.
    pub version: i64,
    /// When they were obtained, in seconds since 1970.
    pub obtained_at: i64,
    /// The application's settings for the connector.
    pub integration: Arc<Integration>,
    /// What fields are limited to; none where all are granted.
    pub limits: Option<Arc<Limits>>,
    /// Values that fill bodies of creates, by resource.
    pub defaults: Arc<BTreeMap<String, Vec<Value>>>,
    /// Fields of the application's own, found where this connection has them, by resource.
    pub custom_mappings: Arc<BTreeMap<Resource, Arc<CustomMappings>>>,
}

/// What the registry says about a service id: none where there is no such connector, else the ids of the settings that
/// a connection must have.
pub type Connectors<'a> = &'a (dyn Fn(&str) -> Option<&'a [String]> + Sync);

/// An application's integrations by service id.
pub type Integrations = BTreeMap<ServiceId, Arc<Integration>>;

/// A consumer's connections, by service id.
pub type Connections = Vec<Entry>;

/// One of a consumer's connections, as good as it is.
pub struct Entry {
    stored: StoredConnection,
    integration: Option<Arc<Integration>>,
    resolved: Option<Arc<Resolved>>,
}

/// How long a consumer is kept: less without connections, as anyone can make up consumers.
pub(super) struct Keep {
    pub some: Duration,
    pub none: Duration,
}

impl<K> Expiry<K, Arc<Connections>> for Keep {
    fn expire_after_create(&self, _: &K, connections: &Arc<Connections>, _: Instant) -> Option<Duration> {
        Some(if connections.is_empty() { self.none } else { self.some })
    }
}

impl Vault {
    /// The connection of that consumer: to the service named, or the only one where none is.
    ///
    /// Errors, in this order: `ConnectorNotFoundError`, `IntegrationNotFoundError`, `ConnectionNotFoundError`,
    /// `InvalidStateError` (several and no service id: the detail lists them), `ConnectorDisabledError`,
    /// `ConnectorCredentialsError`, `ConnectionSettingsError` (the detail lists what is missing).
    pub async fn resolve(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
        service: Option<&ServiceId>,
        connectors: Connectors<'_>,
    ) -> error::Result<Arc<Resolved>> {
        if let Some(service) = service {
            connector(connectors, service)?;
        }
        let connections = self.connections(app, consumer).await?;
        let entry = match service {
            Some(service) => match connections.iter().find(|entry| entry.service() == service) {
                Some(entry) => entry,
                None => return Err(self.no_connection(app, consumer, service).await),
            },
            None => only(&connections, consumer)?,
        };
        entry.callable(connector(connectors, entry.service())?)
    }

    /// Why there is no connection: the application's fault comes before the consumer's.
    async fn no_connection(&self, app: &AppId, consumer: &ConsumerId, service: &ServiceId) -> Error {
        match self.integrations(app).await {
            Ok(integrations) if !integrations.contains_key(service) => no_integration(service),
            Ok(_) => Error::new(
                Kind::ConnectionNotFoundError,
                format!("Consumer `{consumer}` has no connection to `{service}`."),
            ),
            Err(error) => error,
        }
    }

    pub(super) async fn integrations(&self, app: &AppId) -> error::Result<Arc<Integrations>> {
        let inner = &self.0;
        let slot = (app.clone(), inner.store.epoch(Topic::Integrations(app.as_str())));
        let loaded = inner.integrations.try_get_with(slot, async {
            let all = inner.store.integrations(app).await.map_err(|error| error.to_string())?;
            Ok::<_, String>(Arc::new(
                all.into_iter().map(|one| (one.service.clone(), Arc::new(one))).collect(),
            ))
        });
        loaded.await.map_err(Error::internal)
    }

    pub(super) async fn connections(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
    ) -> error::Result<Arc<Connections>> {
        let inner = &self.0;
        let slot = (
            app.clone(),
            consumer.clone(),
            inner.store.epoch(Topic::Consumer(app.as_str(), consumer.as_str())),
            inner.store.epoch(Topic::Integrations(app.as_str())),
        );
        if let Some(known) = inner.consumers.get(&slot).await {
            return Ok(known);
        }
        let loaded = inner.consumers.try_get_with(slot, async {
            let opened =
                inner.store.opened_connections(app, consumer).await.map_err(|error| error.to_string())?;
            if opened.is_empty() {
                return Ok(Arc::new(Vec::new()));
            }
            let integrations = self.integrations(app).await.map_err(|error| log_text(&error))?;
            let mut extras = inner.store.extras(app, consumer).await.map_err(|error| error.to_string())?;
            let scopes = inner.store.data_scopes(app).await.map_err(|error| error.to_string())?;
            let sources =
                inner.store.mapping_sources(app, consumer).await.map_err(|error| error.to_string())?;
            let entries = opened.into_iter().map(|(stored, credentials)| {
                let integration = integrations.get(&stored.connection.service).cloned();
                let own = extras.remove(&stored.connection.id).unwrap_or_default();
                let limits = Limits::of(scopes.as_ref(), &own.consents);
                let mappings = custom_mappings::compile(&stored.connection.id, &sources);
                Entry::new(stored, credentials, integration, limits, own.defaults, mappings)
            });
            Ok::<_, String>(Arc::new(entries.collect()))
        });
        loaded.await.map_err(Error::internal)
    }
}

fn log_text(error: &Error) -> String {
    error.log_source().map_or_else(|| error.to_string(), str::to_owned)
}

fn connector<'a>(connectors: Connectors<'a>, service: &ServiceId) -> error::Result<&'a [String]> {
    connectors(service.as_str()).ok_or_else(|| {
        Error::new(Kind::ConnectorNotFoundError, format!("There is no CRM connector `{service}`."))
    })
}

fn no_integration(service: &ServiceId) -> Error {
    let says = format!("The application has not enabled the connector `{service}`.");
    Error::new(Kind::IntegrationNotFoundError, says)
}

/// The only connection that is switched on, or the only one at all.
fn only<'a>(connections: &'a [Entry], consumer: &ConsumerId) -> error::Result<&'a Entry> {
    let mut on = connections.iter().filter(|entry| entry.stored.connection.enabled);
    match (on.next(), on.next(), connections) {
        (Some(entry), None, _) | (None, _, [entry]) => Ok(entry),
        (None, _, []) => {
            let says = format!("Consumer `{consumer}` has no connection to a CRM.");
            Err(Error::new(Kind::ConnectionNotFoundError, says))
        }
        _ => {
            let services: Vec<&str> = connections.iter().map(|entry| entry.service().as_str()).collect();
            let says = format!(
                "Consumer `{consumer}` has several connections: name one in `x-apideck-service-id` ({}).",
                services.join(", ")
            );
            Err(Error::new(Kind::InvalidStateError, says).detail(json!({ "service_ids": services })))
        }
    }
}

impl Entry {
    fn new(
        stored: StoredConnection,
        credentials: Option<StoredCredentials>,
        integration: Option<Arc<Integration>>,
        limits: Option<Arc<Limits>>,
        defaults: BTreeMap<String, Vec<Value>>,
        custom_mappings: BTreeMap<Resource, Arc<CustomMappings>>,
    ) -> Entry {
        let resolved = credentials.zip(integration.as_ref()).map(|(opened, integration)| {
            Arc::new(Resolved {
                connection: Arc::new(stored.connection.clone()),
                credentials: opened.credentials,
                version: opened.version,
                obtained_at: opened.updated_ms / 1000,
                integration: integration.clone(),
                limits,
                defaults: Arc::new(defaults),
                custom_mappings: Arc::new(custom_mappings),
            })
        });
        Entry { stored, integration, resolved }
    }

    fn service(&self) -> &ServiceId {
        &self.stored.connection.service
    }

    /// The connection, if it can be called.
    fn callable(&self, required: &[String]) -> error::Result<Arc<Resolved>> {
        let service = self.service();
        let connection = &self.stored.connection;
        let integration = self.integration.as_ref().ok_or_else(|| no_integration(service))?;
        if !integration.enabled {
            let says = format!("The application has switched the connector `{service}` off.");
            return Err(Error::new(Kind::ConnectorDisabledError, says));
        }
        if !connection.enabled {
            let says = format!("The connection to `{service}` is switched off.");
            return Err(Error::new(Kind::ConnectorDisabledError, says));
        }
        match connection.state {
            ConnectionState::Invalid => {
                return Err(invalid(
                    service,
                    self.stored.reason_code.as_deref(),
                    self.stored.reason.as_deref(),
                ));
            }
            ConnectionState::Available | ConnectionState::Added => return Err(unauthorised(service)),
            // What separates these two is settings, which are looked at below.
            ConnectionState::Authorized | ConnectionState::Callable => {}
        }
        let resolved = self.resolved.as_ref().ok_or_else(|| unauthorised(service))?;
        let set = |id: &&String| connection.settings.get(*id).is_some_and(|value| !value.trim().is_empty());
        let missing: Vec<&String> = required.iter().filter(|id| !set(id)).collect();
        if !missing.is_empty() {
            let says = format!("The connection to `{service}` lacks required settings.");
            return Err(Error::new(Kind::ConnectionSettingsError, says).detail(json!({ "missing": missing })));
        }
        Ok(resolved.clone())
    }
}

fn unauthorised(service: &ServiceId) -> Error {
    let says = format!("The connection to `{service}` is not authorised yet.");
    Error::new(Kind::ConnectorCredentialsError, says)
}

/// The connection ended: the CRM's reason goes to the caller.
pub(super) fn invalid(service: &ServiceId, code: Option<&str>, reason: Option<&str>) -> Error {
    let says = format!("The connection to `{service}` must be authorised again.");
    let reason = reason.unwrap_or("The CRM no longer accepts it.");
    Error::new(Kind::ConnectorCredentialsError, says)
        .detail(json!({ "reason": reason, "code": code.unwrap_or("invalid") }))
}

#[cfg(test)]
mod tests;
