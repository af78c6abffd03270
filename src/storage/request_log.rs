//! The request log: calls written in batches, read page by page, forgotten by age and number.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Error, Store};
use crate::model::{AppId, ConsumerId, LoggedCall, ServiceId};

/// Rows that one statement forgets.
const PURGE_ROWS: i64 = 1000;

/// Which calls; absent conditions hold for all.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// Only of this connector.
    pub service: Option<String>,
    /// Only with a path like this: a `LIKE` pattern, `\` before `%`, `_` and `\` that mean themselves.
    pub path: Option<String>,
    /// Only these methods.
    pub methods: Vec<String>,
    /// Only these statuses.
    pub statuses: Vec<i64>,
    /// Only from then on, milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Only up to then.
    pub to_ms: Option<i64>,
    /// Not of these APIs.
    pub without_apis: Vec<String>,
}

/// A text that `LIKE '%,x,%'` finds its members in; none for an empty list.
fn members<T: ToString>(list: &[T]) -> Option<String> {
    let joined = list.iter().map(T::to_string).collect::<Vec<_>>().join(",");
    (!list.is_empty()).then(|| format!(",{joined},"))
}

const COLUMNS: &str = "seq, id, app_id, consumer_id, service, api, operation, method, path, base_url, status, error, fault, message, \
                       at_ms, total_us, downstream_us, source, requests, requests_sent";

impl Store {
    /// Writes calls down, in one step; those of applications that are gone are left out.
    pub async fn add_logged(&self, calls: &[LoggedCall]) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        for call in calls {
            sqlx::query(
                "INSERT INTO request_log (id, app_id, consumer_id, service, api, operation, method, path, base_url, status, \
                 error, fault, message, at_ms, total_us, downstream_us, source, requests, requests_sent) \
                 SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19 \
                 FROM applications WHERE id = $2",
            )
            .bind(&call.id)
            .bind(call.app.as_str())
            .bind(call.consumer.as_ref().map_or("", ConsumerId::as_str))
            .bind(call.service.as_ref().map_or("", ServiceId::as_str))
            .bind(&call.api)
            .bind(&call.operation)
            .bind(&call.method)
            .bind(&call.path)
            .bind(&call.base_url)
            .bind(i64::from(call.status))
            .bind(call.error.as_deref())
            .bind(call.fault.as_deref())
            .bind(call.message.as_deref())
            .bind(call.at_ms)
            .bind(call.total_us)
            .bind(call.downstream_us)
            .bind(call.source.map(|source| source.to_string()))
            .bind(serde_json::to_string(&call.requests)?)
            .bind(i64::from(call.requests_sent))
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The calls of a consumer, the newest first, each with its place; those before a place where one is given.
    pub async fn logged_page(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
        filter: &LogFilter,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<(i64, LoggedCall)>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM request_log WHERE app_id = $1 AND consumer_id = $2 AND seq < $3 \
             AND ($4 IS NULL OR service = $4) AND ($5 IS NULL OR path LIKE $5 ESCAPE '\\') \
             AND ($6 IS NULL OR $6 LIKE '%,' || method || ',%') \
             AND ($7 IS NULL OR $7 LIKE '%,' || CAST(status AS TEXT) || ',%') \
             AND ($8 IS NULL OR at_ms >= $8) AND ($9 IS NULL OR at_ms <= $9) \
             AND ($10 IS NULL OR $10 NOT LIKE '%,' || api || ',%') \
             ORDER BY seq DESC LIMIT $11"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(app.as_str())
            .bind(consumer.as_str())
            .bind(before.unwrap_or(i64::MAX))
            .bind(filter.service.as_deref())
            .bind(filter.path.as_deref())
            .bind(members(&filter.methods))
            .bind(members(&filter.statuses))
            .bind(filter.from_ms)
            .bind(filter.to_ms)
            .bind(members(&filter.without_apis))
            .bind(limit)
            .fetch_all(self.db().read())
            .await?;
        rows.iter().map(logged).collect()
    }

    /// The newest call of that id.
    pub async fn logged_call(&self, app: &AppId, id: &str) -> Result<Option<LoggedCall>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM request_log WHERE app_id = $1 AND id = $2 ORDER BY seq DESC LIMIT 1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(app.as_str())
            .bind(id)
            .fetch_optional(self.db().read())
            .await?;
        row.as_ref().map(logged).transpose().map(|found| found.map(|(_, call)| call))
    }

