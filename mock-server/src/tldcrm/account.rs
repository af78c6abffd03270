//! One account, which is one subdomain.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::table::{self, SCHEMAS, Table};
use crate::Options;
use crate::clock::{DAY_MS, now_ms, parse, spaced};
use crate::seed::{Rng, company, person, words};

const FIRST_DAY_MS: i64 = 1_672_531_200_000;
const STATUSES: &[(u64, &str)] =
    &[(1, "New"), (3, "Contacted"), (5, "Quoted"), (8, "Sold"), (9, "Not Interested")];
const POLICY_STATUSES: &[(u64, &str)] = &[(1, "Pending"), (2, "Active"), (3, "Cancelled")];

/// One account.
#[derive(Debug)]
pub struct Account {
    /// The time zone that its dates are in.
    pub zone: TimeZone,
    /// Its tables.
    pub tables: BTreeMap<&'static str, Table>,
    /// Which lead has which tag.
    pub lead_tags: Vec<(u64, u64)>,
    /// Callbacks as they were added.
    pub callbacks: Vec<Value>,
    seed: u64,
    demo_records: usize,
    loaded: bool,
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

impl Account {
    /// A new account; the one named `demo` is full of records.
    pub fn new(name: &str, options: &Options) -> Account {
        let first_id = if name.starts_with("bigids") { 9_007_199_254_740_993 } else { 3_838_001 };
        let tables = SCHEMAS.iter().map(|schema| (schema.name, Table::new(first_id))).collect();
        let mut account = Account {
            zone: TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC),
            tables,
            lead_tags: Vec::new(),
            callbacks: Vec::new(),
            seed: options.seed,
            demo_records: if name == "demo" { options.records_per_object } else { 0 },
            loaded: false,
        };
        for (first, last, active) in [("Jarvis", "Willis", 1), ("Zoë", "Ångström", 1), ("Lena", "Gone", 2)]
        {
            let local = account.local(FIRST_DAY_MS);
            account.add("users", object(json!({
                "username": format!("{}.{}", first.to_lowercase(), last.to_lowercase()), "full_name": format!("{first} {last}"),
                "first_name": first, "last_name": last, "email": format!("{}@tld.example", first.to_lowercase()), "npn": null,
                "status_id": active, "date_activated": local, "date_deactivated": null, "vicidial_user": null,
                "password": "$2y$10$mock", "home_address": "1 Private Rd",
            })));
        }
        for name in ["vip", "callback later", "überfällig"] {
            account.add("tags", object(json!({ "name": name, "date_created": account.local(FIRST_DAY_MS) })));
        }
        for name in ["Falcon", "Web leads"] {
            account.add("vendors", object(json!({ "name": name })));
        }
        account
    }

    /// An instant in the account's local time: `2026-01-31 08:05:09`.
    pub fn local(&self, at_ms: i64) -> String {
        match jiff::Timestamp::from_millisecond(at_ms) {
            Ok(at) => at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Err(_) => spaced(at_ms),
        }
    }

    /// Makes the demo records, once.
    pub fn load(&mut self) {
        if self.loaded || self.demo_records == 0 {
            return;
        }
        self.loaded = true;
        for name in ["vendors", "leads", "policies", "lead_notes", "tldialer/call_log"] {
            self.generate(name, self.demo_records);
        }
        for index in 0..self.demo_records.saturating_sub(3) {
            self.generate("users", usize::from(index < 20));
        }
    }

    /// Adds a row as it is; answers its id.
    pub fn add(&mut self, name: &str, row: Map<String, Value>) -> u64 {
        let id = table::of(name).map_or("id", |schema| schema.id);
        self.tables.get_mut(name).map_or(0, |table| table.add(id, row))
    }

    /// Adds one row, unchecked; `date_created` and `date_modified` are taken as they are.
    pub fn insert(&mut self, name: &str, fields: &Map<String, Value>) -> Option<String> {
        self.load();
        table::of(name)?;
        let now = self.local(now_ms());
        let mut row = object(json!({ "date_created": now, "date_modified": now, "trashed": 0 }));
        for member in ["date_created", "date_modified"] {
            if let Some(at) = fields.get(member).and_then(Value::as_str).and_then(parse) {
                row.insert(member.to_owned(), json!(self.local(at)));
            }
        }
        let given = fields.iter().filter(|(name, _)| !name.starts_with("date_"));
        row.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        Some(self.add(name, row).to_string())
    }

