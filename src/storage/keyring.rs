//! The master keys in use: one that seals, and others that can still open; and their rotation.

use std::path::{Path, PathBuf};

use arc_swap::ArcSwap;
use sqlx::Row;

use super::sealed::{Key, KeyId, key_id};
use super::{Error, Place, Store, keyfile};

/// Master keys: the first seals, all open.
pub struct Keyring {
    keys: ArcSwap<Vec<Key>>,
    file: Option<PathBuf>,
}

/// How far a rotation has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The id of the master key that seals now, in hexadecimal.
    pub key: String,
    /// Data keys that were wrapped anew.
    pub rewrapped: u64,
    /// Master keys that can still open, and are of no more use.
    pub old_keys: usize,
}

/// Data keys that are wrapped anew in one transaction.
const BATCH: i64 = 100;

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("file", &self.file).finish_non_exhaustive()
    }
}

impl From<Key> for Keyring {
    fn from(key: Key) -> Keyring {
        Keyring { keys: ArcSwap::from_pointee(vec![key]), file: None }
    }
}

impl Keyring {
    /// A ring of these keys, kept in that file.
    /// Errors: there is none.
    pub fn new(keys: Vec<Key>, file: Option<&Path>) -> Result<Keyring, Error> {
        if keys.is_empty() {
            return Err(Error::MasterKey("there is no master key".to_owned()));
        }
        Ok(Keyring { keys: ArcSwap::from_pointee(keys), file: file.map(Path::to_owned) })
    }

    /// The key that seals.
    pub fn current(&self) -> Result<Key, Error> {
        self.keys.load().first().cloned().ok_or(Error::Sealed("there is no master key"))
    }

    /// Opens what one of the keys has sealed; a key that is not known is looked for in the file, which another process may
    /// have changed.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
        let id = key_id(sealed).ok_or(Error::Sealed("a sealed value is too short"))?;
        let find = || self.keys.load().iter().find(|key| key.id() == id).cloned();
        let key = match find() {
            Some(key) => Some(key),
            None => {
                self.reload()?;
                find()
            }
        };
        key.ok_or(Error::Sealed("a value was sealed with another key"))?.open(place, sealed)
    }

    fn reload(&self) -> Result<(), Error> {
        let Some(file) = &self.file else { return Ok(()) };
        let keys = keyfile::load(file)?.unwrap_or_default();
        if !keys.is_empty() {
            self.keys.store(std::sync::Arc::new(keys));
        }
        Ok(())
    }

    /// Keeps these keys from now on, in the file too.
    fn keep(&self, keys: Vec<Key>) -> Result<(), Error> {
        let file = self.file.as_ref().ok_or_else(|| {
            Error::MasterKey(format!(
                "the master key comes from {}: put the new key before the old one there, separated by a comma, and begin again; \
                 when the rotation is through, take the old one out",
                keyfile::VARIABLE
            ))
        })?;
        keyfile::replace(file, &keys)?;
        self.keys.store(std::sync::Arc::new(keys));
        Ok(())
    }

    fn all(&self) -> Vec<Key> {
        self.keys.load().to_vec()
    }
}

impl Store {
    /// Makes a new master key and wraps every data key with it, in batches, while gateways serve: they find the new key in
    /// the key file as they meet it. A rotation that was broken off goes on where it stopped.
    ///
    /// Errors: the key file cannot be written; the keys come from the environment and there is no new one among them.
    pub async fn rotate_master_key(&self) -> Result<Rotated, Error> {
        let ring = &self.0.master;
        ring.reload()?;
        if self.wrapped_otherwise(&ring.current()?.id()).await? == 0 {
            let mut keys = ring.all();
            keys.insert(0, Key::random()?);
            ring.keep(keys)?;
        }
        let current = ring.current()?;
        self.note_master(&current.id()).await?;
        let mut rewrapped = 0;
        loop {
            let moved = self.rewrap_batch(&current).await?;
            if moved == 0 {
                break;
            }
            rewrapped += moved;
        }
        Ok(self.rotated(rewrapped, &current))
    }

