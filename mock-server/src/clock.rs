//! The wall clock and the vendors' date formats. All instants are milliseconds since 1970, UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds of one day.
pub const DAY_MS: i64 = 86_400_000;

/// The present instant.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        .unwrap_or(0)
}

/// Year, month and day of a count of days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// `2026-01-31T08:05:09.123Z`.
pub fn iso_ms(ms: i64) -> String {
    let (y, m, d) = civil(ms.div_euclid(DAY_MS));
    let t = ms.rem_euclid(DAY_MS);
    format!(
        "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}.{:03}Z",
        t / 3_600_000,
        t / 60_000 % 60,
        t / 1000 % 60,
        t % 1000
    )
}

/// `2026-01-31T08:05:09Z`.
pub fn iso_s(ms: i64) -> String {
    let (y, m, d) = civil(ms.div_euclid(DAY_MS));
    let t = ms.rem_euclid(DAY_MS);
    format!("{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}Z", t / 3_600_000, t / 60_000 % 60, t / 1000 % 60)
}

/// `2026-01-31 08:05:09`.
pub fn spaced(ms: i64) -> String {
    let (y, m, d) = civil(ms.div_euclid(DAY_MS));
    let t = ms.rem_euclid(DAY_MS);
    format!("{y:04}-{m:02}-{d:02} {:02}:{:02}:{:02}", t / 3_600_000, t / 60_000 % 60, t / 1000 % 60)
}

/// `2026-01-31`.
pub fn date(ms: i64) -> String {
    let (y, m, d) = civil(ms.div_euclid(DAY_MS));
    format!("{y:04}-{m:02}-{d:02}")
}

/// Reads RFC 3339 with any offset, `YYYY-MM-DD HH:MM:SS` (taken as UTC) or `YYYY-MM-DD` (midnight UTC).
pub fn parse(text: &str) -> Option<i64> {
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Some(stamp.as_millisecond());
    }
    if let Ok(stamp) = text.parse::<jiff::civil::DateTime>() {
        return stamp.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_millisecond());
    }
    None
}

/// Reads a strict `YYYY-MM-DD`.
pub fn parse_date(text: &str) -> Option<i64> {
    (text.len() == 10).then(|| text.parse::<jiff::civil::Date>().ok()).flatten().and_then(|_| parse(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_parses_before_and_after_1970() {
        for text in ["1905-03-01T23:59:59.001Z", "1970-01-01T00:00:00.000Z", "2024-02-29T12:30:01.999Z"] {
            assert_eq!(iso_ms(parse(text).unwrap()), text);
        }
        assert_eq!(parse("2026-01-31 08:05:09"), parse("2026-01-31T08:05:09Z"));
        assert_eq!(parse("2026-01-31T10:05:09+02:00"), parse("2026-01-31T08:05:09Z"));
        assert_eq!(date(parse_date("1899-12-31").unwrap()), "1899-12-31");
        assert_eq!(parse_date("2026-02-30"), None);
        assert_eq!(spaced(0), "1970-01-01 00:00:00");
        assert_eq!(iso_s(1000), "1970-01-01T00:00:01Z");
    }
}
