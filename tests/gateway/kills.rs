//! The program itself, killed while it renews tokens: no connection that can be kept is lost.
//!
//! A few kills here; `scripts/kill-refresh` does two hundred.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crosswalk::admin;
use crosswalk::config::Settings;
use crosswalk::model::{AppId, ConnectionState, ConsumerId, Credentials, Secret, ServiceId};
use crosswalk::serve;
use crosswalk::storage::NewConnection;
use futures_util::future::join_all;
use mock_server::faults::{Fault, Kind};
use mock_server::{MockServer, Options};

use crate::harness::vendor;

/// Consumers, each with an account of its own: how their CRM treats refresh tokens, and how many there are.
const CROWD: [(&str, &str, usize); 3] =
    [("hubspot", "fixed", 4), ("pipedrive", "grace", 4), ("pipedrive", "strict", 2)];

/// A gateway in a process of its own; killed when dropped.
struct Gateway {
    child: Child,
    url: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    fn start(data: &Path, mock: &MockServer) -> Gateway {
        let base = |service: &str| format!("{service}={}/{service}", mock.base_url());
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosswalk"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
        command.args(["--base-url", &base("hubspot"), "--base-url", &base("pipedrive")]).env_clear();
        command.env("CROSSWALK_PRIVATE_RANGES", "127.0.0.0/8").stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.by_ref().map(Result::unwrap).find(|line| line.contains("\"ready\"")).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        let url =
            ready.pointer("/url").or(ready.pointer("/fields/url")).unwrap().as_str().unwrap().to_owned();
        // What it says further would fill the pipe.
        std::thread::spawn(move || lines.count());
        Gateway { child, url }
    }

    async fn list(&self, client: &reqwest::Client, service: &str, consumer: &str) -> Option<(u16, String)> {
        let call = client
            .get(format!("{}/crm/contacts?limit=1", self.url))
            .header("authorization", "Bearer sk_demo_crosswalk")
            .header("x-apideck-app-id", "demo-app")
            .header("x-apideck-consumer-id", consumer)
            .header("x-apideck-service-id", service);
        let reply = call.send().await.ok()?;
        Some((reply.status().as_u16(), reply.text().await.ok()?))
    }
}

fn crowd() -> Vec<(&'static str, &'static str, String)> {
    let numbered = |(service, kind, count)| (0..count).map(move |n| (service, kind, format!("{kind}-{n}")));
    CROWD.into_iter().flat_map(numbered).collect()
}

fn refresh_token(name: String) -> Credentials {
    Credentials::OAuth {
        access_token: Secret::new(""),
        refresh_token: Some(Secret::new(name)),
        expires_at: None,
        scope: String::new(),
    }
}

async fn store(data: &Path) -> crosswalk::storage::Store {
    let mut settings = Settings::defaults();
    settings.data_dir = data.to_owned();
    serve::open(&settings).await.unwrap()
}

/// The application and its crowd, each with nothing but a refresh token.
async fn fill(data: &Path) {
    let store = store(data).await;
    let demo = ["hubspot", "pipedrive"].map(|service| {
        let named = |what: &str| format!("demo-{service}-{what}");
        admin::DemoConnection::oauth(service, &named("refresh"), &named("client"), &named("secret"))
    });
    admin::seed_demo(&store, &|_| Some(&[][..]), &demo).await.unwrap();
    let app = AppId::new("demo-app");
    for (service, _, name) in crowd() {
        let consumer = ConsumerId::new(&name);
        store.create_consumer(&app, &consumer).await.unwrap();
        let new = NewConnection {
            app: &app,
            consumer: &consumer,
            service: &ServiceId::new(service),
            state: ConnectionState::Callable,
            settings: BTreeMap::new(),
            captured: BTreeMap::new(),
            credentials: Some(refresh_token(format!("test-refresh-{name}"))),
        };
        store.create_connection(new).await.unwrap();
    }
    store.close().await;
}

/// A connection that a CRM without grace has ended, as when its customer authorises anew.
async fn authorise_anew(data: &Path, mock: &MockServer, service: &str, name: &str) {
    let store = store(data).await;
    let all = store.connections(&AppId::new("demo-app"), Some(&ConsumerId::new(name))).await.unwrap();
    let token = mock.mint_tokens(vendor(service), name, -1).refresh_token;
    store
        .set_credentials(&all[0].connection, &refresh_token(token), ConnectionState::Callable)
        .await
        .unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_minus_nine_during_a_refresh_loses_no_connection() {
    let kills: u32 = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(12);
    let mock = mock_server::start("127.0.0.1:0".parse().unwrap(), Options::default()).await.unwrap();
    for (service, kind, name) in crowd() {
        let mut settings = mock.settings(vendor(service), &name);
        settings.rotate_refresh_tokens = kind != "fixed";
        settings.refresh_grace_ms = if kind == "grace" { 60_000 } else { 0 };
        mock.set_settings(vendor(service), &name, settings);
    }
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    // The token endpoints take their time: before they decide, and while their replies trickle.
    mock.fault(Fault::always(Kind::Latency { ms: 40 }).on("POST", "/oauth/*"));
    mock.fault(Fault::always(Kind::Drip { chunk: 40, every_ms: 10 }).on("POST", "/oauth/*"));

    let (mut done, mut interrupted, mut unheard) = (0, 0, 0);
    loop {
        let gateway = Gateway::start(folder.path(), &mock);
        let replies = join_all(crowd().into_iter().map(async |(service, kind, name)| {
            (service, kind, gateway.list(&client, service, &name).await.unwrap(), name)
        }));
        let mut ended = Vec::new();
        for (service, kind, (status, text), name) in replies.await {
            match status {
                200 => {}
                // A CRM that takes no replaced token at all, killed between its decision and our receipt.
                401 if kind == "strict" => {
                    assert!(text.contains("An earlier refresh broke off"), "{name}: {text}");
                    ended.push((service, name));
                }
                _ => panic!("after {done} kills {name} answers {status}: {text}"),
            }
        }
        if !ended.is_empty() {
            drop(gateway);
            unheard += ended.len();
            for (service, name) in ended {
                authorise_anew(folder.path(), &mock, service, &name).await;
            }
            continue;
        }
        if done == kills {
            break;
        }
        for (service, _, name) in crowd() {
            mock.expire_tokens(vendor(service), &name);
        }
        // Spread over the whole of a refresh: sent, decided, on its way back, stored.
        let after = Duration::from_millis(u64::from(done * 37 % 211));
        let started = Instant::now();
        let calls = join_all(
            crowd()
                .into_iter()
                .map(async |(service, _, name)| gateway.list(&client, service, &name).await.is_none()),
        );
        let killing = async {
            tokio::time::sleep(after.saturating_sub(started.elapsed())).await;
            let id = gateway.child.id().to_string();
            assert!(Command::new("kill").args(["-9", &id]).status().unwrap().success());
        };
        let (broken, ()) = futures_util::future::join(calls, killing).await;
        done += 1;
        interrupted += usize::from(broken.into_iter().any(|broken| broken));
    }
    println!(
        "{kills} kills, {interrupted} in the middle of calls, {unheard} grants ended by a CRM without grace"
    );
    assert!(interrupted * 3 > kills as usize, "most kills must meet a refresh: {interrupted} of {kills}");
    mock.stop().await;
}
