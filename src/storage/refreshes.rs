//! Whose turn it is to renew a connection's tokens, across all processes on one database.

use sqlx::Row;

use super::{Error, Store};
use crate::model::ConnectionId;

/// Whether a refresh may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// It may, until the lease ends.
    Taken {
        /// An earlier refresh with the same tokens began then, in milliseconds since 1970, and nobody knows how it ended.
        unanswered_since_ms: Option<i64>,
    },
    /// Another process is at it.
    Held,
    /// The credentials are of another version by now, or gone.
    Moved,
}

impl Store {
    /// Takes the lease on credentials of that version, before the CRM is asked: one holder at a time. One that has ended, as
    /// after a crash, can be taken over.
    pub async fn lease_refresh(
        &self,
        of: &ConnectionId,
        version: i64,
        holder: &str,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<Lease, Error> {
        let mut tx = self.db().write().await?;
        let row = sqlx::query(
            "SELECT lease_holder, lease_until_ms, asked_since_ms FROM credentials \
             WHERE connection_id = $1 AND version = $2",
        )
        .bind(of.as_str())
        .bind(version)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(Lease::Moved) };
        let held: Option<&str> = row.try_get("lease_holder")?;
        let held_until: Option<i64> = row.try_get("lease_until_ms")?;
        if held.is_some_and(|held| held != holder) && held_until.is_some_and(|end| end > now_ms) {
            return Ok(Lease::Held);
        }
        let unanswered_since_ms: Option<i64> = row.try_get("asked_since_ms")?;
        sqlx::query(
            "UPDATE credentials SET lease_holder = $2, lease_until_ms = $3, asked_since_ms = coalesce(asked_since_ms, $4) \
             WHERE connection_id = $1",
        )
        .bind(of.as_str())
        .bind(holder)
        .bind(until_ms)
        .bind(now_ms)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Lease::Taken { unanswered_since_ms })
    }

    /// Makes a lease that is still held last longer.
    pub async fn extend_lease(&self, of: &ConnectionId, holder: &str, until_ms: i64) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        sqlx::query(
            "UPDATE credentials SET lease_until_ms = $3 WHERE connection_id = $1 AND lease_holder = $2",
        )
        .bind(of.as_str())
        .bind(holder)
        .bind(until_ms)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Gives a lease back. `answered`: the CRM surely did not replace the tokens.
    pub async fn release_lease(&self, of: &ConnectionId, holder: &str, answered: bool) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        sqlx::query(
            "UPDATE credentials SET lease_holder = NULL, lease_until_ms = NULL, \
             asked_since_ms = CASE WHEN $3 THEN NULL ELSE asked_since_ms END \
             WHERE connection_id = $1 AND lease_holder = $2",
        )
        .bind(of.as_str())
        .bind(holder)
        .bind(answered)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}
