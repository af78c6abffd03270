//! The conditions of a search: read from the body, then asked of each record.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::account::{Account, TypeIndex};
use super::property::Kind;
use super::records::{Objects, Record};
use super::{errors, unknown_object};
use crate::clock::parse;
use crate::exchange::Reply;

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

/// One filter.
pub struct Condition {
    subject: Subject,
    test: Test,
}

/// The filters of a search: groups of which one must hold whole; 400 beyond their limits.
pub fn groups(
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

/// 400 for a property that does not exist.
pub fn unknown_property(name: &str) -> Reply {
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

/// Whether a record meets a filter.
pub fn holds(
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

/// A value as a number: milliseconds since 1970 for dates.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
pub fn number_of(value: &str, kind: Kind) -> Option<f64> {
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
