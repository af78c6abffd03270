//! How values of each kind of field are spelled on the wire, and read.

use serde_json::{Map, Value};

use super::super::codec::{Around, Codec, kind_of_raw};
use super::super::document::kind_of;
use super::super::scan::{push_text, scalar_text, text_of};
use crate::model::FieldKind;

/// How a CRM spells values, by kind.
#[derive(Debug)]
pub(in super::super) struct Forms {
    by_kind: Vec<Form>,
    /// Whether every value is text.
    pub text: bool,
    /// What stands between the options of a multiple choice, where they are one text.
    pub separator: Option<String>,
    /// Whether ids of options are numbers.
    pub number_options: bool,
}

/// How one kind is spelled.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// By a codec.
    Codec(Codec),
    /// An amount in major units, whose currency the connection knows.
    Amount(Codec),
    /// An object: parts of the unified value, and their keys on the wire.
    Parts(Vec<(String, Option<Codec>, String)>),
    /// One option.
    Choice,
    /// Several options.
    Choices,
}

/// The parts that values of a kind have on the unified side; one part called `value` is the value itself.
fn parts_of(kind: FieldKind) -> &'static [&'static str] {
    match kind {
        FieldKind::Money => &["amount", "currency"],
        FieldKind::DateRange | FieldKind::TimeRange => &["start", "end"],
        FieldKind::Address => &ADDRESS,
        _ => &["value"],
    }
}

/// The parts of an address, as the contract's addresses have them.
pub(super) const ADDRESS: [&str; 9] =
    ["string", "line1", "line2", "street_number", "city", "county", "state", "postal_code", "country"];

fn codec(name: &str) -> Option<Codec> {
    Codec::parse(name).ok()
}

impl Forms {
    /// The forms of a mapping file's `custom_fields`.
    ///
    /// Errors: a sentence about the form that is wrong.
    pub fn compile(rule: &Value) -> Result<Forms, String> {
        let text = rule.get("values").and_then(Value::as_str) == Some("text");
        let number_options = rule.get("options").and_then(Value::as_str) == Some("number");
        let separator = rule.get("multiple").and_then(Value::as_str).map(str::to_owned);
        let mut by_kind: Vec<Form> =
            FieldKind::ALL.into_iter().map(|kind| usual(kind, text, number_options)).collect();
        let own = rule.get("forms").and_then(Value::as_object);
        for (name, spelled) in own.into_iter().flatten() {
            let kind = FieldKind::from_name(name).ok_or_else(|| {
                let hint = super::super::fault::nearest(name, FieldKind::ALL.map(FieldKind::name));
                let hint = hint.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
                format!("there is no kind of field `{name}`{hint}")
            })?;
            let form = form(kind, spelled)?;
            if let Some(place) = by_kind.get_mut(kind as usize) {
                *place = form;
            }
        }
        Ok(Forms { by_kind, text, separator, number_options })
    }

    /// How a kind is spelled.
    pub(super) fn of(&self, kind: FieldKind) -> &Form {
        self.by_kind.get(kind as usize).unwrap_or(&Form::Plain)
    }

    /// Writes a raw value of the wire in its unified type.
    ///
    /// Errors: why it is not of the kind that the CRM says; `out` is then as it was.
    pub fn read(
        &self,
        kind: FieldKind,
        raw: &str,
        around: Around<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let start = out.len();
        let made = match self.of(kind) {
            Form::Plain | Form::Choice => {
                out.extend_from_slice(raw.as_bytes());
                Ok(true)
            }
            Form::Codec(codec) => codec.decode(raw, around, out),
            Form::Amount(codec) => read_amount(codec, raw, around, out),
            Form::Parts(parts) => read_parts(kind, parts, raw, around, out),
            Form::Choices => self.read_choices(raw, out),
        };
        match made {
            Ok(true) => Ok(()),
            Ok(false) => {
                out.truncate(start);
                out.extend_from_slice(b"null");
                Ok(())
            }
            Err(message) => {
                out.truncate(start);
                Err(message)
            }
        }
    }

