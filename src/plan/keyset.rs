//! Keyset paging: where to go on in a list ordered by a key, exact whatever is inserted meanwhile.
//!
//! A list without a sort is read by id. A sorted one is read in three parts: records with a key, in its order, up to the
//! last group of equal keys that is surely complete; a group too large for a page, by id within the group; and at the
//! end the records without a key, by id. Every step asks for what follows a known point, so there is no window that a
//! CRM could cap, and no offset that an insert could shift.

use serde_json::{Value, json};

use crate::connector::compile::SortPlan;
use crate::connector::manifest::KeysetOps;
use crate::connector::template::JsonTemplate;
use crate::cursor::Keyset;
use crate::mapping::Writing;

/// What a connector says about keyset paging.
#[derive(Debug)]
pub struct Language<'a> {
    /// The id's name.
    pub id_name: &'a str,
    /// `{name} {op} {value}`.
    pub clause: &'a JsonTemplate,
    /// `{name} {op}`.
    pub bare_clause: &'a JsonTemplate,
    /// The comparisons.
    pub ops: &'a KeysetOps,
}

/// What to ask for.
#[derive(Debug, PartialEq)]
pub struct Ask {
    /// Clauses beside those of the filters.
    pub clauses: Vec<Value>,
    /// The CRM's name of what to order by.
    pub sort: String,
    /// Whether descending.
    pub descending: bool,
}

/// Where a list begins.
pub fn start(sorted: bool) -> Keyset {
    if sorted { Keyset::Values { key: None } } else { Keyset::ById { id: None } }
}

/// The query that goes on from a point.
///
/// # Errors
/// If a key cannot be said in the CRM's words.
pub fn ask(at: &Keyset, sort: Option<(&SortPlan, bool)>, language: &Language<'_>) -> Result<Ask, String> {
    let by_id = |clauses: Vec<Value>| Ask { clauses, sort: language.id_name.to_owned(), descending: false };
    let after_id = |id: &Option<String>| {
        id.as_ref().and_then(|id| compare(language, language.id_name, &language.ops.gt, id))
    };
    let (plan, descending) = match (at, sort) {
        (Keyset::ById { id }, _) | (Keyset::Without { id } | Keyset::Ties { id, .. }, None) => {
            return Ok(by_id(after_id(id).into_iter().collect()));
        }
        (Keyset::Values { .. }, None) => return Ok(by_id(Vec::new())),
        (_, Some(sort)) => sort,
    };
    let wire = |key: &str| match &plan.codec {
        Some(codec) => codec
            .write(&Value::from(key), &Writing::default())
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        None => Ok(key.to_owned()),
    };
    Ok(match at {
        Keyset::Values { key: Some(key) } => {
            let op = if descending { &language.ops.lt } else { &language.ops.gt };
            let clauses = compare(language, &plan.by, op, &wire(key)?).into_iter().collect();
            Ask { clauses, sort: plan.by.clone(), descending }
        }
        Keyset::Values { key: None } => Ask {
            clauses: bare(language, &plan.by, &language.ops.has).into_iter().collect(),
            sort: plan.by.clone(),
            descending,
        },
        Keyset::Ties { key, id } => by_id(
            compare(language, &plan.by, &language.ops.eq, &wire(key)?)
                .into_iter()
                .chain(after_id(id))
                .collect(),
        ),
        Keyset::Without { id } => {
            by_id(bare(language, &plan.by, &language.ops.lacks).into_iter().chain(after_id(id)).collect())
        }
        Keyset::ById { id } => by_id(after_id(id).into_iter().collect()),
    })
}

fn compare(language: &Language<'_>, name: &str, op: &str, value: &str) -> Option<Value> {
    language.clause.render(&|key: &str| match key {
        "name" => Some(json!(name)),
        "op" => Some(json!(op)),
        "value" => Some(json!(value)),
        _ => None,
    })
}

fn bare(language: &Language<'_>, name: &str, op: &str) -> Option<Value> {
    language.bare_clause.render(&|key: &str| match key {
        "name" => Some(json!(name)),
        "op" => Some(json!(op)),
        _ => None,
    })
}

/// One record of a page: its key and id.
pub type Row = (Option<String>, Option<String>);

