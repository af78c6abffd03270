//! HubSpot over real sockets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::collections::HashSet;

use mock_server::{MockServer, Vendor};
use serde_json::{Value, json};
use support::{Api, members};

async fn setup(account: &str) -> (MockServer, Api) {
    let server = MockServer::local().await.unwrap();
    let api = Api::new(&server.hubspot_url(), &format!("pat-test-{account}"));
    (server, api)
}

async fn every_page(api: &Api, path: &str) -> Vec<Value> {
    pages_after(api, path, "").await
}

async fn pages_after(api: &Api, path: &str, after: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = after.to_owned();
    loop {
        let (status, page) = api.get(&format!("{path}&after={after}")).await;
        assert_eq!(status, 200, "{page}");
        all.extend(page["results"].as_array().unwrap().clone());
        match page.pointer("/paging/next/after") {
            Some(next) => after = next.as_str().unwrap().to_owned(),
            None => return all,
        }
    }
}

fn ids(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|row| row["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn the_demo_list_pages_through_every_record_once_in_id_order() {
    let server = MockServer::local().await.unwrap();
    let api = Api::new(&server.hubspot_url(), "pat-demo-hubspot");
    let rows = every_page(&api, "/crm/v3/objects/contacts?limit=100").await;
    let ids = ids(&rows);
    assert_eq!(ids.len(), 2000);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(ids[0] > 1 << 31);
}

#[tokio::test]
async fn pages_hold_under_inserts_and_archiving() {
    let (server, api) = setup("stable").await;
    let made = server.seed_records(Vendor::Hubspot, "stable", "contacts", 5);
    let (_, first) = api.get("/crm/v3/objects/contacts?limit=2").await;
    let after = first.pointer("/paging/next/after").unwrap().as_str().unwrap().to_owned();
    assert_eq!(api.delete(&format!("/crm/v3/objects/contacts/{}", made[2])).await, 204);
    server.seed_records(Vendor::Hubspot, "stable", "contacts", 1);
    let rest = pages_after(&api, "/crm/v3/objects/contacts?limit=2", &after).await;
    let rest: Vec<String> = rest.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(rest.len(), 3);
    assert_eq!(rest[..2], made[3..]);
    let (_, archived) = api.get("/crm/v3/objects/contacts?archived=true").await;
    assert_eq!(archived["results"][0]["id"], json!(made[2]));
    assert_eq!(archived["results"][0]["archived"], true);
    assert_eq!(api.get(&format!("/crm/v3/objects/contacts/{}", made[2])).await.0, 404);
}

#[tokio::test]
async fn properties_asked_for_come_back_even_when_empty_and_unasked_ones_do_not() {
    let (server, api) = setup("props").await;
    let fields = members(json!({ "email": "a@b.example", "firstname": "Ada", "phone": "1" }));
    let id = server.insert_record(Vendor::Hubspot, "props", "contacts", &fields).unwrap();
    let (_, bare) = api.get(&format!("/crm/v3/objects/contacts/{id}")).await;
    let mut names: Vec<&String> = bare["properties"].as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"]);
    assert_eq!(bare["properties"]["lastname"], Value::Null);
    let (_, asked) = api.get(&format!("/crm/v3/objects/contacts/{id}?properties=phone,fax,unheard_of")).await;
    assert_eq!(asked["properties"]["phone"], "1");
    assert_eq!(asked["properties"].get("fax"), Some(&Value::Null));
    assert_eq!(asked["properties"].get("unheard_of"), None);
    assert_eq!(asked["properties"].get("email"), None);
    let (status, by_mail) = api.get("/crm/v3/objects/contacts/A@b.example?idProperty=email").await;
    assert_eq!((status, by_mail["id"].as_str()), (200, Some(id.as_str())));
}

#[tokio::test]
async fn writes_are_checked_in_hubspots_words() {
    let (_server, api) = setup("checks").await;
    let path = "/crm/v3/objects/contacts";
    for (properties, code) in [
        (json!({ "shoe_size": "9" }), "PROPERTY_DOESNT_EXIST"),
        (json!({ "email": "nonsense" }), "INVALID_EMAIL"),
        (json!({ "lifecyclestage": "best friend" }), "INVALID_OPTION"),
        (json!({ "loyalty_points": "many" }), "INVALID_DOUBLE"),
        (json!({ "renewal_date": "1970-01-01T10:00:00Z" }), "INVALID_DATE"),
        (json!({ "vip": "maybe" }), "INVALID_BOOLEAN"),
        (json!({ "hs_object_id": "5" }), "READ_ONLY_VALUE"),
        (json!({ "hubspot_owner_id": "1" }), "INVALID_OWNER_ID"),
    ] {
        let (status, body) = api.post(path, json!({ "properties": properties })).await;
        assert_eq!((status, &body["errors"][0]["code"]), (400, &json!(code)), "{body}");
        assert_eq!(body["category"], "VALIDATION_ERROR");
        assert!(body["correlationId"].as_str().unwrap().len() == 36);
    }
    let (status, made) = api.post(path, json!({ "properties": { "email": "Ada@Example.com" } })).await;
    assert_eq!((status, &made["properties"]["email"]), (201, &json!("ada@example.com")));
    let (status, again) = api.post(path, json!({ "properties": { "email": "ada@example.com" } })).await;
    assert_eq!((status, &again["category"]), (409, &json!("CONFLICT")));
    let id = made["id"].as_str().unwrap();
    assert!(again["message"].as_str().unwrap().ends_with(&format!("Existing ID: {id}")));
    let (status, note) =
        api.post("/crm/v3/objects/notes", json!({ "properties": { "hs_note_body": "x" } })).await;
    assert_eq!((status, &note["context"]["properties"]), (400, &json!(["hs_timestamp"])));
    assert_eq!(api.post("/crm/v3/objects/unicorns", json!({ "properties": {} })).await.0, 400);
}

#[tokio::test]
async fn updates_touch_only_what_they_mention_and_empty_text_clears() {
    let (_server, api) = setup("patch").await;
    let body = json!({ "properties": { "firstname": "Ada", "phone": "1", "email": "ada@b.example" } });
    let (_, made) = api.post("/crm/v3/objects/contacts", body).await;
    let path = format!("/crm/v3/objects/contacts/{}", made["id"].as_str().unwrap());
    let (status, changed) = api.patch(&path, json!({ "properties": { "phone": "" } })).await;
    assert_eq!(status, 200);
    assert!(changed["updatedAt"].as_str() > made["updatedAt"].as_str());
    assert_eq!(changed["createdAt"], made["createdAt"]);
    let (_, read) = api.get(&format!("{path}?properties=firstname,phone,email")).await;
    assert_eq!(read["properties"]["firstname"], "Ada");
    assert_eq!(read["properties"]["phone"], Value::Null);
    assert_eq!(api.delete(&path).await, 204);
    assert_eq!(api.delete(&path).await, 204);
    assert_eq!(api.patch(&path, json!({ "properties": { "phone": "2" } })).await.0, 404);
    let (status, _) =
        api.post("/crm/v3/objects/contacts", json!({ "properties": { "email": "ada@b.example" } })).await;
    assert_eq!(status, 201, "an archived contact gives its address free");
}

#[tokio::test]
async fn search_filters_sorts_and_pages() {
    let (server, api) = setup("search").await;
    for (name, age) in [("Zoë Ångström", "10"), ("zoë ångström", "9"), ("Maya Stone", "100"), ("Nobody", "")]
    {
        let (first, last) = name.split_once(' ').unwrap_or((name, ""));
        let mut fields = members(json!({ "firstname": first, "lastname": last }));
        if !age.is_empty() {
            fields.insert("loyalty_points".to_owned(), json!(age));
        }
        server.insert_record(Vendor::Hubspot, "search", "contacts", &fields).unwrap();
    }
    let filters = |filters: Value| json!({ "filterGroups": [{ "filters": filters }] });
    for (filter, total) in [
        (json!([{ "propertyName": "firstname", "operator": "EQ", "value": "ZOË" }]), 2),
        (json!([{ "propertyName": "firstname", "operator": "NEQ", "value": "zoë" }]), 2),
        (json!([{ "propertyName": "loyalty_points", "operator": "GT", "value": "9" }]), 2),
        (
            json!([{ "propertyName": "loyalty_points", "operator": "BETWEEN", "value": 9, "highValue": "10" }]),
            2,
        ),
        (json!([{ "propertyName": "loyalty_points", "operator": "NOT_HAS_PROPERTY" }]), 1),
        (json!([{ "propertyName": "lastname", "operator": "IN", "values": ["stone", "nobody"] }]), 1),
        (json!([{ "propertyName": "lastname", "operator": "CONTAINS_TOKEN", "value": "ång*" }]), 2),
        (
            json!([{ "propertyName": "firstname", "operator": "EQ", "value": "zoë" },
                { "propertyName": "loyalty_points", "operator": "LTE", "value": "9" }]),
            1,
        ),
    ] {
        let (status, page) = api.post("/crm/v3/objects/contacts/search", filters(filter.clone())).await;
        assert_eq!((status, &page["total"]), (200, &json!(total)), "{filter}: {page}");
    }
    let sorted = json!({
        "sorts": [{ "propertyName": "loyalty_points", "direction": "DESCENDING" }],
        "properties": ["loyalty_points", "phone"], "limit": 3
    });
    let (_, page) = api.post("/crm/v3/objects/contacts/search", sorted).await;
    let points: Vec<&str> = page["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            assert_eq!(row["properties"].get("phone"), None, "search leaves out what is empty");
            assert_eq!(row.get("associations"), None);
            row["properties"]["loyalty_points"].as_str().unwrap()
        })
        .collect();
    assert_eq!(points, ["100", "10", "9"], "numbers sort as numbers");
    assert_eq!(page["paging"]["next"]["after"], "3");
    let (_, words) = api.post("/crm/v3/objects/contacts/search", json!({ "query": "maya sto" })).await;
    assert_eq!(words["total"], 1);
}

