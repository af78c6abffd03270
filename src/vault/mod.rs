//! Room 3, resolve. In: application, consumer, service id. Out: the one connection meant, ready to sign with; fresh
//! tokens. Never: SQL, HTTP beyond the closure given, what the call is about.
//!
//! [`resolve`] which connection · [`refresh`] fresh tokens, one refresh at a time · [`token`] one exchange with a CRM's
//! token endpoint · [`exchange`] the HTTP client that it goes through · [`oauth`] how a customer connects: authorise,
//! call back, revoke · [`custom_mappings`] fields of an application's own.

pub mod custom_mappings;
pub mod exchange;
mod hold;
pub mod oauth;
pub mod refresh;
pub mod resolve;
pub mod scopes;
pub mod state;
pub mod token;

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::model::{AppId, ConsumerId};
use crate::storage::Store;

pub use exchange::http_client;
pub use hold::{fill, limit};
pub use oauth::Provider;
pub use resolve::{Connectors, Resolved};
pub use token::{ClientAuth, HttpClient, TokenEndpoint, Transport};

/// How much is kept, and when tokens are renewed.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a consumer's connections are known without asking again: the longest that another process's change
    /// stays unnoticed.
    pub keep: Duration,
    /// The same for consumers without connections.
    pub keep_unknown: Duration,
    /// How many consumers are kept.
    pub entries: u64,
    /// How long before their end tokens are renewed.
    pub refresh_margin: Duration,
    /// How long after a failed refresh none is tried, unless the CRM asks for longer.
    pub refresh_backoff: Duration,
    /// How long a token endpoint may take.
    pub refresh_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            keep: Duration::from_secs(30),
            keep_unknown: Duration::from_secs(5),
            entries: 50_000,
            refresh_margin: Duration::from_secs(60),
            refresh_backoff: Duration::from_secs(1),
            refresh_timeout: Duration::from_secs(20),
        }
    }
}

/// Connections in memory, and how to renew their tokens. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    store: Store,
    http: HttpClient,
    settings: Settings,
    integrations: Cache<(AppId, u64), Arc<resolve::Integrations>>,
    consumers: Cache<(AppId, ConsumerId, u64, u64), Arc<resolve::Connections>>,
    flights: refresh::Flights,
}

impl Vault {
    /// A vault over that store; `http` sends what it is given to the token endpoint.
    pub fn new(store: Store, http: HttpClient, settings: Settings) -> Vault {
        let keep = resolve::Keep { some: settings.keep, none: settings.keep_unknown };
        Vault(Arc::new(Inner {
            store,
            http,
            settings,
            integrations: Cache::builder().max_capacity(10_000).time_to_live(settings.keep).build(),
            consumers: Cache::builder().max_capacity(settings.entries).expire_after(keep).build(),
            flights: refresh::Flights::new(&settings),
        }))
    }
}
