//! Lists v3 and their members.

use std::collections::BTreeMap;
use std::sync::RwLock;

use serde_json::{Map, Value, json};

use super::account::{Account, TypeIndex};
use super::{errors, objects, paging, unknown_object};
use crate::clock::{iso_ms, now_ms};
use crate::exchange::{Outcome, Reply, Request};
use crate::json::{dig, put};
use crate::world::{read, write};

/// A list of records.
#[derive(Debug, Clone)]
pub struct List {
    /// Its id.
    pub id: u64,
    /// What people see.
    pub name: String,
    /// Whose records it holds.
    pub object: TypeIndex,
    /// `MANUAL`, `DYNAMIC` or `SNAPSHOT`.
    pub processing: String,
    /// The condition of a dynamic list, kept but not applied.
    pub filter_branch: Option<Value>,
    /// Its version.
    pub version: u64,
    /// The members and when they joined.
    pub members: BTreeMap<u64, i64>,
    /// When it was made.
    pub created_ms: i64,
    /// When it last changed.
    pub updated_ms: i64,
    /// When it was deleted, if it was.
    pub deleted_ms: Option<i64>,
}

fn to_wire(account: &Account, list: &List, filters: bool) -> Value {
    let mut wire = json!({
        "listId": list.id.to_string(),
        "listVersion": list.version,
        "name": list.name,
        "objectTypeId": account.object(list.object).map_or("", |objects| objects.type_id.as_str()),
        "processingType": list.processing,
        "processingStatus": "COMPLETE",
        "createdById": "64492917",
        "updatedById": "64492917",
        "createdAt": iso_ms(list.created_ms),
        "updatedAt": iso_ms(list.updated_ms),
        "filtersUpdatedAt": iso_ms(list.created_ms),
        "size": list.members.len(),
    });
    if let Some(at) = list.deleted_ms {
        put(&mut wire, "deletedAt", json!(iso_ms(at)));
    }
    if let Some(branch) = list.filter_branch.as_ref().filter(|_| filters) {
        put(&mut wire, "filterBranch", branch.clone());
    }
    wire
}

/// Answers below `/crm/v3/lists`.
pub fn answer(request: &Request, account: &RwLock<Account>, rest: &[&str]) -> Outcome {
    super::account::ready(account, &["contacts"]);
    let filters = request.param("includeFilters") == Some("true");
    match (request.method.as_str(), rest) {
        ("POST", ["search"]) => search(&read(account), &objects::object_body(request)?),
        ("POST", []) => create(&mut write(account), &objects::object_body(request)?),
        ("GET", []) => {
            let account = read(account);
            let asked = request.list("listIds");
            let found =
                asked.iter().filter_map(|id| id.parse().ok()).filter_map(|id: u64| account.lists.get(&id));
            let shown: Vec<Value> = found.map(|list| to_wire(&account, list, filters)).collect();
            Ok(Reply::json(200, &json!({ "lists": shown })))
        }
        ("GET", ["object-type-id", object, "name", name]) => {
            let account = read(account);
            let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
            let mut lists = account.lists.values().filter(|list| list.deleted_ms.is_none());
            let found = lists.find(|list| list.object == at && list.name.eq_ignore_ascii_case(name));
            let found = found.ok_or_else(|| errors::not_found(name))?;
            Ok(Reply::json(200, &json!({ "list": to_wire(&account, found, filters) })))
        }
        ("GET", [id]) => {
            let account = read(account);
            let found = id.parse().ok().and_then(|id: u64| account.lists.get(&id));
            let found = found.filter(|list| list.deleted_ms.is_none()).ok_or_else(|| missing(id))?;
            Ok(Reply::json(200, &json!({ "list": to_wire(&account, found, filters) })))
        }
        ("GET", [id, "memberships"] | [id, "memberships", "join-order"]) => {
            members(request, &read(account), id)
        }
        ("PUT", [id, "restore"]) => {
            let mut account = write(account);
            let found = id.parse().ok().and_then(|id: u64| account.lists.get_mut(&id));
            found.ok_or_else(|| missing(id))?.deleted_ms = None;
            Ok(Reply::empty(204))
        }
        (method, [id, below @ ..]) => {
            let mut account = write(account);
            let key: u64 = id.parse().map_err(|_| missing(id))?;
            let live = account.lists.get(&key).is_some_and(|list| list.deleted_ms.is_none());
            if !live {
                return Err(missing(id));
            }
            change(request, &mut account, key, method, below)
        }
        _ => Err(errors::bad_method()),
    }
}

