//! Customer-defined objects.

use std::sync::RwLock;

use serde_json::{Map, Value, json};

use super::account::{Account, TypeIndex};
use super::property::Property;
use super::records::{Custom, Objects};
use super::{errors, objects, properties};
use crate::clock::{iso_ms, now_ms};
use crate::exchange::{Outcome, Reply, Request};
use crate::world::{read, write};

/// Answers below `/crm-object-schemas/v3/schemas`.
pub fn answer(request: &Request, account: &RwLock<Account>, rest: &[&str]) -> Outcome {
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let archived = request.param("archived") == Some("true");
            let account = read(account);
            let shown: Vec<Value> = account
                .objects
                .iter()
                .filter(|objects| objects.custom.as_ref().is_some_and(|custom| custom.archived == archived))
                .map(|objects| to_wire(&account, objects))
                .collect();
            Ok(Reply::json(200, &json!({ "results": shown })))
        }
        ("GET", [name]) => {
            let account = read(account);
            let found = account.type_of(name).and_then(|at| account.object(at));
            let found = found.ok_or_else(|| errors::not_found(name))?;
            Ok(Reply::json(200, &to_wire(&account, found)))
        }
        ("POST", []) => create(&mut write(account), &objects::object_body(request)?),
        ("PATCH", [name]) => change(&mut write(account), name, &objects::object_body(request)?),
        ("DELETE", [name]) => {
            let mut account = write(account);
            let at = account.type_of(name).ok_or_else(|| errors::not_found(name))?;
            let objects = account.object_mut(at).ok_or_else(|| errors::not_found(name))?;
            if objects.live_count() > 0 {
                return Err(errors::invalid(&format!(
                    "There are still active objects of type {}; delete them first",
                    objects.type_id
                )));
            }
            let custom = objects.custom.as_mut().ok_or_else(|| errors::invalid("standard objects stay"))?;
            custom.archived = true;
            Ok(Reply::empty(204))
        }
        (_, [] | [_]) => Err(errors::bad_method()),
        _ => Err(errors::no_endpoint()),
    }
}

fn to_wire(account: &Account, objects: &Objects) -> Value {
    let standard = Custom::default();
    let custom = objects.custom.as_ref().unwrap_or(&standard);
    let qualified = if custom.fully_qualified.is_empty() {
        objects.singular.to_uppercase()
    } else {
        custom.fully_qualified.clone()
    };
    json!({
        "id": objects.type_id.rsplit('-').next().unwrap_or_default(),
        "objectTypeId": objects.type_id,
        "name": objects.name,
        "fullyQualifiedName": qualified,
        "labels": { "singular": objects.labels.0, "plural": objects.labels.1 },
        "description": custom.description,
        "primaryDisplayProperty": custom.primary_display,
        "secondaryDisplayProperties": custom.secondary_display,
        "requiredProperties": objects.required,
        "searchableProperties": objects.searchable,
        "properties": objects.properties.iter().filter(|property| !property.archived)
            .map(Property::to_wire).collect::<Vec<_>>(),
        "associations": custom.associations,
        "portalId": account.portal_id,
        "archived": custom.archived,
        "createdAt": iso_ms(custom.created_ms),
        "updatedAt": iso_ms(custom.updated_ms),
        "createdByUserId": 64_492_917,
        "updatedByUserId": 64_492_917,
    })
}

