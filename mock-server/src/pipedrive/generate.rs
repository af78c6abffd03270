//! Demo records: believable, repeatable, with the oddities that real accounts have.

use serde_json::{Map, Value, json};

use super::account::Account;
use super::entity;
use super::field::Field;
use crate::clock::{DAY_MS, date, iso_s};
use crate::seed::{Rng, company, person, phone, words};

const FIRST_DAY_MS: i64 = 1_672_531_200_000;
const SPAN_S: i64 = 86_400 * 1270;

/// The live ids that generated records may refer to.
struct Ids {
    persons: Vec<u64>,
    organizations: Vec<u64>,
    deals: Vec<u64>,
    stages: Vec<(u64, u64)>,
    users: Vec<u64>,
}

fn ids(account: &Account) -> Ids {
    let of = |name: &str| {
        let table = account.tables.get(name);
        table.map(|table| table.records.keys().copied().collect()).unwrap_or_default()
    };
    let stages = account.tables.get("stages").map(|table| table.records.values());
    let stages = stages.into_iter().flatten().filter(|stage| !stage.deleted);
    Ids {
        persons: of("persons"),
        organizations: of("organizations"),
        deals: of("deals"),
        stages: stages.filter_map(|stage| Some((stage.id, stage.get("pipeline_id").as_u64()?))).collect(),
        users: account.users.iter().filter_map(|user| user["id"].as_u64()).collect(),
    }
}

