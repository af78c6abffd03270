//! The verbs of administration, and what each one does.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use clap::{Args, Subcommand};
use serde_json::json;

use super::mappings::{self, CustomMappings};
use super::print::{Table, time};
use super::{Error, authorise, connect, connection, input, required_settings};
use crate::access::Allowed;
use crate::model::{AppId, ConsumerId, Credentials, ServiceId};
use crate::storage::connections::state_name;
use crate::storage::{ApiKey, Consumer, NewIntegration, NewKey, Store, StoredConnection, now_ms};
use crate::vault::Connectors;
use crate::vault::oauth::redirect;

/// Administration of what the database holds.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Applications: the tenants of the gateway.
    Apps {
        /// What to do.
        #[command(subcommand)]
        verb: Apps,
        /// How to show it.
        #[command(flatten)]
        show: Show,
    },
    /// API keys of an application.
    Keys {
        /// What to do.
        #[command(subcommand)]
        verb: Keys,
        /// How to show it.
        #[command(flatten)]
        show: Show,
    },
    /// Consumers: the customers of an application.
    Consumers {
        /// What to do.
        #[command(subcommand)]
        verb: Consumers,
        /// How to show it.
        #[command(flatten)]
        show: Show,
    },
    /// Integrations: which connectors an application uses, with its OAuth clients.
    Integrations {
        /// What to do.
        #[command(subcommand)]
        verb: Integrations,
        /// How to show it.
        #[command(flatten)]
        show: Show,
    },
    /// Connections of consumers to their CRMs.
    Connections {
        /// What to do.
        #[command(subcommand)]
        verb: Connections,
        /// How to show it.
        #[command(flatten)]
        show: Show,
    },
    /// Custom mappings: fields of an application's own, found in each CRM by a path.
    CustomMappings {
        /// What to do.
        #[command(subcommand)]
        verb: CustomMappings,
        /// How to show it.
        #[command(flatten)]
        show: Show,
    },
}

/// How a result is shown.
#[derive(Debug, Args)]
pub struct Show {
    /// Show JSON instead of a table.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What can be done with applications.
#[derive(Debug, Subcommand)]
pub enum Apps {
    /// Create an application.
    Create {
        /// Its id: what callers send as `x-apideck-app-id`.
        id: String,
        /// Its name for people; the id where left out.
        #[arg(long)]
        name: Option<String>,
    },
    /// List all applications.
    List,
    /// Set the calls a month of an application's plan; a running gateway goes by it within seconds.
    Plan {
        /// The application.
        id: String,
        /// Calls in a month of the calendar (UTC); left out, there is no limit.
        #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(i64).range(0..))]
        calls_per_month: Option<i64>,
    },
    /// Let browsers be sent to that address after an authorisation; it is compared letter by letter.
    AllowRedirect {
        /// The application.
        id: String,
        /// The address: https, or http on a loopback address, whose port may be `*` for any.
        uri: String,
    },
    /// No longer let browsers be sent there.
    DisallowRedirect {
        /// The application.
        id: String,
        /// The address.
        uri: String,
    },
    /// List where browsers may be sent; the first one is the default.
    Redirects {
        /// The application.
        id: String,
    },
}

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Create a key and show it, this once.
    Create {
        /// The application that it opens.
        #[arg(long)]
        app: String,
        /// What it is for.
        #[arg(long, default_value = "")]
        label: String,
        /// End it after that many days.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36500))]
        expires_in_days: Option<u32>,
        /// End it at that time, such as `2027-01-31` or `2027-01-31T09:30:00Z`.
        #[arg(long, value_name = "TIME", conflicts_with = "expires_in_days", value_parser = input::moment)]
        expires: Option<i64>,
        /// An address or range such as `10.0.0.0/8` that it may be used from; may be repeated, none is any.
        #[arg(long = "allow-ip", value_name = "ADDRESS")]
        allow_ips: Vec<String>,
        /// An endpoint that it may be used for, such as `/crm/*` or `GET /crm/contacts*`; may be repeated, none is any.
        #[arg(long = "endpoint", value_name = "PATTERN")]
        endpoints: Vec<String>,
        /// Take a key made elsewhere from a file (`-`: standard input).
        #[arg(long, value_name = "FILE")]
        import: Option<String>,
    },
    /// List an application's keys; none of them is shown itself.
    List {
        /// The application.
        #[arg(long)]
        app: String,
    },
    /// Rotate the master key that seals credentials: make a new one and wrap every data key with it, while gateways serve.
    /// Broken off, it goes on when run again.
    Rotate {
        /// Instead, take the old master keys out of the key file: nothing is wrapped with them any more.
        #[arg(long)]
        drop_old: bool,
    },
    /// Revoke a key for good. A running gateway refuses it within seconds.
    Revoke {
        /// The application that it opens.
        #[arg(long)]
        app: String,
        /// The key's id, as listed.
        id: String,
    },
}

