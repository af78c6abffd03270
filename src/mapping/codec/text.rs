//! Text: plain, HTML, words from a table, lists in one text.

use serde_json::Value;

use super::super::scan::{push_text, scalar_text, text_of};
use super::{kind_of_raw, only};

/// Any scalar as text; a string is copied as it stands.
#[inline]
pub(super) fn read_text(raw: &str, out: &mut Vec<u8>) -> Result<bool, String> {
    match raw.as_bytes().first() {
        Some(b'"') => {
            out.extend_from_slice(raw.as_bytes());
            Ok(true)
        }
        Some(b'n') | None => Ok(false),
        Some(b'{' | b'[') => Err(format!("text was expected, found {}", kind_of_raw(raw))),
        Some(_) => {
            out.push(b'"');
            out.extend_from_slice(raw.as_bytes());
            out.push(b'"');
            Ok(true)
        }
    }
}

/// Text with its letters in one case.
pub(super) fn read_cased(raw: &str, upper: bool, out: &mut Vec<u8>) -> Result<bool, String> {
    match scalar_text(raw) {
        Some(text) if text.is_empty() => Ok(false),
        Some(text) => {
            push_text(out, &if upper { text.to_uppercase() } else { text.to_lowercase() });
            Ok(true)
        }
        None => read_text(raw, out),
    }
}

/// HTML as plain text: tags go, line breaks and entities become what they stand for.
pub(super) fn read_html(raw: &str, out: &mut Vec<u8>) -> Result<bool, String> {
    let Some(html) = text_of(raw) else { return read_text(raw, out) };
    push_text(out, &strip(&html));
    Ok(true)
}

/// Plain text as HTML.
pub(super) fn write_html(value: &Value) -> Result<Value, String> {
    let Value::String(text) = value else { return Err(only("text", value)) };
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(Value::from(escaped.replace("\r\n", "\n").replace('\n', "<br>")))
}

fn strip(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(open) = rest.find(['<', '&']) {
        let (plain, special) = rest.split_at(open);
        text.push_str(plain);
        if let Some(tag) = special.strip_prefix('<') {
            let starts = tag.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
            match tag.find('>').filter(|_| starts) {
                Some(end) => {
                    let name = tag.get(..end).unwrap_or_default().to_ascii_lowercase();
                    let ends_line = ["/p", "/div", "/li", "/tr", "/h1", "/h2", "/h3", "br"];
                    let word = name.split([' ', '/']).next().unwrap_or_default();
                    if ends_line.contains(&name.trim_end_matches([' ', '/'])) || word == "br" {
                        text.push('\n');
                    }
                    rest = tag.get(end + 1..).unwrap_or_default();
                }
                None => {
                    text.push('<');
                    rest = tag;
                }
            }
        } else {
            let (shown, length) = entity(special);
            text.push_str(&shown);
            rest = special.get(length..).unwrap_or_default();
        }
    }
    text.push_str(rest);
    text.trim_end_matches('\n').to_owned()
}

/// What the entity at the start of a text stands for, and how many bytes it takes.
fn entity(text: &str) -> (String, usize) {
    let as_it_is = ("&".to_owned(), 1);
    let Some(end) = text.bytes().take(12).position(|byte| byte == b';') else { return as_it_is };
    let name = text.get(1..end).unwrap_or_default();
    let shown = match name {
        "amp" => "&".to_owned(),
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        "nbsp" => " ".to_owned(),
        _ => {
            let code = match name.strip_prefix('#') {
                Some(code) => code
                    .strip_prefix(['x', 'X'])
                    .map_or_else(|| code.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok()),
                None => None,
            };
            match code.and_then(char::from_u32) {
                Some(character) => character.to_string(),
                None => return as_it_is,
            }
        }
    };
    (shown, end + 1)
}

/// What happens to a word that is not in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Unknown {
    /// Null and a warning on reads; a fault on writes.
    Null,
    /// Taken as it is, both ways.
    Pass,
    /// That word on reads; a fault on writes.
    Word(String),
}

/// The wire type of a table's left side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Spelling {
    /// Text.
    Text,
    /// A number.
    Number,
    /// A boolean.
    Boolean,
}

/// Words of the wire and their unified counterparts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Table {
    /// Wire and unified word, in the file's order.
    pub pairs: Vec<(String, String)>,
    /// For words beyond them.
    pub unknown: Unknown,
}

/// A word by its table.
pub(super) fn read_word(raw: &str, table: &Table, out: &mut Vec<u8>) -> Result<bool, String> {
    let text = match scalar_text(raw) {
        Some(text) if text.is_empty() => return Ok(false),
        Some(text) => text,
        None if raw == "null" => return Ok(false),
        None => return Err(format!("a word was expected, found {}", kind_of_raw(raw))),
    };
    let known = table.pairs.iter().find(|(wire, _)| *wire == text);
    match (known, &table.unknown) {
        (Some((_, unified)), _) => push_text(out, unified),
        (None, Unknown::Word(word)) => push_text(out, word),
        (None, Unknown::Pass) => push_text(out, &text),
        (None, Unknown::Null) => return Err("the CRM's value has no counterpart".to_owned()),
    }
    Ok(true)
}

/// A unified word in the wire's spelling.
pub(super) fn write_word(value: &Value, table: &Table, spelling: Spelling) -> Result<Value, String> {
    let Value::String(text) = value else { return Err(only("a word", value)) };
    let wire = match table.pairs.iter().find(|(_, unified)| unified == text) {
        Some((wire, _)) => wire,
        None if table.unknown == Unknown::Pass && !table.pairs.iter().any(|(wire, _)| wire == text) => text,
        None => {
            let known: Vec<String> = table.pairs.iter().map(|(_, unified)| format!("`{unified}`")).collect();
            return Err(format!("the CRM has no counterpart for the value; it has {}", known.join(", ")));
        }
    };
    match spelling {
        Spelling::Text => Ok(Value::from(wire.as_str())),
        Spelling::Boolean => Ok(Value::from(wire == "true")),
        Spelling::Number => {
            wire.parse::<i64>().map(Value::from).map_err(|_| "the CRM's value must be a number".to_owned())
        }
    }
}

/// A text such as `a;b` as a list.
pub(super) fn read_list(raw: &str, separator: &str, out: &mut Vec<u8>) -> Result<bool, String> {
    let text = match scalar_text(raw) {
        Some(text) => text,
        None if raw == "null" => return Ok(false),
        None => return Err(format!("text was expected, found {}", kind_of_raw(raw))),
    };
    out.push(b'[');
    let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
    for (index, part) in parts.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_text(out, part);
    }
    out.push(b']');
    Ok(true)
}

/// A list of texts as one.
pub(super) fn write_list(value: &Value, separator: &str) -> Result<Value, String> {
    let Value::Array(items) = value else { return Err(only("a list of texts", value)) };
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        let Value::String(text) = item else { return Err(only("a list of texts", item)) };
        if text.contains(separator) || text.trim() != text || text.is_empty() {
            return Err(format!("an element is empty, has outer blanks, or holds `{separator}`"));
        }
        parts.push(text.as_str());
    }
    Ok(Value::from(parts.join(separator)))
}
