//! Owners: the people (and queues) of a portal. Read only.

use serde_json::{Value, json};

use super::account::Account;
use super::{errors, paging};
use crate::clock::iso_ms;
use crate::exchange::{Outcome, Reply, Request};
use crate::json::put;
use crate::seed::{Rng, words};

/// Two dozen owners: most are people, one is a queue, the last two are archived.
pub fn seeded(seed: u64) -> Vec<Value> {
    (0..26_u64)
        .map(|index| {
            let mut rng = Rng::new(seed, "owners", index);
            let person = crate::seed::person(&mut rng, index);
            let archived = index >= 24;
            let created = iso_ms(1_500_000_000_000 + i64::try_from(index).unwrap_or(0) * 86_400_000 * 31);
            let mut owner = json!({
                "id": (88_842_095 + index * 17).to_string(),
                "email": format!("{}@vendor.example", person.mailbox),
                "type": if index == 7 { "QUEUE" } else { "PERSON" },
                "firstName": person.first,
                "lastName": person.last,
                "userId": 64_492_917 + index,
                "userIdIncludingInactive": 64_492_917 + index,
                "createdAt": created,
                "updatedAt": iso_ms(1_750_000_000_000),
                "archived": archived,
                "teams": [],
            });
            if index.is_multiple_of(3) {
                let team = rng.pick(words::COMPANY_TAILS);
                let team = json!({ "id": (178_588 + index).to_string(), "name": team, "primary": true });
                put(&mut owner, "teams", json!([team]));
            }
            if archived && let Some(owner) = owner.as_object_mut() {
                owner.shift_remove("userId");
            }
            owner
        })
        .collect()
}

/// `GET /crm/v3/owners` and `GET /crm/v3/owners/{id}`.
pub fn answer(request: &Request, account: &Account, below: &[&str]) -> Outcome {
    if request.method != http::Method::GET {
        return Err(errors::bad_method());
    }
    let archived = request.param("archived") == Some("true");
    let shown = account.owners.iter().filter(|owner| owner["archived"].as_bool() == Some(archived));
    match below {
        [] => {
            let limit = paging::limit(request, 100, 500)?;
            let email = request.param("email").map(str::to_lowercase);
            let after: u64 = request.param("after").and_then(|after| after.parse().ok()).unwrap_or(0);
            let number =
                |owner: &Value| owner["id"].as_str().and_then(|id| id.parse::<u64>().ok()).unwrap_or(0);
            let mut shown = shown
                .filter(|owner| email.as_deref().is_none_or(|email| owner["email"].as_str() == Some(email)))
                .filter(|owner| number(owner) >= after);
            let page: Vec<&Value> = shown.by_ref().take(limit).collect();
            let mut body = json!({ "results": page });
            if let Some(next) = shown.next() {
                put(&mut body, "paging", paging::next(request, &number(next).to_string()));
            }
            Ok(Reply::json(200, &body))
        }
        [id] => {
            let key = if request.param("idProperty") == Some("userId") { "userId" } else { "id" };
            let mut all = account.owners.iter().filter(|owner| owner["archived"].as_bool() == Some(archived));
            let found = all.find(|owner| match &owner[key] {
                Value::String(text) => text == id,
                Value::Number(number) => number.to_string() == *id,
                _ => false,
            });
            found.map(|owner| Reply::json(200, owner)).ok_or_else(|| errors::not_found(id))
        }
        _ => Err(errors::no_endpoint()),
    }
}
