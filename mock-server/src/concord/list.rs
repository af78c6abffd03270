//! Lists and searches: order, pages, sparse fields.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::account::{Account, display_name};
use super::errors;
use super::resource::Resource;
use super::table::Record;
use crate::exchange::{Outcome, Reply, Request};

const USUAL: usize = 15;
const MOST: usize = 100;

/// `GET /api/{resource}`.
pub fn all(request: &Request, account: &Account, resource: &Resource, base: &str, trashed: bool) -> Outcome {
    let Some(table) = account.tables.get(resource.name) else { return Err(errors::no_route(&request.path)) };
    let mut found: Vec<&Record> = table.records.values().filter(|record| record.trashed == trashed).collect();
    found.retain(|record| matches(request, resource, record));
    order(request, &mut found);
    let rows = found.into_iter().map(|record| (resource, record)).collect();
    page(request, account, rows, base, resource.per_page)
}

/// `GET /api/{resource}/search`: a bare array of at most 100 records.
pub fn search(request: &Request, account: &Account, resource: &Resource) -> Outcome {
    let table = account.tables.get(resource.name).map(|table| table.records.values());
    let blank = request.param("q").is_none_or(|q| q.trim().is_empty());
    let mut found: Vec<&Record> = table
        .into_iter()
        .flatten()
        .filter(|record| !blank && !record.trashed && matches(request, resource, record))
        .collect();
    order(request, &mut found);
    let rows: Vec<Value> =
        found.into_iter().take(MOST).map(|record| account.wire(resource, record)).collect();
    Ok(Reply::json(200, &rows))
}

/// One page of records, with Laravel's `links` and `meta`.
pub fn page(
    request: &Request,
    account: &Account,
    rows: Vec<(&Resource, &Record)>,
    base: &str,
    takes_per_page: bool,
) -> Outcome {
    let asked =
        request.param("per_page").and_then(|text| text.parse::<usize>().ok()).filter(|size| *size > 0);
    let size = if takes_per_page { asked.unwrap_or(USUAL).min(MOST) } else { USUAL };
    let page = request.param("page").and_then(|text| text.parse::<usize>().ok()).unwrap_or(1).max(1);
    let last = rows.len().div_ceil(size).max(1);
    let from = (page - 1) * size;
    let select: Vec<&str> = request.param("select").map(|text| text.split(';').collect()).unwrap_or_default();
    let data: Vec<Value> = rows
        .iter()
        .skip(from)
        .take(size)
        .map(|(resource, record)| narrowed(account.wire(resource, record), &select))
        .collect();
    let path = format!("{base}{}", request.path);
    let url = |page: usize| format!("{path}?page={page}");
    let shown = |at: usize| if data.is_empty() { Value::Null } else { json!(at) };
    Ok(Reply::json(
        200,
        &json!({
            "links": {
                "first": url(1), "last": url(last),
                "prev": (page > 1).then(|| url(page - 1)), "next": (page < last).then(|| url(page + 1)),
            },
            "meta": {
                "current_page": page, "from": shown(from + 1), "last_page": last, "path": path, "per_page": size,
                "to": shown(from + data.len()), "total": rows.len(),
            },
            "data": data,
        }),
    ))
}

fn narrowed(wire: Value, select: &[&str]) -> Value {
    let Value::Object(members) = wire else { return wire };
    if select.is_empty() {
        return Value::Object(members);
    }
    let keep = |name: &str| select.contains(&name) || name == "id";
    Value::Object(members.into_iter().filter(|(name, _)| keep(name)).collect::<Map<_, _>>())
}

/// `q`: one text for every searchable member, or `member:text;…`; `search_fields` picks members and comparisons,
/// `search_match=and` wants all of them.
fn matches(request: &Request, resource: &Resource, record: &Record) -> bool {
    let Some(q) = request.param("q").filter(|q| !q.trim().is_empty()) else { return true };
    let known = |name: &str| resource.searches.iter().find(|(known, _)| *known == name).copied();
    let fields: Vec<(&str, String)> = match request.param("search_fields") {
        Some(text) => text
            .split(';')
            .filter_map(|part| {
                let (name, how) = part.split_once(':').map_or((part, None), |(name, how)| (name, Some(how)));
                known(name).map(|(name, usual)| (name, how.unwrap_or(usual).to_owned()))
            })
            .collect(),
        None => resource.searches.iter().map(|(name, how)| (*name, (*how).to_owned())).collect(),
    };
    let pairs: Vec<(&str, &str)> = q
        .split(';')
        .filter_map(|part| part.split_once(':'))
        .filter(|(name, _)| known(name).is_some())
        .collect();
    let all = request.param("search_match") == Some("and");
    let test = |(name, how): &(&str, String)| {
        let wanted = match pairs.iter().find(|(known, _)| known == name) {
            Some((_, wanted)) => *wanted,
            None if pairs.is_empty() => q,
            None => return all,
        };
        holds(resource, record, name, how, wanted)
    };
    if all { fields.iter().all(test) } else { fields.iter().any(test) }
}

fn holds(resource: &Resource, record: &Record, name: &str, how: &str, wanted: &str) -> bool {
    let test = |text: &str| {
        let (text, wanted) = (text.to_lowercase(), wanted.to_lowercase());
        if how == "like" { text.contains(&wanted) } else { text == wanted }
    };
    match name {
        "full_name" => test(&display_name(resource, record)),
        "phones.number" => {
            let phones = record.get("phones").as_array();
            phones.into_iter().flatten().any(|phone| phone["number"].as_str().is_some_and(test))
        }
        _ => record.get(name).as_str().is_some_and(test),
    }
}

/// `order=created_at|desc;name`; ties and everything else by id.
fn order(request: &Request, found: &mut [&Record]) {
    let wanted: Vec<(&str, bool)> = request
        .param("order")
        .into_iter()
        .flat_map(|text| text.split(';'))
        .map(|part| part.split_once('|').map_or((part, false), |(name, way)| (name, way == "desc")))
        .collect();
    found.sort_by(|one, other| {
        let by = wanted.iter().map(|(name, down)| {
            let order = compare(one, other, name);
            if *down { order.reverse() } else { order }
        });
        by.fold(Ordering::Equal, Ordering::then).then(one.id.cmp(&other.id))
    });
}

fn compare(one: &Record, other: &Record, name: &str) -> Ordering {
    match name {
        "id" => one.id.cmp(&other.id),
        "created_at" => one.created_ms.cmp(&other.created_ms),
        "updated_at" => one.updated_ms.cmp(&other.updated_ms),
        _ => {
            let number =
                |record: &Record| record.get(name).as_str().and_then(|text| text.parse::<f64>().ok());
            match (number(one), number(other)) {
                (Some(one), Some(other)) => one.total_cmp(&other),
                _ => one.text(name).to_lowercase().cmp(&other.text(name).to_lowercase()),
            }
        }
    }
}
