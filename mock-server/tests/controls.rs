//! Tokens, faults, limits and the journal over real sockets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use mock_server::faults::{BadShape, Fault, Kind};
use mock_server::journal::Filter;
use mock_server::world::{AccountSettings, RateLimit};
use mock_server::{MockServer, Vendor};
use serde_json::{Value, json};
use support::{Api, members};

const LIST: &str = "/crm/v3/objects/contacts";

async fn setup(account: &str) -> (MockServer, Api) {
    let server = MockServer::local().await.unwrap();
    let api = Api::new(&server.hubspot_url(), &format!("pat-test-{account}"));
    (server, api)
}

async fn form(api: &Api, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let reply = api.plain("POST", path).form(fields).send().await.unwrap();
    (reply.status().as_u16(), reply.json().await.unwrap())
}

#[tokio::test]
async fn hubspots_dance_from_consent_to_refresh() {
    let (server, api) = setup("x").await;
    let back = "http%3A%2F%2F127.0.0.1%3A1%2Fcb";
    let path = format!(
        "/oauth/authorize?client_id=demo-hubspot-client&redirect_uri={back}&scope=oauth&state=s%201&mock_user=acme"
    );
    let reply = api.plain("GET", &path).send().await.unwrap();
    assert_eq!(reply.status(), 302);
    let to = reqwest::Url::parse(reply.headers()["location"].to_str().unwrap()).unwrap();
    let query: std::collections::HashMap<_, _> = to.query_pairs().into_owned().collect();
    assert_eq!(query["state"], "s 1");
    let client = [("client_id", "demo-hubspot-client"), ("client_secret", "demo-hubspot-secret")];
    let exchange = [
        client[0],
        client[1],
        ("grant_type", "authorization_code"),
        ("code", &query["code"]),
        ("redirect_uri", "http://127.0.0.1:1/cb"),
    ];
    let (status, tokens) = form(&api, "/oauth/v1/token", &exchange).await;
    assert_eq!((status, &tokens["expires_in"]), (200, &json!(1800)), "{tokens}");
    assert_eq!(form(&api, "/oauth/v1/token", &exchange).await.1["status"], "BAD_AUTH_CODE");
    let signed = Api::new(&server.hubspot_url(), tokens["access_token"].as_str().unwrap());
    assert_eq!(signed.get(LIST).await.0, 200);
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let refresh = [client[0], client[1], ("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let (_, again) = form(&api, "/oauth/v1/token", &refresh).await;
    assert_eq!(again["refresh_token"], tokens["refresh_token"]);
    assert_ne!(again["access_token"], tokens["access_token"]);
    let wrong = [client[0], ("client_secret", "no"), refresh[2], refresh[3]];
    let (status, refused) = form(&api, "/oauth/v1/token", &wrong).await;
    assert_eq!((status, &refused["status"]), (400, &json!("BAD_CLIENT_SECRET")));
    assert_eq!(server.refresh_counts(Vendor::Hubspot, "acme").granted, 1);
    assert_eq!(server.expire_tokens(Vendor::Hubspot, "acme"), 2);
    let (status, expired) = signed.get(LIST).await;
    assert_eq!((status, &expired["category"]), (401, &json!("EXPIRED_AUTHENTICATION")));
    server.revoke_account(Vendor::Hubspot, "acme");
    assert_eq!(form(&api, "/oauth/v1/token", &refresh).await.1["status"], "BAD_REFRESH_TOKEN");
    assert_eq!(
        Api::new(&server.hubspot_url(), "pat-unknown").get(LIST).await.1["category"],
        "INVALID_AUTHENTICATION"
    );
}

#[tokio::test]
async fn pipedrives_tokens_take_basic_rotate_and_name_their_domain() {
    let server = MockServer::local().await.unwrap();
    let api = Api::new(&server.pipedrive_url(), "");
    let settings = AccountSettings {
        rotate_refresh_tokens: true,
        token_lifetime_s: Some(7),
        ..AccountSettings::default()
    };
    server.set_settings(Vendor::Pipedrive, "demo", settings);
    let refresh = |token: String| {
        let fields = [("grant_type", "refresh_token".to_owned()), ("refresh_token", token)];
        api.plain("POST", "/oauth/token")
            .basic_auth("demo-pipedrive-client", Some("demo-pipedrive-secret"))
            .form(&fields)
            .send()
    };
    let reply: Value = refresh("demo-pipedrive-refresh".to_owned()).await.unwrap().json().await.unwrap();
    assert_eq!((&reply["expires_in"], &reply["api_domain"]), (&json!(7), &json!(server.pipedrive_url())));
    let dead = refresh("demo-pipedrive-refresh".to_owned()).await.unwrap();
    assert_eq!(dead.status(), 400);
    assert_eq!(dead.json::<Value>().await.unwrap()["error"], "invalid_grant");
    assert_eq!(refresh(reply["refresh_token"].as_str().unwrap().to_owned()).await.unwrap().status(), 200);
    let counts = server.refresh_counts(Vendor::Pipedrive, "demo");
    assert_eq!((counts.granted, counts.refused), (2, 1));
    let body = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
        ("client_id", "demo-pipedrive-client"),
        ("client_secret", "demo-pipedrive-secret"),
    ];
    let reply = api.plain("POST", "/oauth/token").form(&body).send().await.unwrap();
    assert_eq!(reply.status(), 401, "credentials in the body do not count");
}

#[tokio::test]
async fn faults_before_processing_leave_no_record_and_those_after_do() {
    let (server, api) = setup("drop").await;
    let body = |mail: &str| json!({ "properties": { "email": mail } });
    server.fault(Fault::once(Kind::DropBefore).of(Vendor::Hubspot, "drop").on("POST", LIST));
    assert!(api.request("POST", LIST).json(&body("a@x.example")).send().await.is_err());
    assert_eq!(api.get(LIST).await.1["results"], json!([]));
    server.fault(Fault::once(Kind::DropAfter).on("POST", LIST));
    assert!(api.request("POST", LIST).json(&body("b@x.example")).send().await.is_err());
    let (_, page) = api.get(LIST).await;
    assert_eq!(page["results"][0]["properties"]["email"], "b@x.example");
    let dropped = server.journal(&Filter::account(Vendor::Hubspot, "drop").method("POST"));
    assert_eq!(dropped.iter().map(|entry| entry.status).collect::<Vec<_>>(), [None, None]);
    assert_eq!(dropped[1].faults, ["drop_after"]);
    assert_eq!(dropped[1].json(), body("b@x.example"));
}

#[tokio::test]
async fn spoiled_replies() {
    let (server, api) = setup("spoil").await;
    server.seed_records(Vendor::Hubspot, "spoil", "contacts", 3);
    server.fault(Fault::once(Kind::RateLimited { retry_after_s: Some(2) }));
    let limited = api.send("GET", LIST, None).await;
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"2".parse().unwrap()));
    assert_eq!(limited.json::<Value>().await.unwrap()["policyName"], "TEN_SECONDLY_ROLLING");
    server.fault(Fault::once(Kind::RateLimited { retry_after_s: None }));
    assert_eq!(api.send("GET", LIST, None).await.headers().get("retry-after"), None);
    server.fault(Fault::once(Kind::Status {
        status: 503,
        body: Some("busy".to_owned()),
        retry_after_s: None,
    }));
    let reply = api.send("GET", LIST, None).await;
    assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (503, "busy"));
    server.fault(Fault::once(Kind::NotJson { status: 200 }));
    assert!(api.send("GET", LIST, None).await.text().await.unwrap().starts_with("<!DOCTYPE"));
    server.fault(Fault::once(Kind::Truncate { keep: 20 }));
    let cut = api.send("GET", LIST, None).await;
    assert!(cut.content_length().unwrap() > 20);
    assert!(cut.bytes().await.is_err());
    server.fault(Fault::once(Kind::ExpiredToken));
    assert_eq!(api.get(LIST).await.0, 401);
    for (shape, check) in [
        (BadShape::Null, (|row: &Value| row.is_null()) as fn(&Value) -> bool),
        (BadShape::MissingId, |row| row.get("id").is_none() && row["properties"].is_object()),
        (BadShape::WrongTypes, |row| row["properties"] == 42 && row["id"].is_string()),
        (BadShape::Text, Value::is_string),
    ] {
        server.fault(Fault::once(Kind::BadRecord { at: 1, shape }));
        let (status, page) = api.get(LIST).await;
        assert!(status == 200 && check(&page["results"][1]), "{shape:?}: {page}");
        assert!(page["results"][0]["properties"].is_object());
    }
    server.fault(Fault::once(Kind::BrokenJson));
    let text = api.send("GET", LIST, None).await.text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&text).is_err());
    assert_eq!(api.get(LIST).await.0, 200, "each fault was used up");
}

