//! Tokens that end, rotate, are revoked; and that nobody ever gets to see.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crosswalk::model::{AppId, ConnectionState, ConsumerId, ServiceId};
use crosswalk::observe::JsonLines;
use futures_util::future::join_all;
use mock_server::faults::{Fault, Kind};
use mock_server::journal::Filter;
use mock_server::oauth::RefreshCounts;
use serde_json::json;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::harness::{Reply, SERVICES, World, ada, ids, vendor};

async fn list(world: &World, service: &str, consumer: &str) -> Reply {
    world.get("/crm/contacts").of(service).consumer(consumer).query("limit", 5).send().await
}

async fn state(world: &World, service: &str, consumer: &str) -> ConnectionState {
    let (app, consumer) = (AppId::new("demo-app"), ConsumerId::new(consumer));
    let all = world.store.connections(&app, Some(&consumer)).await.unwrap();
    let service = ServiceId::new(service);
    all.into_iter().find(|stored| stored.connection.service == service).unwrap().connection.state
}

/// A consumer and account of one connector; the mock's fixed refresh tokens are told apart by their account alone.
fn own(service: &str, name: &str) -> String {
    format!("{service}-{name}")
}

fn counts(world: &World, service: &str, account: &str) -> RefreshCounts {
    world.mock.refresh_counts(vendor(service), account)
}

