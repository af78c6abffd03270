//! Whether a value of a body is what the CRM's definition of the field allows; nothing is sent before that.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::super::codec::{decimal, is_number, number_text, zone};
use super::super::document::kind_of;
use super::form::ADDRESS;
use crate::model::{FieldDefinition, FieldKind, FieldOption};

/// The most options or ids that one sentence lists.
const MOST_LISTED: usize = 10;

/// A value in the kind's unified form, or the sentence that says what the field takes.
///
/// Numbers may also come as text, options by id or label, several options as one text with `separator`.
pub(super) fn check(
    definition: &FieldDefinition,
    value: &Value,
    separator: Option<&str>,
    number_options: bool,
) -> Result<Value, String> {
    let kind = definition.kind;
    let wrong = |why: &str| format!("`{}` takes {}; {why}", definition.name, expected(definition));
    let not = || wrong(&format!("{} is none", kind_of(value)));
    let text = || value.as_str().ok_or_else(not);
    let limited = |text: &str| match definition.limits.max_length {
        Some(most) if text.chars().count() as u64 > most => Err(wrong("the text is longer")),
        _ => Ok(Value::from(text)),
    };
    let form = |holds: bool| if holds { Ok(()) } else { Err(wrong("the text is none")) };
    match kind {
        FieldKind::Text | FieldKind::Textarea | FieldKind::Html | FieldKind::File => limited(text()?),
        FieldKind::Email => {
            form(is_email(text()?))?;
            limited(text()?)
        }
        FieldKind::Url => {
            form(is_url(text()?))?;
            limited(text()?)
        }
        FieldKind::Phone => {
            form(text()?.bytes().any(|byte| byte.is_ascii_digit()))?;
            limited(text()?)
        }
        FieldKind::Color => {
            form(is_color(text()?))?;
            Ok(value.clone())
        }
        FieldKind::Timezone => {
            form(zone(text()?).is_some())?;
            Ok(value.clone())
        }
        FieldKind::Time => time(text()?).map(Value::from).ok_or_else(|| wrong("the text is none")),
        FieldKind::Date => {
            form(is_date(text()?))?;
            Ok(value.clone())
        }
        FieldKind::Datetime => {
            form(text()?.parse::<jiff::Timestamp>().is_ok())?;
            Ok(value.clone())
        }
        FieldKind::Boolean => match (value, value.as_str()) {
            (Value::Bool(_), _) => Ok(value.clone()),
            (_, Some("true")) => Ok(Value::Bool(true)),
            (_, Some("false")) => Ok(Value::Bool(false)),
            _ => Err(not()),
        },
        FieldKind::Integer | FieldKind::Number | FieldKind::Decimal => {
            let (number, exact) = number(value).ok_or_else(not)?;
            within(definition, exact).map_err(|why| wrong(&why))?;
            Ok(number)
        }
        FieldKind::Money => money(value).ok_or_else(|| wrong("that is none")),
        FieldKind::DateRange => range(value, |text| is_date(text).then(|| text.to_owned()))
            .ok_or_else(|| wrong("that is none"))
            .and_then(
                |range| if range.1 { Ok(range.0) } else { Err(wrong("this one ends before it starts")) },
            ),
        // A range of times may go over midnight.
        FieldKind::TimeRange => range(value, time).map(|range| range.0).ok_or_else(|| wrong("that is none")),
        FieldKind::Address => address(value).ok_or_else(|| wrong("that is none")),
        FieldKind::User | FieldKind::Reference => match value {
            Value::String(text) if !text.is_empty() => Ok(value.clone()),
            Value::Number(number) => Ok(Value::from(number_text(number))),
            _ => Err(not()),
        },
        FieldKind::Select | FieldKind::Radio => {
            option(definition, value, number_options).map_err(|why| wrong(&why))
        }
        FieldKind::Multiselect | FieldKind::Checkbox => {
            let parts: Vec<Value> = match (value, separator) {
                (Value::Array(items), _) => items.clone(),
                (Value::String(text), Some(separator)) => {
                    text.split(separator).map(|part| Value::from(part.trim())).collect()
                }
                (one, _) => vec![one.clone()],
            };
            let mut chosen: Vec<Value> = Vec::with_capacity(parts.len());
            for part in &parts {
                let id = option(definition, part, number_options).map_err(|why| wrong(&why))?;
                if !chosen.contains(&id) {
                    chosen.push(id);
                }
            }
            Ok(Value::Array(chosen))
        }
        FieldKind::Other => Ok(value.clone()),
    }
}

