//! One record: show, store, update, destroy, trash; and its links.

use serde_json::{Map, Value, json};

use super::account::Account;
use super::check::{self, Checked};
use super::resource::{self, Resource};
use super::{errors, list};
use crate::clock::now_ms;
use crate::exchange::{Outcome, Reply, Request};

/// The id of a path, which has to be that of a record there is.
fn id_of(account: &Account, resource: &Resource, id: &str, trashed: bool) -> Result<u64, Reply> {
    let record = id.parse().ok().and_then(|id: u64| account.tables.get(resource.name)?.records.get(&id));
    record
        .filter(|record| record.trashed == trashed)
        .map(|record| record.id)
        .ok_or_else(|| errors::no_record(resource.model, id))
}

fn shown(account: &Account, resource: &Resource, id: u64, status: u16) -> Outcome {
    let record = account.tables.get(resource.name).and_then(|table| table.records.get(&id));
    let mut wire = record.map(|record| account.wire(resource, record)).unwrap_or_default();
    crate::json::put(&mut wire, "was_recently_created", status == 201);
    Ok(Reply::json(status, &wire))
}

fn read(request: &Request) -> Map<String, Value> {
    // A body that is not JSON is no input at all, as Laravel has it.
    let is_json = request.header("content-type").is_some_and(|kind| kind.contains("json"));
    let body = is_json.then(|| request.json().ok()).flatten();
    body.and_then(|body| body.as_object().cloned()).unwrap_or_default()
}

/// `GET /api/{resource}/{id}`.
pub fn show(account: &Account, resource: &Resource, id: &str, trashed: bool) -> Outcome {
    let id = id_of(account, resource, id, trashed)?;
    let record = account.tables.get(resource.name).and_then(|table| table.records.get(&id));
    Ok(Reply::json(200, &record.map(|record| account.wire(resource, record))))
}

/// `POST /api/{resource}`.
pub fn store(request: &Request, account: &mut Account, resource: &'static Resource) -> Outcome {
    let checked =
        check::body(account, resource, &read(request), true).map_err(|faults| errors::invalid(&faults))?;
    let via = via(account, &checked)?;
    let mut members = defaults(account, resource);
    members.extend(checked.members);
    if members.get("status").is_some_and(|status| status == "open") {
        members.insert("won_date".to_owned(), Value::Null);
    }
    let id = account.add(resource.name, members, now_ms());
    for (other, ids) in checked.links.iter().chain(&via) {
        ids.iter().for_each(|linked| account.link(resource.name, id, other, *linked));
    }
    if let Some(stages) = checked.stages {
        replace_stages(account, id, &stages);
    }
    closed(account, resource, id);
    shown(account, resource, id, 201)
}

/// The record that a note or call is written on.
fn via(account: &Account, checked: &Checked) -> Result<Vec<(&'static str, Vec<u64>)>, Reply> {
    let Some(on) = checked.members.get("via_resource").and_then(Value::as_str) else { return Ok(Vec::new()) };
    let id = checked.members.get("via_resource_id").and_then(Value::as_u64).unwrap_or(0);
    let Some(on) = resource::of(on) else { return Ok(Vec::new()) };
    let there = account.tables.get(on.name).is_some_and(|table| table.live(id).is_some());
    if there { Ok(vec![(on.name, vec![id])]) } else { Err(errors::no_record(on.model, &id.to_string())) }
}

fn defaults(account: &Account, resource: &Resource) -> Map<String, Value> {
    let mut members = Map::new();
    if resource.writes.iter().any(|(name, _)| *name == "user_id") {
        members.insert("user_id".to_owned(), json!(first(account, "users")));
    }
    match resource.name {
        "deals" => {
            members.insert("status".to_owned(), json!("open"));
            members.insert("amount".to_owned(), json!("0.000"));
        }
        "activities" => {
            members.insert("activity_type_id".to_owned(), json!(first(account, "activity-types")));
            members.insert("is_completed".to_owned(), json!(false));
        }
        _ => {}
    }
    members
}

fn first(account: &Account, table: &str) -> Option<u64> {
    account.tables.get(table)?.records.keys().next().copied()
}

/// `PUT /api/{resource}/{id}`: what is not mentioned stays.
pub fn update(request: &Request, account: &mut Account, resource: &'static Resource, id: &str) -> Outcome {
    let id = id_of(account, resource, id, false)?;
    let checked =
        check::body(account, resource, &read(request), false).map_err(|faults| errors::invalid(&faults))?;
    if let Some(record) = account.tables.get_mut(resource.name).and_then(|table| table.records.get_mut(&id)) {
        record.members.extend(checked.members);
        record.updated_ms = now_ms();
    }
    for (other, ids) in checked.links {
        sync(account, resource.name, id, other, &ids);
    }
    if let Some(stages) = checked.stages {
        replace_stages(account, id, &stages);
    }
    closed(account, resource, id);
    shown(account, resource, id, 200)
}

/// Keeps the dates of a deal's end with its status.
fn closed(account: &mut Account, resource: &Resource, id: u64) {
    if resource.name != "deals" {
        return;
    }
    let Some(deal) = account.tables.get_mut("deals").and_then(|table| table.records.get_mut(&id)) else {
        return;
    };
    let status = deal.text("status").to_owned();
    for (name, at) in [("won_date", "won"), ("lost_date", "lost")] {
        let value = if status != at {
            Value::Null
        } else if deal.get(name).is_null() {
            json!(super::table::stamp(now_ms()))
        } else {
            deal.get(name).clone()
        };
        deal.members.insert(name.to_owned(), value);
    }
}

