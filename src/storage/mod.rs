//! Storage. In: nouns and secrets to keep. Out: the same, opened. Never: sockets, HTTP, what a connection may do.
//!
//! The only place that names the database and the only one that holds the master key. [`keyfile`] where that key comes
//! from · [`keyring`] several of them, and rotation · [`sealed`] encryption and key derivation · [`sqlite`] the
//! embedded database · then one file per noun:
//! [`applications`], [`keys`], [`consumers`], [`integrations`], [`connections`], [`refreshes`], [`authorisations`],
//! [`calls`], [`extras`], [`idempotency`], [`custom_mappings`].
//!
//! Readers that keep what they read put the topic's [`Store::epoch`] into the key that they keep it under: every write
//! moves it on, so nothing kept before a write is found after it.

pub mod applications;
pub mod authorisations;
pub mod calls;
pub mod connections;
pub mod consumers;
mod credentials;
pub mod custom_mappings;
pub mod extras;
pub mod idempotency;
pub mod integrations;
pub mod keyfile;
pub mod keyring;
pub mod keys;
pub mod refreshes;
pub mod request_log;
pub mod sealed;
pub mod sqlite;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;

pub use applications::Application;
pub use authorisations::{NewState, StateId, TakenState};
pub use calls::{Calls, CallsApi};
pub use connections::{NewConnection, StoredConnection, StoredCredentials};
pub use consumers::{Consumer, ConsumersFilter};
pub use custom_mappings::{MappingSource, MappingTarget};
pub use extras::{Consent, DataScopes, Extras};
pub use idempotency::{Claimed, NewClaim, Slot};
pub use integrations::{Integration, NewIntegration};
pub use keyring::{Keyring, Rotated};
pub use keys::{ApiKey, Candidate, NewKey};
pub use refreshes::Lease;
pub use request_log::LogFilter;
pub use sealed::{Key, Place};

use sqlite::Sqlite;

