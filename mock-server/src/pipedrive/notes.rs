//! Version 1's notes: changed by PUT, which leaves what is not mentioned.

use std::sync::RwLock;

use http::Method;
use serde_json::{Map, Value, json};

use super::account::{Account, Note, ready};
use super::{errors, paging};
use crate::clock::{now_ms, parse, spaced};
use crate::exchange::{Outcome, Reply, Request};
use crate::json::{at, put};
use crate::world::{read, write};

const LINKS: [(&str, &str); 3] =
    [("deal_id", "deals"), ("person_id", "persons"), ("org_id", "organizations")];

/// Answers below `/api/v1/notes`.
pub fn answer(request: &Request, account: &RwLock<Account>, rest: &[&str]) -> Outcome {
    ready(account, &["notes", "leads", "deals", "persons", "organizations"]);
    match (&request.method, rest) {
        (&Method::GET, []) => list(request, &read(account)),
        (&Method::GET, [id]) => show(&read(account), parse_id(id)?, 200),
        (&Method::POST, []) => {
            let body = body(request)?;
            let mut account = write(account);
            let checked = members(&account, &body)?;
            if checked.get("content").and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(errors::bad("Content must be given."));
            }
            let names = ["deal_id", "person_id", "org_id", "lead_id", "project_id"];
            if !names.iter().any(|name| checked.get(*name).is_some_and(|value| !value.is_null())) {
                return Err(errors::bad(
                    "At least one of deal_id, person_id, org_id, lead_id or project_id must be given.",
                ));
            }
            let id = account.place_note(&checked, now_ms());
            show(&account, id, 201)
        }
        (&Method::PUT, [id]) => {
            let (id, body) = (parse_id(id)?, body(request)?);
            let mut account = write(account);
            let checked = members(&account, &body)?;
            let note = account.notes.get_mut(&id).filter(|note| !note.deleted).ok_or_else(missing)?;
            note.members.extend(checked);
            note.update_ms = now_ms();
            show(&account, id, 200)
        }
        (&Method::DELETE, [id]) => {
            let id = parse_id(id)?;
            let mut account = write(account);
            let note = account.notes.get_mut(&id).ok_or_else(missing)?;
            if note.deleted {
                return Err(errors::plain(410, "Note was deleted already.", ""));
            }
            note.deleted = true;
            Ok(Reply::json(200, &json!({ "success": true, "data": true })))
        }
        (_, [] | [_]) => Err(errors::bad_method()),
        _ => Err(errors::no_endpoint()),
    }
}

/// Version 1 takes JSON and forms.
fn body(request: &Request) -> Result<Map<String, Value>, Reply> {
    if request.header("content-type").is_some_and(|kind| kind.contains("form-urlencoded")) {
        return Ok(request.form().into_iter().map(|(name, value)| (name, json!(value))).collect());
    }
    match request.json() {
        Ok(Value::Object(body)) => Ok(body),
        _ => Err(errors::bad("Bad request")),
    }
}

fn missing() -> Reply {
    errors::plain(404, "Note not found.", "Object was not found.")
}

fn parse_id(id: &str) -> Result<u64, Reply> {
    id.parse().map_err(|_| errors::bad("Bad request: id must be a number"))
}

fn members(account: &Account, body: &Map<String, Value>) -> Result<Map<String, Value>, Reply> {
    let mut checked = Map::new();
    for (name, value) in body {
        let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        let kept = match name.as_str() {
            "content" => json!(value.as_str().ok_or_else(|| errors::bad("Content must be a string."))?),
            "deal_id" | "person_id" | "org_id" if value.is_null() => Value::Null,
            "deal_id" | "person_id" | "org_id" => {
                let entity = LINKS.iter().find(|(link, _)| link == name).map_or("", |(_, entity)| *entity);
                let live = number
                    .filter(|id| account.tables.get(entity).is_some_and(|table| table.live(*id).is_some()));
                json!(live.ok_or_else(|| errors::bad(&format!("{name} does not exist")))?)
            }
            "lead_id" => match value.as_str() {
                None => Value::Null,
                Some(id) if account.lead_ids.contains_key(id) => value.clone(),
                Some(_) => return Err(errors::bad("lead_id does not exist")),
            },
            "user_id" => {
                let user = number.filter(|id| account.users.iter().any(|user| user["id"] == *id));
                json!(user.ok_or_else(|| errors::bad("user_id does not exist"))?)
            }
            "add_time" => {
                value
                    .as_str()
                    .and_then(parse)
                    .ok_or_else(|| errors::bad("add_time must be YYYY-MM-DD HH:MM:SS"))?;
                value.clone()
            }
            flag if flag.starts_with("pinned_to_") => {
                json!(number == Some(1) || *value == true || *value == "true")
            }
            "project_id" | "task_id" => value.clone(),
            // Version 1 passes over what it does not know.
            _ => continue,
        };
        checked.insert(name.clone(), kept);
    }
    Ok(checked)
}

