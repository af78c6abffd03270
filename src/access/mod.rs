//! Access. In: the key that a caller shows, the application that it names, where it calls from and what. Out: who it is
//! and what is left of its limits, or the refusal. Never: SQL, which CRM.
//!
//! [`Access::admit`] is on every call's way: one keyed hash and a look into memory. What it keeps is bounded in
//! number and time; revoking a key in this process works at once, in another within [`Settings::keep`]. In reading order:
//! here the keys · [`admit`] the whole way in · [`allow`] addresses and endpoints of a key · [`rate`] calls a minute ·
//! [`quota`] calls a month, and counts of consumers · [`idempotency`] writes that happen
//! once. What is not configured costs nothing.

pub mod admit;
pub mod allow;
pub mod idempotency;
pub mod quota;
pub mod rate;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::future::Cache;
use subtle::ConstantTimeEq;

pub use admit::{Admitted, Knock};
pub use allow::Allowed;

use crate::error::{self, Kind};
use crate::model::AppId;
use crate::storage::{ApiKey, Store, Topic, now_ms};

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a key is known without asking again: the longest that one revoked by another process still works.
    pub keep: Duration,
    /// The same for prefixes that no key has.
    pub keep_unknown: Duration,
    /// How many prefixes of each kind are kept.
    pub entries: u64,
    /// Calls a minute of one key; none is no limit.
    pub calls_per_minute_per_key: Option<u32>,
    /// Calls a minute of one consumer; none is no limit.
    pub calls_per_minute_per_consumer: Option<u32>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            keep: Duration::from_secs(10),
            keep_unknown: Duration::from_secs(5),
            entries: 10_000,
            calls_per_minute_per_key: None,
            calls_per_minute_per_consumer: None,
        }
    }
}

/// Who showed a valid key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The application.
    pub app: AppId,
    /// The key's id: for limits per key and for logs.
    pub key: Arc<str>,
}

/// The keys in memory, and how to get more.
pub struct Access {
    store: Store,
    known: Cache<(String, u64), Arc<Vec<Entry>>>,
    unknown: Cache<(String, u64), ()>,
    used: Mutex<BTreeMap<String, i64>>,
    by_key: Option<rate::Limiter>,
    by_consumer: Option<rate::Limiter>,
    counts: quota::Counts,
    started: Instant,
}

struct Entry {
    key: ApiKey,
    id: Arc<str>,
    hash: [u8; 32],
    noted_ms: AtomicI64,
    /// None where what is stored cannot be read: nothing is allowed then.
    allowed: Option<Allowed>,
    calls_per_month: Option<u64>,
}

/// A longer text is no key; it is not even hashed.
const LONGEST: usize = 512;

/// Last use is noted to the minute.
const NOTE_MS: i64 = 60_000;

impl Access {
    /// Access by the keys of that store.
    pub fn new(store: Store, settings: Settings) -> Access {
        let entries = settings.entries;
        Access {
            store,
            known: Cache::builder().max_capacity(entries).time_to_live(settings.keep).build(),
            unknown: Cache::builder().max_capacity(entries).time_to_live(settings.keep_unknown).build(),
            used: Mutex::default(),
            by_key: settings.calls_per_minute_per_key.map(rate::Limiter::new),
            by_consumer: settings.calls_per_minute_per_consumer.map(rate::Limiter::new),
            counts: quota::Counts::new(),
            started: Instant::now(),
        }
    }

    /// The caller who showed that key (the text after `Bearer `) and named that application.
    /// Errors: `UnauthorizedError`, with a sentence that helps the key's owner and no one else.
    pub async fn authenticate(&self, key: Option<&str>, app: &str) -> error::Result<Caller> {
        let (entries, at) = self.known(key, app).await?;
        let entry = entries.get(at).ok_or_else(|| error::Error::internal("a key that was found is gone"))?;
        Ok(Caller { app: entry.key.app.clone(), key: entry.id.clone() })
    }

    /// The entry of a key that is good for that application.
    async fn known(&self, key: Option<&str>, app: &str) -> error::Result<(Arc<Vec<Entry>>, usize)> {
        let shown = key
            .map(str::trim)
            .filter(|key| !key.is_empty())
            .ok_or_else(|| refusal("No API key was sent. Send it as `Authorization: Bearer KEY`."))?;
        let invalid = || refusal("The API key is not valid.");
        let (entries, at) = self.find(shown).await?.ok_or_else(invalid)?;
        let entry = entries.get(at).ok_or_else(invalid)?;
        let now = now_ms();
        if entry.key.revoked_ms.is_some() {
            return Err(refusal("The API key was revoked."));
        }
        if entry.key.expires_ms.is_some_and(|end| end <= now) {
            return Err(refusal("The API key has expired."));
        }
        if entry.key.app.as_str() != app {
            return Err(refusal(
                "The API key does not belong to the application named in `x-apideck-app-id`.",
            ));
        }
        self.note(entry, now);
        Ok((entries, at))
    }

