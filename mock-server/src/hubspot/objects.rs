//! `/crm/v3/objects/{object}`: list, get, create, update, archive; the same for every object.

use std::sync::RwLock;

use http::Method;
use serde_json::{Map, Value, json};

use super::account::{Account, TypeIndex, ready};
use super::links::{self, LinkType};
use super::records::{Objects, Record, Wanted, write_text};
use super::{check, errors, generate, paging, unknown_object};
use crate::clock::now_ms;
use crate::exchange::{Outcome, Reply, Request};
use crate::json::dig;
use crate::world::{read, write};

/// Answers below `/crm/v3/objects/{object}`, but for search and batches.
pub fn answer(request: &Request, account: &RwLock<Account>, object: &str, rest: &[&str]) -> Outcome {
    let mut needed = vec![object];
    needed.extend(request.list("associations"));
    ready(account, &needed);
    match (&request.method, rest) {
        (&Method::GET, []) => list(request, &read(account), object),
        (&Method::POST, []) => {
            let body = object_body(request)?;
            let mut account = write(account);
            let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
            let (id, asked) = create(&mut account, at, &body)?;
            Ok(show(&account, at, id, asked.iter().map(String::as_str), 201))
        }
        (&Method::GET, [id]) => get(request, &read(account), object, id),
        (&Method::PATCH, [id]) => {
            let body = object_body(request)?;
            let mut account = write(account);
            let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
            let id = find(&account, at, id, request.param("idProperty"))?;
            let asked = update(&mut account, at, id, &body)?;
            Ok(show(&account, at, id, asked.iter().map(String::as_str), 200))
        }
        (&Method::DELETE, [id]) => {
            let mut account = write(account);
            let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
            if let (Ok(id), Some(objects)) = (id.parse(), account.object_mut(at)) {
                objects.archive(id);
            }
            Ok(Reply::empty(204))
        }
        (_, [] | [_]) => Err(errors::bad_method()),
        _ => Err(errors::no_endpoint()),
    }
}

/// A body that is a JSON object.
pub fn object_body(request: &Request) -> Result<Map<String, Value>, Reply> {
    match request.json() {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(errors::bad_json("expected an object")),
        Err(fault) => Err(errors::bad_json(&fault.to_string())),
    }
}

fn list(request: &Request, account: &Account, object: &str) -> Outcome {
    let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
    let objects = account.object(at).ok_or_else(|| unknown_object(object))?;
    let limit = paging::limit(request, 10, 100)?;
    let from: u64 = match request.param("after").filter(|after| !after.is_empty()) {
        None => 0,
        Some(after) => {
            after.parse().map_err(|_| errors::invalid(&format!("Invalid paging cursor: {after}")))?
        }
    };
    let archived = request.param("archived") == Some("true");
    let wanted = objects.wanted(request.list("properties"));
    let associated = associated(request, account)?;
    let made = generate::computed(account, at, from, limit + 1);
    let kept = objects.records.range(from..).map(|(_, record)| record);
    let kept = kept.filter(|record| objects.computed == 0 && record.archived_ms.is_some() == archived);
    let mut rows = made.iter().filter(|_| !archived).chain(kept);
    let mut out = Vec::with_capacity(limit * 1024);
    out.extend_from_slice(b"{\"results\":[");
    let mut last = 0;
    for (place, record) in rows.by_ref().take(limit).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        last = record.id;
        write_record(&mut out, account, at, objects, record, &wanted, &associated);
    }
    out.push(b']');
    if rows.next().is_some() {
        // The cursor is the number after the last id shown, whether or not a record bears it.
        out.extend_from_slice(b",\"paging\":");
        let _ = serde_json::to_writer(&mut out, &paging::next(request, &(last + 1).to_string()));
    }
    out.push(b'}');
    Ok(Reply::written(200, out))
}

/// The objects whose associations a read asks for, with the names they are asked by.
fn associated<'a>(request: &'a Request, account: &Account) -> Result<Vec<(&'a str, TypeIndex)>, Reply> {
    request
        .list("associations")
        .into_iter()
        .map(|name| Ok((name, account.type_of(name).ok_or_else(|| unknown_object(name))?)))
        .collect()
}

fn write_record(
    out: &mut Vec<u8>,
    account: &Account,
    at: TypeIndex,
    objects: &Objects,
    record: &Record,
    wanted: &Wanted,
    associated: &[(&str, TypeIndex)],
) {
    objects.write_open(out, record, wanted, true);
    write_url(out, account, objects, record);
    write_associations(out, account, at, record, associated);
    out.push(b'}');
}

fn write_url(out: &mut Vec<u8>, account: &Account, objects: &Objects, record: &Record) {
    let url = format!(
        ",\"url\":\"https://app.hubspot.com/contacts/{}/record/{}/{}\"",
        account.portal_id, objects.type_id, record.id
    );
    out.extend_from_slice(url.as_bytes());
}

