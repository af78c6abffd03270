//! `dry_run=true`: what a write would send is shown, and nothing that writes is sent.

use serde_json::{Value, json};

use crate::harness::{SERVICES, World, ada, vendor};
use mock_server::journal::Filter;

/// Requests that the CRM received and that write.
fn writes(world: &World, service: &str, account: &str) -> usize {
    let entries = world.mock.journal(&Filter::account(vendor(service), account));
    let reads = |path: &str| path.ends_with("/search") || path.ends_with("/batch/read");
    entries.iter().filter(|entry| entry.method != "GET" && !reads(&entry.path)).count()
}

async fn dry(world: &World, service: &str, method: &str, path: &str, body: Option<Value>) -> Value {
    let ask = world.ask(method, path).of(service).consumer("dry").query("dry_run", "true");
    let ask = ask.header("idempotency-key", "k");
    let reply = body.into_iter().fold(ask, |ask, body| ask.body(body)).send().await;
    assert_eq!(reply.status, 200, "{:#}", reply.body);
    assert!(!reply.text.contains("dry-token"), "{}", reply.text);
    assert_eq!(reply.body["data"]["dry_run"], true, "{:#}", reply.body);
    reply.body["data"].clone()
}

/// Operation id, method, and path of each request.
fn steps(data: &Value) -> Vec<[String; 3]> {
    let requests = data["requests"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    requests
        .map(|request| {
            let url = reqwest::Url::parse(request["url"].as_str().unwrap()).unwrap();
            [text(&request["operation_id"]), text(&request["method"]), url.path().to_owned()]
        })
        .collect()
}

#[tokio::test]
async fn a_dry_run_shows_every_request_and_sends_none_that_writes() {
    let world = World::start().await;
    for service in SERVICES {
        let account = "dry-token";
        world.connect_with(service, "dry", account, Default::default()).await;
        let made =
            |path: &str, body: Value| world.ask("POST", path).of(service).consumer("dry").body(body).send();
        let company = made("/crm/companies", json!({ "name": "Engines" })).await.ok()["data"]["id"].take();
        let contact = made("/crm/contacts", ada()).await.ok()["data"]["id"].as_str().unwrap().to_owned();
        let before = writes(&world, service, account);

        let mut body = ada();
        body["company_id"] = company.clone();
        let create = dry(&world, service, "POST", "/crm/contacts", Some(body)).await;
        let update_path = format!("/crm/contacts/{contact}");
        let change = json!({ "first_name": "Augusta", "company_id": company });
        let update = dry(&world, service, "PATCH", &update_path, Some(change)).await;
        let delete = dry(&world, service, "DELETE", &update_path, None).await;
        let deal = json!({ "title": "Deal", "contact_ids": [contact] });
        let deal = dry(&world, service, "POST", "/crm/opportunities", Some(deal)).await;
        let note = json!({ "content": "Said", "contact_id": contact, "lead_id": null });
        dry(&world, service, "POST", "/crm/notes", Some(note)).await;
        let call = json!({ "type": "call", "title": "Call", "activity_datetime": "2026-03-04T05:06:07Z" });
        dry(&world, service, "POST", "/crm/activities", Some(call)).await;
        assert_eq!(writes(&world, service, account), before, "{service}");

        let base = format!("/{service}");
        let (record, base_path) = match service {
            "hubspot" => ("contacts", format!("{base}/crm/v3/objects/contacts")),
            _ => ("persons", format!("{base}/api/v2/persons")),
        };
        let step =
            |step: &str, method: &str, path: &str| [step.to_owned(), method.to_owned(), path.to_owned()];
        assert_eq!(steps(&create)[0], step("contacts.create", "POST", &base_path), "{record}");
        assert_eq!(steps(&delete), [step("contacts.delete", "DELETE", &format!("{base_path}/{contact}"))]);
        let update = steps(&update);
        assert_eq!(update[0], step("contacts.update", "PATCH", &format!("{base_path}/{contact}")));
        let header = |name: &str| create["requests"][0]["headers"][name].clone();
        let secret = if service == "hubspot" { "authorization" } else { "x-api-token" };
        assert_eq!((header(secret), header("content-type")), (json!("***"), json!("application/json")));
        let name = if service == "hubspot" { "/body/properties/firstname" } else { "/body/name" };
        let name = create["requests"][0].pointer(name).and_then(Value::as_str).unwrap();
        assert!(name.starts_with("Ada"), "{create:#}");
        if service == "hubspot" {
            // What changes on the record that is there is known; what a new one gets is not.
            let company = company.as_str().unwrap();
            let link = format!("{base}/crm/v4/objects/contacts/{contact}/associations/companies/{company}");
            assert_eq!(update[1], step("contacts.company.add", "PUT", &link));
            assert_eq!(create.get("placeholders"), None, "associations are part of a HubSpot create");
        }
        assert!(!steps(&deal).is_empty());
    }
    world.stop().await;
}

#[tokio::test]
async fn a_dry_run_finds_the_same_faults_as_the_write() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "dry").await;
        let ask = |body: Value, dry: &str| {
            world
                .ask("POST", "/crm/activities")
                .of(service)
                .consumer("dry")
                .query("dry_run", dry)
                .body(body)
                .send()
        };
        for body in [json!({ "type": 7 }), json!({ "nonsense": true })] {
            let dry = ask(body.clone(), "true").await.fails(400, "RequestValidationError");
            let wet = ask(body, "false").await.fails(400, "RequestValidationError");
            assert_eq!(dry["detail"], wet["detail"], "{service}");
        }
        let none = world.ask("DELETE", "/crm/lists/1").of(service).consumer("dry").query("dry_run", "true");
        assert!(matches!(none.send().await.status, 405 | 501), "{service}");
    }
    world.stop().await;
}