    /// Writes down when keys were last used, and what was counted. Call it every ten seconds or so, and before the end.
    pub async fn flush(&self) -> error::Result<()> {
        self.counts.flush(&self.store).await?;
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.is_empty() {
            return Ok(());
        }
        let used: Vec<_> = used.into_iter().collect();
        Ok(self.store.touch_keys(&used).await?)
    }

    /// The stored key with that text, among those of its prefix.
    async fn find(&self, shown: &str) -> error::Result<Option<(Arc<Vec<Entry>>, usize)>> {
        if shown.len() > LONGEST {
            return Ok(None);
        }
        let prefix = self.store.key_prefix(shown);
        let epoch = self.store.epoch(Topic::Keys(&prefix));
        let slot = (prefix, epoch);
        let entries = match self.known.get(&slot).await {
            Some(entries) => entries,
            None if self.unknown.contains_key(&slot) => return Ok(None),
            None => match self.load(slot).await? {
                Some(entries) => entries,
                None => return Ok(None),
            },
        };
        let hash = self.store.key_hash_of(shown);
        let at = entries.iter().position(|entry| bool::from(entry.hash.ct_eq(&hash)));
        Ok(at.map(|at| (entries, at)))
    }

    async fn load(&self, slot: (String, u64)) -> error::Result<Option<Arc<Vec<Entry>>>> {
        // None stands for a prefix that no key has: kept apart, so that made-up keys push out no real ones.
        let loaded = self.known.try_get_with(slot.clone(), async {
            let found = self.store.keys_by_prefix(&slot.0).await.map_err(|error| Some(error.to_string()))?;
            if found.is_empty() {
                return Err(None::<String>);
            }
            Ok(Arc::new(found.into_iter().map(Entry::new).collect()))
        });
        match loaded.await {
            Ok(entries) => Ok(Some(entries)),
            Err(fault) => match &*fault {
                Some(fault) => Err(error::Error::internal(fault)),
                None => {
                    self.unknown.insert(slot, ()).await;
                    Ok(None)
                }
            },
        }
    }

    /// Notes the use in memory, at most once a minute per key.
    fn note(&self, entry: &Entry, now: i64) {
        if now - entry.noted_ms.load(Ordering::Relaxed) < NOTE_MS {
            return;
        }
        entry.noted_ms.store(now, Ordering::Relaxed);
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.key.id.clone(), now);
    }
}

impl Entry {
    fn new(candidate: crate::storage::Candidate) -> Entry {
        Entry {
            id: Arc::from(candidate.key.id.as_str()),
            hash: candidate.hash,
            noted_ms: AtomicI64::new(candidate.key.last_used_ms.unwrap_or(0)),
            allowed: Allowed::parse(&candidate.key.allow_ips, &candidate.key.endpoints).ok(),
            calls_per_month: candidate.calls_per_month.map(|calls| u64::try_from(calls).unwrap_or(0)),
            key: candidate.key,
        }
    }
}

