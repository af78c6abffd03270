//! API keys: kept as keyed hashes, found by a prefix that is no secret.

use aws_lc_rs::{hmac, rand};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{Error, Store, Topic, now_ms};
use crate::model::{AppId, Secret};

/// An API key, without itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, for revoking it and for logs.
    pub id: String,
    /// The application that it opens.
    pub app: AppId,
    /// The part by which it is found; no secret.
    pub prefix: String,
    /// What it is for, in its owner's words.
    pub label: String,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends; none is never.
    pub expires_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
    /// When it was last used, to the minute.
    pub last_used_ms: Option<i64>,
    /// Addresses and ranges that it may be used from; empty is any.
    pub allow_ips: Vec<String>,
    /// Patterns of endpoints that it may be used for; empty is any.
    pub endpoints: Vec<String>,
}

/// A key that a shown one may be.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The key.
    pub key: ApiKey,
    /// Its keyed hash.
    pub hash: [u8; 32],
    /// Calls a month of its application's plan; none is no limit.
    pub calls_per_month: Option<i64>,
}

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewKey<'a> {
    /// The application that it opens.
    pub app: &'a AppId,
    /// What it is for.
    pub label: &'a str,
    /// When it ends, in milliseconds since 1970; none is never.
    pub expires_ms: Option<i64>,
    /// Addresses and ranges that it may be used from; empty is any.
    pub allow_ips: &'a [String],
    /// Patterns of endpoints that it may be used for; empty is any.
    pub endpoints: &'a [String],
    /// A key made elsewhere; none makes a new one.
    pub import: Option<Secret>,
}

const START: &str = "sk_live_";
const PREFIX_LEN: usize = 12;
const SECRET_LEN: usize = 43;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random letters and digits: 5.95 bits each.
fn random_text(len: usize) -> Result<String, Error> {
    let mut text = String::with_capacity(len);
    let mut bytes = [0u8; 64];
    while text.len() < len {
        rand::fill(&mut bytes).map_err(|_| Error::Sealed("the system gives no random bytes"))?;
        // 248 is the largest multiple of 62: what is above would make some letters likelier.
        let letters = bytes.iter().filter(|byte| **byte < 248);
        text.extend(
            letters
                .filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()))
                .map(|byte| char::from(*byte)),
        );
    }
    text.truncate(len);
    Ok(text)
}

/// The prefix of a key of our own making: `sk_live_` and twelve letters before the secret.
fn own_prefix(key: &str) -> Option<&str> {
    let at = START.len() + PREFIX_LEN;
    let (prefix, rest) = key.split_at_checked(at)?;
    let secret = rest.strip_prefix('_')?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let of_ours =
        prefix.strip_prefix(START).is_some_and(plain) && secret.len() == SECRET_LEN && plain(secret);
    of_ours.then_some(prefix)
}

impl Store {
    /// The prefix by which a key is found: its own, or for one made elsewhere the start of a keyed hash.
    pub fn key_prefix(&self, key: &str) -> String {
        if let Some(prefix) = own_prefix(key) {
            return prefix.to_owned();
        }
        let mut context = hmac::Context::with_key(self.key_hash());
        context.update(b"prefix ");
        context.update(key.as_bytes());
        let tag = context.sign();
        tag.as_ref().iter().take(6).fold(String::from("import_"), |text, byte| format!("{text}{byte:02x}"))
    }

    /// The keyed hash under which a key is stored.
    pub fn key_hash_of(&self, key: &str) -> [u8; 32] {
        let tag = hmac::sign(self.key_hash(), key.as_bytes());
        let mut hash = [0u8; 32];
        hash.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        hash
    }

