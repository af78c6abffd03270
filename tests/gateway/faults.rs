//! What CRMs do wrong, on every verb: what the caller is told, and what has happened to the record.

use std::time::Duration;

use futures_util::future::join_all;
use mock_server::faults::{Fault, Kind};
use mock_server::journal::Filter;
use serde_json::{Value, json};

use crate::harness::{Reply, SERVICES, World, ada, ids, vendor};

/// What a caller may do with a contact.
const VERBS: [&str; 5] = ["list", "one", "create", "update", "delete"];

/// How a failure looks from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Told {
    status: u16,
    type_name: &'static str,
    fault: &'static str,
    retriable: bool,
    /// Requests that the CRM received.
    attempts: usize,
}

const fn execution(status: u16, retriable: bool, attempts: usize) -> Told {
    Told { status, type_name: "ConnectorExecutionError", fault: "vendor", retriable, attempts }
}

/// One fault: what reads are told, what writes are told, whether a write has happened none the less.
struct Row {
    name: &'static str,
    kind: Kind,
    read: Told,
    write: Told,
    happened: bool,
}

fn status(status: u16) -> Kind {
    Kind::Status { status, body: None, retry_after_s: None }
}

/// A write after which nobody knows: nothing repeats it, neither the gateway nor a client.
const UNCERTAIN: Told = execution(424, false, 1);

fn rows() -> Vec<Row> {
    let limited = |attempts| Told { type_name: "ConnectorRateLimitError", ..execution(429, true, attempts) };
    let expired =
        Told { type_name: "ConnectorCredentialsError", fault: "connection", ..execution(401, false, 1) };
    let row = |name, kind, read, write, happened| Row { name, kind, read, write, happened };
    let later = Kind::Status { status: 503, body: None, retry_after_s: Some(40) };
    vec![
        row("500", status(500), execution(502, true, 1), UNCERTAIN, false),
        row("502-html", status(502), execution(502, true, 3), UNCERTAIN, false),
        row("503", status(503), execution(502, true, 3), UNCERTAIN, false),
        row("503-later", later, execution(502, true, 1), UNCERTAIN, false),
        row("504", status(504), execution(504, true, 3), UNCERTAIN, false),
        row("408", status(408), execution(504, true, 1), UNCERTAIN, false),
        row("429", Kind::RateLimited { retry_after_s: None }, limited(3), limited(3), false),
        row("429-later", Kind::RateLimited { retry_after_s: Some(40) }, limited(1), limited(1), false),
        row("drop-before", Kind::DropBefore, execution(502, true, 3), UNCERTAIN, false),
        row("drop-after", Kind::DropAfter, execution(502, true, 3), UNCERTAIN, true),
        row("truncated", Kind::Truncate { keep: 1 }, execution(502, true, 3), UNCERTAIN, true),
        row("html", Kind::NotJson { status: 200 }, execution(502, true, 1), UNCERTAIN, false),
        row("broken", Kind::BrokenJson, execution(502, true, 1), UNCERTAIN, true),
        row("expired", Kind::ExpiredToken, expired, expired, false),
    ]
}

/// The paths that the five verbs use, and none of what goes before.
fn path(service: &str) -> &'static str {
    if service == "hubspot" { "/crm/v3/objects/contacts*" } else { "/api/v2/persons*" }
}

async fn call(world: &World, service: &str, account: &str, verb: &str, id: &str) -> Reply {
    let one = format!("/crm/contacts/{id}");
    let ask = match verb {
        "list" => world.get("/crm/contacts"),
        "one" => world.get(&one),
        "create" => world.ask("POST", "/crm/contacts").body(fresh()),
        "update" => world.ask("PATCH", &one).body(json!({"first_name": "Grace", "last_name": "Hopper"})),
        _ => world.ask("DELETE", &one),
    };
    ask.of(service).consumer(account).send().await
}

