//! Idempotency keys: who holds one, what was sent under it, and what was answered.
//!
//! A key is taken by inserting its row, so that of many at once one gets it, whichever process they are in. The holder
//! renews a lease; a row whose lease has passed was left by a gateway that is gone.

use sqlx::Row;
use zeroize::Zeroizing;

use super::{Error, Key, Place, Store, now_ms};
use crate::model::{AppId, ConnectionId, ConsumerId};

/// How many rows one statement purges.
const PURGE_ROWS: i64 = 500;

/// Whose key: a connection, the key's keyed hash, and the call that holds it.
#[derive(Debug, Clone)]
pub struct Slot {
    /// The application.
    pub app: AppId,
    /// The connection.
    pub connection: ConnectionId,
    /// The keyed hash of the key.
    pub key_hash: [u8; 32],
    /// The call: different for each, so that one that was taken for dead can change nothing any more.
    pub owner: String,
}

/// A claim to a key.
#[derive(Debug, Clone)]
pub struct NewClaim<'a> {
    /// Whose key.
    pub slot: &'a Slot,
    /// Whose connection, for the data key.
    pub consumer: &'a ConsumerId,
    /// The keyed hash of the request.
    pub fingerprint: [u8; 32],
    /// How long the claim holds without being renewed, in milliseconds.
    pub lease_ms: i64,
    /// How long the key is kept, in milliseconds.
    pub keep_ms: i64,
}

/// What a claim found.
#[derive(Debug)]
pub enum Claimed {
    /// Nothing: the caller holds the key.
    Fresh,
    /// The caller holds the key, and an earlier holder may have written.
    Unknown {
        /// When its first writing request was about to be sent, in milliseconds since 1970.
        first_sent_ms: i64,
        /// The same of the last.
        last_sent_ms: i64,
        /// That request's body, where it was kept.
        sent: Option<Zeroizing<Vec<u8>>>,
    },
    /// Another call holds it.
    InFlight,
    /// It was used for another request.
    OtherRequest,
    /// The write is done; this is its answer.
    Done(Zeroizing<Vec<u8>>),
}

