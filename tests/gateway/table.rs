//! What works on which CRM, from a run: every operation, filter and sort of the contract through the gateway, on every
//! connector. `docs/coverage.md` is what came of it; `UPDATE=1` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crosswalk::connector::compile::{Connector, ResourcePlan};
use crosswalk::connector::load::{Source, load};
use crosswalk::contract;
use crosswalk::model::{Resource, ServiceId, Verb};
use serde_json::{Value, json};

use crate::harness::{Reply, SERVICES, World};

/// By resource, connector and kind: the filters or sorts that it can apply, and those that it cannot.
type Names<'a> = BTreeMap<(Resource, &'a str, &'a str), (Vec<String>, Vec<String>)>;

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Pass,
    /// The typed error that says that the CRM cannot.
    Unsupported,
    Fail(String),
}

impl Cell {
    fn of(reply: &Reply, refusals: &[&str]) -> Cell {
        match reply.body["type_name"].as_str() {
            _ if reply.status < 300 => Cell::Pass,
            Some(name) if refusals.contains(&name) || name == "ConnectorMappingNotFoundError" => {
                Cell::Unsupported
            }
            _ => Cell::Fail(format!("{} {:#}", reply.status, reply.body)),
        }
    }

    fn mark(&self) -> &'static str {
        match self {
            Cell::Pass => "yes",
            Cell::Unsupported => "–",
            Cell::Fail(_) => "FAILS",
        }
    }
}

/// The operations of the contract: resource, verb, path.
fn operations() -> Vec<(Resource, Verb, String)> {
    let mut operations = Vec::new();
    for (path, item) in contract::document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(id) = operation["operationId"].as_str() else { continue };
            let found = Resource::ALL.into_iter().flat_map(|resource| Verb::ALL.map(|verb| (resource, verb)));
            let same = |resource: Resource, verb: Verb| {
                let camel = resource.name().split('-').enumerate().fold(String::new(), |name, (at, word)| {
                    let (first, rest) = word.split_at(1);
                    name + &if at == 0 { first.to_owned() } else { first.to_uppercase() } + rest
                });
                let (first, rest) = verb.wire_name().split_at(1);
                id == format!("{camel}{}{rest}", first.to_uppercase())
            };
            let (resource, verb) = found
                .clone()
                .find(|(resource, verb)| same(*resource, *verb))
                .unwrap_or_else(|| panic!("{method} {id}"));
            operations.push((resource, verb, path.clone()));
        }
    }
    assert_eq!(operations.len(), 53, "the contract's operations");
    operations
}

/// A demo account and what its calls need.
struct Run<'w> {
    world: &'w World,
    service: &'static str,
    contact: String,
    /// A record of each resource.
    ids: BTreeMap<Resource, String>,
}

impl Run<'_> {
    fn path(&self, template: &str, resource: Resource) -> String {
        let id = |resource: Resource| self.ids.get(&resource).cloned().unwrap_or_else(|| "1".to_owned());
        let home = if resource == Resource::ListMembers { Resource::Lists } else { resource };
        template.replace("{object_id}", &id(Resource::CustomObjectSchemas)).replace("{id}", &id(home))
    }

    fn body(&self, resource: Resource, verb: Verb) -> Value {
        let contact = &self.contact;
        match (resource, verb) {
            (Resource::Companies, _) => json!({"name": "Table"}),
            (Resource::Contacts, _) => json!({"first_name": "Ta", "last_name": "Ble"}),
            (Resource::Opportunities, _) => json!({"title": "Table"}),
            (Resource::Leads, Verb::Create) => json!({"name": "Table", "contact_id": contact}),
            (Resource::Leads, _) => json!({"name": "Chair"}),
            (Resource::Pipelines, _) => {
                json!({"name": "Table", "stages": [{"name": "Ordered", "win_probability": 50}, {"name": "Made", "win_probability": 100}]})
            }
            (Resource::Notes, Verb::Create) => json!({"content": "Table", "contact_id": contact}),
            (Resource::Notes, _) => json!({"content": "Chair"}),
            (Resource::Activities, Verb::Create) => json!({"type": "call", "title": "Table"}),
            (Resource::Activities, _) => json!({"title": "Chair"}),
            (Resource::Users, Verb::Create) => json!({"emails": [{"email": "table@example.com"}]}),
            (Resource::Users, _) => json!({"status": "inactive"}),
            (Resource::CustomObjectSchemas, Verb::Create) => {
                json!({"name": "Table", "fields": [{"name": "colour", "type": "string"}]})
            }
            (Resource::CustomObjectSchemas, _) => json!({"name": "Tables"}),
            _ => json!({"fields": [{"name": "colour", "value": "red"}]}),
        }
    }

    async fn call(&mut self, resource: Resource, verb: Verb, template: &str) -> Cell {
        let path = self.path(template, resource);
        let method = match verb {
            Verb::List | Verb::One => "GET",
            Verb::Create => "POST",
            Verb::Update => "PATCH",
            Verb::Delete => "DELETE",
        };
        let mut ask = self.world.ask(method, &path).of(self.service);
        if matches!(verb, Verb::Create | Verb::Update) {
            ask = ask.body(self.body(resource, verb));
        }
        let reply = ask.send().await;
        let made = match verb {
            Verb::List if !self.ids.contains_key(&resource) => reply.body["data"][0]["id"].as_str(),
            Verb::Create => reply.body["data"]["id"].as_str(),
            _ => None,
        };
        if let Some(id) = made {
            self.ids.insert(resource, id.to_owned());
        }
        Cell::of(&reply, &["ConnectorOperationUnsupportedError"])
    }
}