fn missing(id: &str) -> Reply {
    let message = format!("List does not exist with ID {id}.");
    let more = json!({ "subCategory": "ListError.LIST_NOT_FOUND", "context": { "listId": [id] } });
    errors::detailed(404, "OBJECT_NOT_FOUND", &message, &more)
}

fn search(account: &Account, body: &Map<String, Value>) -> Outcome {
    let whole = |name: &str, default: u64| body.get(name).and_then(Value::as_u64).unwrap_or(default);
    let (offset, count) = (whole("offset", 0), whole("count", 20));
    if count > 500 {
        return Err(errors::invalid("count must be less than or equal to 500"));
    }
    let query = body.get("query").and_then(Value::as_str).unwrap_or("").to_lowercase();
    let texts = |name: &str| -> Vec<String> {
        let list = body.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (kinds, ids) = (texts("processingTypes"), texts("listIds"));
    let extra = texts("additionalProperties");
    let object = match body.get("objectTypeId").and_then(Value::as_str) {
        Some(name) => Some(account.type_of(name).ok_or_else(|| unknown_object(name))?),
        None => None,
    };
    let hits: Vec<&List> = account
        .lists
        .values()
        .filter(|list| list.deleted_ms.is_none())
        .filter(|list| query.is_empty() || list.name.to_lowercase().contains(&query))
        .filter(|list| kinds.is_empty() || kinds.contains(&list.processing))
        .filter(|list| ids.is_empty() || ids.contains(&list.id.to_string()))
        .filter(|list| object.is_none_or(|object| object == list.object))
        .collect();
    let (skip, take) = (usize::try_from(offset).unwrap_or(0), usize::try_from(count).unwrap_or(0));
    let shown: Vec<Value> = hits
        .iter()
        .skip(skip)
        .take(take)
        .map(|list| {
            let mut wire = to_wire(account, list, false);
            let mut additional = Map::new();
            for name in &extra {
                let value = match name.as_str() {
                    "hs_list_size" => list.members.len().to_string(),
                    "hs_list_reference_count" => "0".to_owned(),
                    _ => continue,
                };
                additional.insert(name.clone(), json!(value));
            }
            put(&mut wire, "additionalProperties", Value::Object(additional));
            if let Some(wire) = wire.as_object_mut() {
                wire.shift_remove("size");
            }
            wire
        })
        .collect();
    let reached = offset + shown.len() as u64;
    let total = hits.len() as u64;
    Ok(Reply::json(
        200,
        &json!({ "lists": shown, "hasMore": reached < total, "offset": reached, "total": total }),
    ))
}

fn create(account: &mut Account, body: &Map<String, Value>) -> Outcome {
    let text = |name: &str| {
        let text = body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| errors::bad_json(&format!("Some required fields were not set: [{name}]")))
    };
    let (name, object, processing) = (text("name")?, text("objectTypeId")?, text("processingType")?);
    let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
    if !["MANUAL", "DYNAMIC", "SNAPSHOT"].contains(&processing) {
        return Err(errors::invalid(&format!("{processing} is not a processing type")));
    }
    if account.lists.values().any(|list| list.deleted_ms.is_none() && list.object == at && list.name == name)
    {
        let more = json!({ "subCategory": "ListError.DUPLICATE_LIST_NAMES" });
        let message = format!("A list named {name} exists already");
        return Err(errors::detailed(400, "VALIDATION_ERROR", &message, &more));
    }
    let now = now_ms();
    let list = List {
        id: account.lists.keys().next_back().map_or(1, |last| last + 1),
        name: name.to_owned(),
        object: at,
        processing: processing.to_owned(),
        filter_branch: body.get("filterBranch").cloned(),
        version: 1,
        members: BTreeMap::new(),
        created_ms: now,
        updated_ms: now,
        deleted_ms: None,
    };
    let shown = to_wire(account, &list, true);
    account.lists.insert(list.id, list);
    Ok(Reply::json(200, &json!({ "list": shown })))
}

