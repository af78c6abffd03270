//! Dates and points in time in the formats that CRMs use.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::scan::scalar_text;
use super::{kind_of_raw, only};

/// How the wire spells a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Stamp {
    /// ISO 8601 with `Z` or an offset; written with `Z`.
    Iso,
    /// ISO 8601 with `Z`, whole seconds: for CRMs that take no fraction.
    Seconds,
    /// ISO 8601 written with `+00:00`.
    Offset,
    /// ISO 8601 written with `+0000`.
    BasicOffset,
    /// `Y-m-d H:M:S` in UTC.
    Space,
    /// `Y-m-d H:M:S` in the connection's time zone.
    Local,
    /// Milliseconds since 1970.
    EpochMs,
    /// Seconds since 1970.
    EpochS,
}

/// How the wire spells a calendar date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Day {
    /// `YYYY-MM-DD`.
    Iso,
    /// A point in time, written as midnight UTC.
    Datetime,
    /// Milliseconds of midnight UTC.
    EpochMs,
    /// Seconds of midnight UTC.
    EpochS,
}

/// A point in time as UTC with `Z`.
pub(super) fn read_datetime(
    raw: &str,
    stamp: Stamp,
    zone: Option<&TimeZone>,
    out: &mut Vec<u8>,
) -> Result<bool, String> {
    if stamp == Stamp::Iso && is_utc(raw.as_bytes()) {
        out.extend_from_slice(raw.as_bytes());
        return Ok(true);
    }
    let Some(time) = timestamp(raw, stamp, zone)? else { return Ok(false) };
    out.push(b'"');
    out.extend_from_slice(time.to_string().as_bytes());
    out.push(b'"');
    Ok(true)
}

fn timestamp(raw: &str, stamp: Stamp, zone: Option<&TimeZone>) -> Result<Option<Timestamp>, String> {
    let text = match scalar_text(raw) {
        Some(text) => text,
        None if raw == "null" => return Ok(None),
        None => return Err(format!("a date-time was expected, found {}", kind_of_raw(raw))),
    };
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || "a date-time was expected, found something else".to_owned();
    let time = match stamp {
        Stamp::EpochMs => {
            Timestamp::from_millisecond(text.parse().map_err(|_| wrong())?).map_err(|_| wrong())?
        }
        Stamp::EpochS => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(wrong());
            }
            Timestamp::from_second(whole.parse().map_err(|_| wrong())?).map_err(|_| wrong())?
        }
        Stamp::Space | Stamp::Local => {
            let zone = if stamp == Stamp::Space { Some(&TimeZone::UTC) } else { zone };
            let zone = zone.ok_or("the time zone of the CRM is not known")?;
            // A time that says its own offset is taken at its word.
            if let Ok(time) = text.parse::<Timestamp>() {
                time
            } else {
                let civil: DateTime = text.parse().map_err(|_| wrong())?;
                zone.to_ambiguous_zoned(civil).compatible().map_err(|_| wrong())?.timestamp()
            }
        }
        Stamp::Iso | Stamp::Seconds | Stamp::Offset | Stamp::BasicOffset => {
            text.parse().map_err(|_| match text.parse::<DateTime>() {
                Ok(_) => "a date-time with a time zone was expected, found one without".to_owned(),
                Err(_) => wrong(),
            })?
        }
    };
    Ok(Some(time))
}

/// A calendar date as `YYYY-MM-DD`.
pub(super) fn read_date(raw: &str, day: Day, out: &mut Vec<u8>) -> Result<bool, String> {
    let date = match day {
        Day::EpochMs | Day::EpochS => {
            let stamp = if day == Day::EpochMs { Stamp::EpochMs } else { Stamp::EpochS };
            // Some CRMs answer with the date's text though they take milliseconds.
            match read_plain_date(raw) {
                Some(date) => date,
                None => match timestamp(raw, stamp, None)? {
                    Some(time) => TimeZone::UTC.to_datetime(time).date(),
                    None => return Ok(false),
                },
            }
        }
        Day::Iso | Day::Datetime => match read_plain_date(raw) {
            Some(date) => date,
            None => match timestamp(raw, Stamp::Space, None).map_err(|m| m.replace("date-time", "date"))? {
                Some(time) => TimeZone::UTC.to_datetime(time).date(),
                None => return Ok(false),
            },
        },
    };
    out.extend_from_slice(format!("\"{date}\"").as_bytes());
    Ok(true)
}

fn read_plain_date(raw: &str) -> Option<Date> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.len() == 10 { inner.parse().ok() } else { None }
}

