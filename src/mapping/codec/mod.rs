//! Codecs: how one value is spelled on the wire and on the unified side.
//!
//! A codec is named in a rule's `as:`, with the wire's form behind a slash: `datetime/epoch_ms`, `number/text`.

mod country;
mod duration;
mod number;
#[cfg(test)]
mod tests;
mod text;
mod time;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::document::kind_of;
use super::{Reading, Writing};
use number::Truth;
pub(super) use number::{decimal, is_number, number_text};
use text::Spelling;
pub(super) use text::{Table, Unknown};
use time::{Day, Stamp};

/// How one value is spelled on the wire and on the unified side.
#[derive(Debug, Clone, PartialEq)]
pub struct Codec {
    pub(super) kind: Kind,
    /// As it stands in `as:`.
    name: Box<str>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Text,
    Upper,
    Lower,
    Html,
    Json,
    Numeral,
    Integer { text: bool, scale: u32 },
    Number { text: bool, scale: u32 },
    Money { text: bool, minor: bool },
    Boolean { truth: Truth, not: bool },
    Id { number: bool, prefix: String },
    Date { form: Day, text: bool },
    Datetime { form: Stamp, text: bool },
    Words { table: Table, spelling: Spelling },
    List { separator: String },
    Country { form: country::Form },
    Duration { form: duration::Form, minutes: bool },
}

/// What a codec makes on the unified side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Makes {
    Text,
    Date,
    Datetime,
    Integer,
    Number,
    Boolean,
    TextList,
    Anything,
}

/// What codecs need beside the value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Around<'a> {
    /// The ISO 4217 code of amounts.
    pub currency: Option<&'a str>,
    /// The connection's time zone.
    pub zone: Option<&'a TimeZone>,
}

/// The codecs and wire forms by name, for messages and the language reference.
pub(super) const NAMES: [&str; 19] = [
    "text", "upper", "lower", "html", "json", "numeral", "integer", "number", "ratio", "money", "boolean",
    "id", "date", "datetime", "words", "list", "country", "currency", "duration",
];

impl Codec {
    /// Reads a codec's name and wire form, such as `datetime/epoch_ms` or `number/text`.
    ///
    /// Errors: a sentence naming what is known.
    pub fn parse(name: &str) -> Result<Codec, String> {
        let mut parts = name.split('/');
        let head = parts.next().unwrap_or_default();
        let forms: Vec<&str> = parts.collect();
        let mut known: &[&str] = &[];
        let has = |form: &str| forms.contains(&form);
        let kind = match head {
            "text" => Kind::Text,
            "upper" | "currency" => Kind::Upper,
            "lower" => Kind::Lower,
            "html" => Kind::Html,
            "json" => Kind::Json,
            "numeral" => Kind::Numeral,
            "integer" => {
                known = &["text"];
                Kind::Integer { text: has("text"), scale: 0 }
            }
            "number" => {
                known = &["text"];
                Kind::Number { text: has("text"), scale: 0 }
            }
            "ratio" => {
                known = &["text"];
                Kind::Number { text: has("text"), scale: 2 }
            }
            "money" => {
                known = &["text", "minor"];
                Kind::Money { text: has("text"), minor: has("minor") }
            }
            "boolean" => {
                known = &["text", "number", "yes_no", "not"];
                let truth = match () {
                    () if has("text") => Truth::Text,
                    () if has("number") => Truth::Number,
                    () if has("yes_no") => Truth::YesNo,
                    () => Truth::Json,
                };
                Kind::Boolean { truth, not: has("not") }
            }
            "id" => {
                known = &["number"];
                Kind::Id { number: has("number"), prefix: String::new() }
            }
            "date" => {
                known = &["iso", "datetime", "epoch_ms", "epoch_s", "text"];
                let day = match () {
                    () if has("datetime") => Day::Datetime,
                    () if has("epoch_ms") => Day::EpochMs,
                    () if has("epoch_s") => Day::EpochS,
                    () => Day::Iso,
                };
                Kind::Date { form: day, text: has("text") }
            }
            "datetime" => {
                known = &[
                    "iso",
                    "seconds",
                    "offset",
                    "basic_offset",
                    "space",
                    "local",
                    "epoch_ms",
                    "epoch_s",
                    "text",
                ];
                let stamp = match () {
                    () if has("seconds") => Stamp::Seconds,
                    () if has("offset") => Stamp::Offset,
                    () if has("basic_offset") => Stamp::BasicOffset,
                    () if has("space") => Stamp::Space,
                    () if has("local") => Stamp::Local,
                    () if has("epoch_ms") => Stamp::EpochMs,
                    () if has("epoch_s") => Stamp::EpochS,
                    () => Stamp::Iso,
                };
                Kind::Datetime { form: stamp, text: has("text") }
            }
            "words" => {
                known = &["number", "boolean"];
                let spelling = match () {
                    () if has("number") => Spelling::Number,
                    () if has("boolean") => Spelling::Boolean,
                    () => Spelling::Text,
                };
                let table = Table { pairs: Vec::new(), unknown: Unknown::Null };
                Kind::Words { table, spelling }
            }
            "list" => Kind::List { separator: ";".to_owned() },
            "duration" => {
                known = &["clock", "ms", "minutes"];
                let form = if has("ms") { duration::Form::Milliseconds } else { duration::Form::Clock };
                Kind::Duration { form, minutes: has("minutes") }
            }
            "country" => {
                known = &["alpha2", "alpha3", "name"];
                let form = match () {
                    () if has("alpha3") => country::Form::Alpha3,
                    () if has("name") => country::Form::Name,
                    () => country::Form::Alpha2,
                };
                Kind::Country { form }
            }
            _ => {
                let hint = super::fault::nearest(head, NAMES)
                    .map(|meant| format!("; did you mean `{meant}`?"))
                    .unwrap_or_else(|| format!("; known are {}", NAMES.join(", ")));
                return Err(format!("unknown codec `{head}`{hint}"));
            }
        };
        match forms.iter().find(|form| !known.contains(form)) {
            Some(form) if known.is_empty() => Err(format!("`{head}` has no form `{form}`; it has only one")),
            Some(form) => Err(format!("`{head}` has no form `{form}`; it has {}", known.join(", "))),
            None => Ok(Codec { kind, name: name.into() }),
        }
    }

