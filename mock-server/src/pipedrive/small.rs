//! The small endpoints of version 1: users, filters, webhooks, currencies, activity types, labels and sources.

use std::sync::RwLock;

use serde_json::{Value, json};

use super::account::Account;
use super::errors;
use crate::clock::{iso_ms, now_ms, spaced};
use crate::exchange::{Outcome, Reply, Request};
use crate::json::put;
use crate::world::{read, write};

fn ok(data: &Value) -> Outcome {
    Ok(Reply::json(200, &json!({ "success": true, "data": data })))
}

fn only_get(request: &Request) -> Result<(), Reply> {
    if request.method == http::Method::GET { Ok(()) } else { Err(errors::bad_method()) }
}

/// A user as it is shown.
pub fn user(id: u64, name: &str, email: &str, active: bool, created: &str) -> Value {
    json!({
        "id": id, "name": name, "default_currency": "USD", "locale": "en_US", "lang": 1, "email": email, "phone": null,
        "activated": false, "last_login": null, "created": created, "modified": created, "has_created_company": false,
        "access": [{ "app": "sales", "admin": false, "permission_set_id": "62cc4d7f-4038-4352-abf3-a8c1c822b631" }],
        "active_flag": active, "timezone_name": "Europe/London", "timezone_offset": "+00:00", "role_id": 1,
        "icon_url": null, "is_you": false, "is_deleted": false,
    })
}

/// Users that are invited or whose access changes: nothing else about them can be set.
fn write_user(request: &Request, account: &RwLock<Account>, rest: &[&str]) -> Outcome {
    let body = &request.json().map_err(|_| errors::bad("Bad request"))?;
    let active = match &body["active_flag"] {
        Value::Null => None,
        Value::Bool(active) => Some(*active),
        _ => return Err(errors::bad("active_flag must be a boolean")),
    };
    let mut account = write(account);
    match (request.method.as_str(), rest) {
        ("POST", []) => {
            let email = body["email"].as_str().filter(|email| email.contains('@'));
            let email = email.ok_or_else(|| errors::bad("email must be a valid email address"))?.to_owned();
            if account.users.iter().any(|user| user["email"] == email.as_str()) {
                return Err(errors::bad("User already exists in this company"));
            }
            let last = account.users.iter().filter_map(|user| user["id"].as_u64()).max().unwrap_or(0);
            let name = email.split('@').next().unwrap_or_default().to_owned();
            let made = user(last + 1, &name, &email, active.unwrap_or(true), &spaced(now_ms()));
            account.users.push(made.clone());
            ok(&made)
        }
        ("PUT", [id]) => {
            let active = active.ok_or_else(|| errors::bad("active_flag must be given."))?;
            let id: Option<u64> = id.parse().ok();
            let user = account.users.iter_mut().find(|user| user["id"].as_u64() == id).ok_or_else(no_user)?;
            put(user, "active_flag", json!(active));
            put(user, "modified", json!(spaced(now_ms())));
            ok(user)
        }
        _ => Err(errors::bad_method()),
    }
}

fn no_user() -> Reply {
    Reply::json(404, &json!({ "success": false, "error": "User not found or not accessible." }))
}

/// Users: no pages.
pub fn users(request: &Request, account: &RwLock<Account>, rest: &[&str]) -> Outcome {
    if request.method != http::Method::GET {
        return write_user(request, account, rest);
    }
    let account = read(account);
    match rest {
        [] => ok(&json!(account.users)),
        ["me"] => {
            let mut me = account.users.first().cloned().unwrap_or_default();
            put(&mut me, "company_id", json!(account.company_id));
            put(&mut me, "company_name", json!(account.name));
            put(&mut me, "company_domain", json!(account.name));
            put(&mut me, "company_country", json!("EE"));
            put(&mut me, "company_industry", json!("IT Services"));
            put(&mut me, "language", json!({ "language_code": "en", "country_code": "US" }));
            ok(&me)
        }
        ["find"] => {
            let term = request.param("term").map(str::to_lowercase).unwrap_or_default();
            if term.is_empty() {
                return Err(errors::bad("Search term must be given."));
            }
            let member = if request.param("search_by_email") == Some("1") { "email" } else { "name" };
            let meets =
                |user: &&Value| user[member].as_str().is_some_and(|text| text.to_lowercase().contains(&term));
            let found: Vec<&Value> = account.users.iter().filter(meets).collect();
            ok(&json!(found))
        }
        [id] => {
            let found = account.users.iter().find(|user| user["id"].as_u64() == id.parse().ok());
            found.map(|user| Reply::json(200, &json!({ "success": true, "data": user }))).ok_or_else(no_user)
        }
        _ => Err(errors::no_endpoint()),
    }
}

