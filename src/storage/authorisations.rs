//! Authorisations under way, where browsers may be sent after them, and what they bring.

use sqlx::Row;
use zeroize::Zeroizing;

use super::{Error, Place, Store, Topic, now_ms};
use crate::model::{AppId, Connection, ConsumerId, ServiceId};

/// What an authorisation under way is kept under: a hash of what only its owner knows.
pub type StateId = [u8; 32];

/// An authorisation under way.
#[derive(Debug, Clone, Copy)]
pub struct NewState<'a> {
    /// What it is kept under.
    pub id: &'a StateId,
    /// What it is, such as `oauth state`: taken out under the same name only.
    pub purpose: &'static str,
    /// Whose application.
    pub app: &'a AppId,
    /// Whose CRM.
    pub consumer: &'a ConsumerId,
    /// Which CRM.
    pub service: &'a ServiceId,
    /// What it knows; stored sealed.
    pub knows: &'a [u8],
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// An authorisation that was under way: taken out, it is not found again.
pub struct TakenState {
    /// Whose application.
    pub app: AppId,
    /// Whose CRM.
    pub consumer: ConsumerId,
    /// Which CRM.
    pub service: ServiceId,
    /// What it knows.
    pub knows: Zeroizing<Vec<u8>>,
}

/// How many authorisations of one consumer may be under way; more push out the oldest.
const OPEN_STATES: i64 = 50;

impl Store {
    /// Keeps an authorisation under way. Errors: no such consumer.
    pub async fn put_state(&self, new: NewState<'_>) -> Result<(), Error> {
        let key = self
            .consumer_key(new.app, new.consumer)
            .await?
            .ok_or_else(|| Error::Missing("consumer", new.consumer.to_string()))?;
        let place = Place { purpose: new.purpose, app: new.app.as_str(), owner: new.consumer.as_str() };
        let sealed = key.seal(&place, new.knows)?;
        let mut tx = self.db().write().await?;
        sqlx::query("DELETE FROM oauth_states WHERE expires_ms <= $1")
            .bind(now_ms())
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "DELETE FROM oauth_states WHERE id IN (SELECT id FROM oauth_states WHERE app_id = $1 AND consumer_id = $2 \
             ORDER BY expires_ms DESC LIMIT 1000 OFFSET $3)",
        )
        .bind(new.app.as_str())
        .bind(new.consumer.as_str())
        .bind(OPEN_STATES - 1)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO oauth_states (id, app_id, consumer_id, service, sealed, expires_ms) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(new.id.as_slice())
        .bind(new.app.as_str())
        .bind(new.consumer.as_str())
        .bind(new.service.as_str())
        .bind(sealed)
        .bind(new.expires_ms)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Takes an authorisation out, once and only before its end.
    pub async fn take_state(&self, id: &StateId, purpose: &'static str) -> Result<Option<TakenState>, Error> {
        let mut tx = self.db().write().await?;
        let row = sqlx::query(
            "DELETE FROM oauth_states WHERE id = $1 RETURNING app_id, consumer_id, service, sealed, expires_ms",
        )
        .bind(id.as_slice())
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        let Some(row) = row else { return Ok(None) };
        if row.try_get::<i64, _>("expires_ms")? <= now_ms() {
            return Ok(None);
        }
        let app = AppId::new(row.try_get::<&str, _>("app_id")?);
        let consumer = ConsumerId::new(row.try_get::<&str, _>("consumer_id")?);
        let service = ServiceId::new(row.try_get::<&str, _>("service")?);
        let Some(key) = self.consumer_key(&app, &consumer).await? else { return Ok(None) };
        let place = Place { purpose, app: app.as_str(), owner: consumer.as_str() };
        // Sealed under another purpose, it does not open: a state of one kind is none of another.
        let Ok(knows) = key.open(&place, row.try_get("sealed")?) else { return Ok(None) };
        Ok(Some(TakenState { app, consumer, service, knows }))
    }

    /// Forgets a connection's credentials and what was captured with them; it stays, as if it had only been added.
    pub async fn forget_credentials(&self, of: &Connection) -> Result<(), Error> {
        let _changes = self.changes(Topic::Consumer(of.app.as_str(), of.consumer.as_str()));
        let mut tx = self.db().write().await?;
        sqlx::query("DELETE FROM credentials WHERE connection_id = $1")
            .bind(of.id.as_str())
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "UPDATE connections SET state = 'added', captured = '{}', reason_code = NULL, reason = NULL, updated_ms = $2 \
             WHERE id = $1",
        )
        .bind(of.id.as_str())
        .bind(now_ms())
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Where an application lets browsers be sent, the first one first.
    pub async fn redirect_uris(&self, app: &AppId) -> Result<Vec<String>, Error> {
        let sql = "SELECT uri FROM redirect_uris WHERE app_id = $1 ORDER BY created_ms, uri";
        Ok(sqlx::query_scalar(sql).bind(app.as_str()).fetch_all(self.db().read()).await?)
    }

    /// Lets browsers be sent there. Errors: no such application.
    pub async fn add_redirect_uri(&self, app: &AppId, uri: &str) -> Result<(), Error> {
        if !self.has_application(app).await? {
            return Err(Error::Missing("application", app.to_string()));
        }
        let mut tx = self.db().write().await?;
        sqlx::query(
            "INSERT INTO redirect_uris (app_id, uri, created_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(app.as_str())
        .bind(uri)
        .bind(now_ms())
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// No longer lets browsers be sent there. Errors: they were not.
    pub async fn remove_redirect_uri(&self, app: &AppId, uri: &str) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let done = sqlx::query("DELETE FROM redirect_uris WHERE app_id = $1 AND uri = $2")
            .bind(app.as_str())
            .bind(uri)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(Error::Missing("redirect URI", uri.to_owned()));
        }
        Ok(())
    }
}
