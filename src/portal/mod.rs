//! The other corridor, portal. In: calls of the Vault and Connector APIs. Out: replies in their envelope. Never:
//! sockets, SQL, records of a CRM.
//!
//! [`answer`] finds the operation's handler: one `match`. Handlers live in one file per noun and
//! read top to bottom: [`consumers`] · [`logs`] · [`mod@oauth`] · [`reply`] the envelope and pages.
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

pub mod consumers;
pub mod logs;
pub mod oauth;
pub mod reply;

use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::model::{Answer, AppId, ConsumerId, OperationId, PortalCall, Visitor};

/// What a handler works with: one call, who sent it, and what all calls share.
pub struct Desk<'a> {
    /// What all calls share.
    pub shared: &'a App,
    /// Who calls, from where.
    pub visitor: &'a Visitor,
    /// What is asked.
    pub call: &'a PortalCall,
}

impl Desk<'_> {
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
    app: &App,
    visitor: Visitor,
    call: impl Future<Output = Result<PortalCall>> + Send,
) -> Result<Answer> {
    let call = call.await?;
    serve(&Desk { shared: app, visitor: &visitor, call: &call }).await
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
        unserved => Err(Error::new(
            Kind::ConnectorOperationMappingNotFoundError,
            format!("The operation {unserved} is not served yet."),
        )),
    }
}
