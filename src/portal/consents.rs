//! Consents: which fields the consumer lets the application use.

use serde_json::{Value, json};

use super::Desk;
use super::card::consent;
use super::connections::{find, there};
use super::reply::ok;
use crate::error::{Error, Kind, Result};
use crate::model::{Answer, Resource};

/// `GET …/consent`: all answers, the latest last.
///
/// # Errors
/// `ConnectionNotFoundError`, and those of [`find`].
pub(super) async fn list(desk: &Desk<'_>) -> Result<Answer> {
    let found = find(desk).await?;
    let of = &there(&found)?.connection;
    let mut extras = desk.shared.store.extras(&of.app, &of.consumer).await?;
    let consents = extras.remove(&of.id).unwrap_or_default().consents;
    Ok(ok(consents.iter().map(consent).collect::<Vec<_>>()))
}

/// `PATCH …/consent`: a further answer, which counts from now on.
///
/// # Errors
/// `RequestValidationError` for resources that there are not; `ConnectionNotFoundError`.
pub(super) async fn update(desk: &Desk<'_>) -> Result<Answer> {
    let found = find(desk).await?;
    let of = &there(&found)?.connection;
    let body = desk.body();
    let resources = body.get("resources").unwrap_or(&Value::Null);
    let granted = body.get("granted").and_then(Value::as_bool).unwrap_or(false);
    let unknown = |name: &&String| Resource::from_name(name.trim_start_matches("crm.")).is_none();
    let unknown: Vec<Value> = resources
        .as_object()
        .into_iter()
        .flat_map(|resources| resources.keys())
        .filter(unknown)
        .map(
            |name| json!({ "pointer": format!("/resources/{name}"), "message": "This resource is unknown." }),
        )
        .collect();
    if !unknown.is_empty() {
        let says = "Some resources are unknown; detail lists them.";
        return Err(Error::new(Kind::RequestValidationError, says).detail(json!({ "errors": unknown })));
    }
    let added = desk.shared.store.add_consent(of, granted, resources).await?;
    Ok(ok(consent(&added)))
}