fn to_wire(account: &Account, note: &Note) -> Value {
    let mut wire = note.members.clone();
    wire.insert("add_time".to_owned(), json!(spaced(note.add_ms)));
    wire.insert("update_time".to_owned(), json!(spaced(note.update_ms)));
    wire.insert("active_flag".to_owned(), json!(!note.deleted));
    for (link, entity, member, title) in [
        ("org_id", "organizations", "organization", "name"),
        ("person_id", "persons", "person", "name"),
        ("deal_id", "deals", "deal", "title"),
    ] {
        let id = wire.get(link).cloned().unwrap_or_default();
        let shown = if id.is_null() { Value::Null } else { json!({ title: account.name_of(entity, &id) }) };
        wire.insert(member.to_owned(), shown);
    }
    let user = account.users.iter().find(|user| Some(&user["id"]) == wire.get("user_id"));
    let user = user.map(|user| {
        json!({ "email": user["email"], "name": user["name"], "icon_url": null, "is_you": user["is_you"] })
    });
    wire.insert("user".to_owned(), json!(user));
    Value::Object(wire)
}

fn show(account: &Account, id: u64, status: u16) -> Outcome {
    let note = account.notes.get(&id).filter(|note| !note.deleted).ok_or_else(missing)?;
    Ok(Reply::json(status, &json!({ "success": true, "data": to_wire(account, note) })))
}

fn list(request: &Request, account: &Account) -> Outcome {
    let (start, limit) = paging::window(request)?;
    let mut equal = Vec::new();
    for name in ["user_id", "deal_id", "person_id", "org_id"] {
        if let Some(text) = request.param(name) {
            let id: u64 = text.parse().map_err(|_| errors::bad(&format!("{name} must be a number")))?;
            equal.push((name, json!(id)));
        }
    }
    equal.extend(request.param("lead_id").map(|id| ("lead_id", json!(id))));
    for (name, _) in request.query.iter().filter(|(name, _)| name.starts_with("pinned_to_")) {
        equal.push((name.as_str(), json!(request.param(name) == Some("1"))));
    }
    let time = |name: &str| request.param(name).and_then(parse);
    let (from, to, since) = (time("start_date"), time("end_date"), time("updated_since"));
    let mut hits: Vec<&Note> = account
        .notes
        .values()
        .filter(|note| !note.deleted)
        .filter(|note| equal.iter().all(|(name, value)| note.members.get(*name) == Some(value)))
        .filter(|note| from.is_none_or(|from| note.add_ms >= from))
        .filter(|note| to.is_none_or(|to| note.add_ms < to + crate::clock::DAY_MS))
        .filter(|note| since.is_none_or(|since| note.update_ms >= since))
        .collect();
    if let Some(sort) = request.param("sort").filter(|sort| !sort.is_empty()) {
        let (field, direction) = sort.split_once(' ').unwrap_or((sort, "ASC"));
        match field {
            "add_time" => hits.sort_by_key(|note| note.add_ms),
            "update_time" => hits.sort_by_key(|note| note.update_ms),
            "id" => {}
            "content" => hits.sort_by_key(|note| at(&note.members, "content").to_string()),
            other => return Err(errors::bad(&format!("cannot sort by {other}"))),
        }
        if direction.eq_ignore_ascii_case("desc") {
            hits.reverse();
        }
    }
    let page: Vec<Value> = hits.iter().skip(start).take(limit).map(|note| to_wire(account, note)).collect();
    let reached = start.saturating_add(page.len());
    let mut window =
        json!({ "start": start, "limit": limit, "more_items_in_collection": reached < hits.len() });
    if reached < hits.len() {
        put(&mut window, "next_start", json!(reached));
    }
    Ok(Reply::json(
        200,
        &json!({ "success": true, "data": page, "additional_data": { "pagination": window } }),
    ))
}
