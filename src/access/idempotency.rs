//! Idempotency keys: a write happens once, however often it is asked for under the same key.
//!
//! A key belongs to one connection (and so to one application, consumer and service). What becomes of it:
//!
//! - A write that happened spends the key: its answer is kept, sealed, and given byte for byte to every further call with
//!   the key, with `Idempotency-Replayed: true`. That includes a failure after the write (`PostWriteProcessingError`).
//! - A call that surely did nothing lets the key go: faults of the request, of the connection, refusals of the CRM, rate
//!   limits, a CRM that could not be reached. The corrected call may use the same key.
//! - A write of which nobody knows whether it happened leaves the key `uncertain`; so does a gateway that ended midway.
//!   The next call with the key is told of it ([`Claim::earlier`]) and first looks whether the record is there.
//!
//! While a call holds a key it renews a lease. A gateway that is paused for longer than the lease loses the key, and is
//! refused when it then wants to write.
//!
//! What makes two calls the same: operation, path, query but for `dry_run` and `format` (in any order), and the body as
//! JSON (in any order of keys, with any white space).

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::config::Idempotency as Settings;
use crate::error::{Error, Kind, Result};
use crate::model::{Answer, Call, Connection, Context, Earlier, Request, Safety, Secret};
use crate::storage::{self, Claimed, Key, NewClaim, Slot, Store};

/// The header that tells a stored answer from a new one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Headers of an answer that say something about the moment, not about the write.
const MOMENTARY: &str = "x-downstream-ratelimit-";
/// When a call that found another one at work may try again.
const IN_FLIGHT_RETRY_MS: u64 = 1000;

/// The keys, and how to take one.
pub struct Idempotency {
    store: Store,
    settings: Settings,
    hash: hmac::Key,
}

/// What a key says about a call.
#[derive(Debug)]
pub enum Turn {
    /// It was made before: this is the answer.
    Replay(Answer),
    /// It is this call's turn.
    Write(Claim),
}

/// A key held by one call.
pub struct Claim {
    store: Store,
    settings: Settings,
    slot: Slot,
    data_key: Key,
    earlier: Option<Earlier>,
    noted: AtomicBool,
}

impl Idempotency {
    /// The keys of that store.
    ///
    /// # Errors
    /// If the key that hashes them cannot be derived.
    pub fn new(store: Store, settings: Settings) -> std::result::Result<Idempotency, storage::Error> {
        let hash = store.derived_key("idempotency")?.hmac();
        Ok(Idempotency { store, settings, hash })
    }

    /// Takes a key for a call to a connection.
    ///
    /// # Errors
    /// `ConflictError`: another call holds the key, or it was used for another request.
    pub async fn claim(&self, key: &Secret, connection: &Connection, call: &Call) -> Result<Turn> {
        let slot = Slot {
            app: connection.app.clone(),
            connection: connection.id.clone(),
            key_hash: self.hash_of(&[key.expose().as_bytes()]),
            owner: Uuid::now_v7().to_string(),
        };
        let claim = NewClaim {
            slot: &slot,
            consumer: &connection.consumer,
            fingerprint: self.fingerprint(call),
            lease_ms: millis(self.settings.lease),
            keep_ms: millis(self.settings.keep),
        };
        let (claimed, data_key) = self.store.claim_key(&claim).await?;
        let earlier = match claimed {
            Claimed::Fresh => None,
            Claimed::Unknown { first_sent_ms, last_sent_ms, sent } => Some(Earlier {
                first_sent: time(first_sent_ms),
                last_sent: time(last_sent_ms),
                sent: sent.map(|sent| Bytes::copy_from_slice(&sent)),
            }),
            Claimed::InFlight => {
                return Err(conflict("A call with this idempotency key is under way.")
                    .retriable(true)
                    .retry_after_ms(IN_FLIGHT_RETRY_MS));
            }
            Claimed::OtherRequest => {
                return Err(conflict(
                    "This idempotency key was used for another request. Use a new key for each write.",
                ));
            }
            Claimed::Done(stored) => return Ok(Turn::Replay(opened(&stored, connection)?)),
        };
        let noted = AtomicBool::new(false);
        Ok(Turn::Write(Claim {
            store: self.store.clone(),
            settings: self.settings,
            slot,
            data_key,
            earlier,
            noted,
        }))
    }

    /// Forgets keys that have had their time. Call it every minute or so.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn purge(&self) -> Result<()> {
        while self.store.purge_keys().await? > 0 {}
        Ok(())
    }

    fn hash_of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.hash);
        for part in parts {
            // The length goes first, so that no two different lists have the same bytes.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        hash
    }

    fn fingerprint(&self, call: &Call) -> [u8; 32] {
        let mut query: Vec<(String, String)> = url::form_urlencoded::parse(call.raw_query.as_bytes())
            .into_owned()
            .filter(|(name, _)| !matches!(name.as_str(), "dry_run" | "format"))
            .collect();
        query.sort();
        let mut body = Vec::new();
        if let Some(object) = &call.body {
            canonical(&Value::Object(object.clone()), &mut body);
        }
        let operation = call.operation.to_string();
        let mut parts = vec![operation.as_bytes(), call.path.as_bytes(), body.as_slice()];
        parts.extend(query.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
        self.hash_of(&parts)
    }
}