    /// The codec of a rule that names none.
    pub(super) fn text() -> Codec {
        Codec { kind: Kind::Text, name: "text".into() }
    }

    /// The codec's name and wire form, such as `datetime/epoch_ms`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a rule says about the codec beside its name, by the rule's own keys.
    pub(super) fn terms(&self) -> Map<String, Value> {
        let entry = |key: &str, value: Value| Map::from_iter([(key.to_owned(), value)]);
        match &self.kind {
            Kind::Id { prefix, .. } if !prefix.is_empty() => entry("prefix", prefix.as_str().into()),
            Kind::Integer { scale, .. } | Kind::Number { scale, .. } if *scale > 0 => {
                entry("scale", 10_u64.saturating_pow(*scale).into())
            }
            Kind::List { separator } => entry("split", separator.as_str().into()),
            Kind::Words { table, .. } => {
                let words = |(wire, word): &(String, String)| (wire.clone(), Value::from(word.as_str()));
                let mut terms = entry("values", Value::Object(table.pairs.iter().map(words).collect()));
                match &table.unknown {
                    Unknown::Null => {}
                    Unknown::Pass => drop(terms.insert("unknown".to_owned(), "pass".into())),
                    Unknown::Word(word) => drop(terms.insert("unknown".to_owned(), word.as_str().into())),
                }
                terms
            }
            _ => Map::new(),
        }
    }

    /// What stands before an id on the unified side.
    pub(super) fn prefix(&self) -> &str {
        match &self.kind {
            Kind::Id { prefix, .. } => prefix,
            _ => "",
        }
    }

    /// Whether values pass as the text they are.
    pub(super) fn is_text(&self) -> bool {
        self.kind == Kind::Text
    }

    pub(super) fn makes(&self) -> Makes {
        match &self.kind {
            Kind::Text | Kind::Upper | Kind::Lower | Kind::Html | Kind::Id { .. } | Kind::Words { .. } => {
                Makes::Text
            }
            Kind::Numeral => Makes::Text,
            Kind::Country { .. } => Makes::Text,
            Kind::Integer { .. } | Kind::Money { .. } | Kind::Duration { .. } => Makes::Integer,
            Kind::Number { .. } => Makes::Number,
            Kind::Boolean { .. } => Makes::Boolean,
            Kind::Date { .. } => Makes::Date,
            Kind::Datetime { .. } => Makes::Datetime,
            Kind::List { .. } => Makes::TextList,
            Kind::Json => Makes::Anything,
        }
    }

