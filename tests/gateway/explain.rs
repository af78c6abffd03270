//! `explain=true`: every field says where it came from or why it has no value, over real sockets, from both CRMs.

use mock_server::faults::{Fault, Kind};
use serde_json::{Value, json};

use crate::harness::{SERVICES, World, ids, vendor};

/// What the demo's accounts have lists of.
const RESOURCES: [&str; 7] =
    ["contacts", "companies", "opportunities", "pipelines", "users", "notes", "activities"];

/// Every leaf of a record by its place, such as `emails[0].email`.
fn leaves(value: &Value, place: &str, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                leaves(value, &place, into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{place}[{index}]"), into);
            }
        }
        leaf => into.push((place.to_owned(), leaf.clone())),
    }
}

/// The entry of a place or of what is around it.
fn entry<'e>(explained: &'e Value, place: &str) -> Option<&'e Value> {
    let mut place = place;
    loop {
        if let Some(found) = explained["fields"].get(place) {
            return Some(found);
        }
        place = &place[..place.rfind(['.', '['])?];
    }
}

#[track_caller]
fn holds(record: &Value, explained: &Value) {
    assert_eq!(explained["id"], record["id"]);
    let mut all = Vec::new();
    leaves(record, "", &mut all);
    for (place, value) in all {
        let found =
            entry(explained, &place).unwrap_or_else(|| panic!("{place} of {record:#} is not explained"));
        if value.is_null() {
            let element = !place.ends_with(']') && explained["fields"].get(&place).is_none();
            assert!(found["absent"].is_string() || element, "{place} is null: {found:#}");
            continue;
        }
        if value == json!([]) || value == json!({}) || value == "" {
            continue;
        }
        assert!(found["absent"].is_null(), "{place} is {value}: {found:#}");
        let codec = found["codec"].as_str().unwrap();
        let mapped = found["rule"].as_str().unwrap();
        assert!(mapped.starts_with("mappings/") && mapped.contains(".yaml:"), "{mapped}");
        match codec {
            "constant" => assert_eq!(found["terms"]["value"], value, "{place}"),
            "text" | "id" | "boolean" if found["terms"].is_null() => {
                let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                assert!(found["step"].is_string() && found["path"].is_string(), "{place}: {found:#}");
                if found["cut"].is_null() {
                    assert_eq!(text(&found["raw"]), text(&value), "{place}: {found:#}");
                }
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_delivered_field_is_explained_and_nothing_else_changes() {
    let world = World::start().await;
    for service in SERVICES {
        for resource in RESOURCES {
            let path = format!("/crm/{resource}");
            let ask = || world.get(&path).of(service).query("limit", 15);
            let plain = ask().send().await;
            if plain.status == 501 {
                continue;
            }
            let plain = plain.ok();
            assert!(plain.get("_explain").is_none());
            let page = ask().query("explain", "true").send().await.ok();
            assert_eq!(page["data"], plain["data"], "{service} {resource}");
            let (records, told) = (page["data"].as_array().unwrap(), page["_explain"].as_array().unwrap());
            assert_eq!(records.len(), told.len(), "{service} {resource}");
            for (record, explained) in records.iter().zip(told) {
                holds(record, explained);
            }
            let Some(id) = ids(&page).pop() else { continue };
            let one =
                world.get(&format!("{path}/{id}")).of(service).query("explain", "true").send().await.ok();
            holds(&one["data"], &one["_explain"]);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn fields_narrow_what_is_asked_for() {
    let world = World::start().await;
    for service in SERVICES {
        let page = world
            .get("/crm/contacts")
            .of(service)
            .query("limit", 3)
            .query("fields", "id,emails.email")
            .query("explain", "true")
            .send()
            .await
            .ok();
        for (record, explained) in
            page["data"].as_array().unwrap().iter().zip(page["_explain"].as_array().unwrap())
        {
            holds(record, explained);
            assert_eq!(explained["fields"]["first_name"]["absent"], "not_asked_for", "{service}");
            assert_eq!(explained["fields"]["image"]["absent"], "not_mapped", "{service}");
            assert!(explained["fields"].get("emails[0].type").is_none(), "{service}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_follow_up_read_that_fails_is_why_a_field_is_null() {
    let world = World::start().await;
    let ask = || {
        let since = "1990-01-01T00:00:00Z";
        let ask = world.get("/crm/contacts").of("hubspot").query("limit", 20);
        ask.query("filter[created_since]", since).query("explain", "true")
    };
    let page = ask().send().await.ok();
    let with = page["data"].as_array().unwrap().iter();
    let with = with.clone().position(|record| record["opportunity_ids"][0].is_string()).unwrap();
    let entry = &page["_explain"][with]["fields"]["opportunity_ids[0]"];
    assert_eq!(entry["step"], "contacts.deals", "{entry:#}");
    assert_eq!(page["_explain"][with]["fields"]["first_name"]["step"], "contacts.list.search");
    let failure = Fault::always(Kind::Status { status: 500, body: None, retry_after_s: None });
    for resource in ["companies", "deals"] {
        let path = Some(format!("/crm/v4/associations/contacts/{resource}*"));
        world.mock.fault(Fault { vendor: Some(vendor("hubspot")), path, ..failure.clone() });
    }
    let page = ask().send().await.ok();
    let entry = &page["_explain"][with]["fields"]["opportunity_ids"];
    assert_eq!(entry["absent"], "step_failed", "{entry:#}");
    assert!(entry["says"].as_str().is_some_and(|says| says.contains("HubSpot")), "{entry:#}");
    assert_eq!(page["data"][with]["opportunity_ids"], json!(null));
    // What another reply has as well is taken from there, and said to be.
    let mut companies = page["_explain"].as_array().unwrap().iter().map(|told| &told["fields"]["company_id"]);
    let elsewhere = json!("properties.associatedcompanyid");
    assert!(companies.any(|entry| entry["absent"].is_null() && entry["path"] == elsewhere));
    world.stop().await;
}

#[tokio::test]
async fn null_is_told_from_never_sent_and_what_is_not_read_is_listed() {
    let world = World::start().await;
    for (service, object, fields) in [
        ("hubspot", "contacts", json!({"firstname": "Ada", "favourite_colour_nobody_declared": "blue"})),
        ("pipedrive", "persons", json!({"name": "Ada"})),
    ] {
        world.connect(service, "why").await;
        let id =
            world.mock.insert_record(vendor(service), "why", object, fields.as_object().unwrap()).unwrap();
        let path = format!("/crm/contacts/{id}");
        let one = world.get(&path).of(service).consumer("why").query("explain", "true").send().await.ok();
        let fields = one["_explain"]["fields"].as_object().unwrap();
        holds(&one["data"], &one["_explain"]);
        let absent = |reason: &str| fields.values().any(|entry| entry["absent"] == reason);
        assert!(
            absent("not_mapped") && (absent("null_downstream") || absent("missing_downstream")),
            "{service}"
        );
        assert!(
            !one["_explain"]["unread"].as_array().unwrap().is_empty(),
            "{service}: {:#}",
            one["_explain"]
        );
    }
    world.stop().await;
}
