//! One company account.

use std::collections::{BTreeMap, HashMap};
use std::sync::RwLock;

use serde_json::{Map, Value, json};

use super::entity::{self, ENTITIES};
use super::table::{Record, Table};
use super::{field, generate};
use crate::Options;
use crate::clock::{now_ms, parse};
use crate::seed::{Rng, words};
use crate::world::{read, write};

/// One company account.
#[derive(Debug)]
pub struct Account {
    /// Its name in tokens and controls.
    pub name: String,
    /// Its company id.
    pub company_id: u64,
    /// What its records are generated from.
    pub seed: u64,
    /// Demo records of each entity; zero for test accounts.
    pub demo_records: usize,
    /// The records of version 2's entities.
    pub tables: HashMap<&'static str, Table>,
    /// Its users, as on the wire.
    pub users: Vec<Value>,
    /// Its leads in the order they were added: members as on the wire but for custom fields.
    pub leads: BTreeMap<u64, Lead>,
    /// Where each lead is.
    pub lead_ids: HashMap<String, u64>,
    /// Its notes by id.
    pub notes: BTreeMap<u64, Note>,
    /// Its filters by id, as on the wire.
    pub filters: BTreeMap<u64, Value>,
    /// Its webhooks by id, as on the wire.
    pub webhooks: BTreeMap<u64, Value>,
    /// Whether the demo leads and notes were generated.
    pub loaded_extras: (bool, bool),
    /// How many leads, notes and option ids were ever handed out.
    pub counters: (u64, u64, u64),
}

/// A lead.
#[derive(Debug, Clone)]
pub struct Lead {
    /// Its members, custom fields among them.
    pub members: Map<String, Value>,
    /// When it was added.
    pub add_ms: i64,
    /// When it last changed.
    pub update_ms: i64,
}

/// A note.
#[derive(Debug, Clone)]
pub struct Note {
    /// Its own members; those of the records it hangs on are looked up.
    pub members: Map<String, Value>,
    /// When it was added.
    pub add_ms: i64,
    /// When it last changed.
    pub update_ms: i64,
    /// Whether it was deleted.
    pub deleted: bool,
}

const FIRST_USER: u64 = 13_500_001;

impl Account {
    /// An account; the one called `demo` fills itself with records when they are first asked for.
    pub fn new(name: &str, options: &Options) -> Account {
        let offset = if name.starts_with("bigids") { 9_007_199_254_740_993 } else { 0 };
        let mut rng = Rng::new(options.seed, name, 1);
        let mut tables = HashMap::new();
        for (entity, place) in ENTITIES.iter().zip(1_u64..) {
            let fields = field::seeded(entity.singular, entity.lines, entity.custom, place * 100);
            let offset = if entity.first_id == 1 { 0 } else { offset };
            tables.insert(entity.name, Table::new(entity.first_id + offset, fields));
        }
        let mut account = Account {
            name: name.to_owned(),
            company_id: 7_000_000 + rng.below(900_000),
            seed: options.seed,
            demo_records: if name == "demo" { options.records_per_object } else { 0 },
            tables,
            users: users(options.seed),
            leads: BTreeMap::new(),
            lead_ids: HashMap::new(),
            notes: BTreeMap::new(),
            filters: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            loaded_extras: (false, false),
            counters: (0, 0, 10_000),
        };
        account.seed_pipelines();
        account.seed_filters();
        account
    }

    fn seed_pipelines(&mut self) {
        const STAGES: &[(&str, &[(&str, u64)])] = &[
            (
                "Pipeline",
                &[
                    ("Qualified", 10),
                    ("Contact Made", 30),
                    ("Demo Scheduled", 50),
                    ("Proposal Made", 70),
                    ("Negotiations Started", 90),
                ],
            ),
            ("Erneuerungen", &[("Fällig", 40), ("Angebot", 60), ("Verhandlung", 80)]),
        ];
        let made = 1_640_995_200_000;
        for (name, stages) in STAGES {
            let members = json!({ "name": name });
            let pipeline = self.place("pipelines", members.as_object(), made);
            for (stage, probability) in *stages {
                let members =
                    json!({ "name": stage, "pipeline_id": pipeline, "deal_probability": probability });
                self.place("stages", members.as_object(), made);
            }
        }
    }

    fn seed_filters(&mut self) {
        let kinds = [("All open deals", "deals"), ("My persons", "people"), ("Large organizations", "org")];
        for ((name, kind), id) in kinds.into_iter().zip(1_u64..) {
            self.filters.insert(id, super::small::filter(id, name, kind, &Value::Null, FIRST_USER, now_ms()));
        }
    }

