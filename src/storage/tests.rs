//! The storage suite: real files in a temporary folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;
use crate::model::{AppId, ConnectionState, ConsumerId, Credentials, Secret, ServiceId};

fn app() -> AppId {
    AppId::new("shop")
}

fn consumer() -> ConsumerId {
    ConsumerId::new("ann")
}

fn service() -> ServiceId {
    ServiceId::new("hubspot")
}

fn oauth(access: &str, refresh: &str) -> Credentials {
    Credentials::OAuth {
        access_token: Secret::new(access),
        refresh_token: Some(Secret::new(refresh)),
        expires_at: Some(1_900_000_000),
        scope: "a b".to_owned(),
    }
}

async fn open(folder: &Path, key: &Key) -> Result<Store, Error> {
    Store::open(Location::File(&folder.join("crosswalk.db")), key.clone()).await
}

async fn filled(store: &Store) -> StoredConnection {
    store.create_application(&app(), "Shop").await.unwrap();
    store.create_consumer(&app(), &consumer()).await.unwrap();
    store
        .set_integration(
            &app(),
            &service(),
            NewIntegration {
                enabled: true,
                client_id: Some("client-1".to_owned()),
                client_secret: Some(Secret::new("plain-client-secret")),
                scopes: Some(vec!["crm".to_owned()]),
            },
        )
        .await
        .unwrap();
    store
        .create_connection(NewConnection {
            app: &app(),
            consumer: &consumer(),
            service: &service(),
            state: ConnectionState::Callable,
            settings: BTreeMap::from([("currency".to_owned(), "EUR".to_owned())]),
            captured: BTreeMap::from([("api_domain".to_owned(), "https://a.example".to_owned())]),
            credentials: Some(oauth("plain-access-1", "plain-refresh-1")),
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn everything_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::random().unwrap();
    let store = open(folder.path(), &key).await.unwrap();
    let made = filled(&store).await;
    let cursor_key = *store.derived_key("cursor").unwrap().bytes();
    store.close().await;

    let store = open(folder.path(), &key).await.unwrap();
    assert_eq!(store.applications().await.unwrap()[0].name, "Shop");
    assert_eq!(store.consumers(&app()).await.unwrap()[0].id, consumer());
    let integration = &store.integrations(&app()).await.unwrap()[0];
    assert_eq!(integration.client_secret, Some(Secret::new("plain-client-secret")));
    assert_eq!((integration.client_id.as_deref(), integration.scopes.len()), (Some("client-1"), 1));
    let (stored, credentials) = store.opened_connections(&app(), &consumer()).await.unwrap().remove(0);
    assert_eq!(stored.connection.id, made.connection.id);
    assert_eq!(stored.connection.settings["currency"], "EUR");
    assert_eq!(stored.connection.captured["api_domain"], "https://a.example");
    let credentials = credentials.unwrap();
    assert_eq!(
        (credentials.credentials, credentials.version),
        (oauth("plain-access-1", "plain-refresh-1"), 1)
    );
    assert_eq!(credentials.updated_ms, stored.created_ms);
    assert_eq!(*store.derived_key("cursor").unwrap().bytes(), cursor_key);
}

#[tokio::test]
async fn another_master_key_is_refused_at_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::random().unwrap();
    open(folder.path(), &key).await.unwrap().close().await;
    let says = open(folder.path(), &Key::random().unwrap()).await.unwrap_err().to_string();
    assert!(says.contains("another master key") && says.contains(keyfile::VARIABLE), "{says}");
    open(folder.path(), &key).await.unwrap();
}

#[tokio::test]
async fn a_newer_layout_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::random().unwrap();
    let store = open(folder.path(), &key).await.unwrap();
    let mut tx = store.db().write().await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (999, 'later', TRUE, x'00', 1)",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    let says = open(folder.path(), &key).await.unwrap_err().to_string();
    assert!(says.contains("layout 999") && says.contains("newer"), "{says}");
}