/// What a field takes, as a noun.
pub(super) fn expected(definition: &FieldDefinition) -> String {
    let limits = &definition.limits;
    let length = limits.max_length.map(|most| format!(" of at most {most} characters")).unwrap_or_default();
    let mut range = String::new();
    if let Some(least) = &limits.minimum {
        range.push_str(&format!(", {least} or more"));
    }
    if let Some(most) = &limits.maximum {
        range.push_str(&format!(", {most} or less"));
    }
    if let Some(decimals) = limits.decimals {
        range.push_str(&format!(", with at most {decimals} decimals"));
    }
    match definition.kind {
        FieldKind::Text | FieldKind::Textarea => format!("text{length}"),
        FieldKind::Html => format!("text, with or without HTML,{length}").trim_end_matches(',').to_owned(),
        FieldKind::Integer => format!("a whole number{range}"),
        FieldKind::Number | FieldKind::Decimal => format!("a number{range}"),
        FieldKind::Money => {
            "an amount in the currency's smallest unit, such as {\"amount\": 500, \"currency\": \"EUR\"}"
                .to_owned()
        }
        FieldKind::Boolean => "true or false".to_owned(),
        FieldKind::Date => "a date such as 2031-05-17".to_owned(),
        FieldKind::Datetime => "a point in time such as 2031-05-17T09:30:00Z".to_owned(),
        FieldKind::Time => "a time of day such as 09:30:00".to_owned(),
        FieldKind::DateRange => {
            "two dates, such as {\"start\": \"2031-05-17\", \"end\": \"2031-05-18\"}".to_owned()
        }
        FieldKind::TimeRange => {
            "two times of day, such as {\"start\": \"09:30:00\", \"end\": \"12:00:00\"}".to_owned()
        }
        FieldKind::Select | FieldKind::Radio if definition.options.is_empty() => "one option".to_owned(),
        FieldKind::Select | FieldKind::Radio => format!("one of {}", options(&definition.options)),
        FieldKind::Multiselect | FieldKind::Checkbox if definition.options.is_empty() => {
            "a list of options".to_owned()
        }
        FieldKind::Multiselect | FieldKind::Checkbox => {
            format!("a list of any of {}", options(&definition.options))
        }
        FieldKind::Url => format!("a web address such as https://example.com{length}"),
        FieldKind::Email => format!("an e-mail address{length}"),
        FieldKind::Phone => format!("a phone number{length}"),
        FieldKind::Color => "a colour such as #333333".to_owned(),
        FieldKind::Timezone => "an IANA time zone such as Europe/Brussels".to_owned(),
        FieldKind::User => "the id of a user".to_owned(),
        FieldKind::Reference => "the id of a record".to_owned(),
        FieldKind::Address => format!("an address: a text, or an object of any of {}", ADDRESS.join(", ")),
        FieldKind::File => "the id or address of a file".to_owned(),
        FieldKind::Other => "a value".to_owned(),
    }
}

/// Options with their labels, as many as a sentence bears.
fn options(options: &[FieldOption]) -> String {
    listed(options.iter().map(|option| match option.id == option.label {
        true => format!("`{}`", option.id),
        false => format!("`{}` ({})", option.id, option.label),
    }))
}

/// A bounded list in words.
pub(in super::super) fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    let count = items.len();
    let mut text = items.take(MOST_LISTED).collect::<Vec<_>>().join(", ");
    if count > MOST_LISTED {
        text.push_str(&format!(" and {} more", count - MOST_LISTED));
    }
    text
}

/// An option's id as the wire has it, by id or label.
fn option(definition: &FieldDefinition, value: &Value, numbers: bool) -> Result<Value, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number_text(number),
        Value::Bool(value) => value.to_string(),
        other => return Err(format!("{} is none of them", kind_of(other))),
    };
    let wire = |id: &str| match id.parse::<i64>() {
        Ok(number) if numbers => Value::from(number),
        _ => Value::from(id),
    };
    let known = &definition.options;
    if known.is_empty() || known.iter().any(|option| option.id == text) {
        return Ok(wire(&text));
    }
    let mut labelled = known.iter().filter(|option| option.label == text);
    if let (Some(found), None) = (labelled.next(), labelled.next()) {
        return Ok(wire(&found.id));
    }
    let mut alike = known.iter().filter(|option| option.label.eq_ignore_ascii_case(&text));
    match (alike.next(), alike.next()) {
        (Some(found), None) => Ok(wire(&found.id)),
        (Some(_), Some(_)) => Err("several have that label, so the id is needed".to_owned()),
        (None, _) => {
            let words = known.iter().flat_map(|option| [option.id.as_str(), option.label.as_str()]);
            Err(format!("the value is none of them{}", super::meant(&text, words)))
        }
    }
}