#[tokio::test]
async fn the_first_call_of_a_bare_refresh_token_gets_the_access_token_once() {
    let world = World::start().await;
    for service in SERVICES {
        for _ in 0..3 {
            list(&world, service, &format!("demo-{service}")).await.ok();
            assert_eq!(
                counts(&world, service, "demo"),
                RefreshCounts { granted: 1, refused: 0 },
                "{service}"
            );
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_with_an_ended_token_cost_one_refresh() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect_oauth(service, &own(service, "crowd")).await;
        list(&world, service, &own(service, "crowd")).await.ok();
        world.mock.expire_tokens(vendor(service), &own(service, "crowd"));
        let before = world.mock.count(&Filter { status: Some(401), ..Filter::default() });
        // So that many are under way before the first is refused.
        world.mock.fault(Fault::always(Kind::Latency { ms: 300 }).on("GET", "*"));
        let crowd = own(service, "crowd");
        let replies = join_all((0..100).map(|_| list(&world, service, &crowd))).await;
        assert!(replies.iter().all(|reply| reply.status == 200), "{service}");
        let refused = world.mock.count(&Filter { status: Some(401), ..Filter::default() }) - before;
        assert!(refused > 10, "{service}: many calls must have met the ended token ({refused})");
        world.mock.clear_faults();
        assert_eq!(
            counts(&world, service, &own(service, "crowd")),
            RefreshCounts { granted: 2, refused: 0 },
            "{service}"
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_writes_with_an_ended_token_are_each_done_once() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect_oauth(service, &own(service, "writers")).await;
        list(&world, service, &own(service, "writers")).await.ok();
        world.mock.expire_tokens(vendor(service), &own(service, "writers"));
        let writes = (0..100).map(|n| {
            let body = json!({ "name": format!("Company {n}") });
            world
                .ask("POST", "/crm/companies")
                .of(service)
                .consumer(&own(service, "writers"))
                .body(body)
                .send()
        });
        for reply in join_all(writes).await {
            assert_eq!(reply.status, 201, "{service} {:#}", reply.body);
        }
        let all = world
            .get("/crm/companies")
            .of(service)
            .consumer(&own(service, "writers"))
            .query("limit", 200)
            .send()
            .await;
        let mut names: Vec<String> = all.ok()["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|company| company["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        let mut expected: Vec<String> = (0..100).map(|n| format!("Company {n}")).collect();
        expected.sort();
        assert_eq!(names, expected, "{service}");
        assert_eq!(counts(&world, service, &own(service, "writers")).granted, 2, "{service}");
    }
    world.stop().await;
}

#[tokio::test]
async fn rotating_refresh_tokens_go_on_and_survive_a_restart() {
    let mut world = World::start().await;
    for service in SERVICES {
        let mut settings = world.mock.settings(vendor(service), &own(service, "turns"));
        settings.rotate_refresh_tokens = true;
        world.mock.set_settings(vendor(service), &own(service, "turns"), settings);
        world.connect_oauth(service, &own(service, "turns")).await;
    }
    let mut granted = 0;
    for _ in 0..2 {
        for _ in 0..3 {
            granted += 1;
            for service in SERVICES {
                list(&world, service, &own(service, "turns")).await.ok();
                assert_eq!(
                    counts(&world, service, &own(service, "turns")),
                    RefreshCounts { granted, refused: 0 },
                    "{service}"
                );
                assert_eq!(world.mock.expire_tokens(vendor(service), &own(service, "turns")), 1);
            }
        }
        world = world.restart().await;
    }
    world.stop().await;
}

async fn page(world: &World, service: &str, limit: usize, cursor: Option<String>) -> Reply {
    let ask =
        world.get("/crm/contacts").of(service).consumer(&format!("demo-{service}")).query("limit", limit);
    let ask = if let Some(cursor) = cursor { ask.query("cursor", cursor) } else { ask };
    ask.send().await
}

#[tokio::test]
async fn cursors_survive_a_restart_and_a_refresh() {
    let mut world = World::start().await;
    for service in SERVICES {
        let whole = ids(&page(&world, service, 30, None).await.ok());
        let mut followed = Vec::new();
        let mut cursor = None;
        for turn in 0..3 {
            let found = page(&world, service, 10, cursor).await.ok();
            followed.extend(ids(&found));
            cursor = Some(found["meta"]["cursors"]["next"].as_str().unwrap().to_owned());
            assert!(world.mock.expire_tokens(vendor(service), "demo") > 0);
            if turn == 0 {
                world = world.restart().await;
            }
        }
        assert_eq!(followed, whole, "{service}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_revoked_grant_ends_the_connection_and_the_crm_is_left_in_peace() {
    let mut world = World::start().await;
    for service in SERVICES {
        world.connect_oauth(service, &own(service, "left")).await;
        list(&world, service, &own(service, "left")).await.ok();
        assert!(world.mock.revoke_account(vendor(service), &own(service, "left")) >= 2);
        let error =
            list(&world, service, &own(service, "left")).await.fails(401, "ConnectorCredentialsError");
        assert_eq!((&error["fault"], &error["retriable"]), (&json!("connection"), &json!(false)));
        assert_eq!(state(&world, service, &own(service, "left")).await, ConnectionState::Invalid);
    }
    let before = world.mock.count(&Filter::default());
    for _ in 0..2 {
        for service in SERVICES {
            list(&world, service, &own(service, "left")).await.fails(401, "ConnectorCredentialsError");
            assert_eq!(
                counts(&world, service, &own(service, "left")),
                RefreshCounts { granted: 1, refused: 1 },
                "{service}"
            );
        }
        world = world.restart().await;
    }
    assert_eq!(world.mock.count(&Filter::default()), before, "nothing was asked of a CRM again");
    world.stop().await;
}

#[tokio::test]
async fn a_failing_oauth_server_is_a_bad_moment_and_no_end() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect_oauth(service, &own(service, "moment")).await;
        list(&world, service, &own(service, "moment")).await.ok();
        world.mock.expire_tokens(vendor(service), &own(service, "moment"));
        let failing = Kind::Status { status: 500, body: None, retry_after_s: None };
        let fault = Fault::always(failing).on("POST", "/oauth/*");
        world.mock.fault(Fault { vendor: Some(vendor(service)), ..fault });
        let error = list(&world, service, &own(service, "moment")).await.fails(502, "OAuthConnectorError");
        assert_eq!((&error["fault"], &error["retriable"]), (&json!("vendor"), &json!(true)), "{error:#}");
        assert_eq!(state(&world, service, &own(service, "moment")).await, ConnectionState::Callable);
        world.mock.clear_faults();
        // As long as the reply says, and not longer.
        tokio::time::sleep(Duration::from_millis(error["retry_after_ms"].as_u64().unwrap())).await;
        list(&world, service, &own(service, "moment")).await.ok();
        assert_eq!(
            counts(&world, service, &own(service, "moment")),
            RefreshCounts { granted: 2, refused: 0 },
            "{service}"
        );
    }
    world.stop().await;
}

#[tokio::test]
async fn a_new_token_that_is_refused_as_well_is_not_refreshed_for_ever() {
    let world = World::start().await;
    for service in SERVICES {
        world.connect_oauth(service, &own(service, "always")).await;
        list(&world, service, &own(service, "always")).await.ok();
        let refused = Fault::always(Kind::ExpiredToken).of(vendor(service), &own(service, "always"));
        world.mock.fault(refused.on("GET", "*"));
        let account = Filter::account(vendor(service), &own(service, "always"));
        let before = world.mock.count(&account);
        list(&world, service, &own(service, "always")).await.fails(401, "ConnectorCredentialsError");
        assert_eq!(counts(&world, service, &own(service, "always")).granted, 2, "{service}");
        assert!(world.mock.count(&account) - before <= 3, "{service}");
    }
    world.stop().await;
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_stored_in_the_clear_logged_or_answered() {
    let log = Kept::default();
    let kept = log.clone();
    let lines = JsonLines::new(move || kept.clone());
    let levels = tracing_subscriber::filter::Targets::new()
        .with_target("crosswalk", tracing::Level::TRACE)
        .with_default(tracing::Level::INFO);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(levels).with(lines)).unwrap();

    let world = World::start().await;
    let mut answers = String::new();
    for service in SERVICES {
        let moving = own(service, "moving");
        world.connect(service, "fixed").await;
        world.connect_oauth(service, &moving).await;
        for consumer in ["fixed", &moving] {
            let ask =
                |method, path| world.ask(method, path).of(service).consumer(consumer).query("raw", "true");
            let mut replies = vec![ask("POST", "/crm/contacts").body(ada()).send().await];
            world.mock.expire_tokens(vendor(service), &moving);
            replies.push(ask("GET", "/crm/contacts").send().await);
            replies.push(ask("GET", "/crm/contacts/999999999").send().await);
            let broken = Kind::Status { status: 500, body: None, retry_after_s: None };
            world.mock.fault(Fault::once(broken).of(vendor(service), consumer));
            replies.push(ask("GET", "/crm/users").send().await);
            world.mock.fault(Fault::always(Kind::ExpiredToken).of(vendor(service), consumer).on("GET", "*"));
            replies.push(ask("GET", "/crm/users").send().await);
            world.mock.clear_faults();
            world.mock.revoke_account(vendor(service), consumer);
            replies.push(ask("GET", "/crm/users").send().await);
            for Reply { headers, body, .. } in replies {
                answers.push_str(&format!("{headers:?} {body}\n"));
            }
        }
    }

    // A customer connects, and is refused once.
    world.store.add_redirect_uri(&AppId::new("demo-app"), crate::oauth::HOME).await.unwrap();
    let mut secrets: Vec<String> = Vec::new();
    for service in SERVICES {
        let consumer = own(service, "browser");
        world.store.create_consumer(&AppId::new("demo-app"), &ConsumerId::new(&consumer)).await.unwrap();
        for spoiled in [true, false] {
            let link = crate::oauth::link(&world, service, &consumer);
            let (back, cookie) = crate::oauth::consent(&world, &link, &consumer).await;
            let url = if spoiled { back.as_str().replace("code=", "code=x") } else { back.to_string() };
            secrets.extend(back.query_pairs().map(|(_, value)| value.into_owned()));
            secrets.push(link.split_once("state=").unwrap().1.to_owned());
            secrets.push(cookie.split_once('=').unwrap().1.to_owned());
            let (_, headers, text) = world.browse(&url, &[("cookie", &cookie)]).await;
            answers.push_str(&format!("{headers:?} {text}\n"));
        }
        list(&world, service, &consumer).await.ok();
    }

    // A path may carry a token.
    let token = "token-in-a-path-7f3a";
    let told = world.plain("GET", &format!("/vault/oauth/disconnect/{token}/hubspot"), &[]).await;
    answers.push_str(&format!("{:?} {}\n", told.headers, told.body));
    secrets.push(token.to_owned());

    // What the CRMs were shown is what must not be shown to anybody else.
    secrets.extend(
        ["sk_demo_crosswalk", "demo-hubspot-secret", "demo-pipedrive-secret", "demo-hubspot-refresh"]
            .map(str::to_owned),
    );
    for entry in world.mock.journal(&Filter::default()) {
        let shown = entry.header("authorization").and_then(|value| value.split_once(' '));
        secrets.extend(shown.map(|(_, secret)| secret.to_owned()));
        secrets.extend(entry.header("x-api-token").map(str::to_owned));
        let form = url::form_urlencoded::parse(entry.body.as_bytes());
        secrets.extend(
            form.filter(|(name, _)| ["refresh_token", "code", "code_verifier", "token"].contains(&&**name))
                .map(|(_, value)| value.into_owned()),
        );
    }
    let folder = world.folder().to_owned();
    let key = std::fs::read_to_string(folder.join("master.key")).unwrap();
    secrets.push(key.trim().to_owned());
    secrets.sort();
    secrets.dedup();
    let issued = secrets.iter().filter(|secret| secret.starts_with("access-")).count();
    assert!(issued >= 4, "{issued} access tokens were issued");
    assert!(secrets.iter().any(|secret| secret.starts_with("test-refresh-")));

    world.gateway.app.logs.written().await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("contacts.list") && logged.contains("downstream"), "the log is told of calls");
    assert!(logged.contains("/vault/oauth/disconnect/{jwt}/{service_id}"), "the log is told of paths");
    let mut files = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap() == "master.key" {
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&path).unwrap();
        for secret in &secrets {
            let found = memchr::memmem::find(&bytes, secret.as_bytes());
            assert!(found.is_none(), "{secret} is in {}", path.display());
        }
    }
    assert!(files > 0);
    for secret in &secrets {
        assert!(!logged.contains(secret.as_str()), "{secret} is in the log");
        assert!(!answers.contains(secret.as_str()), "{secret} was answered");
    }
    world.stop().await;
}
