//! Connections and their sealed credentials.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::credentials::{open, seal};
use super::{Error, Key, Store, Topic, now_ms, usable_id};
use crate::model::{AppId, Connection, ConnectionId, ConnectionState, ConsumerId, Credentials, ServiceId};

/// A connection as stored, without its credentials.
#[derive(Debug, Clone)]
pub struct StoredConnection {
    /// The connection.
    pub connection: Connection,
    /// Data that the application attaches.
    pub metadata: Map<String, Value>,
    /// Why it is invalid, in the CRM's own code, such as `invalid_grant`.
    pub reason_code: Option<String>,
    /// Why it is invalid, in one sentence.
    pub reason: Option<String>,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, token refreshes left aside.
    pub updated_ms: i64,
}

/// Opened credentials and which version of them it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCredentials {
    /// The credentials.
    pub credentials: Credentials,
    /// Grows with every change.
    pub version: i64,
    /// When they were stored, in milliseconds since 1970.
    pub updated_ms: i64,
}

/// A connection to be stored.
#[derive(Debug, Clone)]
pub struct NewConnection<'a> {
    /// Whose application.
    pub app: &'a AppId,
    /// Whose CRM.
    pub consumer: &'a ConsumerId,
    /// Which CRM.
    pub service: &'a ServiceId,
    /// How far it has come.
    pub state: ConnectionState,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// Values captured from a token reply.
    pub captured: BTreeMap<String, String>,
    /// Its credentials, where there are some.
    pub credentials: Option<Credentials>,
}

/// The name under which a state is stored, and that it has on the wire.
pub fn state_name(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Available => "available",
        ConnectionState::Added => "added",
        ConnectionState::Authorized => "authorized",
        ConnectionState::Callable => "callable",
        ConnectionState::Invalid => "invalid",
    }
}

fn state_named(name: &str) -> Result<ConnectionState, Error> {
    use ConnectionState::{Added, Authorized, Available, Callable, Invalid};
    [Available, Added, Authorized, Callable, Invalid]
        .into_iter()
        .find(|state| state_name(*state) == name)
        .ok_or(Error::Sealed("a connection has an unknown state"))
}

