use super::*;
use crate::model::Secret;
use crate::storage::{Key, Location, NewConnection, NewIntegration, Store};
use crate::vault::{HttpClient, Settings, Transport};

struct World {
    store: Store,
    vault: Vault,
    app: AppId,
    consumer: ConsumerId,
}

const NEEDED: &[&str] = &["subdomain"];

impl World {
    async fn new() -> World {
        let store = Store::open(Location::Memory, Key::random().unwrap()).await.unwrap();
        let (app, consumer) = (AppId::new("shop"), ConsumerId::new("ann"));
        store.create_application(&app, "Shop").await.unwrap();
        store.create_consumer(&app, &consumer).await.unwrap();
        let http: HttpClient = Arc::new(|_| {
            Box::pin(async { Err(Transport { says: "no network here".to_owned(), unsent: true }) })
        });
        World { vault: Vault::new(store.clone(), http, Settings::default()), store, app, consumer }
    }

    async fn integrate(&self, service: &str, enabled: bool) {
        let new = NewIntegration { enabled, ..NewIntegration::default() };
        self.store.set_integration(&self.app, &ServiceId::new(service), new).await.unwrap();
    }

    async fn connect(&self, service: &str, state: ConnectionState) -> Connection {
        let values = BTreeMap::from([("api_key".to_owned(), Secret::new("ak"))]);
        let new = NewConnection {
            app: &self.app,
            consumer: &self.consumer,
            service: &ServiceId::new(service),
            state,
            settings: BTreeMap::new(),
            captured: BTreeMap::new(),
            credentials: Some(Credentials::Static { values }),
        };
        self.store.create_connection(new).await.unwrap().connection
    }

    async fn resolve_for(&self, consumer: &str, service: Option<&str>) -> error::Result<Arc<Resolved>> {
        let needed: Vec<String> = NEEDED.iter().map(|id| (*id).to_owned()).collect();
        let connectors = |id: &str| match id {
            "hubspot" | "pipedrive" => Some(&[][..]),
            "needy" => Some(needed.as_slice()),
            _ => None,
        };
        let service = service.map(ServiceId::new);
        self.vault.resolve(&self.app, &ConsumerId::new(consumer), service.as_ref(), &connectors).await
    }

    async fn resolve(&self, service: Option<&str>) -> error::Result<Arc<Resolved>> {
        self.resolve_for("ann", service).await
    }

    async fn refused(&self, service: Option<&str>) -> (Kind, serde_json::Value) {
        let error = self.resolve(service).await.unwrap_err();
        (error.kind(), error.body("r", "")["detail"].clone())
    }
}

#[tokio::test]
async fn the_only_connection_needs_no_name() {
    let world = World::new().await;
    world.integrate("hubspot", true).await;
    world.connect("hubspot", ConnectionState::Callable).await;
    for service in [None, Some("hubspot")] {
        let resolved = world.resolve(service).await.unwrap();
        assert_eq!(resolved.connection.service.as_str(), "hubspot");
        assert!(
            matches!(&resolved.credentials, Credentials::Static { values } if values["api_key"].expose() == "ak")
        );
    }
}

#[tokio::test]
async fn each_lack_has_its_kind() {
    let world = World::new().await;
    assert_eq!(world.refused(None).await.0, Kind::ConnectionNotFoundError);
    assert_eq!(world.refused(Some("salesforce")).await.0, Kind::ConnectorNotFoundError);
    assert_eq!(world.refused(Some("hubspot")).await.0, Kind::IntegrationNotFoundError);
    world.integrate("hubspot", true).await;
    assert_eq!(world.refused(Some("hubspot")).await.0, Kind::ConnectionNotFoundError);
    let nobody = world.resolve_for("nobody", Some("hubspot")).await.unwrap_err();
    assert_eq!(nobody.kind(), Kind::ConnectionNotFoundError);

    world.connect("pipedrive", ConnectionState::Callable).await;
    for service in [None, Some("pipedrive")] {
        assert_eq!(world.refused(service).await.0, Kind::IntegrationNotFoundError);
    }
    world.integrate("pipedrive", false).await;
    assert_eq!(world.refused(Some("pipedrive")).await.0, Kind::ConnectorDisabledError);
    world.integrate("pipedrive", true).await;
    world.resolve(Some("pipedrive")).await.expect("known at once");
}