/// Whether a raw text is already `YYYY-MM-DDTHH:MM:SS[.fraction]Z` with real numbers in it.
fn is_utc(raw: &[u8]) -> bool {
    let [
        b'"',
        y0,
        y1,
        y2,
        y3,
        b'-',
        m0,
        m1,
        b'-',
        d0,
        d1,
        b'T',
        h0,
        h1,
        b':',
        n0,
        n1,
        b':',
        s0,
        s1,
        rest @ ..,
    ] = raw
    else {
        return false;
    };
    let digits = [y0, y1, y2, y3, m0, m1, d0, d1, h0, h1, n0, n1, s0, s1];
    if !digits.iter().all(|digit| digit.is_ascii_digit()) {
        return false;
    }
    let two = |a: &u8, b: &u8| u32::from(a - b'0') * 10 + u32::from(b - b'0');
    let year = two(y0, y1) * 100 + two(y2, y3);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match two(m0, m1) {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    let in_range =
        (1..=days).contains(&two(d0, d1)) && two(h0, h1) < 24 && two(n0, n1) < 60 && two(s0, s1) < 60;
    let end = match rest {
        [b'Z', b'"'] => true,
        [b'.', fraction @ .., b'Z', b'"'] => {
            (1..=9).contains(&fraction.len()) && fraction.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    in_range && end && year > 0
}

/// A point in time of a body in the wire's spelling, and whether a fraction of a second was dropped.
pub(super) fn write_datetime(
    value: &Value,
    stamp: Stamp,
    text: bool,
    zone: Option<&TimeZone>,
) -> Result<(Value, bool), String> {
    let Value::String(given) = value else { return Err(only("a date-time as text", value)) };
    let time: Timestamp =
        given.parse().map_err(|_| "a date-time such as 2031-05-17T09:30:00Z is needed".to_owned())?;
    let millisecond = time.as_millisecond().rem_euclid(1000) != 0;
    let finer = time.as_nanosecond().rem_euclid(1_000_000) != 0;
    let number = |value: i64| if text { Value::from(value.to_string()) } else { Value::from(value) };
    Ok(match stamp {
        Stamp::Iso => (Value::from(time.to_string()), false),
        Stamp::Seconds => {
            let whole = Timestamp::from_second(time.as_millisecond().div_euclid(1000));
            let whole = whole.map_err(|_| "the date-time is out of range")?;
            (Value::from(whole.to_string()), millisecond || finer)
        }
        Stamp::Offset => (Value::from(time.to_string().replace('Z', "+00:00")), false),
        Stamp::BasicOffset => (Value::from(time.to_string().replace('Z', "+0000")), false),
        Stamp::EpochMs => (number(time.as_millisecond()), finer),
        Stamp::EpochS => {
            let rounded = time.as_millisecond().div_euclid(1000);
            (number(rounded), millisecond || finer)
        }
        Stamp::Space | Stamp::Local => {
            let zone = if stamp == Stamp::Space { Some(&TimeZone::UTC) } else { zone };
            let zone = zone.ok_or("the time zone of the CRM must be known to write a time")?;
            let floor =
                SignedDuration::from_nanos(i64::from(time.subsec_nanosecond().rem_euclid(1_000_000_000)));
            let civil =
                zone.to_datetime(time.checked_sub(floor).map_err(|_| "the date-time is out of range")?);
            (Value::from(civil.strftime("%Y-%m-%d %H:%M:%S").to_string()), millisecond || finer)
        }
    })
}

/// A calendar date of a body in the wire's spelling.
pub(super) fn write_date(value: &Value, day: Day, text: bool) -> Result<Value, String> {
    let Value::String(given) = value else { return Err(only("a date as text", value)) };
    let wrong = || "a date such as 2031-05-17 is needed".to_owned();
    let date: Date = match given.parse::<Date>() {
        Ok(date) if given.len() == 10 => date,
        // Some SDKs send midnight for a date; any other time would be dropped silently.
        _ => {
            let time: Timestamp = given.parse().map_err(|_| wrong())?;
            let civil = TimeZone::UTC.to_datetime(time);
            if civil.time() != jiff::civil::Time::midnight() {
                return Err(wrong());
            }
            civil.date()
        }
    };
    let midnight =
        || date.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| wrong());
    let number = |value: i64| if text { Value::from(value.to_string()) } else { Value::from(value) };
    Ok(match day {
        Day::Iso => Value::from(date.to_string()),
        Day::Datetime => Value::from(midnight()?.to_string()),
        Day::EpochMs => number(midnight()?.as_millisecond()),
        Day::EpochS => number(midnight()?.as_second()),
    })
}
