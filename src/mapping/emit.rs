//! The read plan's second half: from the slots of a record to unified JSON.

use std::borrow::Cow;
use std::collections::HashSet;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::Reading;
use super::codec::Around;
use super::custom::Head;
use super::expression::{bind, run};
use super::plan::{Found, Slot};
use super::rule::{Absent, Each, Field, Item, Mapping, Place, Rule, Source, ValueRule, with_currency};
use super::scan::{Scanner, push_text, scalar_text};
use crate::model::{FieldMask, Problem, Severity};

/// The most problems that one page reports.
const MOST_PROBLEMS: usize = 1_000;
/// The most elements of one list within a record.
const MOST_ELEMENTS: usize = 10_000;

/// What all records of a page have in common, and what is reused from record to record.
pub(super) struct Page<'a, 'r> {
    pub reading: &'r Reading<'a>,
    pub zone: Option<TimeZone>,
    /// Whether an empty text is what a cleared value looks like.
    pub empty_is_null: bool,
    /// One set of slots per kind of list element.
    pub lists: Vec<Found<'a>>,
    /// What is known of custom fields by their position in the records.
    pub heads: Vec<Head<'a>>,
    pub problems: &'r mut Vec<Problem>,
    /// The record at hand.
    pub record: Option<String>,
}

/// Where in the unified record something stands; turned into a pointer only when needed.
#[derive(Clone, Copy)]
pub(super) struct At<'x> {
    around: Option<&'x At<'x>>,
    part: Part<'x>,
}

#[derive(Clone, Copy)]
enum Part<'x> {
    Root,
    Key(&'x str),
    Index(usize),
}

impl<'x> At<'x> {
    /// The record itself.
    pub const ROOT: At<'static> = At { around: None, part: Part::Root };

    /// A field within it.
    pub fn key(&'x self, key: &'x str) -> At<'x> {
        At { around: Some(self), part: Part::Key(key) }
    }

    /// An element within it.
    pub fn index(&'x self, index: usize) -> At<'x> {
        At { around: Some(self), part: Part::Index(index) }
    }

    fn pointer(&self) -> String {
        let mut text = self.around.map(At::pointer).unwrap_or_default();
        match self.part {
            Part::Root => {}
            Part::Key(key) => text.extend(["/", key]),
            Part::Index(index) => text.push_str(&format!("/{index}")),
        }
        text
    }
}

impl<'a> Page<'a, '_> {
    /// Notes something about a field of the record at hand.
    #[cold]
    pub fn warn(&mut self, at: &At<'_>, path: &str, message: impl Into<String>) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(Problem {
                severity: Severity::Warning,
                record: self.record.clone(),
                pointer: at.pointer(),
                path: path.to_owned(),
                message: message.into(),
            });
        }
    }

    /// What codecs need beside a value.
    pub fn around(&self) -> Around<'_> {
        Around { currency: self.reading.currency, zone: self.zone.as_ref() }
    }

    /// A raw value that is there: not null, and not the empty text that means null.
    #[inline]
    pub fn raw(&self, found: &Found<'a>, slot: Slot, in_list: bool) -> Option<&'a str> {
        found.get(slot).filter(|raw| *raw != "\"\"" || !(self.empty_is_null || in_list))
    }
}

impl Mapping {
    /// Writes one record as an object. `wanted` has one entry per field.
    pub(super) fn emit<'a>(
        &self,
        found: &Found<'a>,
        page: &mut Page<'a, '_>,
        wanted: &[Wanted<'_>],
        out: &mut Vec<u8>,
    ) {
        out.push(b'{');
        let mut first = true;
        for (field, wanted) in self.fields.iter().zip(wanted) {
            let mask = match wanted {
                Wanted::No => continue,
                Wanted::All => None,
                Wanted::Some(mask) => Some(*mask),
            };
            let start = out.len();
            if !first {
                out.push(b',');
            }
            let written = match (&field.rule, &self.custom) {
                (Rule::Custom, Some(custom)) => {
                    out.extend_from_slice(&field.key);
                    custom.emit(found, page, &At::ROOT.key(&field.name), mask, out);
                    true
                }
                _ => emit_field(field, found, page, &At::ROOT, mask, false, out),
            };
            if written {
                first = false;
            } else {
                out.truncate(start);
            }
        }
        for (name, always) in &self.unmapped {
            let wanted = page.reading.fields.is_none_or(|mask| mask.is_all() || mask.below(name).is_some());
            if *always && wanted {
                if !first {
                    out.push(b',');
                }
                first = false;
                push_text(out, name);
                out.extend_from_slice(b":null");
            }
        }
        out.push(b'}');
    }
}

