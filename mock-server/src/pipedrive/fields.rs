//! Version 2's field definitions.

use std::sync::RwLock;

use serde_json::{Map, Value, json};

use super::account::Account;
use super::field::{Field, KINDS};
use super::paging::{self, Cursor};
use super::{entity, errors};
use crate::clock::now_ms;
use crate::exchange::{Outcome, Reply, Request};
use crate::seed::Rng;
use crate::world::{read, write};

/// Answers below `/api/v2/{person,organization,deal,product,activity}Fields`.
pub fn answer(request: &Request, account: &RwLock<Account>, name: &str, rest: &[&str]) -> Outcome {
    let singular = name.trim_end_matches("Fields");
    let entity = entity::ENTITIES.iter().find(|entity| entity.singular == singular);
    let entity = entity.ok_or_else(errors::no_endpoint)?.name;
    match (request.method.as_str(), rest) {
        ("GET", []) => list(request, &read(account), entity),
        ("GET", [code]) => {
            let account = read(account);
            let found = account
                .tables
                .get(entity)
                .and_then(|table| table.fields.iter().find(|field| field.code == *code));
            found.map(shown).ok_or_else(|| errors::not_found("field"))
        }
        ("POST", []) => add(&mut write(account), entity, &body(request)?),
        ("PATCH", [code]) => {
            let body = body(request)?;
            let mut account = write(account);
            let field = own(&mut account, entity, code)?;
            if let Some(name) = body.get("field_name").and_then(Value::as_str) {
                name.clone_into(&mut field.name);
            }
            if let Some(text) = body.get("description").and_then(Value::as_str) {
                field.description = Some(text.to_owned());
            }
            Ok(shown(field))
        }
        ("DELETE", [code]) => {
            let mut account = write(account);
            let reply = shown(own(&mut account, entity, code)?);
            if let Some(table) = account.tables.get_mut(entity) {
                table.fields.retain(|field| field.code != *code);
                for record in table.records.values_mut() {
                    if let Some(Value::Object(custom)) = record.members.get_mut("custom_fields") {
                        custom.shift_remove(*code);
                    }
                }
            }
            Ok(reply)
        }
        ("POST", [code, "options"]) => add_options(request, &mut write(account), entity, code),
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

fn shown(field: &Field) -> Reply {
    Reply::json(200, &json!({ "success": true, "data": field.to_wire(), "additional_data": null }))
}

fn own<'a>(account: &'a mut Account, entity: &str, code: &str) -> Result<&'a mut Field, Reply> {
    let table = account.tables.get_mut(entity).ok_or_else(errors::no_endpoint)?;
    let field = table.fields.iter_mut().find(|field| field.code == code);
    let field = field.ok_or_else(|| errors::not_found("field"))?;
    if field.custom {
        Ok(field)
    } else {
        Err(errors::coded(403, "ERR_FORBIDDEN", "Only custom fields can be changed."))
    }
}

fn list(request: &Request, account: &Account, entity: &str) -> Outcome {
    let table = account.tables.get(entity).ok_or_else(errors::no_endpoint)?;
    let limit = paging::limit(request, paging::MAX_PAGE)?;
    let skip = Cursor::of(request)?.map_or(0, |cursor| usize::try_from(cursor.id).unwrap_or(usize::MAX));
    let page: Vec<Value> = table.fields.iter().skip(skip).take(limit).map(Field::to_wire).collect();
    let reached = skip.saturating_add(page.len());
    let next = (reached < table.fields.len()).then(|| {
        let id = reached as u64;
        Cursor { field: "id".to_owned(), value: json!(id), descending: false, id }.to_wire()
    });
    Ok(Reply::json(
        200,
        &json!({ "success": true, "data": page, "additional_data": { "next_cursor": next } }),
    ))
}

fn options(account: &mut Account, given: Option<&Value>) -> Result<Vec<(u64, String)>, Reply> {
    let list = given.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .map(|option| {
            let label = option["label"].as_str().ok_or_else(|| errors::schema("options.label: Required"))?;
            account.counters.2 += 1;
            Ok((account.counters.2, label.to_owned()))
        })
        .collect()
}

fn add(account: &mut Account, entity: &'static str, body: &Map<String, Value>) -> Outcome {
    let text = |name: &str| {
        let text = body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| errors::schema(&format!("{name}: Required")))
    };
    let (name, kind) = (text("field_name")?, text("field_type")?);
    if !KINDS.contains(&kind) {
        return Err(errors::schema(&format!("field_type: {kind} is not known")));
    }
    let options = options(account, body.get("options"))?;
    if ["enum", "set"].contains(&kind) && options.is_empty() {
        return Err(errors::schema("options: Required"));
    }
    let count = account.tables.get(entity).map_or(0, |table| table.fields.len() as u64);
    let code = Rng::new(now_ms().unsigned_abs(), name, count).hash40();
    let field = Field {
        code: code.clone(),
        name: name.to_owned(),
        kind: kind.to_owned(),
        options,
        custom: true,
        description: body.get("description").and_then(Value::as_str).map(str::to_owned),
    };
    let reply = shown(&field);
    if let Some(table) = account.tables.get_mut(entity) {
        table.fields.push(field);
        for record in table.records.values_mut() {
            if let Some(Value::Object(custom)) = record.members.get_mut("custom_fields") {
                custom.insert(code.clone(), Value::Null);
            }
        }
    }
    Ok(reply)
}

fn add_options(request: &Request, account: &mut Account, entity: &str, code: &str) -> Outcome {
    let body = request.json().map_err(|_| errors::schema("the body must be JSON"))?;
    let new = options(account, Some(&body))?;
    let field = own(account, entity, code)?;
    let shown: Vec<Value> = new.iter().map(|(id, label)| json!({ "id": id, "label": label })).collect();
    field.options.extend(new);
    Ok(Reply::json(200, &json!({ "success": true, "data": shown, "additional_data": null })))
}
