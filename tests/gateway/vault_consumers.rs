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