    /// Forgets the master keys that nothing is wrapped with any more. Errors: something still is.
    pub async fn drop_old_master_keys(&self) -> Result<Rotated, Error> {
        let ring = &self.0.master;
        ring.reload()?;
        let current = ring.current()?;
        let left = self.wrapped_otherwise(&current.id()).await?;
        if left > 0 {
            return Err(Error::Unusable(format!(
                "{left} keys are still wrapped with an old master key: run `crosswalk keys rotate` first"
            )));
        }
        if ring.all().len() > 1 {
            ring.keep(vec![current.clone()])?;
        }
        Ok(self.rotated(0, &current))
    }

    fn rotated(&self, rewrapped: u64, current: &Key) -> Rotated {
        let key = current.id().iter().map(|byte| format!("{byte:02x}")).collect();
        Rotated { key, rewrapped, old_keys: self.0.master.all().len().saturating_sub(1) }
    }

    /// The key that new data keys are wrapped with: the one that the last rotation, of whichever process, has settled on.
    pub(super) async fn sealing_key(&self) -> Result<Key, Error> {
        let settled: Option<Vec<u8>> = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'master'")
            .fetch_optional(self.db().read())
            .await?;
        let current = self.0.master.current()?;
        if settled.is_none_or(|id| id == current.id()) {
            return Ok(current);
        }
        self.0.master.reload()?;
        self.0.master.current()
    }

    async fn note_master(&self, id: &KeyId) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        sqlx::query("INSERT INTO meta (name, value) VALUES ('master', $1) ON CONFLICT (name) DO UPDATE SET value = $1")
            .bind(id.as_slice())
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// How many keys are wrapped with another master key than that.
    async fn wrapped_otherwise(&self, id: &KeyId) -> Result<i64, Error> {
        let sql = "SELECT (SELECT count(*) FROM consumers WHERE substr(data_key, 2, 8) <> $1) \
             + (SELECT count(*) FROM applications WHERE substr(data_key, 2, 8) <> $1) \
             + (SELECT count(*) FROM meta WHERE name = 'root' AND substr(value, 2, 8) <> $1)";
        Ok(sqlx::query_scalar(sql).bind(id.as_slice()).fetch_one(self.db().read()).await?)
    }

    /// Wraps some keys anew; how many.
    async fn rewrap_batch(&self, current: &Key) -> Result<u64, Error> {
        let ring = &self.0.master;
        let id = current.id();
        let anew = |place: &Place<'_>, wrapped: &[u8]| current.seal(place, &ring.open(place, wrapped)?);
        let mut moved = 0;
        let mut tx = self.db().write().await?;
        let root: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT value FROM meta WHERE name = 'root' AND substr(value, 2, 8) <> $1")
                .bind(id.as_slice())
                .fetch_optional(&mut *tx)
                .await?;
        if let Some(root) = root {
            let root = anew(&super::ROOT, &root)?;
            sqlx::query("UPDATE meta SET value = $1 WHERE name = 'root'")
                .bind(root)
                .execute(&mut *tx)
                .await?;
            moved += 1;
        }
        let rows =
            sqlx::query("SELECT id, data_key FROM applications WHERE substr(data_key, 2, 8) <> $1 LIMIT $2")
                .bind(id.as_slice())
                .bind(BATCH)
                .fetch_all(&mut *tx)
                .await?;
        for row in &rows {
            let app: &str = row.try_get("id")?;
            let wrapped = anew(&super::applications::place(app), row.try_get("data_key")?)?;
            sqlx::query("UPDATE applications SET data_key = $2 WHERE id = $1")
                .bind(app)
                .bind(wrapped)
                .execute(&mut *tx)
                .await?;
            moved += 1;
        }
        let rows = sqlx::query(
            "SELECT app_id, id, data_key FROM consumers WHERE substr(data_key, 2, 8) <> $1 LIMIT $2",
        )
        .bind(id.as_slice())
        .bind(BATCH)
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            let (app, consumer): (&str, &str) = (row.try_get("app_id")?, row.try_get("id")?);
            let wrapped = anew(&super::consumers::place(app, consumer), row.try_get("data_key")?)?;
            sqlx::query("UPDATE consumers SET data_key = $3 WHERE app_id = $1 AND id = $2")
                .bind(app)
                .bind(consumer)
                .bind(wrapped)
                .execute(&mut *tx)
                .await?;
            moved += 1;
        }
        tx.commit().await?;
        Ok(moved)
    }
}
