//! Lists: fields, filters, bad records, discovery, raw.

use mock_server::faults::Fault;
use mock_server::journal::Filter;
use serde_json::{Value, json};

use crate::harness::{SERVICES, World, ids, vendor};

#[tokio::test]
async fn fields_narrow_the_answer_with_dots() {
    let world = World::start().await;
    for service in SERVICES {
        let page = world
            .get("/crm/contacts")
            .of(service)
            .query("limit", 5)
            .query("fields", "id,name,emails.email")
            .send()
            .await
            .ok();
        for record in page["data"].as_array().unwrap() {
            let keys: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
            assert!(keys.iter().all(|key| ["id", "name", "emails"].contains(key)), "{service} {keys:?}");
            for email in record["emails"].as_array().into_iter().flatten() {
                assert_eq!(email.as_object().unwrap().keys().collect::<Vec<_>>(), ["email"], "{service}");
            }
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn filters_are_pushed_down() {
    let world = World::start().await;
    for service in SERVICES {
        let page = world.get("/crm/contacts").of(service).query("limit", 50).send().await.ok();
        let with_email = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|record| record["emails"][0]["email"].is_string())
            .unwrap();
        let email = with_email["emails"][0]["email"].as_str().unwrap();
        let found = world.get("/crm/contacts").of(service).query("filter[email]", email).send().await.ok();
        assert!(
            ids(&found).contains(&with_email["id"].as_str().unwrap().to_owned()),
            "{service}: {email} {found:#}"
        );
        assert!(found["data"].as_array().unwrap().len() < 20, "{service}");
        let since = with_email["updated_at"].as_str().unwrap();
        let found = world
            .get("/crm/contacts")
            .of(service)
            .query("filter[updated_since]", since)
            .query("limit", 200)
            .send()
            .await
            .ok();
        for record in found["data"].as_array().unwrap() {
            assert!(record["updated_at"].as_str().unwrap() >= since, "{service}");
        }
        // As the published SDKs say it: fractions of a second, an offset.
        for since in ["2020-01-02T03:04:05.602825Z", "2020-01-02T03:04:05.123+02:00"] {
            let found = world
                .get("/crm/contacts")
                .of(service)
                .query("filter[updated_since]", since)
                .send()
                .await
                .ok();
            assert_eq!(found["data"].as_array().unwrap().len(), 20, "{service} {since}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn filters_and_sorts_that_a_crm_lacks_are_typed_errors() {
    let world = World::start().await;
    let error = world.get("/crm/contacts").of("pipedrive").query("filter[first_name]", "Ada").send().await;
    let error = error.fails(400, "UnsupportedFiltersError");
    assert!(error["detail"]["supported"].as_array().unwrap().contains(&json!("email")), "{error:#}");
    let error = world.get("/crm/contacts").of("pipedrive").query("sort[by]", "email").send().await;
    let error = error.fails(400, "UnsupportedSortFieldError");
    assert_eq!(error["detail"]["supported"], json!(["created_at", "updated_at"]));
    // Each is known alone; together they are not.
    let error = world
        .get("/crm/contacts")
        .of("pipedrive")
        .query("filter[email]", "a@b.co")
        .query("filter[owner_id]", "1")
        .send()
        .await;
    error.fails(400, "UnsupportedFiltersError");
    world.stop().await;
}

#[tokio::test]
async fn one_bad_record_is_a_warning_and_never_a_lost_page() {
    use mock_server::faults::{BadShape, Kind as FaultKind};
    let world = World::start().await;
    for service in SERVICES {
        let good = world.get("/crm/contacts").of(service).query("limit", 20).send().await.ok();
        for shape in [BadShape::Null, BadShape::Text, BadShape::MissingId, BadShape::WrongTypes] {
            let path = if service == "hubspot" { "*/objects/contacts" } else { "*/persons" };
            world.mock.fault(Fault::once(FaultKind::BadRecord { at: 3, shape }).on("GET", path));
            let page = world.get("/crm/contacts").of(service).query("limit", 20).send().await.ok();
            let left: Vec<String> = ids(&page);
            assert!(left.len() >= 19, "{service} {shape:?}: {}", left.len());
            assert!(left.iter().all(|id| ids(&good).contains(id)), "{service} {shape:?}");
            assert!(!page["meta"]["warnings"].as_array().unwrap().is_empty(), "{service} {shape:?}");
            assert_eq!(page["meta"]["items_on_page"], json!(left.len()));
            let next = page["meta"]["cursors"]["next"].as_str().unwrap();
            let after = world
                .get("/crm/contacts")
                .of(service)
                .query("limit", 20)
                .query("cursor", next)
                .send()
                .await
                .ok();
            assert!(
                ids(&after).iter().all(|id| !ids(&good).contains(id)),
                "{service} {shape:?}: the cursor moved on"
            );
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn custom_fields_come_with_name_and_type_and_go_back_by_id_or_name() {
    let world = World::start().await;
    for service in SERVICES {
        let page = world.get("/crm/contacts").of(service).query("limit", 200).send().await.ok();
        let field = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|record| record["custom_fields"].as_array().unwrap())
            .find(|field| field["value"].is_string() && field["name"].is_string());
        let field =
            field.unwrap_or_else(|| panic!("{service}: no custom field has a text: {:#}", page["data"][0]));
        assert!(field["id"].is_string() && field["name"] != field["id"], "{field}");
    }
    world.stop().await;
}

#[tokio::test]
async fn without_discovery_the_page_is_still_served_with_a_warning() {
    use mock_server::faults::Kind as FaultKind;
    let world = World::start().await;
    world.mock.fault(
        Fault::always(FaultKind::Status { status: 500, body: None, retry_after_s: None })
            .on("GET", "*/crm/v3/properties/*"),
    );
    let page = world.get("/crm/contacts").of("hubspot").query("limit", 3).send().await.ok();
    assert_eq!(ids(&page).len(), 3);
    let warnings = page["meta"]["warnings"].to_string();
    assert!(warnings.contains("DiscoveryWarning"), "{warnings}");
    world.stop().await;
}

#[tokio::test]
async fn more_properties_than_a_url_holds_are_asked_for_in_parts() {
    let world = World::start().await;
    world.connect("hubspot", "wide").await;
    let token = "Bearer pat-test-wide";
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for number in 0..320 {
        let name = format!("a_rather_long_name_for_a_property_{number:04}");
        let property = json!({"name": name, "label": format!("Field {number}"), "type": "string", "fieldType": "text", "groupName": "contactinformation"});
        let reply = client
            .post(format!("{}/crm/v3/properties/contacts", world.mock.hubspot_url()))
            .header("authorization", token)
            .json(&property)
            .send()
            .await
            .unwrap();
        assert!(reply.status().is_success(), "{}", reply.text().await.unwrap());
    }
    let fields = json!({
        "email": "wide@example.com",
        "firstname": "Wide",
        "a_rather_long_name_for_a_property_0000": "first",
        "a_rather_long_name_for_a_property_0319": "last",
    });
    let id =
        world.mock.insert_record(vendor("hubspot"), "wide", "contacts", fields.as_object().unwrap()).unwrap();
    let value = |record: &Value, number: &str| {
        let fields = record["custom_fields"].as_array().unwrap().clone();
        fields
            .iter()
            .find(|field| field["id"].as_str().unwrap().ends_with(number))
            .map(|field| field["value"].clone())
    };
    let page = world.get("/crm/contacts").of("hubspot").consumer("wide").send().await.ok();
    let one = world.get(&format!("/crm/contacts/{id}")).of("hubspot").consumer("wide").send().await.ok();
    for record in [&page["data"][0], &one["data"]] {
        assert_eq!(record["first_name"], "Wide");
        assert!(page["meta"].get("warnings").is_none(), "{:#}", page["meta"]);
        assert_eq!(
            (value(record, "0000"), value(record, "0319")),
            (Some(json!("first")), Some(json!("last")))
        );
    }
    let longest = world.mock.journal(&Filter::account(vendor("hubspot"), "wide").method("GET"));
    let longest = longest.iter().map(|entry| entry.query.as_deref().map_or(0, str::len)).max().unwrap();
    assert!(longest < 8000, "{longest}");
    world.stop().await;
}

#[tokio::test]
async fn the_callers_trace_goes_on_to_the_crm() {
    let world = World::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    world.get("/crm/users").of("hubspot").header("traceparent", &parent).send().await.ok();
    let sent = world.mock.journal(&Filter::default().path("*/crm/v3/owners"));
    let sent = sent.last().unwrap().header("traceparent").unwrap().to_owned();
    assert!(sent.contains(trace) && !sent.contains("00f067aa0ba902b7"), "{sent}");
    world.stop().await;
}

#[tokio::test]
async fn raw_shows_what_the_crm_said() {
    let world = World::start().await;
    for (service, ask) in SERVICES.into_iter().flat_map(|service| [(service, true), (service, false)]) {
        let call = world.get("/crm/contacts").of(service).query("limit", 2);
        let page = if ask { call.query("raw", "true") } else { call.header("x-apideck-raw", "true") };
        let page = page.send().await.ok();
        assert!(page["_raw"].is_object(), "{service}");
        assert!(
            world
                .get("/crm/contacts")
                .of(service)
                .query("raw", "false")
                .send()
                .await
                .ok()
                .get("_raw")
                .is_none()
        );
    }
    world.stop().await;
}
