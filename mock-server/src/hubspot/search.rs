//! `POST /crm/v3/objects/{object}/search`: bounds, words, order and pages; the conditions are `filter`'s.

use std::cmp::Ordering;
use std::sync::RwLock;

use serde_json::{Map, Value, json};

use super::account::{Account, ready};
use super::filter::{groups, holds, number_of, unknown_property};
use super::property::Kind;
use super::records::{Objects, Record};
use super::{errors, objects, unknown_object};
use crate::clock::now_ms;
use crate::exchange::{Outcome, Reply, Request};
use crate::seed::mix;
use crate::world::read;

const MAX_LIMIT: u64 = 200;
const WINDOW: u64 = 10_000;

/// Answers a search.
pub fn answer(request: &Request, account: &RwLock<Account>, object: &str, lag_ms: i64) -> Outcome {
    if request.method != http::Method::POST {
        return Err(errors::bad_method());
    }
    let body = objects::object_body(request)?;
    let mut needed = vec![object.to_owned()];
    needed.extend(association_names(&body));
    ready(account, &needed.iter().map(String::as_str).collect::<Vec<_>>());
    let account = read(account);
    let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
    let objects = account.object(at).ok_or_else(|| unknown_object(object))?;
    let limit = whole(&body, "limit", 10)?;
    if limit > MAX_LIMIT {
        return Err(errors::invalid(&format!(
            "Invalid input: limit must be less than or equal to {MAX_LIMIT}"
        )));
    }
    let offset = whole(&body, "after", 0)?;
    if offset + limit > WINDOW {
        return Err(errors::invalid(&format!(
            "The requested paging window is beyond the limit: after + limit must not exceed {WINDOW}"
        )));
    }
    let groups = groups(&account, objects, &body)?;
    let sort = sort(objects, &body)?;
    let query = body.get("query").and_then(Value::as_str).unwrap_or("").trim().to_lowercase();
    let newest = now_ms() - lag_ms;

    let mut hits: Vec<&Record> = objects
        .records
        .values()
        .filter(|record| record.archived_ms.is_none() && (lag_ms == 0 || record.created_ms <= newest))
        .filter(|record| query.is_empty() || mentions(objects, record, &query))
        .filter(|record| {
            groups.is_empty()
                || groups.iter().any(|group| {
                    group.iter().all(|condition| holds(&account, at, objects, record, condition))
                })
        })
        .collect();
    order(&mut hits, objects, sort);

    let total = hits.len() as u64;
    let asked = names(&body, "properties");
    let wanted = objects.wanted(asked.iter().map(String::as_str));
    let (skip, take) = (usize::try_from(offset).unwrap_or(0), usize::try_from(limit).unwrap_or(0));
    let mut out = Vec::with_capacity(take * 1024);
    out.extend_from_slice(format!("{{\"total\":{total},\"results\":[").as_bytes());
    for (place, record) in hits.iter().skip(skip).take(take).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        objects.write_open(&mut out, record, &wanted, false);
        out.push(b'}');
    }
    out.push(b']');
    if offset + limit < total && limit > 0 {
        let next = json!({ "next": { "after": (offset + limit).to_string() } });
        out.extend_from_slice(b",\"paging\":");
        let _ = serde_json::to_writer(&mut out, &next);
    }
    out.push(b'}');
    Ok(Reply::written(200, out))
}

fn association_names(body: &Map<String, Value>) -> Vec<String> {
    let filters = body.get("filterGroups").and_then(Value::as_array).into_iter().flatten();
    let filters = filters.flat_map(|group| group["filters"].as_array().into_iter().flatten());
    let names = filters.filter_map(|filter| filter["propertyName"].as_str()?.strip_prefix("associations."));
    names.map(str::to_owned).collect()
}

fn whole(body: &Map<String, Value>, name: &str, default: u64) -> Result<u64, Reply> {
    let number = match body.get(name) {
        None | Some(Value::Null) => return Ok(default),
        Some(Value::String(text)) if text.is_empty() => return Ok(default),
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_u64(),
    };
    number.ok_or_else(|| errors::bad_json(&format!("{name} must be a whole number")))
}

fn names(body: &Map<String, Value>, name: &str) -> Vec<String> {
    let list = body.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether every word of a search occurs at the beginning of a word of the searchable properties.
fn mentions(objects: &Objects, record: &Record, query: &str) -> bool {
    query.split_whitespace().all(|wanted| {
        objects.searchable.iter().any(|name| {
            objects.value(record, name).is_some_and(|value| {
                let value = value.to_lowercase();
                value.starts_with(wanted)
                    || value.split(|ch: char| !ch.is_alphanumeric()).any(|word| word.starts_with(wanted))
                    || value.split_whitespace().any(|word| word.starts_with(wanted))
            })
        })
    })
}

type Sort = (usize, Kind, bool);

fn sort(objects: &Objects, body: &Map<String, Value>) -> Result<Option<Sort>, Reply> {
    let sorts = body.get("sorts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if sorts.len() > 1 {
        return Err(errors::invalid("only one sort is allowed"));
    }
    let Some(sort) = sorts.first() else { return Ok(None) };
    let (name, descending) = match sort {
        Value::String(text) => match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text.as_str(), false),
        },
        other => {
            let name =
                other["propertyName"].as_str().ok_or_else(|| errors::bad_json("sorts.propertyName"))?;
            (name, other["direction"].as_str() == Some("DESCENDING"))
        }
    };
    let column = objects.column(name).ok_or_else(|| unknown_property(name))?;
    let kind = objects.properties.get(column).map_or(Kind::Text, |property| property.kind);
    Ok(Some((column, kind, descending)))
}

/// Sorts by the property (empty values last) or else by age; equal records stand in an order that stays the same but
/// means nothing.
fn order(hits: &mut Vec<&Record>, objects: &Objects, sort: Option<Sort>) {
    let is_id = |column: usize| column == objects.system.id;
    match sort {
        None => hits.sort_by_cached_key(|record| (record.created_ms, mix(record.id))),
        Some((column, _, descending)) if is_id(column) => {
            hits.sort_by_key(|record| record.id);
            if descending {
                hits.reverse();
            }
        }
        Some((column, kind, descending)) => {
            let mut keyed: Vec<(Option<Key>, u64, &Record)> = hits
                .iter()
                .map(|record| (record.get(column).map(|value| Key::of(value, kind)), mix(record.id), *record))
                .collect();
            keyed.sort_by(|a, b| {
                let by_key = match (&a.0, &b.0) {
                    (Some(a), Some(b)) if descending => b.cmp(a),
                    (Some(a), Some(b)) => a.cmp(b),
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => Ordering::Equal,
                };
                by_key.then(a.1.cmp(&b.1))
            });
            *hits = keyed.into_iter().map(|(_, _, record)| record).collect();
        }
    }
}

enum Key {
    Number(f64),
    Text(String),
}

impl Key {
    fn of(value: &str, kind: Kind) -> Key {
        match kind {
            Kind::Number | Kind::Date | Kind::Datetime => {
                Key::Number(number_of(value, kind).unwrap_or(f64::MAX))
            }
            _ => Key::Text(value.to_lowercase()),
        }
    }

    fn cmp(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            (Key::Number(_), Key::Text(_)) => Ordering::Less,
            (Key::Text(_), Key::Number(_)) => Ordering::Greater,
        }
    }
}