/// Adds so many records of an entity; answers their ids.
pub fn records(account: &mut Account, name: &str, count: usize) -> Vec<String> {
    let known = ids(account);
    let fields = account.tables.get(name).map(|table| table.fields.clone()).unwrap_or_default();
    let have = match name {
        "leads" => account.leads.len(),
        "notes" => account.notes.len(),
        _ => account.tables.get(name).map_or(0, |table| table.records.len()),
    };
    let mut made = Vec::with_capacity(count);
    for index in have as u64..(have + count) as u64 {
        let mut rng = Rng::new(account.seed, name, index);
        // Several records share an instant, as imports make them.
        let added = match index % 10 {
            0..=2 => FIRST_DAY_MS + i64::try_from(index / 50).unwrap_or(0) * DAY_MS,
            _ => FIRST_DAY_MS + rng.between(0, SPAN_S) * 1000,
        };
        let updated = added + rng.between(0, 90) * DAY_MS / 9;
        let mut members = match name {
            "persons" => one_person(&mut rng, index, &known),
            "organizations" => organization(&mut rng, index),
            "deals" => deal(&mut rng, index, added, &known),
            "activities" => activity(&mut rng, index, added, &known),
            "products" => product(&mut rng, index),
            "leads" => lead(&mut rng, index, &known),
            "notes" => note(&mut rng, &known),
            _ => return made,
        };
        members.insert("add_time".to_owned(), json!(iso_s(added)));
        members.insert("update_time".to_owned(), json!(iso_s(updated)));
        let owner = if name == "notes" { "user_id" } else { "owner_id" };
        members.extend(rng.one(&known.users).map(|user| (owner.to_owned(), json!(user))));
        if !fields.is_empty() && entity::of(name).is_some_and(|entity| entity.custom) {
            members.insert("custom_fields".to_owned(), Value::Object(custom(&mut rng, &fields, &known)));
        }
        made.push(match name {
            "leads" => account.place_lead(&members, added),
            "notes" => account.place_note(&members, added).to_string(),
            _ => {
                let Some(entity) = entity::of(name) else { return made };
                account.place(entity.name, Some(&members), added).to_string()
            }
        });
    }
    made
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn custom(rng: &mut Rng, fields: &[Field], known: &Ids) -> Map<String, Value> {
    let mut custom = Map::new();
    for field in fields.iter().filter(|field| field.custom) {
        if !rng.chance(25) {
            continue;
        }
        let option = |rng: &mut Rng| rng.one(&field.options).map(|(id, _)| json!(id)).unwrap_or_default();
        let value = match field.kind.as_str() {
            "double" => json!(rng.between(-500, 90_000)),
            "monetary" => json!({ "value": rng.below(90_000), "currency": rng.pick(words::CURRENCIES) }),
            "date" => json!(date(rng.between(-5000, 25_000) * DAY_MS)),
            "enum" => option(rng),
            "set" => json!([option(rng)]),
            "user" => json!(rng.one(&known.users)),
            "org" => json!(rng.one(&known.organizations)),
            "people" => json!(rng.one(&known.persons)),
            "phone" => json!(phone(rng)),
            "time" => json!({ "value": "09:30:00", "timezone_id": 94, "timezone_name": "Europe/Tallinn" }),
            "timerange" => {
                json!({ "value": "09:00:00", "until": "17:30:00", "timezone_id": 94, "timezone_name": "Europe/Tallinn" })
            }
            "daterange" => json!({ "value": "2026-01-01", "until": "2026-12-31" }),
            "address" => address(rng),
            "boolean" => json!(rng.chance(50)),
            "text" => json!(rng.pick(words::SENTENCES)),
            _ => json!(rng.pick(words::FIRST_ACCENTED)),
        };
        custom.insert(field.code.clone(), value);
    }
    custom
}

fn address(rng: &mut Rng) -> Value {
    let number = (rng.below(900) + 1).to_string();
    let street = rng.pick(words::STREETS);
    let [city, state, zip, country, _] = rng.one(words::PLACES).copied().unwrap_or_default();
    json!({
        "value": format!("{street} {number}, {zip} {city}, {country}"),
        "country": country,
        "admin_area_level_1": state,
        "admin_area_level_2": null,
        "locality": city,
        "sublocality": null,
        "route": street,
        "street_number": number,
        "subpremise": null,
        "postal_code": zip,
    })
}

fn one_person(rng: &mut Rng, index: u64, known: &Ids) -> Map<String, Value> {
    let person = person(rng, index);
    let name = format!("{} {}", person.first, person.last).trim().to_owned();
    let mut emails = Vec::new();
    if rng.chance(92) {
        emails.push(
            json!({ "value": format!("{}@example.com", person.mailbox), "primary": true, "label": "work" }),
        );
        if rng.chance(20) {
            emails.push(json!({ "value": format!("{}+home@example.net", person.mailbox), "primary": false, "label": "home" }));
        }
    }
    let mut phones = Vec::new();
    for label in ["work", "mobile", "other"] {
        if rng.chance(45) {
            phones.push(json!({ "value": phone(rng), "primary": phones.is_empty(), "label": label }));
        }
    }
    let mut members = object(json!({ "name": name, "emails": emails, "phones": phones }));
    if rng.chance(75) {
        members.insert("org_id".to_owned(), json!(rng.one(&known.organizations)));
    }
    if rng.chance(60) {
        members.insert("job_title".to_owned(), json!(rng.pick(words::TITLES)));
    }
    if rng.chance(25) {
        members.insert("birthday".to_owned(), json!(date(rng.between(-14_000, 12_000) * DAY_MS)));
    }
    if rng.chance(15) {
        members.insert("postal_address".to_owned(), address(rng));
    }
    if rng.chance(10) {
        members.insert("notes".to_owned(), json!(rng.pick(words::SENTENCES)));
    }
    if rng.chance(20) {
        members.insert("label_ids".to_owned(), json!([rng.below(4) + 1]));
    }
    if rng.chance(10) {
        members
            .insert("im".to_owned(), json!([{ "value": person.mailbox, "primary": true, "label": "skype" }]));
    }
    members
}

fn organization(rng: &mut Rng, index: u64) -> Map<String, Value> {
    let name = company(rng, index);
    let mut members = object(json!({ "name": name }));
    if rng.chance(70) {
        members.insert("address".to_owned(), address(rng));
    }
    if rng.chance(60) {
        let website = format!("https://{}.example", crate::seed::slug(&name));
        members.insert("website".to_owned(), json!(website));
    }
    if rng.chance(30) {
        members.insert("annual_revenue".to_owned(), json!(rng.below(98_000_000_000)));
        members.insert("employee_count".to_owned(), json!(rng.below(120_000)));
    }
    if rng.chance(20) {
        members.insert("label_ids".to_owned(), json!([rng.below(4) + 1]));
    }
    members
}

fn amount(rng: &mut Rng, currency: &str) -> Value {
    match (currency, rng.below(10)) {
        (_, 0) => json!(0),
        ("JPY" | "KRW", _) => json!(rng.below(50_000) * 1000),
        (_, 1) => json!(9_999_999_999_i64),
        ("KWD", _) => json!(f64::from(u32::try_from(rng.below(90_000_000)).unwrap_or(0)) / 1000.0),
        (_, 2..=4) => json!(rng.below(100_000)),
        _ => json!(f64::from(u32::try_from(rng.below(25_000_000)).unwrap_or(0)) / 100.0),
    }
}

fn deal(rng: &mut Rng, index: u64, added: i64, known: &Ids) -> Map<String, Value> {
    let head = rng.pick(words::COMPANY_HEADS);
    let currency = rng.pick(words::CURRENCIES);
    let (stage, pipeline) = rng.one(&known.stages).copied().unwrap_or((1, 1));
    let mut members = object(json!({
        "title": format!("{head} {} #{index}", rng.pick(words::DEAL_THINGS)),
        "value": amount(rng, currency),
        "currency": currency,
        "stage_id": stage,
        "pipeline_id": pipeline,
        "stage_change_time": iso_s(added),
    }));
    let closed = added + rng.between(1, 200) * DAY_MS;
    match rng.below(10) {
        0..=2 => {
            members.extend(object(json!({
                "status": "won", "won_time": iso_s(closed), "close_time": iso_s(closed),
                "local_won_date": date(closed), "local_close_date": date(closed),
            })));
        }
        3 | 4 => {
            members.extend(object(json!({
                "status": "lost", "lost_time": iso_s(closed), "close_time": iso_s(closed),
                "local_lost_date": date(closed), "local_close_date": date(closed),
                "lost_reason": rng.pick(&["Price", "No budget", "Chose a competitor"]),
            })));
        }
        _ => {}
    }
    if rng.chance(70) {
        members.insert("expected_close_date".to_owned(), json!(date(closed)));
    }
    if rng.chance(40) {
        members.insert("probability".to_owned(), json!(rng.below(101)));
    }
    if rng.chance(85) {
        members.insert("org_id".to_owned(), json!(rng.one(&known.organizations)));
    }
    if rng.chance(80) {
        members.insert("person_id".to_owned(), json!(rng.one(&known.persons)));
    }
    if rng.chance(20) {
        members.insert("label_ids".to_owned(), json!([rng.below(4) + 1]));
    }
    members
}

fn activity(rng: &mut Rng, index: u64, added: i64, known: &Ids) -> Map<String, Value> {
    let due = added + rng.between(-10, 60) * DAY_MS;
    let kind = rng.pick(&["call", "meeting", "task", "deadline", "email", "lunch", "site_visit"]);
    let mut members = object(json!({
        "subject": format!("{} #{index}", rng.pick(words::DEAL_THINGS)),
        "type": kind,
        "due_date": date(due),
        "done": rng.chance(40),
        "busy": rng.chance(50),
    }));
    if rng.chance(60) {
        members.insert(
            "due_time".to_owned(),
            json!(format!("{:02}:{:02}:00", rng.below(24), rng.below(4) * 15)),
        );
        members.insert("duration".to_owned(), json!(format!("{:02}:30:00", rng.below(3))));
    }
    if rng.chance(60) {
        members.insert("note".to_owned(), json!(format!("<p>{}</p>", rng.pick(words::SENTENCES))));
    }
    if let Some(person) = rng.one(&known.persons).filter(|_| !index.is_multiple_of(4)) {
        members.insert("person_id".to_owned(), json!(person));
        members.insert("participants".to_owned(), json!([{ "person_id": person, "primary": true }]));
    }
    if rng.chance(50) {
        members.insert("org_id".to_owned(), json!(rng.one(&known.organizations)));
    }
    if rng.chance(40) {
        members.insert("deal_id".to_owned(), json!(rng.one(&known.deals)));
    }
    if rng.chance(10) {
        members.insert("location".to_owned(), address(rng));
    }
    members
}

fn product(rng: &mut Rng, index: u64) -> Map<String, Value> {
    let currency = rng.pick(words::CURRENCIES);
    object(json!({
        "name": format!("{} {index}", rng.pick(words::COMPANY_TAILS)),
        "code": format!("P-{index:05}"),
        "tax": rng.below(25),
        "prices": [{ "product_id": null, "price": amount(rng, currency), "currency": currency, "cost": 0, "direct_cost": null, "notes": "" }],
    }))
}

fn lead(rng: &mut Rng, index: u64, known: &Ids) -> Map<String, Value> {
    let person = person(rng, index);
    let currency = rng.pick(words::CURRENCIES);
    let mut members = object(json!({
        "title": format!("{} {} lead", person.first, person.last).trim(),
        "person_id": rng.one(&known.persons),
        "is_archived": rng.chance(5),
        "was_seen": rng.chance(60),
        "source_name": rng.pick(&["Manually created", "API", "Web forms"]),
    }));
    if rng.chance(50) {
        members.insert("organization_id".to_owned(), json!(rng.one(&known.organizations)));
    }
    if rng.chance(60) {
        members.insert("value".to_owned(), json!({ "amount": amount(rng, currency), "currency": currency }));
    }
    if rng.chance(40) {
        members.insert(
            "expected_close_date".to_owned(),
            json!(date(FIRST_DAY_MS + rng.between(0, 1500) * DAY_MS)),
        );
    }
    if rng.chance(30) {
        members.insert("label_ids".to_owned(), json!(["f08b42a0-4e75-11ea-9643-03698ef1cfd6"]));
    }
    if rng.chance(30) {
        members.insert(super::field::key("deal", "Nickname"), json!(rng.pick(words::FIRST_ACCENTED)));
    }
    members
}

fn note(rng: &mut Rng, known: &Ids) -> Map<String, Value> {
    let mut members = object(json!({
        "content": format!("<p>{}</p>", rng.pick(words::SENTENCES).replace('<', "&lt;")),
        "person_id": rng.one(&known.persons),
    }));
    if rng.chance(50) {
        members.insert("org_id".to_owned(), json!(rng.one(&known.organizations)));
    }
    if rng.chance(30) {
        members.insert("deal_id".to_owned(), json!(rng.one(&known.deals)));
        members.insert("pinned_to_deal_flag".to_owned(), json!(rng.chance(20)));
    }
    members
}
