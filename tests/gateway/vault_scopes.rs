//! Data scopes and consent: what is not granted never leaves the gateway and is not written.

use crosswalk::model::AppId;
use serde_json::{Value, json};

use crate::harness::{Reply, World, ada};

const CONSENT: &str = "/vault/connections/crm/hubspot/consent";

async fn consent(world: &World, granted: bool, resources: Value) -> Reply {
    let body = json!({ "granted": granted, "resources": resources });
    world.ask("PATCH", CONSENT).consumer("ann").body(body).send().await
}

/// A world with a contact, and the contact's id.
async fn world() -> (World, String) {
    let world = World::start().await;
    world.connect("hubspot", "ann").await;
    let made = world.ask("POST", "/crm/contacts").consumer("ann").body(ada()).send().await.ok();
    let id = made["data"]["id"].as_str().unwrap().to_owned();
    (world, id)
}

#[tokio::test]
async fn fields_that_are_not_granted_never_leave() {
    let (world, id) = world().await;
    let rules = json!({ "contacts": {
        "first_name": { "read": true, "write": true }, "last_name": { "read": true, "write": false },
    } });
    let given = consent(&world, true, rules).await.ok();
    assert_eq!(given["data"]["granted"], true);
    let one = format!("/crm/contacts/{id}");
    let get = |path: &str| world.get(path).consumer("ann");

    for (path, query) in
        [("/crm/contacts", None), (one.as_str(), None), (one.as_str(), Some("emails,first_name"))]
    {
        let ask = get(path);
        let ask = match query {
            Some(fields) => ask.query("fields", fields),
            None => ask,
        };
        let reply = ask.send().await.ok();
        assert!(!reply.to_string().contains("ada@example.com"), "{path}: {reply:#}");
        let record = if reply["data"].is_array() { &reply["data"][0] } else { &reply["data"] };
        let names: Vec<&String> = record.as_object().unwrap().keys().collect();
        assert!(
            names.iter().all(|name| ["id", "first_name", "last_name"].contains(&name.as_str())),
            "{names:?}"
        );
        assert_eq!(record["first_name"], "Ada");
        let warnings = reply["meta"]["warnings"].as_array().unwrap();
        let told = warnings.iter().find(|warning| warning["type"] == "DataScopeWarning").unwrap();
        assert!(told["message"].as_str().unwrap().contains("emails"), "{told}");
    }
    let hidden = get(&one).query("fields", "emails").send().await.ok();
    assert_eq!(hidden["data"], json!({ "id": id }), "a mask of nothing is not one of everything");

    for format in ["stream", "csv"] {
        let url = format!("{}/crm/contacts?format={format}", world.gateway.url);
        let key = ("authorization", "Bearer sk_demo_crosswalk");
        let headers = [key, ("x-apideck-app-id", "demo-app"), ("x-apideck-consumer-id", "ann")];
        let (_, _, text) = world.browse(&url, &headers).await;
        assert!(text.contains("Ada") && !text.contains("ada@example.com"), "{text}");
    }

    // Nor by detours.
    get(&one).query("raw", "true").send().await.fails(403, "ForbiddenError");
    get("/crm/contacts").query("filter[email]", "ada@example.com").send().await.fails(403, "ForbiddenError");
    get("/crm/contacts").query("sort[by]", "created_at").send().await.fails(403, "ForbiddenError");
    get("/crm/contacts").query("pass_through[properties]", "email").send().await.fails(403, "ForbiddenError");
    get("/crm/companies").send().await.fails(403, "ForbiddenError");
    world.stop().await;
}

#[tokio::test]
async fn writes_beyond_what_is_granted_are_refused_whole() {
    let (world, id) = world().await;
    let rules = json!({ "contacts": {
        "first_name": { "read": true, "write": true }, "last_name": { "read": true, "write": false },
    } });
    consent(&world, true, rules).await.ok();
    let one = format!("/crm/contacts/{id}");
    let patch = |body: Value| world.ask("PATCH", &one).consumer("ann").body(body).send();
    let body = patch(json!({ "first_name": "B", "last_name": "C", "title": "D" }))
        .await
        .fails(403, "ForbiddenError");
    assert_eq!(body["detail"]["not_granted"], json!(["last_name", "title"]));
    world.ask("POST", "/crm/contacts").consumer("ann").body(ada()).send().await.fails(403, "ForbiddenError");
    patch(json!({ "first_name": "Augusta" })).await.ok();
    let read = world.get(&one).consumer("ann").send().await.ok();
    assert_eq!(
        (&read["data"]["first_name"], &read["data"]["last_name"]),
        (&json!("Augusta"), &json!("Lovelace"))
    );

    let read_only = json!({ "contacts": { "first_name": { "read": true } } });
    consent(&world, true, read_only).await.ok();
    world.ask("DELETE", &one).consumer("ann").send().await.fails(403, "ForbiddenError");
    patch(json!({})).await.fails(403, "ForbiddenError");
    world.stop().await;
}

#[tokio::test]
async fn what_the_application_asks_for_needs_the_consumers_consent() {
    let (world, id) = world().await;
    let app = AppId::new("demo-app");
    let state = async |world: &World| {
        let one = world.get("/vault/connections/crm/hubspot").consumer("ann").send().await.ok();
        (one["data"]["consent_state"].clone(), one["data"]["health"].clone())
    };
    assert_eq!(state(&world).await, (json!("implicit"), json!("ok")));
    let asked = json!({ "contacts": { "first_name": { "read": true }, "emails": { "read": true } } });
    world.store.set_data_scopes(&app, true, &asked).await.unwrap();
    assert_eq!(state(&world).await, (json!("pending"), json!("needs_consent")));
    let one = format!("/crm/contacts/{id}");
    let body = world.get(&one).consumer("ann").send().await.fails(403, "ForbiddenError");
    assert_eq!(body["detail"]["consent_state"], "pending");

    consent(&world, true, json!({ "crm.contacts": { "first_name": { "read": true } } })).await.ok();
    assert_eq!(state(&world).await, (json!("granted"), json!("ok")));
    let read = world.get(&one).consumer("ann").send().await.ok();
    assert_eq!(read["data"], json!({ "id": id, "first_name": "Ada" }), "both must grant it");

    consent(&world, false, json!("*")).await.ok();
    assert_eq!(state(&world).await, (json!("revoked"), json!("needs_consent")));
    world.get(&one).consumer("ann").send().await.fails(403, "ForbiddenError");
    let all = world.get(CONSENT).consumer("ann").send().await.ok();
    let granted: Vec<&Value> = all["data"].as_array().unwrap().iter().map(|one| &one["granted"]).collect();
    assert_eq!(granted, [&json!(true), &json!(false)]);
    consent(&world, true, json!({ "robots": {} })).await.fails(400, "RequestValidationError");
    world.stop().await;
}
