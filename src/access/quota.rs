//! The plan's calls a month, and calls of consumers by day: counted in memory, written behind in batches.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error;
use crate::model::{AppId, ConsumerId, ServiceId};
use crate::storage::{Calls, CallsApi, Store};

/// Locks that consumers share.
const SHARDS: usize = 16;
/// Counters behind one lock; calls beyond are counted when these have been written.
const CROWD: usize = 8192;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What has been counted and not yet written.
#[derive(Debug)]
pub struct Counts {
    shards: Vec<Mutex<HashMap<Counter, u64>>>,
    months: Mutex<HashMap<AppId, Arc<Mutex<Month>>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Counter {
    app: AppId,
    consumer: ConsumerId,
    day: i64,
    api: CallsApi,
    service: Option<ServiceId>,
}

/// An application's month.
#[derive(Debug, Default)]
struct Month {
    number: i64,
    /// What the database has; none until it was asked.
    written: Option<u64>,
    /// Being written.
    flying: u64,
    pending: u64,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts::new()
    }
}

impl Counts {
    /// Nothing counted yet.
    pub fn new() -> Counts {
        Counts { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), months: Mutex::default() }
    }

    /// Counts a call of a consumer.
    pub fn call(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
        api: CallsApi,
        service: Option<&ServiceId>,
        now_ms: i64,
    ) {
        let Some(shard) = self.shards.get(shard(consumer)) else { return };
        let counter = Counter {
            app: app.clone(),
            consumer: consumer.clone(),
            day: now_ms.div_euclid(DAY_MS),
            api,
            service: service.cloned(),
        };
        let mut counted = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() < CROWD || counted.contains_key(&counter) {
            *counted.entry(counter).or_default() += 1;
        }
    }

    /// Counts a call against an application's quota; false, and not counted, where it is used up. The database is asked
    /// at the first call of a month only.
    ///
    /// # Errors
    /// The database failed.
    pub async fn admit(&self, store: &Store, app: &AppId, quota: u64, now_ms: i64) -> error::Result<bool> {
        let number = month(now_ms);
        let slot = self.month_of(app);
        if slot.lock().unwrap_or_else(PoisonError::into_inner).known(number).is_none() {
            let written = store.calls_of_month(app, number).await?;
            slot.lock().unwrap_or_else(PoisonError::into_inner).begin(number, written);
        }
        let mut month = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let used = month.known(number).unwrap_or(0);
        if used >= quota {
            return Ok(false);
        }
        month.pending += 1;
        Ok(true)
    }

    /// Writes down what was counted. What cannot be written is counted on.
    ///
    /// # Errors
    /// The database failed.
    pub async fn flush(&self, store: &Store) -> error::Result<()> {
        let mut calls = Vec::new();
        for shard in &self.shards {
            let counted = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            calls.extend(counted.into_iter().map(|(of, calls)| Calls {
                app: of.app,
                consumer: of.consumer,
                day: of.day,
                api: of.api,
                service: of.service,
                calls,
            }));
        }
        if !calls.is_empty()
            && let Err(error) = store.add_calls(&calls).await
        {
            self.take_back(calls);
            return Err(error.into());
        }
        let months: Vec<_> = {
            let months = self.months.lock().unwrap_or_else(PoisonError::into_inner);
            months.iter().map(|(app, month)| (app.clone(), month.clone())).collect()
        };
        for (app, slot) in months {
            let (number, pending) = {
                let mut month = slot.lock().unwrap_or_else(PoisonError::into_inner);
                month.flying = std::mem::take(&mut month.pending);
                (month.number, month.flying)
            };
            if pending == 0 {
                continue;
            }
            match store.add_calls_of_month(&app, number, pending).await {
                Ok(written) => slot.lock().unwrap_or_else(PoisonError::into_inner).wrote(number, written),
                Err(error) => {
                    let mut month = slot.lock().unwrap_or_else(PoisonError::into_inner);
                    month.pending += std::mem::take(&mut month.flying);
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    fn take_back(&self, calls: Vec<Calls>) {
        for of in calls {
            let Some(shard) = self.shards.get(shard(&of.consumer)) else { continue };
            let counter =
                Counter { app: of.app, consumer: of.consumer, day: of.day, api: of.api, service: of.service };
            *shard.lock().unwrap_or_else(PoisonError::into_inner).entry(counter).or_default() += of.calls;
        }
    }

    fn month_of(&self, app: &AppId) -> Arc<Mutex<Month>> {
        let mut months = self.months.lock().unwrap_or_else(PoisonError::into_inner);
        months.entry(app.clone()).or_default().clone()
    }
}

impl Month {
    /// Calls of that month so far, where they are known.
    fn known(&self, number: i64) -> Option<u64> {
        let written = self.written.filter(|_| self.number == number)?;
        Some(written + self.flying + self.pending)
    }

    fn begin(&mut self, number: i64, written: u64) {
        if self.known(number).is_none() {
            // Calls of the month before that were not written yet are the price of a month's end.
            *self = Month { number, written: Some(written), ..Month::default() };
        }
    }

    fn wrote(&mut self, number: i64, written: u64) {
        if self.number == number {
            self.written = Some(written);
            self.flying = 0;
        }
    }
}

/// Which lock a consumer's counters are behind.
fn shard(consumer: &ConsumerId) -> usize {
    let mut hasher = DefaultHasher::new();
    consumer.hash(&mut hasher);
    usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or(0)
}

/// The month's number, counted from January 1970, UTC.
fn month(now_ms: i64) -> i64 {
    let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let date = now.to_zoned(TimeZone::UTC).date();
    (i64::from(date.year()) - 1970) * 12 + i64::from(date.month()) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Key, Location};

    async fn store() -> Store {
        let store = Store::open(Location::Memory, Key::random().unwrap()).await.unwrap();
        store.create_application(&AppId::new("shop"), "Shop").await.unwrap();
        store.create_consumer(&AppId::new("shop"), &ConsumerId::new("ann")).await.unwrap();
        store
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        assert_eq!(month(0), 0);
        assert_eq!(month(1_706_745_599_999), 54 * 12, "the last of January 2024");
        assert_eq!(month(1_706_745_600_000), 54 * 12 + 1, "the first of February");
    }

    #[tokio::test]
    async fn a_used_up_quota_stays_so_through_a_restart_and_until_the_month_ends() {
        let store = store().await;
        let shop = AppId::new("shop");
        let january = 1_706_700_000_000;
        let counts = Counts::new();
        for _ in 0..3 {
            assert!(counts.admit(&store, &shop, 3, january).await.unwrap());
        }
        assert!(!counts.admit(&store, &shop, 3, january).await.unwrap());
        counts.flush(&store).await.unwrap();
        assert_eq!(
            store.calls_of_month(&shop, month(january)).await.unwrap(),
            3,
            "the refused is not counted"
        );
        let restarted = Counts::new();
        assert!(!restarted.admit(&store, &shop, 3, january).await.unwrap());
        assert!(restarted.admit(&store, &shop, 4, january).await.unwrap(), "a larger plan counts at once");
        assert!(restarted.admit(&store, &shop, 3, january + 5 * DAY_MS).await.unwrap(), "a new month");
    }

    #[tokio::test]
    async fn counting_asks_the_database_once() {
        let store = store().await;
        let shop = AppId::new("shop");
        let counts = Counts::new();
        counts.admit(&store, &shop, 100_000, 0).await.unwrap();
        let before = store.queries();
        for _ in 0..1000 {
            assert!(counts.admit(&store, &shop, 100_000, 0).await.unwrap());
            counts.call(&shop, &ConsumerId::new("ann"), CallsApi::Unify, None, 0);
        }
        assert_eq!(store.queries(), before);
        counts.flush(&store).await.unwrap();
        assert_eq!(store.calls_of_month(&shop, 0).await.unwrap(), 1001);
    }

    #[tokio::test]
    async fn calls_are_counted_by_consumer_and_api_and_of_unknown_consumers_not_at_all() {
        let store = store().await;
        let shop = AppId::new("shop");
        let counts = Counts::new();
        let count = |consumer: &str, api, day: i64| {
            let hubspot = ServiceId::new("hubspot");
            counts.call(&shop, &ConsumerId::new(consumer), api, Some(&hubspot), day * DAY_MS);
        };
        count("ann", CallsApi::Unify, 1);
        count("ann", CallsApi::Unify, 1);
        count("ann", CallsApi::Vault, 2);
        count("ann", CallsApi::Unify, 9);
        count("made-up", CallsApi::Unify, 1);
        counts.flush(&store).await.unwrap();
        counts.flush(&store).await.unwrap();
        let ann = ConsumerId::new("ann");
        let counted = store.calls_of_consumer(&shop, &ann, 1, 2).await.unwrap();
        assert_eq!(counted, [(CallsApi::Unify, 2), (CallsApi::Vault, 1)]);
        assert!(store.calls_of_consumer(&shop, &ConsumerId::new("made-up"), 0, 99).await.unwrap().is_empty());
    }
}
