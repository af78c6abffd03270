//! Room 7, envelope. In: the unified result of a call. Out: the reply's status and bytes. Never: sockets, clock, logs, files.

use bytes::Bytes;
use http::StatusCode;
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
    let status = if call.operation.verb == Verb::Create { StatusCode::CREATED } else { StatusCode::OK };
    let data_bytes = match &unified.data {
        Data::Page(page) => page.records.json.len(),
        Data::Record(json) => json.len(),
        Data::Id(id) => id.len(),
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
            Data::Record(_) | Data::Id(_) => explained.values().next().cloned().unwrap_or_default(),
        };
        member(&mut out, "_explain", &value);
    }
    out.push(b'}');
    (status, Bytes::from(out))
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
