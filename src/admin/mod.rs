//! Administration. In: what an operator wants set up. Out: it, and what to show. Never: SQL, sockets, a secret on a
//! command line.
//!
//! [`commands`] the verbs `apps`, `keys`, `consumers`, `integrations` and `connections` · [`mappings`] `custom-mappings` · [`input`] secrets from files and
//! standard input · [`mod@print`] tables and JSON · [`demo`] the demo's application, consumers and connections.

pub mod commands;
pub mod demo;
pub mod input;
pub mod mappings;
pub mod print;

pub use commands::{Command, run};
pub use demo::{DemoConnection, seed_demo};

use std::collections::BTreeMap;

use crate::model::{AppId, Connection, ConnectionState, ConsumerId, Credentials, ServiceId};
use crate::storage::{self, NewConnection, Store, StoredConnection};
use crate::vault::Connectors;

/// Why something could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be stored or read.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// What was given cannot be used.
    #[error("{0}")]
    Input(String),
    /// A file or stream failed.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The result could not be shown.
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
}

/// How far a connection is, judged by what it has.
pub fn state_of(
    required: &[String],
    settings: &BTreeMap<String, String>,
    authorised: bool,
) -> ConnectionState {
    let complete = required.iter().all(|id| settings.get(id).is_some_and(|value| !value.trim().is_empty()));
    match (authorised, complete) {
        (false, _) => ConnectionState::Added,
        (true, false) => ConnectionState::Authorized,
        (true, true) => ConnectionState::Callable,
    }
}

/// The settings that a connection to the connector must have. Errors: there is no such connector.
pub fn required_settings<'a>(connectors: Connectors<'a>, service: &ServiceId) -> Result<&'a [String], Error> {
    connectors(service.as_str()).ok_or_else(|| Error::Input(format!("there is no connector {service}")))
}

/// A consumer's connection to a service. Errors: there is none.
pub async fn connection(
    store: &Store,
    app: &AppId,
    consumer: &ConsumerId,
    service: &ServiceId,
) -> Result<StoredConnection, Error> {
    let all = store.connections(app, Some(consumer)).await?;
    let found = all.into_iter().find(|stored| stored.connection.service == *service);
    found.ok_or_else(|| storage::Error::Missing("connection", format!("of {consumer} to {service}")).into())
}

/// Creates a connection, as far along as its settings and credentials take it.
pub async fn connect(
    store: &Store,
    connectors: Connectors<'_>,
    (app, consumer, service): (&AppId, &ConsumerId, &ServiceId),
    settings: BTreeMap<String, String>,
    credentials: Option<Credentials>,
) -> Result<StoredConnection, Error> {
    let required = required_settings(connectors, service)?;
    let state = state_of(required, &settings, credentials.is_some());
    let captured = BTreeMap::new();
    let new = NewConnection { app, consumer, service, state, settings, captured, credentials };
    Ok(store.create_connection(new).await?)
}

/// Gives a connection new credentials; an invalid one comes back by it.
pub async fn authorise(
    store: &Store,
    connectors: Connectors<'_>,
    of: &Connection,
    credentials: &Credentials,
) -> Result<ConnectionState, Error> {
    let required = required_settings(connectors, &of.service)?;
    let state = state_of(required, &of.settings, true);
    store.set_credentials(of, credentials, state).await?;
    Ok(state)
}