    /// Keeps a record with the given members over the entity's template; answers its id.
    pub fn place(&mut self, entity: &'static str, members: Option<&Map<String, Value>>, at_ms: i64) -> u64 {
        let Some(kind) = entity::of(entity) else { return 0 };
        let order = self.next_order(entity, members);
        let Some(table) = self.tables.get_mut(entity) else { return 0 };
        let id = table.take_id();
        let mut record = Record {
            id,
            members: kind.template(FIRST_USER),
            add_ms: at_ms,
            update_ms: at_ms,
            deleted: false,
        };
        if kind.custom {
            record.members.insert("custom_fields".to_owned(), Value::Object(table.empty_custom()));
        }
        if let Some(slot) = record.members.get_mut("order_nr") {
            *slot = json!(order);
        }
        for (name, value) in members.into_iter().flatten() {
            match (name.as_str(), value) {
                ("custom_fields", Value::Object(custom)) => {
                    if let Some(Value::Object(own)) = record.members.get_mut("custom_fields") {
                        own.extend(custom.clone());
                    }
                }
                ("add_time", Value::String(text)) => {
                    record.add_ms = parse(text).unwrap_or(record.add_ms);
                    record.update_ms = record.update_ms.max(record.add_ms);
                }
                ("update_time", Value::String(text)) => {
                    record.update_ms = parse(text).unwrap_or(record.update_ms)
                }
                ("is_deleted", flag) => record.deleted = flag.as_bool().unwrap_or(false),
                _ => {
                    record.members.insert(name.clone(), value.clone());
                }
            }
        }
        if kind.name == "persons" {
            split_name(&mut record.members);
        }
        record.stamp();
        table.records.insert(id, record);
        id
    }

    fn next_order(&self, entity: &str, members: Option<&Map<String, Value>>) -> u64 {
        let pipeline = members.and_then(|members| members.get("pipeline_id"));
        let records = self.tables.get(entity).map(|table| table.records.values());
        let same = records.into_iter().flatten().filter(|record| {
            entity != "stages" || pipeline.is_none_or(|pipeline| record.get("pipeline_id") == pipeline)
        });
        same.count() as u64 + 1
    }

    /// Whether an entity's records are there, or still have to be generated.
    pub fn is_loaded(&self, name: &str) -> bool {
        self.demo_records == 0
            || match name {
                "leads" => self.loaded_extras.0,
                "notes" => self.loaded_extras.1,
                "pipelines" | "stages" => true,
                _ => self.tables.get(name).is_none_or(|table| table.loaded),
            }
    }

    /// Generates the records of an entity that were not asked for before, and of those it refers to.
    pub fn load(&mut self, name: &str) {
        if self.is_loaded(name) {
            return;
        }
        let needs: &[&str] = match name {
            "organizations" | "products" => &[],
            "persons" => &["organizations"],
            "deals" => &["organizations", "persons"],
            _ => &["organizations", "persons", "deals"],
        };
        for need in needs {
            self.load(need);
        }
        match name {
            "leads" => self.loaded_extras.0 = true,
            "notes" => self.loaded_extras.1 = true,
            _ => {
                if let Some(table) = self.tables.get_mut(name) {
                    table.loaded = true;
                }
            }
        }
        generate::records(self, name, self.demo_records);
    }

    /// Adds generated records; answers their ids.
    pub fn generate(&mut self, object: &str, count: usize) -> Vec<String> {
        generate::records(self, object, count)
    }

    /// Adds one record with the given members, unchecked; answers its id.
    pub fn insert(&mut self, object: &str, members: &Map<String, Value>) -> Option<String> {
        self.load(object);
        match object {
            "leads" => Some(self.place_lead(members, now_ms())),
            "notes" => Some(self.place_note(members, now_ms()).to_string()),
            _ => {
                let kind = entity::of(object)?;
                Some(self.place(kind.name, Some(members), now_ms()).to_string())
            }
        }
    }

