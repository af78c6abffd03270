//! `POST /crm/v3/objects/{object}/search`.

use std::cmp::Ordering;
use std::sync::RwLock;

use serde_json::{Map, Value, json};

use super::account::{Account, TypeIndex, ready};
use super::property::Kind;
use super::records::{Objects, Record};
use super::{errors, objects, unknown_object};
use crate::clock::{now_ms, parse};
use crate::exchange::{Outcome, Reply, Request};
use crate::seed::mix;
use crate::world::read;

const MAX_LIMIT: u64 = 200;
const WINDOW: u64 = 10_000;

/// What one filter looks at.
enum Subject {
    Column(usize, Kind),
    Associated(TypeIndex),
}

enum Test {
    Is(Vec<Operand>),
    IsNot(Vec<Operand>),
    Compare(Ordering, bool, Operand),
    Between(Operand, Operand),
    Has,
    HasNot,
    Token(String),
    NoToken(String),
}

/// A filter's value in the form that its property compares in.
#[derive(PartialEq)]
enum Operand {
    Text(String),
    Number(f64),
}

struct Condition {
    subject: Subject,
    test: Test,
}

/// Answers a search.
pub fn answer(request: &Request, account: &RwLock<Account>, object: &str, lag_ms: i64) -> Outcome {
    if request.method != http::Method::POST {
        return Err(errors::bad_method());
    }
    let body = objects::object_body(request)?;
    let mut needed = vec![object.to_owned()];
    needed.extend(association_names(&body));
    ready(account, &needed.iter().map(String::as_str).collect::<Vec<_>>());
    let account = read(account);
    let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
    let objects = account.object(at).ok_or_else(|| unknown_object(object))?;
    let limit = whole(&body, "limit", 10)?;
    if limit > MAX_LIMIT {
        return Err(errors::invalid(&format!(
            "Invalid input: limit must be less than or equal to {MAX_LIMIT}"
        )));
    }
    let offset = whole(&body, "after", 0)?;
    if offset + limit > WINDOW {
        return Err(errors::invalid(&format!(
            "The requested paging window is beyond the limit: after + limit must not exceed {WINDOW}"
        )));
    }
    let groups = groups(&account, objects, &body)?;
    let sort = sort(objects, &body)?;
    let query = body.get("query").and_then(Value::as_str).unwrap_or("").trim().to_lowercase();
    let newest = now_ms() - lag_ms;

    let mut hits: Vec<&Record> = objects
        .records
        .values()
        .filter(|record| record.archived_ms.is_none() && (lag_ms == 0 || record.created_ms <= newest))
        .filter(|record| query.is_empty() || mentions(objects, record, &query))
        .filter(|record| {
            groups.is_empty()
                || groups.iter().any(|group| {
                    group.iter().all(|condition| holds(&account, at, objects, record, condition))
                })
        })
        .collect();
    order(&mut hits, objects, sort);

    let total = hits.len() as u64;
    let asked = names(&body, "properties");
    let wanted = objects.wanted(asked.iter().map(String::as_str));
    let (skip, take) = (usize::try_from(offset).unwrap_or(0), usize::try_from(limit).unwrap_or(0));
    let mut out = Vec::with_capacity(take * 1024);
    out.extend_from_slice(format!("{{\"total\":{total},\"results\":[").as_bytes());
    for (place, record) in hits.iter().skip(skip).take(take).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        objects.write_open(&mut out, record, &wanted, false);
        out.push(b'}');
    }
    out.push(b']');
    if offset + limit < total && limit > 0 {
        let next = json!({ "next": { "after": (offset + limit).to_string() } });
        out.extend_from_slice(b",\"paging\":");
        let _ = serde_json::to_writer(&mut out, &next);
    }
    out.push(b'}');
    Ok(Reply::written(200, out))
}

fn association_names(body: &Map<String, Value>) -> Vec<String> {
    let filters = body.get("filterGroups").and_then(Value::as_array).into_iter().flatten();
    let filters = filters.flat_map(|group| group["filters"].as_array().into_iter().flatten());
    let names = filters.filter_map(|filter| filter["propertyName"].as_str()?.strip_prefix("associations."));
    names.map(str::to_owned).collect()
}