/// Whether a field is wanted, and which part of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'m> {
    No,
    All,
    Some(&'m FieldMask),
}

/// What a mask wants of a field.
pub(super) fn wanted<'m>(field: &Field, mask: Option<&'m FieldMask>) -> Wanted<'m> {
    if field.write_only {
        return Wanted::No;
    }
    match mask {
        None => Wanted::All,
        Some(mask) if mask.is_all() => Wanted::All,
        Some(mask) => match mask.below(&field.name) {
            None => Wanted::No,
            Some(below) if below.is_all() => Wanted::All,
            Some(below) => Wanted::Some(below),
        },
    }
}

/// Writes key and value; false where the field is left out.
fn emit_field<'a>(
    field: &Field,
    found: &Found<'a>,
    page: &mut Page<'a, '_>,
    around: &At<'_>,
    mask: Option<&FieldMask>,
    in_list: bool,
    out: &mut Vec<u8>,
) -> bool {
    let at = around.key(&field.name);
    out.extend_from_slice(&field.key);
    let written = match &field.rule {
        Rule::Value(rule) => emit_value(rule, found, page, &at, in_list, out),
        Rule::Places { places, .. } => emit_places(places, found, page, &at, mask, out),
        Rule::Each(each) => emit_each(each, found, page, &at, mask, out),
        Rule::Object(fields) => emit_object(fields, found, page, &at, mask, in_list, out).is_some(),
        Rule::Custom => false,
    };
    if written {
        return true;
    }
    match field.absent {
        Absent::Omit => return false,
        Absent::Null => out.extend_from_slice(b"null"),
        Absent::EmptyList => out.extend_from_slice(b"[]"),
        Absent::EmptyText => {
            page.warn(&at, "", "the CRM has no value, where the contract needs a text");
            out.extend_from_slice(b"\"\"");
        }
    }
    true
}

/// What an object turned out to be.
struct Made {
    /// Whether a value that is not constant was there.
    some: bool,
    /// Whether a field is missing without which a list element cannot be.
    lacks: bool,
}

/// Writes an object; none (and possibly rubbish behind `out`) if it has no value of its own.
pub(super) fn emit_object<'a>(
    fields: &[Field],
    found: &Found<'a>,
    page: &mut Page<'a, '_>,
    at: &At<'_>,
    mask: Option<&FieldMask>,
    in_list: bool,
    out: &mut Vec<u8>,
) -> Option<()> {
    let made = emit_members(fields, found, page, at, mask, in_list, out);
    made.some.then_some(())
}

fn emit_members<'a>(
    fields: &[Field],
    found: &Found<'a>,
    page: &mut Page<'a, '_>,
    at: &At<'_>,
    mask: Option<&FieldMask>,
    in_list: bool,
    out: &mut Vec<u8>,
) -> Made {
    let mut made = Made { some: false, lacks: false };
    let mut first = true;
    out.push(b'{');
    for field in fields {
        let start = out.len();
        if !first {
            out.push(b',');
        }
        let value_at = out.len() + field.key.len();
        let below = match wanted(field, mask) {
            Wanted::Some(mask) => Some(mask),
            _ => None,
        };
        let constant = matches!(&field.rule, Rule::Value(rule) if rule.constant().is_some());
        let required = in_list && field.required;
        let here = emit_member(field, found, page, at, below, in_list, required, out);
        let value = out.get(value_at..).unwrap_or_default();
        let empty = !here || value == b"null" || value == b"[]";
        made.some |= !constant && !empty;
        made.lacks |= required && empty;
        // What is not wanted is made all the same: whether the element exists must not depend on the mask.
        if !here || matches!(wanted(field, mask), Wanted::No) {
            out.truncate(start);
        } else {
            first = false;
        }
    }
    out.push(b'}');
    made
}

