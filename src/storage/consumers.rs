//! Consumers, and the data keys that seal their credentials.

use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Error, Key, Place, Store, Topic, now_ms, usable_id};
use crate::model::{AppId, ConsumerId};

/// A customer of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its id within the application: `x-apideck-consumer-id`.
    pub id: ConsumerId,
    /// Whose customer.
    pub app: AppId,
    /// How the application shows it: `account_name`, `user_name`, `email`, `image`.
    pub metadata: Map<String, Value>,
    /// The connectors that it has a connection to, in their order.
    pub services: Vec<String>,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
}

/// Which consumers are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConsumersFilter<'a> {
    /// The one with that id.
    pub id: Option<&'a str>,
    /// Those whose id or metadata holds that text, whatever its case.
    pub search: Option<&'a str>,
}

pub(super) fn place<'a>(app: &'a str, consumer: &'a str) -> Place<'a> {
    Place { purpose: "consumer key", app, owner: consumer }
}

impl Store {
    /// Creates a consumer. Errors: no such application; the id is taken within it.
    pub async fn create_consumer(&self, app: &AppId, id: &ConsumerId) -> Result<Consumer, Error> {
        self.create_consumer_with(app, id, &Map::new()).await
    }

    /// Creates a consumer with metadata. Errors: as [`Store::create_consumer`].
    pub async fn create_consumer_with(
        &self,
        app: &AppId,
        id: &ConsumerId,
        metadata: &Map<String, Value>,
    ) -> Result<Consumer, Error> {
        usable_id("consumer", id.as_str())?;
        if !self.has_application(app).await? {
            return Err(Error::Missing("application", app.to_string()));
        }
        let data_key = self.new_data_key(&place(app.as_str(), id.as_str())).await?;
        let created_ms = now_ms();
        let _changes = self.changes(Topic::Consumer(app.as_str(), id.as_str()));
        let mut tx = self.db().write().await?;
        let done = sqlx::query(
            "INSERT INTO consumers (app_id, id, data_key, metadata, created_ms, updated_ms) \
             VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING",
        )
        .bind(app.as_str())
        .bind(id.as_str())
        .bind(data_key)
        .bind(serde_json::to_string(metadata)?)
        .bind(created_ms)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(Error::Exists("consumer", id.to_string()));
        }
        Ok(Consumer {
            id: id.clone(),
            app: app.clone(),
            metadata: metadata.clone(),
            services: Vec::new(),
            created_ms,
            updated_ms: created_ms,
        })
    }

    /// Sees to it that there is such a consumer. Errors: no such application; an id that cannot be used.
    pub async fn ensure_consumer(&self, app: &AppId, id: &ConsumerId) -> Result<(), Error> {
        match self.create_consumer(app, id).await {
            Ok(_) | Err(Error::Exists(..)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One consumer.
    pub async fn consumer(&self, app: &AppId, id: &ConsumerId) -> Result<Option<Consumer>, Error> {
        let filter = ConsumersFilter { id: Some(id.as_str()), search: None };
        Ok(self.consumers_page(app, filter, None, 1).await?.pop())
    }

    /// Replaces a consumer's metadata. Errors: there is none.
    pub async fn set_consumer_metadata(
        &self,
        app: &AppId,
        id: &ConsumerId,
        metadata: &Map<String, Value>,
    ) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let done =
            sqlx::query("UPDATE consumers SET metadata = $3, updated_ms = $4 WHERE app_id = $1 AND id = $2")
                .bind(app.as_str())
                .bind(id.as_str())
                .bind(serde_json::to_string(metadata)?)
                .bind(now_ms())
                .execute(&mut *tx)
                .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(Error::Missing("consumer", id.to_string()));
        }
        Ok(())
    }

    /// Deletes a consumer with its connections, credentials and data key, and has them overwritten in the file: nothing
    /// sealed for it can be opened any more, from a copy of the database neither. Errors: there is none.
    pub async fn delete_consumer(&self, app: &AppId, id: &ConsumerId) -> Result<(), Error> {
        let changes = self.changes(Topic::Consumer(app.as_str(), id.as_str()));
        let mut tx = self.db().write().await?;
        let done = sqlx::query("DELETE FROM consumers WHERE app_id = $1 AND id = $2")
            .bind(app.as_str())
            .bind(id.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        drop(changes);
        if done.rows_affected() == 0 {
            return Err(Error::Missing("consumer", id.to_string()));
        }
        self.db().forget().await
    }

    /// An application's consumers, by id.
    pub async fn consumers(&self, app: &AppId) -> Result<Vec<Consumer>, Error> {
        self.consumers_page(app, ConsumersFilter::default(), None, i64::MAX).await
    }

    /// At most `limit` of an application's consumers that the filter lets through, by id, after that id.
    pub async fn consumers_page(
        &self,
        app: &AppId,
        filter: ConsumersFilter<'_>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Consumer>, Error> {
        let search = filter.search.map(containing);
        let rows = sqlx::query(
            "SELECT consumers.*, (SELECT group_concat(service, ' ') FROM connections \
             WHERE connections.app_id = consumers.app_id AND connections.consumer_id = consumers.id) AS services \
             FROM consumers WHERE app_id = $1 AND ($2 IS NULL OR id = $2) \
             AND ($3 IS NULL OR lower(id) LIKE lower($3) ESCAPE '!' OR lower(metadata) LIKE lower($3) ESCAPE '!') \
             AND ($4 IS NULL OR id > $4) ORDER BY id LIMIT $5",
        )
        .bind(app.as_str())
        .bind(filter.id)
        .bind(search)
        .bind(after)
        .bind(limit)
        .fetch_all(self.db().read())
        .await?;
        rows.iter().map(read).collect()
    }

    /// The bytes that keep a consumer's secrets as they stand in the files: its wrapped data key, then each sealed credential.
    /// Tests look for them.
    pub async fn sealed_bytes(&self, app: &AppId, consumer: &ConsumerId) -> Result<Vec<Vec<u8>>, Error> {
        let all = sqlx::query_scalar(
            "SELECT data_key FROM consumers WHERE app_id = $1 AND id = $2 UNION ALL SELECT sealed FROM credentials \
             JOIN connections ON connections.id = connection_id WHERE app_id = $1 AND consumer_id = $2",
        )
        .bind(app.as_str())
        .bind(consumer.as_str())
        .fetch_all(self.db().read())
        .await?;
        Ok(all)
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

/// The `LIKE` pattern of texts that hold that one.
fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

fn read(row: &SqliteRow) -> Result<Consumer, Error> {
    let services: Option<&str> = row.try_get("services")?;
    let mut services: Vec<String> =
        services.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    services.sort();
    Ok(Consumer {
        id: ConsumerId::new(row.try_get::<&str, _>("id")?),
        app: AppId::new(row.try_get::<&str, _>("app_id")?),
        metadata: serde_json::from_str(row.try_get("metadata")?)?,
        services,
        created_ms: row.try_get("created_ms")?,
        updated_ms: row.try_get("updated_ms")?,
    })
}