/// Why something could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The database could not be brought to this version's layout.
    #[error("database migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database file could not be opened.
    #[error("database file {0}: {1}")]
    File(String, std::io::Error),
    /// There is no usable master key, or not the one that this database was made with.
    #[error("{0}")]
    MasterKey(String),
    /// Sealing or opening failed.
    #[error("sealed storage: {0}")]
    Sealed(&'static str),
    /// A stored value is not what it should be.
    #[error("stored value: {0}")]
    Value(#[from] serde_json::Error),
    /// There is no such thing.
    #[error("there is no {0} {1}")]
    Missing(&'static str, String),
    /// There is one already.
    #[error("there is a {0} {1} already")]
    Exists(&'static str, String),
    /// An id or value that cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl From<Error> for crate::error::Error {
    fn from(error: Error) -> Self {
        crate::error::Error::internal(error)
    }
}

/// Where the data is.
#[derive(Debug, Clone, Copy)]
pub enum Location<'a> {
    /// One SQLite file, made where missing.
    File(&'a Path),
    /// Nowhere: gone with the last holder of the [`Store`].
    Memory,
}

/// Everything that is kept. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    backend: Backend,
    master: Keyring,
    root: Key,
    key_hash: hmac::Key,
    epochs: Vec<AtomicU64>,
}

/// The database behind it. SQL lives in the nouns' files, with `$1` parameters that every backend takes.
enum Backend {
    Sqlite(Sqlite),
}

/// What a write changes, and a reader may have kept.
#[derive(Debug, Clone, Copy, Hash)]
pub enum Topic<'a> {
    /// API keys with that prefix.
    Keys(&'a str),
    /// The integrations of an application; its connections may change with them.
    Integrations(&'a str),
    /// The connections of an application's consumer.
    Consumer(&'a str, &'a str),
}

/// How many counters the topics share; a shared one only means a needless read.
const EPOCHS: usize = 4096;

impl Store {
    /// Opens the database, bringing its layout up to date.
    /// Errors: a database made with another master key; one made by a newer version.
    pub async fn open(location: Location<'_>, master: impl Into<Keyring>) -> Result<Store, Error> {
        let master = master.into();
        let db = Sqlite::open(location).await?;
        let root = root_key(&db, &master).await?;
        let key_hash = root.derive("api-key")?.hmac();
        let epochs = (0..EPOCHS).map(|_| AtomicU64::new(0)).collect();
        Ok(Store(Arc::new(Inner { backend: Backend::Sqlite(db), master, root, key_hash, epochs })))
    }

    /// A key for one purpose, such as `cursor`: the same for every process on this database, whatever the master key.
    pub fn derived_key(&self, label: &str) -> Result<Key, Error> {
        self.0.root.derive(label)
    }

    /// Statements sent to the database so far; tests hold the hot path to none.
    pub fn queries(&self) -> u64 {
        self.db().queries()
    }

    /// The topic's epoch: moves on with every write to it in this process.
    pub fn epoch(&self, topic: Topic<'_>) -> u64 {
        self.epoch_of(topic).map_or(0, |epoch| epoch.load(Ordering::Acquire))
    }

    /// Waits for running statements and closes the files.
    pub async fn close(&self) {
        self.db().close().await;
    }

    fn epoch_of(&self, topic: Topic<'_>) -> Option<&AtomicU64> {
        let mut hasher = DefaultHasher::new();
        topic.hash(&mut hasher);
        let slot = usize::try_from(hasher.finish() % EPOCHS as u64).unwrap_or(0);
        self.0.epochs.get(slot)
    }

    /// Moves the topic's epoch on when the guard goes: after the write, also if its caller went away.
    fn changes(&self, topic: Topic<'_>) -> Changes<'_> {
        Changes(self.epoch_of(topic))
    }

    fn db(&self) -> &Sqlite {
        let Backend::Sqlite(db) = &self.0.backend;
        db
    }

    fn key_hash(&self) -> &hmac::Key {
        &self.0.key_hash
    }

    /// A new data key, and the same wrapped for storage.
    async fn new_data_key(&self, place: &Place<'_>) -> Result<Vec<u8>, Error> {
        self.sealing_key().await?.seal(place, Key::random()?.bytes())
    }

    fn open_data_key(&self, place: &Place<'_>, wrapped: &[u8]) -> Result<Key, Error> {
        Key::from_bytes(&self.0.master.open(place, wrapped)?)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

struct Changes<'a>(Option<&'a AtomicU64>);

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        if let Some(epoch) = self.0 {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Where the root key is sealed for.
const ROOT: Place<'_> = Place { purpose: "root", app: "", owner: "" };

/// The database's root key, made on the first start; of two first starts one wins.
async fn root_key(db: &Sqlite, master: &Keyring) -> Result<Key, Error> {
    let place = ROOT;
    let fresh = master.current()?.seal(&place, Key::random()?.bytes())?;
    let mut tx = db.write().await?;
    sqlx::query("INSERT INTO meta (name, value) VALUES ('root', $1) ON CONFLICT DO NOTHING")
        .bind(fresh)
        .execute(&mut *tx)
        .await?;
    let sealed: Vec<u8> =
        sqlx::query_scalar("SELECT value FROM meta WHERE name = 'root'").fetch_one(&mut *tx).await?;
    tx.commit().await?;
    let opened = master.open(&place, &sealed).map_err(|_| {
        Error::MasterKey(format!(
            "the database was made with another master key: give the one it was made with ({}, or the key file beside it)",
            keyfile::VARIABLE
        ))
    })?;
    Key::from_bytes(&opened)
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// Whether a text can be an application, consumer or service id: 1 to 128 visible ASCII characters, as ids travel in headers.
pub fn usable_id(what: &str, id: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > 128 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Unusable(format!("{what} id {id:?} must be 1 to 128 visible ASCII characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
