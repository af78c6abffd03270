//! Mapping: a page of 100 HubSpot contacts to unified JSON, and a unified contact to HubSpot's. `cargo bench --bench mapping`.
//!
//! The baseline does the same reading the usual way: the page parsed into a tree, every record built as a tree, then written.

#![allow(clippy::panic, clippy::indexing_slicing)] // A benchmark that cannot start has nothing else to do.

use std::fmt::Write as _;

use crosswalk::mapping::{
    Document, Frame, Mapping, Reading, Records, UnifiedSchema, WriteMode, Writing, read_page, write,
};
use crosswalk::model::{FieldDefinition, FieldDefinitions, FieldKind};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use serde_json::{Map, Value, json};

const RECORDS: usize = 100;

fn main() {
    let page = page();
    println!("page: {RECORDS} records, {} bytes each", page.len() / RECORDS);
    divan::main();
}

fn mapping() -> Mapping {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let parse = |path: &str| Document::parse(path, &read(path)).unwrap_or_else(|faults| panic!("{faults:?}"));
    let contract = parse("openapi/crm.yaml");
    let schema =
        UnifiedSchema::from_openapi(contract.value(), "Contact").unwrap_or_else(|| panic!("no Contact"));
    Mapping::compile(&parse("mappings/hubspot/contacts.yaml"), &schema)
        .unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// A page as HubSpot sends it: about 1 KB and 30 properties a record.
fn page() -> Vec<u8> {
    let mut text = String::from("{\"results\":[");
    for index in 0..RECORDS {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(
            text,
            r#"{comma}{{"id":"{id}","properties":{{"address":"{index} Rue de l'Église","annual_budget":"9{index}00.50","city":"Liège","company":"Møller & Sons {index}","country":"Belgium","createdate":"2026-02-25T16:23:49.023Z","date_of_birth":"1984-05-{day:02}","email":"person{index}@example.com","favourite_colour":"blue;green","fax":null,"firstname":"Maya","gender":"female","hs_email_domain":"example.com","hs_language":"fr","hs_lead_status":"OPEN","hs_linkedin_url":"https://www.linkedin.com/in/person{index}","hs_object_id":"{id}","hubspot_owner_id":"88842095","is_partner":"true","jobtitle":"Head of \"Growth\"","lastmodifieddate":"2026-03-12T10:04:17.969Z","lastname":"Stone-{index}","mobilephone":"+32 470 00 00 {day:02}","notes_last_updated":"2026-03-01T08:00:00Z","phone":"+32 4 000 00 {day:02}","state":"Liège","website":"https://example.com/{index}","work_email":null,"zip":"4000","segment_score":"7.25"}},"createdAt":"2026-02-25T16:23:49.023Z","updatedAt":"2026-03-12T10:04:17.969Z","archived":false,"associations":{{"companies":{{"results":[{{"id":"40626","type":"contact_to_company"}}]}}}}}}"#,
            id = 7_000_000_000 + index,
            day = index % 28 + 1,
        );
    }
    text.push_str("],\"paging\":{\"next\":{\"after\":\"7135\"}}}");
    text.into_bytes()
}

fn definitions() -> FieldDefinitions {
    let field = |id: &str, kind| FieldDefinition {
        id: id.to_owned(),
        name: id.replace('_', " "),
        description: None,
        kind,
        custom: true,
        read_only: false,
        required: false,
        limits: Default::default(),
        options: Vec::new(),
    };
    FieldDefinitions::new(vec![
        field("annual_budget", FieldKind::Number),
        field("favourite_colour", FieldKind::Multiselect),
        field("is_partner", FieldKind::Boolean),
        field("segment_score", FieldKind::Number),
    ])
}

#[divan::bench(sample_count = 200)]
fn read(bencher: Bencher<'_, '_>) {
    let (mapping, page, definitions) = (mapping(), page(), definitions());
    let frame =
        Frame::compile(Some("results"), None, &["paging.next.after"]).unwrap_or_else(|e| panic!("{e}"));
    let reading = Reading { definitions: Some(&definitions), ..Reading::default() };
    let mut out = Records::default();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        out.json.clear();
        out.items.clear();
        let captured = read_page(&mapping, &frame, black_box(&page), &reading, &mut out);
        assert!(captured.is_ok() && out.problems.is_empty());
        out.json.len()
    });
}

