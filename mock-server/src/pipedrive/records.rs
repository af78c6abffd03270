//! Version 2's entities: get, add, change, delete; lists are `list`'s.

use std::sync::RwLock;

use http::Method;
use serde_json::{Map, Value, json};

use super::account::{Account, ready, split_name};
use super::entity::{self, Entity};
use super::list::{View, list};
use super::{check, errors};
use crate::clock::{iso_s, now_ms, parse};
use crate::exchange::{Outcome, Reply, Request};
use crate::json::put;
use crate::world::{read, write};

/// Answers below `/api/v2/{entity}`.
pub fn answer(request: &Request, account: &RwLock<Account>, name: &str, rest: &[&str]) -> Outcome {
    let entity = entity::of(name).ok_or_else(errors::no_endpoint)?;
    ready(account, &[entity.name]);
    match (&request.method, rest) {
        (&Method::GET, []) => list(request, &read(account), entity, false),
        (&Method::GET, ["archived"]) if entity.name == "deals" => list(request, &read(account), entity, true),
        (&Method::POST, []) => {
            let body = body(request)?;
            let mut account = write(account);
            let checked = check::members(&account, entity, &body, true)?;
            let id = add(&mut account, entity, checked)?;
            show(request, &account, entity, id)
        }
        (&Method::GET, [id]) => {
            let account = read(account);
            let id = parse_id(id)?;
            show(request, &account, entity, id)
        }
        (&Method::PATCH, [id]) => {
            let (id, body) = (parse_id(id)?, body(request)?);
            let mut account = write(account);
            let checked = check::members(&account, entity, &body, false)?;
            change(&mut account, entity, id, checked)?;
            show(request, &account, entity, id)
        }
        (&Method::DELETE, [id]) => {
            let id = parse_id(id)?;
            let mut account = write(account);
            delete(&mut account, entity, id)
        }
        (_, [] | [_]) => Err(errors::bad_method()),
        _ => Err(errors::no_endpoint()),
    }
}

fn body(request: &Request) -> Result<Map<String, Value>, Reply> {
    match request.json() {
        Ok(Value::Object(body)) => Ok(body),
        _ => Err(errors::schema("the body must be a JSON object")),
    }
}

fn parse_id(id: &str) -> Result<u64, Reply> {
    id.parse().map_err(|_| errors::schema("id: must be a number"))
}

fn show(request: &Request, account: &Account, entity: &Entity, id: u64) -> Outcome {
    let view = View::of(request, account, entity)?;
    let table = account.tables.get(entity.name).ok_or_else(errors::no_endpoint)?;
    let record = table.records.get(&id).ok_or_else(|| errors::not_found(entity.singular))?;
    let mut out = b"{\"success\":true,\"data\":".to_vec();
    view.write(&mut out, table, record);
    out.extend_from_slice(b",\"additional_data\":null}");
    Ok(Reply::written(200, out))
}

fn add(account: &mut Account, entity: &Entity, mut checked: Map<String, Value>) -> Result<u64, Reply> {
    let name = entity::of(entity.name).map_or("", |entity| entity.name);
    match name {
        "deals" => {
            if checked.get("stage_id").is_none_or(Value::is_null) {
                let pipeline = checked.get("pipeline_id").and_then(Value::as_u64).unwrap_or(1);
                checked.insert("pipeline_id".to_owned(), json!(pipeline));
                checked.insert("stage_id".to_owned(), first_stage(account, pipeline));
            }
            fit_stage(account, &mut checked);
            fit_status(&mut checked, true);
            checked.retain(|name, value| {
                !(value.is_null() && ["value", "currency", "status"].contains(&name.as_str()))
            });
        }
        "activities" => {
            fit_participants(&mut checked)?;
            if checked.get("subject").is_none_or(Value::is_null) {
                checked.insert("subject".to_owned(), json!("Call"));
            }
            if checked.get("done") == Some(&Value::Bool(true)) {
                checked.insert("marked_as_done_time".to_owned(), json!(iso_s(now_ms())));
            }
        }
        _ => {}
    }
    Ok(account.place(name, Some(&checked), now_ms()))
}

fn first_stage(account: &Account, pipeline: u64) -> Value {
    let stages = account.tables.get("stages").map(|table| table.records.values());
    let first =
        stages.into_iter().flatten().find(|stage| !stage.deleted && stage.get("pipeline_id") == pipeline);
    first.map_or(Value::Null, |stage| json!(stage.id))
}

/// The pipeline follows the stage.
fn fit_stage(account: &Account, checked: &mut Map<String, Value>) {
    let stage = checked.get("stage_id").and_then(Value::as_u64);
    let stage = stage.and_then(|id| account.tables.get("stages")?.live(id));
    if let Some(stage) = stage {
        checked.insert("pipeline_id".to_owned(), stage.get("pipeline_id").clone());
    }
}