#[tokio::test]
async fn search_limits_are_hubspots() {
    let (_server, api) = setup("limits").await;
    let path = "/crm/v3/objects/contacts/search";
    let filter = json!({ "propertyName": "email", "operator": "HAS_PROPERTY" });
    for body in [
        json!({ "limit": 201 }),
        json!({ "limit": 200, "after": "9801" }),
        json!({ "filterGroups": vec![json!({ "filters": [filter] }); 6] }),
        json!({ "filterGroups": [{ "filters": vec![filter.clone(); 7] }] }),
        json!({ "filterGroups": vec![json!({ "filters": vec![filter.clone(); 4] }); 5] }),
        json!({ "sorts": ["email", "phone"] }),
        json!({ "filterGroups": [{ "filters": [{ "propertyName": "nope", "operator": "HAS_PROPERTY" }] }] }),
        json!({ "filterGroups": [{ "filters": [{ "propertyName": "email", "operator": "LIKE", "value": "x" }] }] }),
    ] {
        let (status, reply) = api.post(path, body.clone()).await;
        assert_eq!((status, &reply["category"]), (400, &json!("VALIDATION_ERROR")), "{body}");
    }
    assert_eq!(api.post(path, json!({ "limit": 200, "after": "9800" })).await.0, 200);
    assert_eq!(api.get("/crm/v3/objects/contacts?limit=101").await.0, 400);
    let long = format!("/crm/v3/objects/contacts?properties={}", "x".repeat(17_000));
    assert_eq!(api.status("GET", &long).await, 414);
}

