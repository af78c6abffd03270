//! `/api/ingress/…`: leads, tags, callbacks. Warnings come with 200 and an `error`.

use serde_json::{Map, Value, json};

use super::account::Account;
use super::errors;
use super::params::Params;
use super::table;
use crate::clock::{now_ms, parse};
use crate::exchange::{Outcome, Reply, Request};

fn done(body: &Value) -> Outcome {
    Ok(Reply::json(200, &json!({ "response": body })))
}

/// Answers below `/api/ingress`.
pub fn answer(request: &Request, params: &Params, account: &mut Account, path: &[&str]) -> Outcome {
    match (request.method.as_str(), path) {
        ("POST" | "PUT", ["leads"]) => lead(params, account),
        ("DELETE", ["leads"]) => trash(params, account),
        ("POST" | "DELETE", ["tags", "leads"]) => tags(params, account, request.method == "POST"),
        ("DELETE", ["tags", "leads", "drop"]) => tags(params, account, false),
        ("POST", ["callback" | "callbacks"]) => callback(params, account),
        (_, ["leads" | "callback" | "callbacks"] | ["tags", ..]) => {
            Err(errors::says(405, "Method Not Allowed"))
        }
        _ => Err(errors::no_endpoint()),
    }
}

fn id(params: &Params) -> Option<u64> {
    params.text("lead_id")?.parse().ok()
}

fn digits(text: &str) -> String {
    let all: Vec<char> = text.chars().filter(char::is_ascii_digit).collect();
    all.iter().skip(all.len().saturating_sub(10)).collect()
}

/// Adds a lead, or changes the one whose id is named.
fn lead(params: &Params, account: &mut Account) -> Outcome {
    let Some(schema) = table::of("leads") else { return Err(errors::no_endpoint()) };
    let mut row = Map::new();
    for name in schema.writes {
        let Some(value) = params.get(name) else { continue };
        let value = match *name {
            "phone" | "phone2" => json!(digits(value.as_str().unwrap_or(&value.to_string()))),
            _ if value.is_null() => json!(""),
            _ => value.clone(),
        };
        row.insert((*name).to_owned(), value);
    }
    for (id, name, table, column) in [
        ("vendor_id", "vendor_name", "vendors", "name"),
        ("agent_id", "agent_name", "users", "full_name"),
        ("owner_id", "owner_name", "users", "full_name"),
    ] {
        let Some(known) = row.get(id).filter(|id| **id != "") else { continue };
        let number = known.as_u64().or_else(|| known.as_str()?.parse().ok());
        let found = number.and_then(|id| account.tables.get(table)?.rows.get(&id)?.get(column).cloned());
        let Some(found) = found else { return Err(errors::says(400, &format!("Invalid {id}."))) };
        row.insert(name.to_owned(), found);
    }
    if let Some(status) = row.get("status_id").filter(|status| **status != "") {
        let Some(name) = Account::status_name(status) else {
            return Err(errors::says(400, "Invalid status_id."));
        };
        row.insert("status_name".to_owned(), json!(name));
    }
    let now = account.local(now_ms());
    row.insert("date_modified".to_owned(), json!(now));
    if params.get("lead_id").is_some() {
        let rows = account.tables.get_mut("leads").map(|table| &mut table.rows);
        let known = id(params).and_then(|id| rows?.get_mut(&id));
        let Some(known) = known else { return Err(errors::says(400, "Lead does not exist.")) };
        known.extend(row);
        return done(&json!({ "lead_id": params.text("lead_id"), "message": "Lead Updated." }));
    }
    if row.len() == 1 {
        return Err(errors::says(400, "No Lead Data Provided."));
    }
    let mut whole: Map<String, Value> =
        schema.columns.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    for (name, value) in
        [("billable", json!(0)), ("dnc", json!(0)), ("trashed", json!(0)), ("policies_sold", json!(0))]
    {
        whole.insert(name.to_owned(), value);
    }
    whole.insert("status_id".to_owned(), json!(1));
    whole.insert("status_name".to_owned(), json!("New"));
    whole.insert("date_created".to_owned(), json!(now));
    whole.extend(row);
    let id = account.add("leads", whole);
    done(&json!({ "lead_id": id.to_string(), "message": "Lead Added." }))
}