fn whole(body: &Map<String, Value>, name: &str, default: u64) -> Result<u64, Reply> {
    let number = match body.get(name) {
        None | Some(Value::Null) => return Ok(default),
        Some(Value::String(text)) if text.is_empty() => return Ok(default),
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_u64(),
    };
    number.ok_or_else(|| errors::bad_json(&format!("{name} must be a whole number")))
}

fn names(body: &Map<String, Value>, name: &str) -> Vec<String> {
    let list = body.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn groups(
    account: &Account,
    objects: &Objects,
    body: &Map<String, Value>,
) -> Result<Vec<Vec<Condition>>, Reply> {
    let none = Vec::new();
    let groups = match body.get("filterGroups") {
        None | Some(Value::Null) => &none,
        Some(Value::Array(groups)) => groups,
        Some(_) => return Err(errors::bad_json("filterGroups must be an array")),
    };
    if groups.len() > 5 {
        return Err(errors::invalid("a max of 5 filterGroups is allowed"));
    }
    let mut all = Vec::new();
    let mut count = 0;
    for group in groups {
        let filters =
            group["filters"].as_array().ok_or_else(|| errors::bad_json("filters must be an array"))?;
        if filters.len() > 6 {
            return Err(errors::invalid("a max of 6 filters per filterGroup is allowed"));
        }
        count += filters.len();
        let conditions: Result<Vec<Condition>, Reply> =
            filters.iter().map(|filter| condition(account, objects, filter)).collect();
        all.push(conditions?);
    }
    if count > 18 {
        return Err(errors::invalid("a max of 18 filters in all is allowed"));
    }
    Ok(all)
}

fn condition(account: &Account, objects: &Objects, filter: &Value) -> Result<Condition, Reply> {
    let name = filter["propertyName"].as_str().ok_or_else(|| errors::bad_json("propertyName is required"))?;
    let operator = filter["operator"].as_str().ok_or_else(|| errors::bad_json("operator is required"))?;
    let subject = match name.strip_prefix("associations.") {
        Some(other) => Subject::Associated(account.type_of(other).ok_or_else(|| unknown_object(other))?),
        None => {
            let column = objects.column(name).ok_or_else(|| unknown_property(name))?;
            Subject::Column(
                column,
                objects.properties.get(column).map_or(Kind::Text, |property| property.kind),
            )
        }
    };
    let read = |value: &Value| -> Result<Operand, Reply> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(errors::invalid(&format!("operator {operator} requires a value"))),
        };
        operand(&subject, name, &text)
    };
    let many = || -> Result<Vec<Operand>, Reply> {
        let values = filter["values"].as_array().filter(|values| !values.is_empty());
        values
            .ok_or_else(|| errors::invalid(&format!("operator {operator} requires values")))?
            .iter()
            .map(read)
            .collect()
    };
    let compare = |order, or_equal| Ok::<_, Reply>(Test::Compare(order, or_equal, read(&filter["value"])?));
    let token = || match filter["value"].as_str().filter(|value| !value.is_empty()) {
        Some(value) => Ok(value.to_lowercase()),
        None => Err(errors::invalid(&format!("operator {operator} requires a value"))),
    };
    let test = match operator {
        "EQ" => Test::Is(vec![read(&filter["value"])?]),
        "NEQ" => Test::IsNot(vec![read(&filter["value"])?]),
        "IN" => Test::Is(many()?),
        "NOT_IN" => Test::IsNot(many()?),
        "LT" => compare(Ordering::Less, false)?,
        "LTE" => compare(Ordering::Less, true)?,
        "GT" => compare(Ordering::Greater, false)?,
        "GTE" => compare(Ordering::Greater, true)?,
        "BETWEEN" => Test::Between(read(&filter["value"])?, read(&filter["highValue"])?),
        "HAS_PROPERTY" => Test::Has,
        "NOT_HAS_PROPERTY" => Test::HasNot,
        "CONTAINS_TOKEN" => Test::Token(token()?),
        "NOT_CONTAINS_TOKEN" => Test::NoToken(token()?),
        other => return Err(errors::bad_json(&format!("operator {other} is not known"))),
    };
    Ok(Condition { subject, test })
}

fn unknown_property(name: &str) -> Reply {
    let message = "There was a problem with the request.";
    let more = json!({
        "errors": [{ "message": format!("Property \"{name}\" does not exist"), "code": "PROPERTY_DOESNT_EXIST" }]
    });
    errors::detailed(400, "VALIDATION_ERROR", message, &more)
}