#[tokio::test]
async fn equal_sort_keys_keep_an_order_that_is_not_the_ids() {
    let (server, api) = setup("ties").await;
    let fields = members(json!({ "lastname": "Same", "createdAt": "2026-01-01T00:00:00Z" }));
    for _ in 0..40 {
        server.insert_record(Vendor::Hubspot, "ties", "contacts", &fields).unwrap();
    }
    let body = json!({ "sorts": ["lastname"], "limit": 40 });
    let (_, one) = api.post("/crm/v3/objects/contacts/search", body.clone()).await;
    let (_, two) = api.post("/crm/v3/objects/contacts/search", body).await;
    let found = ids(one["results"].as_array().unwrap());
    assert_eq!(found, ids(two["results"].as_array().unwrap()));
    assert!(found.windows(2).any(|pair| pair[0] > pair[1]));
    assert_eq!(found.iter().collect::<HashSet<_>>().len(), 40);
}

#[tokio::test]
async fn associations_show_from_both_sides_and_the_first_company_is_primary() {
    let (server, api) = setup("links").await;
    let company = |name: &str| {
        server
            .insert_record(Vendor::Hubspot, "links", "companies", &members(json!({ "name": name })))
            .unwrap()
    };
    let (one, two) = (company("One"), company("Two"));
    let body = json!({
        "properties": { "email": "a@b.example" },
        "associations": [{ "to": { "id": one }, "types": [{ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279 }] }]
    });
    let (status, contact) = api.post("/crm/v3/objects/contacts", body).await;
    assert_eq!(status, 201);
    let id = contact["id"].as_str().unwrap();
    let (status, _) = api
        .put(&format!("/crm/v4/objects/contact/{id}/associations/default/company/{two}"), json!(null))
        .await;
    assert_eq!(status, 200);
    let (_, read) = api
        .get(&format!("/crm/v3/objects/contacts/{id}?associations=company&properties=associatedcompanyid"))
        .await;
    assert_eq!(
        read["associations"]["companies"]["results"],
        json!([
            { "id": one, "type": "contact_to_company" }, { "id": one, "type": "contact_to_company_unlabeled" },
            { "id": two, "type": "contact_to_company_unlabeled" }
        ])
    );
    assert_eq!(read["properties"]["associatedcompanyid"], json!(one));
    let (_, back) = api.get(&format!("/crm/v4/objects/companies/{two}/associations/contacts")).await;
    assert_eq!(back["results"][0]["toObjectId"].to_string(), id);
    assert_eq!(
        back["results"][0]["associationTypes"],
        json!([{ "category": "HUBSPOT_DEFINED", "typeId": 280, "label": null }])
    );
    // A labelled primary moves.
    let path = format!("/crm/v4/objects/contacts/{id}/associations/companies/{two}");
    let (status, labels) =
        api.put(&path, json!([{ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1 }])).await;
    assert_eq!((status, &labels["labels"]), (201, &json!(["Primary"])));
    let (_, read) = api.get(&format!("/crm/v3/objects/contacts/{id}?properties=associatedcompanyid")).await;
    assert_eq!(read["properties"]["associatedcompanyid"], json!(two));
    let (status, _) =
        api.put(&path, json!([{ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 3 }])).await;
    assert_eq!(status, 400, "a kind that does not fit the pair");
    let search = json!({ "filterGroups": [{ "filters": [{ "propertyName": "associations.company", "operator": "EQ", "value": two }] }] });
    let (_, hits) = api.post("/crm/v3/objects/contacts/search", search.clone()).await;
    assert_eq!(hits["total"], 1);
    assert_eq!(api.delete(&path).await, 204);
    let (_, hits) = api.post("/crm/v3/objects/contacts/search", search).await;
    assert_eq!(hits["total"], 0);
    // An archived record is no longer anybody's associate.
    assert_eq!(api.delete(&format!("/crm/v3/objects/companies/{one}")).await, 204);
    let (_, read) = api.get(&format!("/crm/v3/objects/contacts/{id}?associations=companies")).await;
    assert_eq!(read.get("associations"), None);
}