#[tokio::test]
async fn the_files_hold_no_secret_and_are_private() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &Key::random().unwrap()).await.unwrap();
    let made = filled(&store).await.connection;
    let (_, shown) = store
        .create_key(NewKey {
            app: &app(),
            label: "ci",
            expires_ms: None,
            allow_ips: &[],
            endpoints: &[],
            import: None,
        })
        .await
        .unwrap();
    let imported = Secret::new("sk_demo_crosswalk");
    store
        .create_key(NewKey {
            app: &app(),
            label: "demo",
            expires_ms: None,
            allow_ips: &[],
            endpoints: &[],
            import: Some(imported),
        })
        .await
        .unwrap();
    let other = ServiceId::new("pipedrive");
    let values = BTreeMap::from([("api_token".to_owned(), Secret::new("plain-api-token"))]);
    store
        .create_connection(NewConnection {
            app: &app(),
            consumer: &consumer(),
            service: &other,
            state: ConnectionState::Callable,
            settings: BTreeMap::new(),
            captured: BTreeMap::new(),
            credentials: Some(Credentials::Static { values }),
        })
        .await
        .unwrap();
    store
        .replace_credentials(&made, 1, &oauth("plain-access-2", "plain-refresh-2"), &BTreeMap::new())
        .await
        .unwrap();

    let mut seen = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o077, 0, "{path:?}");
        let bytes = fs::read(&path).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        seen += usize::from(holds("client-1"));
        let secret_part = shown.expose().rsplit('_').next().unwrap();
        for secret in ["plain-", "sk_demo_crosswalk", secret_part] {
            assert!(!holds(secret), "{path:?} holds {secret}");
        }
    }
    assert!(seen > 0, "the files were searched where the data is");
}

#[tokio::test]
async fn credentials_are_replaced_once_per_version() {
    let store = Store::open(Location::Memory, Key::random().unwrap()).await.unwrap();
    let of = filled(&store).await.connection;
    let captured = BTreeMap::from([("extra".to_owned(), "1".to_owned())]);
    assert!(store.replace_credentials(&of, 1, &oauth("b", "rb"), &captured).await.unwrap());
    assert!(!store.replace_credentials(&of, 1, &oauth("c", "rc"), &BTreeMap::new()).await.unwrap());
    assert!(!store.invalidate_connection(&of, 1, "invalid_grant", "late").await.unwrap());
    let (stored, credentials) = store.opened_connection(&of).await.unwrap().unwrap();
    let credentials = credentials.unwrap();
    assert_eq!((credentials.credentials, credentials.version), (oauth("b", "rb"), 2));
    assert_eq!(stored.connection.captured.len(), 2, "captured values are added, none is lost");
    assert_eq!(stored.connection.state, ConnectionState::Callable);
}

#[tokio::test]
async fn sealed_credentials_do_not_open_in_another_row() {
    let store = Store::open(Location::Memory, Key::random().unwrap()).await.unwrap();
    let first = filled(&store).await.connection;
    let second = store
        .create_connection(NewConnection {
            app: &app(),
            consumer: &consumer(),
            service: &ServiceId::new("pipedrive"),
            state: ConnectionState::Callable,
            settings: BTreeMap::new(),
            captured: BTreeMap::new(),
            credentials: Some(oauth("other", "other")),
        })
        .await
        .unwrap()
        .connection;
    let mut tx = store.db().write().await.unwrap();
    sqlx::query("UPDATE credentials SET sealed = (SELECT sealed FROM credentials WHERE connection_id = $1) WHERE connection_id = $2")
        .bind(first.id.as_str())
        .bind(second.id.as_str())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(matches!(store.opened_connection(&second).await, Err(Error::Sealed(_))));
    assert!(store.opened_connection(&first).await.unwrap().is_some());
}

#[tokio::test]
async fn deleting_takes_the_credentials_along() {
    let store = Store::open(Location::Memory, Key::random().unwrap()).await.unwrap();
    let of = filled(&store).await.connection;
    store.delete_connection(&of.app, &of.consumer, &of.service).await.unwrap();
    assert!(store.opened_connection(&of).await.unwrap().is_none());
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM credentials").fetch_one(store.db().read()).await.unwrap();
    assert_eq!(left, 0);
    let again = store.delete_connection(&of.app, &of.consumer, &of.service).await;
    assert!(matches!(again, Err(Error::Missing("connection", _))));
}