/// A filter as it is shown.
pub fn filter(id: u64, name: &str, kind: &str, conditions: &Value, user: u64, at_ms: i64) -> Value {
    json!({
        "id": id,
        "name": name,
        "filter_code": null,
        "is_editable": true,
        "active_flag": true,
        "type": kind,
        "temporary_flag": null,
        "user_id": user,
        "add_time": spaced(at_ms),
        "update_time": spaced(at_ms),
        "visible_to": "7",
        "last_used_time": null,
        "custom_view_id": null,
        "conditions": conditions,
    })
}

/// Saved filters. They are kept, but do not narrow lists down.
pub fn filters(request: &Request, account: &RwLock<Account>, rest: &[&str]) -> Outcome {
    let parse = |id: &str| id.parse::<u64>().map_err(|_| errors::bad("id must be a number"));
    let missing = || errors::plain(404, "Filter not found", "Object was not found.");
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let kind = request.param("type");
            let account = read(account);
            let fits = |filter: &&Value| kind.is_none_or(|kind| filter["type"] == kind);
            let shown: Vec<Value> = account
                .filters
                .values()
                .filter(fits)
                .map(|filter| {
                    let mut filter = filter.clone();
                    if let Some(members) = filter.as_object_mut() {
                        members.shift_remove("conditions");
                    }
                    filter
                })
                .collect();
            ok(&json!(shown))
        }
        ("GET", [id]) => {
            let id = parse(id)?;
            let account = read(account);
            ok(account.filters.get(&id).ok_or_else(missing)?)
        }
        ("POST", []) => {
            let body = &request.json().map_err(|_| errors::bad("Bad request"))?;
            let text = |name: &str| {
                body[name].as_str().ok_or_else(|| errors::bad(&format!("{name} must be given.")))
            };
            let (name, kind) = (text("name")?, text("type")?);
            if !body["conditions"].is_object() {
                return Err(errors::bad("conditions must be given."));
            }
            let mut account = write(account);
            let id = account.filters.keys().next_back().map_or(1, |last| last + 1);
            let user = account.users.first().and_then(|user| user["id"].as_u64()).unwrap_or(0);
            let made = filter(id, name, kind, &body["conditions"], user, now_ms());
            account.filters.insert(id, made.clone());
            ok(&made)
        }
        ("PUT", [id]) => {
            let id = parse(id)?;
            let body = &request.json().map_err(|_| errors::bad("Bad request"))?;
            let mut account = write(account);
            let filter = account.filters.get_mut(&id).ok_or_else(missing)?;
            for name in ["name", "conditions"] {
                if let Some(value) = body.get(name).filter(|value| !value.is_null()) {
                    put(filter, name, value.clone());
                }
            }
            ok(filter)
        }
        ("DELETE", [id]) => {
            let id = parse(id)?;
            write(account).filters.remove(&id).ok_or_else(missing)?;
            ok(&json!({ "id": id }))
        }
        _ => Err(errors::bad_method()),
    }
}

