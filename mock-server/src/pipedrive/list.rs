//! Version 2's lists: conditions, order, cursors, and what a record shows.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::account::Account;
use super::entity::Entity;
use super::errors;
use super::paging::{self, Cursor};
use super::table::{Record, Table};
use crate::clock::parse;
use crate::exchange::{Outcome, Reply, Request};

/// What replies show besides the members.
pub struct View<'a> {
    custom: Vec<&'a str>,
    option_labels: bool,
    labels: bool,
    include: Vec<&'a str>,
    /// How many activities are linked to each record, where that is asked for.
    activities: HashMap<u64, u64>,
}

impl<'a> View<'a> {
    /// What a request asks for.
    pub fn of(request: &'a Request, account: &Account, entity: &Entity) -> Result<View<'a>, Reply> {
        let include: Vec<&str> = request.list("include_fields");
        if let Some(unknown) = include.iter().find(|name| !entity.includes(name)) {
            return Err(errors::schema(&format!("include_fields: '{unknown}' is not allowed")));
        }
        let mut activities = HashMap::new();
        if include.contains(&"activities_count") {
            let member =
                format!("{}_id", if entity.name == "organizations" { "org" } else { entity.singular });
            let records =
                account.tables.get("activities").into_iter().flat_map(|table| table.records.values());
            for activity in records.filter(|activity| !activity.deleted) {
                if let Some(id) = activity.get(&member).as_u64() {
                    *activities.entry(id).or_insert(0) += 1;
                }
            }
        }
        let custom = request.list("custom_fields");
        if custom.len() > 15 {
            return Err(errors::schema("custom_fields: at most 15 keys"));
        }
        let flag = |name: &str| matches!(request.param(name), Some("true" | "1"));
        Ok(View {
            custom,
            option_labels: flag("include_option_labels"),
            labels: flag("include_labels"),
            include,
            activities,
        })
    }

    fn is_plain(&self) -> bool {
        self.custom.is_empty() && !self.option_labels && !self.labels && self.include.is_empty()
    }

    /// Writes a record.
    pub fn write(&self, out: &mut Vec<u8>, table: &Table, record: &Record) {
        if self.is_plain() {
            let _ = serde_json::to_writer(out, &record.members);
            return;
        }
        let mut members = record.members.clone();
        for name in &self.include {
            let value = match *name {
                "activities_count" => json!(self.activities.get(&record.id).unwrap_or(&0)),
                "attendees" => json!([]),
                name if name.ends_with("_count") => json!(0),
                _ => json!(null),
            };
            members.entry((*name).to_owned()).or_insert(value);
        }
        if let Some(Value::Object(custom)) = members.get_mut("custom_fields") {
            if !self.custom.is_empty() {
                custom.retain(|key, _| self.custom.contains(&key.as_str()));
            }
            if self.option_labels {
                for (key, value) in custom {
                    let Some(field) = table.custom(key) else { continue };
                    let label = |id: &Value| {
                        let found = field.options.iter().find(|(known, _)| id.as_u64() == Some(*known));
                        found.map(|(id, label)| json!({ "id": id, "label": label }))
                    };
                    match value {
                        Value::Array(list) if field.kind == "set" => {
                            *list = list.iter().filter_map(label).collect();
                        }
                        id if field.kind == "enum" => *id = label(id).unwrap_or(Value::Null),
                        _ => {}
                    }
                }
            }
        }
        if self.labels
            && let Some(ids) = members.get("label_ids").and_then(Value::as_array)
        {
            let names = ["Hot lead", "Customer", "Cold lead", "Warm lead"];
            let labels = ids.iter().filter_map(Value::as_u64).map(|id| {
                let at = usize::try_from(id % 4).unwrap_or(0);
                json!({ "id": id, "label": names.get(at) })
            });
            let labels = labels.collect();
            members.insert("labels".to_owned(), Value::Array(labels));
        }
        let _ = serde_json::to_writer(out, &members);
    }
}

/// The conditions of a list.
struct Conditions<'a> {
    equal: Vec<(&'a str, Value)>,
    ids: Option<Vec<u64>>,
    since_ms: Option<i64>,
    until_ms: Option<i64>,
    status: Option<&'a str>,
    deleted: bool,
    archived: bool,
    participants_of: Option<Value>,
}

fn conditions<'a>(
    request: &'a Request,
    account: &Account,
    entity: &Entity,
    archived: bool,
) -> Result<Conditions<'a>, Reply> {
    let whole = |name: &str, text: &str| -> Result<Value, Reply> {
        text.parse::<u64>().map(Value::from).map_err(|_| errors::schema(&format!("{name}: must be a number")))
    };
    let mut equal = Vec::new();
    for name in entity.filters {
        if let Some((name, text)) = request.query.iter().find(|(key, _)| key == name) {
            let value = if *name == "lead_id" { json!(text) } else { whole(name, text)? };
            equal.push((name.as_str(), value));
        }
    }
    if entity.name == "activities"
        && let Some(done) = request.param("done")
    {
        equal.push(("done", json!(matches!(done, "true" | "1"))));
    }
    let ids = request.list("ids");
    if ids.len() > 100 {
        return Err(errors::schema("ids: at most 100 ids"));
    }
    let ids: Result<Vec<u64>, Reply> =
        ids.iter().map(|id| id.parse().map_err(|_| errors::schema("ids: must be numbers"))).collect();
    let ids = ids?;
    if let Some(filter) = request.param("filter_id") {
        let known = filter.parse().ok().is_some_and(|id: u64| account.filters.contains_key(&id));
        if !known {
            return Err(errors::coded(404, "ERR_NOT_FOUND", "Filter not found."));
        }
    }
    let stamp = |name: &str| match request.param(name) {
        None => Ok(None),
        // Fractions of seconds are refused.
        Some(text) if text.contains('.') || !text.contains('T') => {
            Err(errors::schema(&format!("{name}: '{text}' is not a valid datetime")))
        }
        Some(text) => match parse(text) {
            Some(ms) => Ok(Some(ms)),
            None => Err(errors::schema(&format!("{name}: '{text}' is not a valid datetime"))),
        },
    };
    let status = request.param("status").filter(|_| entity.name == "deals");
    if let Some(status) = status
        && !["open", "won", "lost", "deleted"].contains(&status)
    {
        return Err(errors::schema("status: must be one of [open, won, lost, deleted]"));
    }
    let participants_of = match request.param("deal_id").filter(|_| entity.name == "persons") {
        Some(deal) => {
            let deal = deal.parse().ok().and_then(|id| account.tables.get("deals")?.live(id));
            Some(deal.map_or(Value::Null, |deal| deal.get("person_id").clone()))
        }
        None => None,
    };
    Ok(Conditions {
        equal,
        ids: request.param("ids").map(|_| ids),
        since_ms: stamp("updated_since")?,
        until_ms: stamp("updated_until")?,
        status,
        deleted: status == Some("deleted"),
        archived,
        participants_of,
    })
}

