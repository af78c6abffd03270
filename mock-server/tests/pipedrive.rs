//! Pipedrive over real sockets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use mock_server::pipedrive::custom_field_key;
use mock_server::{MockServer, Vendor};
use serde_json::{Value, json};
use support::{Api, members};

async fn setup(account: &str) -> (MockServer, Api) {
    let server = MockServer::local().await.unwrap();
    let api = Api::new(&server.pipedrive_url(), &format!("test-{account}"));
    (server, api)
}

async fn every_page(api: &Api, path: &str) -> Vec<Value> {
    pages_after(api, path, "").await
}

async fn pages_after(api: &Api, path: &str, cursor: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = cursor.to_owned();
    loop {
        let (status, page) = api.get(&format!("{path}&cursor={cursor}")).await;
        assert_eq!(status, 200, "{page}");
        all.extend(page["data"].as_array().unwrap().clone());
        match page["additional_data"]["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return all,
        }
    }
}

#[tokio::test]
async fn the_demo_list_pages_through_every_record_once() {
    let server = MockServer::local().await.unwrap();
    let api = Api::new(&server.pipedrive_url(), "demo-pipedrive-token");
    for order in ["", "&sort_by=update_time", "&sort_by=add_time&sort_direction=desc"] {
        let rows = every_page(&api, &format!("/api/v2/persons?limit=300{order}")).await;
        let ids: std::collections::HashSet<u64> =
            rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
        assert_eq!((rows.len(), ids.len()), (2000, 2000), "{order}");
    }
}

#[tokio::test]
async fn a_cursor_holds_while_records_come_and_go() {
    let (server, api) = setup("cursor").await;
    let add = |name: &str, at: &str| {
        let fields = members(json!({ "name": name, "add_time": at, "update_time": at }));
        server.insert_record(Vendor::Pipedrive, "cursor", "persons", &fields).unwrap()
    };
    for (name, day) in [("A", 1), ("B", 2), ("C", 3), ("D", 4)] {
        add(name, &format!("2026-01-0{day}T00:00:00Z"));
    }
    let (_, first) = api.get("/api/v2/persons?sort_by=update_time&limit=2").await;
    let cursor = first["additional_data"]["next_cursor"].as_str().unwrap();
    add("before", "2026-01-01T12:00:00Z");
    let gone = first["data"][1]["id"].to_string();
    assert_eq!(api.delete(&format!("/api/v2/persons/{gone}")).await, 200);
    let rest = pages_after(&api, "/api/v2/persons?sort_by=update_time&limit=2", cursor).await;
    let names: Vec<&str> = rest.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["C", "D"]);
}

#[tokio::test]
async fn a_person_is_added_changed_and_deleted_softly() {
    let (_server, api) = setup("person").await;
    let body = json!({ "name": "Maya de la Cruz", "emails": [{ "value": "m@x.example" }, { "value": "n@x.example", "label": "home" }] });
    let (status, added) = api.post("/api/v2/persons", body).await;
    assert_eq!((status, &added["success"]), (200, &json!(true)));
    let person = &added["data"];
    assert_eq!((&person["first_name"], &person["last_name"]), (&json!("Maya"), &json!("de la Cruz")));
    assert_eq!(person["emails"][0], json!({ "value": "m@x.example", "primary": true, "label": "work" }));
    let path = format!("/api/v2/persons/{}", person["id"]);
    let key = custom_field_key("person", "Nickname");
    let (status, changed) = api.patch(&path, json!({ "custom_fields": { &key: "Mimi" } })).await;
    assert_eq!((status, &changed["data"]["custom_fields"][&key]), (200, &json!("Mimi")));
    assert_eq!(changed["data"]["emails"], person["emails"], "what is not mentioned stays");
    let (_, cleared) = api.patch(&path, json!({ "custom_fields": { &key: null }, "emails": [] })).await;
    assert_eq!(
        (&cleared["data"]["custom_fields"][&key], &cleared["data"]["emails"]),
        (&Value::Null, &json!([]))
    );
    let (status, deleted) = api.deleted(&path).await;
    assert_eq!((status, &deleted["data"]), (200, &json!({ "id": person["id"] })));
    assert_eq!(api.deleted(&path).await.0, 410);
    assert_eq!(api.get("/api/v2/persons").await.1["data"], json!([]));
    assert_eq!(api.get(&path).await.1["data"]["is_deleted"], true);
    assert_eq!(api.get("/api/v2/persons/1").await.0, 404);
}

