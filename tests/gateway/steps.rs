//! What a write does beside its record: stages, associations, what callers hand through to a step, and what is told when
//! a step fails.

use mock_server::faults::{Fault, Kind};
use mock_server::journal::Filter;
use serde_json::{Value, json};

use crate::harness::{SERVICES, World, vendor};

/// Where stages of a pipeline are written.
fn stages(service: &str) -> &'static str {
    if service == "hubspot" { "/crm/v3/pipelines/deals/*/stages*" } else { "/api/v2/stages*" }
}

async fn names(world: &World, service: &str, id: &str) -> Vec<(String, Value)> {
    let read = world.get(&format!("/crm/pipelines/{id}")).of(service).consumer("steps").send().await.ok();
    let stages = read["data"]["stages"].as_array().unwrap();
    stages.iter().map(|stage| (stage["name"].as_str().unwrap().to_owned(), stage["id"].clone())).collect()
}

#[tokio::test]
async fn a_pipelines_stages_are_changed_added_and_removed_and_the_rest_is_left_alone() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "steps").await;
        let stage = |name: &str, chance: i64| json!({"name": name, "win_probability": chance});
        let body = json!({"name": "Extensions", "stages": [stage("Due", 20), stage("Offer", 60), stage("Renewed", 100)]});
        let made =
            world.ask("POST", "/crm/pipelines").of(service).consumer("steps").body(body).send().await.ok();
        let id = made["data"]["id"].as_str().unwrap().to_owned();
        let before = names(&world, service, &id).await;
        let listed: Vec<&str> = before.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(listed, ["Due", "Offer", "Renewed"], "{service}");

        // The second is renamed by its id, the third goes, one is new.
        let list = json!([stage("Due", 20), {"id": before[1].1, "name": "Talk", "win_probability": 60}, stage("Won back", 90)]);
        let path = format!("/crm/pipelines/{id}");
        let writes = Filter::account(vendor(service), "steps").path(stages(service));
        let told = world
            .ask("PATCH", &path)
            .of(service)
            .consumer("steps")
            .body(json!({"stages": list}))
            .send()
            .await
            .ok();
        assert!(told.get("meta").is_none_or(|meta| meta["warnings"].is_null()), "{service} {told:#}");
        let after = names(&world, service, &id).await;
        let listed: Vec<&str> = after.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(listed, ["Due", "Talk", "Won back"], "{service}");
        assert_eq!(
            (&after[0].1, &after[1].1),
            (&before[0].1, &before[1].1),
            "{service}: kept, not made anew"
        );

        // The same again changes nothing: it reads, and that is all.
        let count = world.mock.count(&writes);
        world
            .ask("PATCH", &path)
            .of(service)
            .consumer("steps")
            .body(json!({"stages": list}))
            .send()
            .await
            .ok();
        assert_eq!(world.mock.count(&writes), count + 1, "{service}");

        // Nothing of the stages is named, so nothing of them is asked.
        let count = world.mock.count(&writes);
        world
            .ask("PATCH", &path)
            .of(service)
            .consumer("steps")
            .body(json!({"name": "Again"}))
            .send()
            .await
            .ok();
        assert_eq!(world.mock.count(&writes), count, "{service}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_step_that_fails_after_the_record_was_written_says_so_and_is_never_repeated() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "steps").await;
        let made = world.ask("POST", "/crm/pipelines").of(service).consumer("steps");
        let made = made
            .body(json!({"name": "Sales", "stages": [{"name": "One", "win_probability": 10}]}))
            .send()
            .await
            .ok();
        let path = format!("/crm/pipelines/{}", made["data"]["id"].as_str().unwrap());
        let body = json!({"name": "Sold", "stages": [{"name": "One", "win_probability": 10}, {"name": "Two", "win_probability": 20}]});
        for (name, kind) in [
            ("500", Kind::Status { status: 500, body: None, retry_after_s: None }),
            ("dropped", Kind::DropBefore),
            ("refused", Kind::Status { status: 400, body: None, retry_after_s: None }),
        ] {
            world.mock.fault(Fault::always(kind).of(vendor(service), "steps").on("POST", stages(service)));
            let posts = Filter::account(vendor(service), "steps").path(stages(service)).method("POST");
            let before = world.mock.count(&posts);
            let reply =
                world.ask("PATCH", &path).of(service).consumer("steps").body(body.clone()).send().await;
            let error = reply.fails(424, "PostWriteProcessingError");
            assert_eq!(
                (&error["detail"]["outcome"], &error["retriable"]),
                (&json!("written"), &json!(false)),
                "{service} {name} {error:#}"
            );
            assert_eq!(world.mock.count(&posts), before + 1, "{service} {name}: sent once");
            world.mock.clear_faults_of(vendor(service), "steps");
            let read = world.get(&path).of(service).consumer("steps").send().await.ok();
            assert_eq!(read["data"]["name"], "Sold", "{service} {name}: the record itself was written");
        }
        // Where nothing has been written yet, a step's failure is its own.
        let fault = Kind::Status { status: 400, body: None, retry_after_s: None };
        world.mock.fault(Fault::always(fault).of(vendor(service), "steps").on("POST", stages(service)));
        let only = json!({"stages": body["stages"]});
        world
            .ask("PATCH", &path)
            .of(service)
            .consumer("steps")
            .body(only)
            .send()
            .await
            .fails(400, "ConnectorExecutionError");
        world.mock.clear_faults_of(vendor(service), "steps");
    }
    world.stop().await;
}

#[tokio::test]
async fn amounts_of_currencies_with_and_without_decimals_come_back_as_they_were_written() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "money").await;
        for (currency, amount) in [("JPY", 1234), ("KWD", 1_234_567), ("EUR", 123_456)] {
            let body = json!({"title": currency, "currency": currency, "monetary_amount": amount});
            let made = world
                .ask("POST", "/crm/opportunities")
                .of(service)
                .consumer("money")
                .body(body)
                .send()
                .await
                .ok();
            let path = format!("/crm/opportunities/{}", made["data"]["id"].as_str().unwrap());
            let read = world.get(&path).of(service).consumer("money").send().await.ok();
            let told = (&read["data"]["monetary_amount"], &read["data"]["currency"]);
            assert_eq!(told, (&json!(amount), &json!(currency)), "{service}");
            world
                .ask("PATCH", &path)
                .of(service)
                .consumer("money")
                .body(json!({"monetary_amount": 7}))
                .send()
                .await
                .ok();
            let read = world.get(&path).of(service).consumer("money").send().await.ok();
            let told = (&read["data"]["monetary_amount"], &read["data"]["currency"]);
            assert_eq!(told, (&json!(7), &json!(currency)), "{service}: the record's currency is kept");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn an_id_that_names_an_endpoint_of_the_crm_reaches_none() {
    let world = World::start().await;
    for (service, path) in [
        ("hubspot", "/crm/contacts/search"),
        ("hubspot", "/crm/contacts/batch"),
        ("hubspot", "/crm/custom-objects/contacts"),
        ("hubspot", "/crm/lists/search/members"),
        ("pipedrive", "/crm/contacts/search"),
        ("pipedrive", "/crm/users/me"),
        ("pipedrive", "/crm/leads/search"),
    ] {
        let account = &format!("endpoints{}", path.replace('/', "-"));
        world.connect(service, account).await;
        let all = Filter::account(vendor(service), account);
        world.get(path).of(service).consumer(account).send().await.fails(404, "EntityNotFoundError");
        assert_eq!(world.mock.count(&all), 0, "{service} {path}");
    }
    world.stop().await;
}