#[tokio::test]
async fn what_exists_is_not_made_twice_and_what_is_missing_is_named() {
    let store = Store::open(Location::Memory, Key::random().unwrap()).await.unwrap();
    filled(&store).await;
    assert!(matches!(store.create_application(&app(), "Again").await, Err(Error::Exists("application", _))));
    assert!(matches!(store.create_consumer(&app(), &consumer()).await, Err(Error::Exists("consumer", _))));
    let nobody = AppId::new("nobody");
    assert!(matches!(
        store.create_consumer(&nobody, &consumer()).await,
        Err(Error::Missing("application", _))
    ));
    let bad = AppId::new("a b");
    assert!(matches!(store.create_application(&bad, "").await, Err(Error::Unusable(_))));
    let key =
        |import| NewKey { app: &nobody, label: "", expires_ms: None, allow_ips: &[], endpoints: &[], import };
    assert!(matches!(store.create_key(key(None)).await, Err(Error::Missing("application", _))));
}

#[tokio::test]
async fn a_new_oauth_client_gives_refused_connections_another_try() {
    let store = Store::open(Location::Memory, Key::random().unwrap()).await.unwrap();
    let of = filled(&store).await.connection;
    let state = async || store.opened_connection(&of).await.unwrap().unwrap().0.connection.state;
    let client =
        NewIntegration { enabled: true, client_id: Some("c2".to_owned()), ..NewIntegration::default() };

    store.invalidate_connection(&of, 1, "invalid_grant", "revoked").await.unwrap();
    store.set_integration(&of.app, &of.service, client.clone()).await.unwrap();
    assert_eq!(state().await, ConnectionState::Invalid, "a revoked grant stays revoked");

    store.invalidate_connection(&of, 1, "invalid_client", "wrong secret").await.unwrap();
    let only_on = NewIntegration { enabled: true, ..NewIntegration::default() };
    store.set_integration(&of.app, &of.service, only_on).await.unwrap();
    assert_eq!(state().await, ConnectionState::Invalid, "the client is the same");
    store.set_integration(&of.app, &of.service, client).await.unwrap();
    assert_eq!(state().await, ConnectionState::Callable);
    let integration = &store.integrations(&of.app).await.unwrap()[0];
    assert_eq!(
        integration.client_secret,
        Some(Secret::new("plain-client-secret")),
        "what is not given stays"
    );
}

#[tokio::test]
async fn authorising_anew_brings_a_connection_back() {
    let store = Store::open(Location::Memory, Key::random().unwrap()).await.unwrap();
    let of = filled(&store).await.connection;
    store.invalidate_connection(&of, 1, "invalid_grant", "revoked").await.unwrap();
    store.set_credentials(&of, &oauth("b", "rb"), ConnectionState::Callable).await.unwrap();
    let (stored, credentials) = store.opened_connection(&of).await.unwrap().unwrap();
    let credentials = credentials.unwrap();
    assert_eq!(
        (stored.connection.state, stored.reason, stored.reason_code),
        (ConnectionState::Callable, None, None)
    );
    assert_eq!((credentials.credentials, credentials.version), (oauth("b", "rb"), 2));
    store.delete_connection(&of.app, &of.consumer, &of.service).await.unwrap();
    let gone = store.set_credentials(&of, &oauth("c", "rc"), ConnectionState::Callable).await;
    assert!(matches!(gone, Err(Error::Missing("connection", _))));
}

#[tokio::test]
async fn every_write_moves_its_epoch() {
    let store = Store::open(Location::Memory, Key::random().unwrap()).await.unwrap();
    let of = filled(&store).await.connection;
    let topic = Topic::Consumer("shop", "ann");
    let mut before = store.epoch(topic);
    let mut moved = |what: &str| {
        let now = store.epoch(topic);
        assert!(now > before, "{what}");
        before = now;
    };
    store.replace_credentials(&of, 1, &oauth("b", "rb"), &BTreeMap::new()).await.unwrap();
    moved("replace");
    store.invalidate_connection(&of, 2, "x", "y").await.unwrap();
    moved("invalidate");
    store.enable_connection(&of, false).await.unwrap();
    moved("enable");
    store.set_credentials(&of, &oauth("c", "rc"), ConnectionState::Callable).await.unwrap();
    moved("set credentials");
    store.set_settings(&of, &BTreeMap::new(), ConnectionState::Authorized).await.unwrap();
    moved("set settings");
    store.delete_connection(&of.app, &of.consumer, &of.service).await.unwrap();
    moved("delete");
    let keys = Topic::Integrations("shop");
    let at = store.epoch(keys);
    store.set_integration(&of.app, &of.service, NewIntegration::default()).await.unwrap();
    assert!(store.epoch(keys) > at);
}