#[expect(clippy::cast_precision_loss, reason = "times and ids compared here are far below 2^53")]
fn operand(subject: &Subject, name: &str, text: &str) -> Result<Operand, Reply> {
    let Subject::Column(_, kind) = subject else { return Ok(Operand::Text(text.to_owned())) };
    let bad = || errors::invalid(&format!("{text} is not a valid value of {name}"));
    Ok(match kind {
        // Ids stand as text: they can be beyond what a float holds.
        Kind::Number if name == "hs_object_id" => {
            Operand::Text(text.parse::<u64>().map_err(|_| bad())?.to_string())
        }
        Kind::Number => Operand::Number(text.parse().map_err(|_| bad())?),
        Kind::Date | Kind::Datetime => {
            let ms = text.parse::<i64>().ok().or_else(|| parse(text)).ok_or_else(bad)?;
            Operand::Number(ms as f64)
        }
        _ => Operand::Text(text.to_lowercase()),
    })
}

fn holds(
    account: &Account,
    at: TypeIndex,
    objects: &Objects,
    record: &Record,
    condition: &Condition,
) -> bool {
    match &condition.subject {
        Subject::Associated(other) => {
            let live = |id: u64| account.object(*other).is_some_and(|others| others.live(id).is_some());
            let links = account.links.of((at, record.id), *other);
            let any = |operands: &[Operand]| {
                links
                    .iter()
                    .any(|link| live(link.to) && operands.contains(&Operand::Text(link.to.to_string())))
            };
            match &condition.test {
                Test::Is(operands) => any(operands),
                Test::IsNot(operands) => !any(operands),
                Test::Has => links.iter().any(|link| live(link.to)),
                Test::HasNot => !links.iter().any(|link| live(link.to)),
                _ => false,
            }
        }
        Subject::Column(column, kind) => {
            let id_column = *column == objects.system.id;
            satisfies(record.get(*column), *kind, id_column, &condition.test)
        }
    }
}

fn satisfies(value: Option<&str>, kind: Kind, is_id: bool, test: &Test) -> bool {
    match test {
        Test::Has => return value.is_some(),
        Test::HasNot => return value.is_none(),
        Test::IsNot(operands) => {
            // A record without the value is not equal to it.
            return value
                .is_none_or(|value| !operands.iter().any(|operand| equal(value, kind, is_id, operand)));
        }
        Test::NoToken(token) => return value.is_none_or(|value| !contains_token(value, token)),
        _ => {}
    }
    let Some(value) = value else { return false };
    match test {
        Test::Is(operands) => operands.iter().any(|operand| equal(value, kind, is_id, operand)),
        Test::Compare(order, or_equal, operand) => {
            let found = compare(value, kind, is_id, operand);
            found == Some(*order) || (*or_equal && found == Some(Ordering::Equal))
        }
        Test::Between(low, high) => {
            compare(value, kind, is_id, low).is_some_and(Ordering::is_ge)
                && compare(value, kind, is_id, high).is_some_and(Ordering::is_le)
        }
        Test::Token(token) => contains_token(value, token),
        _ => false,
    }
}

fn equal(value: &str, kind: Kind, is_id: bool, operand: &Operand) -> bool {
    compare(value, kind, is_id, operand) == Some(Ordering::Equal)
}

