//! Writes under an idempotency key: they happen once, whatever happens to replies, callers and gateways.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use mock_server::faults::{Fault, Kind};
use mock_server::journal::Filter;
use serde_json::{Value, json};

use crate::harness::{Ask, Reply, SERVICES, World, ada, ids, vendor};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// A call under a key.
fn keyed<'w>(
    world: &'w World,
    (service, account): (&str, &str),
    key: &str,
    method: &str,
    path: &str,
) -> Ask<'w> {
    world.ask(method, path).of(service).consumer(account).header("x-unique-transaction-id", key)
}

fn create<'w>(world: &'w World, place: (&str, &str), key: &str, body: Value) -> Ask<'w> {
    keyed(world, place, key, "POST", "/crm/contacts").body(body)
}

fn replayed(reply: &Reply) -> bool {
    reply.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

/// Requests to write a contact that the CRM received.
fn writes(world: &World, (service, account): (&str, &str)) -> usize {
    let path = if service == "hubspot" { "/crm/v3/objects/contacts*" } else { "/api/v2/persons*" };
    let count =
        |method| world.mock.count(&Filter::account(vendor(service), account).path(path).method(method));
    let searches = world.mock.count(&Filter::account(vendor(service), account).path("*/search"));
    count("POST") + count("PATCH") + count("DELETE") - searches
}

async fn all(world: &World, (service, account): (&str, &str), resource: &str) -> Vec<String> {
    ids(&world
        .get(&format!("/crm/{resource}"))
        .of(service)
        .consumer(account)
        .query("limit", 200)
        .send()
        .await
        .ok())
}

/// Faults of the next write of a contact.
fn spoil(world: &World, (service, account): (&str, &str), kind: Kind) {
    let path = if service == "hubspot" { "/crm/v3/objects/contacts" } else { "/api/v2/persons" };
    world.mock.fault(Fault::once(kind).of(vendor(service), account).on("POST", path));
}

#[tokio::test]
async fn the_same_call_under_the_same_key_gets_the_stored_answer() {
    let world = World::start().await;
    for service in SERVICES {
        let place = (service, "same");
        world.connect(service, "same").await;
        let first = create(&world, place, "k-create", ada()).send().await;
        assert_eq!((first.status, replayed(&first)), (201, false));
        let id = first.body["data"]["id"].as_str().unwrap().to_owned();
        let path = format!("/crm/contacts/{id}");
        let change = json!({ "first_name": "Augusta" });
        let update = keyed(&world, place, "k-update", "PATCH", &path).body(change.clone()).send().await;
        let delete = keyed(&world, place, "k-delete", "DELETE", &path).send().await;
        assert_eq!((update.status, delete.status), (200, 200));
        let before = writes(&world, place);
        // The same in other words: keys of the body in another order, and the header's other name.
        let mut turned = serde_json::Map::new();
        turned.extend(ada().as_object().unwrap().clone().into_iter().rev());
        let alias = world.ask("POST", "/crm/contacts").of(service).consumer("same");
        let again = alias.header("idempotency-key", "k-create").body(Value::Object(turned)).send().await;
        let update_again = keyed(&world, place, "k-update", "PATCH", &path).body(change).send().await;
        let delete_again = keyed(&world, place, "k-delete", "DELETE", &path).send().await;
        for (first, again) in [(first, again), (update, update_again), (delete, delete_again)] {
            assert!(replayed(&again) && !replayed(&first), "{service}");
            assert_eq!((again.status, &again.text), (first.status, &first.text), "{service}");
            assert_ne!(again.headers["request-id"], first.headers["request-id"], "{service}");
        }
        assert_eq!(writes(&world, place), before, "{service}: nothing was sent");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_connection() {
    let world = World::start().await;
    for account in ["key-a", "key-b"] {
        for service in SERVICES {
            world.connect(service, account).await;
        }
    }
    let place = ("hubspot", "key-a");
    let first = create(&world, place, "k", ada()).send().await;
    assert_eq!(first.status, 201);
    let mut other = ada();
    other["first_name"] = json!("Augusta");
    let id = first.body["data"]["id"].as_str().unwrap();
    for ask in [
        create(&world, place, "k", other.clone()),
        create(&world, place, "k", ada()).query("raw", "true"),
        keyed(&world, place, "k", "POST", "/crm/companies").body(json!({ "name": "X" })),
        keyed(&world, place, "k", "PATCH", &format!("/crm/contacts/{id}")).body(other.clone()),
        keyed(&world, place, "k", "DELETE", &format!("/crm/contacts/{id}")),
    ] {
        let error = ask.send().await.fails(409, "ConflictError");
        assert!(error["message"].as_str().unwrap().contains("another request"), "{error:#}");
        assert_eq!(error["retriable"], json!(false));
    }
    // Another consumer's key, and the same consumer's at another CRM, are other keys.
    for place in [("hubspot", "key-b"), ("pipedrive", "key-a")] {
        let mut other = ada();
        other["first_name"] = json!("Augusta");
        let reply = create(&world, place, "k", other).send().await;
        assert_eq!((reply.status, replayed(&reply)), (201, false), "{place:?}");
    }
    assert_eq!(writes(&world, place), 1);
    world.stop().await;
}

#[tokio::test]
async fn of_many_at_once_one_writes() {
    let world = World::start().await;
    for service in SERVICES {
        let place = (service, "many");
        world.connect(service, "many").await;
        spoil(&world, place, Kind::Hold { unprocessed: false });
        let fifty = join_all((0..50).map(|_| create(&world, place, "k", ada()).send()));
        let release = async {
            assert!(world.mock.wait_for_held(1, LONG).await);
            let error = create(&world, place, "k", ada()).send().await.fails(409, "ConflictError");
            assert_eq!((&error["retriable"], &error["retry_after_ms"]), (&json!(true), &json!(1000)));
            world.mock.release();
        };
        let (replies, ()) = tokio::join!(fifty, release);
        let (mut written, mut refused) = (0, 0);
        for reply in replies {
            match reply.status {
                201 if replayed(&reply) => {}
                201 => written += 1,
                _ => {
                    reply.fails(409, "ConflictError");
                    refused += 1;
                }
            }
        }
        assert_eq!(written, 1, "{service}");
        assert!(refused > 0, "{service}: the others found it under way");
        assert_eq!((writes(&world, place), all(&world, place, "contacts").await.len()), (1, 1), "{service}");
        assert!(replayed(&create(&world, place, "k", ada()).send().await));
    }
    world.stop().await;
}

#[tokio::test]
async fn an_answer_outlives_its_gateway_and_is_known_to_others() {
    let world = World::start().await;
    let place = ("hubspot", "outlives");
    world.connect("hubspot", "outlives").await;
    let another = world.another().await;
    let first = create(&world, place, "k", ada()).send().await;
    let beside = create(&world, place, "k", ada()).at(&another.url).send().await;
    assert!(replayed(&beside) && beside.text == first.text && beside.status == 201);
    spoil(&world, place, Kind::Hold { unprocessed: true });
    let mut second = ada();
    second["emails"][0]["email"] = json!("second@example.com");
    let under_way = create(&world, place, "k-2", second.clone()).send();
    let meanwhile = async {
        assert!(world.mock.wait_for_held(1, LONG).await);
        let beside = create(&world, place, "k-2", second.clone()).at(&another.url).send().await;
        beside.fails(409, "ConflictError");
        world.mock.release();
    };
    let (reply, ()) = tokio::join!(under_way, meanwhile);
    assert_eq!(reply.status, 201);
    another.stop().await;
    let world = world.restart().await;
    let again = create(&world, place, "k", ada()).send().await;
    assert!(replayed(&again) && again.text == first.text && again.status == 201);
    assert_eq!(writes(&world, place), 2);
    world.stop().await;
}

#[tokio::test]
async fn a_call_that_did_nothing_lets_its_key_go() {
    let world = World::start().await;
    let limited = Kind::RateLimited { retry_after_s: Some(0) };
    let status = |status| Kind::Status { status, body: None, retry_after_s: None };
    for service in SERVICES {
        for (name, kind, answer) in [
            ("limited", limited.clone(), 429),
            ("invalid", status(400), 400),
            ("conflict", status(409), 409),
            ("forbidden", status(403), 403),
        ] {
            let account = format!("released-{name}");
            let place = (service, account.as_str());
            world.connect(service, &account).await;
            let path = if service == "hubspot" { "/crm/v3/objects/contacts" } else { "/api/v2/persons" };
            world.mock.fault(Fault::always(kind).of(vendor(service), &account).on("POST", path));
            let refused = create(&world, place, "k", json!({ "first_name": "Wrong" })).send().await;
            assert_eq!(refused.status, answer, "{service} {name} {:#}", refused.body);
            world.mock.clear_faults_of(vendor(service), &account);
            let corrected = create(&world, place, "k", ada()).send().await;
            assert_eq!((corrected.status, replayed(&corrected)), (201, false), "{service} {name}");
        }
        let place = (service, "released");
        let unknown = create(&world, place, "k", ada()).send().await;
        unknown.fails(404, "ConnectionNotFoundError");
        world.connect(service, "released").await;
        create(&world, place, "k", json!({ "first_name": 7 }))
            .send()
            .await
            .fails(400, "RequestValidationError");
        let corrected = create(&world, place, "k", ada()).send().await;
        assert_eq!((corrected.status, replayed(&corrected)), (201, false), "{service}");
        let missing = keyed(&world, place, "k-2", "PATCH", "/crm/contacts/999999").body(ada()).send().await;
        missing.fails(404, "EntityNotFoundError");
        let corrected =
            create(&world, place, "k-2", json!({ "first_name": "B", "last_name": "C" })).send().await;
        assert_eq!(corrected.status, 201, "{service}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_a_key_asks_no_database() {
    // The request log is written behind the calls, in its own time.
    let world = World::with(|settings| settings.request_log.enabled = false).await;
    world.connect("hubspot", "no-key").await;
    let ask = |last_name: &str| {
        let body = json!({ "last_name": last_name });
        world.ask("POST", "/crm/contacts").of("hubspot").consumer("no-key").body(body).send()
    };
    ask("First").await.ok();
    let before = world.store.queries();
    for name in ["Second", "Third"] {
        ask(name).await.ok();
    }
    assert_eq!(world.store.queries(), before);
    world.stop().await;
}

#[tokio::test]
async fn a_key_is_forgotten_when_its_time_is_over() {
    let world = World::with(|settings| settings.idempotency.keep = Duration::from_millis(1)).await;
    let place = ("pipedrive", "expiry");
    world.connect("pipedrive", "expiry").await;
    let first = create(&world, place, "k", ada()).send().await;
    let second = create(&world, place, "k", ada()).send().await;
    assert!(!replayed(&second) && first.body["data"]["id"] != second.body["data"]["id"]);
    world.gateway.app.idempotency.purge().await.unwrap();
    assert_eq!(world.store.purge_keys().await.unwrap(), 0, "nothing is left to purge");
    world.stop().await;
}

#[tokio::test]
async fn what_is_kept_is_sealed() {
    let world = World::start().await;
    let place = ("pipedrive", "sealed");
    world.connect("pipedrive", "sealed").await;
    let kept = create(&world, place, "plain-key", ada()).query("raw", "true").send().await;
    assert!(kept.text.contains("ada@example.com"), "{}", kept.text);
    spoil(&world, place, Kind::DropAfter);
    let mut lost = ada();
    lost["emails"][0]["email"] = json!("lost@example.com");
    create(&world, place, "plain-lost", lost).send().await.fails(424, "ConnectorExecutionError");
    let mut files = 0;
    for file in std::fs::read_dir(world.folder()).unwrap() {
        let file = file.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        files += usize::from(file.to_string_lossy().contains("crosswalk.db"));
        for text in ["ada@example.com", "lost@example.com", "Lovelace", "plain-key", "plain-lost"] {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text}: {file:?}");
        }
    }
    assert!(files >= 2, "the database and its log");
    world.stop().await;
}

/// The connectors with searches that show a record at once, as those of the mock do.
fn hasty(folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for service in SERVICES {
        std::fs::create_dir_all(folder.join(service)).unwrap();
        let manifest = std::fs::read_to_string(root.join("connectors").join(service).join("manifest.yaml"));
        let manifest = manifest.unwrap().replace("settle_s: 15", "settle_s: 0");
        std::fs::write(folder.join(service).join("manifest.yaml"), manifest).unwrap();
    }
    folder.to_owned()
}

/// What can be created, and the path that creates it.
fn creatable(service: &str, contact: &str) -> Vec<(&'static str, Value, &'static str)> {
    let when = "2026-03-04T05:06:07.000Z";
    let named = json!({ "first_name": "No", "last_name": "Address" });
    match service {
        "hubspot" => vec![
            ("contacts", ada(), "/crm/v3/objects/contacts"),
            ("contacts", named, "/crm/v3/objects/contacts"),
            ("companies", json!({ "name": "Analytical  Engines" }), "/crm/v3/objects/companies"),
            ("opportunities", json!({ "title": "Deal" }), "/crm/v3/objects/deals"),
            ("leads", json!({ "name": "Lead", "contact_id": contact }), "/crm/v3/objects/leads"),
            (
                "notes",
                json!({ "content": "Said <yes> & more", "contact_id": contact }),
                "/crm/v3/objects/notes",
            ),
            ("activities", json!({ "type": "call", "title": "Call" }), "/crm/v3/objects/calls"),
            (
                "activities",
                json!({ "type": "task", "title": "Task", "activity_datetime": when }),
                "/crm/v3/objects/tasks",
            ),
        ],
        _ => vec![
            ("contacts", ada(), "/api/v2/persons"),
            ("contacts", named, "/api/v2/persons"),
            ("companies", json!({ "name": "Analytical Engines" }), "/api/v2/organizations"),
            ("opportunities", json!({ "title": "Deal" }), "/api/v2/deals"),
            ("leads", json!({ "name": "Lead", "contact_id": contact }), "/api/v1/leads"),
            ("notes", json!({ "content": "Said yes & more", "contact_id": contact }), "/api/v1/notes"),
            ("activities", json!({ "type": "call", "title": "Call" }), "/api/v2/activities"),
        ],
    }
}

#[tokio::test]
async fn a_create_whose_reply_was_lost_is_found_and_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::with(|settings| settings.connectors_dir = Some(hasty(folder.path()))).await;
    for service in SERVICES {
        world.connect(service, "lost").await;
        let place = (service, "lost");
        let mut other = ada();
        other["emails"][0]["email"] = json!("other@example.com");
        other["last_name"] = json!("Other");
        let contact = create(&world, place, "contact", other).send().await.ok();
        let contact = contact["data"]["id"].as_str().unwrap();
        for (number, (resource, body, path)) in creatable(service, contact).into_iter().enumerate() {
            for (happened, kind) in [(true, Kind::DropAfter), (false, Kind::DropBefore)] {
                let what = format!("{service} {resource} {number} happened: {happened}");
                let key = format!("k-{number}-{happened}");
                let mut body = body.clone();
                if !happened {
                    // Another record than that of the first round.
                    for field in ["last_name", "name", "title", "content"] {
                        if let Some(text) = body.get(field).and_then(Value::as_str) {
                            body[field] = json!(format!("{text} again"));
                        }
                    }
                    if body.get("emails").is_some() {
                        body["emails"][0]["email"] = json!("again@example.com");
                    }
                }
                let before = all(&world, place, resource).await;
                world.mock.fault(Fault::once(kind).of(vendor(service), "lost").on("POST", path));
                let ask =
                    || keyed(&world, place, &key, "POST", &format!("/crm/{resource}")).body(body.clone());
                let error = ask().send().await.fails(424, "ConnectorExecutionError");
                assert_eq!(error["detail"]["outcome"], "uncertain", "{what}");
                let found = ask().send().await;
                assert_eq!((found.status, replayed(&found)), (201, false), "{what}: {:#}", found.body);
                let id = found.body["data"]["id"].as_str().unwrap();
                let after = all(&world, place, resource).await;
                let new: Vec<&String> = after.iter().filter(|id| !before.contains(id)).collect();
                assert_eq!(new, [id], "{what}");
                let again = ask().send().await;
                assert!(replayed(&again) && again.text == found.text, "{what}");
            }
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_search_that_shows_records_late_is_not_trusted_early() {
    let world = World::start().await;
    let place = ("hubspot", "late");
    world.connect("hubspot", "late").await;
    world.mock.fault(
        Fault::once(Kind::DropAfter).of(vendor("hubspot"), "late").on("POST", "/crm/v3/objects/companies"),
    );
    let ask = || keyed(&world, place, "k", "POST", "/crm/companies").body(json!({ "name": "Late" }));
    ask().send().await.fails(424, "ConnectorExecutionError");
    let error = ask().send().await.fails(409, "ConflictError");
    let retry_after_ms = error["retry_after_ms"].as_u64().unwrap();
    assert!((1..=15_000).contains(&retry_after_ms) && error["retriable"] == true, "{error:#}");
    assert_eq!(all(&world, place, "companies").await.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn of_several_records_none_is_guessed() {
    let world = World::start().await;
    let place = ("pipedrive", "several");
    world.connect("pipedrive", "several").await;
    spoil(&world, place, Kind::DropAfter);
    create(&world, place, "k", ada()).send().await.fails(424, "ConnectorExecutionError");
    let twin =
        world.ask("POST", "/crm/contacts").of("pipedrive").consumer("several").body(ada()).send().await;
    assert_eq!(twin.status, 201);
    for _ in 0..2 {
        let error = create(&world, place, "k", ada()).send().await.fails(424, "ConnectorExecutionError");
        assert_eq!(error["detail"]["outcome"], "uncertain");
        assert_eq!(error["detail"]["candidates"].as_array().unwrap().len(), 2, "{error:#}");
    }
    assert_eq!(writes(&world, place), 2);
    world.stop().await;
}

#[tokio::test]
async fn what_cannot_be_looked_for_stays_uncertain() {
    let world = World::start().await;
    let place = ("hubspot", "blind");
    world.connect("hubspot", "blind").await;
    spoil(&world, place, Kind::DropAfter);
    let ask = || {
        create(
            &world,
            place,
            "k",
            json!({ "phone_numbers": [{ "number": "+1 555 0100", "type": "primary" }] }),
        )
    };
    ask().send().await.fails(424, "ConnectorExecutionError");
    let error = ask().send().await.fails(424, "ConnectorExecutionError");
    assert_eq!(error["detail"]["outcome"], "uncertain");
    assert!(error["message"].as_str().unwrap().contains("new key"), "{error:#}");
    assert_eq!(writes(&world, place), 1);
    world.stop().await;
}

#[tokio::test]
async fn updates_and_deletes_of_unknown_outcome_are_repeated() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "repeat").await;
        let place = (service, "repeat");
        let made = create(&world, place, "made", ada()).send().await.ok();
        let path = format!("/crm/contacts/{}", made["data"]["id"].as_str().unwrap());
        for (method, body) in [("PATCH", Some(json!({ "first_name": "Augusta" }))), ("DELETE", None)] {
            world.mock.fault(Fault::once(Kind::DropAfter).of(vendor(service), "repeat").on(method, "*"));
            let ask = || {
                let ask = keyed(&world, place, method, method, &path);
                body.clone()
                    .map_or_else(|| keyed(&world, place, method, method, &path), |body| ask.body(body))
            };
            ask().send().await.fails(424, "ConnectorExecutionError");
            let done = ask().send().await;
            assert_eq!(
                (done.status, &done.body["data"]),
                (200, &made["data"]),
                "{service} {method} {:#}",
                done.body
            );
            assert!(replayed(&ask().send().await));
        }
        assert!(all(&world, place, "contacts").await.is_empty(), "{service}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_reply_that_may_hide_the_record_proves_nothing() {
    let world = World::start().await;
    let place = ("pipedrive", "crowd");
    world.connect("pipedrive", "crowd").await;
    spoil(&world, place, Kind::DropBefore);
    create(&world, place, "k", ada()).send().await.fails(424, "ConnectorExecutionError");
    for number in 0..100 {
        let fields = json!({ "name": format!("Crowd {number}") });
        world
            .mock
            .insert_record(vendor("pipedrive"), "crowd", "persons", fields.as_object().unwrap())
            .unwrap();
    }
    let error = create(&world, place, "k", ada()).send().await.fails(424, "ConnectorExecutionError");
    assert_eq!(error["detail"]["outcome"], "uncertain", "{error:#}");
    assert!(error["message"].as_str().unwrap().contains("too many records"), "{error:#}");
    assert_eq!(writes(&world, place), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_write_that_happened_without_its_associations_is_told_once_or_as_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let optional = |settings: &mut crosswalk::config::Settings| {
        let connectors = hasty(folder.path());
        let manifest = connectors.join("hubspot/manifest.yaml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(
            &manifest,
            text.replace("        single: true\n", "        single: true\n        required: false\n"),
        )
        .unwrap();
        settings.connectors_dir = Some(connectors);
    };
    for is_optional in [false, true] {
        let world = if is_optional { World::with(optional).await } else { World::start().await };
        let place = ("hubspot", "half");
        world.connect("hubspot", "half").await;
        let made = create(&world, place, "made", ada()).send().await.ok();
        let path = format!("/crm/contacts/{}", made["data"]["id"].as_str().unwrap());
        let ask = || {
            let body = json!({ "first_name": "Augusta", "company_id": "999999" });
            keyed(&world, place, "half", "PATCH", &path).body(body).send()
        };
        let first = ask().await;
        if is_optional {
            assert_eq!((first.status, &first.body["data"]), (200, &made["data"]), "{:#}", first.body);
            let warning = &first.body["meta"]["warnings"][0];
            assert_eq!(
                (&warning["type"], &warning["operation"]),
                (&json!("StepWarning"), &json!("contacts.company.add")),
                "{:#}",
                first.body
            );
        } else {
            assert_eq!((first.status, &first.body["type_name"]), (424, &json!("PostWriteProcessingError")));
            assert_eq!(
                (&first.body["detail"]["outcome"], &first.body["detail"]["id"]),
                (&json!("written"), &made["data"]["id"])
            );
        }
        let before = writes(&world, place);
        let again = ask().await;
        assert!(replayed(&again) && again.status == first.status && again.text == first.text);
        assert_eq!(writes(&world, place), before, "nothing is repeated");
        world.stop().await;
    }
}