impl Conditions<'_> {
    fn hold(&self, record: &Record) -> bool {
        record.deleted == self.deleted
            && (record.get("is_archived") == &Value::Bool(true)) == self.archived
            && self.equal.iter().all(|(name, value)| record.get(name) == value)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&record.id))
            && self.since_ms.is_none_or(|since| record.update_ms / 1000 >= since / 1000)
            && self.until_ms.is_none_or(|until| record.update_ms / 1000 < until / 1000)
            && self.status.is_none_or(|status| status == "deleted" || record.get("status") == status)
            && self.participants_of.as_ref().is_none_or(|person| person.as_u64() == Some(record.id))
    }
}

/// A value that lists are sorted by.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    Number(i64),
    Text(String),
}

impl Key {
    fn of(record: &Record, field: &str) -> Key {
        match field {
            "id" => Key::Number(i64::try_from(record.id).unwrap_or(i64::MAX)),
            "add_time" => Key::Number(record.add_ms / 1000),
            "update_time" => Key::Number(record.update_ms / 1000),
            other => match record.get(other) {
                Value::Number(number) => Key::Number(number.as_i64().unwrap_or(0)),
                Value::String(text) => Key::Text(text.clone()),
                _ => Key::Text(String::new()),
            },
        }
    }

    fn to_wire(&self) -> Value {
        match self {
            Key::Number(number) => json!(number),
            Key::Text(text) => json!(text),
        }
    }