fn compare(value: &str, kind: Kind, is_id: bool, operand: &Operand) -> Option<Ordering> {
    match operand {
        Operand::Number(number) => number_of(value, kind)?.partial_cmp(number),
        Operand::Text(text) if is_id => value.parse::<u64>().ok()?.partial_cmp(&text.parse().ok()?),
        Operand::Text(text) => Some(value.to_lowercase().as_str().cmp(text)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
fn number_of(value: &str, kind: Kind) -> Option<f64> {
    match kind {
        Kind::Date | Kind::Datetime => parse(value).map(|ms| ms as f64),
        _ => value.parse().ok(),
    }
}

/// Whether one of a text's words (or the whole text) is the token; `*` stands for any run of characters.
fn contains_token(value: &str, token: &str) -> bool {
    let value = value.to_lowercase();
    crate::faults::glob(token, &value)
        || value
            .split(|ch: char| !ch.is_alphanumeric())
            .any(|word| !word.is_empty() && crate::faults::glob(token, word))
        || value.split(char::is_whitespace).any(|word| crate::faults::glob(token, word))
}

/// Whether every word of a search occurs at the beginning of a word of the searchable properties.
fn mentions(objects: &Objects, record: &Record, query: &str) -> bool {
    query.split_whitespace().all(|wanted| {
        objects.searchable.iter().any(|name| {
            objects.value(record, name).is_some_and(|value| {
                let value = value.to_lowercase();
                value.starts_with(wanted)
                    || value.split(|ch: char| !ch.is_alphanumeric()).any(|word| word.starts_with(wanted))
                    || value.split_whitespace().any(|word| word.starts_with(wanted))
            })
        })
    })
}

type Sort = (usize, Kind, bool);

fn sort(objects: &Objects, body: &Map<String, Value>) -> Result<Option<Sort>, Reply> {
    let sorts = body.get("sorts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if sorts.len() > 1 {
        return Err(errors::invalid("only one sort is allowed"));
    }
    let Some(sort) = sorts.first() else { return Ok(None) };
    let (name, descending) = match sort {
        Value::String(text) => match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text.as_str(), false),
        },
        other => {
            let name =
                other["propertyName"].as_str().ok_or_else(|| errors::bad_json("sorts.propertyName"))?;
            (name, other["direction"].as_str() == Some("DESCENDING"))
        }
    };
    let column = objects.column(name).ok_or_else(|| unknown_property(name))?;
    let kind = objects.properties.get(column).map_or(Kind::Text, |property| property.kind);
    Ok(Some((column, kind, descending)))
}

/// Sorts by the property (empty values last) or else by age; equal records stand in an order that stays the same but
/// means nothing.
fn order(hits: &mut Vec<&Record>, objects: &Objects, sort: Option<Sort>) {
    let is_id = |column: usize| column == objects.system.id;
    match sort {
        None => hits.sort_by_cached_key(|record| (record.created_ms, mix(record.id))),
        Some((column, _, descending)) if is_id(column) => {
            hits.sort_by_key(|record| record.id);
            if descending {
                hits.reverse();
            }
        }
        Some((column, kind, descending)) => {
            let mut keyed: Vec<(Option<Key>, u64, &Record)> = hits
                .iter()
                .map(|record| (record.get(column).map(|value| Key::of(value, kind)), mix(record.id), *record))
                .collect();
            keyed.sort_by(|a, b| {
                let by_key = match (&a.0, &b.0) {
                    (Some(a), Some(b)) if descending => b.cmp(a),
                    (Some(a), Some(b)) => a.cmp(b),
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => Ordering::Equal,
                };
                by_key.then(a.1.cmp(&b.1))
            });
            *hits = keyed.into_iter().map(|(_, _, record)| record).collect();
        }
    }
}

enum Key {
    Number(f64),
    Text(String),
}

impl Key {
    fn of(value: &str, kind: Kind) -> Key {
        match kind {
            Kind::Number | Kind::Date | Kind::Datetime => {
                Key::Number(number_of(value, kind).unwrap_or(f64::MAX))
            }
            _ => Key::Text(value.to_lowercase()),
        }
    }

    fn cmp(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            (Key::Number(_), Key::Text(_)) => Ordering::Less,
            (Key::Text(_), Key::Number(_)) => Ordering::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        for (value, token, expected) in [
            ("Maya Stone", "maya", true),
            ("Maya Stone", "may", false),
            ("Maya Stone", "may*", true),
            ("maya.stone@example.com", "example", true),
            ("maya.stone@example.com", "*@example.com", true),
            ("maya.stone@example.com", "*@other.com", false),
            ("O'Brien", "o'brien", true),
        ] {
            assert_eq!(contains_token(value, token), expected, "{value} {token}");
        }
    }

    #[test]
    fn absent_values() {
        let is = Test::Is(vec![Operand::Text("a".to_owned())]);
        let is_not = Test::IsNot(vec![Operand::Text("a".to_owned())]);
        assert!(!satisfies(None, Kind::Text, false, &is) && satisfies(None, Kind::Text, false, &is_not));
        assert!(satisfies(Some("A"), Kind::Text, false, &is));
        let below = Test::Compare(Ordering::Less, false, Operand::Number(10.0));
        assert!(satisfies(Some("9.5"), Kind::Number, false, &below));
        assert!(!satisfies(None, Kind::Number, false, &below));
    }
}
