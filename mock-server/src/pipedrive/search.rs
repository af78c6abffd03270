//! Version 2's searches: `{entity}/search` and `itemSearch`, in an envelope of their own.

use std::sync::RwLock;

use serde_json::{Value, json};

use super::account::{Account, ready};
use super::entity::{self, Entity};
use super::errors;
use super::paging::{self, Cursor};
use super::table::{Record, Table};
use crate::exchange::{Outcome, Reply, Request};
use crate::json::put;
use crate::world::read;

/// Answers `/api/v2/{entity}/search`.
pub fn answer(request: &Request, account: &RwLock<Account>, name: &str) -> Outcome {
    if request.method != http::Method::GET {
        return Err(errors::bad_method());
    }
    let term = Term::of(request)?;
    if name == "leads" {
        ready(account, &["leads"]);
        let account = read(account);
        let hits = super::leads::search(request, &account, &|text| term.meets(text));
        return reply(request, hits);
    }
    let entity =
        entity::of(name).filter(|entity| !entity.searches.is_empty()).ok_or_else(errors::no_endpoint)?;
    ready(account, &[entity.name]);
    let account = read(account);
    let fields = fields(request, entity)?;
    let whole = |name: &str| -> Result<Option<u64>, Reply> {
        let text = request.param(name);
        text.map(|text| text.parse().map_err(|_| errors::schema(&format!("{name}: must be a number"))))
            .transpose()
    };
    let (person, organization) = (whole("person_id")?, whole("organization_id")?);
    let status = request.param("status");
    let hits = hits(&account, entity, &fields, &term, |record| {
        person.is_none_or(|id| record.get("person_id") == id)
            && organization.is_none_or(|id| record.get("org_id") == id)
            && status.is_none_or(|status| record.get("status") == status)
    });
    reply(request, hits)
}

/// Answers `/api/v2/itemSearch`.
pub fn items(request: &Request, account: &RwLock<Account>) -> Outcome {
    if request.method != http::Method::GET {
        return Err(errors::bad_method());
    }
    let term = Term::of(request)?;
    let asked = request.list("item_types");
    let known = ["person", "organization", "deal", "product", "lead"];
    if let Some(unknown) = asked.iter().find(|kind| !known.contains(kind)) {
        return Err(errors::schema(&format!("item_types: {unknown} is not known")));
    }
    let wants = |kind: &str| asked.is_empty() || asked.contains(&kind);
    ready(account, &["persons", "organizations", "deals", "products", "leads"]);
    let account = read(account);
    let asked_fields = request.list("fields");
    let mut all = Vec::new();
    for entity in
        entity::ENTITIES.iter().filter(|entity| !entity.searches.is_empty() && wants(entity.singular))
    {
        let fields: Vec<&str> = entity
            .searches
            .iter()
            .copied()
            .filter(|field| asked_fields.is_empty() || asked_fields.contains(field))
            .collect();
        all.extend(hits(&account, entity, &fields, &term, |_| true));
    }
    if wants("lead") {
        all.extend(super::leads::search(request, &account, &|text| term.meets(text)));
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    reply(request, all)
}

struct Term {
    text: String,
    exact: bool,
}

impl Term {
    fn of(request: &Request) -> Result<Term, Reply> {
        let text = request.param("term").map(|text| text.trim().to_lowercase()).unwrap_or_default();
        let exact = matches!(request.param("exact_match"), Some("true" | "1"));
        let least = if exact { 1 } else { 2 };
        if text.chars().count() < least {
            let says = format!("term: must be at least {least} characters long");
            return Err(errors::schema(&says));
        }
        Ok(Term { text, exact })
    }

    /// Exact searches ignore case too.
    fn meets(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        if self.exact { text == self.text } else { text.contains(&self.text) }
    }
}

fn fields<'a>(request: &'a Request, entity: &Entity) -> Result<Vec<&'a str>, Reply>
where
{
    let asked = request.list("fields");
    if asked.is_empty() {
        return Ok(entity.searches.to_vec());
    }
    match asked.iter().find(|field| !entity.searches.contains(field)) {
        Some(unknown) => Err(errors::schema(&format!("fields: {unknown} cannot be searched"))),
        None => Ok(asked),
    }
}

type Hit = (f64, Value);

