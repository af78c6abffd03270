//! Types of query values.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Number, Value};

/// Largest whole number that every client can hold.
const LARGEST_WHOLE: u64 = 9_007_199_254_740_991;

/// The query keys that an operation knows.
#[derive(Debug, Default)]
pub struct Parameters {
    /// `raw`.
    pub raw: bool,
    /// `explain`.
    pub explain: bool,
    /// `dry_run`.
    pub dry_run: bool,
    /// `format`.
    pub format: bool,
    /// `limit`.
    pub limit: bool,
    /// `cursor`.
    pub cursor: bool,
    /// `fields`.
    pub fields: bool,
    /// `pass_through[…]`.
    pub pass_through: bool,
    /// The names within `filter[…]` and their types; empty where the operation has no filters.
    pub filter: Vec<(String, Kind)>,
    /// The names that `sort[by]` takes; empty where the operation cannot sort.
    pub sort: Vec<String>,
    /// Keys of this operation alone, such as `start_datetime`.
    pub keys: Vec<Key>,
    /// Whether other keys are taken as they come, as CRMs add some to their callbacks.
    pub others: bool,
}

/// A query key of one operation alone.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The type of its value.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
}

/// The type of a query value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Any text that is not empty.
    Text,
    /// A point in time with `Z` or an offset.
    Datetime,
    /// A calendar date.
    Date,
    /// A whole number; `200.0` is one.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of these.
    OneOf(Vec<String>),
    /// Several of one type: the key repeated, or one text with commas.
    Several(Box<Kind>),
}

impl Kind {
    /// The type that a schema declares.
    pub(super) fn of(schema: &Value) -> Kind {
        if schema.get("enum").is_some() {
            return Kind::OneOf(Kind::names(schema));
        }
        let declared = match schema.get("type") {
            Some(Value::Array(several)) => {
                several.iter().filter_map(Value::as_str).find(|name| *name != "null")
            }
            Some(one) => one.as_str(),
            None => None,
        };
        match (declared, schema.get("format").and_then(Value::as_str)) {
            (Some("array"), _) => Kind::Several(Box::new(schema.get("items").map_or(Kind::Text, Kind::of))),
            (Some("integer"), _) => Kind::Integer,
            (Some("number"), _) => Kind::Number,
            (Some("boolean"), _) => Kind::Boolean,
            (_, Some("date-time")) => Kind::Datetime,
            (_, Some("date")) => Kind::Date,
            _ => Kind::Text,
        }
    }

    /// The texts of a schema's `enum`.
    pub(super) fn names(schema: &Value) -> Vec<String> {
        let names = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The value that a text of the query stands for. Points in time come out in UTC with `Z`.
    ///
    /// Errors: what the text should have been, as the end of a sentence that begins with the key.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        if text.is_empty() {
            return Err("must not be empty".into());
        }
        match self {
            Kind::Text => Ok(text.into()),
            Kind::Boolean => boolean(text).map(Value::Bool),
            Kind::Integer => integer(text).map(Value::from).ok_or_else(|| "must be a whole number".into()),
            Kind::Number => match (integer(text), decimal(text)) {
                (Some(whole), _) => Ok(whole.into()),
                (None, Some(number)) => Ok(Value::Number(number)),
                (None, None) => Err("must be a number".into()),
            },
            Kind::Datetime => match text.parse::<Timestamp>() {
                Ok(time) => Ok(time.to_string().into()),
                Err(_) if text.contains(' ') => Err(
                    "must be a date and time such as 2024-01-31T09:30:00Z; the + of an offset is written %2B"
                        .into(),
                ),
                Err(_) => {
                    Err("must be a date and time with Z or an offset, such as 2024-01-31T09:30:00Z".into())
                }
            },
            Kind::Date => match text.parse::<Date>() {
                Ok(date) if text.len() == 10 => Ok(date.to_string().into()),
                _ => Err("must be a date such as 2024-01-31".into()),
            },
            Kind::Several(kind) => text
                .split(',')
                .map(|part| kind.read(part.trim()))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            Kind::OneOf(names) if names.iter().any(|name| name == text) => Ok(text.into()),
            Kind::OneOf(names) => Err(format!("must be one of {}", names.join(", "))),
        }
    }
}

/// `true` or `false`.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".into()),
    }
}

/// A whole number, also where it is written with a fraction of zeros, as `200.0`.
pub fn integer(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    whole.parse().ok().filter(|number: &i64| number.unsigned_abs() <= LARGEST_WHOLE)
}

/// A number as JSON writes it, so that `inf` and `+1` are none and `1e+9` is one.
fn decimal(text: &str) -> Option<Number> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_become_values_of_their_type() {
        let rows: &[(Kind, &str, Value)] = &[
            (Kind::Text, "200", json!("200")),
            (Kind::Integer, "200.0", json!(200)),
            (Kind::Integer, "-5", json!(-5)),
            (Kind::Number, "10.0", json!(10)),
            (Kind::Number, "0.25", json!(0.25)),
            (Kind::Number, "1e+3", json!(1000.0)),
            (Kind::Integer, "-9007199254740991", json!(-9_007_199_254_740_991_i64)),
            (Kind::Boolean, "true", json!(true)),
            (Kind::Date, "2024-02-29", json!("2024-02-29")),
            (Kind::Datetime, "2026-11-22T04:30:18.602825Z", json!("2026-11-22T04:30:18.602825Z")),
            (Kind::Datetime, "2024-01-02T03:04:05+02:00", json!("2024-01-02T01:04:05Z")),
            (Kind::OneOf(vec!["a".into()]), "a", json!("a")),
        ];
        for (kind, text, value) in rows {
            assert_eq!(kind.read(text).as_ref(), Ok(value), "{kind:?} {text}");
        }
    }

    #[test]
    fn texts_of_another_type_are_refused() {
        let rows: &[(Kind, &str)] = &[
            (Kind::Text, ""),
            (Kind::Integer, "200.5"),
            (Kind::Integer, "200."),
            (Kind::Integer, "+1"),
            (Kind::Integer, "99999999999999999999"),
            (Kind::Integer, "9007199254740992"),
            (Kind::Number, "inf"),
            (Kind::Number, "+1"),
            (Kind::Number, "NaN"),
            (Kind::Boolean, "1"),
            (Kind::Date, "2023-02-29"),
            (Kind::Date, "2024-01-01T00:00:00"),
            (Kind::Datetime, "2024-01-01"),
            (Kind::Datetime, "2024-01-01T00:00:00"),
            (Kind::OneOf(vec!["a".into()]), "b"),
        ];
        for (kind, text) in rows {
            assert!(kind.read(text).is_err(), "{kind:?} {text}");
        }
    }
}