    fn read_choices(&self, raw: &str, out: &mut Vec<u8>) -> Result<bool, String> {
        let (Some(separator), Some(text)) = (&self.separator, text_of(raw)) else {
            if raw.starts_with('[') {
                out.extend_from_slice(raw.as_bytes());
            } else {
                out.push(b'[');
                out.extend_from_slice(raw.as_bytes());
                out.push(b']');
            }
            return Ok(true);
        };
        out.push(b'[');
        let mut first = true;
        for part in text.split(separator.as_str()).map(str::trim).filter(|part| !part.is_empty()) {
            if !std::mem::replace(&mut first, false) {
                out.push(b',');
            }
            push_text(out, part);
        }
        out.push(b']');
        Ok(true)
    }

    /// A unified value that has been checked, as the wire has it.
    ///
    /// Errors: why it cannot be spelled.
    pub fn write(&self, kind: FieldKind, value: &Value, around: Around<'_>) -> Result<Value, String> {
        match self.of(kind) {
            Form::Codec(codec) => codec.encode(value, around).map(|(value, _)| value),
            Form::Amount(codec) => {
                let currency = value.get("currency").and_then(Value::as_str);
                let known =
                    around.currency.ok_or("the connection has no currency, and the CRM keeps none")?;
                if currency.is_some_and(|code| !code.eq_ignore_ascii_case(known)) {
                    return Err(format!("the CRM keeps amounts in {known} only"));
                }
                let amount = value.get("amount").unwrap_or(value);
                codec.encode(amount, around).map(|(value, _)| value)
            }
            Form::Parts(parts) => write_parts(parts, value, around),
            Form::Choices => Ok(match (&self.separator, value) {
                (Some(separator), Value::Array(items)) => {
                    let texts = items.iter().map(|item| scalar_text(&item.to_string()).map(Into::into));
                    Value::from(texts.collect::<Option<Vec<String>>>().unwrap_or_default().join(separator))
                }
                _ => value.clone(),
            }),
            Form::Plain | Form::Choice => Ok(match value {
                Value::Object(_) | Value::Array(_) if self.text => {
                    return Err(format!("the CRM keeps text there, not {}", kind_of(value)));
                }
                Value::String(_) => value.clone(),
                value if self.text => Value::from(value.to_string()),
                value => value.clone(),
            }),
        }
    }
}

/// How a kind is spelled where a mapping does not say.
fn usual(kind: FieldKind, text: bool, numbers: bool) -> Form {
    let by = |json: &str, as_text: &str| codec(if text { as_text } else { json });
    let found = match kind {
        FieldKind::Integer => by("integer", "integer/text"),
        FieldKind::Number | FieldKind::Decimal => by("number", "number/text"),
        FieldKind::Boolean => by("boolean", "boolean/text"),
        FieldKind::Date => codec("date"),
        FieldKind::Datetime => codec("datetime"),
        FieldKind::User | FieldKind::Reference => codec(if numbers { "id/number" } else { "id" }),
        FieldKind::Money => return by("money", "money/text").map_or(Form::Plain, Form::Amount),
        kind if kind.is_choice() => return Form::Choice,
        kind if kind.is_choices() => return Form::Choices,
        _ => None,
    };
    found.map_or(Form::Plain, Form::Codec)
}

/// A form of a mapping file: a codec, or the parts of an object.
fn form(kind: FieldKind, spelled: &Value) -> Result<Form, String> {
    if let Some(name) = spelled.as_str() {
        let codec = Codec::parse(name)?;
        return Ok(if kind == FieldKind::Money { Form::Amount(codec) } else { Form::Codec(codec) });
    }
    let known = parts_of(kind);
    let mut parts = Vec::new();
    for (part, key) in spelled.as_object().into_iter().flatten() {
        let key = key.as_str().unwrap_or_default();
        if !known.contains(&part.as_str()) || key.is_empty() {
            return Err(format!("`{}` has the parts {}, each with a key", kind.name(), known.join(", ")));
        }
        let codec = match (kind, part.as_str()) {
            (FieldKind::Money, "amount") => codec("money"),
            (FieldKind::DateRange, _) => codec("date"),
            _ => None,
        };
        parts.push((part.clone(), codec, key.to_owned()));
    }
    if parts.is_empty() {
        return Err(format!("`{}` needs a codec or the keys of its parts", kind.name()));
    }
    Ok(Form::Parts(parts))
}