#[tokio::test]
async fn writes_are_checked() {
    let (_server, api) = setup("checks").await;
    for (path, body) in [
        ("persons", json!({})),
        ("persons", json!({ "name": 7 })),
        ("persons", json!({ "name": "A", "first_name": "A" })),
        ("persons", json!({ "name": "A", "emails": "a@b.example" })),
        (
            "persons",
            json!({ "name": "A", "emails": [{ "value": "1", "primary": true }, { "value": "2", "primary": true }] }),
        ),
        (
            "persons",
            json!({ "name": "A", "custom_fields": { "0000000000000000000000000000000000000000": 1 } }),
        ),
        ("persons", json!({ "name": "A", "org_id": 5 })),
        ("persons", json!({ "name": "A", "owner_id": 5 })),
        ("deals", json!({ "title": "A", "status": "maybe" })),
        ("deals", json!({ "title": "A", "value": "12" })),
        ("deals", json!({ "title": "A", "expected_close_date": "tomorrow" })),
        ("activities", json!({ "subject": "A", "due_time": "noon" })),
    ] {
        let (status, reply) = api.post(&format!("/api/v2/{path}"), body.clone()).await;
        assert_eq!((status, &reply["success"]), (400, &json!(false)), "{body}: {reply}");
        assert!(reply["code"].as_str().unwrap().starts_with("ERR_"), "{reply}");
    }
    let tier = custom_field_key("person", "Tier");
    let (status, _) =
        api.post("/api/v2/persons", json!({ "name": "A", "custom_fields": { &tier: 1 } })).await;
    assert_eq!(status, 400, "not an option");
    let (_, field) = api.get(&format!("/api/v2/personFields/{tier}")).await;
    let option = &field["data"]["options"][1];
    let (status, made) =
        api.post("/api/v2/persons", json!({ "name": "A", "custom_fields": { &tier: option["id"] } })).await;
    assert_eq!((status, &made["data"]["custom_fields"][&tier]), (200, &option["id"]));
    let labelled =
        format!("/api/v2/persons/{}?include_option_labels=true&custom_fields={tier}", made["data"]["id"]);
    assert_eq!(api.get(&labelled).await.1["data"]["custom_fields"], json!({ &tier: option }));
}

#[tokio::test]
async fn lists_are_filtered_and_bounded() {
    let (server, api) = setup("filters").await;
    let organization = server
        .insert_record(Vendor::Pipedrive, "filters", "organizations", &members(json!({ "name": "O" })))
        .unwrap();
    let organization: u64 = organization.parse().unwrap();
    for (name, org, day) in
        [("A", json!(organization), 1), ("B", Value::Null, 2), ("C", json!(organization), 3)]
    {
        let at = format!("2026-01-0{day}T10:00:00Z");
        let fields = members(json!({ "name": name, "org_id": org, "add_time": at, "update_time": at }));
        server.insert_record(Vendor::Pipedrive, "filters", "persons", &fields).unwrap();
    }
    let names = |page: Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    for (query, expected) in [
        (format!("org_id={organization}"), vec!["A", "C"]),
        ("updated_since=2026-01-02T10:00:00Z".to_owned(), vec!["B", "C"]),
        ("updated_until=2026-01-02T10:00:00Z".to_owned(), vec!["A"]),
        ("sort_by=add_time&sort_direction=desc".to_owned(), vec!["C", "B", "A"]),
        ("ids=1,2".to_owned(), vec![]),
    ] {
        assert_eq!(names(api.get(&format!("/api/v2/persons?{query}")).await.1), expected, "{query}");
    }
    let many = (0..101).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    for query in [
        "limit=501",
        "limit=0",
        "limit=x",
        "sort_by=name",
        "sort_direction=up",
        "cursor=nonsense",
        "updated_since=2026-01-02T10:00:00.000Z",
        "org_id=x",
        &format!("ids={many}"),
    ] {
        let (status, reply) = api.get(&format!("/api/v2/persons?{query}")).await;
        assert_eq!((status, &reply["code"]), (400, &json!("ERR_SCHEMA_VALIDATION_FAILED")), "{query}");
    }
}

