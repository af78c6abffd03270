//! What is asked of the Vault and Connector APIs: the operations by their ids in the contract, and one checked call.

use std::fmt;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{AppId, ConsumerId, Query, Trail};

macro_rules! operations {
    ($($variant:ident $id:literal)*) => {
        /// An operation of the Vault or Connector API, named as `operationId` in the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum OperationId {
            $(#[doc = concat!("`", $id, "`.")] $variant,)*
        }

        impl OperationId {
            /// All operations, in the order of the contract.
            pub const ALL: &[OperationId] = &[$(OperationId::$variant,)*];

            /// The name in the contract and in logs.
            pub const fn name(self) -> &'static str {
                match self {
                    $(OperationId::$variant => $id,)*
                }
            }
        }
    };
}

operations! {
    ConsumersAdd "consumersAdd"
    ConsumersAll "consumersAll"
    ConsumersOne "consumersOne"
    ConsumersUpdate "consumersUpdate"
    ConsumersDelete "consumersDelete"
    ConsumerRequestCountsAll "consumerRequestCountsAll"
    ConnectionsAll "connectionsAll"
    ConnectionsOne "connectionsOne"
    ConnectionsAdd "connectionsAdd"
    ConnectionsUpdate "connectionsUpdate"
    ConnectionsDelete "connectionsDelete"
    ConnectionsImport "connectionsImport"
    ConnectionsMigrate "connectionsMigrate"
    ConnectionsToken "connectionsToken"
    ValidateConnectionState "validateConnectionState"
    ConnectionConsentsAll "connectionConsentsAll"
    ConnectionConsentUpdate "connectionConsentUpdate"
    ConnectionsConfirm "connectionsConfirm"
    CreateCallbackState "createCallbackState"
    ConnectionSettingsAll "connectionSettingsAll"
    ConnectionSettingsUpdate "connectionSettingsUpdate"
    ConnectionsSchema "connectionsSchema"
    ConnectionsExample "connectionsExample"
    CustomFieldsAll "customFieldsAll"
    ConnectionCustomMappingsAll "connectionCustomMappingsAll"
    ConnectionsAuthorize "connectionsAuthorize"
    ConnectionsRevoke "connectionsRevoke"
    CustomMappingsOne "customMappingsOne"
    CustomMappingsAdd "customMappingsAdd"
    CustomMappingsUpdate "customMappingsUpdate"
    CustomMappingsDelete "customMappingsDelete"
    CustomMappingsAll "customMappingsAll"
    ConnectionsCallback "connectionsCallback"
    SessionsCreate "sessionsCreate"
    LogsAll "logsAll"
    LogsOne "logsOne"
    VaultOAuthDisconnect "vaultOAuthDisconnect"
    VaultOAuthDisconnectCallback "vaultOAuthDisconnectCallback"
    ConnectorsAll "connectorsAll"
    ConnectorsOne "connectorsOne"
    ConnectorDocsOne "connectorDocsOne"
    ConnectorResourcesOne "connectorResourcesOne"
    ConnectorResourcesSchema "connectorResourcesSchema"
    ConnectorResourcesExample "connectorResourcesExample"
    ApisAll "apisAll"
    ApisOne "apisOne"
    ApiResourcesOne "apiResourcesOne"
    ApiResourceCoverageOne "apiResourceCoverageOne"
}

impl OperationId {
    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<OperationId> {
        OperationId::ALL.iter().copied().find(|operation| operation.name() == name)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who comes to the Vault or Connector API, and from where.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The reply's `Request-Id`.
    pub request_id: String,
    /// The application named; none for operations that need no key.
    pub app: Option<AppId>,
    /// The consumer named; none where the operation is not about one.
    pub consumer: Option<ConsumerId>,
    /// The caller's address (behind a declared proxy: the forwarded one).
    pub remote: IpAddr,
    /// Scheme and host as the caller sees the gateway, without a trailing slash.
    pub public_base: String,
    /// What the call leaves behind for the request log.
    pub trail: Trail,
    /// The gateway's own cookies, by name; only operations that are open to all read some.
    pub cookies: Vec<(String, String)>,
}

/// One call of the Vault or Connector API, checked against the contract.
#[derive(Debug, Clone)]
pub struct PortalCall {
    /// What is asked.
    pub operation: OperationId,
    /// The ids in the path, by their names in the contract, decoded.
    pub ids: Vec<(String, String)>,
    /// The query string; what is neither paging nor filter is in [`Query::keys`].
    pub query: Query,
    /// The body, where one was sent.
    pub body: Option<Map<String, Value>>,
    /// The path as called: the base of `links`.
    pub path: String,
    /// The query as called, without the leading `?`.
    pub raw_query: String,
}

impl PortalCall {
    /// An id in the path; empty where the path has none of that name.
    pub fn id(&self, name: &str) -> &str {
        self.ids.iter().find(|(known, _)| known == name).map_or("", |(_, id)| id.as_str())
    }
}
