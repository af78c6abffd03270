//! One portal: its objects, associations, owners, pipelines and lists.

use std::collections::HashMap;
use std::sync::RwLock;

use serde_json::{Map, Value};

use super::catalogue::{COMMON, CUSTOM, OBJECTS};
use super::links::{self, LinkType, Links};
use super::lists::List;
use super::pipelines::{self, Pipeline};
use super::property::Property;
use super::records::{Custom, Objects, Record};
use super::{generate, owners};
use crate::Options;
use crate::clock::now_ms;
use crate::seed::Rng;
use crate::world::{read, write};

/// An object's place in its account.
pub type TypeIndex = u16;

/// One portal.
#[derive(Debug)]
pub struct Account {
    /// Its name in tokens and controls.
    pub name: String,
    /// Its hub id.
    pub portal_id: u64,
    /// What its records are generated from.
    pub seed: u64,
    /// Demo records of each object; zero for test accounts.
    pub demo_records: usize,
    /// Its objects.
    pub objects: Vec<Objects>,
    /// Its associations.
    pub links: Links,
    /// Its owners, as on the wire.
    pub owners: Vec<Value>,
    /// Its pipelines by object.
    pub pipelines: HashMap<TypeIndex, Vec<Pipeline>>,
    /// Its lists by id.
    pub lists: std::collections::BTreeMap<u64, List>,
    /// How many customer-defined objects were ever made.
    pub custom_made: u64,
}

impl Account {
    /// A portal; the one called `demo` fills itself with records when they are first asked for.
    pub fn new(name: &str, options: &Options) -> Account {
        let offset = if name.starts_with("bigids") { 9_007_199_254_740_993 } else { 0 };
        let mut rng = Rng::new(options.seed, name, 0);
        let mut account = Account {
            name: name.to_owned(),
            portal_id: 40_000_000 + rng.below(9_000_000),
            seed: options.seed,
            demo_records: if name == "demo" { options.records_per_object } else { 0 },
            objects: Vec::new(),
            links: Links::default(),
            owners: owners::seeded(options.seed),
            pipelines: HashMap::new(),
            lists: std::collections::BTreeMap::new(),
            custom_made: 0,
        };
        for object in OBJECTS {
            let with_custom = ["contacts", "companies", "deals"].contains(&object.name);
            let lines = object.lines.lines().chain(COMMON.lines());
            let lines = lines.chain(CUSTOM.lines().filter(|_| with_custom));
            let properties = lines.filter_map(Property::from_line).collect();
            let first_id = object.first_id + offset;
            let mut objects =
                Objects::new(object.name, object.singular, object.type_id, first_id, properties);
            objects.defaults = object.defaults.iter().map(|&name| name.to_owned()).collect();
            objects.required = object.required.iter().map(|&name| name.to_owned()).collect();
            objects.searchable = object.searchable.iter().map(|&name| name.to_owned()).collect();
            objects.set_system(object.created, object.modified);
            account.objects.push(objects);
        }
        for (object, seeded) in [("deals", pipelines::of_deals()), ("tickets", pipelines::of_tickets())] {
            account.pipelines.extend(account.type_of(object).map(|object| (object, seeded)));
        }
        account.pipelines.extend(account.type_of("leads").map(|leads| (leads, pipelines::of_leads())));
        account.define_pets(offset);
        for (object, count) in options.generate.iter().filter(|_| name == "demo") {
            account.compute(object, *count);
        }
        account
    }

    /// The customer-defined object that every account starts with.
    fn define_pets(&mut self, offset: u64) {
        let lines = "
name | Name | string text | pet_information
species | Species | enumeration select | pet_information | x | cat=Cat, dog=Dog, parrot=Parrot
weight_kg | Weight (kg) | number number | pet_information | x
born_on | Born on | date date | pet_information | x
chip_number | Chip number | string text | pet_information | ux
";
        let properties = lines.lines().filter_map(Property::from_line).collect();
        let custom = Custom {
            primary_display: Some("name".to_owned()),
            created_ms: 1_700_000_000_000,
            ..Custom::default()
        };
        let labels = ("Pet".to_owned(), "Pets".to_owned());
        self.define("pets", labels, properties, vec!["name".to_owned()], custom, 22_000_000_011 + offset);
    }

    /// Defines a customer's own object; answers its place.
    pub fn define(
        &mut self,
        name: &str,
        labels: (String, String),
        mut properties: Vec<Property>,
        required: Vec<String>,
        mut custom: Custom,
        first_id: u64,
    ) -> usize {
        self.custom_made += 1;
        properties.extend(COMMON.lines().filter_map(Property::from_line));
        custom.fully_qualified = format!("p{}_{name}", self.portal_id);
        custom.updated_ms = custom.created_ms;
        let type_id = format!("2-{}", 3_453_930 + self.custom_made * 11);
        let mut objects = Objects::new(name, name, &type_id, first_id, properties);
        objects.labels = labels;
        objects.required = required;
        objects.searchable = custom.primary_display.iter().cloned().collect();
        objects.defaults = custom.primary_display.iter().cloned().collect();
        objects.custom = Some(custom);
        objects.set_system("hs_createdate", "hs_lastmodifieddate");
        self.objects.push(objects);
        self.objects.len() - 1
    }

