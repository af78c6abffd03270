//! Consumers: the application's customers.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::reply::{self, Page, ok, time};
use super::{Desk, connections};
use crate::error::{Error, Kind, Result};
use crate::model::{Answer, ConsumerId};
use crate::storage::{CallsApi, Consumer, ConsumersFilter};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Calls by API.
type Counts = Vec<(CallsApi, u64)>;

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
    let (app, store) = (desk.app()?, &desk.shared.store);
    let found = store.consumers_page(app, filter, page.after(), Page::wanted(desk)).await?;
    let ends = found.first().zip(found.last()).map(|(first, last)| (&first.id, &last.id));
    let counted = match ends {
        Some(ends) => store.calls_of_consumers(app, ends).await?,
        None => Vec::new(),
    };
    let records = found.iter().map(|consumer| {
        let own = counted.iter().filter(|(id, _, _)| *id == consumer.id);
        let counts: Counts = own.map(|(_, api, calls)| (*api, *calls)).collect();
        (consumer.id.to_string(), record(consumer, &counts))
    });
    Ok(page.reply(desk, records.collect()))
}

/// `POST /vault/consumers`.
///
/// # Errors
/// `ConflictError` where there is one of that id, `RequestValidationError` for an id that headers cannot carry.
pub(super) async fn create(desk: &Desk<'_>) -> Result<Answer> {
    let body = desk.body();
    let id = ConsumerId::new(body.get("consumer_id").and_then(Value::as_str).unwrap_or_default());
    let made = desk.shared.store.create_consumer_with(desk.app()?, &id, &metadata(body)).await;
    Ok(ok(record(&made.map_err(reply::told)?, &Vec::new())))
}

/// `GET /vault/consumers/{consumer_id}`, with its connections.
///
/// # Errors
/// `EntityNotFoundError`.
pub(super) async fn one(desk: &Desk<'_>) -> Result<Answer> {
    let consumer = found(desk).await?;
    let mut record = record(&consumer, &counts(desk, &consumer.id).await?);
    let connections = connections::in_short(desk, &consumer.id).await?;
    record.as_object_mut().map(|record| record.insert("connections".to_owned(), connections.into()));
    Ok(ok(record))
}

/// `PATCH /vault/consumers/{consumer_id}`: what `metadata` names is changed, `null` clears.
///
/// # Errors
/// `EntityNotFoundError`.
pub(super) async fn update(desk: &Desk<'_>) -> Result<Answer> {
    let mut consumer = found(desk).await?;
    for (name, value) in desk.body().get("metadata").and_then(Value::as_object).into_iter().flatten() {
        match value {
            Value::Null => consumer.metadata.remove(name),
            value => consumer.metadata.insert(name.clone(), value.clone()),
        };
    }
    let (app, store) = (desk.app()?, &desk.shared.store);
    store.set_consumer_metadata(app, &consumer.id, &consumer.metadata).await.map_err(reply::told)?;
    Ok(ok(record(&found(desk).await?, &counts(desk, &consumer.id).await?)))
}

/// `DELETE /vault/consumers/{consumer_id}`: with its connections; credentials can never be opened again.
///
/// # Errors
/// `EntityNotFoundError`.
pub(super) async fn delete(desk: &Desk<'_>) -> Result<Answer> {
    let id = id(desk);
    desk.shared.store.delete_consumer(desk.app()?, &id).await.map_err(reply::told)?;
    Ok(ok(json!({ "consumer_id": id.as_str() })))
}

/// `GET /vault/consumers/{consumer_id}/stats`: by whole days, UTC.
///
/// # Errors
/// `EntityNotFoundError`, `RequestValidationError` for times that are none.
pub(super) async fn stats(desk: &Desk<'_>) -> Result<Answer> {
    let consumer = found(desk).await?;
    let (start, end) = (moment(desk, "start_datetime")?, moment(desk, "end_datetime")?);
    let days = (start.div_euclid(DAY_MS), end.div_euclid(DAY_MS));
    desk.shared.access.flush_counts().await?;
    let counts = desk.shared.store.calls_of_consumer(desk.app()?, &consumer.id, days.0, days.1).await?;
    Ok(ok(json!({
        "application_id": consumer.app.as_str(),
        "consumer_id": consumer.id.as_str(),
        "start_datetime": time(start),
        "end_datetime": time(end),
        "aggregated_request_count": total(&counts),
        "request_counts": by_api(&counts),
    })))
}

fn id(desk: &Desk<'_>) -> ConsumerId {
    ConsumerId::new(desk.call.id("consumer_id"))
}

async fn found(desk: &Desk<'_>) -> Result<Consumer> {
    let id = id(desk);
    let found = desk.shared.store.consumer(desk.app()?, &id).await?;
    found.ok_or_else(|| Error::new(Kind::EntityNotFoundError, format!("There is no consumer `{id}`.")))
}

async fn counts(desk: &Desk<'_>, id: &ConsumerId) -> Result<Counts> {
    Ok(desk.shared.store.calls_of_consumer(desk.app()?, id, i64::MIN, i64::MAX).await?)
}

/// A point in time of the query, in milliseconds since 1970.
fn moment(desk: &Desk<'_>, name: &str) -> Result<i64> {
    let text = desk.key(name).unwrap_or_default();
    text.parse::<Timestamp>().map(Timestamp::as_millisecond).map_err(|_| {
        let says = format!("{name} must be a date and time such as 2024-01-31T09:30:00Z.");
        let fault = json!({ "parameter": name, "message": says });
        Error::new(Kind::RequestValidationError, says).detail(json!({ "errors": [fault] }))
    })
}

fn metadata(body: &Map<String, Value>) -> Map<String, Value> {
    body.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn total(counts: &Counts) -> u64 {
    counts.iter().map(|(_, calls)| calls).sum()
}

fn by_api(counts: &Counts) -> Value {
    let calls = |api: CallsApi| -> u64 {
        counts.iter().filter(|(known, _)| *known == api).map(|(_, calls)| calls).sum()
    };
    CallsApi::ALL.into_iter().map(|api| (api.name().to_owned(), Value::from(calls(api)))).collect()
}

/// A consumer as the wire has it.
fn record(consumer: &Consumer, counts: &Counts) -> Value {
    json!({
        "consumer_id": consumer.id.as_str(),
        "application_id": consumer.app.as_str(),
        "metadata": consumer.metadata,
        "services": consumer.services,
        "aggregated_request_count": total(counts),
        "request_counts": by_api(counts),
        "created": time(consumer.created_ms),
        "modified": time(consumer.updated_ms),
    })
}
