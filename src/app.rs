//! Everything that calls share: built once, passed by reference.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use moka::future::Cache;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::access::idempotency::Idempotency;
use crate::access::{self, Access};
use crate::config::Settings;
use crate::connector::load::{self, Source};
use crate::connector::{Connector, Registry};
use crate::contract;
use crate::cursor;
use crate::downstream;
use crate::error::{Error, Result};
use crate::logs::Recorder;
use crate::mapping::Fault;
use crate::model::{Connection, ConnectionId, FieldDefinitions, Resource, ServiceId};
use crate::plan::ask::Asked;
use crate::storage::{self, Store};
use crate::vault::oauth::Side;
use crate::vault::{self, Provider, Vault};

/// Everything that calls share.
pub struct App {
    /// The settings.
    pub settings: Arc<Settings>,
    /// Who may call.
    pub access: Access,
    /// What is kept.
    pub store: Store,
    /// Writes that happen once.
    pub idempotency: Idempotency,
    /// Whose CRM.
    pub vault: Vault,
    /// What happened to calls.
    pub logs: Arc<Recorder>,
    /// The way to the CRMs.
    pub http: Arc<downstream::Client>,
    /// Signs cursors.
    pub cursor_key: cursor::Key,
    /// What CRMs say about their fields.
    pub definitions: Cache<DefinitionsKey, Discovered>,
    /// Cancelled when the gateway stops: what could go on for long ends where it can be taken up again.
    pub stopping: CancellationToken,
    services: ArcSwap<Services>,
}

/// Whose fields: connection, resource, and what the resource lives in.
pub type DefinitionsKey = (ConnectionId, Resource, Option<Arc<str>>);

/// What a CRM said about its fields, or why it did not; for a while.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The fields and what to ask for by name, or why there are none.
    pub fields: std::result::Result<(Arc<FieldDefinitions>, Arc<Asked>), Arc<str>>,
    /// How long this is good for.
    pub keep: Duration,
}

/// All connectors, each with what this gateway's settings make of it.
pub type Services = BTreeMap<ServiceId, Arc<Service>>;

/// A connector with what this gateway's settings make of it.
#[derive(Debug)]
pub struct Service {
    /// The connector.
    pub connector: Arc<Connector>,
    /// The base URL that replaces the connector's own.
    pub base_url: Option<Url>,
    /// Settings without which a connection cannot be called.
    pub required_settings: Vec<String>,
    /// The CRM's OAuth side, where it has one.
    pub oauth: Option<Arc<Provider>>,
    /// The CRM's names of objects, by resource.
    pub objects: BTreeMap<Resource, Arc<str>>,
}

impl Discovered {
    /// About how much memory it takes.
    fn bytes(&self) -> u32 {
        let fields = self.fields.as_ref().map(|(fields, _)| fields.fields.as_slice()).unwrap_or_default();
        let bytes: usize = fields
            .iter()
            .map(|field| {
                let text =
                    field.id.len() * 3 + field.name.len() + field.description.as_ref().map_or(0, String::len);
                let options: usize =
                    field.options.iter().map(|option| 48 + option.id.len() + option.label.len()).sum();
                256 + text + options
            })
            .sum();
        u32::try_from(bytes + 256).unwrap_or(u32::MAX)
    }
}

/// How much memory the definitions of all connections take at most; those asked for least often go.
const DEFINITIONS_BYTES: u64 = 128 * 1024 * 1024;

struct Keep;

impl moka::Expiry<DefinitionsKey, Discovered> for Keep {
    fn expire_after_create(&self, _: &DefinitionsKey, value: &Discovered, _: Instant) -> Option<Duration> {
        Some(value.keep)
    }
}

