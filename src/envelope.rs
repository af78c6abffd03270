//! Room 7, envelope. In: the unified result of a call. Out: the reply's status and bytes. Never: sockets, clock, logs, files.
//!
//! Here the JSON envelope of one record or one page; [`lines`] and [`csv`] the forms of a list that is streamed page by page.

pub mod csv;
pub mod lines;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::model::{Call, Context, ServiceId, Verb, Warning};
use crate::plan::{Data, Unified};

/// The status and body of a success.
pub fn success(
    unified: &Unified,
    call: &Call,
    context: &Context,
    service: &ServiceId,
) -> (StatusCode, Bytes) {
    let created = call.operation.verb == Verb::Create && !call.query.dry_run;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let data_bytes = match &unified.data {
        Data::Page(page) => page.records.json.len(),
        Data::Record(json) => json.len(),
        Data::Id(id) => id.len(),
        Data::Requests(_) => 0,
    };
    let mut out = Vec::with_capacity(data_bytes + 1024);
    let head = json!({
        "status_code": status.as_u16(),
        "status": status.canonical_reason().unwrap_or("OK"),
        "service": service.as_str(),
        "resource": call.operation.resource.name(),
        "operation": call.operation.verb.wire_name(),
    });
    write(&mut out, &head);
    // The head is an object: its last brace makes room for what follows.
    out.pop();
    out.extend_from_slice(b",\"data\":");
    match &unified.data {
        Data::Page(page) => {
            out.push(b'[');
            out.extend_from_slice(&page.records.json);
            out.push(b']');
            let mut meta = json!({
                "items_on_page": page.records.items.len(),
                "cursors": { "previous": page.previous, "current": page.current, "next": page.next },
            });
            if let Some((meta, total)) = meta.as_object_mut().zip(page.total) {
                meta.insert("total_count".into(), total.into());
            }
            if let Some((meta, scanned)) = meta.as_object_mut().zip(unified.scanned.as_ref()) {
                meta.insert("scan".into(), json!(scanned));
            }
            warn(&mut meta, &unified.warnings);
            member(&mut out, "meta", &meta);
            let link =
                |cursor: &Option<String>| cursor.as_ref().map(|cursor| link(call, context, Some(cursor)));
            let links = json!({
                "previous": link(&page.previous),
                "current": self::link(call, context, call.query.cursor.as_deref()),
                "next": link(&page.next),
            });
            member(&mut out, "links", &links);
        }
        Data::Record(json) => {
            out.extend_from_slice(json);
            warnings_alone(&mut out, &unified.warnings);
        }
        Data::Requests(requests) => {
            write(&mut out, requests);
            warnings_alone(&mut out, &unified.warnings);
        }
        Data::Id(id) => {
            write(&mut out, &json!({ "id": id }));
            warnings_alone(&mut out, &unified.warnings);
        }
    }
    if let Some(raw) = &unified.raw {
        member(&mut out, "_raw", raw);
    }
    if let Some(explained) = &unified.explained {
        let of = |id: &Option<String>| id.as_ref().and_then(|id| explained.get(id)).cloned();
        let value = match &unified.data {
            Data::Page(page) => {
                page.records.items.iter().map(|item| of(&item.id).unwrap_or_default()).collect()
            }
            Data::Record(_) | Data::Id(_) | Data::Requests(_) => {
                explained.values().next().cloned().unwrap_or_default()
            }
        };
        member(&mut out, "_explain", &value);
    }
    out.push(b'}');
    (status, Bytes::from(out))
}

/// How a streamed list ended.
#[derive(Debug, Default)]
pub struct Ending {
    /// Records sent.
    pub records: u64,
    /// Warnings told of.
    pub warnings: u64,
    /// Where the list goes on; none at its end.
    pub cursor: Option<String>,
    /// Why it ended early: the body of the error reply that it would have been.
    pub error: Option<Value>,
}

/// The `Trailer` header of a streamed list.
pub const TRAILERS: &str = "x-crosswalk-records, x-crosswalk-warnings, x-crosswalk-cursor, x-crosswalk-error";
/// What an error in a trailer says: its detail can be long, and trailers are small.
const IN_TRAILER: [&str; 7] =
    ["status_code", "type_name", "message", "request_id", "fault", "retriable", "retry_after_ms"];
/// The longest message in a trailer, in characters.
const MESSAGE_MAX: usize = 400;

/// What follows the body of a streamed list.
pub fn trailers(ending: &Ending) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let mut add = |name: &'static str, value: String| {
        let value = HeaderValue::try_from(value).ok();
        trailers.extend(value.map(|value| (HeaderName::from_static(name), value)));
    };
    add("x-crosswalk-records", ending.records.to_string());
    add("x-crosswalk-warnings", ending.warnings.to_string());
    if let Some(cursor) = &ending.cursor {
        add("x-crosswalk-cursor", cursor.clone());
    }
    if let Some(error) = ending.error.as_ref().and_then(Value::as_object) {
        let told = error.iter().filter(|(name, _)| IN_TRAILER.contains(&name.as_str()));
        let told = told.map(|(name, value)| match value.as_str() {
            Some(text) => (name.clone(), Value::from(text.chars().take(MESSAGE_MAX).collect::<String>())),
            None => (name.clone(), value.clone()),
        });
        add("x-crosswalk-error", ascii(&Value::Object(told.collect()).to_string()));
    }
    trailers
}

/// JSON in which other characters are escaped, so that it can stand in a header.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            out.push(c);
        } else {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

fn warnings_alone(out: &mut Vec<u8>, warnings: &[Warning]) {
    if !warnings.is_empty() {
        let mut meta = json!({});
        warn(&mut meta, warnings);
        member(out, "meta", &meta);
    }
}

fn warn(meta: &mut Value, warnings: &[Warning]) {
    if let (Some(meta), false) = (meta.as_object_mut(), warnings.is_empty()) {
        meta.insert("warnings".into(), json!(warnings));
    }
}

fn member(out: &mut Vec<u8>, name: &str, value: &Value) {
    out.push(b',');
    write(out, &Value::from(name));
    out.push(b':');
    write(out, value);
}

fn write(out: &mut Vec<u8>, value: &Value) {
    // Writing a `Value` into memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// The call's own URL with another cursor, usable as it stands.
fn link(call: &Call, context: &Context, cursor: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in
        url::form_urlencoded::parse(call.raw_query.as_bytes()).filter(|(name, _)| name != "cursor")
    {
        query.append_pair(&name, &value);
    }
    if let Some(cursor) = cursor {
        query.append_pair("cursor", cursor);
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}{}{mark}{query}", context.public_base, call.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_carry_the_error_in_plain_letters() {
        let error = json!({
            "type_name": "ConnectorExecutionError", "message": "Fel på \u{1f4a5}\n", "detail": { "long": true }
        });
        let ending =
            Ending { records: 3, warnings: 1, cursor: Some("abc".to_owned()), error: Some(error.clone()) };
        let trailers = trailers(&ending);
        let text = |name: &str| trailers.get(name).unwrap().to_str().unwrap();
        assert_eq!(text("x-crosswalk-records"), "3");
        assert_eq!(text("x-crosswalk-cursor"), "abc");
        let told: Value = serde_json::from_str(text("x-crosswalk-error")).unwrap();
        assert_eq!(told["message"], error["message"]);
        assert_eq!(told.get("detail"), None);
        assert!(trailers.keys().all(|name| TRAILERS.split(", ").any(|known| known == name.as_str())));
    }
}