#[divan::bench(sample_count = 100)]
fn read_as_a_tree(bencher: Bencher<'_, '_>) {
    let page = page();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        let page: Value = serde_json::from_slice(black_box(&page)).unwrap_or_default();
        let records = page.get("results").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let unified: Vec<Value> = records.iter().map(by_hand).collect();
        serde_json::to_vec(&unified).map(|bytes| bytes.len()).unwrap_or_default()
    });
}

/// What the mapping file says, written by hand over a tree.
fn by_hand(record: &Value) -> Value {
    let properties = record.get("properties").unwrap_or(&Value::Null);
    let get = |key: &str| properties.get(key).cloned().unwrap_or_default();
    let text = |key: &str| properties.get(key).and_then(Value::as_str).unwrap_or_default();
    let entry = |key: &str, name: &str, kind: &str| match get(key) {
        Value::Null => None,
        value => Some(json!({name: value, "type": kind})),
    };
    let list = |items: Vec<Option<Value>>| Value::Array(items.into_iter().flatten().collect());
    let custom: Vec<Value> = ["annual_budget", "favourite_colour", "is_partner", "segment_score"]
        .iter()
        .map(|id| json!({"id": id, "name": id, "description": null, "value": get(id)}))
        .collect();
    json!({
        "id": record["id"], "name": format!("{} {}", text("firstname"), text("lastname")), "owner_id": get("hubspot_owner_id"),
        "company_id": record.pointer("/associations/companies/results/0/id"), "company_name": get("company"),
        "first_name": get("firstname"), "last_name": get("lastname"), "prefix": get("salutation"), "title": get("jobtitle"),
        "language": get("hs_language"), "gender": get("gender"), "birthday": get("date_of_birth"), "fax": get("fax"),
        "status": get("hs_lead_status"), "active": record["archived"] != true, "email_domain": get("hs_email_domain"),
        "websites": list(vec![entry("website", "url", "primary")]),
        "addresses": [{"line1": get("address"), "city": get("city"), "state": get("state"), "postal_code": get("zip"),
                       "country": get("country"), "type": "primary"}],
        "social_links": list(vec![entry("hs_linkedin_url", "url", "linkedin")]),
        "phone_numbers": list(vec![entry("phone", "number", "primary"), entry("mobilephone", "number", "mobile")]),
        "emails": list(vec![entry("email", "email", "primary"), entry("work_email", "email", "work")]),
        "custom_fields": custom,
        "last_activity_at": get("notes_last_updated"), "created_at": record["createdAt"], "updated_at": record["updatedAt"],
    })
}

#[divan::bench(sample_count = 200)]
fn write_a_contact(bencher: Bencher<'_, '_>) {
    let (mapping, definitions) = (mapping(), definitions());
    let body: Map<String, Value> = serde_json::from_value(json!({
        "first_name": "Maya", "last_name": "Stone", "title": "Head of Growth", "owner_id": "88842095", "company_id": "40626",
        "emails": [{"email": "maya@example.com", "type": "primary"}, {"email": "m@work.example", "type": "work"}],
        "phone_numbers": [{"number": "+32 4 000", "type": "primary"}, {"number": "+32 470", "type": "mobile"}],
        "addresses": [{"line1": "1 Rue", "city": "Liège", "postal_code": "4000", "country": "Belgium", "type": "primary"}],
        "custom_fields": [{"id": "segment_score", "value": 7.5}, {"id": "favourite_colour", "value": ["blue", "green"]}]
    }))
    .unwrap_or_default();
    let writing = Writing { definitions: Some(&definitions), ..Writing::default() };
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let written = write(&mapping, black_box(&body), WriteMode::Create, &writing);
        assert!(written.problems.is_empty());
        written.body.len()
    });
}
