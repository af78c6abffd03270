//! The verbs of custom mappings: fields that an application wants, and where each connection finds them.

use clap::Subcommand;
use serde_json::json;

use super::Error;
use super::print::Table;
use crate::mapping::Finder;
use crate::model::{AppId, ConsumerId, Resource, ServiceId};
use crate::storage::{MappingTarget, Store};
use crate::vault::custom_mappings::{self, TargetId};

/// What can be done with custom mappings.
#[derive(Debug, Subcommand)]
pub enum CustomMappings {
    /// Declare a target field: connections can then say where their CRM has it.
    Declare {
        /// The application.
        #[arg(long)]
        app: String,
        /// The connector, such as `hubspot`.
        service: String,
        /// The resource, such as `contacts`.
        resource: String,
        /// Its name in `custom_mappings`.
        key: String,
        /// What people see; the key where left out.
        #[arg(long)]
        label: Option<String>,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
    },
    /// Remove a target field, with every connection's path for it.
    Remove {
        /// The application.
        #[arg(long)]
        app: String,
        /// The connector.
        service: String,
        /// The resource.
        resource: String,
        /// Its name.
        key: String,
    },
    /// Set where a connection finds a target field.
    Set {
        /// The application.
        #[arg(long)]
        app: String,
        /// The consumer.
        #[arg(long)]
        consumer: String,
        /// The connector.
        service: String,
        /// The resource.
        resource: String,
        /// Its name.
        key: String,
        /// A JSONPath into the CRM's record, such as `$.properties.lead_score`.
        path: String,
    },
    /// Forget where a connection finds a target field.
    Unset {
        /// The application.
        #[arg(long)]
        app: String,
        /// The consumer.
        #[arg(long)]
        consumer: String,
        /// The connector.
        service: String,
        /// The resource.
        resource: String,
        /// Its name.
        key: String,
    },
    /// List an application's target fields; with a consumer and a connector, that connection's paths.
    List {
        /// The application.
        #[arg(long)]
        app: String,
        /// The consumer.
        #[arg(long, requires = "service")]
        consumer: Option<String>,
        /// The connector.
        service: Option<String>,
    },
}

/// Does what the verb says.
///
/// # Errors
/// A sentence about what cannot be done.
pub(super) async fn run(verb: CustomMappings, store: &Store) -> Result<Table, Error> {
    match verb {
        CustomMappings::Declare { app, service, resource, key, label, description } => {
            let label = label.unwrap_or_else(|| key.clone());
            let target = MappingTarget {
                service: ServiceId::new(service),
                resource: named(&resource)?,
                key,
                label,
                description,
            };
            custom_mappings::declare(store, &AppId::new(&app), &target).await.map_err(says)?;
            targets(store, &app, Some(&target.service)).await
        }
        CustomMappings::Remove { app, service, resource, key } => {
            let service = ServiceId::new(service);
            store.remove_mapping_target(&AppId::new(&app), &service, named(&resource)?, &key).await?;
            targets(store, &app, Some(&service)).await
        }
        CustomMappings::Set { app, consumer, service, resource, key, path } => {
            Finder::parse(&path).map_err(Error::Input)?;
            let id = TargetId { resource: named(&resource)?, key };
            change(store, &app, &consumer, service, &id, Some(&path)).await
        }
        CustomMappings::Unset { app, consumer, service, resource, key } => {
            let id = TargetId { resource: named(&resource)?, key };
            change(store, &app, &consumer, service, &id, None).await
        }
        CustomMappings::List { app, consumer: Some(consumer), service: Some(service) } => {
            paths(store, &app, &consumer, &ServiceId::new(service)).await
        }
        CustomMappings::List { app, service, .. } => {
            targets(store, &app, service.map(ServiceId::new).as_ref()).await
        }
    }
}

async fn change(
    store: &Store,
    app: &str,
    consumer: &str,
    service: String,
    id: &TargetId,
    path: Option<&str>,
) -> Result<Table, Error> {
    let service = ServiceId::new(service);
    let (of, whose) = (AppId::new(app), ConsumerId::new(consumer));
    custom_mappings::set(store, &of, &whose, &service, id, path).await.map_err(says)?;
    paths(store, app, consumer, &service).await
}

async fn targets(store: &Store, app: &str, service: Option<&ServiceId>) -> Result<Table, Error> {
    let found = store.mapping_targets(&AppId::new(app), service).await?;
    let table = Table::new(&["service", "resource", "key", "label", "description"]);
    Ok(found.iter().fold(table, |table, target| {
        table.row(vec![
            json!(target.service.as_str()),
            json!(target.resource.name()),
            json!(target.key),
            json!(target.label),
            json!(target.description),
        ])
    }))
}

async fn paths(store: &Store, app: &str, consumer: &str, service: &ServiceId) -> Result<Table, Error> {
    let (app, consumer) = (AppId::new(app), ConsumerId::new(consumer));
    let found = custom_mappings::list(store, &app, &consumer, service, None).await.map_err(says)?;
    let table = Table::new(&["resource", "key", "label", "path"]);
    Ok(found.iter().fold(table, |table, mapping| {
        table.row(vec![
            json!(mapping.target.resource.name()),
            json!(mapping.target.key),
            json!(mapping.target.label),
            json!(mapping.path),
        ])
    }))
}

fn named(resource: &str) -> Result<Resource, Error> {
    Resource::from_name(resource).ok_or_else(|| {
        let known = Resource::ALL.map(Resource::name).join(", ");
        Error::Input(format!("there is no resource `{resource}`; there are {known}"))
    })
}

/// The error's own sentence, without its type.
fn says(error: crate::error::Error) -> Error {
    let text = error.to_string();
    let bare = text.split_once("Error: ").map(|(_, sentence)| sentence.to_owned());
    Error::Input(bare.unwrap_or(text))
}