fn texts(body: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    let list = body.get(name)?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn create(account: &mut Account, body: &Map<String, Value>) -> Outcome {
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let fits = name.starts_with(|ch: char| ch.is_ascii_alphabetic())
        && name.chars().all(|ch| ch.is_ascii_alphanumeric() || ch == '_');
    if !fits {
        return Err(errors::invalid(
            "name must begin with a letter and hold only letters, digits and underscores",
        ));
    }
    if account.type_of(&name).is_some() {
        return Err(errors::error(
            409,
            "OBJECT_ALREADY_EXISTS",
            &format!("An object named {name} exists already"),
        ));
    }
    let label = |which: &str| {
        body.get("labels").and_then(|labels| labels[which].as_str()).unwrap_or(&name).to_owned()
    };
    let labels = (label("singular"), label("plural"));
    let given = body.get("properties").and_then(Value::as_array).into_iter().flatten();
    let properties: Result<Vec<Property>, Reply> = given
        .map(|property| {
            let fields =
                property.as_object().ok_or_else(|| errors::bad_json("properties must be objects"))?;
            properties::from_body(fields)
        })
        .collect();
    let properties = properties?;
    let required = texts(body, "requiredProperties").unwrap_or_default();
    let known = |name: &str| properties.iter().any(|property| property.name == name);
    if let Some(unknown) = required.iter().find(|name| !known(name)) {
        return Err(errors::invalid(&format!("requiredProperties: {unknown} is not among the properties")));
    }
    let custom = Custom {
        description: body.get("description").and_then(Value::as_str).map(str::to_owned),
        primary_display: body.get("primaryDisplayProperty").and_then(Value::as_str).map(str::to_owned),
        secondary_display: texts(body, "secondaryDisplayProperties").unwrap_or_default(),
        created_ms: now_ms(),
        ..Custom::default()
    };
    let searchable = texts(body, "searchableProperties");
    let first_id = 23_000_000_011 + account.custom_made * 1_000_003;
    let at = account.define(&name, labels, properties, required, custom, first_id);
    let associated = texts(body, "associatedObjects").unwrap_or_default();
    let associations: Vec<Value> = associated
        .iter()
        .filter_map(|other| account.type_of(other))
        .filter_map(|other| association(account, TypeIndex::try_from(at).ok()?, other))
        .collect();
    if let Some(objects) = account.objects.get_mut(at) {
        // It begins without records, unlike what the account came with.
        objects.loaded = true;
        objects.searchable = searchable.unwrap_or_else(|| std::mem::take(&mut objects.searchable));
        if let Some(custom) = objects.custom.as_mut() {
            custom.associations = associations;
        }
    }
    let objects = account.objects.get(at).ok_or_else(|| errors::not_found(&name))?;
    Ok(Reply::json(201, &to_wire(account, objects)))
}

fn association(account: &Account, from: TypeIndex, to: TypeIndex) -> Option<Value> {
    let kind = super::links::plain(account.side(from), account.side(to));
    Some(json!({
        "fromObjectTypeId": account.object(from)?.type_id,
        "toObjectTypeId": account.object(to)?.type_id,
        "name": format!("{}_to_{}", account.side(from).0, account.side(to).0),
        "id": kind.id.to_string(),
        "createdAt": iso_ms(now_ms()),
        "updatedAt": iso_ms(now_ms()),
    }))
}

fn change(account: &mut Account, name: &str, body: &Map<String, Value>) -> Outcome {
    let at = account.type_of(name).ok_or_else(|| errors::not_found(name))?;
    let objects = account.object_mut(at).ok_or_else(|| errors::not_found(name))?;
    let Some(custom) = objects.custom.as_mut() else {
        return Err(errors::invalid("standard objects cannot be changed"));
    };
    custom.updated_ms = now_ms();
    if let Some(text) = body.get("description").and_then(Value::as_str) {
        custom.description = Some(text.to_owned());
    }
    if let Some(text) = body.get("primaryDisplayProperty").and_then(Value::as_str) {
        custom.primary_display = Some(text.to_owned());
    }
    if let Some(names) = texts(body, "secondaryDisplayProperties") {
        custom.secondary_display = names;
    }
    if let Some(labels) = body.get("labels") {
        for (which, label) in [("singular", &mut objects.labels.0), ("plural", &mut objects.labels.1)] {
            if let Some(text) = labels[which].as_str() {
                text.clone_into(label);
            }
        }
    }
    objects.required =
        texts(body, "requiredProperties").unwrap_or_else(|| std::mem::take(&mut objects.required));
    objects.searchable =
        texts(body, "searchableProperties").unwrap_or_else(|| std::mem::take(&mut objects.searchable));
    let objects = account.object(at).ok_or_else(|| errors::not_found(name))?;
    Ok(Reply::json(200, &to_wire(account, objects)))
}