#[tokio::test]
async fn the_master_key_rotates_while_others_serve() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("master.key");
    let database = folder.path().join("crosswalk.db");
    let open = async || Store::open(Location::File(&database), keyfile::load_or_create(&file).unwrap()).await;
    let serving = open().await.unwrap();
    let stored = filled(&serving).await;
    for n in 0..250 {
        serving.create_consumer(&app(), &ConsumerId::new(format!("c-{n}"))).await.unwrap();
    }
    let old = fs::read_to_string(&file).unwrap();

    let operator = open().await.unwrap();
    let done = operator.rotate_master_key().await.unwrap();
    assert_eq!((done.rewrapped, done.old_keys), (253, 1), "the root, the application, its consumers");
    // What serves knows only the old key, and reads and writes on.
    let opened = serving.opened_connection(&stored.connection).await.unwrap().unwrap().1.unwrap();
    assert_eq!(opened.credentials, oauth("plain-access-1", "plain-refresh-1"));
    serving.create_consumer(&app(), &ConsumerId::new("late")).await.unwrap();
    assert_eq!(serving.integrations(&app()).await.unwrap().len(), 1);

    assert_eq!(operator.drop_old_master_keys().await.unwrap().old_keys, 0);
    let new = fs::read_to_string(&file).unwrap();
    assert!(new.lines().count() == 1 && new != old);
    for store in [&serving, &open().await.unwrap()] {
        let opened = store.opened_connection(&stored.connection).await.unwrap().unwrap().1.unwrap();
        assert_eq!(opened.credentials, oauth("plain-access-1", "plain-refresh-1"));
        assert_eq!(
            store.derived_key("cursor").unwrap().bytes(),
            operator.derived_key("cursor").unwrap().bytes()
        );
    }
    let old = Key::from_base64(&old).unwrap();
    let refused = Store::open(Location::File(&database), old).await.unwrap_err().to_string();
    assert!(refused.contains("another master key"), "{refused}");
}

#[tokio::test]
async fn a_rotation_goes_on_where_it_was_broken_off_and_old_keys_stay_until_it_is_through() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("master.key");
    let database = folder.path().join("crosswalk.db");
    let store =
        Store::open(Location::File(&database), keyfile::load_or_create(&file).unwrap()).await.unwrap();
    filled(&store).await;
    // The new key is in the file, nothing is wrapped with it yet.
    let old = fs::read_to_string(&file).unwrap();
    let new = Key::random().unwrap();
    fs::write(&file, format!("{}\n{old}", *new.to_base64())).unwrap();
    let says = store.drop_old_master_keys().await.unwrap_err().to_string();
    assert!(says.contains("3 keys are still wrapped"), "{says}");
    let done = store.rotate_master_key().await.unwrap();
    assert_eq!((done.rewrapped, done.old_keys), (3, 1), "no third key was made");
    // From the environment, a key alone cannot be replaced.
    let alone = Keyring::new(vec![new.clone()], None).unwrap();
    let alone = Store::open(Location::File(&database), alone).await.unwrap();
    let says = alone.rotate_master_key().await.unwrap_err().to_string();
    assert!(says.contains(keyfile::VARIABLE), "{says}");
    let next = Key::random().unwrap();
    let both = Keyring::new(vec![next, new], None).unwrap();
    let both = Store::open(Location::File(&database), both).await.unwrap();
    assert_eq!(both.rotate_master_key().await.unwrap().rewrapped, 3);
}

