//! What rate-limited connections were told: until the CRM's pause is over, asking again would only prolong it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::model::{ConnectionId, Reply};

/// Connections remembered; beyond that a pause is not remembered, and the CRM says it again itself.
const PAUSES_MAX: usize = 10_000;
/// The longest pause that is taken at its word: after it one request goes through, to see.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The longest reply body kept to be repeated.
const BODY_MAX: usize = 2048;

#[derive(Debug)]
struct Pause {
    until: Instant,
    headers: HeaderMap,
    body: Bytes,
}

/// Pauses by connection.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// How many there are: a call takes the lock only when there is one.
    count: AtomicUsize,
    by_connection: Mutex<HashMap<ConnectionId, Pause>>,
}

impl Pauses {
    /// How long the connection still has to pause, and the reply that stands for the CRM's own meanwhile: 429 with what
    /// the CRM said and a `Retry-After` in seconds, rounded up.
    pub(super) fn of(&self, connection: &ConnectionId, now: Instant) -> Option<(Duration, Reply)> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut pauses = self.by_connection.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = pauses.get(connection)?;
        let rest = pause.until.saturating_duration_since(now);
        if rest.is_zero() {
            pauses.remove(connection);
            self.count.store(pauses.len(), Ordering::Release);
            return None;
        }
        let mut headers = pause.headers.clone();
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds_up(rest)));
        let reply = Reply {
            status: StatusCode::TOO_MANY_REQUESTS,
            headers,
            body: pause.body.clone(),
            elapsed: Duration::ZERO,
        };
        Some((rest, reply))
    }

    /// Remembers that the CRM asked the connection to wait. The body is kept only of a refusal, to be repeated.
    pub(super) fn add(&self, connection: &ConnectionId, now: Instant, wait: Duration, reply: &Reply) {
        if wait.is_zero() {
            return;
        }
        let until = now + wait.min(PAUSE_MAX);
        let refused = reply.status == StatusCode::TOO_MANY_REQUESTS;
        let body = if refused && reply.body.len() <= BODY_MAX { reply.body.clone() } else { Bytes::new() };
        let mut pauses = self.by_connection.lock().unwrap_or_else(PoisonError::into_inner);
        if pauses.len() >= PAUSES_MAX {
            pauses.retain(|_, pause| pause.until > now);
        }
        let earlier = pauses.get(connection).map(|pause| pause.until);
        if earlier.is_none_or(|earlier| earlier < until) && (earlier.is_some() || pauses.len() < PAUSES_MAX) {
            let headers = if refused { reply.headers.clone() } else { HeaderMap::new() };
            pauses.insert(connection.clone(), Pause { until, headers, body });
        }
        self.count.store(pauses.len(), Ordering::Release);
    }
}

/// Whole seconds, rounded up, at least one.
fn seconds_up(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16) -> Reply {
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("30"))]),
            body: Bytes::from_static(b"slow down"),
            elapsed: Duration::from_millis(3),
        }
    }

    #[test]
    fn a_pause_repeats_what_the_crm_said_until_it_is_over() {
        let (pauses, now) = (Pauses::default(), Instant::now());
        let (paused, other) = (ConnectionId::new("a"), ConnectionId::new("b"));
        pauses.add(&paused, now, Duration::from_secs(30), &reply(429));
        let (rest, held) = pauses.of(&paused, now + Duration::from_millis(500)).unwrap();
        assert_eq!(rest, Duration::from_millis(29_500));
        assert_eq!(held.status, 429);
        assert_eq!(held.headers.get(RETRY_AFTER).unwrap(), "30");
        assert_eq!(&held.body[..], b"slow down");
        assert!(pauses.of(&other, now).is_none());
        assert!(pauses.of(&paused, now + Duration::from_secs(30)).is_none());
        assert_eq!(pauses.count.load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_shorter_pause_does_not_replace_a_longer_and_none_outlasts_the_limit() {
        let (pauses, now) = (Pauses::default(), Instant::now());
        let id = ConnectionId::new("a");
        pauses.add(&id, now, Duration::from_secs(86_400), &reply(429));
        pauses.add(&id, now, Duration::from_secs(1), &reply(429));
        assert_eq!(pauses.of(&id, now).unwrap().0, PAUSE_MAX);
    }

    #[test]
    fn a_used_up_limit_on_a_success_keeps_no_body() {
        let (pauses, now) = (Pauses::default(), Instant::now());
        let id = ConnectionId::new("a");
        pauses.add(&id, now, Duration::from_secs(2), &reply(200));
        let held = pauses.of(&id, now).unwrap().1;
        assert_eq!(held.status, 429);
        assert!(held.body.is_empty());
        assert_eq!(held.headers.get(RETRY_AFTER).unwrap(), "2");
    }

    #[test]
    fn memory_is_bounded() {
        let (pauses, now) = (Pauses::default(), Instant::now());
        for n in 0..PAUSES_MAX + 5 {
            pauses.add(&ConnectionId::new(n.to_string()), now, Duration::from_secs(9), &reply(429));
        }
        assert_eq!(pauses.count.load(Ordering::Acquire), PAUSES_MAX);
        assert!(pauses.of(&ConnectionId::new("0"), now).is_some());
        let later = now + Duration::from_secs(10);
        pauses.add(&ConnectionId::new("new"), later, Duration::from_secs(9), &reply(429));
        assert_eq!(pauses.count.load(Ordering::Acquire), 1);
    }
}