/// What can be done with consumers.
#[derive(Debug, Subcommand)]
pub enum Consumers {
    /// Create a consumer.
    Create {
        /// Whose customer.
        #[arg(long)]
        app: String,
        /// Its id: what callers send as `x-apideck-consumer-id`.
        id: String,
    },
    /// List an application's consumers.
    List {
        /// The application.
        #[arg(long)]
        app: String,
    },
}

/// What can be done with integrations.
#[derive(Debug, Subcommand)]
pub enum Integrations {
    /// Switch a connector on for an application, and set its OAuth client. What is not given stays as it was.
    Enable {
        /// The application.
        #[arg(long)]
        app: String,
        /// The connector, such as `hubspot`.
        service: String,
        /// The application's OAuth client at the CRM.
        #[arg(long, value_name = "ID")]
        client_id: Option<String>,
        /// The file with that client's secret (`-`: standard input).
        #[arg(long, value_name = "FILE")]
        client_secret: Option<String>,
        /// A scope to ask for instead of the connector's own; may be repeated.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
    },
    /// Switch a connector off for an application.
    Disable {
        /// The application.
        #[arg(long)]
        app: String,
        /// The connector.
        service: String,
    },
    /// List an application's integrations.
    List {
        /// The application.
        #[arg(long)]
        app: String,
    },
}

/// Which connection is meant.
#[derive(Debug, Args)]
pub struct Of {
    /// The application.
    #[arg(long)]
    app: String,
    /// The consumer.
    #[arg(long)]
    consumer: String,
    /// The connector, such as `hubspot`.
    service: String,
}

/// What can be done with connections.
#[derive(Debug, Subcommand)]
pub enum Connections {
    /// Create a connection.
    Create {
        /// Of whom to what.
        #[command(flatten)]
        of: Of,
        /// A setting, such as `currency=EUR`; may be repeated.
        #[arg(long = "set", value_name = "KEY=VALUE", value_parser = input::pair)]
        settings: Vec<(String, String)>,
        /// The file with the credentials (`-`: standard input): a JSON object or key=value lines, such as `api_key=…`, or
        /// OAuth tokens as `access_token`, `refresh_token`, `expires_in`.
        #[arg(long, value_name = "FILE")]
        credentials: Option<String>,
    },
    /// Give a connection new credentials; an invalid one comes back by it.
    Authorize {
        /// Of whom to what.
        #[command(flatten)]
        of: Of,
        /// The file with the credentials (`-`: standard input), as for `create`.
        #[arg(long, value_name = "FILE")]
        credentials: String,
    },
    /// List an application's connections.
    List {
        /// The application.
        #[arg(long)]
        app: String,
        /// Only those of that consumer.
        #[arg(long)]
        consumer: Option<String>,
    },
    /// Switch a connection on.
    Enable(Of),
    /// Switch a connection off.
    Disable(Of),
    /// Delete a connection and its credentials.
    Delete(Of),
}

/// Does what the command says and shows the result on `out`. `connectors` says which connectors there are and which
/// settings they need; secrets named `-` are read from `stdin`.
pub async fn run(
    command: Command,
    store: &Store,
    connectors: Connectors<'_>,
    stdin: &mut (dyn Read + Send),
    out: &mut (dyn Write + Send),
) -> Result<(), Error> {
    let (table, show) = match command {
        Command::Apps { verb, show } => (apps(verb, store).await?, show),
        Command::Keys { verb, show } => (keys(verb, store, stdin).await?, show),
        Command::Consumers { verb, show } => (consumers(verb, store).await?, show),
        Command::Integrations { verb, show } => (integrations(verb, store, connectors, stdin).await?, show),
        Command::CustomMappings { verb, show } => (mappings::run(verb, store).await?, show),
        Command::Connections { verb, show } => (connections(verb, store, connectors, stdin).await?, show),
    };
    table.write(show.json, out)
}