fn write_associations(
    out: &mut Vec<u8>,
    account: &Account,
    at: TypeIndex,
    record: &Record,
    associated: &[(&str, TypeIndex)],
) {
    let from = account.side(at);
    let mut opened = false;
    for (_, other) in associated {
        let to = account.side(*other);
        let Some(others) = account.object(*other) else { continue };
        let mut live = account
            .links
            .of((at, record.id), *other)
            .iter()
            .filter(|link| others.live(link.to).is_some())
            .peekable();
        if live.peek().is_none() {
            continue;
        }
        out.extend_from_slice(if opened { b"," } else { b",\"associations\":{" });
        opened = true;
        // The member is named by the plural, whatever name it was asked by.
        write_text(out, &others.name);
        out.extend_from_slice(b":{\"results\":[");
        let mut first = true;
        for link in live {
            for kind in &link.types {
                if !first {
                    out.push(b',');
                }
                first = false;
                out.extend_from_slice(b"{\"id\":\"");
                out.extend_from_slice(link.to.to_string().as_bytes());
                out.extend_from_slice(b"\",\"type\":");
                write_text(out, &links::name(from.0, to.0, *kind));
                out.push(b'}');
            }
        }
        out.extend_from_slice(b"]}");
    }
    if opened {
        out.push(b'}');
    }
}

/// Finds a live record by id, or by a unique property.
pub fn find(account: &Account, at: TypeIndex, id: &str, by: Option<&str>) -> Result<u64, Reply> {
    let objects = account.object(at).ok_or_else(|| errors::not_found(id))?;
    match by.filter(|by| *by != "hs_object_id") {
        None => {
            let number: u64 = id.parse().map_err(|_| errors::not_found(id))?;
            objects.live(number).map(|record| record.id).ok_or_else(|| errors::not_found(id))
        }
        Some(by) => {
            let column = objects
                .column(by)
                .filter(|column| objects.properties.get(*column).is_some_and(|property| property.unique));
            let column =
                column.ok_or_else(|| errors::invalid(&format!("Property {by} is not a unique property")))?;
            objects.holder(column, id).ok_or_else(|| errors::not_found(id))
        }
    }
}

fn get(request: &Request, account: &Account, object: &str, id: &str) -> Outcome {
    let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
    let objects = account.object(at).ok_or_else(|| unknown_object(object))?;
    let record = if request.param("archived") == Some("true") {
        let record = id.parse().ok().and_then(|id: u64| objects.records.get(&id));
        record.filter(|record| record.archived_ms.is_some()).ok_or_else(|| errors::not_found(id))?
    } else {
        let found = find(account, at, id, request.param("idProperty"))?;
        objects.live(found).ok_or_else(|| errors::not_found(id))?
    };
    let wanted = objects.wanted(request.list("properties"));
    let mut out = Vec::with_capacity(1024);
    write_record(&mut out, account, at, objects, record, &wanted, &associated(request, account)?);
    Ok(Reply::written(200, out))
}

/// A reply that shows one record without associations.
fn show<'a>(
    account: &'a Account,
    at: TypeIndex,
    id: u64,
    asked: impl IntoIterator<Item = &'a str>,
    status: u16,
) -> Reply {
    let mut out = Vec::with_capacity(512);
    write_one(&mut out, account, at, id, asked);
    Reply::written(status, out)
}

/// Writes one record without associations.
pub fn write_one<'a>(
    out: &mut Vec<u8>,
    account: &'a Account,
    at: TypeIndex,
    id: u64,
    asked: impl IntoIterator<Item = &'a str>,
) {
    let Some(objects) = account.object(at) else { return };
    let Some(record) = objects.records.get(&id) else { return };
    objects.write_open(out, record, &objects.wanted(asked), true);
    write_url(out, account, objects, record);
    out.push(b'}');
}

