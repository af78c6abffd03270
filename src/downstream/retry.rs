//! What is repeated, and when.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::attempt::Fault;
use crate::model::{LimitHeaders, Policy, Reply, ResetUnit, Safety};

/// Whether a request may be sent again: the table. `timeouts` counts those so far, this one included.
pub(super) fn may_repeat(
    safety: Safety,
    ended: &Result<Reply, Fault>,
    timeouts: u32,
    policy: &Policy,
) -> bool {
    use Safety::{Read, Repeatable, Write};
    match (ended, safety) {
        (Err(Fault::Blocked(_)), _) => false,
        (Err(Fault::Unreachable(_)), _) => true,
        (Err(Fault::Dropped(_)), Read | Repeatable) => true,
        (Err(Fault::Dropped(_)), Write) => false,
        (Err(Fault::TimedOut(_)), Read | Repeatable) => timeouts <= 1,
        (Err(Fault::TimedOut(_)), Write) => false,
        (Err(Fault::TooLarge(_)), _) => false,
        (Ok(reply), Read | Repeatable) => policy.retry_read.contains(&reply.status),
        (Ok(reply), Write) => policy.retry_write.contains(&reply.status) || said_untouched(reply, policy),
    }
}

/// Whether the reply is the 503 with `Retry-After` by which this CRM says that it did nothing.
fn said_untouched(reply: &Reply, policy: &Policy) -> bool {
    policy.unavailable_is_untouched
        && reply.status == StatusCode::SERVICE_UNAVAILABLE
        && reply.headers.contains_key(RETRY_AFTER)
}

/// How long to wait before attempt `number + 1`: as long as the CRM asks, else a doubling backoff of which up to half
/// is random. `random` is in 0..1.
pub(super) fn wait(
    ended: &Result<Reply, Fault>,
    policy: &Policy,
    number: u32,
    now: SystemTime,
    random: f64,
) -> Duration {
    if let Some(asked) = ended.as_ref().ok().and_then(|reply| asked_to_wait(reply, policy, now)) {
        return asked;
    }
    let doubled = policy.backoff.saturating_mul(2_u32.saturating_pow(number.saturating_sub(1)));
    let longest = doubled.min(policy.backoff_max);
    longest / 2 + (longest / 2).mul_f64(random.clamp(0.0, 1.0))
}

/// How long the CRM asks this connection to wait: `Retry-After` of a refusal, or the reset of a limit with nothing left.
pub(super) fn asked_to_wait(reply: &Reply, policy: &Policy, now: SystemTime) -> Option<Duration> {
    let refused = matches!(reply.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let after = (refused && policy.honour_retry_after).then(|| retry_after(&reply.headers, now)).flatten();
    after.or_else(|| policy.limits.iter().filter_map(|limit| until_reset(&reply.headers, limit, now)).max())
}

/// `Retry-After`: seconds or an HTTP date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let then: Timestamp = DateTimeParser::new().parse_timestamp(text).ok()?;
    let then = UNIX_EPOCH + Duration::from_secs(u64::try_from(then.as_second()).ok()?);
    Some(then.duration_since(now).unwrap_or_default())
}