impl std::fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Idempotency").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl Claim {
    /// The earlier try whose outcome is not known, where there was one.
    pub fn earlier(&self) -> Option<&Earlier> {
        self.earlier.as_ref()
    }

    /// Writes down, before the first of these that writes is sent, that it is about to be.
    ///
    /// # Errors
    /// `ConflictError` if the key is another call's by now: then nothing may be sent.
    pub async fn about_to_send(&self, requests: &[Request]) -> Result<()> {
        let Some(request) = requests.iter().find(|request| request.safety == Safety::Write) else {
            return Ok(());
        };
        if self.noted.load(Ordering::Relaxed) {
            return Ok(());
        }
        let sent = request.body.as_deref().filter(|body| body.len() <= self.settings.answer_bytes);
        let lease_ms = millis(self.settings.lease);
        if !self.store.note_sending(&self.slot, &self.data_key, sent, lease_ms).await? {
            return Err(conflict("Another call has taken this idempotency key over.")
                .retriable(true)
                .retry_after_ms(IN_FLIGHT_RETRY_MS));
        }
        self.noted.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Does the work, and holds the key meanwhile.
    pub async fn held<T>(&self, work: impl Future<Output = T>) -> T {
        let renewing = async {
            let mut beat = tokio::time::interval(self.settings.lease / 3);
            beat.tick().await;
            loop {
                beat.tick().await;
                // A beat that fails is followed by another one; whether the key is lost is asked before writing.
                let _ = self.store.renew_key(&self.slot, millis(self.settings.lease)).await;
            }
        };
        tokio::select! {
            done = work => done,
            () = renewing => std::future::pending().await,
        }
    }

    /// What becomes of the key after the call: see the room's rule.
    ///
    /// # Errors
    /// The call's own.
    pub async fn settle(&self, answered: Result<Answer>, context: &Context) -> Result<Answer> {
        let kept = match &answered {
            Ok(answer) => {
                let body = answer.body.whole().map(|body| &**body).unwrap_or_default();
                self.keep(answer.status, &answer.headers, body).await
            }
            Err(error) => match error.outcome() {
                Some("written") => {
                    let headers: Vec<(HeaderName, HeaderValue)> = error
                        .reply_headers()
                        .into_iter()
                        .filter_map(|(name, value)| {
                            Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
                        })
                        .collect();
                    let body = error.body(&context.request_id, &context.public_base).to_string();
                    self.keep(error.http_status(), &headers, body.as_bytes()).await
                }
                outcome => {
                    let ours = error.kind() == Kind::InternalError && self.noted.load(Ordering::Relaxed);
                    let unknown = outcome.is_some() || self.earlier.is_some() || ours;
                    self.store.release_key(&self.slot, !unknown).await
                }
            },
        };
        if let Err(fault) = kept {
            // The caller gets the answer all the same: the row says that a write was sent, and the next call looks.
            tracing::error!(request_id = context.request_id, %fault, "an idempotency key could not be settled");
        }
        answered
    }

    async fn keep(
        &self,
        status: StatusCode,
        headers: &[(HeaderName, HeaderValue)],
        body: &[u8],
    ) -> std::result::Result<(), storage::Error> {
        let headers = headers
            .iter()
            .filter(|(name, _)| !name.as_str().starts_with(MOMENTARY))
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let mut stored = serde_json::to_vec(&Head { status: status.as_u16(), headers })?;
        stored.push(b'\n');
        stored.extend_from_slice(&bounded(body, self.settings.answer_bytes));
        self.store.finish_key(&self.slot, &self.data_key, &stored).await.map(|_| ())
    }
}

/// The first line of a stored answer; the body follows.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

/// A body as it is kept: whole, or without what makes it large.
fn bounded(body: &[u8], limit: usize) -> Vec<u8> {
    if body.len() <= limit {
        return body.to_vec();
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    for member in ["_raw", "meta"] {
        value.as_object_mut().map(|object| object.shift_remove(member));
    }
    // A `Value` always serialises.
    serde_json::to_vec(&value).unwrap_or_default()
}

fn opened(stored: &[u8], connection: &Connection) -> Result<Answer> {
    let malformed = || Error::internal("a stored answer is malformed");
    let at = memchr::memchr(b'\n', stored).ok_or_else(malformed)?;
    let (head, body) = stored.split_at_checked(at).ok_or_else(malformed)?;
    let head: Head = serde_json::from_slice(head).map_err(Error::internal)?;
    let mut headers: Vec<(HeaderName, HeaderValue)> = head
        .headers
        .into_iter()
        .filter_map(|(name, value)| Some((name.parse().ok()?, HeaderValue::try_from(value).ok()?)))
        .collect();
    headers.push((REPLAYED, HeaderValue::from_static("true")));
    let status = StatusCode::from_u16(head.status).map_err(Error::internal)?;
    let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
    Ok(Answer { headers, service: Some(connection.service.clone()), ..Answer::json(status, body) })
}

/// JSON with the keys of every object in order and no white space.
fn canonical(value: &Value, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let mut plain = |value: &Value| drop(serde_json::to_writer(&mut *out, value));
    match value {
        Value::Object(object) => {
            let mut members: Vec<(&String, &Value)> = object.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push(b'{');
            for (name, value) in members {
                drop(serde_json::to_writer(&mut *out, name));
                out.push(b':');
                canonical(value, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(list) => {
            out.push(b'[');
            for value in list {
                canonical(value, out);
                out.push(b',');
            }
            out.push(b']');
        }
        scalar => plain(scalar),
    }
}

fn conflict(says: &str) -> Error {
    Error::new(Kind::ConflictError, says)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN)
}
