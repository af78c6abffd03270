//! One installation: its records, what they are linked with, its custom fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::custom::{self, Field};
use super::generate;
use super::resource::{self, RESOURCES, Resource};
use super::table::{Record, Table, stamp};
use crate::Options;
use crate::clock::{now_ms, parse};

/// One installation.
#[derive(Debug)]
pub struct Account {
    /// What its records are generated from.
    pub seed: u64,
    /// Demo records of each resource; zero for test accounts.
    pub demo_records: usize,
    /// Its records by resource.
    pub tables: BTreeMap<&'static str, Table>,
    /// Which record is linked with which, both ways.
    pub links: BTreeSet<(&'static str, u64, &'static str, u64)>,
    /// Its custom fields.
    pub fields: Vec<Field>,
}

/// What every installation begins with.
const LOOKUPS: &[(&str, &[&str])] = &[
    ("sources", &["Organic search", "Paid search", "Email marketing", "Referrals", "Trade show"]),
    ("industries", &["Retail", "Software", "Logistics", "Banking"]),
    ("activity-types", &["Call", "Meeting", "Task", "Email", "Deadline"]),
    ("call-outcomes", &["No Answer", "Busy", "Left voice message", "Moved conversation forward"]),
];
const COUNTRIES: &[(&str, &str)] = &[
    ("United States", "US"),
    ("Brazil", "BR"),
    ("Germany", "DE"),
    ("United Kingdom", "GB"),
    ("Japan", "JP"),
    ("Kuwait", "KW"),
    ("Sweden", "SE"),
    ("Australia", "AU"),
    ("Estonia", "EE"),
    ("Nigeria", "NG"),
    ("Canada", "CA"),
];
const USERS: &[(&str, &str, &str)] = &[
    ("Ingrid Admin", "ingrid@crm.example", "Europe/Stockholm"),
    ("Omar Sales", "omar@crm.example", "America/Toronto"),
    ("Zoë Støtte", "zoe@crm.example", "UTC"),
];
const STAGES: &[(&str, u64)] =
    &[("Qualified To Buy", 20), ("Contact Made", 40), ("Presentation Scheduled", 60), ("Proposal Made", 80)];
const BEGAN_MS: i64 = 1_672_531_200_000;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

impl Account {
    /// A new installation; the one named `demo` is full of records.
    pub fn new(name: &str, options: &Options) -> Account {
        let first_id = if name.starts_with("bigids") { 9_007_199_254_740_993 } else { 1 };
        let mut tables: BTreeMap<&'static str, Table> =
            RESOURCES.iter().map(|resource| (resource.name, Table::new(first_id))).collect();
        tables.insert("countries", Table::new(1));
        let mut account = Account {
            seed: options.seed,
            demo_records: if name == "demo" { options.records_per_object } else { 0 },
            tables,
            links: BTreeSet::new(),
            fields: custom::seeded(),
        };
        for (table, names) in LOOKUPS {
            for name in *names {
                account.add(table, object(json!({ "name": name })), BEGAN_MS);
            }
        }
        for (name, code) in COUNTRIES {
            account.add("countries", object(json!({ "name": name, "iso_3166_2": code })), BEGAN_MS);
        }
        for (at, (name, email, zone)) in USERS.iter().enumerate() {
            let user = json!({ "name": name, "email": email, "timezone": zone, "super_admin": at == 0, "avatar_url": null });
            account.add("users", object(user), BEGAN_MS);
        }
        for name in ["Sales Pipeline", "Renewals"] {
            let pipeline = account.add("pipelines", object(json!({ "name": name })), BEGAN_MS);
            for ((name, chance), order) in STAGES.iter().zip(1..) {
                let stage = json!({ "name": name, "win_probability": chance, "display_order": order, "pipeline_id": pipeline });
                account.add("pipeline-stages", object(stage), BEGAN_MS);
            }
        }
        account
    }

    /// The table of a resource, its demo records generated.
    pub fn table(&mut self, name: &str) -> Option<&mut Table> {
        let table = self.tables.get(name)?;
        if !table.loaded && self.demo_records > 0 {
            // What records refer to comes first.
            let order = ["companies", "contacts", "deals", "activities", "notes", "calls"];
            for name in order {
                if self.tables.get(name).is_some_and(|table| !table.loaded) {
                    generate::records(self, name, self.demo_records);
                }
            }
            for table in self.tables.values_mut() {
                table.loaded = true;
            }
        }
        self.tables.get_mut(name)
    }

    /// Adds a record as it is; answers its id, zero where there is no such table.
    pub fn add(&mut self, table: &str, members: Map<String, Value>, at_ms: i64) -> u64 {
        self.tables.get_mut(table).map_or(0, |table| table.add(members, at_ms))
    }

    /// Adds generated records; answers their ids.
    pub fn generate(&mut self, object: &str, count: usize) -> Vec<String> {
        self.table(object);
        generate::records(self, object, count)
    }

