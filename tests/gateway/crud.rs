//! Create, read back, update, delete; what is written is what was meant.

use serde_json::{Value, json};

use crate::harness::{SERVICES, World, ada, vendor};
use mock_server::journal::Filter;

async fn create(world: &World, service: &str, account: &str, resource: &str, body: Value) -> String {
    let reply =
        world.ask("POST", &format!("/crm/{resource}")).of(service).consumer(account).body(body).send().await;
    assert_eq!(reply.status, 201, "{:#}", reply.body);
    reply.body["data"]["id"].as_str().unwrap().to_owned()
}

async fn read(world: &World, service: &str, account: &str, resource: &str, id: &str) -> Value {
    let reply = world.get(&format!("/crm/{resource}/{id}")).of(service).consumer(account).send().await;
    reply.ok()["data"].take()
}

#[tokio::test]
async fn a_contact_lives_its_life_on_every_connector() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "life").await;
        let company =
            create(&world, service, "life", "companies", json!({"name": "Analytical Engines"})).await;
        let mut body = ada();
        body["company_id"] = json!(company);
        let id = create(&world, service, "life", "contacts", body).await;

        let contact = read(&world, service, "life", "contacts", &id).await;
        assert_eq!(contact["id"], json!(id));
        assert_eq!(contact["name"], "Ada Lovelace", "{service}");
        assert_eq!(contact["first_name"], "Ada");
        assert_eq!(contact["emails"][0]["email"], "ada@example.com");
        assert_eq!(contact["emails"][0]["type"], "primary", "{service}");
        assert_eq!(contact["phone_numbers"][0]["number"], "+44 20 7946 0958");
        assert_eq!(contact["company_id"], json!(company), "{service}");

        let phones = json!([{"number": "+44 20 7946 0958", "type": "work"}, {"number": "+1 555 0100", "type": "mobile"}]);
        let update = json!({"last_name": "King", "first_name": "Ada", "phone_numbers": phones});
        let reply = world
            .ask("PATCH", &format!("/crm/contacts/{id}"))
            .of(service)
            .consumer("life")
            .body(update)
            .send()
            .await;
        assert_eq!(reply.ok()["data"]["id"], json!(id));
        let after = read(&world, service, "life", "contacts", &id).await;
        assert_eq!(after["last_name"], "King", "{service} {after:#}");
        assert_eq!(after["phone_numbers"][1]["number"], "+1 555 0100", "{service} {after:#}");
        for untouched in ["emails", "company_id", "created_at"] {
            assert_eq!(
                after[untouched], contact[untouched],
                "{service}: an update touches only what it names"
            );
        }

        let clear = json!({"phone_numbers": [], "company_id": null});
        world
            .ask("PATCH", &format!("/crm/contacts/{id}"))
            .of(service)
            .consumer("life")
            .body(clear)
            .send()
            .await
            .ok();
        let after = read(&world, service, "life", "contacts", &id).await;
        assert_eq!((&after["phone_numbers"], &after["company_id"]), (&json!([]), &Value::Null), "{service}");

        world.ask("DELETE", &format!("/crm/contacts/{id}")).of(service).consumer("life").send().await.ok();
        let gone = world.get(&format!("/crm/contacts/{id}")).of(service).consumer("life").send().await;
        let error = gone.fails(404, "EntityNotFoundError");
        assert_eq!(error["fault"], "caller");
    }
    world.stop().await;
}

#[tokio::test]
async fn null_clears_what_an_update_names_and_absent_stays() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "null").await;
        let id = create(&world, service, "null", "contacts", ada()).await;
        let change = |body: Value| {
            let path = format!("/crm/contacts/{id}");
            world.ask("PATCH", &path).of(service).consumer("null").body(body).send()
        };
        change(json!({ "emails": null })).await.ok();
        let contact = read(&world, service, "null", "contacts", &id).await;
        assert_eq!(contact["emails"], json!([]), "{service} {contact:#}");
        assert_eq!((&contact["first_name"], &contact["last_name"]), (&json!("Ada"), &json!("Lovelace")));
        assert_eq!(contact["phone_numbers"][0]["number"], "+44 20 7946 0958", "{service}: absent stays");
        change(json!({ "phone_numbers": null, "last_name": null })).await.ok();
        let contact = read(&world, service, "null", "contacts", &id).await;
        assert_eq!((&contact["phone_numbers"], &contact["name"]), (&json!([]), &json!("Ada")), "{service}");
    }
    world.stop().await;
}