/// Times follow the status.
fn fit_status(checked: &mut Map<String, Value>, creating: bool) {
    let now = json!(iso_s(now_ms()));
    let today = json!(crate::clock::date(now_ms()));
    let Some(status) = checked.get("status").and_then(Value::as_str).map(str::to_owned) else { return };
    let mut set = |name: &str, value: Value| {
        if checked.get(name).is_none_or(Value::is_null) {
            checked.insert(name.to_owned(), value);
        }
    };
    match status.as_str() {
        "won" => {
            set("won_time", now.clone());
            set("close_time", now);
            set("local_won_date", today.clone());
            set("local_close_date", today);
        }
        "lost" => {
            set("lost_time", now.clone());
            set("close_time", now);
            set("local_lost_date", today.clone());
            set("local_close_date", today);
        }
        "open" if !creating => {
            for name in [
                "won_time",
                "lost_time",
                "close_time",
                "local_won_date",
                "local_lost_date",
                "local_close_date",
            ] {
                set(name, Value::Null);
            }
        }
        "deleted" => {
            checked.insert("is_deleted".to_owned(), json!(true));
        }
        _ => {}
    }
}

/// The person of an activity is its primary participant, and cannot be set otherwise.
fn fit_participants(checked: &mut Map<String, Value>) -> Result<(), Reply> {
    if checked.get("person_id").is_some_and(|person| !person.is_null())
        && !checked.contains_key("participants")
    {
        return Err(errors::schema("person_id: read-only, use participants instead"));
    }
    let Some(list) = checked.get_mut("participants").and_then(Value::as_array_mut) else { return Ok(()) };
    if !list.iter().any(|one| one["primary"] == true)
        && let Some(first) = list.first_mut()
    {
        put(first, "primary", json!(true));
    }
    for one in list.iter_mut().filter(|one| one["primary"].is_null()) {
        put(one, "primary", json!(false));
    }
    let primary = list.iter().find(|one| one["primary"] == true).map(|one| one["person_id"].clone());
    checked.insert("person_id".to_owned(), primary.unwrap_or(Value::Null));
    Ok(())
}

fn change(
    account: &mut Account,
    entity: &Entity,
    id: u64,
    mut checked: Map<String, Value>,
) -> Result<(), Reply> {
    let table = account.tables.get(entity.name).ok_or_else(errors::no_endpoint)?;
    let record = table.records.get(&id).ok_or_else(|| errors::not_found(entity.singular))?;
    let restores = checked.get("is_deleted") == Some(&Value::Bool(false));
    if record.deleted && !restores {
        return Err(errors::gone(entity.singular));
    }
    let was = record.get("stage_id").clone();
    match entity.name {
        "deals" => {
            if let Some(pipeline) = checked.get("pipeline_id").and_then(Value::as_u64)
                && !checked.contains_key("stage_id")
                && record.get("pipeline_id") != pipeline
            {
                checked.insert("stage_id".to_owned(), first_stage(account, pipeline));
            }
            fit_stage(account, &mut checked);
            fit_status(&mut checked, false);
            if checked.get("stage_id").is_some_and(|stage| *stage != was) {
                checked.entry("stage_change_time").or_insert_with(|| json!(iso_s(now_ms())));
            }
        }
        "activities" => {
            fit_participants(&mut checked)?;
            if let Some(Value::Bool(done)) = checked.get("done") {
                let at = if *done { json!(iso_s(now_ms())) } else { Value::Null };
                checked.insert("marked_as_done_time".to_owned(), at);
            }
        }
        _ => {}
    }
    let table = account.tables.get_mut(entity.name).ok_or_else(errors::no_endpoint)?;
    let record = table.records.get_mut(&id).ok_or_else(|| errors::not_found(entity.singular))?;
    let mut given_time = None;
    for (name, value) in checked {
        match (name.as_str(), value) {
            ("custom_fields", Value::Object(custom)) => {
                if let Some(Value::Object(own)) = record.members.get_mut("custom_fields") {
                    own.extend(custom);
                }
            }
            ("add_time", Value::String(text)) => record.add_ms = parse(&text).unwrap_or(record.add_ms),
            ("update_time", Value::String(text)) => given_time = parse(&text),
            ("is_deleted", flag) => record.deleted = flag == true,
            (_, value) => {
                record.members.insert(name, value);
            }
        }
    }
    if entity.name == "persons" {
        split_name(&mut record.members);
    }
    record.update_ms = given_time.unwrap_or_else(now_ms);
    record.stamp();
    Ok(())
}

fn delete(account: &mut Account, entity: &Entity, id: u64) -> Outcome {
    let table = account.tables.get_mut(entity.name).ok_or_else(errors::no_endpoint)?;
    let record = table.records.get_mut(&id).ok_or_else(|| errors::not_found(entity.singular))?;
    if record.deleted {
        return Err(errors::gone(entity.singular));
    }
    record.deleted = true;
    record.update_ms = now_ms();
    record.stamp();
    if entity.name == "pipelines"
        && let Some(stages) = account.tables.get_mut("stages")
    {
        for stage in stages.records.values_mut().filter(|stage| stage.get("pipeline_id") == id) {
            stage.deleted = true;
            stage.stamp();
        }
    }
    Ok(Reply::json(200, &json!({ "success": true, "data": { "id": id }, "additional_data": null })))
}