#[allow(clippy::too_many_arguments)]
fn emit_member<'a>(
    field: &Field,
    found: &Found<'a>,
    page: &mut Page<'a, '_>,
    at: &At<'_>,
    mask: Option<&FieldMask>,
    in_list: bool,
    required: bool,
    out: &mut Vec<u8>,
) -> bool {
    match &field.rule {
        // A list element that lacks a required text is dropped; it is not given an empty one.
        Rule::Value(rule) if required => {
            out.extend_from_slice(&field.key);
            emit_value(rule, found, page, &at.key(&field.name), in_list, out)
        }
        _ => emit_field(field, found, page, at, mask, in_list, out),
    }
}

/// Writes a value; false (and nothing written) where there is none.
pub(super) fn emit_value<'a>(
    rule: &ValueRule,
    found: &Found<'a>,
    page: &mut Page<'a, '_>,
    at: &At<'_>,
    in_list: bool,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    match try_value(rule, found, page, in_list, out) {
        Ok(written) => written,
        Err((path, message)) => {
            out.truncate(start);
            page.warn(at, &path, message);
            false
        }
    }
}

/// Why a value could not be made: the path concerned, and a sentence.
pub(super) type Trouble = (String, String);

pub(super) fn try_value<'a>(
    rule: &ValueRule,
    found: &Found<'a>,
    page: &Page<'a, '_>,
    in_list: bool,
    out: &mut Vec<u8>,
) -> Result<bool, Trouble> {
    let start = out.len();
    match &rule.source {
        Source::Paths(paths) => {
            for (slot, path) in paths {
                let Some(raw) = page.raw(found, *slot, in_list) else { continue };
                let own = currency(rule, found);
                let around = Around { currency: page.reading.currency, zone: page.zone.as_ref() };
                let made = rule.codec.decode(raw, with_currency(around, own.as_deref()), out);
                match made {
                    Ok(true) if is_option(rule, out.get(start..).unwrap_or_default()) => return Ok(true),
                    Ok(true) => {
                        let message = "the CRM's value is not one of the words that the contract knows";
                        return Err((path.to_string(), message.to_owned()));
                    }
                    Ok(false) => out.truncate(start),
                    Err(message) => return Err((path.to_string(), message)),
                }
            }
            Ok(false)
        }
        Source::Constant(text) => {
            push_text(out, text);
            Ok(true)
        }
        Source::Join { parts, with, .. } => {
            let mut joined = String::new();
            let mut filled = 0;
            for (slot, path) in parts {
                let Some(raw) = page.raw(found, *slot, in_list) else { continue };
                let text = scalar_text(raw).ok_or_else(|| {
                    (path.to_string(), "text was expected, found something else".to_owned())
                })?;
                if text.is_empty() {
                    continue;
                }
                if !joined.is_empty() {
                    joined.push_str(with);
                }
                joined.push_str(&text);
                filled += 1;
            }
            if joined.is_empty() {
                return Ok(false);
            }
            if !rule.codec.is_text() {
                // Half a point in time is none.
                if filled < parts.len() {
                    return Ok(false);
                }
                let mut raw = Vec::new();
                push_text(&mut raw, &joined);
                let around = Around { currency: page.reading.currency, zone: page.zone.as_ref() };
                let path = || parts.first().map(|(_, path)| path.to_string()).unwrap_or_default();
                let raw = String::from_utf8(raw).map_err(|fault| (path(), fault.to_string()))?;
                return rule.codec.decode(&raw, around, out).map_err(|message| (path(), message));
            }
            push_text(out, &joined);
            Ok(true)
        }
        Source::Cases { cases, .. } => {
            let holds = |slot: Slot, wanted: &str| {
                let text = found.get(slot).and_then(scalar_text);
                text.map_or(wanted == "null", |text| text == wanted)
            };
            let case =
                cases.iter().find(|case| case.when.iter().all(|(slot, _, wanted)| holds(*slot, wanted)));
            match case.map(|case| &case.value) {
                None | Some(Value::Null) => Ok(false),
                Some(Value::String(text)) => {
                    push_text(out, text);
                    Ok(true)
                }
                Some(other) => {
                    out.extend_from_slice(other.to_string().as_bytes());
                    Ok(true)
                }
            }
        }
        Source::First(rules) => {
            let mut trouble = None;
            for rule in rules {
                match try_value(rule, found, page, in_list, out) {
                    Ok(true) => return Ok(true),
                    Ok(false) => {}
                    Err(found) => trouble = Some(found),
                }
                out.truncate(start);
            }
            trouble.map_or(Ok(false), Err)
        }
        Source::Expression(expression) => {
            let Some(program) = &expression.read else { return Ok(false) };
            let path = || expression.uses.first().map(|used| used.path.to_string()).unwrap_or_default();
            let mut values = Vec::with_capacity(expression.uses.len());
            for used in &expression.uses {
                let value = bind(page.raw(found, used.slot, in_list)).map_err(|message| (path(), message))?;
                values.push((used.name.as_str(), value));
            }
            if values.iter().all(|(_, value)| value.is_null()) {
                return Ok(false);
            }
            let value = run(program, &values).map_err(|message| (path(), message))?;
            if value.is_null() {
                return Ok(false);
            }
            let around = Around { currency: page.reading.currency, zone: page.zone.as_ref() };
            let made =
                rule.codec.decode(&value.to_string(), around, out).map_err(|message| (path(), message))?;
            if made && !is_option(rule, out.get(start..).unwrap_or_default()) {
                let message = "the computed value is not one of the words that the contract knows";
                return Err((path(), message.to_owned()));
            }
            Ok(made)
        }
    }
}