async fn apps(verb: Apps, store: &Store) -> Result<Table, Error> {
    let shown = match verb {
        Apps::Create { id, name } => {
            vec![store.create_application(&AppId::new(&id), name.as_deref().unwrap_or(&id)).await?]
        }
        Apps::List => store.applications().await?,
        Apps::Plan { id, calls_per_month } => {
            let id = AppId::new(id);
            store.set_calls_per_month(&id, calls_per_month).await?;
            let all = store.applications().await?;
            all.into_iter().filter(|app| app.id == id).collect()
        }
        Apps::AllowRedirect { id, uri } => {
            redirect::check(&uri).map_err(Error::Input)?;
            let app = known(store, &id).await?;
            store.add_redirect_uri(&app, &uri).await?;
            return redirects(store, &app).await;
        }
        Apps::DisallowRedirect { id, uri } => {
            let app = known(store, &id).await?;
            store.remove_redirect_uri(&app, &uri).await?;
            return redirects(store, &app).await;
        }
        Apps::Redirects { id } => return redirects(store, &known(store, &id).await?).await,
    };
    let table = Table::new(&["id", "name", "created_at", "calls_per_month"]);
    Ok(shown.iter().fold(table, |table, app| {
        table.row(vec![
            json!(app.id.as_str()),
            json!(app.name),
            time(app.created_ms),
            json!(app.calls_per_month),
        ])
    }))
}

async fn redirects(store: &Store, app: &AppId) -> Result<Table, Error> {
    let uris = store.redirect_uris(app).await?;
    Ok(uris.iter().fold(Table::new(&["redirect_uri"]), |table, uri| table.row(vec![json!(uri)])))
}

async fn keys(verb: Keys, store: &Store, stdin: &mut (dyn Read + Send)) -> Result<Table, Error> {
    match verb {
        Keys::Create { app, label, expires_in_days, expires, allow_ips, endpoints, import } => {
            Allowed::parse(&allow_ips, &endpoints).map_err(|faults| Error::Input(faults.join("; ")))?;
            let import = import.map(|name| input::secret(&name, stdin)).transpose()?;
            let imported = import.is_some();
            let expires_ms = expires_in_days.map(|days| now_ms() + i64::from(days) * 86_400_000).or(expires);
            let app = AppId::new(app);
            let (allow_ips, endpoints) = (&allow_ips, &endpoints);
            let new = NewKey { app: &app, label: &label, expires_ms, allow_ips, endpoints, import };
            let (key, shown) = store.create_key(new).await?;
            // Its owner has an imported key already; a new one is shown here and nowhere else.
            let shown = if imported { "(imported)" } else { shown.expose() };
            let table = Table::new(&["id", "label", "expires_at", "key"]);
            Ok(table.row(vec![json!(key.id), json!(key.label), time(key.expires_ms), json!(shown)]))
        }
        Keys::Rotate { drop_old } => {
            let done = if drop_old {
                store.drop_old_master_keys().await?
            } else {
                store.rotate_master_key().await?
            };
            let table = Table::new(&["master_key", "rewrapped", "old_keys"]);
            Ok(table.row(vec![json!(done.key), json!(done.rewrapped), json!(done.old_keys)]))
        }
        Keys::List { app } => Ok(key_table(&store.keys(&known(store, &app).await?).await?)),
        Keys::Revoke { app, id } => Ok(key_table(&[store.revoke_key(&AppId::new(app), &id).await?])),
    }
}

fn key_table(keys: &[ApiKey]) -> Table {
    let now = now_ms();
    let table = Table::new(&[
        "id",
        "prefix",
        "label",
        "state",
        "created_at",
        "expires_at",
        "last_used_at",
        "allow_ips",
        "endpoints",
    ]);
    keys.iter().fold(table, |table, key| {
        let ended = key.expires_ms.is_some_and(|end| end <= now);
        let state = match (key.revoked_ms, ended) {
            (Some(_), _) => "revoked",
            (None, true) => "expired",
            (None, false) => "valid",
        };
        table.row(vec![
            json!(key.id),
            json!(key.prefix),
            json!(key.label),
            json!(state),
            time(key.created_ms),
            time(key.expires_ms),
            time(key.last_used_ms),
            json!(key.allow_ips),
            json!(key.endpoints),
        ])
    })
}

async fn consumers(verb: Consumers, store: &Store) -> Result<Table, Error> {
    let shown: Vec<Consumer> = match verb {
        Consumers::Create { app, id } => {
            vec![store.create_consumer(&AppId::new(app), &ConsumerId::new(id)).await?]
        }
        Consumers::List { app } => store.consumers(&known(store, &app).await?).await?,
    };
    let table = Table::new(&["id", "created_at"]);
    Ok(shown.iter().fold(table, |table, one| table.row(vec![json!(one.id.as_str()), time(one.created_ms)])))
}