fn hits(
    account: &Account,
    entity: &Entity,
    fields: &[&str],
    term: &Term,
    also: impl Fn(&Record) -> bool,
) -> Vec<Hit> {
    let Some(table) = account.tables.get(entity.name) else { return Vec::new() };
    let mut hits: Vec<Hit> = table
        .records
        .values()
        .filter(|record| !record.deleted && also(record))
        .filter_map(|record| {
            let place =
                fields.iter().position(|field| texts(table, record, field).any(|text| term.meets(text)))?;
            // Nobody documents the score; earlier fields and shorter names weigh more here.
            let length = record.get(entity.title).as_str().map_or(1, |text| text.chars().count().max(1));
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            let place = u32::try_from(place).unwrap_or(0);
            let score = 1.0 / (f64::from(place) + 1.0) + 1.0 / f64::from(length);
            Some((score, item(account, entity, record)))
        })
        .collect();
    hits.sort_by(|a, b| b.0.total_cmp(&a.0));
    hits
}

fn texts<'a>(table: &'a Table, record: &'a Record, field: &str) -> Box<dyn Iterator<Item = &'a str> + 'a> {
    let values = |name: &str| record.get(name).as_array().into_iter().flatten();
    match field {
        "email" => Box::new(values("emails").filter_map(|one| one["value"].as_str())),
        "phone" => Box::new(values("phones").filter_map(|one| one["value"].as_str())),
        "address" => Box::new(record.get("address")["value"].as_str().into_iter()),
        "custom_fields" => {
            let kinds = ["varchar", "varchar_auto", "text", "phone"];
            let own = record.get("custom_fields").as_object().into_iter().flatten();
            Box::new(own.filter_map(move |(key, value)| {
                table.custom(key).filter(|field| kinds.contains(&field.kind.as_str()))?;
                value.as_str()
            }))
        }
        other => Box::new(record.get(other).as_str().into_iter()),
    }
}

fn named(account: &Account, entity: &str, id: &Value) -> Value {
    if id.is_null() {
        return Value::Null;
    }
    let mut named = json!({ "id": id, "name": account.name_of(entity, id) });
    if entity == "organizations" {
        let organization = id.as_u64().and_then(|id| account.tables.get(entity)?.records.get(&id));
        put(
            &mut named,
            "address",
            organization.map_or(Value::Null, |record| record.get("address")["value"].clone()),
        );
    }
    named
}

fn item(account: &Account, entity: &Entity, record: &Record) -> Value {
    let values = |name: &str| -> Vec<Value> {
        record.get(name).as_array().into_iter().flatten().map(|one| one["value"].clone()).collect()
    };
    let owner = json!({ "id": record.get("owner_id") });
    match entity.name {
        "persons" => json!({
            "id": record.id,
            "type": "person",
            "name": record.get("name"),
            "phones": values("phones"),
            "emails": values("emails"),
            "visible_to": record.get("visible_to"),
            "owner": owner,
            "organization": named(account, "organizations", record.get("org_id")),
            "custom_fields": [],
            "notes": [],
            "update_time": record.get("update_time"),
        }),
        "organizations" => json!({
            "id": record.id,
            "type": "organization",
            "name": record.get("name"),
            "address": record.get("address")["value"],
            "visible_to": record.get("visible_to"),
            "owner": owner,
            "custom_fields": [],
            "notes": [],
            "update_time": record.get("update_time"),
        }),
        "deals" => json!({
            "id": record.id,
            "type": "deal",
            "title": record.get("title"),
            "value": record.get("value"),
            "currency": record.get("currency"),
            "status": record.get("status"),
            "visible_to": record.get("visible_to"),
            "owner": owner,
            "stage": named(account, "stages", record.get("stage_id")),
            "person": named(account, "persons", record.get("person_id")),
            "organization": named(account, "organizations", record.get("org_id")),
            "custom_fields": [],
            "notes": [],
            "is_archived": record.get("is_archived"),
            "update_time": record.get("update_time"),
        }),
        _ => json!({
            "id": record.id,
            "type": entity.singular,
            "name": record.get(entity.title),
            "code": record.get("code"),
            "visible_to": record.get("visible_to"),
            "owner": owner,
            "custom_fields": [],
        }),
    }
}

fn reply(request: &Request, hits: Vec<Hit>) -> Outcome {
    // Search pages hold at most 500; its cursor counts.
    let limit = paging::limit(request, paging::MAX_PAGE)?;
    let skip = Cursor::of(request)?.map_or(0, |cursor| usize::try_from(cursor.id).unwrap_or(usize::MAX));
    let total = hits.len();
    let items: Vec<Value> = hits
        .into_iter()
        .skip(skip)
        .take(limit)
        .map(|(score, item)| json!({ "result_score": score, "item": item }))
        .collect();
    let reached = skip.saturating_add(items.len());
    let next = (reached < total).then(|| {
        let cursor = Cursor {
            field: "result_score".to_owned(),
            value: json!(reached),
            descending: true,
            id: reached as u64,
        };
        cursor.to_wire()
    });
    Ok(Reply::json(
        200,
        &json!({ "success": true, "data": { "items": items }, "additional_data": { "next_cursor": next } }),
    ))
}