    /// Why what is written does not always read back as it was, where that is so.
    pub(super) fn loses(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Html => Some("formatting does not survive as plain text"),
            Kind::Country { .. } => Some("a country's spelling is not kept"),
            Kind::Duration { minutes: true, .. } => Some("seconds are not kept"),
            Kind::Upper | Kind::Lower => None,
            _ => None,
        }
    }

    /// Whether a plain copy of text is all it does.
    pub(super) fn needs_currency(&self) -> bool {
        matches!(self.kind, Kind::Money { minor: false, .. })
    }

    /// A raw JSON value of the wire as unified JSON behind `out`; false (and nothing written) for null.
    #[inline]
    pub(super) fn decode(&self, raw: &str, around: Around<'_>, out: &mut Vec<u8>) -> Result<bool, String> {
        match &self.kind {
            Kind::Text | Kind::Numeral => text::read_text(raw, out),
            Kind::Id { prefix, .. } => number::read_id(raw, prefix, out),
            Kind::Datetime { form, .. } => time::read_datetime(raw, *form, around.zone, out),
            Kind::Date { form, .. } => time::read_date(raw, *form, out),
            Kind::Words { table, .. } => text::read_word(raw, table, out),
            Kind::Number { scale, .. } => number::read_number(raw, *scale, out),
            Kind::Integer { scale, .. } => number::read_integer(raw, *scale, out),
            Kind::Money { minor, .. } => number::read_money(raw, *minor, around.currency, out),
            Kind::Boolean { not, .. } => number::read_boolean(raw, *not, out),
            Kind::Upper => text::read_cased(raw, true, out),
            Kind::Lower => text::read_cased(raw, false, out),
            Kind::Html => text::read_html(raw, out),
            Kind::List { separator } => text::read_list(raw, separator, out),
            Kind::Country { .. } => country::read(raw, out),
            Kind::Duration { form, minutes } => duration::read(raw, *form, *minutes, out),
            Kind::Json if raw == "null" => Ok(false),
            Kind::Json => {
                out.extend_from_slice(raw.as_bytes());
                Ok(true)
            }
        }
    }

    /// A unified value as the wire has it, and a remark where a little is lost; null is for the caller.
    pub(super) fn encode(
        &self,
        value: &Value,
        around: Around<'_>,
    ) -> Result<(Value, Option<&'static str>), String> {
        let plain = |value: Result<Value, String>| value.map(|value| (value, None));
        match &self.kind {
            Kind::Text => plain(match value {
                Value::String(_) => Ok(value.clone()),
                other => Err(only("text", other)),
            }),
            // The unified side keeps one case; the wire gets the other where it wants it.
            Kind::Upper => plain(cased(value, str::to_uppercase)),
            Kind::Lower => plain(cased(value, str::to_lowercase)),
            Kind::Html => plain(text::write_html(value)),
            Kind::Json => Ok((value.clone(), None)),
            Kind::Numeral => plain(number::write_numeral(value)),
            Kind::Integer { text, scale } => plain(number::write_number(value, *scale, *text, true)),
            Kind::Number { text, scale } => plain(number::write_number(value, *scale, *text, false)),
            Kind::Money { text, minor } => plain(number::write_money(value, *minor, *text, around.currency)),
            Kind::Boolean { truth, not } => plain(number::write_boolean(value, *truth, *not)),
            Kind::Id { number, prefix } => plain(number::write_id(value, prefix, *number)),
            Kind::Date { form, text } => plain(time::write_date(value, *form, *text)),
            Kind::Datetime { form, text } => time::write_datetime(value, *form, *text, around.zone)
                .map(|(value, lost)| (value, lost.then_some("the CRM does not keep fractions that fine"))),
            Kind::Words { table, spelling } => plain(text::write_word(value, table, *spelling)),
            Kind::List { separator } => plain(text::write_list(value, separator)),
            Kind::Country { form } => plain(country::write(value, *form)),
            Kind::Duration { form, minutes } => plain(duration::write(value, *form, *minutes)),
        }
    }

    /// A unified value as the wire has it; null stays null.
    ///
    /// Errors: why the wire has no spelling for it.
    pub fn write(&self, value: &Value, writing: &Writing<'_>) -> Result<Value, String> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        let zone = writing.timezone.and_then(zone);
        let around = Around { currency: writing.currency, zone: zone.as_ref() };
        self.encode(value, around).map(|(value, _)| value)
    }

    /// A value of the wire as the unified side has it; null stays null.
    ///
    /// Errors: why it is not what the codec expects.
    pub fn read(&self, value: &Value, reading: &Reading<'_>) -> Result<Value, String> {
        let zone = reading.timezone.and_then(zone);
        let around = Around { currency: reading.currency, zone: zone.as_ref() };
        let mut out = Vec::new();
        match self.decode(&value.to_string(), around, &mut out)? {
            true => serde_json::from_slice(&out).map_err(|error| error.to_string()),
            false => Ok(Value::Null),
        }
    }
}

fn cased(value: &Value, change: fn(&str) -> String) -> Result<Value, String> {
    match value {
        Value::String(text) => Ok(Value::from(change(text))),
        other => Err(only("text", other)),
    }
}

/// A time zone by its IANA name, from the table that is compiled in.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    jiff::tz::TimeZoneDatabase::bundled().get(name).ok()
}

/// What kind of value a raw JSON text is, as a noun.
pub(super) fn kind_of_raw(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'"') => "text",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') | None => "null",
        Some(_) => "a number",
    }
}

fn only(wanted: &str, value: &Value) -> String {
    format!("{wanted} is needed, not {}", kind_of(value))
}
