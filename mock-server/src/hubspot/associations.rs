//! Associations v4 (and the batch read of v3).

use std::sync::RwLock;

use http::Method;
use serde_json::{Value, json};

use super::account::{Account, TypeIndex, ready};
use super::links::{self, Link, LinkType};
use super::{batch, errors, objects, paging, unknown_object};
use crate::exchange::{Outcome, Reply, Request};
use crate::json::{dig, put};
use crate::world::{read, write};

fn types(account: &Account, from: &str, to: &str) -> Result<(TypeIndex, TypeIndex), Reply> {
    Ok((
        account.type_of(from).ok_or_else(|| unknown_object(from))?,
        account.type_of(to).ok_or_else(|| unknown_object(to))?,
    ))
}

fn parse_id(id: &str) -> Result<u64, Reply> {
    id.parse().map_err(|_| errors::invalid(&format!("{id} is not a valid object id")))
}

/// Answers below `/crm/v4/objects/{from}/{id}/associations`.
pub fn of_record(
    request: &Request,
    account: &RwLock<Account>,
    from: &str,
    id: &str,
    rest: &[&str],
) -> Outcome {
    let to = match rest {
        ["default", to, _] | [to] | [to, _] => *to,
        _ => return Err(errors::no_endpoint()),
    };
    ready(account, &[from, to]);
    match (&request.method, rest) {
        (&Method::GET, [_]) => {
            let account = read(account);
            let (from, to) = types(&account, from, to)?;
            list(request, &account, (from, objects::find(&account, from, id, None)?), to)
        }
        (&Method::PUT, ["default", _, to_id]) => {
            let mut account = write(account);
            let (from, to) = types(&account, from, to)?;
            let (a, b) = pair(&account, from, id, to, to_id)?;
            let kind = links::plain(account.side(from), account.side(to));
            account.link((from, a), (to, b), kind);
            Ok(batch::reply(&defaults(&account, from, to, a, b), &[], 200))
        }
        (&Method::PUT, [_, to_id]) => {
            let body = request.json().map_err(|fault| errors::bad_json(&fault.to_string()))?;
            let specs = body.as_array().ok_or_else(|| errors::bad_json("expected an array"))?;
            let mut account = write(account);
            let (from, to) = types(&account, from, to)?;
            let (a, b) = pair(&account, from, id, to, to_id)?;
            let labels = connect(&mut account, (from, a), (to, b), specs)?;
            Ok(Reply::json(201, &labelled(&account, (from, a), (to, b), &labels)))
        }
        (&Method::DELETE, [_, to_id]) => {
            let mut account = write(account);
            let (from, to) = types(&account, from, to)?;
            let (a, b) = (parse_id(id)?, parse_id(to_id)?);
            account.unlink((from, a), (to, b), &[]);
            Ok(Reply::empty(204))
        }
        _ => Err(errors::bad_method()),
    }
}

fn pair(account: &Account, from: TypeIndex, a: &str, to: TypeIndex, b: &str) -> Result<(u64, u64), Reply> {
    Ok((objects::find(account, from, a, None)?, objects::find(account, to, b, None)?))
}

fn live(account: &Account, from: (TypeIndex, u64), to: TypeIndex) -> impl Iterator<Item = &Link> {
    let others = account.object(to);
    account
        .links
        .of(from, to)
        .iter()
        .filter(move |link| others.is_some_and(|others| others.live(link.to).is_some()))
}

fn wire(account: &Account, from: TypeIndex, to: TypeIndex, link: &Link) -> Value {
    let (from, to) = (account.side(from), account.side(to));
    let types: Vec<Value> = link
        .types
        .iter()
        .map(|kind| {
            json!({
                "category": kind.category(),
                "typeId": kind.id,
                "label": links::label(from.0, to.0, *kind),
            })
        })
        .collect();
    json!({ "toObjectId": link.to, "associationTypes": types })
}

