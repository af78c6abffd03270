//! `/api/egress/…`: rows of one table, chosen by the query language. What it does not know it passes over silently.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::account::Account;
use super::errors;
use super::params::Params;
use super::table::{SCHEMAS, Schema};
use crate::exchange::{Outcome, Reply, Request};

const USUAL: usize = 25;
const MOST_COLUMNS: usize = 100;

/// Reads a table.
pub fn rows(request: &Request, params: &Params, account: &Account, schema: &Schema, base: &str) -> Outcome {
    let columns = columns(params, schema)?;
    let Some(table) = account.tables.get(schema.name) else { return Err(errors::no_endpoint()) };
    let mut found: Vec<&Map<String, Value>> = table
        .rows
        .values()
        .filter(|row| params.0.iter().all(|(name, value)| fits(schema, params, row, name, value)))
        .collect();
    order(params, schema, &mut found);
    let narrowed = |row: &Map<String, Value>| {
        let kept =
            columns.iter().map(|name| ((*name).to_owned(), row.get(*name).cloned().unwrap_or_default()));
        Value::Object(kept.collect())
    };
    let total = found.len();
    let limit = params.text("limit").and_then(|text| text.parse().ok()).unwrap_or(USUAL);
    let page: usize = params.text("page").and_then(|text| text.parse().ok()).unwrap_or(1).max(1);
    let (from, size) = match limit {
        0 => (0, total),
        size => ((page - 1) * size, size),
    };
    let rows: Vec<Value> = found.into_iter().skip(from).take(size).map(narrowed).collect();
    match params.text("format").as_deref() {
        Some("json" | "stream") => Ok(Reply::json(200, &rows)),
        Some("csv") => Ok(csv(&columns, &rows)),
        _ => {
            let more = from + rows.len() < total && !rows.is_empty();
            let next = more.then(|| next_url(request, params, base, page + 1));
            let one = params.text(schema.id).is_some();
            let count = rows.len();
            let results = match rows.len() {
                0 => json!(false),
                1 if one => rows.into_iter().next().unwrap_or_default(),
                _ => json!(rows),
            };
            Ok(Reply::json(
                200,
                &json!({ "response": {
                    "results": results, "navigate": { "next": next }, "count": count, "debug": { "time": "0.0123" },
                } }),
            ))
        }
    }
}

fn columns<'a>(params: &'a Params, schema: &'a Schema) -> Result<Vec<&'a str>, Reply> {
    let asked: Vec<String> = match params.get("columns") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(names)) => names.split(',').map(|name| name.trim().to_owned()).collect(),
        _ => Vec::new(),
    };
    if asked.len() > MOST_COLUMNS {
        return Err(errors::says(400, "Too Many Columns"));
    }
    if asked.is_empty() {
        return Ok(schema.columns.iter().filter(|name| !schema.hidden.contains(name)).copied().collect());
    }
    Ok(schema.columns.iter().filter(|name| asked.iter().any(|asked| asked == *name)).copied().collect())
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Whether a row fits one parameter. Anything that names no column of the table fits every row.
fn fits(schema: &Schema, params: &Params, row: &Map<String, Value>, name: &str, value: &Value) -> bool {
    let of = |column: &str| schema.columns.contains(&column).then(|| text(row.get(column)));
    let wanted = text(Some(value)).unwrap_or_default();
    let compare = |cell: Option<String>| cell.map(|cell| order_of(&cell, &wanted));
    for (suffix, holds) in [
        ("_greater_equal", (|order| order != Ordering::Less) as fn(Ordering) -> bool),
        ("_less_equal", |order| order != Ordering::Greater),
        ("_less", |order| order == Ordering::Less),
        ("_greater", |order| order == Ordering::Greater),
    ] {
        if let Some(column) = name.strip_suffix(suffix)
            && let Some(cell) = of(column)
        {
            return compare(cell).is_some_and(holds);
        }
    }
    if let Some(column) = name.strip_suffix("_end")
        && let Some(cell) = of(column)
    {
        return compare(cell).is_some_and(|order| order != Ordering::Greater);
    }
    let Some(cell) = of(name) else { return true };
    if name.starts_with("date_") && params.get(&format!("{name}_end")).is_some() {
        return compare(cell).is_some_and(|order| order != Ordering::Less);
    }
    match value {
        Value::Array(any) => any.iter().any(|one| text(Some(one)) == cell),
        _ => cell.unwrap_or_default().eq_ignore_ascii_case(&wanted),
    }
}

fn order_of(one: &str, other: &str) -> Ordering {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.total_cmp(&other),
        _ => one.to_lowercase().cmp(&other.to_lowercase()),
    }
}

fn order(params: &Params, schema: &Schema, found: &mut [&Map<String, Value>]) {
    let Some(by) = params.text("order_by").filter(|by| schema.columns.contains(&by.as_str())) else { return };
    let down = params
        .text("sort")
        .or_else(|| params.text("order"))
        .is_some_and(|way| way.eq_ignore_ascii_case("desc"));
    let cell = |row: &Map<String, Value>| text(row.get(&by)).unwrap_or_default();
    found.sort_by(|one, other| {
        let order = order_of(&cell(one), &cell(other));
        if down { order.reverse() } else { order }
    });
}

/// The next page as an absolute URL that carries the whole query.
fn next_url(request: &Request, params: &Params, base: &str, page: usize) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &params.0 {
        match value {
            Value::Array(items) => {
                let joined: Vec<String> = items.iter().filter_map(|item| text(Some(item))).collect();
                query.append_pair(name, &joined.join(","));
            }
            _ if matches!(name.as_str(), "page" | "api" | "apikey" | "api_id" | "api_key") => {}
            _ => {
                query.append_pair(name, &text(Some(value)).unwrap_or_default());
            }
        }
    }
    query.append_pair("page", &page.to_string());
    format!("{base}{}?{}", request.path, query.finish())
}

fn csv(columns: &[&str], rows: &[Value]) -> Reply {
    let quoted = |cell: &str| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    };
    let mut out = columns.join(",") + "\r\n";
    for row in rows {
        let cells: Vec<String> =
            columns.iter().map(|name| quoted(&text(row.get(*name)).unwrap_or_default())).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    let mut reply = Reply::written(200, out.into_bytes());
    reply.headers = vec![("content-type", "text/csv; charset=UTF-8".to_owned())];
    reply
}

/// What the documentation endpoints say.
pub fn docs(path: &[&str]) -> Outcome {
    let names = |dialer: bool| -> Vec<&str> {
        SCHEMAS
            .iter()
            .map(|schema| schema.name)
            .filter(|name| name.starts_with("tldialer/") == dialer)
            .collect()
    };
    match path {
        ["endpoints"] => Ok(Reply::json(200, &json!({ "response": { "results": names(false) } }))),
        ["tldialer", "endpoints"] => Ok(Reply::json(200, &json!({ "response": { "results": names(true) } }))),
        [table @ .., "docs", "columns"] => match super::table::of(&table.join("/")) {
            Some(schema) => Ok(Reply::json(200, &json!({ "response": { "results": schema.columns } }))),
            None => Err(errors::no_endpoint()),
        },
        _ => Err(errors::no_endpoint()),
    }
}
