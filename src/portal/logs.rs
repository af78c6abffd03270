//! The request log: what happened to a call, and which requests to the CRM it caused.

use serde_json::{Value, json};

use super::Desk;
use super::reply::{self, Page, time};
use crate::error::{Error, Kind, Result};
use crate::model::{Answer, LoggedCall, LoggedRequest};
use crate::storage::LogFilter;

/// `GET /vault/logs`.
///
/// # Errors
/// `InvalidCursorError`; `RequestValidationError` for a filter that says nothing.
pub(super) async fn list(desk: &Desk<'_>) -> Result<Answer> {
    let page = Page::of(desk)?;
    let before = page.after().and_then(|place| place.parse().ok());
    let found = desk
        .shared
        .logs
        .page(desk.app()?, desk.consumer()?, &filter(desk), before, Page::wanted(desk))
        .await?;
    let records = found.iter().map(|(place, call)| (place.to_string(), Value::Object(record(desk, call))));
    Ok(page.reply(desk, records.collect()))
}

/// `GET /vault/logs/{id}`: the call, and every request to the CRM that it caused.
///
/// # Errors
/// `EntityNotFoundError`.
pub(super) async fn one(desk: &Desk<'_>) -> Result<Answer> {
    let found = desk.shared.logs.one(desk.app()?, desk.call.id("id")).await?;
    let call =
        found.ok_or_else(|| Error::new(Kind::EntityNotFoundError, "No call of that id is in the log."))?;
    let mut whole = record(desk, &call);
    let children = call.requests.iter().zip(1_usize..).map(|(request, at)| child(desk, &call, request, at));
    whole.insert("error_type".to_owned(), json!(call.error));
    whole.insert("fault".to_owned(), json!(call.fault));
    whole.insert("children".to_owned(), children.collect());
    whole.insert("children_count".to_owned(), json!(call.requests_sent));
    Ok(reply::ok(whole))
}

fn filter(desk: &Desk<'_>) -> LogFilter {
    let query = &desk.call.query;
    let value = |wanted: &str| query.filter.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let text = |wanted: &str| value(wanted).and_then(Value::as_str).map(str::to_owned);
    let list = |wanted: &str| value(wanted).and_then(Value::as_array).into_iter().flatten();
    let instant = |wanted: &str| {
        let at = text(wanted)?.parse::<jiff::Timestamp>().ok()?;
        Some(at.as_millisecond())
    };
    let pattern = text("path").map(|path| {
        let plain = path.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        match text("path_match_mode").as_deref() {
            Some("STARTS_WITH") => format!("{plain}%"),
            Some("ENDS_WITH") => format!("%{plain}"),
            Some("EXACT") => plain,
            _ => format!("%{plain}%"),
        }
    });
    let methods = text("http_method")
        .into_iter()
        .chain(list("http_methods").filter_map(Value::as_str).map(str::to_owned));
    let whole = |number: &Value| number.as_i64().or_else(|| number.as_str()?.parse().ok());
    let statuses = value("status_code").into_iter().chain(list("status_codes")).filter_map(whole);
    let apis = text("exclude_unified_apis").unwrap_or_default();
    LogFilter {
        // `crm+salesforce`, or the service alone.
        service: text("connector_id").map(|id| id.rsplit(['+', ' ']).next().unwrap_or_default().to_owned()),
        path: pattern,
        methods: methods.map(|method| method.to_ascii_uppercase()).collect(),
        statuses: statuses.collect(),
        from_ms: instant("start_date"),
        to_ms: instant("end_date"),
        without_apis: apis
            .split(',')
            .map(str::trim)
            .filter(|api| !api.is_empty())
            .map(str::to_owned)
            .collect(),
    }
}

fn millis(us: i64) -> f64 {
    // Microseconds of a call are far below the 52 bits that a float holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let us = us as f64;
    us / 1000.0
}

fn service(desk: &Desk<'_>, call: &LoggedCall) -> Value {
    let Some(id) = &call.service else { return json!({ "id": call.api, "name": call.api }) };
    let known = desk.shared.services();
    let name = known.get(id).map_or(id.as_str(), |service| service.connector.manifest.name.as_str());
    json!({ "id": id.as_str(), "name": name })
}

/// A call as the wire has it.
fn record(desk: &Desk<'_>, call: &LoggedCall) -> serde_json::Map<String, Value> {
    let record = json!({
        "id": call.id,
        "parent_id": null,
        "api_style": "REST",
        "base_url": call.base_url,
        "child_request": false,
        "consumer_id": call.consumer.as_ref().map_or("", |consumer| consumer.as_str()),
        "duration": millis(call.downstream_us),
        "error_message": call.message,
        "execution": call.total_us / 1000,
        "has_children": call.requests_sent > 0,
        "http_method": call.method,
        "latency": millis(call.total_us - call.downstream_us),
        "operation": { "id": call.operation, "name": call.operation },
        "path": call.path,
        "sandbox": false,
        "service": service(desk, call),
        "source_ip": call.source.map(|source| source.to_string()),
        "status_code": call.status,
        "success": call.status < 400 && call.error.is_none(),
        "timestamp": time(call.at_ms),
        "unified_api": call.api,
    });
    match record {
        Value::Object(members) => members,
        _ => serde_json::Map::new(),
    }
}

/// A request to the CRM as the wire has it.
fn child(desk: &Desk<'_>, call: &LoggedCall, request: &LoggedRequest, at: usize) -> Value {
    let url = url::Url::parse(&request.url).ok();
    let base = url.as_ref().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let path = url
        .as_ref()
        .map_or(request.url.as_str(), |url| url.as_str().strip_prefix(base.as_str()).unwrap_or(url.as_str()));
    json!({
        "id": format!("{}.{at}", call.id),
        "parent_id": call.id,
        "api_style": "REST",
        "base_url": base,
        "child_request": true,
        "consumer_id": call.consumer.as_ref().map_or("", |consumer| consumer.as_str()),
        "duration": millis(request.elapsed_us),
        "error_message": request.failure,
        "execution": request.elapsed_us / 1000,
        "has_children": false,
        "http_method": request.method,
        "latency": 0.0,
        "operation": { "id": request.step, "name": format!("{}, attempt {}", request.step, request.attempt) },
        "path": path,
        "sandbox": false,
        "service": service(desk, call),
        "source_ip": null,
        "status_code": request.status.unwrap_or(0),
        "success": request.status.is_some_and(|status| status < 400),
        "timestamp": time(call.at_ms),
        "unified_api": call.api,
    })
}
