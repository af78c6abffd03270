//! Applications, and the data keys that seal what is theirs.

use sqlx::Row;

use super::{Error, Key, Place, Store, now_ms, usable_id};
use crate::model::AppId;

/// A tenant of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its id: `x-apideck-app-id`.
    pub id: AppId,
    /// Its name for people.
    pub name: String,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// Calls a month of its plan; none is no limit.
    pub calls_per_month: Option<i64>,
}

pub(super) fn place(app: &str) -> Place<'_> {
    Place { purpose: "application key", app, owner: "" }
}

impl Store {
    /// Creates an application. Errors: the id is taken.
    pub async fn create_application(&self, id: &AppId, name: &str) -> Result<Application, Error> {
        usable_id("application", id.as_str())?;
        let data_key = self.new_data_key(&place(id.as_str())).await?;
        let created_ms = now_ms();
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "INSERT INTO applications (id, name, data_key, created_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(id.as_str())
        .bind(name)
        .bind(data_key)
        .bind(created_ms)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(Error::Exists("application", id.to_string()));
        }
        Ok(Application { id: id.clone(), name: name.to_owned(), created_ms, calls_per_month: None })
    }

    /// All applications, by id.
    pub async fn applications(&self) -> Result<Vec<Application>, Error> {
        let rows = sqlx::query("SELECT id, name, created_ms, calls_per_month FROM applications ORDER BY id")
            .fetch_all(self.db().read())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Application {
                    id: AppId::new(row.try_get::<&str, _>("id")?),
                    name: row.try_get("name")?,
                    created_ms: row.try_get("created_ms")?,
                    calls_per_month: row.try_get("calls_per_month")?,
                })
            })
            .collect()
    }

    /// Sets the calls a month of an application's plan; none is no limit. Errors: no such application.
    pub async fn set_calls_per_month(&self, id: &AppId, calls: Option<i64>) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let done = sqlx::query("UPDATE applications SET calls_per_month = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(calls)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(Error::Missing("application", id.to_string()));
        }
        Ok(())
    }

    /// Whether there is such an application.
    pub async fn has_application(&self, id: &AppId) -> Result<bool, Error> {
        let found = sqlx::query("SELECT 1 FROM applications WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(self.db().read())
            .await?;
        Ok(found.is_some())
    }

    /// The key that seals the application's own secrets.
    pub(super) async fn application_key(&self, app: &AppId) -> Result<Key, Error> {
        let wrapped: Option<Vec<u8>> = sqlx::query_scalar("SELECT data_key FROM applications WHERE id = $1")
            .bind(app.as_str())
            .fetch_optional(self.db().read())
            .await?;
        let wrapped = wrapped.ok_or_else(|| Error::Missing("application", app.to_string()))?;
        self.open_data_key(&place(app.as_str()), &wrapped)
    }
}
