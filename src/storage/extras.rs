//! What belongs to connections beside credentials: defaults of resources, consents; and the fields that an application
//! asks for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{Error, Store, Topic, now_ms};
use crate::model::{AppId, Connection, ConnectionId, ConsumerId};

/// A consumer's answer to which fields may be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Consent {
    /// Its id.
    pub id: String,
    /// Whether it was given; else withheld or withdrawn.
    pub granted: bool,
    /// What it is about: `"*"`, or rules by resource and field.
    pub resources: Value,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
}

/// The fields that an application asks its consumers for.
#[derive(Debug, Clone, PartialEq)]
pub struct DataScopes {
    /// Whether they are in force.
    pub enabled: bool,
    /// `"*"`, or rules by resource and field.
    pub resources: Value,
    /// When they were changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

/// What belongs to one connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extras {
    /// Values that fill bodies of creates, by resource: `[{"id", "value", …}]`.
    pub defaults: BTreeMap<String, Vec<Value>>,
    /// The consumer's answers, the latest last.
    pub consents: Vec<Consent>,
}

impl Store {
    /// What belongs to each of a consumer's connections; those with nothing are left out.
    pub async fn extras(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
    ) -> Result<BTreeMap<ConnectionId, Extras>, Error> {
        let mut found: BTreeMap<ConnectionId, Extras> = BTreeMap::new();
        let rows = sqlx::query(
            "SELECT connection_id, resource, defaults FROM connection_defaults \
             JOIN connections ON connections.id = connection_id WHERE app_id = $1 AND consumer_id = $2",
        )
        .bind(app.as_str())
        .bind(consumer.as_str())
        .fetch_all(self.db().read())
        .await?;
        for row in &rows {
            let defaults = serde_json::from_str(row.try_get("defaults")?)?;
            found.entry(id(row)?).or_default().defaults.insert(row.try_get("resource")?, defaults);
        }
        let rows = sqlx::query(
            "SELECT consents.* FROM consents JOIN connections ON connections.id = connection_id \
             WHERE app_id = $1 AND consumer_id = $2 ORDER BY consents.created_ms, consents.id",
        )
        .bind(app.as_str())
        .bind(consumer.as_str())
        .fetch_all(self.db().read())
        .await?;
        for row in &rows {
            found.entry(id(row)?).or_default().consents.push(Consent {
                id: row.try_get("id")?,
                granted: row.try_get("granted")?,
                resources: serde_json::from_str(row.try_get("resources")?)?,
                created_ms: row.try_get("created_ms")?,
            });
        }
        Ok(found)
    }

    /// Replaces the defaults of one resource; none at all takes them away.
    pub async fn set_defaults(
        &self,
        of: &Connection,
        resource: &str,
        defaults: &[Value],
    ) -> Result<(), Error> {
        let _changes = self.changes(Topic::Consumer(of.app.as_str(), of.consumer.as_str()));
        let mut tx = self.db().write().await?;
        if defaults.is_empty() {
            sqlx::query("DELETE FROM connection_defaults WHERE connection_id = $1 AND resource = $2")
                .bind(of.id.as_str())
                .bind(resource)
                .execute(&mut *tx)
                .await?;
        } else {
            sqlx::query(
                "INSERT INTO connection_defaults (connection_id, resource, defaults) VALUES ($1, $2, $3) \
                 ON CONFLICT (connection_id, resource) DO UPDATE SET defaults = excluded.defaults",
            )
            .bind(of.id.as_str())
            .bind(resource)
            .bind(serde_json::to_string(defaults)?)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Adds a consumer's answer; those before it stay on record.
    pub async fn add_consent(
        &self,
        of: &Connection,
        granted: bool,
        resources: &Value,
    ) -> Result<Consent, Error> {
        let consent = Consent {
            id: Uuid::now_v7().to_string(),
            granted,
            resources: resources.clone(),
            created_ms: now_ms(),
        };
        let _changes = self.changes(Topic::Consumer(of.app.as_str(), of.consumer.as_str()));
        let mut tx = self.db().write().await?;
        sqlx::query(
            "INSERT INTO consents (id, connection_id, granted, resources, created_ms) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&consent.id)
        .bind(of.id.as_str())
        .bind(granted)
        .bind(resources.to_string())
        .bind(consent.created_ms)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(consent)
    }

    /// Replaces the data that the application attaches to a connection.
    pub async fn set_connection_metadata(
        &self,
        of: &Connection,
        metadata: &Map<String, Value>,
    ) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        sqlx::query("UPDATE connections SET metadata = $2, updated_ms = $3 WHERE id = $1")
            .bind(of.id.as_str())
            .bind(serde_json::to_string(metadata)?)
            .bind(now_ms())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The fields that an application asks for; none where it never said.
    pub async fn data_scopes(&self, app: &AppId) -> Result<Option<DataScopes>, Error> {
        let row = sqlx::query("SELECT data_scopes, data_scopes_ms FROM applications WHERE id = $1")
            .bind(app.as_str())
            .fetch_optional(self.db().read())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (text, at) = (row.try_get::<Option<&str>, _>("data_scopes")?, row.try_get("data_scopes_ms")?);
        let (Some(text), Some(updated_ms)) = (text, at) else { return Ok(None) };
        let stored: Value = serde_json::from_str(text)?;
        Ok(Some(DataScopes {
            enabled: stored.get("enabled").and_then(Value::as_bool).unwrap_or(false),
            resources: stored.get("resources").cloned().unwrap_or(Value::Null),
            updated_ms,
        }))
    }

    /// Sets the fields that an application asks for. Errors: no such application.
    pub async fn set_data_scopes(&self, app: &AppId, enabled: bool, resources: &Value) -> Result<(), Error> {
        let _changes = self.changes(Topic::Integrations(app.as_str()));
        let mut tx = self.db().write().await?;
        let text = serde_json::json!({ "enabled": enabled, "resources": resources }).to_string();
        let done = sqlx::query("UPDATE applications SET data_scopes = $2, data_scopes_ms = $3 WHERE id = $1")
            .bind(app.as_str())
            .bind(text)
            .bind(now_ms())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(Error::Missing("application", app.to_string()));
        }
        Ok(())
    }
}

fn id(row: &SqliteRow) -> Result<ConnectionId, Error> {
    Ok(ConnectionId::new(row.try_get::<&str, _>("connection_id")?))
}
