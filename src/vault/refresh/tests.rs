use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Mutex;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use url::Url;

use super::*;
use crate::downstream;
use crate::model::{AppId, ConsumerId, ServiceId};
use crate::storage::{Key, Location, NewConnection, NewIntegration, Store};
use crate::vault::{HttpClient, http_client};

/// A token server on loopback: tells of each request as it arrives, and answers once it is let.
struct TokenServer {
    url: Url,
    arrived: mpsc::UnboundedReceiver<BTreeMap<String, String>>,
    let_go: Arc<Semaphore>,
    replies: Arc<Mutex<Vec<(u16, String)>>>,
    task: tokio::task::JoinHandle<()>,
}

impl TokenServer {
    async fn start(replies: &[(u16, &str)]) -> TokenServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/oauth/token", listener.local_addr().unwrap())).unwrap();
        let (tell, arrived) = mpsc::unbounded_channel();
        let let_go = Arc::new(Semaphore::new(0));
        let replies: Vec<_> = replies.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let replies = Arc::new(Mutex::new(replies));
        let (gate, script) = (let_go.clone(), replies.clone());
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (tell, gate, script) = (tell.clone(), gate.clone(), script.clone());
                let service = service_fn(move |request: hyper::Request<Incoming>| {
                    let (tell, gate, script) = (tell.clone(), gate.clone(), script.clone());
                    async move {
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        tell.send(url::form_urlencoded::parse(&body).into_owned().collect()).ok();
                        gate.acquire().await.unwrap().forget();
                        let (status, body) = script.lock().unwrap().remove(0);
                        let reply =
                            hyper::Response::builder().status(status).body(Full::new(Bytes::from(body)));
                        Ok::<_, Infallible>(reply.unwrap())
                    }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                tokio::spawn(async move {
                    builder.serve_connection(TokioIo::new(socket), service).await.ok();
                });
            }
        });
        TokenServer { url, arrived, let_go, replies, task }
    }

    fn endpoint(&self) -> Arc<Provider> {
        provider(&self.url, json!({ "capture": { "api_domain": "api_domain" } }))
    }

    /// Requests that arrived and were not looked at yet.
    fn seen(&mut self) -> usize {
        std::iter::from_fn(|| self.arrived.try_recv().ok()).count()
    }

    fn answer_all(&self) {
        self.let_go.add_permits(1000);
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The OAuth side of a CRM whose token endpoint is there.
fn provider(url: &Url, more: serde_json::Value) -> Arc<Provider> {
    let mut says = json!({ "authorize_url": "https://crm.example/authorize", "token_url": url.as_str() });
    says.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Arc::new(Provider::new(&serde_json::from_value(says).unwrap(), None))
}

fn client() -> HttpClient {
    let settings = downstream::Settings { allow: vec!["127.0.0.0/8".parse().unwrap()], ..Default::default() };
    http_client(Arc::new(downstream::Client::new(settings)), Duration::from_secs(10))
}

struct World {
    _folder: tempfile::TempDir,
    store: Store,
    vault: Vault,
    app: AppId,
    consumer: ConsumerId,
}

impl World {
    async fn new(settings: Settings) -> World {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crosswalk.db");
        let store = Store::open(Location::File(&file), Key::random().unwrap()).await.unwrap();
        let (app, consumer) = (AppId::new("shop"), ConsumerId::new("ann"));
        store.create_application(&app, "Shop").await.unwrap();
        store.create_consumer(&app, &consumer).await.unwrap();
        let vault = Vault::new(store.clone(), client(), settings);
        let world = World { _folder: folder, store, vault, app, consumer };
        world.integrate(Some("c-1")).await;
        world
    }

    async fn integrate(&self, client_id: Option<&str>) {
        let new = NewIntegration {
            enabled: true,
            client_id: client_id.map(str::to_owned),
            client_secret: Some(Secret::new("cs-1")),
            scopes: None,
        };
        self.store.set_integration(&self.app, &ServiceId::new("hubspot"), new).await.unwrap();
    }

    /// A connection whose access token `at-1` lasts that long, with refresh token `rt-1`.
    async fn connect(&self, lasts_s: i64) -> Arc<Resolved> {
        self.connect_with("at-1", Some("rt-1"), Some(now_ms() / 1000 + lasts_s)).await
    }

    async fn connect_with(
        &self,
        access: &str,
        refresh: Option<&str>,
        expires_at: Option<i64>,
    ) -> Arc<Resolved> {
        let credentials = Credentials::OAuth {
            access_token: Secret::new(access),
            refresh_token: refresh.map(Secret::new),
            expires_at,
            scope: "old".to_owned(),
        };
        let new = NewConnection {
            app: &self.app,
            consumer: &self.consumer,
            service: &ServiceId::new("hubspot"),
            state: ConnectionState::Callable,
            settings: BTreeMap::new(),
            captured: BTreeMap::new(),
            credentials: Some(credentials),
        };
        self.store.create_connection(new).await.unwrap();
        self.resolve().await.unwrap()
    }

    async fn resolve(&self) -> error::Result<Arc<Resolved>> {
        self.vault.resolve(&self.app, &self.consumer, None, &|_| Some(&[])).await
    }
}

fn tokens(of: &Resolved) -> (&str, Option<&str>, Option<i64>, &str) {
    match &of.credentials {
        Credentials::OAuth { access_token, refresh_token, expires_at, scope } => {
            (access_token.expose(), refresh_token.as_ref().map(Secret::expose), *expires_at, scope)
        }
        other => panic!("{other:?}"),
    }
}

const NEW: &str = r#"{"access_token":"at-2","refresh_token":"rt-2","expires_in":1800,"token_type":"bearer","scope":"a,b","api_domain":"https://acme.example"}"#;

fn no_backoff() -> Settings {
    Settings { refresh_backoff: Duration::ZERO, ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_callers_make_one_refresh() {
    let world = World::new(Settings::default()).await;
    let mut server = TokenServer::start(&[(200, NEW)]).await;
    let old = world.connect(-1).await;
    let endpoint = server.endpoint();
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (vault, old, endpoint) = (world.vault.clone(), old.clone(), endpoint.clone());
            tokio::spawn(async move { vault.fresh(old, &endpoint).await })
        })
        .collect();
    let form = server.arrived.recv().await.unwrap();
    assert_eq!((form["refresh_token"].as_str(), form["client_id"].as_str()), ("rt-1", "c-1"));
    server.answer_all();
    for caller in callers {
        let fresh = caller.await.unwrap().unwrap();
        assert_eq!((tokens(&fresh).0, tokens(&fresh).1), ("at-2", Some("rt-2")));
    }
    assert_eq!(server.seen(), 0, "no second refresh");
    // Who still holds the old tokens gets the new ones without another refresh.
    assert_eq!(tokens(&world.vault.fresh(old.clone(), &endpoint).await.unwrap()).0, "at-2");
    let rejected = Secret::new("at-1");
    assert_eq!(tokens(&world.vault.refresh_after_401(&old, &endpoint, &rejected).await.unwrap()).0, "at-2");
    assert_eq!(server.seen(), 0);
}

#[tokio::test]
async fn a_caller_who_leaves_takes_nothing_along() {
    let world = World::new(Settings::default()).await;
    let mut server = TokenServer::start(&[(200, NEW)]).await;
    let old = world.connect(-1).await;
    let endpoint = server.endpoint();
    let first = {
        let (vault, old, endpoint) = (world.vault.clone(), old.clone(), endpoint.clone());
        tokio::spawn(async move { vault.fresh(old, &endpoint).await })
    };
    server.arrived.recv().await.unwrap();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let second = {
        let (vault, old, endpoint) = (world.vault.clone(), old.clone(), endpoint.clone());
        tokio::spawn(async move { vault.fresh(old, &endpoint).await })
    };
    tokio::task::yield_now().await;
    server.answer_all();
    assert_eq!(tokens(&second.await.unwrap().unwrap()).0, "at-2");
    assert_eq!(server.seen(), 0, "the second caller joined the first one's refresh");
}

#[tokio::test]
async fn what_was_granted_is_stored_whole() {
    let world = World::new(Settings::default()).await;
    let server = TokenServer::start(&[(200, NEW), (200, r#"{"access_token":"at-3"}"#)]).await;
    server.answer_all();
    let old = world.connect(-1).await;
    let before = now_ms() / 1000;
    let fresh = world.vault.fresh(old, &server.endpoint()).await.unwrap();
    let stored = world.resolve().await.unwrap();
    for got in [&fresh, &stored] {
        let (access, refresh, expires_at, scope) = tokens(got);
        assert_eq!((access, refresh, scope), ("at-2", Some("rt-2"), "a b"));
        assert!(
            expires_at.is_some_and(|end| (before + 1800..=before + 1810).contains(&end)),
            "{expires_at:?}"
        );
        assert_eq!(got.connection.captured["api_domain"], "https://acme.example");
        assert_eq!(got.version, 2);
    }
    // A reply that says less keeps the refresh token and scope, and has no known end.
    let endpoint = server.endpoint();
    world.vault.refresh_after_401(&stored, &endpoint, &Secret::new("at-2")).await.unwrap();
    let stored = world.resolve().await.unwrap();
    assert_eq!(tokens(&stored), ("at-3", Some("rt-2"), None, "a b"));
    assert_eq!(stored.connection.captured["api_domain"], "https://acme.example");
    let same = world.vault.fresh(stored.clone(), &endpoint).await.unwrap();
    assert!(Arc::ptr_eq(&same, &stored), "without a known end nothing is renewed ahead");
}

#[tokio::test]
async fn tokens_are_renewed_within_the_margin_only() {
    let world = World::new(Settings::default()).await;
    let mut server = TokenServer::start(&[(200, NEW)]).await;
    server.answer_all();
    let now = now_ms() / 1000;
    let endpoint = server.endpoint();
    let stored = world.connect(600).await;
    let with = |left_s: i64, obtained_at: i64| {
        Arc::new(Resolved {
            custom_mappings: Arc::default(),
            connection: stored.connection.clone(),
            credentials: Credentials::OAuth {
                access_token: Secret::new("at-1"),
                refresh_token: Some(Secret::new("rt-1")),
                expires_at: Some(now + left_s),
                scope: String::new(),
            },
            version: stored.version,
            obtained_at,
            integration: stored.integration.clone(),
            limits: None,
            defaults: Arc::default(),
        })
    };
    // 90 s left of half an hour; 30 s left of a token that lasts 40.
    for early in [with(90, now - 1710), with(30, now - 10)] {
        assert!(Arc::ptr_eq(&world.vault.fresh(early.clone(), &endpoint).await.unwrap(), &early));
    }
    assert_eq!(server.seen(), 0);
    let late = world.vault.fresh(with(55, now - 1745), &endpoint).await.unwrap();
    assert_eq!((tokens(&late).0, server.seen()), ("at-2", 1));
}

#[tokio::test]
async fn an_imported_refresh_token_alone_is_enough() {
    let world = World::new(Settings::default()).await;
    let server = TokenServer::start(&[(200, NEW)]).await;
    server.answer_all();
    let old = world.connect_with("", Some("demo-hubspot-refresh"), None).await;
    assert_eq!(tokens(&world.vault.fresh(old, &server.endpoint()).await.unwrap()).0, "at-2");
}

#[tokio::test]
async fn a_401_renews_once_and_not_what_is_renewed_already() {
    let world = World::new(Settings::default()).await;
    let mut server = TokenServer::start(&[(200, NEW)]).await;
    server.answer_all();
    let old = world.connect(600).await;
    let endpoint = server.endpoint();
    let another = Secret::new("at-0");
    let same = world.vault.refresh_after_401(&old, &endpoint, &another).await.unwrap();
    assert_eq!((tokens(&same).0, server.seen()), ("at-1", 0), "another token was rejected than this one");
    let rejected = Secret::new("at-1");
    for _ in 0..3 {
        let new = world.vault.refresh_after_401(&old, &endpoint, &rejected).await.unwrap();
        assert_eq!(tokens(&new).0, "at-2");
    }
    assert_eq!(server.seen(), 1);
}

#[tokio::test]
async fn a_second_process_uses_what_the_first_one_stored() {
    let world = World::new(Settings::default()).await;
    let mut server = TokenServer::start(&[(200, NEW)]).await;
    server.answer_all();
    let other = Vault::new(world.store.clone(), client(), Settings::default());
    let old = world.connect(-1).await;
    world.vault.fresh(old.clone(), &server.endpoint()).await.unwrap();
    assert_eq!(tokens(&other.fresh(old, &server.endpoint()).await.unwrap()).0, "at-2");
    assert_eq!(server.seen(), 1);
}

#[tokio::test]
async fn a_refused_grant_ends_the_connection_with_its_reason() {
    let world = World::new(no_backoff()).await;
    let refused = r#"{"error":"invalid_grant","error_description":"refresh token rt-1 was revoked"}"#;
    let mut server = TokenServer::start(&[(400, refused)]).await;
    server.answer_all();
    let old = world.connect(600).await;
    let rejected = Secret::new("at-1");
    for _ in 0..2 {
        let error = world.vault.refresh_after_401(&old, &server.endpoint(), &rejected).await.unwrap_err();
        assert_eq!(error.kind(), Kind::ConnectorCredentialsError);
        let detail = error.body("r", "")["detail"].clone();
        let says = "invalid_grant: refresh token *** was revoked";
        assert_eq!(detail, json!({ "reason": says, "code": "invalid_grant" }));
    }
    assert_eq!(server.seen(), 1, "a dead grant is not tried again");
    let error = world.resolve().await.unwrap_err();
    assert_eq!(error.kind(), Kind::ConnectorCredentialsError);
    assert_eq!(error.body("r", "")["detail"]["code"], "invalid_grant");
    let stored = world.store.connections(&world.app, None).await.unwrap().remove(0);
    assert_eq!(stored.connection.state, ConnectionState::Invalid);
}

#[tokio::test]
async fn a_connection_authorised_anew_outlives_the_old_grants_end() {
    let world = World::new(no_backoff()).await;
    let mut server = TokenServer::start(&[(400, r#"{"error":"invalid_grant"}"#)]).await;
    let old = world.connect(-1).await;
    let (vault, endpoint) = (world.vault.clone(), server.endpoint());
    let caller = tokio::spawn(async move { vault.fresh(old, &endpoint).await });
    server.arrived.recv().await.unwrap();
    let stored = world.store.connections(&world.app, None).await.unwrap().remove(0).connection;
    let anew = Credentials::OAuth {
        access_token: Secret::new("at-9"),
        refresh_token: Some(Secret::new("rt-9")),
        expires_at: None,
        scope: String::new(),
    };
    world.store.set_credentials(&stored, &anew, ConnectionState::Callable).await.unwrap();
    server.answer_all();
    assert_eq!(tokens(&caller.await.unwrap().unwrap()).0, "at-9");
    assert_eq!(tokens(&world.resolve().await.unwrap()).0, "at-9");
}

#[tokio::test]
async fn a_grant_outlives_another_process_being_refused() {
    let world = World::new(no_backoff()).await;
    let mut server = TokenServer::start(&[(200, NEW)]).await;
    let old = world.connect(-1).await;
    let (vault, endpoint, connection) = (world.vault.clone(), server.endpoint(), old.connection.clone());
    let caller = tokio::spawn(async move { vault.fresh(old, &endpoint).await });
    server.arrived.recv().await.unwrap();
    assert!(
        world.store.invalidate_connection(&connection, 1, "invalid_grant", "used already").await.unwrap()
    );
    server.answer_all();
    assert_eq!(tokens(&caller.await.unwrap().unwrap()).0, "at-2");
    assert_eq!(tokens(&world.resolve().await.unwrap()).0, "at-2");
}

#[tokio::test]
async fn a_failing_token_server_costs_no_connection() {
    let world = World::new(no_backoff()).await;
    let replies = [
        (500, "oops"),
        (503, ""),
        (429, ""),
        (200, "<html>"),
        (400, r#"{"error":"temporarily_unavailable"}"#),
        (200, NEW),
    ];
    let mut server = TokenServer::start(&replies).await;
    server.answer_all();
    let old = world.connect(-1).await;
    for attempt in 1..replies.len() {
        let error = world.vault.fresh(old.clone(), &server.endpoint()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::OAuthConnectorError, "attempt {attempt}");
        assert_eq!(error.body("r", "")["retriable"], true);
        assert_eq!(server.seen(), 1, "attempt {attempt} was sent once");
        let stored = world.store.connections(&world.app, None).await.unwrap().remove(0);
        assert_eq!(stored.connection.state, ConnectionState::Callable);
    }
    assert_eq!(tokens(&world.vault.fresh(old, &server.endpoint()).await.unwrap()).0, "at-2");
    assert_eq!(server.seen(), 1);
}

#[tokio::test]
async fn no_token_server_at_all_is_no_end_either() {
    let world = World::new(no_backoff()).await;
    let endpoint = {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/token", gone.local_addr().unwrap())).unwrap();
        provider(&url, json!({ "client_auth": "basic" }))
    };
    let old = world.connect(-1).await;
    let error = world.vault.fresh(old, &endpoint).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OAuthConnectorError);
    world.resolve().await.unwrap();
}

#[tokio::test]
async fn while_the_token_lasts_a_failed_refresh_is_no_failure() {
    let world =
        World::new(Settings { refresh_backoff: Duration::from_secs(3600), ..Settings::default() }).await;
    let mut server = TokenServer::start(&[(500, "")]).await;
    server.answer_all();
    let stored = world.connect(30).await;
    let Credentials::OAuth { .. } = &stored.credentials else { panic!("not OAuth") };
    let nearly = Arc::new(Resolved {
        custom_mappings: Arc::default(),
        connection: stored.connection.clone(),
        credentials: stored.credentials.clone(),
        version: stored.version,
        obtained_at: stored.obtained_at - 1800,
        integration: stored.integration.clone(),
        limits: None,
        defaults: Arc::default(),
    });
    for _ in 0..10 {
        let used = world.vault.fresh(nearly.clone(), &server.endpoint()).await.unwrap();
        assert_eq!(tokens(&used).0, "at-1");
    }
    assert_eq!(server.seen(), 1, "the token server is left in peace for a while");
    let rejected = Secret::new("at-1");
    let error = world.vault.refresh_after_401(&nearly, &server.endpoint(), &rejected).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OAuthConnectorError);
    assert_eq!(error.body("r", "")["retry_after_ms"], 3_600_000);
}

#[tokio::test]
async fn a_token_server_that_hangs_is_given_up_on() {
    let settings = Settings { refresh_timeout: Duration::from_millis(50), ..no_backoff() };
    let world = World::new(settings).await;
    let server = TokenServer::start(&[]).await;
    let old = world.connect(-1).await;
    let error = world.vault.fresh(old, &server.endpoint()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OAuthConnectorError);
    assert!(error.body("r", "")["detail"]["reason"].as_str().unwrap().contains("in time"));
    assert!(server.replies.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_an_oauth_client_nothing_is_asked() {
    let world = World::new(no_backoff()).await;
    let old = world.connect(-1).await;
    let bare = Arc::new(Resolved {
        custom_mappings: Arc::default(),
        connection: old.connection.clone(),
        credentials: old.credentials.clone(),
        version: old.version,
        obtained_at: old.obtained_at,
        integration: Arc::new(crate::storage::Integration { client_id: None, ..(*old.integration).clone() }),
        limits: None,
        defaults: Arc::default(),
    });
    let mut server = TokenServer::start(&[]).await;
    let error = world.vault.fresh(bare, &server.endpoint()).await.unwrap_err();
    assert_eq!((error.kind(), server.seen()), (Kind::OAuthCredentialsNotFoundError, 0));
}

#[tokio::test]
async fn without_a_refresh_token_the_end_is_the_end() {
    let world = World::new(no_backoff()).await;
    let server = TokenServer::start(&[]).await;
    let now = now_ms() / 1000;
    let ended = world.connect_with("at-1", None, Some(now - 1)).await;
    let error = world.vault.fresh(ended.clone(), &server.endpoint()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ConnectorCredentialsError);
    let rejected = Secret::new("at-1");
    let error = world.vault.refresh_after_401(&ended, &server.endpoint(), &rejected).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ConnectorCredentialsError);
}
