//! Connections: list, one, create, update, delete, import, migrate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::card::{Card, UNIFIED_API};
use super::reply::{no_content, ok, told};
use super::{Desk, defaults, form};
use crate::app::Service;
use crate::error::{Error, Kind, Result};
use crate::model::{Answer, Connection, ConnectionState, ConsumerId, Credentials, Secret, ServiceId};
use crate::storage::{Extras, Integration, NewConnection, StoredConnection, now_ms};
use crate::vault::state::{Event, after};

/// The connector of the path, and what there is of it.
pub struct Found {
    /// Its id.
    pub id: ServiceId,
    /// The connector.
    pub service: Arc<Service>,
    /// The application's settings for it.
    pub integration: Option<Integration>,
    /// The consumer's connection.
    pub stored: Option<StoredConnection>,
}

/// `GET /vault/connections`: all that the application has enabled, and what the consumer has made of them.
///
/// # Errors
/// The database failed.
pub(super) async fn list(desk: &Desk<'_>) -> Result<Answer> {
    if desk.key("api").is_some_and(|api| api != UNIFIED_API) {
        return Ok(ok(Vec::<Value>::new()));
    }
    let configured = desk.call.query.keys.iter().find(|(name, _)| name == "configured");
    let configured = configured.and_then(|(_, value)| value.as_bool());
    let consumer = desk.visitor.consumer.as_ref();
    let mut cards = Vec::new();
    for (stored, card) in cards_of(desk, consumer, |card| card.whole(desk, consumer)).await? {
        if configured.is_none_or(|wanted| wanted == stored) {
            cards.push(card);
        }
    }
    Ok(ok(cards))
}

/// A consumer's connections in short; those that are only available are left out.
///
/// # Errors
/// The database failed.
pub async fn in_short(desk: &Desk<'_>, consumer: &ConsumerId) -> Result<Vec<Value>> {
    let cards = cards_of(desk, Some(consumer), |card| Ok(card.short(consumer))).await?;
    Ok(cards.into_iter().filter(|(stored, _)| *stored).map(|(_, card)| card).collect())
}