/// `DELETE /api/{resource}/{id}`.
pub fn destroy(account: &mut Account, resource: &'static Resource, id: &str) -> Outcome {
    let id = id_of(account, resource, id, false)?;
    let deals = account.tables.get("deals").map(|table| table.records.values());
    let member = match resource.name {
        "pipelines" => "pipeline_id",
        "pipeline-stages" => "stage_id",
        _ => "",
    };
    if !member.is_empty() && deals.into_iter().flatten().any(|deal| *deal.get(member) == id) {
        return Err(errors::in_use("The record is associated with deals, hence, it cannot be deleted."));
    }
    let Some(table) = account.tables.get_mut(resource.name) else { return Ok(Reply::empty(204)) };
    match table.records.get_mut(&id) {
        Some(record) if resource.trash => record.trashed = true,
        _ => {
            table.records.remove(&id);
        }
    }
    Ok(Reply::empty(204))
}

/// Below `/api/trashed/{resource}`.
pub fn trash(
    request: &Request,
    account: &mut Account,
    resource: &'static Resource,
    rest: &[&str],
    base: &str,
) -> Outcome {
    match (request.method.as_str(), rest) {
        ("GET", []) => list::all(request, account, resource, base, true),
        ("GET", [id]) => show(account, resource, id, true),
        ("POST", [id]) => {
            let id = id_of(account, resource, id, true)?;
            if let Some(record) =
                account.tables.get_mut(resource.name).and_then(|table| table.records.get_mut(&id))
            {
                record.trashed = false;
            }
            shown(account, resource, id, 200)
        }
        ("DELETE", [id]) => {
            let id = id_of(account, resource, id, true)?;
            if let Some(table) = account.tables.get_mut(resource.name) {
                table.records.remove(&id);
            }
            Ok(Reply::empty(204))
        }
        (method, _) => Err(errors::bad_method(method, &request.path)),
    }
}

fn replace_stages(account: &mut Account, pipeline: u64, stages: &[Map<String, Value>]) {
    let mut kept = Vec::new();
    for (stage, order) in stages.iter().zip(1..) {
        let mut members = stage.clone();
        let id = members.remove("id").and_then(|id| id.as_u64());
        members.insert("pipeline_id".to_owned(), json!(pipeline));
        members.entry("display_order").or_insert(json!(order));
        members.entry("win_probability").or_insert(json!(100));
        let known = id.filter(|id| {
            account.tables.get("pipeline-stages").is_some_and(|table| table.live(*id).is_some())
        });
        match known {
            Some(id) => {
                kept.push(id);
                let table = account.tables.get_mut("pipeline-stages");
                if let Some(record) = table.and_then(|table| table.records.get_mut(&id)) {
                    record.members.extend(members);
                }
            }
            None => kept.push(account.add("pipeline-stages", members, now_ms())),
        }
    }
    if let Some(table) = account.tables.get_mut("pipeline-stages") {
        table.records.retain(|id, stage| *stage.get("pipeline_id") != pipeline || kept.contains(id));
    }
}

fn sync(account: &mut Account, one: &'static str, id: u64, other: &'static str, ids: &[u64]) {
    let gone: Vec<u64> = account.linked(one, id, other).iter().map(|record| record.id).collect();
    gone.into_iter().for_each(|linked| account.unlink(one, id, other, linked));
    ids.iter().for_each(|linked| account.link(one, id, other, *linked));
}

/// `/api/associations/{resource}/{id}`: PUT attaches, POST replaces, DELETE detaches; the body names ids by resource.
pub fn associations(
    request: &Request,
    account: &mut Account,
    resource: &'static Resource,
    id: &str,
) -> Outcome {
    let id = id_of(account, resource, id, false)?;
    let body = read(request);
    for (name, ids) in &body {
        let Some(other) = resource.links.iter().find(|link| *link == name) else {
            return Err(errors::invalid(&[(name.clone(), format!("The {name} cannot be associated."))]));
        };
        let number = |id: &Value| id.as_u64().or_else(|| id.as_str()?.parse().ok());
        let ids: Vec<u64> = ids.as_array().into_iter().flatten().map(|id| number(id).unwrap_or(0)).collect();
        let table = account.tables.get(*other);
        if !ids.iter().all(|id| table.is_some_and(|table| table.live(*id).is_some())) {
            return Err(errors::invalid(&[(name.clone(), format!("The selected {name} is invalid."))]));
        }
        match request.method.as_str() {
            "PUT" => ids.iter().for_each(|linked| account.link(resource.name, id, other, *linked)),
            "POST" => sync(account, resource.name, id, other, &ids),
            "DELETE" => ids.iter().for_each(|linked| account.unlink(resource.name, id, other, *linked)),
            method => return Err(errors::bad_method(method, &request.path)),
        }
    }
    if request.method == "DELETE" { Ok(Reply::empty(204)) } else { shown(account, resource, id, 200) }
}

/// `GET /api/{resource}/{id}/{other}`: what a record is linked with, in pages.
pub fn linked(
    request: &Request,
    account: &Account,
    resource: &'static Resource,
    id: &str,
    other: &str,
    base: &str,
) -> Outcome {
    let id = id_of(account, resource, id, false)?;
    let Some(name) = resource.links.iter().find(|link| **link == other) else {
        return Err(errors::no_route(&request.path));
    };
    let Some(known) = resource::of(name) else { return Err(errors::no_route(&request.path)) };
    let rows = account.linked(resource.name, id, name).into_iter().map(|record| (known, record)).collect();
    list::page(request, account, rows, base, true)
}