/// The currency that the record itself names for an amount.
pub(super) fn currency<'a>(rule: &ValueRule, found: &Found<'a>) -> Option<Cow<'a, str>> {
    let (slot, _) = rule.currency.as_ref()?;
    found.get(*slot).and_then(scalar_text).filter(|text| !text.is_empty())
}

/// Whether a written value is in the rule's closed set.
fn is_option(rule: &ValueRule, written: &[u8]) -> bool {
    let Some(options) = &rule.options else { return true };
    let word = written.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    word.is_some_and(|word| options.binary_search_by(|option| option.as_bytes().cmp(word)).is_ok())
}

/// Writes a list of fixed places.
fn emit_places<'a>(
    places: &[Place],
    found: &Found<'a>,
    page: &mut Page<'a, '_>,
    at: &At<'_>,
    mask: Option<&FieldMask>,
    out: &mut Vec<u8>,
) -> bool {
    out.push(b'[');
    let mut count = 0;
    for place in places {
        let Some(spread) = &place.spread else {
            emit_element(&place.fields, found, page, at, mask, &mut count, out);
            continue;
        };
        let Some(raw) = page.raw(found, spread.slot, true) else { continue };
        let Some(text) = scalar_text(raw) else {
            page.warn(at, &spread.path.to_string(), "text was expected, found something else");
            continue;
        };
        let parts = text.split(spread.separator.as_str()).map(str::trim).filter(|part| !part.is_empty());
        for part in parts.take(MOST_ELEMENTS) {
            let mut raw = Vec::new();
            push_text(&mut raw, part);
            let raw = String::from_utf8(raw).unwrap_or_default();
            let mut lists = Vec::new();
            std::mem::swap(&mut lists, &mut page.lists);
            // A page of its own: the element's text does not live as long as the body.
            let mut inner = Page {
                reading: page.reading,
                zone: page.zone.clone(),
                empty_is_null: true,
                lists: Vec::new(),
                heads: Vec::new(),
                problems: &mut *page.problems,
                record: page.record.clone(),
            };
            let element = Found::one(&raw);
            emit_element(&place.fields, &element, &mut inner, at, mask, &mut count, out);
            page.lists = lists;
        }
    }
    out.push(b']');
    true
}