impl Slot {
    fn place(&self, purpose: &'static str) -> Place<'_> {
        Place { purpose, app: self.app.as_str(), owner: self.connection.as_str() }
    }

    fn seal(&self, purpose: &'static str, key: &Key, plain: &[u8]) -> Result<Vec<u8>, Error> {
        // The hash goes in front: an answer moved to another key of the connection does not open.
        key.seal(&self.place(purpose), &[&self.key_hash, plain].concat())
    }

    fn open(&self, purpose: &'static str, key: &Key, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let opened = key.open(&self.place(purpose), sealed)?;
        match opened.split_at_checked(self.key_hash.len()) {
            Some((hash, plain)) if hash == self.key_hash => Ok(Zeroizing::new(plain.to_vec())),
            _ => Err(Error::Sealed("an answer belongs to another idempotency key")),
        }
    }
}

const SENT: &str = "idempotency sent";
const ANSWER: &str = "idempotency answer";

impl Store {
    /// Takes a key, or says who has it; with the consumer's data key, which seals what is kept under it.
    /// Errors: the consumer or connection is gone.
    pub async fn claim_key(&self, claim: &NewClaim<'_>) -> Result<(Claimed, Key), Error> {
        let slot = claim.slot;
        let data_key = self
            .consumer_key(&slot.app, claim.consumer)
            .await?
            .ok_or_else(|| Error::Missing("consumer", claim.consumer.to_string()))?;
        let now = now_ms();
        let mut tx = self.db().write().await?;
        // What was claimed and never sent, or has had its time, is as good as nothing.
        sqlx::query(
            "DELETE FROM idempotency_keys WHERE connection_id = $1 AND key_hash = $2 AND lease_ms <= $3 \
             AND (state = 'claimed' OR expires_ms <= $3)",
        )
        .bind(slot.connection.as_str())
        .bind(slot.key_hash.as_slice())
        .bind(now)
        .execute(&mut *tx)
        .await?;
        let inserted = sqlx::query(
            "INSERT INTO idempotency_keys \
             (connection_id, key_hash, fingerprint, state, owner, lease_ms, created_ms, expires_ms) \
             VALUES ($1, $2, $3, 'claimed', $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(slot.connection.as_str())
        .bind(slot.key_hash.as_slice())
        .bind(claim.fingerprint.as_slice())
        .bind(&slot.owner)
        .bind(now.saturating_add(claim.lease_ms))
        .bind(now)
        .bind(now.saturating_add(claim.keep_ms))
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 1 {
            tx.commit().await?;
            return Ok((Claimed::Fresh, data_key));
        }
        let row = sqlx::query(
            "SELECT fingerprint, state, lease_ms, first_sent_ms, last_sent_ms, sent, answer \
             FROM idempotency_keys WHERE connection_id = $1 AND key_hash = $2",
        )
        .bind(slot.connection.as_str())
        .bind(slot.key_hash.as_slice())
        .fetch_one(&mut *tx)
        .await?;
        if row.try_get::<&[u8], _>("fingerprint")? != claim.fingerprint {
            return Ok((Claimed::OtherRequest, data_key));
        }
        if row.try_get::<&str, _>("state")? == "done" {
            let answer: &[u8] = row.try_get("answer")?;
            return Ok((Claimed::Done(slot.open(ANSWER, &data_key, answer)?), data_key));
        }
        if row.try_get::<i64, _>("lease_ms")? > now {
            return Ok((Claimed::InFlight, data_key));
        }
        let sent: Option<&[u8]> = row.try_get("sent")?;
        let first_sent_ms = row.try_get::<Option<i64>, _>("first_sent_ms")?.unwrap_or(now);
        let found = Claimed::Unknown {
            first_sent_ms,
            last_sent_ms: row.try_get::<Option<i64>, _>("last_sent_ms")?.unwrap_or(first_sent_ms),
            sent: sent.map(|sent| slot.open(SENT, &data_key, sent)).transpose()?,
        };
        sqlx::query(
            "UPDATE idempotency_keys SET owner = $3, lease_ms = $4 WHERE connection_id = $1 AND key_hash = $2",
        )
        .bind(slot.connection.as_str())
        .bind(slot.key_hash.as_slice())
        .bind(&slot.owner)
        .bind(now.saturating_add(claim.lease_ms))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok((found, data_key))
    }

    /// Writes down that a writing request is about to be sent. False: the key is another call's by now.
    pub async fn note_sending(
        &self,
        slot: &Slot,
        key: &Key,
        sent: Option<&[u8]>,
        lease_ms: i64,
    ) -> Result<bool, Error> {
        let sent = sent.map(|sent| slot.seal(SENT, key, sent)).transpose()?;
        let now = now_ms();
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "UPDATE idempotency_keys SET state = 'sending', first_sent_ms = COALESCE(first_sent_ms, $4), \
             last_sent_ms = $4, sent = $5, lease_ms = $6 \
             WHERE connection_id = $1 AND key_hash = $2 AND owner = $3",
        )
        .bind(slot.connection.as_str())
        .bind(slot.key_hash.as_slice())
        .bind(&slot.owner)
        .bind(now)
        .bind(sent)
        .bind(now.saturating_add(lease_ms))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Holds a key for longer. False: it is another call's by now.
    pub async fn renew_key(&self, slot: &Slot, lease_ms: i64) -> Result<bool, Error> {
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "UPDATE idempotency_keys SET lease_ms = $4 \
             WHERE connection_id = $1 AND key_hash = $2 AND owner = $3 AND state <> 'done'",
        )
        .bind(slot.connection.as_str())
        .bind(slot.key_hash.as_slice())
        .bind(&slot.owner)
        .bind(now_ms().saturating_add(lease_ms))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps the answer that all further calls with the key get. False: it is another call's by now.
    pub async fn finish_key(&self, slot: &Slot, key: &Key, answer: &[u8]) -> Result<bool, Error> {
        let answer = slot.seal(ANSWER, key, answer)?;
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "UPDATE idempotency_keys SET state = 'done', answer = $4, sent = NULL, lease_ms = 0 \
             WHERE connection_id = $1 AND key_hash = $2 AND owner = $3",
        )
        .bind(slot.connection.as_str())
        .bind(slot.key_hash.as_slice())
        .bind(&slot.owner)
        .bind(answer)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Lets a key go: forgotten where nothing happened, else for the next call to find out what did.
    pub async fn release_key(&self, slot: &Slot, nothing_happened: bool) -> Result<(), Error> {
        let sql = if nothing_happened {
            "DELETE FROM idempotency_keys WHERE connection_id = $1 AND key_hash = $2 AND owner = $3"
        } else {
            "UPDATE idempotency_keys SET state = 'uncertain', lease_ms = 0 \
             WHERE connection_id = $1 AND key_hash = $2 AND owner = $3"
        };
        let mut tx = self.db().write().await?;
        sqlx::query(sql)
            .bind(slot.connection.as_str())
            .bind(slot.key_hash.as_slice())
            .bind(&slot.owner)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets keys that have had their time, at most so many at once; how many there were.
    pub async fn purge_keys(&self) -> Result<u64, Error> {
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "DELETE FROM idempotency_keys WHERE (connection_id, key_hash) IN \
             (SELECT connection_id, key_hash FROM idempotency_keys \
              WHERE expires_ms <= $1 AND lease_ms <= $1 LIMIT $2)",
        )
        .bind(now_ms())
        .bind(PURGE_ROWS)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }
}