impl App {
    /// Builds what calls share.
    ///
    /// # Errors
    /// Every fault of the connector and mapping files; or that a key cannot be derived.
    pub fn new(
        settings: Arc<Settings>,
        store: Store,
        http: downstream::Client,
    ) -> std::result::Result<App, Vec<Fault>> {
        let services = services(&settings)?;
        let key_fault = |fault: storage::Error| {
            vec![Fault { file: "master key".to_owned(), line: 0, column: 0, message: fault.to_string() }]
        };
        let derived = store.derived_key("cursor").map_err(key_fault)?;
        let idempotency = Idempotency::new(store.clone(), settings.idempotency).map_err(key_fault)?;
        let http = Arc::new(http);
        let logs = Arc::new(Recorder::start(store.clone(), settings.request_log));
        let vault = Vault::new(
            store.clone(),
            vault::http_client(http.clone(), settings.timeouts.downstream_total),
            vault::Settings::default(),
        );
        Ok(App {
            access: Access::new(
                store.clone(),
                access::Settings {
                    calls_per_minute_per_key: settings.limits.calls_per_minute_per_key,
                    calls_per_minute_per_consumer: settings.limits.calls_per_minute_per_consumer,
                    ..access::Settings::default()
                },
            ),
            store,
            idempotency,
            logs,
            vault,
            cursor_key: cursor::Key::new(derived.bytes()),
            definitions: Cache::builder()
                .max_capacity(DEFINITIONS_BYTES)
                .weigher(|_, found: &Discovered| found.bytes())
                .expire_after(Keep)
                .build(),
            stopping: CancellationToken::new(),
            services: ArcSwap::from_pointee(services),
            settings,
            http,
        })
    }

    /// Reads connector and mapping files anew: all of them, or, where one is at fault, none.
    ///
    /// # Errors
    /// Every fault of the files.
    pub fn reload(&self) -> std::result::Result<usize, Vec<Fault>> {
        let services = services(&self.settings)?;
        let count = services.len();
        self.services.store(Arc::new(services));
        self.definitions.invalidate_all();
        Ok(count)
    }

    /// What a connector's authorisation takes.
    pub fn side(&self, service: &ServiceId) -> Option<Side> {
        let services = self.services();
        let service = services.get(service)?;
        Some(Side { provider: service.oauth.clone(), required: service.required_settings.clone() })
    }

    /// All connectors.
    pub fn services(&self) -> arc_swap::Guard<Arc<Services>> {
        self.services.load()
    }
}

/// All connectors, as these settings have them.
///
/// # Errors
/// Every fault of the connector and mapping files, and of the base URLs.
pub fn services(settings: &Settings) -> std::result::Result<Services, Vec<Fault>> {
    let source =
        Source { connectors: settings.connectors_dir.clone(), mappings: settings.mappings_dir.clone() };
    let registry: Registry = load::load(&source, contract::document())?;
    let mut faults = Vec::new();
    for service in
        settings.base_urls.keys().filter(|service| registry.get(&ServiceId::new(service)).is_none())
    {
        faults.push(Fault {
            file: "base_urls".to_owned(),
            line: 0,
            column: 0,
            message: format!("there is no connector `{service}`"),
        });
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(registry
        .iter()
        .map(|connector| {
            let id = ServiceId::new(&connector.manifest.connector);
            let required = connector.manifest.settings.iter().filter(|setting| setting.required);
            let service = Service {
                connector: connector.clone(),
                base_url: settings.base_urls.get(id.as_str()).cloned(),
                required_settings: required.map(|setting| setting.id.clone()).collect(),
                oauth: connector
                    .manifest
                    .auth
                    .oauth2
                    .as_ref()
                    .map(|oauth| Arc::new(Provider::new(oauth, settings.base_urls.get(id.as_str())))),
                objects: connector
                    .resources
                    .iter()
                    .filter_map(|(resource, plan)| Some((*resource, Arc::from(plan.spec.object.as_deref()?))))
                    .collect(),
            };
            (id, Arc::new(service))
        })
        .collect())
}

impl Service {
    /// The base URL of a connection's requests.
    ///
    /// # Errors
    /// If what the connection knows makes no URL.
    pub fn base(&self, connection: &Connection) -> Result<Url> {
        if let Some(url) = &self.base_url {
            return Ok(url.clone());
        }
        let name = |name: &str| {
            connection
                .captured
                .get(name)
                .or_else(|| connection.settings.get(name))
                .map(|text| serde_json::Value::from(text.as_str()))
        };
        let text = self.connector.base_url.iter().find_map(|template| template.render(&name));
        let url = text
            .as_deref()
            .and_then(|text| Url::parse(text).ok())
            .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        url.ok_or_else(|| {
            Error::new(
                crate::error::Kind::ConnectionSettingsError,
                format!("The connection's settings make no URL for {}.", self.connector.manifest.name),
            )
        })
    }
}