    /// Finds an object by plural or singular name, type id, or a custom object's qualified name.
    pub fn type_of(&self, name: &str) -> Option<TypeIndex> {
        let lower = name.to_lowercase();
        let at = self.objects.iter().position(|objects| {
            objects.custom.as_ref().is_none_or(|custom| !custom.archived)
                && (objects.name == lower
                    || objects.singular == lower
                    || objects.type_id == lower
                    || objects.custom.as_ref().is_some_and(|custom| {
                        custom.fully_qualified == lower
                            || lower.strip_prefix("p_") == Some(objects.name.as_str())
                    }))
        })?;
        TypeIndex::try_from(at).ok()
    }

    /// An object by its place.
    pub fn object(&self, at: TypeIndex) -> Option<&Objects> {
        self.objects.get(usize::from(at))
    }

    /// An object by its place, to change.
    pub fn object_mut(&mut self, at: TypeIndex) -> Option<&mut Objects> {
        self.objects.get_mut(usize::from(at))
    }

    /// The singular name and place of an object, as association kinds are looked up by.
    pub fn side(&self, at: TypeIndex) -> (&str, TypeIndex) {
        (self.object(at).map_or("", |objects| objects.singular.as_str()), at)
    }

    /// Whether an object's records are there, or still have to be generated.
    pub fn is_loaded(&self, at: TypeIndex) -> bool {
        self.demo_records == 0 || self.object(at).is_none_or(|objects| objects.loaded)
    }

    /// Generates the records of an object that were not asked for before, and of those it refers to.
    pub fn load(&mut self, at: TypeIndex) {
        if self.is_loaded(at) {
            return;
        }
        let name = self.object(at).map(|objects| objects.name.clone()).unwrap_or_default();
        let needs: &[&str] = match name.as_str() {
            "companies" => &[],
            "contacts" => &["companies"],
            "deals" => &["companies", "contacts"],
            _ => &["companies", "contacts", "deals"],
        };
        for need in needs {
            if let Some(need) = self.type_of(need) {
                self.load(need);
            }
        }
        if let Some(objects) = self.object_mut(at) {
            objects.loaded = true;
        }
        generate::records(self, at, self.demo_records);
    }

    /// Adds generated records; answers their ids.
    pub fn generate(&mut self, object: &str, count: usize) -> Vec<String> {
        let Some(at) = self.type_of(object) else { return Vec::new() };
        generate::records(self, at, count).iter().map(u64::to_string).collect()
    }

    /// Lets the list of an object show so many records that are made whenever they are read; whether there is such an object.
    pub fn compute(&mut self, object: &str, count: u64) -> bool {
        let Some(objects) = self.type_of(object).and_then(|at| self.object_mut(at)) else { return false };
        (objects.computed, objects.loaded) = (count, true);
        true
    }

    /// Adds one record with the given properties, unchecked; answers its id.
    pub fn insert(&mut self, object: &str, fields: &Map<String, Value>) -> Option<String> {
        let at = self.type_of(object)?;
        self.load(at);
        let objects = self.object_mut(at)?;
        let mut record = objects.blank(now_ms());
        let time = |name: &str| fields.get(name).and_then(Value::as_str).and_then(crate::clock::parse);
        record.created_ms = time("createdAt").unwrap_or(record.created_ms);
        record.updated_ms = time("updatedAt").unwrap_or(record.created_ms.max(record.updated_ms));
        objects.stamp(&mut record);
        for (name, value) in fields {
            if let Some(column) = objects.column(name) {
                let text = match value {
                    Value::Null => None,
                    Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                };
                record.set(column, text);
            }
        }
        let id = record.id;
        objects.keep(record);
        self.derive(at, id);
        Some(id.to_string())
    }

    /// Associates two records by a kind, seen from the first; the first company also becomes the primary one.
    pub fn link(&mut self, from: (TypeIndex, u64), to: (TypeIndex, u64), kind: LinkType) -> bool {
        let (from_side, to_side) = (self.side(from.0), self.side(to.0));
        let Some(back) = links::inverse(from_side, to_side, kind) else { return false };
        let plain = (links::plain(from_side, to_side), links::plain(to_side, from_side));
        let primary = links::primary(from_side.0, to_side.0);
        // The side that can have only one primary company is the one that is not the company.
        let (owner, company, as_owner) = match (from_side.0, to_side.0) {
            (_, "company") => (from, to, primary),
            ("company", _) => (to, from, primary.map(|(there, back)| (back, there))),
            _ => (from, to, None),
        };
        self.links.add_one_way(from, to, kind);
        self.links.add_one_way(to, from, back);
        self.links.add_one_way(from, to, plain.0);
        self.links.add_one_way(to, from, plain.1);
        if let Some((direct, inverse)) = as_owner {
            let old = self.links.of(owner, company.0).iter().find(|link| link.types.contains(&direct));
            let old = old.map(|link| link.to);
            let wants = kind == direct || kind == inverse;
            if old.is_none() || (wants && old != Some(company.1)) {
                if let Some(old) = old {
                    self.links.remove_one_way(owner, (company.0, old), &[direct]);
                    self.links.remove_one_way((company.0, old), owner, &[inverse]);
                }
                self.links.add_one_way(owner, company, direct);
                self.links.add_one_way(company, owner, inverse);
            }
            self.note_primary(owner, company.0, direct);
        }
        true
    }