/// Creates a record with its associations; answers its id and the properties that its reply shows.
pub fn create(
    account: &mut Account,
    at: TypeIndex,
    body: &Map<String, Value>,
) -> Result<(u64, Vec<String>), Reply> {
    let none = Map::new();
    let given = match body.get("properties") {
        Some(Value::Object(given)) => given,
        None | Some(Value::Null) => &none,
        Some(_) => return Err(errors::bad_json("properties must be an object")),
    };
    let mut checked = check::properties(account, at, given, true)?;
    check::conflict(account, at, &checked, None)?;
    let targets = associations(account, at, body)?;
    let singular = account.object(at).map(|objects| objects.singular.clone()).unwrap_or_default();
    if singular == "lead" {
        let contacts = account.type_of("contacts");
        if !targets.iter().any(|(to, _)| Some(to.0) == contacts) {
            return Err(errors::invalid("A lead must be associated with a contact when it is created"));
        }
    }
    let mut asked: Vec<String> = given.keys().cloned().collect();
    let defaults: &[(&str, &str)] = match singular.as_str() {
        "deal" => &[("pipeline", "default")],
        "ticket" => &[("hs_pipeline", "0")],
        "lead" => &[("hs_pipeline", "lead-pipeline-id"), ("hs_pipeline_stage", "new-stage-id")],
        _ => &[],
    };
    let objects = account.object_mut(at).ok_or_else(|| errors::not_found(""))?;
    for (name, value) in defaults {
        if !given.contains_key(*name) {
            checked.extend(objects.column(name).map(|column| (column, Some((*value).to_owned()))));
            asked.push((*name).to_owned());
        }
    }
    let mut record = objects.blank(now_ms());
    for (column, value) in checked {
        record.set(column, value);
    }
    if let Some(column) = objects.column("hs_object_source") {
        record.set(column, Some("INTEGRATION".to_owned()));
    }
    let id = record.id;
    objects.keep(record);
    account.derive(at, id);
    for (to, kinds) in targets {
        for kind in kinds {
            account.link((at, id), to, kind);
        }
    }
    asked.extend(derived(&singular));
    Ok((id, asked))
}

fn derived(singular: &str) -> Vec<String> {
    let names: &[&str] = match singular {
        "deal" => &["hs_deal_stage_probability", "hs_is_closed", "hs_is_closed_won"],
        "contact" => &["hs_full_name_or_email"],
        _ => &[],
    };
    names.iter().map(|&name| name.to_owned()).collect()
}

type Targets = Vec<((TypeIndex, u64), Vec<LinkType>)>;

/// The associations that a create asks for; a kind tells which object its target is.
fn associations(account: &mut Account, at: TypeIndex, body: &Map<String, Value>) -> Result<Targets, Reply> {
    let Some(list) = body.get("associations").and_then(Value::as_array) else { return Ok(Vec::new()) };
    let mut targets = Vec::new();
    for entry in list {
        let id = id_of(dig(entry, "/to/id")).ok_or_else(|| errors::bad_json("associations.to.id"))?;
        let mut kinds: Vec<LinkType> = Vec::new();
        let mut target = None;
        for spec in entry["types"].as_array().into_iter().flatten() {
            let kind = kind_of(spec).ok_or_else(|| errors::bad_json("associations.types"))?;
            let other = (0..account.objects.len()).filter_map(|other| TypeIndex::try_from(other).ok()).find(
                |other| {
                    let (from, to) = (account.side(at), account.side(*other));
                    links::inverse(from, to, kind).is_some()
                },
            );
            let other = other.ok_or_else(|| bad_kind(account, at, kind))?;
            target = Some(other);
            kinds.push(kind);
        }
        let other = target.ok_or_else(|| errors::invalid("types must not be empty"))?;
        account.load(other);
        if account.object(other).and_then(|objects| objects.live(id)).is_none() {
            return Err(errors::detailed(
                404,
                "OBJECT_NOT_FOUND",
                "No objects found for the associations given",
                &json!({ "context": { "id": [id.to_string()] } }),
            ));
        }
        targets.push(((other, id), kinds));
    }
    Ok(targets)
}

/// 400 for a kind of association that does not start at this object.
pub fn bad_kind(account: &Account, at: TypeIndex, kind: LinkType) -> Reply {
    let name = account.side(at).0.to_uppercase();
    errors::invalid(&format!(
        "invalid association type {} of category {} for {name}",
        kind.id,
        kind.category()
    ))
}

/// An id written as a text or a number.
pub fn id_of(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
}

/// An association kind as clients write it.
pub fn kind_of(spec: &Value) -> Option<LinkType> {
    let id = u32::try_from(spec["associationTypeId"].as_u64()?).ok()?;
    match spec["associationCategory"].as_str()? {
        "HUBSPOT_DEFINED" => Some(LinkType { user: false, id }),
        "USER_DEFINED" | "INTEGRATOR_DEFINED" => Some(LinkType { user: true, id }),
        _ => None,
    }
}

/// Changes a record; answers the properties that its reply shows.
pub fn update(
    account: &mut Account,
    at: TypeIndex,
    id: u64,
    body: &Map<String, Value>,
) -> Result<Vec<String>, Reply> {
    let Some(Value::Object(given)) = body.get("properties") else {
        return Err(errors::bad_json("properties must be an object"));
    };
    let checked = check::properties(account, at, given, false)?;
    check::conflict(account, at, &checked, Some(id))?;
    let singular = account.object(at).map(|objects| objects.singular.clone()).unwrap_or_default();
    if let Some(objects) = account.object_mut(at) {
        objects.change(id, checked);
    }
    account.derive(at, id);
    let mut asked: Vec<String> = given.keys().cloned().collect();
    asked.extend(derived(&singular));
    Ok(asked)
}