impl Store {
    /// Creates a connection. Errors: no such consumer; it has one to that service.
    pub async fn create_connection(&self, new: NewConnection<'_>) -> Result<StoredConnection, Error> {
        usable_id("service", new.service.as_str())?;
        let key = self
            .consumer_key(new.app, new.consumer)
            .await?
            .ok_or_else(|| Error::Missing("consumer", new.consumer.to_string()))?;
        let id = ConnectionId::new(Uuid::now_v7().to_string());
        let sealed = match &new.credentials {
            Some(credentials) => Some(seal(&key, new.app.as_str(), id.as_str(), credentials)?),
            None => None,
        };
        let now = now_ms();
        let _changes = self.changes(Topic::Consumer(new.app.as_str(), new.consumer.as_str()));
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "INSERT INTO connections (id, app_id, consumer_id, service, state, enabled, settings, captured, created_ms, updated_ms) \
             VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $8) ON CONFLICT DO NOTHING",
        )
        .bind(id.as_str())
        .bind(new.app.as_str())
        .bind(new.consumer.as_str())
        .bind(new.service.as_str())
        .bind(state_name(new.state))
        .bind(serde_json::to_string(&new.settings)?)
        .bind(serde_json::to_string(&new.captured)?)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Err(Error::Exists("connection", format!("of {} to {}", new.consumer, new.service)));
        }
        if let Some(sealed) = sealed {
            sqlx::query(
                "INSERT INTO credentials (connection_id, sealed, version, updated_ms) VALUES ($1, $2, 1, $3)",
            )
            .bind(id.as_str())
            .bind(sealed)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        let connection = Connection {
            id,
            app: new.app.clone(),
            consumer: new.consumer.clone(),
            service: new.service.clone(),
            state: new.state,
            enabled: true,
            settings: new.settings,
            captured: new.captured,
        };
        Ok(StoredConnection {
            connection,
            metadata: Map::new(),
            reason_code: None,
            reason: None,
            created_ms: now,
            updated_ms: now,
        })
    }

    /// An application's connections, by consumer and service; of one consumer where one is given.
    pub async fn connections(
        &self,
        app: &AppId,
        consumer: Option<&ConsumerId>,
    ) -> Result<Vec<StoredConnection>, Error> {
        let rows = sqlx::query(
            "SELECT * FROM connections WHERE app_id = $1 AND ($2 IS NULL OR consumer_id = $2) \
             ORDER BY consumer_id, service",
        )
        .bind(app.as_str())
        .bind(consumer.map(ConsumerId::as_str))
        .fetch_all(self.db().read())
        .await?;
        rows.iter().map(read).collect()
    }

    /// A consumer's connection to a service, without its credentials.
    pub async fn connection(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
        service: &ServiceId,
    ) -> Result<Option<StoredConnection>, Error> {
        let sql = "SELECT * FROM connections WHERE app_id = $1 AND consumer_id = $2 AND service = $3";
        let row = sqlx::query(sql)
            .bind(app.as_str())
            .bind(consumer.as_str())
            .bind(service.as_str())
            .fetch_optional(self.db().read())
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// A consumer's connections with their credentials opened, by service id. None of an unknown consumer.
    pub async fn opened_connections(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
    ) -> Result<Vec<(StoredConnection, Option<StoredCredentials>)>, Error> {
        let Some(key) = self.consumer_key(app, consumer).await? else { return Ok(Vec::new()) };
        let rows = sqlx::query(
            "SELECT connections.*, credentials.sealed, credentials.version, \
             credentials.updated_ms AS stored_ms FROM connections \
             LEFT JOIN credentials ON credentials.connection_id = connections.id \
             WHERE app_id = $1 AND consumer_id = $2 ORDER BY service",
        )
        .bind(app.as_str())
        .bind(consumer.as_str())
        .fetch_all(self.db().read())
        .await?;
        rows.iter()
            .map(|row| {
                let stored = read(row)?;
                let credentials = read_credentials(row, &key, &stored.connection)?;
                Ok((stored, credentials))
            })
            .collect()
    }

    /// One connection as it is stored now, credentials opened. None where it is gone.
    pub async fn opened_connection(
        &self,
        of: &Connection,
    ) -> Result<Option<(StoredConnection, Option<StoredCredentials>)>, Error> {
        let Some(key) = self.consumer_key(&of.app, &of.consumer).await? else { return Ok(None) };
        let row = sqlx::query(
            "SELECT connections.*, credentials.sealed, credentials.version, \
             credentials.updated_ms AS stored_ms FROM connections \
             LEFT JOIN credentials ON credentials.connection_id = connections.id \
             WHERE connections.id = $1 AND app_id = $2 AND consumer_id = $3",
        )
        .bind(of.id.as_str())
        .bind(of.app.as_str())
        .bind(of.consumer.as_str())
        .fetch_optional(self.db().read())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let stored = read(&row)?;
        let credentials = read_credentials(&row, &key, &stored.connection)?;
        Ok(Some((stored, credentials)))
    }

    /// Replaces credentials of that version by those that the CRM granted, in one step, and adds captured values.
    /// False, and nothing changed, where another process has replaced them meanwhile.
    pub async fn replace_credentials(
        &self,
        of: &Connection,
        version: i64,
        credentials: &Credentials,
        captured: &BTreeMap<String, String>,
    ) -> Result<bool, Error> {
        let key = self
            .consumer_key(&of.app, &of.consumer)
            .await?
            .ok_or_else(|| Error::Missing("consumer", of.consumer.to_string()))?;
        let sealed = seal(&key, of.app.as_str(), of.id.as_str(), credentials)?;
        let _changes = self.changes(Topic::Consumer(of.app.as_str(), of.consumer.as_str()));
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "UPDATE credentials SET sealed = $3, version = version + 1, updated_ms = $4, \
             lease_holder = NULL, lease_until_ms = NULL, asked_since_ms = NULL WHERE connection_id = $1 AND version = $2",
        )
        .bind(of.id.as_str())
        .bind(version)
        .bind(sealed)
        .bind(now_ms())
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let mut all = of.captured.clone();
        all.extend(captured.iter().map(|(name, value)| (name.clone(), value.clone())));
        // Another process may have sent the same refresh token, been refused and called the connection invalid; the CRM
        // has granted it here.
        sqlx::query(
            "UPDATE connections SET captured = $2, reason_code = NULL, reason = NULL, \
             state = CASE state WHEN 'invalid' THEN 'callable' ELSE state END WHERE id = $1",
        )
        .bind(of.id.as_str())
        .bind(serde_json::to_string(&all)?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Gives a connection other credentials; what made it invalid is forgotten. Errors: it is gone.
    pub async fn set_credentials(
        &self,
        of: &Connection,
        credentials: &Credentials,
        state: ConnectionState,
    ) -> Result<(), Error> {
        self.put_credentials(of, credentials, None, state).await
    }

    /// Gives a connection what an authorisation brought, in one step: credentials and captured values; what made it
    /// invalid is forgotten. Errors: it is gone.
    pub async fn authorise_connection(
        &self,
        of: &Connection,
        credentials: &Credentials,
        captured: &BTreeMap<String, String>,
        state: ConnectionState,
    ) -> Result<(), Error> {
        self.put_credentials(of, credentials, Some(captured), state).await
    }

    async fn put_credentials(
        &self,
        of: &Connection,
        credentials: &Credentials,
        captured: Option<&BTreeMap<String, String>>,
        state: ConnectionState,
    ) -> Result<(), Error> {
        let gone = || Error::Missing("connection", of.id.to_string());
        let key = self.consumer_key(&of.app, &of.consumer).await?.ok_or_else(gone)?;
        let sealed = seal(&key, of.app.as_str(), of.id.as_str(), credentials)?;
        let captured = captured.map(serde_json::to_string).transpose()?;
        let now = now_ms();
        let _changes = self.changes(Topic::Consumer(of.app.as_str(), of.consumer.as_str()));
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "UPDATE connections SET state = $2, captured = COALESCE($3, captured), reason_code = NULL, reason = NULL, \
             updated_ms = $4 WHERE id = $1",
        )
        .bind(of.id.as_str())
        .bind(state_name(state))
        .bind(captured)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Err(gone());
        }
        sqlx::query(
            "INSERT INTO credentials (connection_id, sealed, version, updated_ms) VALUES ($1, $2, 1, $3) \
             ON CONFLICT (connection_id) DO UPDATE SET sealed = $2, version = credentials.version + 1, updated_ms = $3, \
             lease_holder = NULL, lease_until_ms = NULL, asked_since_ms = NULL",
        )
        .bind(of.id.as_str())
        .bind(sealed)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Replaces a connection's settings and sets its state. Errors: it is gone.
    pub async fn set_settings(
        &self,
        of: &Connection,
        settings: &BTreeMap<String, String>,
        state: ConnectionState,
    ) -> Result<(), Error> {
        let _changes = self.changes(Topic::Consumer(of.app.as_str(), of.consumer.as_str()));
        let mut tx = self.db().write().await?;
        let done =
            sqlx::query("UPDATE connections SET settings = $2, state = $3, updated_ms = $4 WHERE id = $1")
                .bind(of.id.as_str())
                .bind(serde_json::to_string(settings)?)
                .bind(state_name(state))
                .bind(now_ms())
                .execute(&mut *tx)
                .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(Error::Missing("connection", of.id.to_string()));
        }
        Ok(())
    }

    /// Marks a connection as invalid, with the reason, unless its credentials were replaced since that version.
    pub async fn invalidate_connection(
        &self,
        of: &Connection,
        version: i64,
        code: &str,
        reason: &str,
    ) -> Result<bool, Error> {
        let _changes = self.changes(Topic::Consumer(of.app.as_str(), of.consumer.as_str()));
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "UPDATE connections SET state = 'invalid', reason_code = $3, reason = $4, updated_ms = $5 WHERE id = $1 \
             AND EXISTS (SELECT 1 FROM credentials WHERE connection_id = $1 AND version = $2)",
        )
        .bind(of.id.as_str())
        .bind(version)
        .bind(code)
        .bind(reason)
        .bind(now_ms())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Switches a connection on or off. Errors: it is gone.
    pub async fn enable_connection(&self, of: &Connection, enabled: bool) -> Result<(), Error> {
        let _changes = self.changes(Topic::Consumer(of.app.as_str(), of.consumer.as_str()));
        let mut tx = self.db().write().await?;
        let done = sqlx::query("UPDATE connections SET enabled = $2, updated_ms = $3 WHERE id = $1")
            .bind(of.id.as_str())
            .bind(enabled)
            .bind(now_ms())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(Error::Missing("connection", of.id.to_string()));
        }
        Ok(())
    }

    /// Deletes a connection and its credentials. Errors: there is none.
    pub async fn delete_connection(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
        service: &ServiceId,
    ) -> Result<(), Error> {
        let _changes = self.changes(Topic::Consumer(app.as_str(), consumer.as_str()));
        let mut tx = self.db().write().await?;
        let sql = "DELETE FROM connections WHERE app_id = $1 AND consumer_id = $2 AND service = $3";
        let done = sqlx::query(sql)
            .bind(app.as_str())
            .bind(consumer.as_str())
            .bind(service.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(Error::Missing("connection", format!("of {consumer} to {service}")));
        }
        Ok(())
    }
}

