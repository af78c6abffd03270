//! Consumers: the application's customers.

use serde_json::{Value, json};

use super::Desk;
use super::reply::{Page, time};
use crate::error::Result;
use crate::model::Answer;
use crate::storage::{Consumer, ConsumersFilter};

/// `GET /vault/consumers`.
///
/// # Errors
/// `InvalidCursorError`.
pub(super) async fn list(desk: &Desk<'_>) -> Result<Answer> {
    let page = Page::of(desk)?;
    let text = |wanted: &str| {
        let found = desk.call.query.filter.iter().find(|(name, _)| name == wanted);
        found.and_then(|(_, value)| value.as_str())
    };
    let filter = ConsumersFilter { id: text("consumer_id"), search: text("search") };
    let store = &desk.shared.store;
    let found = store.consumers_page(desk.app()?, filter, page.after(), Page::wanted(desk)).await?;
    let records = found.iter().map(|consumer| (consumer.id.to_string(), record(consumer)));
    Ok(page.reply(desk, records.collect()))
}

/// A consumer as the wire has it.
fn record(consumer: &Consumer) -> Value {
    json!({
        "consumer_id": consumer.id.as_str(),
        "application_id": consumer.app.as_str(),
        "metadata": consumer.metadata,
        "services": consumer.services,
        "created": time(consumer.created_ms),
        "modified": time(consumer.updated_ms),
    })
}
