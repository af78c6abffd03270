//! Rate limits in this process: so many calls a minute for each key and each consumer, evenly refilled.
//!
//! The generic cell rate algorithm: one number for each subject, the moment at which its allowance is whole again.
//! A subject whose moment has passed need not be remembered, so what is kept is bounded without losing anything.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

/// A minute, the window of all limits, in nanoseconds.
const WINDOW_NS: u64 = 60_000_000_000;
/// Locks that subjects share.
const SHARDS: usize = 64;
/// Subjects kept behind one lock before those with a whole allowance are forgotten.
const CROWD: usize = 4096;

/// So many calls a minute of each subject.
#[derive(Debug)]
pub struct Limiter {
    calls: u64,
    shards: Vec<Mutex<HashMap<u64, u64>>>,
}

/// Where a subject stands after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Calls a minute.
    pub limit: u64,
    /// Calls that may follow at once.
    pub remaining: u64,
    /// Seconds until the allowance is whole again, rounded up.
    pub reset_s: u64,
    /// None where the call was let through, else milliseconds until one would be.
    pub wait_ms: Option<u64>,
}

impl Limiter {
    /// A limit of that many calls a minute, at least one.
    pub fn new(calls: u32) -> Limiter {
        Limiter { calls: u64::from(calls.max(1)), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Takes one call of the subject; `now_ns` is a clock that never goes back.
    pub fn take(&self, subject: &impl Hash, now_ns: u64) -> Standing {
        let mut hasher = DefaultHasher::new();
        subject.hash(&mut hasher);
        let subject = hasher.finish();
        let each_ns = WINDOW_NS / self.calls;
        let shard = usize::try_from(subject % SHARDS as u64).unwrap_or(0);
        let Some(shard) = self.shards.get(shard) else { return self.standing(now_ns, now_ns, None) };
        let mut whole_at = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let known = whole_at.get(&subject).copied().unwrap_or(0).max(now_ns);
        let after = known + each_ns;
        if after > now_ns + WINDOW_NS {
            return self.standing(known, now_ns, Some((after - now_ns - WINDOW_NS).div_ceil(1_000_000)));
        }
        if whole_at.len() >= CROWD && !whole_at.contains_key(&subject) {
            whole_at.retain(|_, moment| *moment > now_ns);
        }
        whole_at.insert(subject, after);
        self.standing(after, now_ns, None)
    }

    fn standing(&self, whole_at: u64, now_ns: u64, wait_ms: Option<u64>) -> Standing {
        let used_ns = whole_at.saturating_sub(now_ns);
        let each_ns = WINDOW_NS / self.calls;
        Standing {
            limit: self.calls,
            remaining: WINDOW_NS.saturating_sub(used_ns) / each_ns.max(1),
            reset_s: used_ns.div_ceil(1_000_000_000),
            wait_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_minutes_calls_come_at_once_and_then_evenly() {
        let limiter = Limiter::new(6);
        let start = 5 * SECOND;
        for left in [5, 4, 3, 2, 1, 0] {
            let standing = limiter.take(&"key", start);
            assert_eq!((standing.remaining, standing.wait_ms), (left, None));
        }
        let refused = limiter.take(&"key", start);
        assert_eq!(refused, Standing { limit: 6, remaining: 0, reset_s: 60, wait_ms: Some(10_000) });
        assert_eq!(limiter.take(&"key", start + 9 * SECOND).wait_ms, Some(1_000));
        assert_eq!(limiter.take(&"key", start + 10 * SECOND).wait_ms, None, "one every ten seconds");
        assert!(limiter.take(&"key", start + 10 * SECOND).wait_ms.is_some());
        assert_eq!(limiter.take(&"key", start + 200 * SECOND).remaining, 5, "whole again");
        assert_eq!(limiter.take(&"other", start).remaining, 5, "each for itself");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let limiter = Limiter::new(60);
        for subject in 0..600_000_u64 {
            limiter.take(&subject, subject * SECOND);
        }
        let kept: usize = limiter.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept <= SHARDS * CROWD, "{kept}");
    }
}