/// Writes one element of a list if it has a value of its own.
pub(super) fn emit_element<'a>(
    fields: &[Field],
    found: &Found<'a>,
    page: &mut Page<'a, '_>,
    at: &At<'_>,
    mask: Option<&FieldMask>,
    count: &mut usize,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    if *count > 0 {
        out.push(b',');
    }
    let here = at.index(*count);
    let made = emit_members(fields, found, page, &here, mask, true, out);
    if made.some && !made.lacks {
        *count += 1;
        return;
    }
    // Without the value that the contract needs there is nothing to show; a bad one has been noted.
    out.truncate(start);
}

/// Writes a list made from a list; false where the record has none.
fn emit_each<'a>(
    each: &Each,
    found: &Found<'a>,
    page: &mut Page<'a, '_>,
    at: &At<'_>,
    mask: Option<&FieldMask>,
    out: &mut Vec<u8>,
) -> bool {
    let Some(raw) = page.raw(found, each.slot, true) else { return false };
    let mut scanner = Scanner::of(raw);
    if scanner.peek() != Some(b'[') {
        page.warn(at, &each.path.to_string(), "a list was expected, found something else");
        return false;
    }
    let mut element = page.lists.get_mut(each.list).map(std::mem::take).unwrap_or_default();
    let mut known: HashSet<Vec<u8>> = HashSet::new();
    let mut count = 0;
    let mut index = 0;
    let mut first = true;
    let list = out.len();
    out.push(b'[');
    // The text was checked when the record was read, so that no error can come up here.
    let entered = scanner.enter();
    while entered.is_ok() && scanner.next_element(&mut first).unwrap_or(false) {
        if index == MOST_ELEMENTS {
            page.warn(at, &each.path.to_string(), "the list is too long; the rest is left out");
            break;
        }
        element.clear(&each.tree);
        let kind = scanner.peek();
        if each.tree.fill(&mut scanner, &mut element).is_err() {
            break;
        }
        match &each.item {
            Item::Fields(_) if kind != Some(b'{') => {
                if kind != Some(b'n') {
                    page.warn(&at.index(count), &format!("{}[{index}]", each.path), "an object was expected");
                }
            }
            Item::Fields(fields) => emit_element(fields, &element, page, at, mask, &mut count, out),
            Item::Value(rule) => {
                let start = out.len();
                if count > 0 {
                    out.push(b',');
                }
                let value = out.len();
                let written = emit_value(rule, &element, page, &at.index(count), true, out);
                let again = written && each.distinct && count > 0 && {
                    if count == 1 {
                        known.insert(out.get(list + 1..start).unwrap_or_default().to_vec());
                    }
                    !known.insert(out.get(value..).unwrap_or_default().to_vec())
                };
                if written && !again {
                    count += 1;
                } else {
                    out.truncate(start);
                }
            }
        }
        index += 1;
    }
    out.push(b']');
    if let Some(place) = page.lists.get_mut(each.list) {
        *place = element;
    }
    true
}

/// The text of an id, made by its rule.
pub(super) fn id_of<'a>(rule: &ValueRule, found: &Found<'a>, page: &Page<'a, '_>) -> Option<String> {
    let mut out = Vec::with_capacity(24);
    if !try_value(rule, found, page, true, &mut out).ok()? {
        return None;
    }
    // A plain text loses its quotes where it stands; one with escapes is read.
    if !out.contains(&b'\\') && out.len() > 2 && out.starts_with(b"\"") {
        out.pop();
        out.remove(0);
        return String::from_utf8(out).ok();
    }
    let raw = String::from_utf8(out).ok()?;
    scalar_text(&raw).map(Cow::into_owned).filter(|id| !id.is_empty())
}
