//! Demo records: believable, repeatable, with the oddities that real installations have.

use serde_json::{Map, Value, json};

use super::account::Account;
use super::table::stamp;
use crate::clock::{DAY_MS, date};
use crate::seed::{Rng, company, person, phone, slug, words};

const FIRST_DAY_MS: i64 = 1_672_531_200_000;
const SPAN_S: i64 = 86_400 * 1270;

fn ids(account: &Account, table: &str) -> Vec<u64> {
    account.tables.get(table).map(|table| table.records.keys().copied().collect()).unwrap_or_default()
}

/// Adds so many records of a resource; answers their ids.
pub fn records(account: &mut Account, name: &str, count: usize) -> Vec<String> {
    let Some(resource) = super::resource::of(name) else { return Vec::new() };
    let known = |table: &str| ids(account, table);
    let (users, companies, contacts, deals) =
        (known("users"), known("companies"), known("contacts"), known("deals"));
    let (stages, types, outcomes) =
        (known("pipeline-stages"), known("activity-types"), known("call-outcomes"));
    let (sources, industries) = (known("sources"), known("industries"));
    let have = account.tables.get(name).map_or(0, |table| table.records.len());
    let mut made = Vec::with_capacity(count);
    for index in have as u64..(have + count) as u64 {
        let mut rng = Rng::new(account.seed, resource.name, index);
        let created = match index % 10 {
            // Several records share an instant, as imports make them.
            0..=2 => FIRST_DAY_MS + i64::try_from(index / 50).unwrap_or(0) * DAY_MS,
            _ => FIRST_DAY_MS + rng.between(0, SPAN_S) * 1000,
        };
        let day = |at: i64| json!(format!("{}T00:00:00.000000Z", date(at)));
        let mut links: Vec<(&'static str, Option<u64>)> = Vec::new();
        let one = |rng: &mut Rng, from: &[u64]| rng.one(from).copied();
        let members = match name {
            "contacts" => {
                let person = person(&mut rng, index);
                let place = rng.one(words::PLACES).copied().unwrap_or_default();
                let place_is_known = rng.chance(60);
                if rng.chance(70) {
                    links.push(("companies", one(&mut rng, &companies)));
                }
                json!({
                    "first_name": if person.first.is_empty() { "—" } else { person.first.as_str() },
                    "last_name": text(&person.last), "email": format!("{}@mail.example", person.mailbox),
                    "phones": phones(&mut rng), "job_title": text(rng.pick(words::TITLES)),
                    "source_id": one(&mut rng, &sources), "tags": tags(&mut rng),
                    "street": place_is_known.then(|| rng.pick(words::STREETS)),
                    "city": place_is_known.then_some(place[0]), "state": place_is_known.then_some(place[1]),
                    "postal_code": place_is_known.then_some(place[2]), "country_id": null,
                })
            }
            "companies" => {
                let company = company(&mut rng, index);
                let site = slug(&company);
                json!({
                    "name": company, "domain": if site.is_empty() { format!("c{index}.example") } else { format!("{site}.example") },
                    "email": rng.chance(50).then(|| format!("office{index}@mail.example")), "phones": phones(&mut rng),
                    "industry_id": one(&mut rng, &industries), "source_id": one(&mut rng, &sources), "tags": tags(&mut rng),
                    "parent_company_id": null, "street": rng.pick(words::STREETS), "city": "Malmö", "state": null,
                    "postal_code": "211 19", "country_id": 7,
                })
            }
            "deals" => {
                links.push(("contacts", one(&mut rng, &contacts)));
                links.push(("companies", one(&mut rng, &companies)));
                let stage = one(&mut rng, &stages);
                let pipeline = stage.and_then(|id| {
                    Some(account.tables.get("pipeline-stages")?.records.get(&id)?.get("pipeline_id").clone())
                });
                let status = rng.pick(&["open", "open", "won", "lost"]);
                json!({
                    "name": format!("{} {}", rng.pick(words::LAST), rng.pick(words::DEAL_THINGS)),
                    "stage_id": stage, "pipeline_id": pipeline, "status": status,
                    "amount": format!("{}.{:03}", rng.between(0, 90_000), rng.below(100) * 10),
                    "expected_close_date": rng.chance(70).then(|| day(created + rng.between(5, 200) * DAY_MS)),
                    "won_date": (status == "won").then(|| stamp(created + 9 * DAY_MS)),
                    "lost_date": (status == "lost").then(|| stamp(created + 9 * DAY_MS)),
                    "lost_reason": (status == "lost").then(|| rng.pick(words::SENTENCES)), "tags": tags(&mut rng),
                })
            }
            "activities" => {
                links.push(("contacts", one(&mut rng, &contacts)));
                if rng.chance(40) {
                    links.push(("deals", one(&mut rng, &deals)));
                }
                let due = created + rng.between(0, 60) * DAY_MS;
                let timed = rng.chance(70);
                json!({
                    "title": rng.pick(words::SENTENCES), "activity_type_id": one(&mut rng, &types),
                    "due_date": day(due), "due_time": timed.then_some("09:30"), "end_date": day(due),
                    "end_time": timed.then_some("10:15"), "reminder_minutes_before": 30,
                    "note": rng.chance(30).then(|| rng.pick(words::SENTENCES)),
                    "description": rng.chance(50).then(|| format!("<p>{}</p>", rng.pick(words::SENTENCES))),
                    "is_completed": rng.chance(40), "guests": [],
                })
            }
            "notes" => {
                links.push(("contacts", one(&mut rng, &contacts)));
                json!({ "body": format!("<p>{}</p>", rng.pick(words::SENTENCES)) })
            }
            "calls" => {
                links.push(("contacts", one(&mut rng, &contacts)));
                json!({
                    "body": rng.pick(words::SENTENCES), "call_outcome_id": one(&mut rng, &outcomes),
                    "date": stamp(created),
                })
            }
            _ => json!({ "name": format!("{name} {index}") }),
        };
        let Value::Object(mut members) = members else { continue };
        if resource.writes.iter().any(|(name, _)| *name == "user_id") || matches!(name, "notes" | "calls") {
            members.insert("user_id".to_owned(), json!(one(&mut rng, &users)));
        }
        members.extend(custom(&mut rng, account, name));
        let id = account.add(name, members, created);
        if let Some(record) = account.tables.get_mut(name).and_then(|table| table.records.get_mut(&id)) {
            record.updated_ms = created + rng.between(0, 90) * DAY_MS / 9;
        }
        for (other, linked) in links {
            if let Some(linked) = linked {
                account.link(resource.name, id, other, linked);
            }
        }
        made.push(id.to_string());
    }
    made
}

fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

fn phones(rng: &mut Rng) -> Value {
    let kinds = ["mobile", "work", "other"];
    let count = rng.below(3);
    (0..count).map(|at| json!({ "id": at + 1, "number": phone(rng), "type": rng.pick(&kinds) })).collect()
}

fn tags(rng: &mut Rng) -> Value {
    if rng.chance(70) {
        return json!([]);
    }
    json!([{ "id": 1, "name": rng.pick(&["vip", "newsletter", "überfällig"]), "swatch_color": "#4f46e5", "display_order": 1 }])
}

fn custom(rng: &mut Rng, account: &Account, name: &str) -> Map<String, Value> {
    let mut custom = Map::new();
    for field in account.fields.iter().filter(|field| field.resource == name) {
        if !rng.chance(25) {
            continue;
        }
        let option = rng.one(&field.options).map(|(id, _)| json!(id)).unwrap_or_default();
        let value = match field.kind.as_str() {
            "Boolean" => json!(rng.chance(50)),
            "ColorSwatch" => json!("#333333"),
            "Checkbox" | "MultiSelect" => json!([option]),
            "Date" => json!(date(rng.between(-5000, 25_000) * DAY_MS)),
            "DateTime" => json!("2026-01-31 06:00:00"),
            "Number" => json!(rng.between(-5, 500)),
            "Numeric" => json!(rng.below(90_000)),
            "Radio" | "Select" => option,
            "Timezone" => json!("America/Toronto"),
            "Url" => json!("https://home.example/~me"),
            _ => json!(rng.pick(words::TITLES)),
        };
        if let Ok(value) = field.take(&value) {
            custom.insert(field.field_id.clone(), value);
        }
    }
    custom
}