#[tokio::test]
async fn association_pages_and_batches() {
    let (server, api) = setup("many").await;
    let company = server
        .insert_record(Vendor::Hubspot, "many", "companies", &members(json!({ "name": "One" })))
        .unwrap();
    let contacts = server.seed_records(Vendor::Hubspot, "many", "contacts", 8);
    let inputs: Vec<Value> =
        contacts.iter().map(|id| json!({ "from": { "id": company }, "to": { "id": id } })).collect();
    let (status, _) = api
        .post("/crm/v4/associations/companies/contacts/batch/associate/default", json!({ "inputs": inputs }))
        .await;
    assert_eq!(status, 200);
    let rows =
        every_page_of(&api, &format!("/crm/v4/objects/companies/{company}/associations/contacts?limit=3"))
            .await;
    assert_eq!(rows, contacts);
    let read = json!({ "inputs": [{ "id": contacts[0] }, { "id": "1" }] });
    let (status, batch) = api.post("/crm/v4/associations/contacts/companies/batch/read", read).await;
    assert_eq!((status, &batch["numErrors"]), (207, &json!(1)));
    assert_eq!(batch["results"][0]["to"][0]["toObjectId"].to_string(), company);
    assert_eq!(batch["errors"][0]["subCategory"], "crm.associations.NO_ASSOCIATIONS_FOUND");
}

async fn every_page_of(api: &Api, path: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let (_, page) = api.get(&format!("{path}&after={after}")).await;
        all.extend(page["results"].as_array().unwrap().iter().map(|row| row["toObjectId"].to_string()));
        match page.pointer("/paging/next/after") {
            Some(next) => after = next.as_str().unwrap().to_owned(),
            None => return all,
        }
    }
}