#[tokio::test]
async fn money_is_an_integer_in_the_smallest_unit_both_ways() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "money").await;
        for (amount, currency) in
            [(500, "USD"), (5, "JPY"), (1_234_567, "KWD"), (0, "EUR"), (99_999_999_999_i64, "EUR")]
        {
            let body = json!({"title": format!("Deal in {currency}"), "monetary_amount": amount, "currency": currency});
            let id = create(&world, service, "money", "opportunities", body).await;
            let deal = read(&world, service, "money", "opportunities", &id).await;
            assert_eq!(
                (&deal["monetary_amount"], &deal["currency"]),
                (&json!(amount), &json!(currency)),
                "{service}"
            );
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn an_update_of_a_part_keeps_the_rest_of_what_the_crm_has_as_a_whole() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "part").await;
        let id = create(&world, service, "part", "contacts", ada()).await;
        let change = |path: String, body: Value| {
            world.ask("PATCH", &path).of(service).consumer("part").body(body).send()
        };
        change(format!("/crm/contacts/{id}"), json!({"first_name": "Augusta"})).await.ok();
        let contact = read(&world, service, "part", "contacts", &id).await;
        assert_eq!(contact["name"], "Augusta Lovelace", "{service}");

        // The amount is one of the record's own currency, whatever the connection's is.
        let deal = json!({"title": "Yen", "monetary_amount": 700, "currency": "JPY"});
        let id = create(&world, service, "part", "opportunities", deal).await;
        change(format!("/crm/opportunities/{id}"), json!({"monetary_amount": 900})).await.ok();
        let deal = read(&world, service, "part", "opportunities", &id).await;
        assert_eq!((&deal["monetary_amount"], &deal["currency"]), (&json!(900), &json!("JPY")), "{service}");
        change("/crm/contacts/999999999999".to_owned(), json!({"first_name": "No"}))
            .await
            .fails(404, "EntityNotFoundError");
    }
    world.stop().await;
}

#[tokio::test]
async fn associations_look_the_same_in_a_list_a_search_and_a_single_read() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "links").await;
        let company = create(&world, service, "links", "companies", json!({"name": "Engines"})).await;
        let mut body = ada();
        body["company_id"] = json!(company);
        let contact = create(&world, service, "links", "contacts", body).await;
        let deal = json!({"title": "Engine no. 2", "company_id": company, "primary_contact_id": contact});
        let deal = create(&world, service, "links", "opportunities", deal).await;

        let one = read(&world, service, "links", "opportunities", &deal).await;
        assert_eq!(one["company_id"], json!(company), "{service}");
        assert_eq!(one["primary_contact_id"], json!(contact), "{service}");
        let list = world.get("/crm/opportunities").of(service).consumer("links").send().await.ok();
        let sorted = world
            .get("/crm/opportunities")
            .of(service)
            .consumer("links")
            .query("sort[by]", "created_at")
            .send()
            .await
            .ok();
        let filtered = world
            .get("/crm/opportunities")
            .of(service)
            .consumer("links")
            .query("filter[title]", "Engine no. 2")
            .send()
            .await
            .ok();
        for (how, page) in [("list", list), ("sorted", sorted), ("filtered", filtered)] {
            assert_eq!(page["data"][0], one, "{service} {how}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_when_the_body_is_at_fault_and_all_faults_are_listed() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "faults").await;
        let body = json!({"first_name": 7, "emails": [{"email": "not an address"}], "gender": "other", "surname": "x"});
        let reply = world.ask("POST", "/crm/contacts").of(service).consumer("faults").body(body).send().await;
        let error = reply.fails(400, "RequestValidationError");
        let text = error["detail"].to_string();
        for pointer in ["/first_name", "/emails/0/email", "/gender", "surname"] {
            assert!(text.contains(pointer), "{pointer} is not named in {text}");
        }
        let sent = world.mock.count(&Filter::account(vendor(service), "faults"));
        assert_eq!(sent, 0, "{service}");
    }
    world.stop().await;
}

#[tokio::test]
async fn pass_through_reaches_the_crm() {
    let world = World::start().await;
    world.connect("hubspot", "through").await;
    let mut body = ada();
    body["pass_through"] = json!([
        {"service_id": "hubspot", "extend_object": {"properties": {"lifecyclestage": "lead"}}},
        {"service_id": "hubspot", "operation_id": "contactsAdd", "extend_paths": [{"path": "$.properties.jobtitle", "value": "Analyst"}]},
        {"service_id": "pipedrive", "extend_object": {"never": "sent"}},
    ]);
    let id = create(&world, "hubspot", "through", "contacts", body).await;
    let sent = world.mock.journal(
        &Filter::account(vendor("hubspot"), "through").method("POST").path("/crm/v3/objects/contacts"),
    );
    let sent = sent.last().unwrap().json();
    assert_eq!(
        (&sent["properties"]["lifecyclestage"], &sent["properties"]["jobtitle"]),
        (&json!("lead"), &json!("Analyst"))
    );
    assert!(sent.get("never").is_none() && sent.get("pass_through").is_none());
    let reply = world
        .get("/crm/contacts")
        .of("hubspot")
        .consumer("through")
        .query("pass_through[propertiesWithHistory]", "email");
    let reply = reply.query("raw", "true").send().await.ok();
    assert_eq!(reply["_raw"]["results"][0]["id"], json!(id));
    let read = world.mock.journal(&Filter::account(vendor("hubspot"), "through").method("GET"));
    assert!(read.iter().any(|entry| {
        entry.query.as_deref().is_some_and(|query| query.contains("propertiesWithHistory=email"))
    }));
    world.stop().await;
}

#[tokio::test]
async fn what_has_no_counterpart_is_told_not_lost_in_silence() {
    let world = World::start().await;
    world.connect("pipedrive", "told").await;
    let mut body = ada();
    body["gender"] = json!("female");
    let reply =
        world.ask("POST", "/crm/contacts").of("pipedrive").consumer("told").body(body).send().await.ok();
    let warnings = reply["meta"]["warnings"].to_string();
    assert!(warnings.contains("gender"), "{reply:#}");
    world.stop().await;
}