/// A number, also one that came as text; and its exact value.
fn number(value: &Value) -> Option<(Value, Decimal)> {
    let text = match value {
        Value::Number(number) => number_text(number),
        Value::String(text) if is_number(text) => text.clone(),
        _ => return None,
    };
    let exact = decimal(&text)?;
    let number = match value {
        Value::Number(_) => value.clone(),
        _ => serde_json::from_str(&text).ok()?,
    };
    Some((number, exact))
}

fn within(definition: &FieldDefinition, exact: Decimal) -> Result<(), String> {
    let limit = |number: &serde_json::Number| decimal(&number.to_string());
    let limits = &definition.limits;
    if definition.kind == FieldKind::Integer && !exact.fract().is_zero() {
        return Err("this one has a fraction".to_owned());
    }
    if limits.minimum.as_ref().and_then(limit).is_some_and(|least| exact < least) {
        return Err("this one is less".to_owned());
    }
    if limits.maximum.as_ref().and_then(limit).is_some_and(|most| exact > most) {
        return Err("this one is more".to_owned());
    }
    if limits.decimals.is_some_and(|most| exact.normalize().scale() > most) {
        return Err("this one has more".to_owned());
    }
    Ok(())
}

/// `{"amount": 500, "currency": "EUR"}`, or the amount alone where the currency is known otherwise.
fn money(value: &Value) -> Option<Value> {
    let whole = |amount: &Value| number(amount).filter(|(_, exact)| exact.fract().is_zero());
    let object = match value {
        Value::Object(object) => object,
        amount => return whole(amount).map(|(amount, _)| json!({ "amount": amount })),
    };
    if object.keys().any(|key| !["amount", "currency"].contains(&key.as_str())) {
        return None;
    }
    let (amount, _) = whole(object.get("amount")?)?;
    let mut money = Map::from_iter([("amount".to_owned(), amount)]);
    match object.get("currency") {
        None | Some(Value::Null) => {}
        Some(Value::String(code))
            if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) =>
        {
            money.insert("currency".to_owned(), Value::from(code.to_ascii_uppercase()));
        }
        Some(_) => return None,
    }
    Some(Value::Object(money))
}

/// Start and end, each as `part` has it; and whether they are in order.
fn range(value: &Value, part: impl Fn(&str) -> Option<String>) -> Option<(Value, bool)> {
    let object = value.as_object().filter(|object| object.len() == 2)?;
    let end_of = |key: &str| part(object.get(key)?.as_str()?);
    let (start, end) = (end_of("start")?, end_of("end")?);
    let ordered = start <= end;
    Some((json!({ "start": start, "end": end }), ordered))
}

fn address(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(json!({ "string": text })),
        Value::Object(parts) => {
            let fits = |(key, part): (&String, &Value)| {
                ADDRESS.contains(&key.as_str()) && (part.is_string() || part.is_null())
            };
            (!parts.is_empty() && parts.iter().all(fits)).then(|| value.clone())
        }
        _ => None,
    }
}

fn is_email(text: &str) -> bool {
    let Some((mailbox, domain)) = text.rsplit_once('@') else { return false };
    !mailbox.is_empty() && domain.len() > 2 && !text.contains(char::is_whitespace) && !mailbox.contains('@')
}

fn is_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| {
        [3, 6].contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// A time of day with seconds.
fn time(text: &str) -> Option<String> {
    let plain = matches!(text.len(), 5 | 8) && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    let time: jiff::civil::Time = Some(text).filter(|_| plain)?.parse().ok()?;
    Some(time.to_string())
}

/// A value of a body for a field that nothing is known of, in the spelling of a CRM that has text everywhere or JSON.
pub(super) fn unknown(value: &Value, text: bool, separator: Option<&str>) -> Result<Value, String> {
    let plain = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number_text(number)),
        Value::Bool(value) => Ok(value.to_string()),
        other => Err(format!("a plain value is needed, not {}", kind_of(other))),
    };
    match value {
        Value::Array(items) if text => {
            let parts: Result<Vec<String>, String> = items.iter().map(plain).collect();
            Ok(Value::from(parts?.join(separator.unwrap_or(";"))))
        }
        value if text => plain(value).map(Value::from),
        Value::Number(number) => {
            Ok(number_text(number).parse::<i64>().map_or_else(|_| value.clone(), Value::from))
        }
        value => Ok(value.clone()),
    }
}
