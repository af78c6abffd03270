//! The request log through the Vault API.

use crosswalk::model::AppId;
use crosswalk::storage::NewKey;
use mock_server::faults::{Fault, Kind};
use serde_json::{Value, json};

use crate::harness::{World, vendor};

async fn log(world: &World, consumer: &str, filters: &[(&str, &str)]) -> Vec<Value> {
    let mut ask = world.get("/vault/logs").consumer(consumer);
    for (name, value) in filters {
        ask = ask.query(name, value);
    }
    ask.send().await.ok()["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_call_is_found_by_its_request_id_with_every_request_to_the_crm() {
    let world = World::start().await;
    world.connect("hubspot", "traced").await;
    world.mock.fault(Fault::once(Kind::RateLimited { retry_after_s: None }).of(vendor("hubspot"), "traced"));
    let reply =
        world.get("/crm/contacts").of("hubspot").consumer("traced").query("filter[email]", "a@b.example");
    let reply = reply.header("request-id", "support-case-4711").send().await;
    reply.ok();

    let one = world.get("/vault/logs/support-case-4711").send().await.ok();
    let call = &one["data"];
    assert_eq!((&call["operation"]["id"], &call["path"]), (&json!("contacts.list"), &json!("/crm/contacts")));
    assert_eq!((&call["service"]["name"], &call["unified_api"]), (&json!("HubSpot"), &json!("crm")));
    assert_eq!(
        (&call["success"], &call["fault"], &call["source_ip"]),
        (&json!(true), &json!(null), &json!("127.0.0.1"))
    );
    let children = call["children"].as_array().unwrap();
    assert_eq!(call["children_count"], children.len());
    let statuses: Vec<_> = children.iter().map(|child| child["status_code"].as_u64().unwrap()).collect();
    assert!(statuses.contains(&429) && statuses.ends_with(&[200]), "each attempt is there: {statuses:?}");
    for child in children {
        assert_eq!(
            (&child["parent_id"], &child["child_request"]),
            (&json!("support-case-4711"), &json!(true))
        );
        assert!(child["duration"].as_f64().unwrap() > 0.0);
    }
    assert!(call["duration"].as_f64().unwrap() > 0.0 && call["latency"].as_f64().unwrap() > 0.0);

    let failed = world.get("/crm/contacts/404404404").of("hubspot").consumer("traced");
    failed.header("request-id", "support-case-4712").send().await.fails(404, "EntityNotFoundError");
    let one = world.get("/vault/logs/support-case-4712").send().await.ok();
    assert_eq!(
        (&one["data"]["error_type"], &one["data"]["fault"]),
        (&json!("EntityNotFoundError"), &json!("caller"))
    );
    assert!(one["data"]["error_message"].as_str().is_some_and(|message| !message.is_empty()));
    world.get("/vault/logs/never-was-there").send().await.fails(404, "EntityNotFoundError");
    world.stop().await;
}

#[tokio::test]
async fn the_list_is_filtered_and_paged_newest_first() {
    let world = World::start().await;
    world.connect("hubspot", "listed").await;
    for at in 0..7 {
        let one = world.get(&format!("/crm/contacts/{}", 100 + at)).of("hubspot").consumer("listed");
        one.header("request-id", &format!("call-number-{at}")).send().await.fails(404, "EntityNotFoundError");
    }
    world.get("/crm/companies").of("hubspot").consumer("listed").send().await.ok();
    let new =
        world.ask("POST", "/crm/companies").of("hubspot").consumer("listed").body(json!({ "name": "A" }));
    new.send().await;

    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get("/vault/logs").consumer("listed").query("limit", 3).query("cursor", &cursor);
        let page = page.query("filter[exclude_unified_apis]", "vault,proxy").send().await.ok();
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|call| call["path"].as_str().unwrap().to_owned()),
        );
        match page["meta"]["cursors"]["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
    assert_eq!((seen[0].as_str(), seen[8].as_str()), ("/crm/companies", "/crm/contacts/100"));

    for (filters, count) in [
        (&[("filter[http_method]", "POST")][..], 1),
        (&[("filter[http_methods]", "POST"), ("filter[http_methods]", "PUT")], 1),
        (&[("filter[status_code]", "404")], 7),
        (&[("filter[status_codes]", "404,201")], 8),
        (&[("filter[path]", "contacts"), ("filter[path_match_mode]", "CONTAINS")], 7),
        (&[("filter[path]", "/crm/contacts/10_")], 0),
        (&[("filter[path]", "/crm/companies"), ("filter[path_match_mode]", "EXACT")], 2),
        (&[("filter[path]", "103"), ("filter[path_match_mode]", "ENDS_WITH")], 1),
        (&[("filter[connector_id]", "crm+hubspot")], 9),
        (&[("filter[connector_id]", "crm+pipedrive")], 0),
        (&[("filter[start_date]", "2999-01-01T00:00:00Z")], 0),
        (&[("filter[end_date]", "2999-01-01T00:00:00Z"), ("filter[exclude_unified_apis]", "vault")], 9),
    ] {
        assert_eq!(log(&world, "listed", filters).await.len(), count, "{filters:?}");
    }
    let vault = log(&world, "listed", &[("filter[exclude_unified_apis]", "crm")]).await;
    assert!(vault.iter().all(|call| call["unified_api"] == "vault") && !vault.is_empty());
    let bad = world.get("/vault/logs").query("filter[status_codes]", "404,x").send().await;
    bad.fails(400, "RequestValidationError");
    world.stop().await;
}

#[tokio::test]
async fn nobody_else_reads_or_writes_an_applications_log() {
    let world = World::start().await;
    world.connect("hubspot", "own").await;
    let app = AppId::new("other-app");
    world.store.create_application(&app, "Other").await.unwrap();
    let new = NewKey { app: &app, label: "", expires_ms: None, allow_ips: &[], endpoints: &[], import: None };
    let (_, key) = world.store.create_key(new).await.unwrap();
    let call = world.get("/crm/contacts").of("hubspot").consumer("own");
    call.header("request-id", "secret-of-demo").send().await.ok();
    let other = |path: &str| {
        let ask = world.get(path).consumer("own").header("x-apideck-app-id", "other-app");
        ask.header("authorization", &format!("Bearer {}", key.expose())).send()
    };
    other("/vault/logs/secret-of-demo").await.fails(404, "EntityNotFoundError");
    assert_eq!(other("/vault/logs").await.ok()["data"], json!([]));
    // Whoever has no key of the application leaves nothing in its log.
    let forged = world.get("/crm/contacts").consumer("own").header("authorization", "Bearer sk_wrong");
    forged.header("request-id", "forged-call-1").send().await.fails(401, "UnauthorizedError");
    world.get("/vault/logs/forged-call-1").send().await.fails(404, "EntityNotFoundError");
    world.stop().await;
}

#[tokio::test]
async fn a_log_that_is_off_keeps_nothing_and_one_that_is_on_outlives_the_gateway() {
    let world = World::with(|settings| settings.request_log.enabled = false).await;
    world.get("/crm/contacts").of("hubspot").consumer("demo-hubspot").send().await.ok();
    assert!(log(&world, "demo-hubspot", &[]).await.is_empty());
    world.stop().await;

    let world = World::start().await;
    let call = world.get("/crm/contacts").of("hubspot").consumer("demo-hubspot");
    call.header("request-id", "before-the-stop").send().await.ok();
    let world = world.restart().await;
    world.get("/vault/logs/before-the-stop").send().await.ok();
    world.stop().await;
}