fn trash(params: &Params, account: &mut Account) -> Outcome {
    let now = account.local(now_ms());
    let rows = account.tables.get_mut("leads").map(|table| &mut table.rows);
    match id(params).and_then(|id| rows?.get_mut(&id)) {
        Some(lead) => {
            lead.insert("trashed".to_owned(), json!(1));
            lead.insert("date_modified".to_owned(), json!(now));
            done(&json!({ "lead_id": params.text("lead_id"), "message": "Lead Trashed." }))
        }
        None => Err(errors::says(400, "Lead does not exist.")),
    }
}

fn tags(params: &Params, account: &mut Account, add: bool) -> Outcome {
    let known: Vec<(u64, String)> = account
        .tables
        .get("tags")
        .map(|table| {
            table
                .rows
                .iter()
                .filter_map(|(id, row)| Some((*id, row.get("name")?.as_str()?.to_owned())))
                .collect()
        })
        .unwrap_or_default();
    let mut tags = Vec::new();
    for wanted in params.list("tag_id") {
        let found =
            known.iter().find(|(id, name)| id.to_string() == wanted || *name == wanted).map(|(id, _)| *id);
        tags.push(match found {
            Some(id) => id,
            None if add && wanted.parse::<u64>().is_err() => {
                let row = json!({ "name": wanted, "date_created": account.local(now_ms()) });
                account.add("tags", row.as_object().cloned().unwrap_or_default())
            }
            None => continue,
        });
    }
    let leads: Vec<u64> = params.list("lead_id").iter().filter_map(|id| id.parse().ok()).collect();
    let rows = account.tables.get("leads").map(|table| &table.rows);
    let (there, missing): (Vec<u64>, Vec<u64>) =
        leads.iter().partition(|id| rows.is_some_and(|rows| rows.contains_key(id)));
    let mut updated = 0;
    for lead in &there {
        for tag in &tags {
            let at = account.lead_tags.iter().position(|pair| *pair == (*lead, *tag));
            match (add, at) {
                (true, None) => account.lead_tags.push((*lead, *tag)),
                (false, Some(at)) => {
                    account.lead_tags.remove(at);
                }
                _ => continue,
            }
            updated += 1;
        }
    }
    let word = if add { "Added" } else { "Removed" };
    let rest = json!({ "leads": leads.len(), "updated": updated, "tags": tags, "errors": missing });
    let mut body = if updated > 0 {
        json!({ "message": format!("Tags {word}.") })
    } else {
        json!({ "error": format!("No Tags {word}.") })
    };
    if let (Some(body), Some(rest)) = (body.as_object_mut(), rest.as_object()) {
        body.extend(rest.clone());
    }
    done(&body)
}

fn callback(params: &Params, account: &mut Account) -> Outcome {
    let there = id(params)
        .is_some_and(|id| account.tables.get("leads").is_some_and(|table| table.rows.contains_key(&id)));
    if !there {
        return Ok(errors::warning(&json!({ "error": "Lead does not exist." })));
    }
    if params.text("callback").and_then(|text| parse(&text)).is_none() {
        return Err(errors::says(400, "Invalid callback date."));
    }
    let members: Map<String, Value> = params.0.iter().cloned().collect();
    account.callbacks.push(Value::Object(members));
    let number = 51_939 + account.callbacks.len();
    let user = params.text("user_id").and_then(|id| id.parse::<u64>().ok()).unwrap_or(0);
    done(&json!({
        "lead_id": params.text("lead_id"), "user_id": user, "message": "Added Callback.", "result": number.to_string(),
    }))
}
