//! Whether a connection works: its CRM is asked.

use std::sync::Arc;

use serde_json::json;

use super::Desk;
use super::card::UNIFIED_API;
use super::connections::{find, there};
use super::reply::ok;
use crate::connector::Connector;
use crate::error::{Kind, Result};
use crate::model::{Answer, Call, ConnectionState, Context, Operation, Query, Resource, ServiceId, Verb};
use crate::storage::connections::state_name;
use crate::unify;
use crate::vault::state::{Event, next};

/// `POST …/validate`: reads one record, and says in which state the connection is then. One that the CRM refuses becomes
/// `invalid`; one that has no credentials or lacks settings is not tried.
///
/// # Errors
/// `ConnectionNotFoundError`, those of [`find`]; and what the CRM answered other than that its credentials are refused.
pub(super) async fn validate(desk: &Desk<'_>) -> Result<Answer> {
    let found = find(desk).await?;
    let of = &there(&found)?.connection;
    let tried = match (of.state, first_list(&found.service.connector)) {
        (ConnectionState::Callable, Some(operation)) if of.enabled => {
            unify::answer(Arc::clone(desk.shared), context(desk, &found.id)?, async { Ok(call(operation)) })
                .await
        }
        _ => return Ok(state(&found.id, of.state)),
    };
    match tried {
        Ok(_) => Ok(state(&found.id, of.state)),
        Err(error) if error.kind() == Kind::ConnectorCredentialsError => {
            let refused = next(of.state, Event::Refused).unwrap_or(of.state);
            if let Some((_, Some(opened))) = desk.shared.store.opened_connection(of).await? {
                let store = &desk.shared.store;
                store.invalidate_connection(of, opened.version, "refused", &error.to_string()).await?;
            }
            Ok(state(&found.id, refused))
        }
        Err(error) => Err(error),
    }
}

/// The list that is asked for one record: users first, as every account has one.
fn first_list(connector: &Connector) -> Option<Operation> {
    let stands_alone =
        |resource: &Resource| !matches!(resource, Resource::ListMembers | Resource::CustomObjects);
    let lists =
        |resource: &Resource| connector.resources.get(resource).is_some_and(|plan| plan.has(Verb::List));
    let mut order = std::iter::once(Resource::Users).chain(Resource::ALL);
    order
        .find(|resource| stands_alone(resource) && lists(resource))
        .map(|resource| Operation::new(resource, Verb::List))
}

fn context(desk: &Desk<'_>, service: &ServiceId) -> Result<Context> {
    Ok(Context {
        request_id: desk.visitor.request_id.clone(),
        app: desk.app()?.clone(),
        consumer: desk.consumer()?.clone(),
        service: Some(service.clone()),
        remote: desk.visitor.remote,
        public_base: desk.visitor.public_base.clone(),
        trace: None,
        idempotency_key: None,
        trail: desk.visitor.trail.clone(),
    })
}

fn call(operation: Operation) -> Call {
    Call {
        operation,
        id: None,
        parent: None,
        query: Query { limit: 1, ..Query::default() },
        body: None,
        path: format!("/{UNIFIED_API}/{}", operation.resource),
        raw_query: String::new(),
    }
}

fn state(id: &ServiceId, state: ConnectionState) -> Answer {
    let mut answer = ok(json!({ "id": format!("{UNIFIED_API}+{id}"), "state": state_name(state) }));
    answer.service = Some(id.clone());
    answer
}
