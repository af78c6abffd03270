//! The other corridor, portal. In: calls of the Vault and Connector APIs. Out: replies in their envelope. Never:
//! sockets, SQL, records of a CRM.
//!
//! [`answer`] finds the operation's handler: one `match`. Handlers live in one file per noun and
//! read top to bottom: [`consumers`] · [`connections`], [`card`] a connection as the wire has it, [`form`] its settings form,
//! [`validate`] whether it works, [`defaults`] of resources, [`resources`] schema and example, [`consents`] · [`mod@oauth`] ·
//! [`custom_mappings`] · [`logs`] · [`reply`] the envelope and pages.
//!
//! # Adding an operation
//!
//! Routes, headers, query keys and bodies come from `openapi/vault.yaml` and `openapi/connector.yaml`: an operation that
//! stands there is routed and checked already, and answers "not served yet" until its arm of the `match` in `serve`
//! exists. To build one: write `pub(super) async fn verb(desk: &Desk<'_>) -> Result<Answer>` in the noun's file, name it in the
//! `match`, and call it from a test under `tests/gateway/` (every reply is held against the contract there). What it can
//! rely on: the key is the application's ([`Desk::app`]), required headers, query keys and the body are there and well
//! formed. What it must see to: that nothing is read but [`Desk::app`]'s. Operations with `security: []` in the contract are
//! open to all: no key was shown, [`Desk::app`] fails, and every unknown query key is in `Query::keys` as text.

pub mod card;
pub mod connections;
pub mod consents;
pub mod consumers;
pub mod custom_mappings;
pub mod defaults;
pub mod form;
pub mod logs;
pub mod oauth;
pub mod reply;
pub mod resources;
pub mod validate;

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use crate::app::App;
use crate::contract::Contract;
use crate::error::{Error, Kind, Result};
use crate::model::{Answer, AppId, ConsumerId, OperationId, PortalCall, Visitor};

/// What a handler works with: one call, who sent it, and what all calls share.
pub struct Desk<'a> {
    /// What all calls share.
    pub shared: &'a Arc<App>,
    /// What bodies are held against.
    pub contract: &'a Contract,
    /// Who calls, from where.
    pub visitor: &'a Visitor,
    /// What is asked.
    pub call: &'a PortalCall,
}

impl Desk<'_> {
    /// The body; empty where none was sent.
    pub fn body(&self) -> &Map<String, Value> {
        static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.call.body.as_ref().unwrap_or(&EMPTY)
    }

    /// A text among the query's own keys.
    pub fn key(&self, name: &str) -> Option<&str> {
        let found = self.call.query.keys.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.as_str())
    }

    /// The application whose key was shown.
    ///
    /// # Errors
    /// The operation is open to all: a fault of ours.
    pub fn app(&self) -> Result<&AppId> {
        self.visitor.app.as_ref().ok_or_else(|| Error::internal("an open operation asked whose key it was"))
    }

    /// The consumer named in the headers.
    ///
    /// # Errors
    /// The operation does not need one: a fault of ours.
    pub fn consumer(&self) -> Result<&ConsumerId> {
        let consumer = self.visitor.consumer.as_ref();
        consumer.ok_or_else(|| Error::internal("an operation without consumer asked for it"))
    }
}

/// Answers one call of the Vault or Connector API, of a caller who was let in where the operation needs a key.
///
/// # Errors
/// The row of the catalogue that the first fault on the way is.
pub async fn answer(
    app: &Arc<App>,
    contract: &Contract,
    visitor: Visitor,
    call: impl Future<Output = Result<PortalCall>> + Send,
) -> Result<Answer> {
    let call = call.await?;
    serve(&Desk { shared: app, contract, visitor: &visitor, call: &call }).await
}

async fn serve(desk: &Desk<'_>) -> Result<Answer> {
    use OperationId as Op;
    match desk.call.operation {
        Op::LogsAll => logs::list(desk).await,
        Op::LogsOne => logs::one(desk).await,
        Op::ConnectionsAuthorize => oauth::authorize(desk).await,
        Op::ConnectionsCallback => oauth::call_back(desk).await,
        Op::ConnectionsRevoke => oauth::revoke(desk).await,
        Op::ConnectionsToken => oauth::token(desk).await,
        Op::ConnectionsConfirm => oauth::confirm(desk).await,
        Op::CreateCallbackState => oauth::callback_state(desk).await,
        Op::ConsumersAll => consumers::list(desk).await,
        Op::ConsumersAdd => consumers::create(desk).await,
        Op::ConsumersOne => consumers::one(desk).await,
        Op::ConsumersUpdate => consumers::update(desk).await,
        Op::ConsumersDelete => consumers::delete(desk).await,
        Op::ConsumerRequestCountsAll => consumers::stats(desk).await,
        Op::ConnectionsAll => connections::list(desk).await,
        Op::ConnectionsOne => connections::one(desk).await,
        Op::ConnectionsAdd => connections::create(desk).await,
        Op::ConnectionsUpdate => connections::update(desk).await,
        Op::ConnectionsDelete => connections::delete(desk).await,
        Op::ConnectionsImport => connections::import(desk).await,
        Op::ConnectionsMigrate => connections::migrate(desk).await,
        Op::ValidateConnectionState => validate::validate(desk).await,
        Op::ConnectionSettingsAll => defaults::read(desk).await,
        Op::ConnectionSettingsUpdate => defaults::update(desk).await,
        Op::ConnectionsSchema => resources::schema(desk).await,
        Op::ConnectionsExample => resources::example(desk).await,
        Op::ConnectionConsentsAll => consents::list(desk).await,
        Op::ConnectionConsentUpdate => consents::update(desk).await,
        Op::CustomMappingsAll => custom_mappings::list(desk).await,
        Op::CustomMappingsOne => custom_mappings::one(desk).await,
        Op::CustomMappingsAdd => custom_mappings::create(desk).await,
        Op::CustomMappingsUpdate => custom_mappings::update(desk).await,
        Op::CustomMappingsDelete => custom_mappings::delete(desk).await,
        Op::ConnectionCustomMappingsAll => custom_mappings::of_resource(desk).await,
        Op::CustomFieldsAll => custom_mappings::fields(desk).await,
        unserved => Err(Error::new(
            Kind::ConnectorOperationMappingNotFoundError,
            format!("The operation {unserved} is not served yet."),
        )),
    }
}
