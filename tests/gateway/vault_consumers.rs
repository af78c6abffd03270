//! Consumers through the Vault API.

use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn consumers_are_listed_page_by_page() {
    let world = World::start().await;
    for name in ["ann", "bob", "cid"] {
        world.connect("hubspot", name).await;
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world
            .get("/vault/consumers")
            .header("x-apideck-consumer-id", "<none>")
            .query("limit", 2)
            .query("cursor", &cursor)
            .send()
            .await
            .ok();
        for consumer in page["data"].as_array().unwrap() {
            seen.push(consumer["consumer_id"].as_str().unwrap().to_owned());
        }
        let current = world.get("/vault/consumers").query("limit", 2).query("cursor", &cursor);
        assert_eq!(current.send().await.ok()["data"], page["data"], "a page stays the same page");
        match page["meta"]["cursors"]["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(seen, sorted, "ordered by id, none twice");
    assert!(seen.contains(&"ann".to_owned()) && seen.contains(&"demo-consumer".to_owned()), "{seen:?}");

    let one = world.get("/vault/consumers").query("filter[consumer_id]", "bob").send().await.ok();
    assert_eq!(one["data"][0]["services"], json!(["hubspot"]));
    assert_eq!(one["data"].as_array().unwrap().len(), 1);
    let searched = world.get("/vault/consumers").query("filter[search]", "DEMO-").send().await.ok();
    let ids: Vec<_> = searched["data"].as_array().unwrap().iter().map(|one| &one["consumer_id"]).collect();
    assert!(!ids.is_empty() && ids.iter().all(|id| id.as_str().unwrap().contains("demo-")), "{ids:?}");
    let none = world.get("/vault/consumers").query("filter[search]", "100%").send().await.ok();
    assert_eq!(none["data"], json!([]));
    world.stop().await;
}

#[tokio::test]
async fn what_the_contract_does_not_know_is_refused() {
    let world = World::start().await;
    let list = || world.get("/vault/consumers");
    list().query("filter[name]", "x").send().await.fails(400, "RequestValidationError");
    list().query("page", "2").send().await.fails(400, "RequestValidationError");
    list().query("cursor", "made-up").send().await.fails(400, "InvalidCursorError");
    let page = list().query("limit", 1).send().await.ok();
    let next = page["meta"]["cursors"]["next"].as_str().unwrap();
    list().query("cursor", next).query("filter[search]", "d").send().await.fails(400, "InvalidCursorError");
    let nobody = list().header("x-apideck-app-id", "<none>").header("x-apideck-consumer-id", "<none>");
    let body = nobody.send().await.fails(400, "RequestHeadersValidationError");
    assert_eq!(body["detail"]["missing"], json!([{ "x-apideck-app-id": "required" }]));
    list().header("authorization", "Bearer sk_wrong").send().await.fails(401, "UnauthorizedError");
    world.ask("PUT", "/vault/consumers").send().await.fails(405, "MethodNotAllowedError");
    world.stop().await;
}

#[tokio::test]
async fn a_consumers_life() {
    let world = World::start().await;
    let ask = |method: &str, path: &str| world.ask(method, path).header("x-apideck-consumer-id", "<none>");
    let body = json!({ "consumer_id": "ann", "metadata": { "account_name": "Ann's shop" } });
    let made = ask("POST", "/vault/consumers").body(body.clone()).send().await;
    assert_eq!(made.status, 200);
    assert_eq!(made.body["data"]["metadata"], json!({ "account_name": "Ann's shop" }));
    ask("POST", "/vault/consumers").body(body).send().await.fails(409, "ConflictError");
    for bad in ["", "two words", &"x".repeat(129)] {
        let body = json!({ "consumer_id": bad });
        ask("POST", "/vault/consumers").body(body).send().await.fails(400, "RequestValidationError");
    }
    let one = "/vault/consumers/ann";
    let changed =
        ask("PATCH", one).body(json!({ "metadata": { "email": "a@example.com" } })).send().await.ok();
    assert_eq!(
        changed["data"]["metadata"],
        json!({ "account_name": "Ann's shop", "email": "a@example.com" })
    );
    assert_eq!(ask("GET", one).send().await.ok()["data"]["connections"], json!([]));
    assert_eq!(ask("DELETE", one).send().await.ok()["data"], json!({ "consumer_id": "ann" }));
    for method in ["GET", "DELETE"] {
        ask(method, one).send().await.fails(404, "EntityNotFoundError");
    }
    ask("PATCH", one).body(json!({})).send().await.fails(404, "EntityNotFoundError");
    world.stop().await;
}

#[tokio::test]
async fn calls_are_counted_by_api() {
    let world = World::start().await;
    world.connect("hubspot", "ann").await;
    for _ in 0..3 {
        world.get("/crm/contacts").consumer("ann").send().await.ok();
    }
    world.get("/crm/contacts/none").consumer("ann").send().await.fails(404, "EntityNotFoundError");
    world.get("/vault/connections").consumer("ann").send().await.ok();
    let stats = |from: &'static str, to: &'static str| {
        world.get("/vault/consumers/ann/stats").query("start_datetime", from).query("end_datetime", to).send()
    };
    let now = stats("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z").await.ok();
    assert_eq!(now["data"]["request_counts"], json!({ "unify": 4, "proxy": 0, "vault": 1 }));
    assert_eq!(now["data"]["aggregated_request_count"], 5);
    let then = stats("2020-01-01T00:00:00Z", "2020-12-31T00:00:00Z").await.ok();
    assert_eq!(then["data"]["aggregated_request_count"], 0);
    stats("yesterday", "2020-12-31T00:00:00Z").await.fails(400, "RequestValidationError");
    let without = world.get("/vault/consumers/ann/stats").send().await.fails(400, "RequestValidationError");
    assert_eq!(without["detail"]["errors"].as_array().unwrap().len(), 2);
    let listed = world.get("/vault/consumers").query("filter[consumer_id]", "ann").send().await.ok();
    assert_eq!(listed["data"][0]["aggregated_request_count"], 5);
    world.stop().await;
}

#[tokio::test]
async fn a_deleted_consumer_is_gone_from_the_files() {
    let world = World::start().await;
    world.connect("hubspot", "ann").await;
    let (app, ann) = (crosswalk::model::AppId::new("demo-app"), crosswalk::model::ConsumerId::new("ann"));
    let sealed = world.store.sealed_bytes(&app, &ann).await.unwrap();
    assert!(sealed.len() == 2, "a data key and credentials");
    let holds = |bytes: &[u8]| {
        std::fs::read_dir(world.folder()).unwrap().any(|entry| {
            let file = std::fs::read(entry.unwrap().path()).unwrap();
            file.windows(bytes.len()).any(|window| window == bytes)
        })
    };
    assert!(sealed.iter().all(|bytes| holds(bytes)), "the test sees what it looks for");
    world.ask("DELETE", "/vault/consumers/ann").send().await.ok();
    assert!(!sealed.iter().any(|bytes| holds(bytes)));
    world.get("/crm/contacts").consumer("ann").send().await.fails(404, "ConnectionNotFoundError");
    world.stop().await;
}