#[tokio::test]
async fn batches_answer_207_for_what_is_missing() {
    let (_server, api) = setup("batch").await;
    let inputs: Vec<Value> =
        (0..3).map(|n| json!({ "properties": { "email": format!("n{n}@b.example") } })).collect();
    let (status, made) = api.post("/crm/v3/objects/contacts/batch/create", json!({ "inputs": inputs })).await;
    assert_eq!((status, made["results"].as_array().unwrap().len()), (201, 3));
    let id = made["results"][1]["id"].as_str().unwrap();
    let read = json!({ "properties": ["email"], "inputs": [{ "id": id }, { "id": "7" }] });
    let (status, read) = api.post("/crm/v3/objects/contacts/batch/read", read).await;
    assert_eq!((status, &read["errors"][0]["context"]["ids"]), (207, &json!(["7"])));
    let upsert = json!({ "inputs": [
        { "id": "n0@b.example", "idProperty": "email", "properties": { "phone": "1" } },
        { "id": "new@b.example", "idProperty": "email", "properties": { "phone": "2" } },
    ] });
    let (status, upserted) = api.post("/crm/v3/objects/contacts/batch/upsert", upsert).await;
    assert_eq!(status, 200, "{upserted}");
    assert_eq!(
        [&upserted["results"][0]["new"], &upserted["results"][1]["new"]],
        [&json!(false), &json!(true)]
    );
    let archive = json!({ "inputs": [{ "id": id }] });
    assert_eq!(api.status_of("POST", "/crm/v3/objects/contacts/batch/archive", archive).await, 204);
    assert_eq!(api.get(&format!("/crm/v3/objects/contacts/{id}")).await.0, 404);
    let many: Vec<Value> = (0..101).map(|n| json!({ "id": n.to_string() })).collect();
    assert_eq!(api.post("/crm/v3/objects/contacts/batch/read", json!({ "inputs": many })).await.0, 400);
}

#[tokio::test]
async fn deals_follow_their_stage() {
    let (_server, api) = setup("deals").await;
    let body = json!({ "properties": { "dealname": "D", "dealstage": "closedwon", "amount": 12.5 } });
    let (status, deal) = api.post("/crm/v3/objects/deals", body).await;
    assert_eq!(status, 201, "{deal}");
    assert_eq!(deal["properties"]["hs_is_closed_won"], "true");
    assert_eq!(deal["properties"]["pipeline"], "default");
    assert_eq!(deal["properties"]["amount"], "12.5", "every value is a text");
    let body = json!({ "properties": { "dealname": "D", "pipeline": "74193287", "dealstage": "closedwon" } });
    let (status, refused) = api.post("/crm/v3/objects/deals", body).await;
    assert_eq!((status, &refused["errors"][0]["code"]), (400, &json!("INVALID_OPTION")));
    let (_, pipelines) = api.get("/crm/v3/pipelines/deals").await;
    assert_eq!(pipelines["results"][0]["stages"][0]["metadata"]["probability"], "0.2");
    let (status, made) = api.post("/crm/v3/pipelines/deals", json!({
        "label": "Own", "displayOrder": 3, "stages": [{ "label": "In", "displayOrder": 0, "metadata": { "probability": "0.3" } }]
    })).await;
    assert_eq!((status, &made["stages"][0]["metadata"]["isClosed"]), (201, &json!("false")));
    let path = format!("/crm/v3/pipelines/deals/{}", made["id"].as_str().unwrap());
    let (status, patched) = api.patch(&path, json!({ "label": "Owned" })).await;
    assert_eq!(
        (status, &patched["label"], patched["stages"].as_array().unwrap().len()),
        (200, &json!("Owned"), 1)
    );
    assert_eq!(api.delete(&path).await, 204);
    assert_eq!(api.get(&path).await.0, 404);
}