fn read_amount(codec: &Codec, raw: &str, around: Around<'_>, out: &mut Vec<u8>) -> Result<bool, String> {
    let currency = around.currency.ok_or("the amount's currency is not known")?;
    out.extend_from_slice(b"{\"amount\":");
    let made = codec.decode(raw, around, out)?;
    out.extend_from_slice(b",\"currency\":");
    push_text(out, currency);
    out.push(b'}');
    Ok(made)
}

fn read_parts(
    kind: FieldKind,
    parts: &[(String, Option<Codec>, String)],
    raw: &str,
    around: Around<'_>,
    out: &mut Vec<u8>,
) -> Result<bool, String> {
    let object: Map<String, Value> = match serde_json::from_str(raw) {
        Ok(Value::Object(object)) => object,
        // An address as one line, a time as a text: some versions of an API have these.
        Ok(Value::String(text)) if kind == FieldKind::Address => {
            out.extend_from_slice(b"{\"string\":");
            push_text(out, &text);
            out.push(b'}');
            return Ok(true);
        }
        Ok(value @ Value::String(_)) if parts.len() == 1 => {
            out.extend_from_slice(value.to_string().as_bytes());
            return Ok(true);
        }
        _ => return Err(format!("an object was expected, found {}", kind_of_raw(raw))),
    };
    let currency = parts.iter().find(|(part, ..)| part == "currency").map(|(.., key)| key.as_str());
    let currency = currency.and_then(|key| object.get(key)?.as_str());
    let around = Around { currency: currency.or(around.currency), ..around };
    let part_of = |codec: &Option<Codec>, key: &str, out: &mut Vec<u8>| -> Result<bool, String> {
        let Some(value) = object.get(key).filter(|value| !value.is_null()) else { return Ok(false) };
        match codec {
            Some(codec) => codec.decode(&value.to_string(), around, out),
            None => match scalar_text(&value.to_string()) {
                Some(text) => {
                    push_text(out, &text);
                    Ok(true)
                }
                None => Err(format!("a plain value was expected at `{key}`, found {}", kind_of(value))),
            },
        }
    };
    if let [(part, codec, key)] = parts
        && part == "value"
    {
        return part_of(codec, key, out);
    }
    out.push(b'{');
    let mut some = false;
    for (index, (part, codec, key)) in parts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_text(out, part);
        out.push(b':');
        if part_of(codec, key, out)? {
            some = true;
        } else {
            out.extend_from_slice(b"null");
        }
    }
    out.push(b'}');
    Ok(some)
}

fn write_parts(
    parts: &[(String, Option<Codec>, String)],
    value: &Value,
    around: Around<'_>,
) -> Result<Value, String> {
    let mut object = Map::new();
    if let [(part, codec, key)] = parts
        && part == "value"
    {
        let spelled = match codec {
            Some(codec) => codec.encode(value, around)?.0,
            None => value.clone(),
        };
        object.insert(key.clone(), spelled);
        return Ok(Value::Object(object));
    }
    let currency = value.get("currency").and_then(Value::as_str).or(around.currency);
    let around = Around { currency, ..around };
    for (part, codec, key) in parts {
        let given = match (value.get(part), part.as_str()) {
            (None | Some(Value::Null), "currency") => currency.map(Value::from),
            (given, _) => given.filter(|given| !given.is_null()).cloned(),
        };
        let Some(given) = given else { continue };
        let spelled = match codec {
            Some(codec) => codec.encode(&given, around)?.0,
            None => given,
        };
        object.insert(key.clone(), spelled);
    }
    Ok(Value::Object(object))
}
