//! Counted calls: of applications by month, of consumers by day.

use sqlx::Row;

use super::{Error, Store};
use crate::model::{AppId, ConsumerId, ServiceId};

/// Which API a call went to, as `request_counts` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallsApi {
    /// A unified API.
    Unify,
    /// Passed through to the CRM.
    Proxy,
    /// Vault or Connector API.
    Vault,
}

impl CallsApi {
    /// All of them.
    pub const ALL: [CallsApi; 3] = [CallsApi::Unify, CallsApi::Proxy, CallsApi::Vault];

    /// The name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            CallsApi::Unify => "unify",
            CallsApi::Proxy => "proxy",
            CallsApi::Vault => "vault",
        }
    }
}

/// Calls of a consumer on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// The application.
    pub app: AppId,
    /// The consumer.
    pub consumer: ConsumerId,
    /// Days since 1970, UTC.
    pub day: i64,
    /// Which API.
    pub api: CallsApi,
    /// The connector reached.
    pub service: Option<ServiceId>,
    /// How many.
    pub calls: u64,
}

fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn counted(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl Store {
    /// Adds to the counts of consumers, in one step; those of unknown consumers are left out.
    pub async fn add_calls(&self, all: &[Calls]) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        for calls in all {
            sqlx::query(
                "INSERT INTO consumer_calls (app_id, consumer_id, day, api, service, calls) \
                 SELECT app_id, id, $3, $4, $5, $6 FROM consumers WHERE app_id = $1 AND id = $2 \
                 ON CONFLICT (app_id, consumer_id, day, api, service) \
                 DO UPDATE SET calls = consumer_calls.calls + excluded.calls",
            )
            .bind(calls.app.as_str())
            .bind(calls.consumer.as_str())
            .bind(calls.day)
            .bind(calls.api.name())
            .bind(calls.service.as_ref().map_or("", ServiceId::as_str))
            .bind(stored(calls.calls))
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// A consumer's calls from one day to another, both included, by API.
    pub async fn calls_of_consumer(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
        from_day: i64,
        to_day: i64,
    ) -> Result<Vec<(CallsApi, u64)>, Error> {
        let rows = sqlx::query(
            "SELECT api, CAST(sum(calls) AS BIGINT) AS calls FROM consumer_calls \
             WHERE app_id = $1 AND consumer_id = $2 AND day BETWEEN $3 AND $4 GROUP BY api",
        )
        .bind(app.as_str())
        .bind(consumer.as_str())
        .bind(from_day)
        .bind(to_day)
        .fetch_all(self.db().read())
        .await?;
        let mut found = Vec::new();
        for api in CallsApi::ALL {
            for row in &rows {
                if row.try_get::<&str, _>("api")? == api.name() {
                    found.push((api, counted(row.try_get("calls")?)));
                }
            }
        }
        Ok(found)
    }

    /// All calls of the consumers from one id to another, both included, by API.
    pub async fn calls_of_consumers(
        &self,
        app: &AppId,
        (first, last): (&ConsumerId, &ConsumerId),
    ) -> Result<Vec<(ConsumerId, CallsApi, u64)>, Error> {
        let rows = sqlx::query(
            "SELECT consumer_id, api, CAST(sum(calls) AS BIGINT) AS calls FROM consumer_calls \
             WHERE app_id = $1 AND consumer_id BETWEEN $2 AND $3 GROUP BY consumer_id, api",
        )
        .bind(app.as_str())
        .bind(first.as_str())
        .bind(last.as_str())
        .fetch_all(self.db().read())
        .await?;
        let mut found = Vec::new();
        for row in &rows {
            let name: &str = row.try_get("api")?;
            let consumer = ConsumerId::new(row.try_get::<&str, _>("consumer_id")?);
            let api = CallsApi::ALL.into_iter().find(|api| api.name() == name);
            found.extend(
                api.map(|api| Ok::<_, Error>((consumer, api, counted(row.try_get("calls")?)))).transpose()?,
            );
        }
        Ok(found)
    }

    /// An application's calls in a month, counted from January 1970.
    pub async fn calls_of_month(&self, app: &AppId, month: i64) -> Result<u64, Error> {
        let calls: Option<i64> =
            sqlx::query_scalar("SELECT calls FROM application_calls WHERE app_id = $1 AND month = $2")
                .bind(app.as_str())
                .bind(month)
                .fetch_optional(self.db().read())
                .await?;
        Ok(counted(calls.unwrap_or(0)))
    }

    /// Adds to an application's calls of a month; what they are now, calls through other gateways included.
    pub async fn add_calls_of_month(&self, app: &AppId, month: i64, calls: u64) -> Result<u64, Error> {
        let mut tx = self.db().write().await?;
        let now: i64 = sqlx::query_scalar(
            "INSERT INTO application_calls (app_id, month, calls) VALUES ($1, $2, $3) \
             ON CONFLICT (app_id, month) DO UPDATE SET calls = application_calls.calls + excluded.calls \
             RETURNING calls",
        )
        .bind(app.as_str())
        .bind(month)
        .bind(stored(calls))
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(counted(now))
    }
}