#[tokio::test]
async fn properties_schemas_and_custom_records() {
    let (_server, api) = setup("schema").await;
    let (_, listed) = api.get("/crm/v3/properties/contacts").await;
    let kinds: HashSet<&str> = listed["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|property| property["fieldType"].as_str().unwrap())
        .collect();
    for kind in [
        "booleancheckbox",
        "calculation_equation",
        "checkbox",
        "date",
        "file",
        "html",
        "number",
        "phonenumber",
        "radio",
        "select",
        "text",
        "textarea",
    ] {
        assert!(kinds.contains(kind), "{kind}");
    }
    let body = json!({ "name": "shoe_size", "label": "Shoe size", "type": "number", "fieldType": "number", "groupName": "contactinformation" });
    assert_eq!(api.post("/crm/v3/properties/contacts", body.clone()).await.0, 201);
    assert_eq!(api.post("/crm/v3/properties/contacts", body).await.0, 409);
    let (status, made) =
        api.post("/crm/v3/objects/contacts", json!({ "properties": { "shoe_size": "42" } })).await;
    assert_eq!((status, &made["properties"]["shoe_size"]), (201, &json!("42")));
    assert_eq!(api.delete("/crm/v3/properties/contacts/shoe_size").await, 204);
    assert_eq!(api.get("/crm/v3/properties/contacts/shoe_size").await.0, 404);

    let schema = json!({
        "name": "boats", "labels": { "singular": "Boat", "plural": "Boats" }, "primaryDisplayProperty": "hull",
        "requiredProperties": ["hull"], "associatedObjects": ["CONTACT"],
        "properties": [{ "name": "hull", "label": "Hull", "type": "string", "fieldType": "text" }]
    });
    let (status, schema) = api.post("/crm-object-schemas/v3/schemas", schema).await;
    assert_eq!(status, 201, "{schema}");
    let type_id = schema["objectTypeId"].as_str().unwrap();
    let (status, boat) =
        api.post(&format!("/crm/v3/objects/{type_id}"), json!({ "properties": { "hull": "oak" } })).await;
    assert_eq!(status, 201);
    let by_name = format!(
        "/crm/v3/objects/{}/{}",
        schema["fullyQualifiedName"].as_str().unwrap(),
        boat["id"].as_str().unwrap()
    );
    assert_eq!(api.get(&by_name).await.1["properties"]["hull"], "oak");
    assert_eq!(api.post("/crm/v3/objects/p_boats", json!({ "properties": {} })).await.0, 400);
    assert_eq!(api.delete("/crm-object-schemas/v3/schemas/boats").await, 400, "records are left");
    assert_eq!(api.delete(&by_name).await, 204);
    assert_eq!(api.delete("/crm-object-schemas/v3/schemas/boats").await, 204);
}

#[tokio::test]
async fn owners_and_lists() {
    let (server, api) = setup("lists").await;
    let owners = every_page(&api, "/crm/v3/owners?limit=10").await;
    assert_eq!(owners.len(), 24);
    let first = &owners[0];
    let (_, same) = api.get(&format!("/crm/v3/owners/{}?idProperty=userId", first["userId"])).await;
    assert_eq!(&same, first);
    let contacts = server.seed_records(Vendor::Hubspot, "lists", "contacts", 3);
    let body = json!({ "name": "L", "objectTypeId": "0-1", "processingType": "MANUAL" });
    let (status, made) = api.post("/crm/v3/lists", body).await;
    assert_eq!(status, 200);
    let path = format!("/crm/v3/lists/{}", made["list"]["listId"].as_str().unwrap());
    let (_, added) =
        api.put(&format!("{path}/memberships/add"), json!([contacts[0], contacts[1], "9"])).await;
    assert_eq!(
        (&added["recordsIdsAdded"], &added["recordIdsMissing"]),
        (&json!(contacts[..2]), &json!(["9"]))
    );
    let (_, members) = api.get(&format!("{path}/memberships?limit=1")).await;
    assert_eq!(members["results"][0]["recordId"], json!(contacts[0]));
    assert_eq!(members["paging"]["next"]["after"], json!(contacts[1]));
    let body = json!({ "query": "l", "additionalProperties": ["hs_list_size"], "offset": 0, "count": 5 });
    let (_, found) = api.post("/crm/v3/lists/search", body).await;
    assert_eq!((&found["total"], &found["hasMore"]), (&json!(1), &json!(false)));
    assert_eq!(found["lists"][0]["additionalProperties"]["hs_list_size"], "2");
    assert_eq!(api.delete(&path).await, 204);
    assert_eq!(api.get(&path).await.0, 404);
}

#[tokio::test]
async fn big_ids_stay_whole() {
    let (server, api) = setup("bigids-a").await;
    let id = server
        .insert_record(Vendor::Hubspot, "bigids-a", "contacts", &members(json!({ "firstname": "Big" })))
        .unwrap();
    assert!(id.parse::<u64>().unwrap() > 1 << 53);
    assert_eq!(api.get(&format!("/crm/v3/objects/contacts/{id}")).await.1["id"], json!(id));
    let body = json!({ "filterGroups": [{ "filters": [{ "propertyName": "hs_object_id", "operator": "GTE", "value": id }] }] });
    assert_eq!(api.post("/crm/v3/objects/contacts/search", body).await.1["total"], 1);
}
