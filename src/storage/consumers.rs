//! Consumers, and the data keys that seal their credentials.

use sqlx::Row;

use super::{Error, Key, Place, Store, Topic, now_ms, usable_id};
use crate::model::{AppId, ConsumerId};

/// A customer of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its id within the application: `x-apideck-consumer-id`.
    pub id: ConsumerId,
    /// Whose customer.
    pub app: AppId,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
}

fn place<'a>(app: &'a str, consumer: &'a str) -> Place<'a> {
    Place { purpose: "consumer key", app, owner: consumer }
}

impl Store {
    /// Creates a consumer. Errors: no such application; the id is taken within it.
    pub async fn create_consumer(&self, app: &AppId, id: &ConsumerId) -> Result<Consumer, Error> {
        usable_id("consumer", id.as_str())?;
        if !self.has_application(app).await? {
            return Err(Error::Missing("application", app.to_string()));
        }
        let data_key = self.new_data_key(&place(app.as_str(), id.as_str()))?;
        let created_ms = now_ms();
        let _changes = self.changes(Topic::Consumer(app.as_str(), id.as_str()));
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "INSERT INTO consumers (app_id, id, data_key, created_ms, updated_ms) VALUES ($1, $2, $3, $4, $4) \
             ON CONFLICT DO NOTHING",
        )
        .bind(app.as_str())
        .bind(id.as_str())
        .bind(data_key)
        .bind(created_ms)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(Error::Exists("consumer", id.to_string()));
        }
        Ok(Consumer { id: id.clone(), app: app.clone(), created_ms })
    }

    /// An application's consumers, by id.
    pub async fn consumers(&self, app: &AppId) -> Result<Vec<Consumer>, Error> {
        let rows = sqlx::query("SELECT id, created_ms FROM consumers WHERE app_id = $1 ORDER BY id")
            .bind(app.as_str())
            .fetch_all(self.db().read())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Consumer {
                    id: ConsumerId::new(row.try_get::<&str, _>("id")?),
                    app: app.clone(),
                    created_ms: row.try_get("created_ms")?,
                })
            })
            .collect()
    }

    /// The key that seals the consumer's credentials; none where there is no such consumer.
    pub(super) async fn consumer_key(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
    ) -> Result<Option<Key>, Error> {
        let wrapped: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT data_key FROM consumers WHERE app_id = $1 AND id = $2")
                .bind(app.as_str())
                .bind(consumer.as_str())
                .fetch_optional(self.db().read())
                .await?;
        wrapped
            .map(|wrapped| self.open_data_key(&place(app.as_str(), consumer.as_str()), &wrapped))
            .transpose()
    }
}
