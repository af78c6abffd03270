//! A list that the gateway sorts: all of it is read, ordered, and handed out by what follows a record.

use std::cmp::Ordering;

use serde_json::Value;

use super::meaning::{self, Order};
use crate::cursor::{Keyset, Position};

/// A record that passed the filters.
#[derive(Debug)]
pub struct Kept {
    /// The value that it is sorted by, as text; none where it has none.
    pub key: Option<String>,
    /// Its id.
    pub id: String,
    /// Its JSON.
    pub json: Vec<u8>,
}

/// The value of a record that it is sorted by.
pub fn key(record: &Value, field: &str) -> Option<String> {
    let mut found = None;
    meaning::each(record, field, &mut |value| found = found.take().or_else(|| meaning::text(value)));
    found.filter(|text| !text.is_empty())
}

/// Orders records: those without a value last, whichever the direction; equal ones by id.
pub fn sort(kept: &mut [Kept], order: Order, descending: bool) {
    kept.sort_by(|a, b| compare((&a.key, a.id.as_str()), (&b.key, b.id.as_str()), order, descending));
}

/// How many records of an ordered list stand at or before a position.
pub fn passed(kept: &[Kept], at: &Position, order: Order, descending: bool) -> usize {
    let (key, id) = match at {
        Position::Keyset(Keyset::Ties { key, id: Some(id) }) => (Some(key.clone()), id),
        Position::Keyset(Keyset::Without { id: Some(id) }) => (None, id),
        _ => return 0,
    };
    kept.partition_point(|kept| {
        compare((&kept.key, kept.id.as_str()), (&key, id.as_str()), order, descending) != Ordering::Greater
    })
}

/// The position behind a record.
pub fn behind(kept: &Kept) -> Position {
    let id = Some(kept.id.clone());
    Position::Keyset(match &kept.key {
        Some(key) => Keyset::Ties { key: key.clone(), id },
        None => Keyset::Without { id },
    })
}

fn compare(
    a: (&Option<String>, &str),
    b: (&Option<String>, &str),
    order: Order,
    descending: bool,
) -> Ordering {
    let keys = match (a.0, b.0) {
        (Some(a), Some(b)) => {
            let keys = by_key(a, b, order);
            if descending { keys.reverse() } else { keys }
        }
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    keys.then_with(|| by_id(a.1, b.1))
}

fn by_key(a: &str, b: &str, order: Order) -> Ordering {
    match order {
        Order::Text => a.to_lowercase().cmp(&b.to_lowercase()),
        // What cannot be read as a number or time comes before all that can.
        Order::Number => a
            .parse::<f64>()
            .ok()
            .map_or(f64::NEG_INFINITY, |a| a)
            .total_cmp(&b.parse::<f64>().ok().map_or(f64::NEG_INFINITY, |b| b)),
        Order::Time => a.parse::<jiff::Timestamp>().ok().cmp(&b.parse::<jiff::Timestamp>().ok()),
    }
}

/// Ids that are numbers by their size, all others by their text.
fn by_id(a: &str, b: &str) -> Ordering {
    let number = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    match (number(a), number(b)) {
        (true, true) => (a.len(), a).cmp(&(b.len(), b)),
        (a_is, b_is) => b_is.cmp(&a_is).then_with(|| a.cmp(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_without_a_value_come_last_and_equal_ones_by_id() {
        let rows = [(None, "3"), (Some("b"), "10"), (Some("B"), "9"), (Some("a"), "4"), (None, "20")];
        let mut kept: Vec<Kept> = rows
            .iter()
            .map(|(key, id)| Kept { key: key.map(str::to_owned), id: (*id).to_owned(), json: Vec::new() })
            .collect();
        let ids = |kept: &[Kept]| kept.iter().map(|kept| kept.id.clone()).collect::<Vec<_>>().join(" ");
        sort(&mut kept, Order::Text, false);
        assert_eq!(ids(&kept), "4 9 10 3 20");
        for (index, record) in kept.iter().enumerate() {
            assert_eq!(passed(&kept, &behind(record), Order::Text, false), index + 1);
        }
        assert_eq!(passed(&kept, &Position::Start, Order::Text, false), 0);
        sort(&mut kept, Order::Text, true);
        assert_eq!(ids(&kept), "9 10 4 3 20");
        let times = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"];
        assert_eq!(by_key(times[0], times[1], Order::Time), Ordering::Less);
        assert_eq!(by_key("9", "10", Order::Number), Ordering::Less);
    }
}