/// A value that a filter takes.
fn sample(filter: &str) -> &'static str {
    match filter {
        "updated_since" | "created_since" => "2020-01-01T00:00:00Z",
        "status" => "open",
        "type" => "call",
        "email" => "nobody@example.com",
        "monetary_amount" | "win_probability" => "50",
        _ if filter.ends_with("_id") => "1",
        _ => "Nobody",
    }
}

/// The filters or sorts of the contract for a resource.
fn named(resource: Resource, kind: &str, path: &str) -> Vec<String> {
    let parameters = contract::document()["paths"][path]["get"]["parameters"].to_string();
    if !parameters.contains(&format!("{kind}\"")) {
        return Vec::new();
    }
    let schemas = &contract::document()["components"]["schemas"];
    let plural: String =
        resource.name().split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    let schema = &schemas[format!("{plural}{kind}")];
    match kind {
        "Filter" => {
            schema["properties"].as_object().map(|names| names.keys().cloned().collect()).unwrap_or_default()
        }
        _ => schema["properties"]["by"]["enum"]
            .as_array()
            .map(|names| names.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
            .unwrap_or_default(),
    }
}

/// What a manifest declares.
fn declared(connector: &Connector, resource: Resource, kind: &str) -> BTreeSet<String> {
    let Some(plan) = connector.resources.get(&resource) else { return BTreeSet::new() };
    let of = |plan: &ResourcePlan| -> BTreeSet<String> {
        let ways = plan.list.iter().flat_map(|way| match kind {
            "Filter" => way.filters.keys().cloned().collect::<Vec<_>>(),
            _ => way.sorts.keys().cloned().collect(),
        });
        ways.collect()
    };
    let mut all = of(plan);
    all.extend(plan.sources.iter().flat_map(|source| of(&source.plan)));
    all.extend(plan.spec.split_by.clone().filter(|_| kind == "Filter"));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_filter_and_sort_does_what_its_connector_declares() {
    let world = World::start().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = Source { connectors: Some(root.join("connectors")), mappings: Some(root.join("mappings")) };
    let registry = load(&source, contract::document()).unwrap();
    let mut faults = Vec::new();
    let mut cells: BTreeMap<(Resource, &str, Verb), Cell> = BTreeMap::new();
    let mut names: Names<'_> = BTreeMap::new();
    for service in SERVICES {
        let connector = registry.get(&ServiceId::new(service)).unwrap();
        let contact = world
            .ask("POST", "/crm/contacts")
            .of(service)
            .body(json!({"first_name": "Ta", "last_name": "Ble"}));
        let contact = contact.send().await.ok()["data"]["id"].as_str().unwrap().to_owned();
        let mut run = Run { world: &world, service, contact, ids: BTreeMap::new() };
        let mut operations = operations();
        // What is deleted goes at the end, the schema after its objects.
        let turn = |(resource, verb, _): &(Resource, Verb, String)| {
            let last = *verb == Verb::Delete;
            let home = last == (*resource == Resource::CustomObjectSchemas);
            (last, home, *verb == Verb::Update, *verb == Verb::One, *resource == Resource::ListMembers)
        };
        operations.sort_by_key(turn);
        for verb in [Verb::List, Verb::Create] {
            // A list first names a record where none can be made.
            for (resource, _, path) in operations.clone().iter().filter(|(_, of, _)| *of == verb) {
                let cell = run.call(*resource, verb, path).await;
                cells.insert((*resource, service, verb), cell);
            }
        }
        for (resource, verb, path) in
            operations.iter().filter(|(_, verb, _)| !matches!(verb, Verb::List | Verb::Create))
        {
            let cell = run.call(*resource, *verb, path).await;
            cells.insert((*resource, service, *verb), cell);
        }
        for (resource, verb, path) in &operations {
            let cell = &cells[&(*resource, service, *verb)];
            let expected = if connector.can(*resource, *verb) { Cell::Pass } else { Cell::Unsupported };
            if *cell != expected {
                faults.push(format!("{service} {resource} {verb}: {cell:?}, declared {expected:?}"));
            }
            if *verb != Verb::List {
                continue;
            }
            for (kind, refusal) in
                [("Filter", "UnsupportedFiltersError"), ("Sort", "UnsupportedSortFieldError")]
            {
                let declared = declared(connector, *resource, kind);
                let (mut can, mut cannot) = (Vec::new(), Vec::new());
                for name in named(*resource, kind, path) {
                    let ask = world.get(&run.path(path, *resource)).of(service).query("limit", 1);
                    let ask = match kind {
                        "Filter" => ask.query(&format!("filter[{name}]"), sample(&name)),
                        _ => ask.query("sort[by]", &name),
                    };
                    let cell = Cell::of(&ask.send().await, &[refusal]);
                    let expected = if declared.contains(&name) { Cell::Pass } else { Cell::Unsupported };
                    if cell != expected {
                        faults.push(format!(
                            "{service} {resource} {kind} {name}: {cell:?}, declared {expected:?}"
                        ));
                    }
                    if cell == Cell::Pass { can.push(name) } else { cannot.push(name) }
                }
                names.insert((*resource, service, kind), (can, cannot));
            }
        }
    }
    world.stop().await;
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));

    let text = markdown(&cells, &names);
    println!("{text}");
    let file = root.join("docs/coverage.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap_or_default() == text,
        "docs/coverage.md is not what a run shows; `UPDATE=1 cargo test --test gateway table` writes it"
    );
}