/// A second contact.
fn fresh() -> Value {
    json!({"first_name": "Edsger", "last_name": "Dijkstra", "emails": [{"email": "ewd@example.com"}]})
}

/// Whether the call's change is to be seen, in the only contact or beside it. It is counted, so that twice is seen too.
async fn changes(world: &World, service: &str, account: &str, verb: &str) -> usize {
    let page = world.get("/crm/contacts").of(service).consumer(account).send().await.ok();
    let named = |name: &str| {
        page["data"].as_array().unwrap().iter().filter(|record| record["last_name"] == name).count()
    };
    match verb {
        "create" => named("Dijkstra"),
        "update" => named("Hopper"),
        "delete" => 1 - named("Lovelace"),
        _ => 0,
    }
}

/// One fault, one verb, one connector.
async fn cell(world: &World, service: &'static str, row: &Row, verb: &'static str) {
    let here = format!("{service} {} {verb}", row.name);
    let account = here.replace(' ', "-");
    let (vendor, path) = (vendor(service), path(service));
    world.connect(service, &account).await;
    let created = world.ask("POST", "/crm/contacts").of(service).consumer(&account).body(ada()).send().await;
    let id = created.ok()["data"]["id"].as_str().unwrap().to_owned();
    let all = Filter::account(vendor, &account).path(path);
    let before = world.mock.count(&all);

    let method = match verb {
        "list" | "one" => "GET",
        "create" => "POST",
        "update" => "PATCH",
        _ => "DELETE",
    };
    world.mock.fault(Fault::always(row.kind.clone()).of(vendor, &account).on(method, path));
    let reply = call(world, service, &account, verb, &id).await;
    let attempts = world.mock.count(&all) - before;
    let is_read = method == "GET";
    let expected = if is_read { row.read } else { row.write };

    // A reply without a body cannot be cut short or broken.
    let bodiless = service == "hubspot" && verb == "delete" && ["truncated", "broken"].contains(&row.name);
    if bodiless {
        reply.ok();
        return;
    }
    let body = &reply.body;
    let told = (
        reply.status,
        body["type_name"].as_str().unwrap_or("none"),
        body["fault"].as_str().unwrap_or("none"),
        body["retriable"].as_bool(),
        attempts,
    );
    let Told { status, type_name, fault, retriable, .. } = expected;
    assert_eq!(told, (status, type_name, fault, Some(retriable), expected.attempts), "{here}: {body:#}");
    if status == 424 {
        assert_eq!(body["detail"]["outcome"], "uncertain", "{here}: {body:#}");
    } else {
        assert!(body["detail"].get("outcome").is_none(), "{here}: {body:#}");
    }
    if row.name.ends_with("-later") && (is_read || status == 429) {
        let after: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((39..=40).contains(&after), "{here}: {after}");
        assert_eq!(body["retry_after_ms"].as_u64().unwrap().div_ceil(1000), after, "{here}");
    }
    if let Kind::Status { status, .. } = row.kind {
        assert_eq!(body["detail"]["status_code"], json!(status), "{here}: the CRM's own status is told");
    }
    if !is_read && !row.name.starts_with("429-") {
        world.mock.clear_faults_of(vendor, &account);
        let seen = changes(world, service, &account, verb).await;
        assert_eq!(seen, usize::from(row.happened), "{here}: how often it happened");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_crm_is_told_for_what_it_is_on_every_verb() {
    let world = World::start().await;
    let rows = rows();
    let cells = SERVICES
        .iter()
        .flat_map(|service| rows.iter().flat_map(move |row| VERBS.map(|verb| (*service, row, verb))));
    join_all(cells.map(|(service, row, verb)| cell(&world, service, row, verb))).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crm_that_is_too_slow() {
    let world =
        World::with(|settings| settings.timeouts.downstream_total = Duration::from_millis(1500)).await;
    let cells = SERVICES.iter().flat_map(|service| VERBS.map(|verb| (*service, verb)));
    let cells = cells.map(async |(service, verb)| {
        let account = format!("slow-{service}-{verb}");
        world.connect(service, &account).await;
        let created =
            world.ask("POST", "/crm/contacts").of(service).consumer(&account).body(ada()).send().await;
        let id = created.ok()["data"]["id"].as_str().unwrap().to_owned();
        let drip = Kind::Drip { chunk: 1, every_ms: 1000 };
        let fault = Fault::once(drip).times(2).of(vendor(service), &account);
        world.mock.fault(Fault { path: Some(path(service).to_owned()), ..fault });
        let is_read = ["list", "one"].contains(&verb);
        let reply = call(&world, service, &account, verb, &id).await;
        if (service, verb) == ("hubspot", "delete") {
            // 204 has no body that could trickle.
            reply.ok();
            return;
        }
        let error = reply.fails(if is_read { 504 } else { 424 }, "ConnectorExecutionError");
        assert_eq!(error["retriable"], json!(is_read), "{service} {verb}");
        if !is_read {
            assert_eq!(error["detail"]["outcome"], "uncertain", "{service} {verb}");
            world.mock.clear_faults_of(vendor(service), &account);
            assert_eq!(changes(&world, service, &account, verb).await, 1, "{service} {verb}");
        }
    });
    join_all(cells).await;
    world.stop().await;
}

#[tokio::test]
async fn a_crm_that_is_not_there_takes_no_write() {
    let world = World::with(|settings| {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for url in settings.base_urls.values_mut() {
            url.set_port(Some(nobody.port())).unwrap();
        }
    })
    .await;
    for service in SERVICES {
        world.connect(service, "nowhere").await;
    }
    let cells = SERVICES.iter().flat_map(|service| VERBS.map(|verb| (*service, verb)));
    let cells = cells.map(async |(service, verb)| {
        let error = call(&world, service, "nowhere", verb, "1").await.fails(502, "ConnectorExecutionError");
        let told = (&error["fault"], &error["retriable"]);
        assert_eq!(told, (&json!("vendor"), &json!(true)), "{service} {verb}");
        assert!(error["detail"].get("outcome").is_none(), "{service} {verb}: {error:#}");
    });
    join_all(cells).await;
    world.stop().await;
}

#[tokio::test]
async fn a_bad_moment_is_ridden_out() {
    let world = World::start().await;
    for service in SERVICES {
        for (name, kind) in [
            ("rate", Kind::RateLimited { retry_after_s: None }),
            ("gone", Kind::DropBefore),
            ("busy", status(503)),
        ] {
            let account = format!("moment-{service}-{name}");
            world.connect(service, &account).await;
            world
                .mock
                .fault(Fault::once(kind).times(2).of(vendor(service), &account).on("GET", path(service)));
            let page = call(&world, service, &account, "list", "").await.ok();
            assert!(ids(&page).is_empty());
        }
        let account = format!("moment-{service}-write");
        world.connect(service, &account).await;
        let limit = Kind::RateLimited { retry_after_s: None };
        world.mock.fault(Fault::once(limit).of(vendor(service), &account).on("POST", path(service)));
        call(&world, service, &account, "create", "").await.ok();
        assert_eq!(changes(&world, service, &account, "create").await, 1);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_missing_permission_is_the_connections_fault() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect(service, "scopes").await;
        let mut settings = world.mock.settings(vendor(service), "scopes");
        settings.forbidden_paths = vec![path(service).to_owned()];
        world.mock.set_settings(vendor(service), "scopes", settings);
        for verb in VERBS {
            let error =
                call(&world, service, "scopes", verb, "1").await.fails(403, "ConnectorExecutionError");
            assert_eq!(
                (&error["fault"], &error["retriable"]),
                (&json!("connection"), &json!(false)),
                "{service}"
            );
            assert!(!error["downstream_errors"][0]["message"].as_str().unwrap().is_empty(), "{error:#}");
        }
    }
    world.stop().await;
}