#[tokio::test]
async fn search_has_its_own_envelope() {
    let (server, api) = setup("search").await;
    for (name, mail) in [("Maya Stone", "maya@x.example"), ("Mayara Ånd", "other@x.example")] {
        let fields =
            members(json!({ "name": name, "emails": [{ "value": mail, "primary": true, "label": "work" }] }));
        server.insert_record(Vendor::Pipedrive, "search", "persons", &fields).unwrap();
    }
    let names = |page: &Value| -> Vec<String> {
        let items = page["data"]["items"].as_array().unwrap().iter();
        items.map(|one| one["item"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let (_, both) = api.get("/api/v2/persons/search?term=maya").await;
    assert_eq!(names(&both).len(), 2);
    assert!(both["data"]["items"][0]["result_score"].is_f64());
    let (_, one) = api.get("/api/v2/persons/search?term=MAYA@x.example&fields=email&exact_match=true").await;
    assert_eq!(names(&one), ["Maya Stone"]);
    assert_eq!(one["data"]["items"][0]["item"]["emails"], json!(["maya@x.example"]));
    let (_, none) = api.get("/api/v2/persons/search?term=maya&fields=name&exact_match=true").await;
    assert_eq!(names(&none), Vec::<String>::new());
    assert_eq!(api.get("/api/v2/persons/search?term=m").await.0, 400);
    assert_eq!(api.get("/api/v2/persons/search?term=m&exact_match=true").await.0, 200);
    let (_, first) = api.get("/api/v2/persons/search?term=maya&limit=1").await;
    let cursor = first["additional_data"]["next_cursor"].as_str().unwrap();
    let (_, second) = api.get(&format!("/api/v2/persons/search?term=maya&limit=1&cursor={cursor}")).await;
    assert_ne!(names(&first), names(&second));
    assert_eq!(second["additional_data"]["next_cursor"], Value::Null);
    let (_, items) = api.get("/api/v2/itemSearch?term=maya&item_types=person").await;
    assert_eq!(names(&items).len(), 2);
}

#[tokio::test]
async fn deals_follow_stage_and_status() {
    let (_server, api) = setup("deals").await;
    let (_, stages) = api.get("/api/v2/stages?pipeline_id=2").await;
    let stage = &stages["data"][1]["id"];
    let (_, deal) = api.post("/api/v2/deals", json!({ "title": "D", "stage_id": stage })).await;
    assert_eq!((&deal["data"]["pipeline_id"], &deal["data"]["status"]), (&json!(2), &json!("open")));
    let path = format!("/api/v2/deals/{}", deal["data"]["id"]);
    let (_, won) = api.patch(&path, json!({ "status": "won" })).await;
    assert!(won["data"]["won_time"].is_string() && won["data"]["close_time"].is_string());
    let (_, open) = api.patch(&path, json!({ "status": "open", "pipeline_id": 1 })).await;
    assert_eq!((&open["data"]["won_time"], &open["data"]["stage_id"]), (&Value::Null, &json!(1)));
    assert_eq!(api.get("/api/v2/deals?status=won").await.1["data"], json!([]));
    assert_eq!(api.delete(&path).await, 200);
    assert_eq!(api.get("/api/v2/deals?status=deleted").await.1["data"][0]["id"], deal["data"]["id"]);
}

#[tokio::test]
async fn activities_take_their_person_from_participants() {
    let (server, api) = setup("acts").await;
    let person =
        server.insert_record(Vendor::Pipedrive, "acts", "persons", &members(json!({ "name": "P" }))).unwrap();
    let person: u64 = person.parse().unwrap();
    assert_eq!(api.post("/api/v2/activities", json!({ "subject": "S", "person_id": person })).await.0, 400);
    let body = json!({ "subject": "S", "type": "meeting", "due_date": "2026-02-01", "due_time": "09:30", "participants": [{ "person_id": person }] });
    let (status, made) = api.post("/api/v2/activities", body).await;
    assert_eq!((status, &made["data"]["person_id"]), (200, &json!(person)));
    assert_eq!(made["data"]["due_time"], "09:30:00");
    let (_, done) =
        api.patch(&format!("/api/v2/activities/{}", made["data"]["id"]), json!({ "done": true })).await;
    assert!(done["data"]["marked_as_done_time"].is_string());
    assert_eq!(
        api.get(&format!("/api/v2/activities?person_id={person}&done=true")).await.1["data"][0]["subject"],
        "S"
    );
}

#[tokio::test]
async fn version_1_leads_notes_and_users() {
    let (server, api) = setup("v1").await;
    let person =
        server.insert_record(Vendor::Pipedrive, "v1", "persons", &members(json!({ "name": "P" }))).unwrap();
    let person: u64 = person.parse().unwrap();
    assert_eq!(
        api.post("/api/v1/leads", json!({ "title": "L" })).await.0,
        400,
        "a lead needs a person or organization"
    );
    let key = custom_field_key("deal", "Nickname");
    let body = json!({ "title": "L", "person_id": person, "value": { "amount": 5, "currency": "JPY" }, &key: "Lou" });
    let (status, lead) = api.post("/v1/leads", body).await;
    assert_eq!((status, &lead["data"][&key]), (201, &json!("Lou")));
    let path = format!("/api/v1/leads/{}", lead["data"]["id"].as_str().unwrap());
    let (_, changed) = api.patch(&path, json!({ "value": null, &key: null })).await;
    assert_eq!((&changed["data"]["value"], changed["data"].get(&key)), (&Value::Null, None));
    let (_, leads) = api.get("/api/v1/leads?limit=1").await;
    assert_eq!(
        leads["additional_data"],
        json!({ "pagination": { "start": 0, "limit": 1, "more_items_in_collection": false } })
    );
    assert_eq!(api.deleted(&path).await.1["data"]["id"], lead["data"]["id"]);
    let (status, missing) = api.get(&path).await;
    assert_eq!((status, &missing["error"]), (404, &json!("requested lead not found")));

    assert_eq!(api.post("/api/v1/notes", json!({ "content": "x" })).await.0, 400);
    let (status, note) =
        api.post("/api/v1/notes", json!({ "content": "<b>x</b>", "person_id": person })).await;
    assert_eq!((status, &note["data"]["person"]["name"]), (201, &json!("P")));
    let time = note["data"]["add_time"].as_str().unwrap();
    assert!(time.len() == 19 && time.as_bytes()[10] == b' ', "{time}");
    let path = format!("/api/v1/notes/{}", note["data"]["id"]);
    let (_, put) = api.put(&path, json!({ "content": "y" })).await;
    assert_eq!((&put["data"]["content"], &put["data"]["person_id"]), (&json!("y"), &json!(person)));
    assert_eq!(api.deleted(&path).await, (200, json!({ "success": true, "data": true })));
    assert_eq!(api.deleted(&path).await.0, 410);
    let (_, users) = api.get("/api/v1/users").await;
    assert_eq!((users["data"].as_array().unwrap().len(), users.get("additional_data")), (24, None));
    let (_, fields) = api.get("/api/v2/dealFields").await;
    assert!(fields["data"].as_array().unwrap().iter().any(|field| field["field_code"] == json!(key)));
}

#[tokio::test]
async fn the_token_can_come_three_ways() {
    let (server, api) = setup("ways").await;
    let ok = |builder: reqwest::RequestBuilder| async { builder.send().await.unwrap().status().as_u16() };
    assert_eq!(ok(api.plain("GET", "/api/v1/users").header("x-api-token", "test-ways")).await, 200);
    assert_eq!(ok(api.plain("GET", "/api/v1/users?api_token=test-ways")).await, 200);
    let tokens = server.mint_tokens(Vendor::Pipedrive, "ways", 60);
    assert_eq!(ok(api.plain("GET", "/api/v1/users").bearer_auth(&tokens.access_token)).await, 200);
    let reply = api.plain("GET", "/api/v1/users").header("x-api-token", "wrong").send().await.unwrap();
    assert_eq!(reply.status(), 401);
    let body: Value = reply.json().await.unwrap();
    assert_eq!((&body["error"], &body["errorCode"]), (&json!("unauthorized access"), &json!(401)));
}