    /// Keeps a lead; answers its id.
    pub fn place_lead(&mut self, given: &Map<String, Value>, at_ms: i64) -> String {
        self.counters.0 += 1;
        let place = self.counters.0;
        let id = Rng::new(self.seed, &format!("lead/{}", self.name), place).uuid();
        let mut members = match json!({
            "id": id, "title": "", "owner_id": FIRST_USER, "creator_id": FIRST_USER, "label_ids": [],
            "person_id": null, "organization_id": null, "source_name": "API", "origin": "API", "origin_id": null,
            "channel": null, "channel_id": null, "is_archived": false, "was_seen": false, "value": null,
            "expected_close_date": null, "next_activity_id": null, "add_time": "", "update_time": "",
            "visible_to": "3", "cc_email": format!("company+{}+lead{}@pipedrivemail.example", self.company_id, place),
        }) {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        members.extend(given.clone());
        let time = |name: &str| given.get(name).and_then(Value::as_str).and_then(parse);
        let add_ms = time("add_time").unwrap_or(at_ms);
        let lead = Lead { members, add_ms, update_ms: time("update_time").unwrap_or(add_ms.max(at_ms)) };
        self.leads.insert(place, lead);
        self.lead_ids.insert(id.clone(), place);
        id
    }

    /// Keeps a note; answers its id.
    pub fn place_note(&mut self, given: &Map<String, Value>, at_ms: i64) -> u64 {
        self.counters.1 += 1;
        let id = self.counters.1;
        let mut members = match json!({
            "id": id, "user_id": FIRST_USER, "deal_id": null, "person_id": null, "org_id": null, "lead_id": null,
            "project_id": null, "content": "", "add_time": "", "update_time": "", "active_flag": true,
            "pinned_to_deal_flag": false, "pinned_to_person_flag": false, "pinned_to_organization_flag": false,
            "pinned_to_lead_flag": false, "pinned_to_project_flag": false, "last_update_user_id": null,
        }) {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        members.extend(given.clone());
        let time = |name: &str| given.get(name).and_then(Value::as_str).and_then(parse);
        let add_ms = time("add_time").unwrap_or(at_ms);
        let update_ms = time("update_time").unwrap_or(add_ms.max(at_ms));
        self.notes.insert(id, Note { members, add_ms, update_ms, deleted: false });
        id
    }

    /// A member of a live record of version 2, for replies that show a record's name.
    pub fn name_of(&self, entity: &str, id: &Value) -> Value {
        let Some(kind) = entity::of(entity) else { return Value::Null };
        let record = id.as_u64().and_then(|id| self.tables.get(entity)?.records.get(&id));
        record.map_or(Value::Null, |record| record.get(kind.title).clone())
    }
}

/// Derives the first and last name, as Pipedrive does from the name.
pub fn split_name(members: &mut Map<String, Value>) {
    let name = members.get("name").and_then(Value::as_str).unwrap_or_default().trim();
    let (first, last) = match name.split_once(' ') {
        Some((first, last)) => (json!(first), json!(last.trim())),
        None if name.is_empty() => (Value::Null, Value::Null),
        None => (json!(name), Value::Null),
    };
    members.insert("first_name".to_owned(), first);
    members.insert("last_name".to_owned(), last);
}

/// Two dozen users; two are inactive.
fn users(seed: u64) -> Vec<Value> {
    (0..24_u64)
        .map(|index| {
            let mut rng = Rng::new(seed, "users", index);
            let person = crate::seed::person(&mut rng, index);
            let name = format!("{} {}", person.first, person.last).trim().to_owned();
            json!({
                "id": FIRST_USER + index * 3,
                "name": name,
                "default_currency": rng.pick(words::CURRENCIES),
                "locale": rng.pick(&["en_US", "et_EE", "de_DE", "ja_JP"]),
                "lang": 1,
                "email": format!("{}@vendor.example", person.mailbox),
                "phone": if rng.chance(50) { json!(crate::seed::phone(&mut rng)) } else { Value::Null },
                "activated": true,
                "last_login": "2026-10-01 08:45:56",
                "created": "2022-11-13 09:16:26",
                "modified": "2026-10-01 08:45:56",
                "has_created_company": index == 0,
                "access": [
                    { "app": "sales", "admin": index == 0, "permission_set_id": "62cc4d7f-4038-4352-abf3-a8c1c822b631" },
                    { "app": "global", "admin": index == 0, "permission_set_id": "233b7976-39bd-43a9-b305-ef3a2b0998e5" },
                ],
                "active_flag": index % 12 != 11,
                "timezone_name": "Europe/Tallinn",
                "timezone_offset": "+03:00",
                "role_id": 1,
                "icon_url": null,
                "is_you": index == 0,
                "is_deleted": false,
            })
        })
        .collect()
}

/// Generates what a request on these entities needs, if it is not there yet.
pub fn ready(account: &RwLock<Account>, names: &[&str]) {
    let missing = {
        let account = read(account);
        names.iter().any(|name| !account.is_loaded(name))
    };
    if missing {
        let mut account = write(account);
        for name in names {
            account.load(name);
        }
    }
}