    /// Forgets calls that came in before a time, and the oldest beyond a number; at most a thousand at once. How many
    /// were forgotten.
    pub async fn purge_logged(&self, before_ms: i64, keep: i64) -> Result<u64, Error> {
        let mut tx = self.db().write().await?;
        let old = sqlx::query(
            "DELETE FROM request_log WHERE seq IN (SELECT seq FROM request_log WHERE at_ms < $1 LIMIT $2)",
        )
        .bind(before_ms)
        .bind(PURGE_ROWS)
        .execute(&mut *tx)
        .await?;
        // Places are handed out in order and rows go from the old end, so that their distance is nearly their number.
        let many = sqlx::query(
            "DELETE FROM request_log WHERE seq IN \
             (SELECT seq FROM request_log WHERE seq <= (SELECT max(seq) FROM request_log) - $1 ORDER BY seq LIMIT $2)",
        )
        .bind(keep)
        .bind(PURGE_ROWS)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(old.rows_affected() + many.rows_affected())
    }
}

fn logged(row: &SqliteRow) -> Result<(i64, LoggedCall), Error> {
    let present = |text: String| (!text.is_empty()).then_some(text);
    let call = LoggedCall {
        id: row.try_get("id")?,
        app: AppId::new(row.try_get::<&str, _>("app_id")?),
        consumer: present(row.try_get("consumer_id")?).map(ConsumerId::new),
        service: present(row.try_get("service")?).map(ServiceId::new),
        api: row.try_get("api")?,
        operation: row.try_get("operation")?,
        method: row.try_get("method")?,
        path: row.try_get("path")?,
        base_url: row.try_get("base_url")?,
        status: u16::try_from(row.try_get::<i64, _>("status")?).unwrap_or(0),
        error: row.try_get("error")?,
        fault: row.try_get("fault")?,
        message: row.try_get("message")?,
        at_ms: row.try_get("at_ms")?,
        total_us: row.try_get("total_us")?,
        downstream_us: row.try_get("downstream_us")?,
        source: row.try_get::<Option<&str>, _>("source")?.and_then(|source| source.parse().ok()),
        requests: serde_json::from_str(row.try_get("requests")?)?,
        requests_sent: u32::try_from(row.try_get::<i64, _>("requests_sent")?).unwrap_or(u32::MAX),
    };
    Ok((row.try_get("seq")?, call))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Key, Location, now_ms};

    fn call(at_ms: i64, id: &str) -> LoggedCall {
        LoggedCall {
            id: id.to_owned(),
            app: AppId::new("shop"),
            consumer: Some(ConsumerId::new("ann")),
            service: None,
            api: "crm".to_owned(),
            operation: "contacts.list".to_owned(),
            method: "GET".to_owned(),
            path: "/crm/contacts".to_owned(),
            base_url: "http://gateway.example".to_owned(),
            status: 200,
            error: None,
            fault: None,
            message: None,
            at_ms,
            total_us: 1500,
            downstream_us: 1400,
            source: "2001:db8::1".parse().ok(),
            requests: Vec::new(),
            requests_sent: 0,
        }
    }

    #[tokio::test]
    async fn calls_come_back_as_they_were_and_go_by_age_and_number() {
        let store = Store::open(Location::Memory, Key::random().unwrap()).await.unwrap();
        let (app, ann) = (AppId::new("shop"), ConsumerId::new("ann"));
        store.create_application(&app, "Shop").await.unwrap();
        let now = now_ms();
        let calls: Vec<LoggedCall> =
            (0..10).map(|at| call(now - 1000 * (10 - at), &format!("call-{at}"))).collect();
        let mut stranger = call(now, "stranger");
        stranger.app = AppId::new("no-such-app");
        store.add_logged(&calls).await.unwrap();
        store.add_logged(&[stranger]).await.unwrap();
        let all = async || {
            let page = store.logged_page(&app, &ann, &LogFilter::default(), None, 100).await.unwrap();
            page.into_iter().map(|(_, call)| call).collect::<Vec<_>>()
        };
        let mut newest_first = calls.clone();
        newest_first.reverse();
        assert_eq!(all().await, newest_first);
        assert_eq!(store.logged_call(&app, "call-3").await.unwrap().as_ref(), calls.get(3));
        assert_eq!(store.purge_logged(now - 8500, 1_000_000).await.unwrap(), 2, "two are older");
        assert_eq!(store.purge_logged(0, 3).await.unwrap(), 5);
        assert_eq!(all().await, newest_first.get(..3).unwrap());
    }
}
