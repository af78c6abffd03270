//! The demo's application, key, consumers and connections.

use std::collections::BTreeMap;

use super::{Error, connect, connection};
use crate::model::{AppId, ConsumerId, Credentials, Secret, ServiceId};
use crate::storage::{self, NewIntegration, NewKey, Store, StoredConnection};
use crate::vault::Connectors;

/// The demo's application.
pub const APP: &str = "demo-app";

/// The demo's API key.
pub const KEY: &str = "sk_demo_crosswalk";

/// The consumer connected to every connector. Beside it there are `demo-<service>`, each connected to that one only.
pub const CONSUMER: &str = "demo-consumer";

/// The consumer connected to none.
pub const LONELY: &str = "lonely-consumer";

/// How the demo connects to one connector.
#[derive(Debug, Clone)]
pub struct DemoConnection {
    /// Which connector.
    pub service: ServiceId,
    /// The credentials of all its connections.
    pub credentials: Credentials,
    /// Their settings.
    pub settings: BTreeMap<String, String>,
    /// The application's OAuth client.
    pub client_id: Option<String>,
    /// That client's secret.
    pub client_secret: Option<Secret>,
}

impl DemoConnection {
    /// A connection that starts from a refresh token alone.
    pub fn oauth(service: &str, refresh_token: &str, client_id: &str, client_secret: &str) -> DemoConnection {
        DemoConnection {
            service: ServiceId::new(service),
            credentials: Credentials::OAuth {
                access_token: Secret::new(""),
                refresh_token: Some(Secret::new(refresh_token)),
                expires_at: None,
                scope: String::new(),
            },
            settings: BTreeMap::new(),
            client_id: Some(client_id.to_owned()),
            client_secret: Some(Secret::new(client_secret)),
        }
    }
}

/// Sets the demo up. On a data folder from an earlier run it keeps ids and everything else, and gives the connections
/// their first credentials and settings back, as the mock CRMs start from scratch too.
pub async fn seed_demo(
    store: &Store,
    connectors: Connectors<'_>,
    connections: &[DemoConnection],
) -> Result<(), Error> {
    let app = AppId::new(APP);
    unless_there(store.create_application(&app, "Demo").await)?;
    let key = NewKey {
        app: &app,
        label: "demo",
        expires_ms: None,
        allow_ips: &[],
        endpoints: &[],
        import: Some(Secret::new(KEY)),
    };
    unless_there(store.create_key(key).await)?;
    let consumer = ConsumerId::new(CONSUMER);
    for id in [&consumer, &ConsumerId::new(LONELY)] {
        unless_there(store.create_consumer(&app, id).await)?;
    }
    for demo in connections {
        let integration = NewIntegration {
            enabled: true,
            client_id: demo.client_id.clone(),
            client_secret: demo.client_secret.clone(),
            scopes: None,
        };
        store.set_integration(&app, &demo.service, integration).await?;
        let own = ConsumerId::new(format!("demo-{}", demo.service));
        unless_there(store.create_consumer(&app, &own).await)?;
        for consumer in [&consumer, &own] {
            seed_connection(store, connectors, &app, consumer, demo).await?;
        }
    }
    Ok(())
}

async fn seed_connection(
    store: &Store,
    connectors: Connectors<'_>,
    app: &AppId,
    consumer: &ConsumerId,
    demo: &DemoConnection,
) -> Result<(), Error> {
    let (settings, credentials) = (demo.settings.clone(), Some(demo.credentials.clone()));
    match connect(store, connectors, (app, consumer, &demo.service), settings, credentials).await {
        Err(Error::Storage(storage::Error::Exists(..))) => {}
        other => return other.map(|_| ()),
    }
    let StoredConnection { connection: of, .. } = connection(store, app, consumer, &demo.service).await?;
    let state = super::state_of(super::required_settings(connectors, &demo.service)?, &demo.settings, true);
    store.set_settings(&of, &demo.settings, state).await?;
    store.set_credentials(&of, &demo.credentials, state).await?;
    store.enable_connection(&of, true).await?;
    Ok(())
}

/// What was created, or none where it was there.
fn unless_there<T>(created: Result<T, storage::Error>) -> Result<Option<T>, storage::Error> {
    match created {
        Ok(made) => Ok(Some(made)),
        Err(storage::Error::Exists(..)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, Settings};
    use crate::model::ConnectionState;
    use crate::storage::{Key, Location};

    fn demo() -> Vec<DemoConnection> {
        vec![
            DemoConnection::oauth(
                "hubspot",
                "demo-hubspot-refresh",
                "demo-hubspot-client",
                "demo-hubspot-secret",
            ),
            DemoConnection {
                settings: BTreeMap::from([("subdomain".to_owned(), "acme".to_owned())]),
                ..DemoConnection::oauth("pipedrive", "demo-pipedrive-refresh", "demo-pipedrive-client", "s")
            },
        ]
    }

    #[tokio::test]
    async fn it_can_be_set_up_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("demo.db");
        let key = Key::random().unwrap();
        let needed = ["subdomain".to_owned()];
        let connectors = |id: &str| Some(if id == "pipedrive" { &needed[..] } else { &[] });
        let app = AppId::new(APP);
        let mut ids = Vec::new();
        for run in 0..3 {
            let store = Store::open(Location::File(&file), key.clone()).await.unwrap();
            seed_demo(&store, &connectors, &demo()).await.unwrap();
            let all = store.connections(&app, None).await.unwrap();
            let whose: Vec<(&str, &str)> = all
                .iter()
                .map(|stored| (stored.connection.consumer.as_str(), stored.connection.service.as_str()))
                .collect();
            let expected = [
                ("demo-consumer", "hubspot"),
                ("demo-consumer", "pipedrive"),
                ("demo-hubspot", "hubspot"),
                ("demo-pipedrive", "pipedrive"),
            ];
            assert_eq!(whose, expected);
            assert!(all.iter().all(|stored| stored.connection.state == ConnectionState::Callable));
            assert!(all.iter().all(|stored| stored.connection.enabled));
            let now: Vec<_> = all.iter().map(|stored| stored.connection.id.clone()).collect();
            if run > 0 {
                assert_eq!(now, ids, "ids stay, and with them cursors");
            }
            ids = now;
            assert_eq!(store.consumers(&app).await.unwrap().len(), 4);
            let caller = Access::new(store.clone(), Settings::default()).authenticate(Some(KEY), APP).await;
            assert_eq!(caller.unwrap().app, app);

            // What a run leaves behind: renewed tokens, a dead connection, one switched off.
            let of = all[0].connection.clone();
            let (_, found) = store.opened_connection(&of).await.unwrap().unwrap();
            let found = found.unwrap();
            assert_eq!(found.credentials, demo()[0].credentials);
            let used = demo()[1].credentials.clone();
            assert!(store.replace_credentials(&of, found.version, &used, &BTreeMap::new()).await.unwrap());
            assert!(store.invalidate_connection(&of, found.version + 1, "invalid_grant", "x").await.unwrap());
            store.enable_connection(&of, false).await.unwrap();
            store.close().await;
        }
    }
}