/// Every connector that the application has enabled or the consumer has a connection to, and whether the latter.
async fn cards_of(
    desk: &Desk<'_>,
    consumer: Option<&ConsumerId>,
    show: impl Fn(&Card<'_>) -> Result<Value>,
) -> Result<Vec<(bool, Value)>> {
    let (app, store) = (desk.app()?, &desk.shared.store);
    let integrations = store.integrations(app).await?;
    let (stored, extras) = match consumer {
        Some(consumer) => (store.connections(app, Some(consumer)).await?, store.extras(app, consumer).await?),
        None => (Vec::new(), BTreeMap::new()),
    };
    let scopes = store.data_scopes(app).await?;
    let services = desk.shared.services();
    let ids: BTreeSet<&ServiceId> = integrations
        .iter()
        .filter(|integration| integration.enabled)
        .map(|integration| &integration.service)
        .chain(stored.iter().map(|stored| &stored.connection.service))
        .collect();
    let mut cards = Vec::new();
    for id in ids {
        let Some(service) = services.get(id) else { continue };
        let stored = stored.iter().find(|stored| stored.connection.service == *id);
        let card = Card {
            id,
            service,
            integration: integrations.iter().find(|integration| integration.service == *id),
            stored,
            extras: stored.and_then(|stored| extras.get(&stored.connection.id)),
            scopes: scopes.as_ref(),
        };
        cards.push((stored.is_some(), show(&card)?));
    }
    Ok(cards)
}

/// `GET /vault/connections/{unified_api}/{service_id}`: `available` where there is none yet.
///
/// # Errors
/// `ConnectorNotFoundError`, `IntegrationNotFoundError`.
pub(super) async fn one(desk: &Desk<'_>) -> Result<Answer> {
    shown(desk).await
}

/// `POST /vault/connections/{unified_api}/{service_id}`.
///
/// # Errors
/// `ConflictError` where there is one; those of [`find`] and of the settings.
pub(super) async fn create(desk: &Desk<'_>) -> Result<Answer> {
    let found = find(desk).await?;
    if found.stored.is_some() {
        let says = format!("The consumer has a connection to `{}` already: change it with PATCH.", found.id);
        return Err(Error::new(Kind::ConflictError, says));
    }
    write(desk, found, desk.body(), None).await
}

/// `PATCH /vault/connections/{unified_api}/{service_id}`: what the body names is changed. One that is only available is
/// created.
///
/// # Errors
/// Those of [`find`] and of the settings.
pub(super) async fn update(desk: &Desk<'_>) -> Result<Answer> {
    write(desk, find(desk).await?, desk.body(), None).await
}

/// `POST …/import`: credentials that were granted elsewhere. Replaces those that there are.
///
/// # Errors
/// `InvalidStateError` where the connector has no OAuth side; those of [`find`] and of the settings.
pub(super) async fn import(desk: &Desk<'_>) -> Result<Answer> {
    let found = find(desk).await?;
    let credentials = match desk.body().get("credentials").and_then(Value::as_object) {
        None => None,
        Some(_) if found.service.oauth.is_none() => {
            let says = format!("`{}` has no OAuth side: its secrets are settings of the form.", found.id);
            return Err(Error::new(Kind::InvalidStateError, says));
        }
        Some(given) => Some(imported(given)?),
    };
    write(desk, found, desk.body(), credentials).await
}

/// Tokens as they are imported.
fn imported(given: &Map<String, Value>) -> Result<Credentials> {
    let text = |name: &str| given.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    if access.is_none() && refresh.is_none() {
        let says = "One of the keys access_token, refresh_token is required.";
        let fault = json!({ "pointer": "/credentials", "message": says });
        return Err(Error::new(Kind::RequestValidationError, says).detail(json!({ "errors": [fault] })));
    }
    let issued = text("issued_at").and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let issued_s = issued.map_or(now_ms() / 1000, jiff::Timestamp::as_second);
    let lasts_s = given.get("expires_in").and_then(Value::as_i64);
    Ok(Credentials::OAuth {
        access_token: Secret::new(access.unwrap_or_default()),
        refresh_token: refresh.map(Secret::new),
        expires_at: lasts_s.map(|lasts| issued_s.saturating_add(lasts)),
        scope: String::new(),
    })
}

/// `DELETE /vault/connections/{unified_api}/{service_id}`.
///
/// # Errors
/// `ConnectionNotFoundError`, and those of [`find`].
pub(super) async fn delete(desk: &Desk<'_>) -> Result<Answer> {
    let found = find(desk).await?;
    let stored = there(&found)?;
    let of = &stored.connection;
    desk.shared.store.delete_connection(&of.app, &of.consumer, &of.service).await.map_err(told)?;
    Ok(no_content())
}

/// `POST …/migrate`: to a connector that takes over the credentials of another. None here does.
///
/// # Errors
/// `InvalidStateError`; `ConnectorNotFoundError` for either; `ConnectionNotFoundError`.
pub(super) async fn migrate(desk: &Desk<'_>) -> Result<Answer> {
    let found = find(desk).await?;
    there(&found)?;
    let target = desk.body().get("target_service_id").and_then(Value::as_str).unwrap_or_default();
    if !desk.shared.services().contains_key(&ServiceId::new(target)) {
        return Err(no_connector(target));
    }
    let says =
        format!("A connection to `{}` cannot be moved to `{target}`: their credentials differ.", found.id);
    Err(Error::new(Kind::InvalidStateError, says))
}

/// Finds the connector of the path and the consumer's connection.
///
/// # Errors
/// `ConnectorNotFoundError` for an unknown connector or unified API; `IntegrationNotFoundError` where the application has
/// not enabled it and there is no connection.
pub async fn find(desk: &Desk<'_>) -> Result<Found> {
    let (api, id) = (desk.call.id("unified_api"), desk.call.id("service_id"));
    let service = desk.shared.services().get(&ServiceId::new(id)).cloned().filter(|_| api == UNIFIED_API);
    let service = service.ok_or_else(|| no_connector(id))?;
    let (app, consumer, id) = (desk.app()?, desk.consumer()?, ServiceId::new(id));
    let store = &desk.shared.store;
    let integration =
        store.integrations(app).await?.into_iter().find(|integration| integration.service == id);
    let stored = store.connection(app, consumer, &id).await?;
    if integration.is_none() && stored.is_none() {
        let says = format!("The application has not enabled the connector `{id}`.");
        return Err(Error::new(Kind::IntegrationNotFoundError, says));
    }
    Ok(Found { id, service, integration, stored })
}

/// The connection itself.
///
/// # Errors
/// `ConnectionNotFoundError`.
pub fn there(found: &Found) -> Result<&StoredConnection> {
    found.stored.as_ref().ok_or_else(|| {
        let says = format!("The consumer has no connection to `{}`.", found.id);
        Error::new(Kind::ConnectionNotFoundError, says)
    })
}

fn no_connector(id: &str) -> Error {
    Error::new(Kind::ConnectorNotFoundError, format!("There is no CRM connector `{id}`."))
}

/// 200 with the connection as it is now.
///
/// # Errors
/// Those of [`find`].
pub async fn shown(desk: &Desk<'_>) -> Result<Answer> {
    let (found, store) = (find(desk).await?, &desk.shared.store);
    let (app, consumer) = (desk.app()?, desk.consumer()?);
    let mut extras = store.extras(app, consumer).await?;
    let own: Option<Extras> = found.stored.as_ref().and_then(|stored| extras.remove(&stored.connection.id));
    let scopes = store.data_scopes(app).await?;
    let card = Card {
        id: &found.id,
        service: &found.service,
        integration: found.integration.as_ref(),
        stored: found.stored.as_ref(),
        extras: own.as_ref(),
        scopes: scopes.as_ref(),
    };
    let mut answer = ok(card.whole(desk, Some(consumer))?);
    answer.service = Some(found.id);
    Ok(answer)
}

/// Writes what a body says of a connection, which is made where there is none; everything is checked first.
async fn write(
    desk: &Desk<'_>,
    found: Found,
    body: &Map<String, Value>,
    credentials: Option<Credentials>,
) -> Result<Answer> {
    let empty = Map::new();
    let entered =
        form::read(&found.service, body.get("settings").and_then(Value::as_object).unwrap_or(&empty))?;
    let configuration = defaults::read_configuration(desk, &found.service, body)?;
    let of = match found.stored {
        Some(stored) => stored,
        None => added(desk, &found.id).await?,
    };
    let mut metadata = of.metadata.clone();
    let of = of.connection;
    let store = &desk.shared.store;
    let (credentials, mut events) =
        signed_by(desk, &found.service, &of, entered.secrets, credentials).await?;
    let mut settings = of.settings.clone();
    for (id, value) in entered.settings {
        match value {
            Some(value) => settings.insert(id, value),
            None => settings.remove(&id),
        };
    }
    let set = |id: &String| settings.get(id).is_some_and(|value| !value.trim().is_empty());
    let complete = found.service.required_settings.iter().all(set);
    events.push(if complete { Event::Completed } else { Event::Lacking });
    let state = after(of.state, &events);
    if let Some(credentials) = &credentials {
        store.set_credentials(&of, credentials, state).await.map_err(told)?;
    }
    if settings != of.settings || state != of.state {
        store.set_settings(&of, &settings, state).await.map_err(told)?;
    }
    if let Some(enabled) = body.get("enabled").and_then(Value::as_bool).filter(|on| *on != of.enabled) {
        store.enable_connection(&of, enabled).await.map_err(told)?;
    }
    if let Some(given) = body.get("metadata").and_then(Value::as_object) {
        merge(&mut metadata, given);
        store.set_connection_metadata(&of, &metadata).await?;
    }
    for (resource, defaults) in configuration {
        store.set_defaults(&of, &resource, &defaults).await?;
    }
    shown(desk).await
}

/// A connection that was only available: its consumer is made at the first.
async fn added(desk: &Desk<'_>, service: &ServiceId) -> Result<StoredConnection> {
    let (app, consumer, store) = (desk.app()?, desk.consumer()?, &desk.shared.store);
    store.ensure_consumer(app, consumer).await.map_err(told)?;
    let new = NewConnection {
        app,
        consumer,
        service,
        state: after(ConnectionState::Available, &[Event::Added]),
        settings: BTreeMap::new(),
        captured: BTreeMap::new(),
        credentials: None,
    };
    store.create_connection(new).await.map_err(told)
}

/// The credentials that are to be stored, if any, and what that means for the state. Secrets that were entered join those
/// that are there; tokens come instead of them.
async fn signed_by(
    desk: &Desk<'_>,
    service: &Service,
    of: &Connection,
    entered: BTreeMap<String, Option<Secret>>,
    tokens: Option<Credentials>,
) -> Result<(Option<Credentials>, Vec<Event>)> {
    if tokens.is_some() {
        return Ok((tokens, vec![Event::Authorized]));
    }
    if entered.is_empty() {
        return Ok((None, Vec::new()));
    }
    let opened = desk.shared.store.opened_connection(of).await?;
    let mut values = match opened.and_then(|(_, found)| found).map(|found| found.credentials) {
        Some(Credentials::Static { values }) => values,
        _ => BTreeMap::new(),
    };
    for (id, secret) in entered {
        match secret {
            Some(secret) => values.insert(id, secret),
            None => values.remove(&id),
        };
    }
    let event = if form::complete(service, &values) { Event::Authorized } else { Event::Revoked };
    Ok((Some(Credentials::Static { values }), vec![event]))
}

fn merge(into: &mut Map<String, Value>, given: &Map<String, Value>) {
    for (name, value) in given {
        match value {
            Value::Null => into.remove(name),
            value => into.insert(name.clone(), value.clone()),
        };
    }
}
