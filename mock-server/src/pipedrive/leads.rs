//! Version 1's leads: ids are UUIDs, custom fields stand at the top level.

use std::sync::RwLock;

use http::Method;
use serde_json::{Map, Value, json};

use super::account::{Account, Lead, ready};
use super::{check, errors, paging};
use crate::clock::{iso_ms, now_ms, parse, parse_date};
use crate::exchange::{Outcome, Reply, Request};
use crate::json::{at, dig};
use crate::world::{read, write};

const SORTS: &[&str] = &[
    "id",
    "title",
    "owner_id",
    "creator_id",
    "was_seen",
    "expected_close_date",
    "next_activity_id",
    "add_time",
    "update_time",
];

/// Answers below `/api/v1/leads`.
pub fn answer(request: &Request, account: &RwLock<Account>, rest: &[&str]) -> Outcome {
    ready(account, &["leads", "persons", "organizations"]);
    match (&request.method, rest) {
        (&Method::GET, []) => list(request, &read(account), false),
        (&Method::GET, ["archived"]) => list(request, &read(account), true),
        (&Method::GET, ["search"]) => find(request, &read(account)),
        (&Method::GET, [id]) => {
            let account = read(account);
            let place = place(&account, id)?;
            let lead = account.leads.get(&place).ok_or_else(missing)?;
            Ok(Reply::json(200, &json!({ "success": true, "data": to_wire(lead) })))
        }
        (&Method::POST, []) => {
            let body = body(request)?;
            let mut account = write(account);
            let checked = members(&account, &body, true)?;
            let id = account.place_lead(&checked, now_ms());
            show(&account, &id, 201)
        }
        (&Method::PATCH, [id]) => {
            let body = body(request)?;
            let mut account = write(account);
            let place = place(&account, id)?;
            let checked = members(&account, &body, false)?;
            let lead = account.leads.get_mut(&place).ok_or_else(missing)?;
            let mut changed = lead.members.clone();
            for (name, value) in checked {
                // A custom field without a value is not there at all.
                if value.is_null() && name.len() >= 40 {
                    changed.shift_remove(&name);
                } else {
                    changed.insert(name, value);
                }
            }
            if at(&changed, "person_id").is_null() && at(&changed, "organization_id").is_null() {
                return Err(linked());
            }
            lead.members = changed;
            lead.update_ms = now_ms();
            show(&account, id, 200)
        }
        (&Method::DELETE, [id]) => {
            let mut account = write(account);
            let place = place(&account, id)?;
            account.leads.remove(&place);
            account.lead_ids.remove(*id);
            Ok(Reply::json(200, &json!({ "success": true, "data": { "id": id } })))
        }
        (_, [] | [_]) => Err(errors::bad_method()),
        _ => Err(errors::no_endpoint()),
    }
}

fn body(request: &Request) -> Result<Map<String, Value>, Reply> {
    match request.json() {
        Ok(Value::Object(body)) => Ok(body),
        _ => Err(errors::bad("Bad request")),
    }
}

fn missing() -> Reply {
    errors::plain(404, "requested lead not found", "Object was not found.")
}

fn linked() -> Reply {
    errors::bad("A lead must be linked to a person or an organization.")
}

fn place(account: &Account, id: &str) -> Result<u64, Reply> {
    if id.len() != 36 {
        return Err(errors::plain(400, "'id' must be a valid UUID", "The request is not valid."));
    }
    account.lead_ids.get(id).copied().ok_or_else(missing)
}

fn show(account: &Account, id: &str, status: u16) -> Outcome {
    let lead = account.lead_ids.get(id).and_then(|place| account.leads.get(place)).ok_or_else(missing)?;
    Ok(Reply::json(status, &json!({ "success": true, "data": to_wire(lead) })))
}

fn to_wire(lead: &Lead) -> Value {
    let mut members = lead.members.clone();
    members.insert("add_time".to_owned(), json!(iso_ms(lead.add_ms)));
    members.insert("update_time".to_owned(), json!(iso_ms(lead.update_ms)));
    Value::Object(members)
}

/// Checks the members of a write.
fn members(
    account: &Account,
    body: &Map<String, Value>,
    creating: bool,
) -> Result<Map<String, Value>, Reply> {
    let bad = |name: &str, what: &str| errors::bad(&format!("'{name}' must be {what}"));
    let mut checked = Map::new();
    for (name, value) in body {
        let null = value.is_null();
        let refers = |entity: &str| {
            value
                .as_u64()
                .is_some_and(|id| account.tables.get(entity).is_some_and(|table| table.live(id).is_some()))
        };
        let fits = match name.as_str() {
            "title" => value.as_str().is_some_and(|text| !text.is_empty()),
            "owner_id" => account.users.iter().any(|user| user["id"] == *value),
            "person_id" => null || refers("persons"),
            "organization_id" => null || refers("organizations"),
            "label_ids" => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            "value" => {
                null || (value["amount"].is_number()
                    && value["currency"].as_str().is_some_and(|code| code.len() == 3))
            }
            "expected_close_date" => null || value.as_str().is_some_and(|text| parse_date(text).is_some()),
            "visible_to" | "origin_id" | "channel_id" => null || value.is_string(),
            "was_seen" | "is_archived" => value.is_boolean(),
            "channel" => null || value.is_u64(),
            _ => {
                let field = account.tables.get("deals").and_then(|deals| deals.custom(name));
                let Some(field) = field else { return Err(errors::bad(&format!("'{name}' is not allowed"))) };
                // Version 1 writes amounts, sets and single options as plain values.
                match (field.kind.as_str(), value) {
                    ("monetary", Value::Number(_)) | ("set", Value::String(_)) => true,
                    _ => check::custom_value(field, value).is_ok(),
                }
            }
        };
        if !fits {
            return Err(bad(name, "valid"));
        }
        checked.insert(name.clone(), value.clone());
    }
    if creating {
        if !checked.contains_key("title") {
            return Err(errors::bad("'title' is required"));
        }
        let set = |name: &str| checked.get(name).is_some_and(|value| !value.is_null());
        if !set("person_id") && !set("organization_id") {
            return Err(linked());
        }
        checked.retain(|name, value| !(value.is_null() && name.len() >= 40));
    }
    Ok(checked)
}