async fn integrations(
    verb: Integrations,
    store: &Store,
    connectors: Connectors<'_>,
    stdin: &mut (dyn Read + Send),
) -> Result<Table, Error> {
    let app = match verb {
        Integrations::Enable { app, service, client_id, client_secret, scopes } => {
            let (app, service) = (AppId::new(app), ServiceId::new(service));
            required_settings(connectors, &service)?;
            let client_secret = client_secret.map(|name| input::secret(&name, stdin)).transpose()?;
            let scopes = Some(scopes).filter(|scopes| !scopes.is_empty());
            let new = NewIntegration { enabled: true, client_id, client_secret, scopes };
            store.set_integration(&app, &service, new).await?;
            app
        }
        Integrations::Disable { app, service } => {
            let (app, service) = (AppId::new(app), ServiceId::new(service));
            store.set_integration(&app, &service, NewIntegration::default()).await?;
            app
        }
        Integrations::List { app } => known(store, &app).await?,
    };
    let table = Table::new(&["service", "enabled", "client_id", "client_secret", "scopes"]);
    Ok(store.integrations(&app).await?.iter().fold(table, |table, one| {
        let secret = one.client_secret.as_ref().map(|_| "***");
        table.row(vec![
            json!(one.service.as_str()),
            json!(one.enabled),
            json!(one.client_id),
            json!(secret),
            json!(one.scopes),
        ])
    }))
}

async fn connections(
    verb: Connections,
    store: &Store,
    connectors: Connectors<'_>,
    stdin: &mut (dyn Read + Send),
) -> Result<Table, Error> {
    let (app, consumer) = match verb {
        Connections::Create { of, settings, credentials } => {
            let (app, consumer, service) = of.ids();
            let credentials = credentials.map(|name| read_credentials(&name, stdin)).transpose()?;
            let settings: BTreeMap<_, _> = settings.into_iter().collect();
            connect(store, connectors, (&app, &consumer, &service), settings, credentials).await?;
            (app, Some(consumer))
        }
        Connections::Authorize { of, credentials } => {
            let (app, consumer, service) = of.ids();
            let credentials = read_credentials(&credentials, stdin)?;
            let stored = connection(store, &app, &consumer, &service).await?;
            authorise(store, connectors, &stored.connection, &credentials).await?;
            (app, Some(consumer))
        }
        Connections::List { app, consumer } => (known(store, &app).await?, consumer.map(ConsumerId::new)),
        Connections::Enable(of) => switch(store, of, true).await?,
        Connections::Disable(of) => switch(store, of, false).await?,
        Connections::Delete(of) => {
            let (app, consumer, service) = of.ids();
            store.delete_connection(&app, &consumer, &service).await?;
            (app, Some(consumer))
        }
    };
    let table = Table::new(&["consumer", "service", "state", "enabled", "settings", "created_at", "reason"]);
    let shown = store.connections(&app, consumer.as_ref()).await?;
    Ok(shown.iter().fold(table, |table, StoredConnection { connection, reason, created_ms, .. }| {
        table.row(vec![
            json!(connection.consumer.as_str()),
            json!(connection.service.as_str()),
            json!(state_name(connection.state)),
            json!(connection.enabled),
            json!(connection.settings),
            time(*created_ms),
            json!(reason),
        ])
    }))
}

impl Of {
    fn ids(&self) -> (AppId, ConsumerId, ServiceId) {
        (AppId::new(&self.app), ConsumerId::new(&self.consumer), ServiceId::new(&self.service))
    }
}

async fn switch(store: &Store, of: Of, enabled: bool) -> Result<(AppId, Option<ConsumerId>), Error> {
    let (app, consumer, service) = of.ids();
    let stored = connection(store, &app, &consumer, &service).await?;
    store.enable_connection(&stored.connection, enabled).await?;
    Ok((app, Some(consumer)))
}

fn read_credentials(name: &str, stdin: &mut dyn Read) -> Result<Credentials, Error> {
    input::credentials(&input::read(name, stdin)?)
}

/// The application with that id. Errors: there is none.
async fn known(store: &Store, app: &str) -> Result<AppId, Error> {
    let id = AppId::new(app);
    match store.has_application(&id).await? {
        true => Ok(id),
        false => Err(crate::storage::Error::Missing("application", app.to_owned()).into()),
    }
}

#[cfg(test)]
mod tests;
