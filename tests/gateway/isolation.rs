//! Nothing of another application is ever visible, existence included: every operation of the three contracts.

use crosswalk::contract::{Api, Contract};
use crosswalk::model::{AppId, ConsumerId, Secret, ServiceId};
use crosswalk::storage::{NewIntegration, NewKey};
use serde_json::{Value, json};

use crate::harness::World;

/// What only the demo's application has, and nobody else may see.
const MARKER: &str = "only-the-demos";

/// One operation: its method, path pattern, and a body that fits.
struct Row {
    method: String,
    path: String,
    body: Option<Value>,
}

fn rows() -> Vec<Row> {
    let contract = Contract::load().unwrap();
    let unified = contract.operations().map(|rules| (rules.method.to_string(), &rules.path, true));
    let portal =
        contract.portal_operations().map(|rules| (rules.method.to_string(), &rules.path, rules.needs.key));
    let all = unified.chain(portal).filter(|(_, _, key)| *key);
    all.map(|(method, path, _)| {
        let api = Api::ALL.into_iter().find(|api| path.starts_with(&format!("/{}/", api.name()))).unwrap();
        let operation = &api.document()["paths"][path.as_str()][method.to_lowercase()];
        let body = operation.get("requestBody").map(|body| {
            let example = body.pointer("/content/application~1json/example");
            example.cloned().unwrap_or_else(|| json!({}))
        });
        Row { method, path: path.clone(), body }
    })
    .collect()
}

/// The row's path and body for a consumer.
fn filled(row: &Row, consumer: &str) -> (String, Option<Value>) {
    let mut path = row.path.clone();
    for (name, value) in [
        ("consumer_id", consumer),
        ("unified_api", "crm"),
        ("service_id", "hubspot"),
        ("resource", "contacts"),
        ("id", "1"),
    ] {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    while let (Some(open), Some(close)) = (path.find('{'), path.find('}')) {
        path.replace_range(open..=close, "contacts");
    }
    if path.ends_with("/stats") {
        path += "?start_datetime=2020-01-01T00:00:00Z&end_datetime=2100-01-01T00:00:00Z";
    }
    let mut body = row.body.clone();
    if let Some(id) = body.as_mut().and_then(|body| body.get_mut("consumer_id")) {
        *id = consumer.into();
    }
    (path, body)
}

/// A world where `ann` is a customer of the demo's application, and the key of another application.
async fn world() -> (World, String) {
    let world = World::start().await;
    world.connect("hubspot", "ann").await;
    world
        .ask("PATCH", "/vault/consumers/ann")
        .body(json!({ "metadata": { "account_name": MARKER } }))
        .send()
        .await
        .ok();
    world
        .ask("PATCH", "/vault/connections/crm/hubspot")
        .consumer("ann")
        .body(json!({ "metadata": { "marker": MARKER }, "settings": { "currency": "NOK" } }))
        .send()
        .await
        .ok();
    let other = AppId::new("other");
    world.store.create_application(&other, "Other").await.unwrap();
    let new = NewIntegration { enabled: true, ..NewIntegration::default() };
    world.store.set_integration(&other, &ServiceId::new("hubspot"), new).await.unwrap();
    let import = Some(Secret::new("sk_key_of_other"));
    let key = NewKey { app: &other, label: "", expires_ms: None, allow_ips: &[], endpoints: &[], import };
    world.store.create_key(key).await.unwrap();
    (world, "Bearer sk_key_of_other".to_owned())
}

#[tokio::test]
async fn a_key_opens_no_other_application() {
    let (world, key) = world().await;
    let rows = rows();
    assert!(rows.len() > 90, "{} operations", rows.len());
    for row in &rows {
        let (path, _) = filled(row, "ann");
        let mut told = Vec::new();
        for app in ["demo-app", "no-such-app"] {
            let ask = world.ask(&row.method, &path).consumer("ann");
            let reply = ask.header("authorization", &key).header("x-apideck-app-id", app).send().await;
            let mut body = reply.fails(401, "UnauthorizedError");
            body.as_object_mut().unwrap().remove("request_id");
            told.push(body);
        }
        assert_eq!(told[0], told[1], "{} {path}: whether there is such an application", row.method);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_consumer_of_another_application_is_as_good_as_none() {
    let (world, key) = world().await;
    for row in rows() {
        let mut told = Vec::new();
        for consumer in ["ann", "zoe"] {
            let (path, body) = filled(&row, consumer);
            let ask = world.ask(&row.method, &path).consumer(consumer);
            let ask = ask.header("authorization", &key).header("x-apideck-app-id", "other");
            let ask = match body {
                Some(body) => ask.body(body),
                None => ask,
            };
            let reply = ask.send().await;
            let text = reply.body.to_string();
            assert!(!text.contains(MARKER) && !text.contains("NOK"), "{} {path}: {text}", row.method);
            let detail = reply.body["message"].to_string();
            let words = detail.split(|letter: char| !letter.is_alphanumeric());
            let detail: Vec<String> =
                words.map(|word| if word == consumer { "?" } else { word }.to_owned()).collect();
            told.push((reply.status, reply.body["type_name"].clone(), detail));
        }
        assert_eq!(told[0], told[1], "{} {}: whether there is such a consumer", row.method, row.path);
    }
    // And nothing was done to it.
    let (demo, ann) = (AppId::new("demo-app"), ConsumerId::new("ann"));
    let consumer = world.store.consumer(&demo, &ann).await.unwrap().unwrap();
    assert_eq!(consumer.metadata["account_name"], MARKER);
    let one = world.get("/vault/connections/crm/hubspot").consumer("ann").send().await.ok();
    assert_eq!(one["data"]["metadata"]["marker"], MARKER);
    assert_eq!(one["data"]["settings"]["currency"], "NOK");
    world.get("/crm/contacts").consumer("ann").send().await.ok();
    world.stop().await;
}