    /// Removes an association, or only some of its kinds as seen from the first record.
    pub fn unlink(&mut self, from: (TypeIndex, u64), to: (TypeIndex, u64), kinds: &[LinkType]) {
        let (from_side, to_side) = (self.side(from.0), self.side(to.0));
        let back: Vec<LinkType> =
            kinds.iter().filter_map(|kind| links::inverse(from_side, to_side, *kind)).collect();
        let primary = links::primary(from_side.0, to_side.0);
        let owner = match (from_side.0, to_side.0) {
            (_, "company") => primary.map(|(direct, _)| (from, to.0, direct)),
            ("company", _) => primary.map(|(_, back)| (to, from.0, back)),
            _ => None,
        };
        self.links.remove_one_way(from, to, kinds);
        self.links.remove_one_way(to, from, &back);
        if let Some((owner, companies, direct)) = owner {
            self.note_primary(owner, companies, direct);
        }
    }

    /// Writes a contact's primary company into its property.
    fn note_primary(&mut self, owner: (TypeIndex, u64), companies: TypeIndex, direct: LinkType) {
        let links = self.links.of(owner, companies);
        let primary = links.iter().find(|link| link.types.contains(&direct)).map(|link| link.to.to_string());
        let Some(objects) = self.object_mut(owner.0) else { return };
        if let Some(column) = objects.column("associatedcompanyid")
            && let Some(record) = objects.records.get_mut(&owner.1)
        {
            record.set(column, primary);
        }
    }

    /// Recomputes what HubSpot computes from a record's other values.
    pub fn derive(&mut self, at: TypeIndex, id: u64) {
        let Some(objects) = self.objects.get(usize::from(at)) else { return };
        let Some(record) = objects.records.get(&id) else { return };
        let values = self.derived(at, objects, record);
        if let Some(record) = self.object_mut(at).and_then(|objects| objects.records.get_mut(&id)) {
            for (column, value) in values {
                record.set(column, value);
            }
        }
    }

    /// What HubSpot computes from a record's other values.
    pub fn derived(&self, at: TypeIndex, objects: &Objects, record: &Record) -> Vec<(usize, Option<String>)> {
        let stages = self.pipelines.get(&at).map(Vec::as_slice).unwrap_or_default();
        let mut values: Vec<(&str, Option<String>)> = Vec::new();
        match objects.singular.as_str() {
            "deal" => {
                let stage = objects.value(record, "dealstage").and_then(|id| pipelines::stage(stages, id));
                let probability = stage.and_then(|stage| stage.metadata("probability"));
                let closed = stage.is_some_and(|stage| stage.metadata("isClosed") == Some("true"));
                let won = closed && probability.and_then(|text| text.parse().ok()) == Some(1.0_f64);
                values.push(("hs_deal_stage_probability", probability.map(str::to_owned)));
                values.push(("hs_is_closed", Some(closed.to_string())));
                values.push(("hs_is_closed_won", Some(won.to_string())));
                values.push(("amount_in_home_currency", objects.value(record, "amount").map(str::to_owned)));
            }
            "contact" => {
                let email = objects.value(record, "email");
                let full = [objects.value(record, "firstname"), objects.value(record, "lastname")];
                let full = full.into_iter().flatten().collect::<Vec<_>>().join(" ");
                let domain =
                    email.and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain.to_owned());
                let shown = if full.is_empty() { email.map(str::to_owned) } else { Some(full) };
                values.push(("hs_email_domain", domain));
                values.push(("hs_full_name_or_email", shown));
            }
            "task" => {
                let done = objects.value(record, "hs_task_status") == Some("COMPLETED");
                values.push(("hs_task_is_completed", Some(done.to_string())));
            }
            "note" => {
                let body = objects.value(record, "hs_note_body").map(str::to_owned);
                values.push(("hs_body_preview", body));
            }
            _ => {}
        }
        values.into_iter().filter_map(|(name, value)| Some((objects.column(name)?, value))).collect()
    }
}

/// Generates what a request on these objects needs, if it is not there yet.
pub fn ready(account: &RwLock<Account>, names: &[&str]) {
    let missing: Vec<TypeIndex> = {
        let account = read(account);
        let known = names.iter().filter_map(|name| account.type_of(name));
        known.filter(|at| !account.is_loaded(*at)).collect()
    };
    if !missing.is_empty() {
        let mut account = write(account);
        for at in missing {
            account.load(at);
        }
    }
}