/// How many records of a page to take, and where to go on; none at the end.
///
/// `asked` is how many were asked for, `wanted` how many may be taken.
pub fn advance(at: &Keyset, rows: &[Row], asked: usize, wanted: usize) -> (usize, Option<Keyset>) {
    let full = rows.len() >= asked;
    let take = rows.len().min(wanted);
    let more = full || take < rows.len();
    // The last id taken; a record without one cannot be gone on from, so the nearest before it serves.
    let last_id = |before: &Option<String>| {
        rows.iter().take(take).rev().find_map(|(_, id)| id.clone()).or_else(|| before.clone())
    };
    match at {
        Keyset::ById { id } => (take, more.then(|| Keyset::ById { id: last_id(id) })),
        Keyset::Without { id } => (take, more.then(|| Keyset::Without { id: last_id(id) })),
        Keyset::Ties { key, id } if more => (take, Some(Keyset::Ties { key: key.clone(), id: last_id(id) })),
        Keyset::Ties { key, .. } => (take, Some(Keyset::Values { key: Some(key.clone()) })),
        Keyset::Values { .. } => {
            if !more {
                return (take, Some(Keyset::Without { id: None }));
            }
            // Groups that are surely complete end where a record with another key follows.
            let key_at = |index: usize| rows.get(index).map(|(key, _)| key.clone().unwrap_or_default());
            // CRMs that compare texts whatever their case have them as one group: none is complete before the last of it.
            let group_at = |index: usize| key_at(index).map(|key| key.to_lowercase());
            let mut complete = take;
            while complete > 0 && (complete >= rows.len() || group_at(complete) == group_at(complete - 1)) {
                complete -= 1;
            }
            match (complete.checked_sub(1).and_then(key_at), key_at(0)) {
                (Some(key), _) => (complete, Some(Keyset::Values { key: Some(key) })),
                (None, Some(key)) => (0, Some(Keyset::Ties { key, id: None })),
                (None, None) => (0, Some(Keyset::Without { id: None })),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A CRM with a list of (key, id), asked through `advance` alone.
    fn page(all: &[(Option<u8>, u32)], at: &Keyset, asked: usize) -> Vec<(Option<u8>, u32)> {
        let number = |text: &Option<String>| text.as_ref().map_or(-1, |text| text.parse::<i64>().unwrap());
        let mut rows: Vec<(Option<u8>, u32)> = all
            .iter()
            .filter(|(key, id)| match at {
                Keyset::ById { id: last } => i64::from(*id) > number(last),
                Keyset::Values { key: last } => key.is_some_and(|key| i64::from(key) > number(last)),
                Keyset::Ties { key: same, id: last } => {
                    key.map(|key| key.to_string()) == Some(same.clone()) && i64::from(*id) > number(last)
                }
                Keyset::Without { id: last } => key.is_none() && i64::from(*id) > number(last),
            })
            .copied()
            .collect();
        match at {
            // Within one key the CRM's order is its own affair: here by a scrambled id.
            Keyset::Values { .. } => rows.sort_by_key(|(key, id)| (*key, id.wrapping_mul(2_654_435_761))),
            _ => rows.sort_by_key(|(_, id)| *id),
        }
        rows.truncate(asked);
        rows
    }

    #[test]
    fn texts_that_differ_by_case_only_are_one_group() {
        let rows: Vec<Row> =
            ["Ada", "ADA", "ada", "Bea"].map(|key| (Some(key.into()), Some("1".into()))).into();
        let at = start(true);
        assert_eq!(advance(&at, &rows, 4, 3), (3, Some(Keyset::Values { key: Some("ada".into()) })));
        assert_eq!(advance(&at, &rows, 4, 2), (0, Some(Keyset::Ties { key: "Ada".into(), id: None })));
    }

    proptest! {
        #[test]
        fn every_record_comes_exactly_once_and_in_order(
            keys in proptest::collection::vec(proptest::option::of(0_u8..6), 0..60),
            wanted in 1_usize..12,
            spare in 0_usize..3,
            inserted in proptest::collection::vec(proptest::option::of(0_u8..6), 0..20),
        ) {
            let mut all: Vec<(Option<u8>, u32)> = keys.iter().enumerate().map(|(index, key)| (*key, index as u32)).collect();
            let old = all.len();
            let mut inserted = inserted.into_iter();
            let mut seen: Vec<(Option<u8>, u32)> = Vec::new();
            let mut at = Some(start(true));
            let mut steps = 0;
            while let Some(here) = at {
                steps += 1;
                prop_assert!(steps < 1000, "paging must end");
                let asked = wanted + spare;
                let rows = page(&all, &here, asked);
                let named: Vec<Row> = rows.iter().map(|(key, id)| (key.map(|key| key.to_string()), Some(id.to_string()))).collect();
                let (take, next) = advance(&here, &named, asked, wanted);
                prop_assert!(take <= wanted);
                seen.extend(rows.iter().take(take));
                at = next;
                if let Some(key) = inserted.next() {
                    all.push((key, all.len() as u32));
                }
            }
            let mut ids: Vec<u32> = seen.iter().map(|(_, id)| *id).collect();
            ids.sort_unstable();
            let count = ids.len();
            ids.dedup();
            prop_assert_eq!(count, ids.len(), "repeated");
            for id in 0..old as u32 {
                prop_assert!(ids.binary_search(&id).is_ok(), "skipped {}", id);
            }
            let order: Vec<u8> = seen.iter().map(|(key, _)| key.unwrap_or(u8::MAX)).collect();
            prop_assert!(order.is_sorted());
        }
    }
}