    /// Adds one record, unchecked; `created_at` and `updated_at` set its times.
    pub fn insert(&mut self, object: &str, fields: &Map<String, Value>) -> Option<String> {
        self.table(object)?;
        let resource = resource::of(object)?;
        let time = |name: &str| fields.get(name).and_then(Value::as_str).and_then(parse);
        let created = time("created_at").unwrap_or_else(now_ms);
        let mut members = fields.clone();
        let links: Vec<(&'static str, Vec<u64>)> = resource
            .links
            .iter()
            .filter_map(|other| {
                let ids = members.remove(*other)?;
                Some((*other, ids.as_array()?.iter().filter_map(Value::as_u64).collect()))
            })
            .collect();
        members.remove("created_at");
        members.remove("updated_at");
        let id = self.add(object, members, created);
        if let Some(record) = self.tables.get_mut(object).and_then(|table| table.records.get_mut(&id)) {
            record.updated_ms = time("updated_at").unwrap_or(created);
        }
        for (other, ids) in links {
            ids.into_iter().for_each(|linked| self.link(resource.name, id, other, linked));
        }
        Some(id.to_string())
    }

    /// Links two records.
    pub fn link(&mut self, one: &'static str, id: u64, other: &'static str, linked: u64) {
        self.links.insert((one, id, other, linked));
        self.links.insert((other, linked, one, id));
    }

    /// Ends the link of two records.
    pub fn unlink(&mut self, one: &'static str, id: u64, other: &'static str, linked: u64) {
        self.links.remove(&(one, id, other, linked));
        self.links.remove(&(other, linked, one, id));
    }

    /// The records of another resource that a record is linked with, but for those in the trash.
    pub fn linked(&self, one: &'static str, id: u64, other: &'static str) -> Vec<&Record> {
        let table = self.tables.get(other);
        let range = (one, id, other, 0)..=(one, id, other, u64::MAX);
        self.links.range(range).filter_map(|link| table?.live(link.3)).collect()
    }

    /// A record as on the wire.
    pub fn wire(&self, resource: &Resource, record: &Record) -> Value {
        let mut wire = Map::from_iter([("id".to_owned(), json!(record.id))]);
        for (name, _) in resource.writes {
            if !resource.links.contains(name)
                && !matches!(*name, "password" | "via_resource" | "via_resource_id" | "stages")
            {
                wire.insert((*name).to_owned(), record.get(name).clone());
            }
        }
        wire.extend(record.members.iter().map(|(name, value)| (name.clone(), value.clone())));
        for hidden in ["password", "via_resource", "via_resource_id"] {
            wire.remove(hidden);
        }
        for field in self.fields.iter().filter(|field| field.resource == resource.name) {
            let many = matches!(field.kind.as_str(), "Checkbox" | "MultiSelect");
            let none = if many { json!([]) } else { Value::Null };
            wire.entry(field.field_id.clone()).or_insert(none);
        }
        for (id, name, table) in [
            ("user_id", "user", "users"),
            ("source_id", "source", "sources"),
            ("industry_id", "industry", "industries"),
            ("country_id", "country", "countries"),
            ("stage_id", "stage", "pipeline-stages"),
            ("pipeline_id", "pipeline", "pipelines"),
            ("activity_type_id", "type", "activity-types"),
            ("call_outcome_id", "outcome", "call-outcomes"),
        ] {
            if let Some(id) = wire.get(id).cloned() {
                wire.insert(name.to_owned(), self.small(table, &id));
            }
        }
        for other in resource.links {
            if matches!(*other, "contacts" | "companies" | "deals") {
                let linked = self.linked(resource.name, record.id, other);
                let linked = linked.into_iter().map(|linked| self.mention(other, linked));
                wire.insert((*other).to_owned(), linked.collect());
            }
        }
        if resource.name == "pipelines" {
            wire.insert("stages".to_owned(), self.stages(record.id));
        }
        wire.insert("display_name".to_owned(), json!(display_name(resource, record)));
        wire.insert("created_at".to_owned(), json!(stamp(record.created_ms)));
        wire.insert("updated_at".to_owned(), json!(stamp(record.updated_ms)));
        Value::Object(wire)
    }

    /// The stages of a pipeline, in their order.
    pub fn stages(&self, pipeline: u64) -> Value {
        let stages = self.tables.get("pipeline-stages").map(|table| table.records.values());
        let mut stages: Vec<&Record> =
            stages.into_iter().flatten().filter(|stage| *stage.get("pipeline_id") == pipeline).collect();
        stages.sort_by_key(|stage| (stage.get("display_order").as_u64(), stage.id));
        stages.into_iter().map(|stage| self.small("pipeline-stages", &json!(stage.id))).collect()
    }

    fn small(&self, table: &str, id: &Value) -> Value {
        let found = id.as_u64().and_then(|id| self.tables.get(table)?.records.get(&id));
        let Some(record) = found else { return Value::Null };
        let mut small = Map::from_iter([("id".to_owned(), json!(record.id))]);
        small.extend(record.members.iter().map(|(name, value)| (name.clone(), value.clone())));
        small.remove("password");
        Value::Object(small)
    }

    fn mention(&self, other: &str, record: &Record) -> Value {
        let name = resource::of(other).map(|resource| display_name(resource, record));
        json!({ "id": record.id, "display_name": name, "path": format!("/{other}/{}", record.id) })
    }
}

/// What people see for a record.
pub fn display_name(resource: &Resource, record: &Record) -> String {
    match resource.name {
        "contacts" => format!("{} {}", record.text("first_name"), record.text("last_name")).trim().to_owned(),
        _ => record.text(resource.title).to_owned(),
    }
}