/// Webhook subscriptions: kept, never delivered.
pub fn webhooks(request: &Request, account: &RwLock<Account>, rest: &[&str]) -> Outcome {
    let reply = |status: u16, data: &Value| {
        Ok(Reply::json(status, &json!({ "status": "ok", "success": true, "data": data })))
    };
    match (request.method.as_str(), rest) {
        ("GET", []) => reply(200, &json!(read(account).webhooks.values().collect::<Vec<_>>())),
        ("POST", []) => {
            let body = &request.json().map_err(|_| errors::bad("Bad request"))?;
            let invalid = |name: &str, says: &str| {
                let body = json!({ "status": "error", "success": false, "errors": { name: [says] } });
                Reply::json(400, &body)
            };
            for name in ["subscription_url", "event_action", "event_object"] {
                if body[name].as_str().is_none_or(str::is_empty) {
                    return Err(invalid(name, "is required"));
                }
            }
            let url = body["subscription_url"].as_str().unwrap_or_default();
            if url::Url::parse(url).is_err() {
                return Err(invalid("subscription_url", "invalid or non-reachable URL"));
            }
            let mut account = write(account);
            let id = account.webhooks.keys().next_back().map_or(1, |last| last + 1);
            let user = account.users.first().map_or(Value::Null, |user| user["id"].clone());
            let made = json!({
                "id": id,
                "company_id": account.company_id,
                "owner_id": user,
                "user_id": user,
                "event_action": body["event_action"],
                "event_object": body["event_object"],
                "subscription_url": url,
                "version": body["version"].as_str().unwrap_or("2.0"),
                "is_active": 1,
                "add_time": iso_ms(now_ms()),
                "remove_time": null,
                "type": "general",
                "http_auth_user": body["http_auth_user"],
                "http_auth_password": body["http_auth_password"],
                "remove_reason": null,
                "last_delivery_time": null,
                "last_http_status": null,
                "admin_id": user,
                "name": body["name"],
            });
            account.webhooks.insert(id, made.clone());
            reply(201, &made)
        }
        ("DELETE", [id]) => {
            let removed = id.parse().ok().and_then(|id: u64| write(account).webhooks.remove(&id));
            let missing = json!({ "status": "error", "success": false, "errors": { "id": ["not found"] } });
            removed.ok_or_else(|| Reply::json(404, &missing))?;
            Ok(Reply::json(200, &json!({ "status": "ok", "success": true })))
        }
        _ => Err(errors::bad_method()),
    }
}

/// Currencies with their numbers of decimals.
pub fn currencies(request: &Request) -> Outcome {
    only_get(request)?;
    const ALL: &[(&str, &str, u8, &str)] = &[
        ("EUR", "Euro", 2, "€"),
        ("USD", "US Dollar", 2, "$"),
        ("GBP", "Pound Sterling", 2, "£"),
        ("JPY", "Japanese Yen", 0, "¥"),
        ("KRW", "South Korean Won", 0, "₩"),
        ("KWD", "Kuwaiti Dinar", 3, "KD"),
        ("BRL", "Brazilian Real", 2, "R$"),
        ("SEK", "Swedish Krona", 2, "kr"),
    ];
    let term = request.param("term").map(str::to_lowercase).unwrap_or_default();
    let shown: Vec<Value> = ALL
        .iter()
        .zip(1..)
        .filter(|((code, name, ..), _)| {
            term.is_empty() || code.to_lowercase().contains(&term) || name.to_lowercase().contains(&term)
        })
        .map(|((code, name, decimals, symbol), id)| {
            json!({
                "id": id, "code": code, "name": name, "decimal_points": decimals, "symbol": symbol,
                "active_flag": true, "is_custom_flag": false,
            })
        })
        .collect();
    ok(&json!(shown))
}

/// Activity types: six built in, one a customer's own.
pub fn activity_types(request: &Request) -> Outcome {
    only_get(request)?;
    let kinds = ["Call", "Meeting", "Task", "Deadline", "Email", "Lunch", "Site visit"];
    let shown: Vec<Value> = kinds
        .iter()
        .zip(1..)
        .map(|(name, id)| {
            let key = name.to_lowercase().replace(' ', "_");
            json!({
                "id": id, "order_nr": id, "name": name, "key_string": key, "icon_key": key, "active_flag": true,
                "color": "FFFFFF", "is_custom_flag": id > 6, "add_time": "2022-10-04 16:24:55",
                "update_time": "2022-10-04 16:24:55",
            })
        })
        .collect();
    ok(&json!(shown))
}

/// Lead labels.
pub fn lead_labels(request: &Request) -> Outcome {
    only_get(request)?;
    let labels = [("f08b42a0", "Hot", "red"), ("f08b42a1", "Cold", "blue"), ("f08b69b0", "Warm", "yellow")];
    let shown: Vec<Value> = labels
        .iter()
        .map(|(id, name, colour)| {
            json!({
                "id": format!("{id}-4e75-11ea-9643-03698ef1cfd6"), "name": name, "color": colour,
                "add_time": "2022-02-13T15:31:44.000Z", "update_time": "2022-02-13T15:31:44.000Z",
            })
        })
        .collect();
    ok(&json!(shown))
}

/// Lead sources.
pub fn lead_sources(request: &Request) -> Outcome {
    only_get(request)?;
    let names = ["Manually created", "Deal", "Web forms", "Prospector", "Live chat", "Import", "API"];
    let shown: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
    ok(&json!(shown))
}
