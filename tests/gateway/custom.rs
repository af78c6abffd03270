//! Custom fields: of every type, by id and by name, refused with the CRM's own definition before anything is sent.

use crosswalk::model::{AppId, ConsumerId};
use mock_server::faults::{Fault, Kind as FaultKind};
use mock_server::journal::Filter;
use serde_json::{Value, json};

use super::harness::{SERVICES, World, vendor};

/// What each connector's fields take: name, what is written, what is read back.
fn values(service: &str) -> Vec<(&'static str, Value, Value)> {
    let same = |name, value: Value| (name, value.clone(), value);
    match service {
        "hubspot" => vec![
            ("Customer tier", json!("Gold"), json!("gold")),
            ("Interests", json!(["Chess", "cooking"]), json!(["chess", "cooking"])),
            same("Preferred channel", json!("email")),
            same("VIP", json!(true)),
            same("Newsletter", json!(false)),
            ("Loyalty points", json!("12.5"), json!(12.5)),
            same("Contract notes", json!("one\ntwo")),
            same("Biography", json!("<p>Born in 1815</p>")),
            same("Nickname", json!("日本 \"Ada\"")),
            same("Renewal date", json!("2031-05-17")),
            ("Last survey at", json!("2031-05-17T11:30:00+02:00"), json!("2031-05-17T09:30:00.000Z")),
            same("Contract file", json!("123456789")),
            same("Backup phone", json!("+44 20 7946 0958")),
        ],
        _ => vec![
            same("Nickname", json!("日本 \"Ada\"")),
            same("Source system", json!("import")),
            same("Remarks", json!("one\ntwo")),
            same("Score", json!(12.5)),
            same("Yearly budget", json!({"amount": 1250, "currency": "JPY"})),
            same("Renewal date", json!("2031-05-17")),
            same("Backup phone", json!("+44 20 7946 0958")),
            ("Best time to call", json!("09:30"), json!("09:30:00")),
            same("Office hours", json!({"start": "09:00:00", "end": "17:30:00"})),
            same("Contract period", json!({"start": "2031-01-01", "end": "2031-12-31"})),
            same("Newsletter", json!(true)),
        ],
    }
}

/// The custom field of a record with that name.
fn field<'r>(record: &'r Value, name: &str) -> Option<&'r Value> {
    record["custom_fields"].as_array().unwrap().iter().find(|field| field["name"] == name)
}

/// The faults of a refusal: pointer and message.
fn faults(error: &Value) -> Vec<(String, String)> {
    let errors = error["detail"]["errors"].as_array().or(error["detail"].as_array());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let errors = errors.unwrap_or_else(|| panic!("no list of faults: {error:#}"));
    errors.iter().map(|fault| (text(&fault["pointer"]), text(&fault["message"]))).collect()
}