fn list(request: &Request, account: &Account, from: (TypeIndex, u64), to: TypeIndex) -> Outcome {
    let limit = paging::limit(request, 500, 500)?;
    let after: u64 = request.param("after").and_then(|after| after.parse().ok()).unwrap_or(0);
    let mut rest = live(account, from, to).filter(|link| link.to >= after);
    let results: Vec<Value> = rest.by_ref().take(limit).map(|link| wire(account, from.0, to, link)).collect();
    let mut body = json!({ "results": results });
    if let Some(next) = rest.next() {
        put(&mut body, "paging", paging::next(request, &next.to.to_string()));
    }
    Ok(Reply::json(200, &body))
}

/// The two directions of a default association, as the reply shows them.
fn defaults(account: &Account, from: TypeIndex, to: TypeIndex, a: u64, b: u64) -> Vec<Vec<u8>> {
    let one = |a: u64, b: u64, kind: LinkType| {
        let body = json!({
            "from": { "id": a.to_string() },
            "to": { "id": b.to_string() },
            "associationSpec": { "associationCategory": kind.category(), "associationTypeId": kind.id },
        });
        serde_json::to_vec(&body).unwrap_or_default()
    };
    let (from, to) = (account.side(from), account.side(to));
    vec![one(a, b, links::plain(from, to)), one(b, a, links::plain(to, from))]
}

/// Associates two records by every kind given; answers the kinds' labels.
fn connect(
    account: &mut Account,
    from: (TypeIndex, u64),
    to: (TypeIndex, u64),
    specs: &[Value],
) -> Result<Vec<String>, Reply> {
    let mut labels = Vec::new();
    let kinds: Option<Vec<LinkType>> = specs.iter().map(objects::kind_of).collect();
    let kinds = kinds.filter(|kinds| !kinds.is_empty());
    let kinds =
        kinds.ok_or_else(|| errors::bad_json("associationCategory and associationTypeId are required"))?;
    for kind in kinds {
        if !account.link(from, to, kind) {
            return Err(objects::bad_kind(account, from.0, kind));
        }
        let label = links::label(account.side(from.0).0, account.side(to.0).0, kind);
        labels.extend(label.map(str::to_owned));
    }
    Ok(labels)
}

fn labelled(account: &Account, from: (TypeIndex, u64), to: (TypeIndex, u64), labels: &[String]) -> Value {
    let type_id = |at: TypeIndex| account.object(at).map_or("", |objects| objects.type_id.as_str());
    json!({
        "fromObjectTypeId": type_id(from.0),
        "fromObjectId": from.1,
        "toObjectTypeId": type_id(to.0),
        "toObjectId": to.1,
        "labels": labels,
    })
}

/// Answers below `/crm/v4/associations/{from}/{to}/batch`.
pub fn batch(request: &Request, account: &RwLock<Account>, from: &str, to: &str, verb: &[&str]) -> Outcome {
    if request.method != Method::POST {
        return Err(errors::bad_method());
    }
    ready(account, &[from, to]);
    let v3 = request.path.starts_with("/crm/v3/");
    let body = objects::object_body(request)?;
    let inputs = batch::inputs(&body, if verb == ["read"] { 1000 } else { 2000 })?;
    if verb == ["read"] {
        let account = read(account);
        let (from, to) = types(&account, from, to)?;
        return read_many(&account, from, to, inputs, v3);
    }
    let mut account = write(account);
    let (from, to) = types(&account, from, to)?;
    let id = |value: &Value| objects::id_of(value).ok_or_else(|| errors::bad_json("an id is missing"));
    match verb {
        ["create"] | ["associate", "default"] => {
            let mut results = Vec::new();
            let mut lost = Vec::new();
            for input in inputs {
                let (a, b) = (id(dig(input, "/from/id"))?, id(dig(input, "/to/id"))?);
                let exists =
                    |at: TypeIndex, id: u64| account.object(at).is_some_and(|o| o.live(id).is_some());
                if !exists(from, a) || !exists(to, b) {
                    lost.push(if exists(from, a) { b } else { a }.to_string());
                    continue;
                }
                if verb == ["create"] {
                    let specs = input["types"].as_array().map(Vec::as_slice).unwrap_or_default();
                    let labels = connect(&mut account, (from, a), (to, b), specs)?;
                    let shown = labelled(&account, (from, a), (to, b), &labels);
                    results.push(serde_json::to_vec(&shown).unwrap_or_default());
                } else {
                    let kind = links::plain(account.side(from), account.side(to));
                    account.link((from, a), (to, b), kind);
                    results.extend(defaults(&account, from, to, a, b));
                }
            }
            let status = if verb == ["create"] { 201 } else { 200 };
            Ok(batch::reply(&results, &batch::missing(&lost), status))
        }
        ["archive"] => {
            for input in inputs {
                let a = id(dig(input, "/from/id"))?;
                for other in input["to"].as_array().into_iter().flatten() {
                    account.unlink((from, a), (to, id(&other["id"])?), &[]);
                }
            }
            Ok(Reply::empty(204))
        }
        ["labels", "archive"] => {
            for input in inputs {
                let (a, b) = (id(dig(input, "/from/id"))?, id(dig(input, "/to/id"))?);
                let specs = input["types"].as_array().map(Vec::as_slice).unwrap_or_default();
                let kinds: Vec<LinkType> = specs.iter().filter_map(objects::kind_of).collect();
                if !kinds.is_empty() {
                    account.unlink((from, a), (to, b), &kinds);
                }
            }
            Ok(Reply::empty(204))
        }
        _ => Err(errors::no_endpoint()),
    }
}