fn read(row: &SqliteRow) -> Result<StoredConnection, Error> {
    Ok(StoredConnection {
        connection: Connection {
            id: ConnectionId::new(row.try_get::<&str, _>("id")?),
            app: AppId::new(row.try_get::<&str, _>("app_id")?),
            consumer: ConsumerId::new(row.try_get::<&str, _>("consumer_id")?),
            service: ServiceId::new(row.try_get::<&str, _>("service")?),
            state: state_named(row.try_get("state")?)?,
            enabled: row.try_get("enabled")?,
            settings: serde_json::from_str(row.try_get("settings")?)?,
            captured: serde_json::from_str(row.try_get("captured")?)?,
        },
        metadata: serde_json::from_str(row.try_get("metadata")?)?,
        reason_code: row.try_get("reason_code")?,
        reason: row.try_get("reason")?,
        created_ms: row.try_get("created_ms")?,
        updated_ms: row.try_get("updated_ms")?,
    })
}

fn read_credentials(row: &SqliteRow, key: &Key, of: &Connection) -> Result<Option<StoredCredentials>, Error> {
    let Some(sealed) = row.try_get::<Option<&[u8]>, _>("sealed")? else { return Ok(None) };
    let credentials = open(key, of.app.as_str(), of.id.as_str(), sealed)?;
    let (version, updated_ms) = (row.try_get("version")?, row.try_get("stored_ms")?);
    Ok(Some(StoredCredentials { credentials, version, updated_ms }))
}
