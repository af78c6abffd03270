//! Custom mappings: target fields that an application declares, and where each connection finds them.

use sqlx::Row;

use super::{Error, Store, Topic, now_ms, usable_id};
use crate::model::{AppId, Connection, ConnectionId, ConsumerId, Resource, ServiceId};

/// The most target fields of one application, connector and resource.
const MOST_TARGETS: i64 = 200;

/// A field that an application wants in `custom_mappings`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingTarget {
    /// Of which connector's records.
    pub service: ServiceId,
    /// Of which resource.
    pub resource: Resource,
    /// Its name in `custom_mappings`.
    pub key: String,
    /// What people see.
    pub label: String,
    /// What it is for.
    pub description: Option<String>,
}

/// Where a connection finds a target field; none where it has not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingSource {
    /// Whose CRM.
    pub connection: ConnectionId,
    /// Of which resource.
    pub resource: Resource,
    /// The target field.
    pub key: String,
    /// The JSONPath into a record.
    pub path: Option<String>,
}

impl Store {
    /// Declares a target field, or changes its texts. Errors: no such application; a key that cannot be used; too many.
    pub async fn set_mapping_target(&self, app: &AppId, target: &MappingTarget) -> Result<(), Error> {
        usable_id("service", target.service.as_str())?;
        usable_id("target field", &target.key)?;
        self.application_key(app).await?;
        // Connections are kept together with what they map.
        let _changes = self.changes(Topic::Integrations(app.as_str()));
        let mut tx = self.db().write().await?;
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM custom_mapping_targets WHERE app_id = $1 AND service = $2 AND resource = $3 AND key <> $4",
        )
        .bind(app.as_str())
        .bind(target.service.as_str())
        .bind(target.resource.name())
        .bind(&target.key)
        .fetch_one(&mut *tx)
        .await?;
        if others >= MOST_TARGETS {
            return Err(Error::Unusable(format!(
                "{} of {} have {MOST_TARGETS} target fields already",
                target.resource, target.service
            )));
        }
        sqlx::query(
            "INSERT INTO custom_mapping_targets (app_id, service, resource, key, label, description, created_ms, updated_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7) \
             ON CONFLICT (app_id, service, resource, key) DO UPDATE SET label = $5, description = $6, updated_ms = $7",
        )
        .bind(app.as_str())
        .bind(target.service.as_str())
        .bind(target.resource.name())
        .bind(&target.key)
        .bind(&target.label)
        .bind(&target.description)
        .bind(now_ms())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes a target field with every connection's path for it. Errors: there is none.
    pub async fn remove_mapping_target(
        &self,
        app: &AppId,
        service: &ServiceId,
        resource: Resource,
        key: &str,
    ) -> Result<(), Error> {
        let _changes = self.changes(Topic::Integrations(app.as_str()));
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "DELETE FROM custom_mapping_targets WHERE app_id = $1 AND service = $2 AND resource = $3 AND key = $4",
        )
        .bind(app.as_str())
        .bind(service.as_str())
        .bind(resource.name())
        .bind(key)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        match done.rows_affected() {
            0 => Err(Error::Missing("target field", format!("{service} {resource} {key}"))),
            _ => Ok(()),
        }
    }

    /// An application's target fields, of one connector where one is given, by connector, resource and key.
    pub async fn mapping_targets(
        &self,
        app: &AppId,
        service: Option<&ServiceId>,
    ) -> Result<Vec<MappingTarget>, Error> {
        let rows = sqlx::query(
            "SELECT service, resource, key, label, description FROM custom_mapping_targets \
             WHERE app_id = $1 AND ($2 IS NULL OR service = $2) ORDER BY service, resource, key",
        )
        .bind(app.as_str())
        .bind(service.map(ServiceId::as_str))
        .fetch_all(self.db().read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(MappingTarget {
                    service: ServiceId::new(row.try_get::<&str, _>("service")?),
                    resource: resource(row.try_get("resource")?)?,
                    key: row.try_get("key")?,
                    label: row.try_get("label")?,
                    description: row.try_get("description")?,
                })
            })
            .collect()
    }

    /// Sets where a connection finds a target field, or forgets it. Errors: the application has no such target field.
    pub async fn set_mapping_source(
        &self,
        connection: &Connection,
        resource: Resource,
        key: &str,
        path: Option<&str>,
    ) -> Result<(), Error> {
        let _changes = self.changes(Topic::Consumer(connection.app.as_str(), connection.consumer.as_str()));
        let mut tx = self.db().write().await?;
        let known: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM custom_mapping_targets WHERE app_id = $1 AND service = $2 AND resource = $3 AND key = $4",
        )
        .bind(connection.app.as_str())
        .bind(connection.service.as_str())
        .bind(resource.name())
        .bind(key)
        .fetch_one(&mut *tx)
        .await?;
        if known == 0 {
            let what = format!("{} {resource} {key}", connection.service);
            return Err(Error::Missing("target field", what));
        }
        match path {
            Some(path) => {
                sqlx::query(
                    "INSERT INTO custom_mapping_sources (connection_id, app_id, service, resource, key, path, updated_ms) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7) \
                     ON CONFLICT (connection_id, resource, key) DO UPDATE SET path = $6, updated_ms = $7",
                )
                .bind(connection.id.as_str())
                .bind(connection.app.as_str())
                .bind(connection.service.as_str())
                .bind(resource.name())
                .bind(key)
                .bind(path)
                .bind(now_ms())
                .execute(&mut *tx)
                .await?;
            }
            None => {
                sqlx::query(
                    "DELETE FROM custom_mapping_sources WHERE connection_id = $1 AND resource = $2 AND key = $3",
                )
                .bind(connection.id.as_str())
                .bind(resource.name())
                .bind(key)
                .execute(&mut *tx)
                .await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// The target fields of a consumer's connections, each with its path where it has one.
    pub async fn mapping_sources(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
    ) -> Result<Vec<MappingSource>, Error> {
        let rows = sqlx::query(
            "SELECT connections.id AS connection_id, targets.resource, targets.key, sources.path FROM connections \
             JOIN custom_mapping_targets AS targets \
             ON targets.app_id = connections.app_id AND targets.service = connections.service \
             LEFT JOIN custom_mapping_sources AS sources ON sources.connection_id = connections.id \
             AND sources.resource = targets.resource AND sources.key = targets.key \
             WHERE connections.app_id = $1 AND connections.consumer_id = $2 \
             ORDER BY connections.id, targets.resource, targets.key",
        )
        .bind(app.as_str())
        .bind(consumer.as_str())
        .fetch_all(self.db().read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(MappingSource {
                    connection: ConnectionId::new(row.try_get::<&str, _>("connection_id")?),
                    resource: resource(row.try_get("resource")?)?,
                    key: row.try_get("key")?,
                    path: row.try_get("path")?,
                })
            })
            .collect()
    }
}

fn resource(name: &str) -> Result<Resource, Error> {
    Resource::from_name(name).ok_or(Error::Sealed("a custom mapping has an unknown resource"))
}