    /// Adds generated rows; answers their ids.
    pub fn generate(&mut self, name: &str, count: usize) -> Vec<String> {
        let ids = |table: &str| -> Vec<u64> {
            self.tables.get(table).map(|table| table.rows.keys().copied().collect()).unwrap_or_default()
        };
        let (users, vendors, leads) = (ids("users"), ids("vendors"), ids("leads"));
        let have = self.tables.get(name).map_or(0, |table| table.rows.len()) as u64;
        let mut made = Vec::new();
        for index in have..have + count as u64 {
            let mut rng = Rng::new(self.seed, name, index);
            let created = match index % 10 {
                0..=2 => FIRST_DAY_MS + i64::try_from(index / 50).unwrap_or(0) * DAY_MS,
                _ => FIRST_DAY_MS + rng.between(0, 86_400 * 1270) * 1000,
            };
            let modified = created + rng.between(0, 90) * DAY_MS / 9;
            let (user, vendor) = (rng.one(&users).copied(), rng.one(&vendors).copied());
            let lead = rng.one(&leads).copied();
            let name_of = |table: &str, id: Option<u64>, column: &str| {
                id.and_then(|id| self.tables.get(table)?.rows.get(&id)?.get(column).cloned())
                    .unwrap_or_default()
            };
            let local = |at: i64| json!(self.local(at));
            let row = match name {
                "leads" => {
                    let person = person(&mut rng, index);
                    let place = rng.one(words::PLACES).copied().unwrap_or_default();
                    let status = rng.one(STATUSES).copied().unwrap_or_default();
                    let phone = format!("555{:07}", rng.below(10_000_000));
                    json!({
                        "first_name": person.first, "last_name": person.last, "email": format!("{}@mail.example", person.mailbox),
                        "phone": phone, "phone2": "", "address": rng.pick(words::STREETS), "address2": "", "city": place[0],
                        "state": rng.pick(&["FL", "TX", "NY", "CA"]), "zipcode": "33101", "county": "", "date_of_birth": "1969-07-20",
                        "gender": rng.pick(&["F", "M", ""]), "language": "1", "status_id": status.0, "status_name": status.1,
                        "vendor_id": vendor, "vendor_name": name_of("vendors", vendor, "name"),
                        // A number here, a numeric text there, as in the live system.
                        "agent_id": user.map(|id| id.to_string()), "agent_name": name_of("users", user, "full_name"),
                        "fronter_id": null, "owner_id": null, "owner_name": null, "cost": format!("{}.00", rng.below(90)),
                        "billable": rng.below(2), "dnc": 0, "trashed": 0, "policies_sold": 0, "tracking_id": null,
                        "notes": rng.pick(words::SENTENCES), "date_created": local(created), "date_modified": local(modified),
                        "date_converted": null,
                    })
                }
                "policies" => {
                    let status = rng.one(POLICY_STATUSES).copied().unwrap_or_default();
                    json!({
                        "lead_id": lead, "lead_first_name": name_of("leads", lead, "first_name"),
                        "lead_last_name": name_of("leads", lead, "last_name"), "lead_state": "FL", "lead_zipcode": "33101",
                        "lead_vendor_id": vendor, "lead_vendor_name": name_of("vendors", vendor, "name"), "agent_id": user,
                        "agent_name": name_of("users", user, "full_name"), "status_id": status.0, "status_name": status.1,
                        "status_description": status.1, "carrier_name": rng.pick(&["Aetna", "Cigna", "Molina"]),
                        "product_name": rng.pick(&["Silver 3", "Gold 80", "Term Life"]), "plan_type": "HMO",
                        "premium": format!("{}.{:02}", rng.below(900), rng.below(100)), "duration": 12,
                        "policy_number": format!("P{:08}", rng.below(100_000_000)), "application_number": null,
                        "date_created": local(created), "date_modified": local(modified), "date_sold": local(created),
                        "date_effective": null, "date_cancelled": null,
                    })
                }
                "vendors" => json!({ "name": company(&mut rng, index) }),
                "users" => {
                    let person = person(&mut rng, index);
                    json!({
                        "username": person.mailbox, "full_name": format!("{} {}", person.first, person.last).trim(),
                        "first_name": person.first, "last_name": person.last, "email": format!("{}@tld.example", person.mailbox),
                        "npn": null, "status_id": 1, "date_activated": local(created), "date_deactivated": null,
                        "vicidial_user": null, "password": "$2y$10$mock", "home_address": "1 Private Rd",
                    })
                }
                "lead_notes" => json!({
                    "lead_id": lead, "user_id": user, "note": rng.pick(words::SENTENCES), "date_created": local(created),
                }),
                "tldialer/call_log" => json!({
                    "lead_id": lead, "user_id": user, "phone_number": format!("555{:07}", rng.below(10_000_000)),
                    "call_date": local(created), "length_in_sec": rng.below(1900).to_string(),
                    "status": rng.pick(&["SALE", "NI", "CALLBK", "A"]), "status_name": "Not Interested", "comments": "",
                }),
                "tags" => json!({ "name": format!("tag {index}"), "date_created": local(created) }),
                _ => return made,
            };
            made.push(self.add(name, object(row)).to_string());
        }
        made
    }

    /// The name of a lead's status.
    pub fn status_name(id: &Value) -> Option<&'static str> {
        let id = id.as_u64().or_else(|| id.as_str()?.parse().ok())?;
        STATUSES.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)
    }
}