    fn from_wire(value: &Value) -> Option<Key> {
        match value {
            Value::Number(number) => number.as_i64().map(Key::Number),
            Value::String(text) => Some(Key::Text(text.clone())),
            _ => None,
        }
    }

    fn cmp(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Number(a), Key::Number(b)) => a.cmp(b),
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            (Key::Number(_), Key::Text(_)) => Ordering::Less,
            (Key::Text(_), Key::Number(_)) => Ordering::Greater,
        }
    }
}

/// Answers a list.
pub fn list(request: &Request, account: &Account, entity: &Entity, archived: bool) -> Outcome {
    let table = account.tables.get(entity.name).ok_or_else(errors::no_endpoint)?;
    let limit = paging::limit(request, paging::MAX_PAGE)?;
    let view = View::of(request, account, entity)?;
    let conditions = conditions(request, account, entity, archived)?;
    let field = request.param("sort_by").unwrap_or("id");
    if !entity.sorts.contains(&field) {
        return Err(errors::schema(&format!("sort_by: must be one of [{}]", entity.sorts.join(", "))));
    }
    let descending = match request.param("sort_direction") {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(errors::schema("sort_direction: must be one of [asc, desc]")),
    };
    let cursor = Cursor::of(request)?;
    let rows = match &cursor {
        // A cursor carries its own order.
        Some(cursor) => page(table, &conditions, &cursor.field, cursor.descending, Some(cursor), limit)?,
        None => page(table, &conditions, field, descending, None, limit)?,
    };
    let (field, descending) = match &cursor {
        Some(cursor) => (cursor.field.as_str(), cursor.descending),
        None => (field, descending),
    };
    let mut out = Vec::with_capacity(rows.len().min(limit) * 700 + 128);
    out.extend_from_slice(b"{\"success\":true,\"data\":[");
    for (place, record) in rows.iter().take(limit).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        view.write(&mut out, table, record);
    }
    out.extend_from_slice(b"],\"additional_data\":{\"next_cursor\":");
    match rows.get(limit.wrapping_sub(1)).filter(|_| rows.len() > limit) {
        Some(last) => {
            let next = Cursor {
                field: field.to_owned(),
                value: Key::of(last, field).to_wire(),
                descending,
                id: last.id,
            };
            let _ = serde_json::to_writer(&mut out, &next.to_wire());
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}}");
    Ok(Reply::written(200, out))
}

/// One page and one record more, if there is one.
fn page<'a>(
    table: &'a Table,
    conditions: &Conditions<'_>,
    field: &str,
    descending: bool,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Vec<&'a Record>, Reply> {
    let fits = |record: &&Record| conditions.hold(record);
    if field == "id" {
        let after = cursor.map(|cursor| cursor.id);
        return Ok(if descending {
            let below = after.unwrap_or(u64::MAX);
            table
                .records
                .range(..below)
                .rev()
                .map(|(_, record)| record)
                .filter(fits)
                .take(limit + 1)
                .collect()
        } else {
            let above = after.map_or(0, |after| after + 1);
            table.records.range(above..).map(|(_, record)| record).filter(fits).take(limit + 1).collect()
        });
    }
    let mut rows: Vec<(Key, &Record)> =
        table.records.values().filter(fits).map(|record| (Key::of(record, field), record)).collect();
    rows.sort_by(|(a, left), (b, right)| a.cmp(b).then(left.id.cmp(&right.id)));
    if descending {
        rows.reverse();
    }
    let Some(cursor) = cursor else {
        return Ok(rows.into_iter().take(limit + 1).map(|(_, record)| record).collect());
    };
    let from = Key::from_wire(&cursor.value).ok_or_else(|| errors::schema("cursor: Invalid cursor"))?;
    let beyond = |key: &Key, id: u64| {
        let order = key.cmp(&from).then(id.cmp(&cursor.id));
        if descending { order.is_lt() } else { order.is_gt() }
    };
    Ok(rows
        .into_iter()
        .filter(|(key, record)| beyond(key, record.id))
        .take(limit + 1)
        .map(|(_, record)| record)
        .collect())
}