/// How long until a limit with nothing remaining is reset.
fn until_reset(headers: &HeaderMap, limit: &LimitHeaders, now: SystemTime) -> Option<Duration> {
    if number(headers, &limit.remaining)? > 0.0 {
        return None;
    }
    let reset = number(headers, &limit.reset)?;
    match limit.unit {
        ResetUnit::Seconds => Duration::try_from_secs_f64(reset).ok(),
        ResetUnit::Milliseconds => Duration::try_from_secs_f64(reset / 1000.0).ok(),
        ResetUnit::Epoch => {
            let since = now.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
            Duration::try_from_secs_f64((reset - since).max(0.0)).ok()
        }
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<f64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    const NOW: u64 = 1_445_412_480; // Wed, 21 Oct 2015 07:28:00 GMT

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn reply(status: u16, headers: &[(&str, &str)]) -> Result<Reply, Fault> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Reply { status, headers, body: Bytes::new(), elapsed: Duration::ZERO })
    }

    #[test]
    fn what_is_repeated_row_by_row() {
        let usual = Policy::default();
        let untouched = Policy { unavailable_is_untouched: true, ..Policy::default() };
        let not_sent = || Err(Fault::Unreachable("refused".to_owned()));
        let dropped = || Err(Fault::Dropped("reset".to_owned()));
        let late = || Err(Fault::TimedOut(Duration::from_secs(1)));
        let rows = [
            ("blocked", Err(Fault::Blocked("address".to_owned())), 0, &usual, false, false),
            ("not sent", not_sent(), 0, &usual, true, true),
            ("dropped", dropped(), 0, &usual, true, false),
            ("timed out once", late(), 1, &usual, true, false),
            ("timed out twice", late(), 2, &usual, false, false),
            ("too large", Err(Fault::TooLarge(1)), 0, &usual, false, false),
            ("200", reply(200, &[]), 0, &usual, false, false),
            ("302", reply(302, &[]), 0, &usual, false, false),
            ("400", reply(400, &[]), 0, &usual, false, false),
            ("401", reply(401, &[]), 0, &usual, false, false),
            ("429", reply(429, &[]), 0, &usual, true, true),
            ("500", reply(500, &[]), 0, &usual, false, false),
            ("502", reply(502, &[]), 0, &usual, true, false),
            ("503", reply(503, &[]), 0, &usual, true, false),
            ("503, later", reply(503, &[("retry-after", "1")]), 0, &usual, true, false),
            ("503 of a CRM that then did nothing", reply(503, &[]), 0, &untouched, true, false),
            ("the same, later", reply(503, &[("retry-after", "1")]), 0, &untouched, true, true),
            ("504", reply(504, &[]), 0, &usual, true, false),
        ];
        for (what, outcome, timeouts, policy, read, write) in rows {
            assert_eq!(may_repeat(Safety::Read, &outcome, timeouts, policy), read, "read: {what}");
            assert_eq!(
                may_repeat(Safety::Repeatable, &outcome, timeouts, policy),
                read,
                "repeatable: {what}"
            );
            assert_eq!(may_repeat(Safety::Write, &outcome, timeouts, policy), write, "write: {what}");
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_limit_and_half_of_it_is_random() {
        let policy = Policy {
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_millis(1000),
            ..Policy::default()
        };
        let failed = Err(Fault::Unreachable(String::new()));
        let ms = |number, random| wait(&failed, &policy, number, now(), random).as_millis();
        assert_eq!((ms(1, 0.0), ms(1, 1.0)), (50, 100));
        assert_eq!((ms(2, 0.0), ms(2, 1.0)), (100, 200));
        assert_eq!((ms(5, 0.0), ms(5, 1.0)), (500, 1000));
        assert_eq!(ms(4_000_000_000, 1.0), 1000);
    }

    #[test]
    fn how_long_the_crm_asks_to_wait_row_by_row() {
        let name = |name: &'static str| HeaderName::from_static(name);
        let limits = vec![
            LimitHeaders { remaining: name("x-left"), reset: name("x-reset"), unit: ResetUnit::Seconds },
            LimitHeaders { remaining: name("x-daily-left"), reset: name("x-at"), unit: ResetUnit::Epoch },
            LimitHeaders { remaining: name("x-left"), reset: name("x-ms"), unit: ResetUnit::Milliseconds },
        ];
        let policy = Policy { limits, ..Policy::default() };
        type Headers = &'static [(&'static str, &'static str)];
        let rows: [(u16, Headers, Option<u64>); 17] = [
            (429, &[("retry-after", "3")], Some(3000)),
            (429, &[("retry-after", " 3 ")], Some(3000)),
            (429, &[("retry-after", "0.25")], Some(250)),
            (429, &[("retry-after", "Wed, 21 Oct 2015 07:28:05 GMT")], Some(5000)),
            (429, &[("retry-after", "Wed, 21 Oct 2015 07:27:00 GMT")], Some(0)),
            (503, &[("retry-after", "2")], Some(2000)),
            (429, &[("retry-after", "-1")], None),
            (429, &[("retry-after", "soon")], None),
            (429, &[], None),
            (200, &[("retry-after", "3")], None),
            (200, &[("x-left", "0"), ("x-reset", "2")], Some(2000)),
            (200, &[("x-left", "1"), ("x-reset", "2")], None),
            (200, &[("x-left", "0")], None),
            (429, &[("x-daily-left", "0"), ("x-at", "1445412487")], Some(7000)),
            (200, &[("x-left", "0"), ("x-ms", "1500")], Some(1500)),
            (
                200,
                &[("x-left", "0"), ("x-reset", "2"), ("x-daily-left", "0"), ("x-at", "1445412487")],
                Some(7000),
            ),
            (429, &[("retry-after", "1"), ("x-left", "0"), ("x-reset", "9")], Some(1000)),
        ];
        for (status, headers, ms) in rows {
            let outcome = reply(status, headers);
            let asked = asked_to_wait(outcome.as_ref().unwrap(), &policy, now());
            assert_eq!(asked, ms.map(Duration::from_millis), "{status} {headers:?}");
        }
        let deaf = Policy { honour_retry_after: false, ..Policy::default() };
        assert_eq!(asked_to_wait(reply(429, &[("retry-after", "3")]).as_ref().unwrap(), &deaf, now()), None);
    }
}
