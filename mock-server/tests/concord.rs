//! Concord over real sockets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use mock_server::world::{AccountSettings, RateLimit};
use mock_server::{MockServer, Vendor};
use serde_json::{Value, json};
use support::Api;

async fn setup(account: &str) -> (MockServer, Api) {
    let server = MockServer::local().await.unwrap();
    let api = Api::new(&server.concord_url(), &format!("test-{account}"));
    (server, api)
}

async fn pages(api: &Api, path: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for page in 1.. {
        let (status, reply) = api.get(&format!("{path}&page={page}")).await;
        assert_eq!((status, &reply["meta"]["current_page"]), (200, &json!(page)), "{reply}");
        all.extend(reply["data"].as_array().unwrap().clone());
        if reply["meta"]["last_page"] == page {
            break;
        }
    }
    all
}

#[tokio::test]
async fn lists_have_pages_of_fifteen_unless_asked_and_some_ignore_the_question() {
    let server = MockServer::local().await.unwrap();
    let api = Api::new(&server.concord_url(), "demo-concord-token");
    let (_, usual) = api.get("/api/contacts").await;
    assert_eq!((usual["data"].as_array().unwrap().len(), &usual["meta"]["total"]), (15, &json!(2000)));
    let (_, most) = api.get("/api/contacts?per_page=500").await;
    assert_eq!(most["meta"]["per_page"], 100);
    let (_, notes) = api.get("/api/notes?per_page=100").await;
    assert_eq!(notes["meta"]["per_page"], 15, "not every list takes per_page");
    let rows = pages(&api, "/api/companies?per_page=100&order=updated_at|desc").await;
    let ids: std::collections::HashSet<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert_eq!((rows.len(), ids.len()), (2000, 2000));
    let times: Vec<&str> = rows.iter().map(|row| row["updated_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|one, next| one >= next));
}

#[tokio::test]
async fn browsers_tokens_and_limits() {
    let (server, api) = setup("doors").await;
    let with = async |name: &str, value: &str| {
        let sent =
            api.request("GET", "/api/contacts").header("accept", "application/json").header(name, value);
        sent.send().await.unwrap()
    };
    for name in ["origin", "referer"] {
        let reply = with(name, "https://app.example").await;
        assert_eq!(reply.status(), 419);
        assert!(reply.text().await.unwrap().contains("CSRF token mismatch."));
    }
    let plain = |accept: &'static str| api.plain("GET", "/api/contacts").header("accept", accept).send();
    assert_eq!(plain("application/json").await.unwrap().status(), 401);
    assert_eq!(plain("*/*").await.unwrap().status(), 302, "to the login page");

    let limit = Some(RateLimit { max: 2, window_ms: 60_000 });
    let settings = AccountSettings { rate_limit: limit, ..AccountSettings::default() };
    server.set_settings(Vendor::Concord, "doors", settings);
    assert_eq!(with("x-a", "b").await.headers()["x-ratelimit-remaining"], "1");
    with("x-a", "b").await;
    let over = with("x-a", "b").await;
    assert_eq!((over.status().as_u16(), &over.headers()["x-ratelimit-limit"]), (429, &"2".parse().unwrap()));
    assert!(over.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_contact_is_written_changed_linked_and_thrown_away() {
    let (_server, api) = setup("contact").await;
    let company = api.post("/api/companies", json!({ "name": "Åkesson AB" })).await.1;
    let (status, made) = api
        .post("/api/contacts", json!({
            "first_name": "Zoë", "email": "zoe@mail.example", "tags": ["vip"],
            "phones": [{ "number": "+46 8 1", "type": "work" }], "companies": [company["id"]], "cf_children": 2,
            "cf_tier": 13, "unknown": 1,
        }))
        .await;
    assert_eq!((status, &made["was_recently_created"]), (201, &json!(true)), "{made}");
    assert_eq!((&made["display_name"], &made["tags"][0]["name"]), (&json!("Zoë"), &json!("vip")));
    assert_eq!((&made["companies"][0]["id"], &made["unknown"]), (&company["id"], &Value::Null));
    assert_eq!((&made["cf_children"], &made["phones"][0]["type"]), (&json!(2), &json!("work")));
    let path = format!("/api/contacts/{}", made["id"]);
    let (status, changed) = api.put(&path, json!({ "last_name": "Ek", "email": null })).await;
    assert_eq!((status, &changed["display_name"], &changed["email"]), (200, &json!("Zoë Ek"), &Value::Null));
    assert_eq!(changed["phones"], made["phones"], "what is not mentioned stays");

    let links = format!("/api/associations/contacts/{}", made["id"]);
    assert_eq!(api.status_of("DELETE", &links, json!({ "companies": [company["id"]] })).await, 204);
    assert_eq!(api.get(&path).await.1["companies"], json!([]));
    let other = api.post("/api/companies", json!({ "name": "B" })).await.1;
    api.put(&links, json!({ "companies": [company["id"]] })).await;
    let (_, synced) = api.post(&links, json!({ "companies": [other["id"]] })).await;
    assert_eq!(synced["companies"].as_array().unwrap().len(), 1, "POST replaces, PUT adds: {synced}");
    assert_eq!(api.get(&format!("{path}/companies")).await.1["data"][0]["name"], "B");

    assert_eq!(api.delete(&path).await, 204);
    let (status, gone) = api.get(&path).await;
    assert_eq!(status, 404);
    assert!(gone["message"].as_str().unwrap().starts_with("No query results for model"));
    assert_eq!(api.get("/api/trashed/contacts").await.1["meta"]["total"], 1);
    assert_eq!(api.post(&format!("/api/trashed/contacts/{}", made["id"]), json!({})).await.0, 200);
    assert_eq!(api.get(&path).await.0, 200);
}

#[tokio::test]
async fn writes_are_checked_all_at_once_and_each_custom_field_by_its_type() {
    let (_server, api) = setup("checks").await;
    let (status, reply) = api
        .post("/api/contacts", json!({
            "email": "nobody", "phones": "1", "user_id": 99, "cf_badge": "red", "cf_interests": [9], "cf_birthday": "soon",
            "cf_budget": "much", "cf_tier": 1, "cf_timezone": "here", "cf_newsletter": "perhaps",
        }))
        .await;
    assert_eq!(status, 422);
    let errors = reply["errors"].as_object().unwrap();
    assert_eq!(errors.len(), 11, "{reply}");
    assert_eq!(errors["first_name"], json!(["The first name field is required."]));
    assert!(reply["message"].as_str().unwrap().ends_with("(and 10 more errors)"));

    let fields = api.get("/api/custom-fields?per_page=100").await.1;
    let kinds: std::collections::BTreeSet<&str> = fields["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["field_type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds.len(), 14, "{kinds:?}");
}

#[tokio::test]
async fn deals_keep_stage_pipeline_and_status_together_and_searches_find() {
    let (_server, api) = setup("deals").await;
    let pipelines = api.get("/api/pipelines").await.1;
    let stage = pipelines["data"][1]["stages"][0]["id"].clone();
    let (_, deal) =
        api.post("/api/deals", json!({ "name": "Renewal", "stage_id": stage, "amount": 12.5 })).await;
    assert_eq!((&deal["pipeline_id"], &deal["amount"]), (&pipelines["data"][1]["id"], &json!("12.500")));
    let path = format!("/api/deals/{}", deal["id"]);
    let (_, won) = api.put(&path, json!({ "status": "won" })).await;
    assert!(won["won_date"].is_string());
    let first = &pipelines["data"][0];
    assert_eq!(api.put(&path, json!({ "stage_id": stage, "pipeline_id": first["id"] })).await.0, 422);
    assert_eq!(api.delete(&format!("/api/pipelines/{}", pipelines["data"][1]["id"])).await, 409);

    for (first, email) in [("Ann", "ann@mail.example"), ("Anna", "a@mail.example"), ("Bo", "bo@mail.example")]
    {
        api.post("/api/contacts", json!({ "first_name": first, "email": email })).await;
    }
    let total =
        async |query: &str| api.get(&format!("/api/contacts?{query}")).await.1["meta"]["total"].clone();
    assert_eq!(total("q=ann").await, 2);
    assert_eq!(total("q=ann&search_fields=first_name:%3D").await, 1);
    assert_eq!(total("q=first_name:ann;email:a@mail.example&search_match=and").await, 1);
    assert_eq!(api.get("/api/contacts/search?q=bo").await.1.as_array().unwrap().len(), 1);
    let note = json!({ "body": "x", "via_resource": "deals", "via_resource_id": deal["id"] });
    assert_eq!(api.post("/api/notes", note).await.1["deals"][0]["id"], deal["id"]);
    assert_eq!(api.post("/api/notes", json!({ "body": "x" })).await.0, 422);
}
