//! Logs. In: one record a call. Out: the request log, written behind the calls and read back. Never: headers, bodies,
//! secrets; a call that waits for it.
//!
//! [`Recorder::record`] puts a record into a bounded queue and returns at once; what does not fit is dropped and counted.
//! One task writes batches, and forgets by age and number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::config::RequestLog;
use crate::error::Result;
use crate::model::{AppId, ConsumerId, LoggedCall};
use crate::storage::{LogFilter, Store, now_ms};

/// Records written in one step.
const BATCH: usize = 500;
/// How long the first record of a batch waits for company.
const LINGER: Duration = Duration::from_millis(50);
/// How long a batch that could not be written waits before it is tried once more.
const AGAIN: Duration = Duration::from_millis(500);

/// Where calls are recorded, and read back.
#[derive(Debug)]
pub struct Recorder {
    store: Store,
    settings: RequestLog,
    queue: mpsc::Sender<Item>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Item {
    Call(Box<LoggedCall>),
    /// Answered when everything before it is written.
    Written(oneshot::Sender<()>),
}

impl Recorder {
    /// A recorder with a task of its own, which ends with it.
    pub fn start(store: Store, settings: RequestLog) -> Recorder {
        let (queue, items) = mpsc::channel(settings.queue);
        let lost = Arc::<AtomicU64>::default();
        tokio::spawn(write(store.clone(), items, Arc::clone(&lost)));
        Recorder { store, settings, queue, lost }
    }

    /// Whether calls are recorded at all.
    pub fn is_on(&self) -> bool {
        self.settings.enabled
    }

    /// Records a call: never waits, never fails.
    pub fn record(&self, call: LoggedCall) {
        if self.queue.try_send(Item::Call(Box::new(call))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records that were dropped since the start: the queue was full, or the database failed twice.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything recorded so far is written.
    pub async fn written(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Item::Written(done)).await.is_ok() {
            // The writer gone is the end of the program.
            written.await.unwrap_or_default();
        }
    }

    /// A consumer's calls, the newest first, each with its place.
    ///
    /// # Errors
    /// The database failed.
    pub async fn page(
        &self,
        app: &AppId,
        consumer: &ConsumerId,
        filter: &LogFilter,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<(i64, LoggedCall)>> {
        self.written().await;
        Ok(self.store.logged_page(app, consumer, filter, before, limit).await?)
    }

    /// The newest call of an application with that id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn one(&self, app: &AppId, id: &str) -> Result<Option<LoggedCall>> {
        self.written().await;
        Ok(self.store.logged_call(app, id).await?)
    }

    /// Forgets what is older or more than the settings keep. Call it every ten seconds or so.
    ///
    /// # Errors
    /// The database failed.
    pub async fn purge(&self) -> Result<()> {
        let keep_ms = i64::try_from(self.settings.keep.as_millis()).unwrap_or(i64::MAX);
        let keep = i64::try_from(self.settings.calls).unwrap_or(i64::MAX);
        while self.store.purge_logged(now_ms().saturating_sub(keep_ms), keep).await? > 0 {}
        Ok(())
    }
}

async fn write(store: Store, mut items: mpsc::Receiver<Item>, lost: Arc<AtomicU64>) {
    let mut batch = Vec::new();
    let mut told = 0;
    while items.recv_many(&mut batch, BATCH).await > 0 {
        let urgent = |batch: &[Item]| batch.iter().any(|item| matches!(item, Item::Written(_)));
        let until = tokio::time::Instant::now() + LINGER;
        while batch.len() < BATCH && !urgent(&batch) {
            let room = BATCH - batch.len();
            match tokio::time::timeout_at(until, items.recv_many(&mut batch, room)).await {
                Ok(more) if more > 0 => {}
                _ => break,
            }
        }
        let (mut calls, mut waiting) = (Vec::with_capacity(batch.len()), Vec::new());
        for item in batch.drain(..) {
            match item {
                Item::Call(call) => calls.push(*call),
                Item::Written(done) => waiting.push(done),
            }
        }
        if !calls.is_empty() && store.add_logged(&calls).await.is_err() {
            tokio::time::sleep(AGAIN).await;
            if let Err(error) = store.add_logged(&calls).await {
                lost.fetch_add(calls.len() as u64, Ordering::Relaxed);
                tracing::warn!(source = %error, calls = calls.len(), "calls could not be written to the request log");
            }
        }
        for done in waiting {
            // Whoever waited may have gone.
            let _ = done.send(());
        }
        let all = lost.load(Ordering::Relaxed);
        if all > told {
            tracing::warn!(lost = all, "records of the request log were dropped");
            told = all;
        }
    }
}