fn members(request: &Request, account: &Account, id: &str) -> Outcome {
    let found = id.parse().ok().and_then(|id: u64| account.lists.get(&id));
    let list = found.filter(|list| list.deleted_ms.is_none()).ok_or_else(|| missing(id))?;
    let limit = paging::limit(request, 100, 250)?;
    let after: u64 = request.param("after").and_then(|after| after.parse().ok()).unwrap_or(0);
    let mut rest = list.members.range(after..);
    let shown: Vec<Value> = rest
        .by_ref()
        .take(limit)
        .map(|(id, at)| json!({ "recordId": id.to_string(), "membershipTimestamp": iso_ms(*at) }))
        .collect();
    let mut body = json!({ "results": shown, "total": list.members.len() });
    if let Some((next, _)) = rest.next() {
        put(&mut body, "paging", paging::next(request, &next.to_string()));
    }
    Ok(Reply::json(200, &body))
}

fn change(request: &Request, account: &mut Account, key: u64, method: &str, below: &[&str]) -> Outcome {
    let now = now_ms();
    let ids = |value: &Value| -> Vec<u64> {
        value.as_array().into_iter().flatten().filter_map(objects::id_of).collect()
    };
    let body = || request.json().map_err(|fault| errors::bad_json(&fault.to_string()));
    match (method, below) {
        ("DELETE", []) => {
            if let Some(list) = account.lists.get_mut(&key) {
                list.deleted_ms = Some(now);
            }
            Ok(Reply::empty(204))
        }
        ("PUT", ["update-list-name"]) => {
            let name = request.param("listName").filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| errors::invalid("listName is required"))?.to_owned();
            if let Some(list) = account.lists.get_mut(&key) {
                list.name = name;
                list.updated_ms = now;
                list.version += 1;
            }
            let shown = account.lists.get(&key).map(|list| to_wire(account, list, false));
            Ok(Reply::json(200, &json!({ "updatedList": shown })))
        }
        ("PUT", ["memberships", "add"]) => members_change(account, key, &ids(&body()?), &[]),
        ("PUT", ["memberships", "remove"]) => members_change(account, key, &[], &ids(&body()?)),
        ("PUT", ["memberships", "add-and-remove"]) => {
            let body = body()?;
            members_change(
                account,
                key,
                &ids(dig(&body, "/recordIdsToAdd")),
                &ids(dig(&body, "/recordIdsToRemove")),
            )
        }
        ("DELETE", ["memberships"]) => {
            if let Some(list) = account.lists.get_mut(&key) {
                list.members.clear();
            }
            Ok(Reply::empty(204))
        }
        _ => Err(errors::no_endpoint()),
    }
}

fn members_change(account: &mut Account, key: u64, add: &[u64], remove: &[u64]) -> Outcome {
    let Some(list) = account.lists.get(&key) else { return Err(missing(&key.to_string())) };
    if list.processing == "DYNAMIC" {
        return Err(errors::invalid("memberships of a DYNAMIC list cannot be changed"));
    }
    let object = account.object(list.object);
    let (found, lost): (Vec<u64>, Vec<u64>) =
        add.iter().partition(|id| object.is_some_and(|objects| objects.live(**id).is_some()));
    let now = now_ms();
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    if let Some(list) = account.lists.get_mut(&key) {
        for id in found {
            if let std::collections::btree_map::Entry::Vacant(place) = list.members.entry(id) {
                place.insert(now);
                added.push(id.to_string());
            }
        }
        for id in remove {
            if list.members.remove(id).is_some() {
                removed.push(id.to_string());
            }
        }
        list.updated_ms = now;
    }
    let lost: Vec<String> = lost.iter().map(u64::to_string).collect();
    Ok(Reply::json(
        200,
        &json!({ "recordsIdsAdded": added, "recordIdsRemoved": removed, "recordIdsMissing": lost }),
    ))
}