#[tokio::test]
async fn every_type_is_written_by_name_and_read_back_typed_and_written_by_id() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "typed").await;
        let fields: Vec<Value> =
            values(service).iter().map(|(name, value, _)| json!({"name": name, "value": value})).collect();
        let body = json!({"first_name": "Ada", "last_name": "Lovelace", "custom_fields": fields});
        let ask = |method: &str, path: &str| world.ask(method, path).of(service).consumer("typed");
        let made = ask("POST", "/crm/contacts").body(body).send().await.ok();
        let path = format!("/crm/contacts/{}", made["data"]["id"].as_str().unwrap());
        let record = ask("GET", &path).send().await.ok()["data"].clone();
        for (name, _, read) in values(service) {
            let field = field(&record, name).unwrap_or_else(|| panic!("{service} {name}: {record:#}"));
            assert_eq!(field["value"], read, "{service} {name}");
            assert!(field["id"].is_string() && field.get("description").is_some(), "{field}");
        }
        // What was read is taken again, by id and without its name; null clears one of them.
        let mut again: Vec<Value> = record["custom_fields"].as_array().unwrap().clone();
        for field in &mut again {
            field.as_object_mut().unwrap().remove("name");
        }
        let cleared = again[0]["id"].clone();
        again[0]["value"] = Value::Null;
        ask("PATCH", &path).body(json!({"custom_fields": again})).send().await.ok();
        let after = ask("GET", &path).send().await.ok()["data"].clone();
        let kept = after["custom_fields"].as_array().unwrap();
        assert_eq!(kept.len(), values(service).len() - 1, "{service} {kept:#?}");
        assert!(kept.iter().all(|field| field["id"] != cleared), "{service}");
        for field in kept {
            let before =
                record["custom_fields"].as_array().unwrap().iter().find(|old| old["id"] == field["id"]);
            assert_eq!(Some(field), before, "{service}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn references_are_ids() {
    let world = World::start().await;
    let owner =
        world.get("/crm/users").of("hubspot").query("limit", 1).send().await.ok()["data"][0]["id"].clone();
    let user =
        world.get("/crm/users").of("pipedrive").query("limit", 1).send().await.ok()["data"][0]["id"].clone();
    for (service, id) in [("hubspot", &owner), ("pipedrive", &user)] {
        let name = "Account manager";
        let body =
            json!({"first_name": "A", "last_name": "B", "custom_fields": [{"name": name, "value": id}]});
        let made = world.ask("POST", "/crm/contacts").of(service).body(body).send().await.ok();
        let path = format!("/crm/contacts/{}", made["data"]["id"].as_str().unwrap());
        let record = world.get(&path).of(service).send().await.ok()["data"].clone();
        assert_eq!(field(&record, name).unwrap()["value"], *id, "{service}");
    }
    world.stop().await;
}

#[tokio::test]
async fn every_fault_is_told_at_once_and_nothing_is_sent() {
    let world = World::start().await;
    /// A field of the body, the part of it that the fault points to, and what its sentence says.
    type Row = (Value, &'static str, &'static str);
    let table: [(&str, Vec<Row>); 2] = [
        (
            "hubspot",
            vec![
                (
                    json!({"name": "Loyalty points", "value": "many"}),
                    "/value",
                    "`Loyalty points` takes a number",
                ),
                (json!({"id": "vip", "value": "perhaps"}), "/value", "`VIP` takes true or false"),
                (
                    json!({"id": "customer_tier", "value": "platinum"}),
                    "/value",
                    "takes one of `gold` (Gold), `silver` (Silver), `bronze` (Bronze)",
                ),
                (json!({"id": "interests", "value": ["chess", "chest"]}), "/value", "did you mean `chess`?"),
                (json!({"id": "renewal_date", "value": "17/05/2031"}), "/value", "a date such as 2031-05-17"),
                (json!({"id": "last_survey_at", "value": "2031-05-17"}), "/value", "a point in time"),
                (json!({"id": "nickname", "value": 5}), "/value", "`Nickname` takes text"),
                (
                    json!({"id": "biography", "value": "x".repeat(65_537)}),
                    "/value",
                    "at most 65536 characters",
                ),
                (json!({"id": "account_score", "value": 5}), "/id", "the CRM computes `Account score`"),
                (json!({"id": "nicknam", "value": "A"}), "/id", "did you mean `nickname`?"),
                (json!({"name": "Nick name", "value": "A"}), "/name", "did you mean `Nickname`?"),
                (json!({"id": "firstname", "value": "A"}), "/id", "one of the CRM's own fields"),
                (json!({"name": "vip", "value": false}), "", "names this field twice"),
            ],
        ),
        (
            "pipedrive",
            vec![
                (json!({"name": "Score", "value": "many"}), "/value", "`Score` takes a number"),
                (json!({"name": "Tier", "value": "Platinum"}), "/value", "(Gold)"),
                (json!({"name": "Interests", "value": "Chest"}), "/value", "did you mean `Chess`?"),
                (
                    json!({"name": "Yearly budget", "value": {"amount": 1.5, "currency": "EUR"}}),
                    "/value",
                    "smallest unit",
                ),
                (json!({"name": "Renewal date", "value": "soon"}), "/value", "a date such as 2031-05-17"),
                (
                    json!({"name": "Best time to call", "value": "noon"}),
                    "/value",
                    "a time of day such as 09:30:00",
                ),
                (json!({"name": "Office hours", "value": "all day"}), "/value", "two times of day"),
                (
                    json!({"name": "Contract period", "value": {"start": "2031-02-01", "end": "2031-01-01"}}),
                    "/value",
                    "ends before it starts",
                ),
                (json!({"name": "Nickname", "value": "x".repeat(256)}), "/value", "at most 255 characters"),
                (json!({"name": "Account manager", "value": "Ada"}), "/value", "the id of a user"),
                (json!({"name": "Second address", "value": 5}), "/value", "an address"),
                (json!({"name": "Newsletter", "value": 1}), "/value", "`Newsletter` takes true or false"),
                (json!({"name": "Nicknam", "value": "A"}), "/name", "did you mean `Nickname`?"),
            ],
        ),
    ];
    for (service, rows) in table {
        world.connect(service, "strict").await;
        let fields: Vec<Value> = rows.iter().map(|(field, ..)| field.clone()).collect();
        let body = json!({"first_name": "Ada", "custom_fields": fields});
        let ask = || world.ask("POST", "/crm/contacts").of(service).consumer("strict");
        let error = ask().body(body).send().await.fails(400, "RequestValidationError");
        let told = faults(&error);
        assert_eq!(told.len(), rows.len(), "{service} {told:#?}");
        for (index, ((_, part, says), (pointer, message))) in rows.iter().zip(&told).enumerate() {
            assert_eq!(*pointer, format!("/custom_fields/{index}{part}"), "{service} {message}");
            assert!(message.contains(says), "{service}: `{message}` lacks `{says}`");
        }
        let sent = world.mock.journal(&Filter::account(vendor(service), "strict").method("POST"));
        assert!(sent.is_empty(), "{sent:#?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_name_that_two_fields_have_needs_the_id() {
    let world = World::start().await;
    world.connect("hubspot", "twins").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for name in ["score_a", "score_b"] {
        let property = json!({"name": name, "label": "Score", "type": "number", "fieldType": "number", "groupName": "x"});
        let url = format!("{}/crm/v3/properties/contacts", world.mock.hubspot_url());
        let reply =
            client.post(url).header("authorization", "Bearer pat-test-twins").json(&property).send().await;
        assert!(reply.unwrap().status().is_success());
    }
    let ask = |field: Value| {
        let body = json!({"first_name": "Ada", "custom_fields": [field]});
        world.ask("POST", "/crm/contacts").of("hubspot").consumer("twins").body(body).send()
    };
    let error = ask(json!({"name": "Score", "value": 5})).await.fails(400, "RequestValidationError");
    let (pointer, message) = faults(&error).remove(0);
    assert_eq!(pointer, "/custom_fields/0/name");
    assert!(message.contains("`score_a`") && message.contains("`score_b`"), "{message}");
    ask(json!({"id": "score_b", "name": "Score", "value": 5})).await.ok();
    world.stop().await;
}

#[tokio::test]
async fn many_first_calls_are_one_discovery_and_a_refused_call_is_none() {
    let world = World::start().await;
    for (service, fields) in [("hubspot", "*/crm/v3/properties/contacts"), ("pipedrive", "*/v2/personFields")]
    {
        world.connect(service, "flight").await;
        let discoveries = Filter::account(vendor(service), "flight").path(fields);
        let asked = Filter::account(vendor(service), "flight");
        let get = || world.get("/crm/contacts").of(service).consumer("flight");
        for _ in 0..2 {
            let bad = get().query("filter[status]", "x").query("sort[by]", "status").send().await;
            assert_eq!(bad.status, 400, "{:#}", bad.body);
        }
        if service == "pipedrive" {
            let body = json!({"owner_id": "ada", "custom_fields": [{"name": "Nickname", "value": "A"}]});
            let bad =
                world.ask("POST", "/crm/contacts").of(service).consumer("flight").body(body).send().await;
            bad.fails(400, "RequestValidationError");
        }
        assert_eq!(world.mock.count(&asked), 0, "{service}: a refused call reached the CRM");
        // The discovery is slow enough that all calls are there before it ends.
        world.mock.fault(
            Fault::once(FaultKind::Latency { ms: 300 }).of(vendor(service), "flight").on("GET", fields),
        );
        let calls = (0..12).map(|_| get().send());
        for reply in futures_util::future::join_all(calls).await {
            reply.ok();
        }
        assert_eq!(world.mock.count(&discoveries), 1, "{service}");
    }
    world.stop().await;
}

#[tokio::test]
async fn without_definitions_ids_are_written_as_they_are_and_names_are_refused() {
    let world = World::start().await;
    world.connect("hubspot", "blind").await;
    let down = Fault::always(FaultKind::Status { status: 500, body: None, retry_after_s: None });
    world.mock.fault(down.on("GET", "*/crm/v3/properties/*"));
    let ask = |field: Value| {
        let body = json!({"first_name": "Ada", "custom_fields": [field]});
        world.ask("POST", "/crm/contacts").of("hubspot").consumer("blind").body(body).send()
    };
    let error = ask(json!({"name": "Nickname", "value": "A"})).await.fails(400, "RequestValidationError");
    assert!(faults(&error)[0].1.contains("`id` is needed"), "{error:#}");
    let made = ask(json!({"id": "nickname", "value": "A"})).await.ok();
    assert!(made["meta"]["warnings"].to_string().contains("DiscoveryWarning"), "{made:#}");
    let sent = world.mock.journal(&Filter::account(vendor("hubspot"), "blind").method("POST"));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].json()["properties"]["nickname"], "A");
    world.stop().await;
}

#[tokio::test]
async fn custom_objects_are_checked_against_their_schema() {
    let world = World::start().await;
    world.connect("hubspot", "schemed").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let property = |name: &str, label: &str, kind: &str, shown: &str| json!({"name": name, "label": label, "type": kind, "fieldType": shown});
    let schema = json!({
        "name": "car", "labels": {"singular": "Car", "plural": "Cars"}, "primaryDisplayProperty": "plate",
        "requiredProperties": ["plate"],
        "properties": [property("plate", "Plate", "string", "text"), property("seats", "Seats", "number", "number"),
            property("sold", "Sold", "bool", "booleancheckbox"), property("bought", "Bought", "date", "date")],
    });
    let url = format!("{}/crm-object-schemas/v3/schemas", world.mock.hubspot_url());
    let reply = client
        .post(url)
        .header("authorization", "Bearer pat-test-schemed")
        .json(&schema)
        .send()
        .await
        .unwrap();
    assert!(reply.status().is_success(), "{}", reply.text().await.unwrap());
    let made: Value = reply.json().await.unwrap();
    let path = format!("/crm/custom-objects/{}", made["objectTypeId"].as_str().unwrap());
    let create = |fields: Value| {
        world.ask("POST", &path).of("hubspot").consumer("schemed").body(json!({"fields": fields})).send()
    };
    let error = create(json!([{"name": "seats", "value": "four"}, {"name": "sold", "value": "maybe"},
        {"name": "bought", "value": "2031-02-30"}, {"name": "plat", "value": "x"}]))
    .await
    .fails(400, "RequestValidationError");
    let told = faults(&error);
    let pointers: Vec<&str> = told.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(
        pointers,
        ["/fields/0/value", "/fields/1/value", "/fields/2/value", "/fields/3/name", "/fields"],
        "{told:#?}"
    );
    assert!(told[4].1.contains("a new record must have `Plate` (`plate`), which takes text"), "{told:#?}");
    // Required also where the body names no field at all.
    let error = world.ask("POST", &path).of("hubspot").consumer("schemed").body(json!({})).send().await;
    assert_eq!(faults(&error.fails(400, "RequestValidationError")).len(), 1);
    let fields = json!([{"name": "plate", "value": "B-AL 1815"}, {"name": "seats", "value": "4"},
        {"name": "sold", "value": "true"}, {"name": "bought", "value": "2031-02-28"}]);
    let id = create(fields.clone()).await.ok()["data"]["id"].as_str().unwrap().to_owned();
    let record = world.get(&format!("{path}/{id}")).of("hubspot").consumer("schemed").send().await.ok();
    for field in fields.as_array().unwrap() {
        let read = record["data"]["fields"].as_array().unwrap();
        assert!(read.contains(field), "{field} {read:#?}");
    }
    let clear = json!({"fields": [{"name": "plate", "value": null}]});
    let patch = world
        .ask("PATCH", &format!("{path}/{id}"))
        .of("hubspot")
        .consumer("schemed")
        .body(clear)
        .send()
        .await;
    assert_eq!(patch.status, 400, "{:#}", patch.body);
    world.stop().await;
}

/// A custom mapping of a consumer: the path that its connection has for a target field.
fn at(service: &str, target: &str) -> String {
    format!("/vault/custom-mappings/crm/{service}/{target}")
}

#[tokio::test]
async fn custom_mappings_are_read_written_kept_and_nobody_elses() {
    let mut world = World::start().await;
    for (service, typed) in [("hubspot", json!(42)), ("pipedrive", json!(42))] {
        for consumer in ["mapped", "other"] {
            world.connect(service, consumer).await;
        }
        let fields = world
            .get(&format!("/vault/connections/crm/{service}/contacts/custom-fields"))
            .consumer("mapped")
            .send()
            .await
            .ok();
        let wanted = if service == "hubspot" { "Loyalty points" } else { "Score" };
        let field = fields["data"].as_array().unwrap().iter().find(|field| field["name"] == wanted).unwrap();
        let path = field["finder"].as_str().unwrap();
        let ask = |method: &str, target: &str| world.ask(method, &at(service, target)).consumer("mapped");

        // A path that is none is told with its position; a resource without custom mappings, an id that is none.
        let error = ask("POST", "crm+contacts+score").body(json!({"value": "$.properties.["})).send().await;
        let error = error.fails(400, "RequestValidationError");
        assert_eq!(faults(&error)[0].0, "/value");
        assert!(faults(&error)[0].1.contains("character 14"), "{error:#}");
        ask("POST", "crm+nothing+score")
            .body(json!({"value": "$.id"}))
            .send()
            .await
            .fails(404, "EntityNotFoundError");
        ask("GET", "lead_score").send().await.fails(404, "EntityNotFoundError");
        ask("PATCH", "crm+contacts+score")
            .body(json!({"value": path}))
            .send()
            .await
            .fails(404, "EntityNotFoundError");

        let made = ask("POST", "crm+contacts+score").body(json!({"value": path})).send().await.ok();
        assert_eq!(made["data"]["value"], path);
        ask("POST", "crm+contacts+score")
            .body(json!({"value": path}))
            .send()
            .await
            .fails(409, "ConflictError");
        let everything = if service == "hubspot" { "$.properties" } else { "$" };
        for (target, path) in [
            ("crm+contacts+nothing", "$.not.there".to_owned()),
            (
                "crm+contacts+several",
                format!("{everything}['firstname','lastname','first_name','last_name']"),
            ),
            ("crm+contacts+first", format!("{everything}['firstname','first_name']")),
        ] {
            ask("POST", target).body(json!({"value": path})).send().await.ok();
        }

        let call = |method: &str, path: &str| world.ask(method, path).of(service).consumer("mapped");
        let body = json!({"first_name": "Ada", "last_name": "Lovelace", "custom_mappings": {"score": 42}});
        let id = call("POST", "/crm/contacts").body(body).send().await.ok()["data"]["id"].clone();
        let one = format!("/crm/contacts/{}", id.as_str().unwrap());
        let expected =
            json!({"first": "Ada", "nothing": null, "score": typed, "several": ["Ada", "Lovelace"]});
        let read = call("GET", &one).send().await.ok();
        assert_eq!(read["data"]["custom_mappings"], expected, "{service}");
        let page = call("GET", "/crm/contacts").send().await.ok();
        assert_eq!(page["data"][0]["custom_mappings"], expected, "{service}");
        // Asked for alone, the property is asked of the CRM all the same.
        let few = call("GET", "/crm/contacts").query("fields", "id,custom_mappings.score").send().await.ok();
        assert_eq!(few["data"][0], json!({"id": id, "custom_mappings": {"score": typed}}), "{service}");
        let none = call("GET", &one).query("fields", "id,first_name").send().await.ok();
        assert_eq!(none["data"], json!({"id": id, "first_name": "Ada"}));

        // Faults of a write, all at once, and nothing is sent.
        let bad = json!({"custom_mappings": {"score": "high", "several": "x", "unknown": 1}});
        let error = call("PATCH", &one).body(bad).send().await.fails(400, "RequestValidationError");
        let told: Vec<String> = faults(&error).into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(
            told,
            ["/custom_mappings/score", "/custom_mappings/several", "/custom_mappings/unknown"],
            "{error:#}"
        );
        let twice = json!({"custom_mappings": {"score": 1}, "custom_fields": [{"name": wanted, "value": 2}]});
        call("PATCH", &one).body(twice).send().await.fails(400, "RequestValidationError");
        call("PATCH", &one).body(json!({"custom_mappings": {"score": null}})).send().await.ok();
        assert_eq!(call("GET", &one).send().await.ok()["data"]["custom_mappings"]["score"], Value::Null);
        call("PATCH", &one).body(json!({"custom_mappings": {"score": 7}})).send().await.ok();

        // Another consumer of the same application has the target fields, and no paths.
        let others =
            world.get(&format!("/vault/custom-mappings/crm/{service}")).consumer("other").send().await.ok();
        let others = others["data"].as_array().unwrap();
        assert_eq!(others.len(), 4);
        assert!(others.iter().all(|mapping| mapping.get("value").is_none()), "{others:#?}");
        let body = json!({"first_name": "Eve", "custom_mappings": {"score": 1}});
        let told =
            world.ask("POST", "/crm/contacts").of(service).consumer("other").body(body).send().await.ok();
        assert!(told["meta"]["warnings"].to_string().contains("custom_mappings"), "{told:#}");
        let page = world.get("/crm/contacts").of(service).consumer("other").send().await.ok();
        assert!(page["data"][0].get("custom_mappings").is_none(), "{page:#}");
        let sources = world
            .get(&format!("/vault/connections/crm/{service}/contacts/custom-mappings"))
            .consumer("mapped")
            .send()
            .await
            .ok();
        assert_eq!(sources["data"].as_array().unwrap().len(), 4);
    }
    // Another application sees none of it.
    let strangers = AppId::new("strangers");
    world.store.create_application(&strangers, "Strangers").await.unwrap();
    assert!(world.store.mapping_targets(&strangers, None).await.unwrap().is_empty());
    assert!(world.store.mapping_sources(&strangers, &ConsumerId::new("mapped")).await.unwrap().is_empty());

    world = world.restart().await;
    for service in SERVICES {
        let page = world.get("/crm/contacts").of(service).consumer("mapped").send().await.ok();
        assert_eq!(page["data"][0]["custom_mappings"]["score"], 7, "{service}");
        let ask = |method: &str| world.ask(method, &at(service, "crm+contacts+score")).consumer("mapped");
        ask("PATCH").body(json!({"value": "$.id"})).send().await.ok();
        let page = world.get("/crm/contacts").of(service).consumer("mapped").send().await.ok();
        let id = page["data"][0]["custom_mappings"]["score"].clone();
        assert_eq!(
            id.as_str().map_or(id.to_string(), str::to_owned),
            page["data"][0]["id"].as_str().unwrap()
        );
        assert_eq!(ask("DELETE").send().await.status, 204);
        ask("DELETE").send().await.fails(404, "EntityNotFoundError");
        let page = world.get("/crm/contacts").of(service).consumer("mapped").send().await.ok();
        assert!(page["data"][0]["custom_mappings"].get("score").is_none(), "{page:#}");
    }
    world.stop().await;
}

#[tokio::test]
async fn custom_mappings_ask_for_no_more_than_they_need_and_cost_others_nothing() {
    // The request log is written behind the calls, in its own time.
    let world = World::with(|settings| settings.request_log.enabled = false).await;
    world.connect("hubspot", "lean").await;
    let asked = |consumer: &str| {
        let sent =
            world.mock.journal(&Filter::account(vendor("hubspot"), consumer).path("*/objects/contacts"));
        sent.last().unwrap().query.clone().unwrap_or_default()
    };
    let get = || world.get("/crm/contacts").of("hubspot").consumer("lean").query("fields", "id,first_name");
    get().send().await.ok();
    let before = asked("lean");
    let target = at("hubspot", "crm+contacts+referrer");
    let body = json!({"value": "$.properties.hs_analytics_last_referrer"});
    world.ask("POST", &target).consumer("lean").body(body).send().await.ok();
    get().send().await.ok();
    assert_eq!(asked("lean"), before);
    let queries = world.store.queries();
    world
        .get("/crm/contacts")
        .of("hubspot")
        .consumer("lean")
        .query("fields", "id,custom_mappings")
        .send()
        .await
        .ok();
    assert!(asked("lean").contains("hs_analytics_last_referrer"), "{}", asked("lean"));
    assert_eq!(world.store.queries(), queries, "a call asked the database");
    world.stop().await;
}
