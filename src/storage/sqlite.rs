//! The embedded database: one SQLite file in WAL mode, many readers and one writer.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{SqlSafeStr, Sqlite as Dialect, Transaction};

use super::{Error, Location};

/// A pool for reading, one connection for writing, and a count of what was asked.
pub struct Sqlite {
    readers: SqlitePool,
    writer: SqlitePool,
    queries: AtomicU64,
}

/// The steps to the layout of this version: number, name, SQL.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "first", include_str!("../../migrations/sqlite/0001_first.sql")),
    (2, "idempotency", include_str!("../../migrations/sqlite/0002_idempotency.sql")),
    (3, "custom mappings", include_str!("../../migrations/sqlite/0003_custom_mappings.sql")),
    (4, "access and vault", include_str!("../../migrations/sqlite/0004_access_and_vault.sql")),
    (5, "oauth", include_str!("../../migrations/sqlite/0005_oauth.sql")),
    (6, "request log", include_str!("../../migrations/sqlite/0006_request_log.sql")),
];

/// Connections for reading: more than cores would only queue on the disk.
const READERS: u32 = 4;

/// How long a statement waits for another process's write.
const BUSY: Duration = Duration::from_secs(10);

impl Sqlite {
    /// Opens the database and applies the migrations that it lacks.
    pub async fn open(location: Location<'_>) -> Result<Sqlite, Error> {
        let options = SqliteConnectOptions::new()
            .foreign_keys(true)
            .busy_timeout(BUSY)
            // What was deleted is overwritten: a secret's bytes do not linger in free pages.
            .pragma("secure_delete", "on");
        let one = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let (readers, writer) = match location {
            Location::Memory => {
                let only = one.connect_with(options.in_memory(true)).await?;
                (only.clone(), only)
            }
            Location::File(path) => {
                make_private(path)?;
                let options = options
                    .filename(path)
                    .journal_mode(SqliteJournalMode::Wal)
                    // Durable at commit: a rotated refresh token must outlive a power cut.
                    .synchronous(SqliteSynchronous::Full);
                let writer = one.connect_with(options.clone()).await?;
                migrate(&writer).await?;
                let readers = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?;
                return Ok(Sqlite { readers, writer, queries: AtomicU64::new(0) });
            }
        };
        migrate(&writer).await?;
        Ok(Sqlite { readers, writer, queries: AtomicU64::new(0) })
    }

    /// Connections to read with: one statement.
    pub fn read(&self) -> &SqlitePool {
        self.queries.fetch_add(1, Ordering::Relaxed);
        &self.readers
    }

    /// A transaction that holds the write lock from its start.
    pub async fn write(&self) -> Result<Transaction<'static, Dialect>, Error> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Brings what was written into the database file and empties the log beside it, so that what was deleted is gone from
    /// both. A reader at work can hold a part of it back until the next time.
    pub async fn forget(&self) -> Result<(), Error> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await?;
        Ok(())
    }

    /// Statements and transactions so far.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Waits for running statements and closes the files.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A new file is its owner's alone; SQLite gives the files beside it the same mode.
fn make_private(path: &Path) -> Result<(), Error> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::File(path.display().to_string(), error)),
    }
}

async fn migrate(pool: &SqlitePool) -> Result<(), Error> {
    let migrations = MIGRATIONS.iter().map(|&(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    match Migrator::with_migrations(migrations.collect()).run(pool).await {
        Err(MigrateError::VersionMissing(version)) => Err(Error::Unusable(format!(
            "the database has layout {version}, which a newer crosswalk made: start that one, or restore a backup"
        ))),
        other => Ok(other?),
    }
}