    /// Creates or imports a key; the key itself is returned this once. Errors: no such application; imported before.
    pub async fn create_key(&self, new: NewKey<'_>) -> Result<(ApiKey, Secret), Error> {
        if !self.has_application(new.app).await? {
            return Err(Error::Missing("application", new.app.to_string()));
        }
        let shown = match new.import {
            Some(key) => key,
            None => Secret::new(format!("{START}{}_{}", random_text(PREFIX_LEN)?, random_text(SECRET_LEN)?)),
        };
        if shown.expose().len() < 8 || !shown.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Unusable("an API key must be at least 8 visible ASCII characters".to_owned()));
        }
        let key = ApiKey {
            id: Uuid::now_v7().to_string(),
            app: new.app.clone(),
            prefix: self.key_prefix(shown.expose()),
            label: new.label.to_owned(),
            created_ms: now_ms(),
            expires_ms: new.expires_ms,
            revoked_ms: None,
            last_used_ms: None,
            allow_ips: new.allow_ips.to_vec(),
            endpoints: new.endpoints.to_vec(),
        };
        let hash = self.key_hash_of(shown.expose());
        let _changes = self.changes(Topic::Keys(&key.prefix));
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "INSERT INTO api_keys (id, app_id, prefix, hash, label, created_ms, expires_ms, allow_ips, endpoints) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        )
        .bind(&key.id)
        .bind(key.app.as_str())
        .bind(&key.prefix)
        .bind(hash.as_slice())
        .bind(&key.label)
        .bind(key.created_ms)
        .bind(key.expires_ms)
        .bind(serde_json::to_string(&key.allow_ips)?)
        .bind(serde_json::to_string(&key.endpoints)?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(Error::Exists("API key", key.prefix));
        }
        Ok((key, shown))
    }

    /// An application's keys, oldest first, revoked ones included.
    pub async fn keys(&self, app: &AppId) -> Result<Vec<ApiKey>, Error> {
        let rows = sqlx::query("SELECT * FROM api_keys WHERE app_id = $1 ORDER BY created_ms, id")
            .bind(app.as_str())
            .fetch_all(self.db().read())
            .await?;
        rows.iter().map(read).collect()
    }

    /// Keys with that prefix, of whatever application.
    pub async fn keys_by_prefix(&self, prefix: &str) -> Result<Vec<Candidate>, Error> {
        let rows = sqlx::query(
            "SELECT api_keys.*, calls_per_month FROM api_keys \
             JOIN applications ON applications.id = app_id WHERE prefix = $1",
        )
        .bind(prefix)
        .fetch_all(self.db().read())
        .await?;
        rows.iter()
            .map(|row| {
                let hash = row.try_get::<&[u8], _>("hash")?;
                let hash = hash.try_into().map_err(|_| Error::Sealed("a key's hash is not 32 bytes long"))?;
                Ok(Candidate { key: read(row)?, hash, calls_per_month: row.try_get("calls_per_month")? })
            })
            .collect()
    }

    /// Revokes an application's key; one revoked before stays as it is. Errors: the application has no such key.
    pub async fn revoke_key(&self, app: &AppId, id: &str) -> Result<ApiKey, Error> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE id = $1 AND app_id = $2")
            .bind(id)
            .bind(app.as_str())
            .fetch_optional(self.db().read())
            .await?;
        let mut key =
            row.as_ref().map(read).transpose()?.ok_or_else(|| Error::Missing("API key", id.to_owned()))?;
        let revoked_ms = *key.revoked_ms.get_or_insert_with(now_ms);
        let _changes = self.changes(Topic::Keys(&key.prefix));
        let mut tx = self.db().write().await?;
        sqlx::query("UPDATE api_keys SET revoked_ms = $2 WHERE id = $1 AND revoked_ms IS NULL")
            .bind(id)
            .bind(revoked_ms)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(key)
    }

    /// Notes when keys were last used, by key id.
    pub async fn touch_keys(&self, used: &[(String, i64)]) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        for (id, at_ms) in used {
            sqlx::query(
                "UPDATE api_keys SET last_used_ms = max(coalesce(last_used_ms, 0), $2) WHERE id = $1",
            )
            .bind(id)
            .bind(at_ms)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn read(row: &SqliteRow) -> Result<ApiKey, Error> {
    Ok(ApiKey {
        id: row.try_get("id")?,
        app: AppId::new(row.try_get::<&str, _>("app_id")?),
        prefix: row.try_get("prefix")?,
        label: row.try_get("label")?,
        created_ms: row.try_get("created_ms")?,
        expires_ms: row.try_get("expires_ms")?,
        revoked_ms: row.try_get("revoked_ms")?,
        last_used_ms: row.try_get("last_used_ms")?,
        allow_ips: serde_json::from_str(row.try_get("allow_ips")?)?,
        endpoints: serde_json::from_str(row.try_get("endpoints")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_form_shows_its_prefix() {
        let secret = "s".repeat(SECRET_LEN);
        let own = format!("sk_live_abcdefABCDEF_{secret}");
        assert_eq!(own_prefix(&own), Some("sk_live_abcdefABCDEF"));
        for other in [
            "sk_demo_crosswalk".to_owned(),
            format!("sk_test_abcdefABCDEF_{secret}"),
            format!("sk_live_abcdefABCDE_{secret}"),
            format!("sk_live_abcdefABCDEF_{secret}s"),
            format!("sk_live_abcdefABCDé_{secret}"),
            String::new(),
        ] {
            assert_eq!(own_prefix(&other), None, "{other}");
        }
    }

    #[test]
    fn random_texts_are_long_and_plain() {
        let (one, two) = (random_text(SECRET_LEN).unwrap(), random_text(SECRET_LEN).unwrap());
        assert_ne!(one, two);
        assert!(one.len() == SECRET_LEN && one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