fn markdown(cells: &BTreeMap<(Resource, &str, Verb), Cell>, names: &Names<'_>) -> String {
    let mut text = String::from(
        "# What works on which CRM\n\nMade by a run of every operation, filter and sort of the contract through the gateway \
         (`tests/gateway/table.rs`).\n`yes`: it succeeded. `–`: the CRM cannot, and the answer is the typed error that says so. \
         Blank: the contract has no such operation.\n\n## Operations\n\n| |",
    );
    for service in SERVICES {
        for verb in Verb::ALL {
            write!(text, " {service} {verb} |").unwrap();
        }
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(SERVICES.len() * Verb::ALL.len()));
    for resource in Resource::ALL {
        write!(text, "\n| {resource} |").unwrap();
        for service in SERVICES {
            for verb in Verb::ALL {
                write!(text, " {} |", cells.get(&(resource, service, verb)).map_or("", Cell::mark)).unwrap();
            }
        }
    }
    for (kind, title) in [("Filter", "Filters"), ("Sort", "Sorts")] {
        write!(text, "\n\n## {title}\n\n| |").unwrap();
        for service in SERVICES {
            write!(text, " {service} | {service} cannot |").unwrap();
        }
        text.push_str("\n|---|");
        text.push_str(&"---|---|".repeat(SERVICES.len()));
        for resource in Resource::ALL {
            let all: Vec<_> =
                SERVICES.iter().filter_map(|service| names.get(&(resource, *service, kind))).collect();
            if all.iter().all(|(can, cannot)| can.is_empty() && cannot.is_empty()) {
                continue;
            }
            write!(text, "\n| {resource} |").unwrap();
            for (can, cannot) in all {
                write!(text, " {} | {} |", can.join(" "), cannot.join(" ")).unwrap();
            }
        }
    }
    text.push('\n');
    text
}
