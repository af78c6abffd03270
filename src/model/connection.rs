//! Applications, consumers, connectors and the connections between them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id with that text.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// The id's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// An application: a tenant of the gateway (`x-apideck-app-id`).
    AppId
);
id!(
    /// A consumer: a customer of an application (`x-apideck-consumer-id`).
    ConsumerId
);
id!(
    /// A connector's id on the wire (`x-apideck-service-id`), such as `hubspot`.
    ServiceId
);
id!(
    /// A connection's id within the gateway.
    ConnectionId
);

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionState {
    /// Nothing has been set up.
    Available,
    /// Added, not authorised.
    Added,
    /// Authorised; required settings are missing.
    Authorized,
    /// Ready.
    Callable,
    /// The CRM no longer accepts it.
    Invalid,
}

/// One consumer's link to one connector, without its credentials.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The gateway's own id of the connection.
    pub id: ConnectionId,
    /// Whose application.
    pub app: AppId,
    /// Whose CRM.
    pub consumer: ConsumerId,
    /// Which CRM.
    pub service: ServiceId,
    /// How far it has come.
    pub state: ConnectionState,
    /// Whether the consumer or application has switched it on.
    pub enabled: bool,
    /// Settings by form-field id, such as `subdomain`, `currency` (ISO 4217) or `timezone` (IANA).
    pub settings: BTreeMap<String, String>,
    /// Values captured from the token reply, such as Pipedrive's `api_domain`.
    pub captured: BTreeMap<String, String>,
}