fn read_many(account: &Account, from: TypeIndex, to: TypeIndex, inputs: &[Value], v3: bool) -> Outcome {
    const PER_RECORD: usize = 500;
    let mut results = Vec::new();
    let mut faults = Vec::new();
    for input in inputs {
        let Some(id) = objects::id_of(&input["id"]) else { return Err(errors::bad_json("an id is missing")) };
        let after = objects::id_of(&input["after"]).unwrap_or(0);
        let mut rest = live(account, (from, id), to).filter(|link| link.to >= after).peekable();
        if rest.peek().is_none() {
            let name = account.object(from).map_or("", |objects| objects.singular.as_str());
            let other = account.object(to).map_or("", |objects| objects.singular.as_str());
            faults.push(json!({
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                "message": format!("No {other} is associated with {name} {id}."),
                "context": { "fromObjectId": [id.to_string()] },
            }));
            continue;
        }
        let shown: Vec<Value> = rest
            .by_ref()
            .take(PER_RECORD)
            .flat_map(|link| {
                if v3 {
                    let (from, to) = (account.side(from), account.side(to));
                    let one = |kind: &LinkType| {
                        json!({ "id": link.to.to_string(), "type": links::name(from.0, to.0, *kind) })
                    };
                    link.types.iter().map(one).collect::<Vec<_>>()
                } else {
                    vec![wire(account, from, to, link)]
                }
            })
            .collect();
        let mut one = json!({ "from": { "id": id.to_string() }, "to": shown });
        if let Some(next) = rest.next() {
            put(&mut one, "paging", json!({ "next": { "after": next.to.to_string() } }));
        }
        results.push(serde_json::to_vec(&one).unwrap_or_default());
    }
    Ok(batch::reply(&results, &faults, 200))
}

/// `GET /crm/v4/associations/{from}/{to}/labels`: the kinds between two objects.
pub fn labels(request: &Request, account: &RwLock<Account>, from: &str, to: &str) -> Outcome {
    if request.method != Method::GET {
        return Err(errors::bad_method());
    }
    let account = read(account);
    let (from, to) = types(&account, from, to)?;
    let (from, to) = (account.side(from), account.side(to));
    let mut kinds = vec![links::plain(from, to)];
    kinds.extend(links::primary(from.0, to.0).map(|(direct, _)| direct));
    for id in 1..64 {
        for user in [true, false] {
            let kind = LinkType { user, id };
            if !kinds.contains(&kind) && links::label(from.0, to.0, kind).is_some() {
                kinds.push(kind);
            }
        }
    }
    let results: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            json!({
                "category": kind.category(),
                "typeId": kind.id,
                "label": links::label(from.0, to.0, *kind),
            })
        })
        .collect();
    Ok(Reply::json(200, &json!({ "results": results })))
}