#[tokio::test]
async fn several_connections_need_a_name() {
    let world = World::new().await;
    for service in ["hubspot", "pipedrive"] {
        world.integrate(service, true).await;
        world.connect(service, ConnectionState::Callable).await;
    }
    let (kind, detail) = world.refused(None).await;
    assert_eq!(kind, Kind::InvalidStateError);
    assert_eq!(detail, json!({ "service_ids": ["hubspot", "pipedrive"] }));
    assert_eq!(world.resolve(Some("pipedrive")).await.unwrap().connection.service.as_str(), "pipedrive");
}

#[tokio::test]
async fn what_is_switched_off_is_not_called() {
    let world = World::new().await;
    for service in ["hubspot", "pipedrive"] {
        world.integrate(service, true).await;
    }
    let hubspot = world.connect("hubspot", ConnectionState::Callable).await;
    world.resolve(None).await.unwrap();
    world.store.enable_connection(&hubspot, false).await.unwrap();
    assert_eq!(world.refused(None).await.0, Kind::ConnectorDisabledError);
    world.connect("pipedrive", ConnectionState::Callable).await;
    assert_eq!(world.resolve(None).await.unwrap().connection.service.as_str(), "pipedrive");
    assert_eq!(world.refused(Some("hubspot")).await.0, Kind::ConnectorDisabledError);
}

#[tokio::test]
async fn only_callable_connections_are_called() {
    let world = World::new().await;
    world.integrate("hubspot", true).await;
    let hubspot = world.connect("hubspot", ConnectionState::Added).await;
    assert_eq!(world.refused(None).await.0, Kind::ConnectorCredentialsError);
    world.store.invalidate_connection(&hubspot, 1, "invalid_grant", "the user revoked it").await.unwrap();
    let (kind, detail) = world.refused(None).await;
    assert_eq!(kind, Kind::ConnectorCredentialsError);
    assert_eq!(detail, json!({ "reason": "the user revoked it", "code": "invalid_grant" }));
}

#[tokio::test]
async fn missing_settings_are_listed() {
    let world = World::new().await;
    world.integrate("needy", true).await;
    world.connect("needy", ConnectionState::Authorized).await;
    let (kind, detail) = world.refused(None).await;
    assert_eq!((kind, detail), (Kind::ConnectionSettingsError, json!({ "missing": NEEDED })));
}

#[tokio::test]
async fn the_hot_path_asks_the_database_nothing() {
    let world = World::new().await;
    for service in ["hubspot", "pipedrive"] {
        world.integrate(service, true).await;
        world.connect(service, ConnectionState::Callable).await;
    }
    let calls = async || {
        world.resolve(Some("hubspot")).await.unwrap();
        world.resolve(Some("pipedrive")).await.unwrap();
        world.refused(None).await;
        world.resolve_for("made-up", None).await.unwrap_err();
        world.resolve_for("made-up", Some("hubspot")).await.unwrap_err();
    };
    calls().await;
    let before = world.store.queries();
    for _ in 0..1000 {
        calls().await;
    }
    assert_eq!(world.store.queries(), before);
}

#[tokio::test]
async fn a_cold_start_of_many_callers_reads_once() {
    let world = World::new().await;
    world.integrate("hubspot", true).await;
    world.connect("hubspot", ConnectionState::Callable).await;
    let before = world.store.queries();
    let all = futures_util::future::join_all((0..100).map(|_| world.resolve(None))).await;
    assert!(all.iter().all(Result::is_ok));
    // One each for the consumer's key, the connections, their defaults and consents, the application's data scopes, its
    // integrations and its key, and the custom mappings.
    assert_eq!(world.store.queries() - before, 8);
}

#[tokio::test]
async fn another_applications_consumer_is_not_seen() {
    let world = World::new().await;
    world.integrate("hubspot", true).await;
    world.connect("hubspot", ConnectionState::Callable).await;
    world.resolve(None).await.unwrap();
    let other = AppId::new("other");
    world.store.create_application(&other, "Other").await.unwrap();
    let refused = world.vault.resolve(&other, &world.consumer, None, &|_| Some(&[])).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::ConnectionNotFoundError);
}