#[tokio::test]
async fn late_and_trickling_replies() {
    let (server, api) = setup("slow").await;
    server.seed_records(Vendor::Hubspot, "slow", "contacts", 1);
    let begun = Instant::now();
    server.fault(Fault::once(Kind::Latency { ms: 60 }));
    assert_eq!(api.get(LIST).await.0, 200);
    assert!(begun.elapsed() >= Duration::from_millis(60));
    let whole = api.send("GET", LIST, None).await.bytes().await.unwrap();
    let begun = Instant::now();
    server.fault(Fault::once(Kind::Drip { chunk: whole.len() / 4, every_ms: 20 }));
    let dripped = api.send("GET", LIST, None).await.bytes().await.unwrap();
    assert_eq!(dripped, whole);
    assert!(begun.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_fault_in_a_header_meets_its_request_alone() {
    let (_server, api) = setup("header").await;
    let with = |fault: &'static str| api.request("GET", LIST).header("x-mock-fault", fault).send();
    assert_eq!(with(r#"{"kind":"status","status":502}"#).await.unwrap().status(), 502);
    assert_eq!(with("rate_limited").await.unwrap().status(), 429);
    assert!(with("drop_before").await.is_err());
    assert_eq!(api.get(LIST).await.0, 200);
}

#[tokio::test]
async fn limits_count_per_account() {
    let (server, api) = setup("counted").await;
    let limit = Some(RateLimit { max: 2, window_ms: 60_000 });
    server.set_settings(
        Vendor::Hubspot,
        "counted",
        AccountSettings { rate_limit: limit, search_limit: limit, ..AccountSettings::default() },
    );
    let first = api.send("GET", LIST, None).await;
    assert_eq!(first.headers()["x-hubspot-ratelimit-remaining"], "1");
    assert_eq!([api.get(LIST).await.0, api.get(LIST).await.0], [200, 429]);
    let search = format!("{LIST}/search");
    assert_eq!(api.post(&search, json!({})).await.0, 200);
    assert_eq!(api.post(&search, json!({})).await.0, 200);
    let (status, body) = api.post(&search, json!({})).await;
    assert_eq!(
        (status, &body["policyName"], &body["message"]),
        (429, &json!("SECONDLY"), &json!("You have reached your secondly limit."))
    );
    assert_eq!(Api::new(&server.hubspot_url(), "pat-test-other").get(LIST).await.0, 200);
}

#[tokio::test]
async fn accounts_are_apart_and_reset_forgets() {
    let (server, one) = setup("one").await;
    let two = Api::new(&server.hubspot_url(), "pat-test-two");
    server
        .insert_record(Vendor::Hubspot, "one", "contacts", &members(json!({ "email": "a@x.example" })))
        .unwrap();
    assert_eq!(two.get(LIST).await.1["results"], json!([]));
    assert_eq!(one.get(LIST).await.1["results"].as_array().unwrap().len(), 1);
    assert_eq!(one.post(LIST, json!({ "properties": { "email": "a@x.example" } })).await.0, 409);
    assert_eq!(two.post(LIST, json!({ "properties": { "email": "a@x.example" } })).await.0, 201);
    server.reset();
    assert_eq!(one.get(LIST).await.1["results"], json!([]));
}

#[tokio::test]
async fn scopes_can_be_missing() {
    let (server, api) = setup("scopes").await;
    let forbidden = AccountSettings {
        forbidden_paths: vec!["/crm/v3/objects/deals*".to_owned()],
        ..AccountSettings::default()
    };
    server.set_settings(Vendor::Hubspot, "scopes", forbidden);
    let (status, body) = api.get("/crm/v3/objects/deals").await;
    assert_eq!((status, &body["category"]), (403, &json!("MISSING_SCOPES")));
    assert_eq!(api.get(LIST).await.0, 200);
}

#[tokio::test]
async fn search_sees_new_records_late_where_asked() {
    let (server, api) = setup("lag").await;
    server.set_settings(
        Vendor::Hubspot,
        "lag",
        AccountSettings { search_lag_ms: 60_000, ..AccountSettings::default() },
    );
    assert_eq!(api.post(LIST, json!({ "properties": { "email": "a@x.example" } })).await.0, 201);
    assert_eq!(api.post(&format!("{LIST}/search"), json!({})).await.1["total"], 0);
    assert_eq!(api.get(LIST).await.1["results"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_controls_work_over_http() {
    let (server, api) = setup("http").await;
    let controls = Api::new(server.base_url(), "");
    let (_, seeded) = controls
        .post(
            "/__mock/seed",
            json!({ "vendor": "hubspot", "account": "http", "object": "contacts", "count": 4 }),
        )
        .await;
    assert_eq!(seeded["ids"].as_array().unwrap().len(), 4);
    let record =
        json!({ "vendor": "pipedrive", "account": "http", "object": "persons", "fields": { "name": "P" } });
    assert!(controls.post("/__mock/records", record).await.1["id"].is_string());
    let fault = json!({ "kind": "status", "status": 500, "times": 1, "vendor": "hubspot", "path": "/crm/*" });
    assert_eq!(controls.post("/__mock/faults", fault).await.0, 200);
    assert_eq!([api.get(LIST).await.0, api.get(LIST).await.0], [500, 200]);
    let (_, journal) = controls.get("/__mock/journal?vendor=hubspot&account=http&status=500").await;
    assert_eq!(journal["entries"].as_array().unwrap().len(), 1);
    assert_eq!(journal["entries"][0]["path"], LIST);
    let (_, tokens) = controls
        .post("/__mock/tokens", json!({ "vendor": "hubspot", "account": "http", "lifetime_s": -1 }))
        .await;
    assert_eq!(
        Api::new(&server.hubspot_url(), tokens["access_token"].as_str().unwrap()).get(LIST).await.0,
        401
    );
    let settings =
        json!({ "vendor": "hubspot", "account": "http", "rate_limit": { "max": 0, "window_ms": 1000 } });
    assert_eq!(controls.post("/__mock/settings", settings).await.0, 200);
    assert_eq!(api.get(LIST).await.0, 429);
    assert_eq!(controls.post("/__mock/reset", json!({})).await.0, 200);
    assert_eq!(api.get(LIST).await.1["results"], json!([]));
    assert_eq!(controls.delete("/__mock/journal").await, 200);
    assert_eq!(controls.get("/__mock/journal").await.1["entries"], json!([]));
    assert_eq!(controls.status("GET", "/elsewhere").await, 404);
}

#[tokio::test]
async fn a_test_can_wait_for_a_request() {
    let (server, api) = setup("wait").await;
    let filter = Filter::account(Vendor::Hubspot, "wait");
    assert!(!server.wait_for(&filter, 1, Duration::from_millis(20)).await);
    let (seen, _) = tokio::join!(server.wait_for(&filter, 1, Duration::from_secs(5)), api.get(LIST));
    assert!(seen);
}

#[tokio::test]
async fn http_2_works_too() {
    let (server, _) = setup("h2").await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let reply = client
        .get(format!("{}{LIST}", server.hubspot_url()))
        .bearer_auth("pat-test-h2")
        .send()
        .await
        .unwrap();
    assert_eq!((reply.version(), reply.status().as_u16()), (reqwest::Version::HTTP_2, 200));
    server.fault(Fault::once(Kind::DropBefore));
    assert!(
        client
            .get(format!("{}{LIST}", server.hubspot_url()))
            .bearer_auth("pat-test-h2")
            .send()
            .await
            .is_err()
    );
}