fn refusal(says: &str) -> error::Error {
    error::Error::new(Kind::UnauthorizedError, says)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;
    use crate::storage::{Key, Location, NewKey};

    async fn store() -> Store {
        let store = Store::open(Location::Memory, Key::random().unwrap()).await.unwrap();
        for app in ["shop", "other"] {
            store.create_application(&AppId::new(app), app).await.unwrap();
        }
        store
    }

    async fn key(store: &Store, app: &str, expires_ms: Option<i64>) -> (ApiKey, Secret) {
        let app = AppId::new(app);
        store
            .create_key(NewKey {
                app: &app,
                label: "ci",
                expires_ms,
                allow_ips: &[],
                endpoints: &[],
                import: None,
            })
            .await
            .unwrap()
    }

    async fn says(access: &Access, key: Option<&str>, app: &str) -> String {
        let refused = access.authenticate(key, app).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::UnauthorizedError);
        refused.to_string()
    }

    #[tokio::test]
    async fn the_right_key_opens_its_application_only() {
        let store = store().await;
        let access = Access::new(store.clone(), Settings::default());
        let (made, shown) = key(&store, "shop", None).await;
        let caller = access.authenticate(Some(shown.expose()), "shop").await.unwrap();
        assert_eq!((caller.app.as_str(), &*caller.key), ("shop", made.id.as_str()));

        let of_another = says(&access, Some(shown.expose()), "other").await;
        assert!(of_another.contains("does not belong"), "{of_another}");
        assert_eq!(
            of_another,
            says(&access, Some(shown.expose()), "no-such-app").await,
            "existence stays hidden"
        );
    }

    #[tokio::test]
    async fn each_refusal_has_its_sentence() {
        let store = store().await;
        let access = Access::new(store.clone(), Settings::default());
        let (_, old) = key(&store, "shop", Some(now_ms() - 1)).await;
        assert!(says(&access, Some(old.expose()), "shop").await.contains("expired"));
        let (later, later_shown) = key(&store, "shop", Some(now_ms() + 60_000)).await;
        access.authenticate(Some(later_shown.expose()), "shop").await.unwrap();
        store.revoke_key(&AppId::new("shop"), &later.id).await.unwrap();
        assert!(says(&access, Some(later_shown.expose()), "shop").await.contains("revoked"), "at once");
        for none in [None, Some(""), Some("  ")] {
            assert!(says(&access, none, "shop").await.contains("No API key"));
        }
        let mut wrong = old.expose().to_owned();
        wrong.pop();
        wrong.push('!');
        let long = "k".repeat(100_000);
        for bad in [wrong.as_str(), "sk_live_abcdefABCDEF_x", "x", &long] {
            assert!(says(&access, Some(bad), "shop").await.contains("not valid"), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_wrong_secret_behind_a_right_prefix_is_wrong() {
        let store = store().await;
        let access = Access::new(store.clone(), Settings::default());
        let (made, shown) = key(&store, "shop", None).await;
        let secret: String = shown.expose().rsplit('_').next().unwrap().chars().rev().collect();
        let forged = format!("{}_{secret}", made.prefix);
        assert!(says(&access, Some(&forged), "shop").await.contains("not valid"));
        access.authenticate(Some(shown.expose()), "shop").await.unwrap();
    }

    #[tokio::test]
    async fn imported_keys_work_like_any() {
        let store = store().await;
        let access = Access::new(store.clone(), Settings::default());
        let demo = "sk_demo_crosswalk";
        assert!(says(&access, Some(demo), "shop").await.contains("not valid"));
        let import = Some(Secret::new(demo));
        let app = AppId::new("shop");
        let (made, _) = store
            .create_key(NewKey {
                app: &app,
                label: "",
                expires_ms: None,
                allow_ips: &[],
                endpoints: &[],
                import,
            })
            .await
            .unwrap();
        assert!(!made.prefix.contains("demo"), "the prefix of an imported key shows nothing of it");
        access
            .authenticate(Some(demo), "shop")
            .await
            .expect("known at once, though it was unknown a moment ago");
    }

    #[tokio::test]
    async fn a_known_key_costs_no_query_and_neither_does_a_made_up_one() {
        let store = store().await;
        let access = Access::new(store.clone(), Settings::default());
        let (_, shown) = key(&store, "shop", None).await;
        access.authenticate(Some(shown.expose()), "shop").await.unwrap();
        says(&access, Some("made-up-key"), "shop").await;
        let before = store.queries();
        for _ in 0..1000 {
            access.authenticate(Some(shown.expose()), "shop").await.unwrap();
            says(&access, Some("made-up-key"), "shop").await;
        }
        assert_eq!(store.queries(), before);
    }

    #[tokio::test]
    async fn made_up_keys_push_out_no_real_one() {
        let store = store().await;
        let settings = Settings { entries: 10, ..Settings::default() };
        let access = Access::new(store.clone(), settings);
        let (_, shown) = key(&store, "shop", None).await;
        access.authenticate(Some(shown.expose()), "shop").await.unwrap();
        for at in 0..500 {
            says(&access, Some(&format!("made-up-key-{at}")), "shop").await;
        }
        access.unknown.run_pending_tasks().await;
        assert!(access.unknown.entry_count() <= 10);
        let before = store.queries();
        access.authenticate(Some(shown.expose()), "shop").await.unwrap();
        assert_eq!(store.queries(), before);
    }

    #[tokio::test]
    async fn last_use_is_written_behind() {
        let store = store().await;
        let access = Access::new(store.clone(), Settings::default());
        let (made, shown) = key(&store, "shop", None).await;
        access.authenticate(Some(shown.expose()), "shop").await.unwrap();
        let used = async || {
            let keys = store.keys(&AppId::new("shop")).await.unwrap();
            keys.into_iter().find(|key| key.id == made.id).unwrap().last_used_ms
        };
        assert_eq!(used().await, None);
        access.flush().await.unwrap();
        assert!(used().await.is_some_and(|at| now_ms() - at < 60_000));
        let before = store.queries();
        access.authenticate(Some(shown.expose()), "shop").await.unwrap();
        access.flush().await.unwrap();
        assert_eq!(store.queries(), before, "a minute has not passed");
    }
}