#[tokio::test]
async fn a_lease_is_one_holders_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &Key::random().unwrap()).await.unwrap();
    let stored = filled(&store).await;
    let id = &stored.connection.id;
    let lease = async |holder: &str, version, now| {
        store.lease_refresh(id, version, holder, now, now + 10).await.unwrap()
    };
    let fresh = Lease::Taken { unanswered_since_ms: None };
    assert_eq!(lease("a", 1, 100).await, fresh);
    assert_eq!(lease("b", 1, 105).await, Lease::Held);
    store.extend_lease(id, "a", 120).await.unwrap();
    store.extend_lease(id, "b", 500).await.unwrap();
    assert_eq!(lease("b", 1, 119).await, Lease::Held);
    // Its holder was killed: what it asked was never answered.
    assert_eq!(lease("b", 1, 120).await, Lease::Taken { unanswered_since_ms: Some(100) });
    assert_eq!(lease("a", 2, 121).await, Lease::Moved);
    store.release_lease(id, "b", true).await.unwrap();
    assert_eq!(lease("a", 1, 122).await, fresh);
    store.release_lease(id, "a", false).await.unwrap();
    assert_eq!(lease("b", 1, 123).await, Lease::Taken { unanswered_since_ms: Some(122) });
    assert!(
        store.replace_credentials(&stored.connection, 1, &oauth("x", "y"), &BTreeMap::new()).await.unwrap()
    );
    assert_eq!(lease("a", 2, 124).await, fresh, "new tokens have no past");
}

#[tokio::test]
async fn an_idempotency_key_goes_from_hand_to_hand() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::random().unwrap();
    let store = open(folder.path(), &key).await.unwrap();
    let connection = filled(&store).await;
    let slot = |owner: &str, key: u8| Slot {
        app: app(),
        connection: connection.connection.id.clone(),
        key_hash: [key; 32],
        owner: owner.to_owned(),
    };
    let claim = async |slot: &Slot, fingerprint: u8, lease_ms: i64| {
        let claim = NewClaim {
            slot,
            consumer: &consumer(),
            fingerprint: [fingerprint; 32],
            lease_ms,
            keep_ms: 60_000,
        };
        store.claim_key(&claim).await.unwrap()
    };
    let (first, second, third) = (slot("first", 1), slot("second", 1), slot("third", 1));
    // Held, and of another request; once the lease is over and nothing was sent, free.
    let (claimed, data_key) = claim(&first, 1, 60_000).await;
    assert!(matches!(claimed, Claimed::Fresh));
    assert!(matches!(claim(&second, 1, 60_000).await.0, Claimed::InFlight));
    assert!(matches!(claim(&second, 2, 60_000).await.0, Claimed::OtherRequest));
    assert!(store.renew_key(&first, -1).await.unwrap());
    assert!(matches!(claim(&second, 2, 60_000).await.0, Claimed::Fresh));
    assert!(!store.note_sending(&first, &data_key, None, 60_000).await.unwrap(), "the first has lost it");
    // Something was sent, and the sender is gone.
    assert!(store.note_sending(&second, &data_key, Some(b"body"), -1).await.unwrap());
    match claim(&third, 2, 60_000).await.0 {
        Claimed::Unknown { sent, .. } => assert_eq!(sent.unwrap().as_slice(), b"body"),
        other => panic!("{other:?}"),
    }
    assert!(!store.finish_key(&second, &data_key, b"late").await.unwrap(), "the second has lost it");
    store.release_key(&third, false).await.unwrap();
    assert!(matches!(claim(&first, 2, 60_000).await.0, Claimed::Unknown { .. }), "still nobody knows");
    assert!(store.finish_key(&first, &data_key, b"answer").await.unwrap());
    store.release_key(&third, true).await.unwrap();
    match claim(&second, 2, 60_000).await.0 {
        Claimed::Done(answer) => assert_eq!(answer.as_slice(), b"answer"),
        other => panic!("{other:?}"),
    }
    // A key that did nothing is free at once, and one whose time is over is purged.
    let other = slot("other", 2);
    assert!(matches!(claim(&other, 1, 60_000).await.0, Claimed::Fresh));
    store.release_key(&other, true).await.unwrap();
    assert!(matches!(claim(&other, 2, -1).await.0, Claimed::Fresh));
    assert_eq!(store.purge_keys().await.unwrap(), 0);
    let short = slot("short", 3);
    let short_claim =
        NewClaim { slot: &short, consumer: &consumer(), fingerprint: [1; 32], lease_ms: -1, keep_ms: -1 };
    assert!(matches!(store.claim_key(&short_claim).await.unwrap().0, Claimed::Fresh));
    assert_eq!(store.purge_keys().await.unwrap(), 1);
}