fn list(request: &Request, account: &Account, archived: bool) -> Outcome {
    let (start, limit) = paging::window(request)?;
    let number = |name: &str| -> Result<Option<u64>, Reply> {
        let text = request.param(name);
        text.map(|text| text.parse().map_err(|_| errors::bad(&format!("'{name}' must be a number"))))
            .transpose()
    };
    let (owner, person) = (number("owner_id")?, number("person_id")?);
    let organization = number("organization_id")?;
    let since = match request.param("updated_since") {
        Some(text) => Some(parse(text).ok_or_else(|| errors::bad("'updated_since' must be a datetime"))?),
        None => None,
    };
    let mut hits: Vec<&Lead> = account
        .leads
        .values()
        .filter(|lead| (*at(&lead.members, "is_archived") == true) == archived)
        .filter(|lead| owner.is_none_or(|id| *at(&lead.members, "owner_id") == id))
        .filter(|lead| person.is_none_or(|id| *at(&lead.members, "person_id") == id))
        .filter(|lead| organization.is_none_or(|id| *at(&lead.members, "organization_id") == id))
        .filter(|lead| since.is_none_or(|since| lead.update_ms >= since))
        .collect();
    if let Some(sort) = request.param("sort").filter(|sort| !sort.is_empty()) {
        let (field, direction) = sort.split_once(' ').unwrap_or((sort, "ASC"));
        if !SORTS.contains(&field) {
            return Err(errors::bad(&format!("'sort' cannot be by {field}")));
        }
        hits.sort_by_cached_key(|lead| match field {
            "add_time" => format!("{:020}", lead.add_ms),
            "update_time" => format!("{:020}", lead.update_ms),
            other => match at(&lead.members, other) {
                Value::String(text) => text.to_lowercase(),
                Value::Number(number) => format!("{:020}", number.as_u64().unwrap_or(0)),
                other => other.to_string(),
            },
        });
        if direction.eq_ignore_ascii_case("desc") {
            hits.reverse();
        }
    }
    let page: Vec<Value> = hits.iter().skip(start).take(limit).map(|lead| to_wire(lead)).collect();
    let more = start.saturating_add(page.len()) < hits.len();
    // On the wire the window is nested and lacks the next start.
    Ok(Reply::json(
        200,
        &json!({
            "success": true,
            "data": page,
            "additional_data": {
                "pagination": { "start": start, "limit": limit, "more_items_in_collection": more }
            },
        }),
    ))
}

fn find(request: &Request, account: &Account) -> Outcome {
    let exact = matches!(request.param("exact_match"), Some("true" | "1"));
    let term = request.param("term").map(|text| text.trim().to_lowercase()).unwrap_or_default();
    if term.chars().count() < if exact { 1 } else { 2 } {
        return Err(errors::bad("Search term must be at least 2 characters long."));
    }
    let (start, limit) = paging::window(request)?;
    let hits = search(request, account, &|text| {
        let text = text.to_lowercase();
        if exact { text == term } else { text.contains(&term) }
    });
    let total = hits.len();
    let items: Vec<Value> = hits
        .into_iter()
        .skip(start)
        .take(limit)
        .map(|(score, item)| json!({ "result_score": score, "item": item }))
        .collect();
    let more = start.saturating_add(items.len()) < total;
    Ok(Reply::json(
        200,
        &json!({
            "success": true,
            "data": { "items": items },
            "additional_data": {
                "pagination": { "start": start, "limit": limit, "more_items_in_collection": more }
            },
        }),
    ))
}

/// The leads that a search finds: a score and the item.
pub fn search(request: &Request, account: &Account, meets: &dyn Fn(&str) -> bool) -> Vec<(f64, Value)> {
    let number = |name: &str| request.param(name).and_then(|text| text.parse::<u64>().ok());
    let (person, organization) = (number("person_id"), number("organization_id"));
    account
        .leads
        .values()
        .filter(|lead| at(&lead.members, "title").as_str().is_some_and(meets))
        .filter(|lead| person.is_none_or(|id| *at(&lead.members, "person_id") == id))
        .filter(|lead| organization.is_none_or(|id| *at(&lead.members, "organization_id") == id))
        .map(|lead| {
            let named = |entity: &str, id: &Value| match id {
                Value::Null => Value::Null,
                id => json!({ "id": id, "name": account.name_of(entity, id) }),
            };
            let item = json!({
                "id": at(&lead.members, "id"),
                "type": "lead",
                "title": at(&lead.members, "title"),
                "owner": { "id": at(&lead.members, "owner_id") },
                "person": named("persons", at(&lead.members, "person_id")),
                "organization": named("organizations", at(&lead.members, "organization_id")),
                "phones": [],
                "emails": [],
                "custom_fields": [],
                "notes": [],
                "value": dig(at(&lead.members, "value"), "/amount"),
                "currency": dig(at(&lead.members, "value"), "/currency"),
                "visible_to": 3,
                "is_archived": at(&lead.members, "is_archived"),
            });
            (0.29, item)
        })
        .collect()
}
