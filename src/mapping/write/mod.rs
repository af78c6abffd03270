//! The write plan: from a unified body to what the CRM is sent.

mod list;
mod place;

use std::collections::HashSet;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use self::list::{each_to_wire, places_to_wire};
use self::place::set;
use super::Writing;
use super::codec::{Around, zone};
use super::custom::Body;
use super::expression::run;
use super::finder;
use super::path::{Path, Step};
use super::rule::{Field, Given, GivenValue, Mapping, Rule, Source, ValueRule};
use crate::model::{Problem, Severity};

/// The most elements of one list in a body.
const MOST_ELEMENTS: usize = 1_000;

/// Whether a record is made or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Nulls are left out.
    Create,
    /// Nulls clear.
    Update,
}

/// An association that a body asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The name that the rule's `link:` gives it.
    pub name: String,
    /// The ids of the other records; empty to unlink.
    pub ids: Vec<String>,
    /// Whether these are to be all there are. A field that holds one id means the one that it shows, and no others.
    pub whole: bool,
}

/// What a unified body comes to on the CRM's side.
#[derive(Debug, Default)]
pub struct Written {
    /// The body, without a wrapper.
    pub body: Map<String, Value>,
    /// Associations, which each CRM records in a way of its own.
    pub links: Vec<Link>,
    /// Warnings for what is not written, faults for what cannot be expressed.
    pub problems: Vec<Problem>,
    /// Unified fields whose present value an update cannot do without: it names only a part of what the CRM keeps as a
    /// whole. Once they are known, the body is translated again, with [`Writing::present`].
    pub needs: Vec<String>,
}

impl Written {
    /// Whether something of the body cannot be expressed, so that the call must not be made.
    pub fn has_faults(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Fault)
    }
}

/// A write in progress.
pub(super) struct Output<'w> {
    pub mode: WriteMode,
    pub writing: &'w Writing<'w>,
    /// What clears a value.
    null_as: &'w Value,
    connector: &'w str,
    zone: Option<TimeZone>,
    written: Written,
}

impl Output<'_> {
    /// Sets a value of the CRM's body.
    pub fn set(&mut self, path: &Path, value: Value) {
        set(&mut self.written.body, &path.steps, value);
    }

    /// Sets a value of the CRM's body; null clears on an update and is left out of a create.
    pub fn set_or_clear(&mut self, path: &Path, value: &Value) {
        match (value, self.mode) {
            (Value::Null, WriteMode::Create) => {}
            (Value::Null, WriteMode::Update) => self.set(path, self.null_as.clone()),
            (value, _) => self.set(path, value.clone()),
        }
    }

    /// Notes a field whose present value is needed, unless that has been given.
    fn need(&mut self, name: &str) {
        if self.mode == WriteMode::Update && self.writing.present.is_none() {
            self.written.needs.push(name.to_owned());
        }
    }

    /// What codecs need beside a value.
    pub fn around(&self) -> Around<'_> {
        Around { currency: self.writing.currency, zone: self.zone.as_ref() }
    }

    /// What could not be expressed so far.
    pub fn faults(&self) -> impl Iterator<Item = &Problem> {
        self.written.problems.iter().filter(|problem| problem.severity == Severity::Fault)
    }

    /// What has been set at a path of plain keys.
    pub fn at(&self, path: &Path) -> Option<&Value> {
        let mut steps = path.steps.iter();
        let Some(Step::Key(first)) = steps.next() else { return None };
        steps.try_fold(self.written.body.get(first)?, |at, step| match step {
            Step::Key(key) => at.get(key),
            _ => None,
        })
    }

    /// Notes what cannot be expressed.
    pub fn fault(&mut self, pointer: &str, path: &str, message: impl Into<String>) {
        self.note(Severity::Fault, pointer, path, message.into());
    }

    /// Notes what is not written.
    pub fn warn(&mut self, pointer: &str, path: &str, message: impl Into<String>) {
        self.note(Severity::Warning, pointer, path, message.into());
    }

    fn note(&mut self, severity: Severity, pointer: &str, path: &str, message: String) {
        self.written.problems.push(Problem {
            severity,
            record: None,
            pointer: pointer.to_owned(),
            path: path.to_owned(),
            message,
        });
    }
}

/// Translates a unified body. Nothing is sent that the body does not name; what has no place is a warning, what the CRM
/// cannot express a fault.
pub fn write(mapping: &Mapping, body: &Body, mode: WriteMode, writing: &Writing<'_>) -> Written {
    let mut output = Output {
        mode,
        writing,
        null_as: &mapping.null_as,
        connector: &mapping.connector,
        zone: writing.timezone.and_then(zone),
        written: Written::default(),
    };
    for (name, value) in body {
        let pointer = format!("/{}", super::document::escape(name));
        match mapping.fields.iter().find(|field| field.name == *name) {
            Some(field) => field_to_wire(mapping, field, value, body, &pointer, &mut output),
            None if name == "pass_through" => {}
            // Looked at below, when all other places are known.
            None if name == finder::FIELD && writing.custom_mappings.is_some() => {}
            None => {
                let message =
                    format!("`{name}` has no counterpart in {}; it is not written", output.connector);
                output.warn(&pointer, "", message);
            }
        }
    }
    compose(mapping, body, &mut output);
    if let (Some(custom), Some(value)) = (writing.custom_mappings, body.get(finder::FIELD)) {
        custom.write(value, mapping, &mut output);
    }
    for given in &mapping.defaults {
        give(given, &mut output);
    }
    if let Some(custom) = mapping.custom.as_ref().filter(|_| mode == WriteMode::Create) {
        custom.require(mapping, &mut output);
    }
    output.written
}

/// Gives a new record what the CRM insists on and the body does not name; never in silence.
fn give(given: &Given, output: &mut Output<'_>) {
    let Some(now) = output.writing.now.filter(|_| output.mode == WriteMode::Create) else { return };
    if output.at(&given.path).is_some() {
        return;
    }
    if let Some(same) = given.same_as.as_ref().and_then(|path| output.at(path)).cloned() {
        return output.set(&given.path, same);
    }
    let (value, what) = match &given.value {
        GivenValue::Fixed(value) => (value.clone(), format!("`{}`", number_free(value))),
        GivenValue::Now(codec) => match codec.write(&Value::from(now.to_string()), output.writing) {
            Ok(value) => (value, "the time of this call".to_owned()),
            Err(_) => return,
        },
    };
    output.set(&given.path, value);
    let path = given.path.to_string();
    output.warn("", &path, format!("{}; the body names none, so {what} was written", given.why));
}

/// A plain value's text, without quotes.
fn number_free(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn field_to_wire(
    mapping: &Mapping,
    field: &Field,
    value: &Value,
    body: &Body,
    pointer: &str,
    output: &mut Output<'_>,
) {
    if field.part_of.is_some() {
        return;
    }
    if field.read_only {
        let message = format!("`{}` is read-only in {}; it is not written", field.name, output.connector);
        output.warn(pointer, "", message);
        return;
    }
    if field.create_only && output.mode == WriteMode::Update {
        let message = format!(
            "{} takes `{}` only when the record is made; it is not written",
            output.connector, field.name
        );
        output.warn(pointer, "", message);
        return;
    }
    match &field.rule {
        Rule::Value(rule) => {
            if let Source::Join { owners, parts, with } = &rule.source
                && owners.iter().any(|owner| body.contains_key(owner))
            {
                let texts: Vec<&str> = owners.iter().filter_map(|owner| body.get(owner)?.as_str()).collect();
                if texts.len() != parts.len() || value.as_str() != Some(&texts.join(with)) {
                    let message = format!(
                        "`{}` is made of {}, which the body has; it is not written",
                        field.name,
                        owners.join(", ")
                    );
                    output.warn(pointer, "", message);
                }
                return;
            }
            let path = rule.currency.as_ref().map(|(_, path)| path);
            let named = path.and_then(|path| body_at(mapping, path, body));
            let present = output.writing.present;
            let currency = named.or_else(|| body_at(mapping, path?, present?));
            if let (None, false, Some(field)) =
                (currency, value.is_null(), path.and_then(|path| written_to(mapping, path)))
            {
                output.need(&field.name);
            }
            value_to_wire(rule, value, currency, pointer, output);
        }
        Rule::Object(fields) => object_to_wire(mapping, fields, value, body, pointer, output),
        Rule::Places { places, exact } => places_to_wire(places, *exact, value, pointer, output),
        Rule::Each(each) => each_to_wire(each, value, pointer, output),
        Rule::Custom => {
            if let Some(custom) = &mapping.custom {
                custom.write(value, output);
            }
        }
    }
}

impl Mapping {
    /// The name of the field which is written to a path.
    pub(super) fn field_written_to(&self, path: &Path) -> Option<&str> {
        written_to(self, path).map(|field| field.name.as_str())
    }
}

/// The field which is written to a path.
fn written_to<'m>(mapping: &'m Mapping, path: &Path) -> Option<&'m Field> {
    mapping.fields.iter().find(
        |field| matches!(&field.rule, Rule::Value(rule) if rule.target.as_ref() == Some(path) && !field.read_only),
    )
}

/// The text that the body gives for the field which is written to a path.
fn body_at<'b>(mapping: &Mapping, path: &Path, body: &'b Body) -> Option<&'b str> {
    body.get(&written_to(mapping, path)?.name)?.as_str()
}

/// Writes one value. `currency` is the one that the same body names for the amount.
fn value_to_wire(
    rule: &ValueRule,
    value: &Value,
    currency: Option<&str>,
    pointer: &str,
    output: &mut Output<'_>,
) {
    if let Some(name) = &rule.link {
        return link(name, value, pointer, output);
    }
    if let Some(text) = rule.constant() {
        if value.as_str() != Some(text) && !(value.is_null() && output.mode == WriteMode::Create) {
            let message = format!("the value is kept as `{text}`: {} has no other", output.connector);
            output.warn(pointer, "", message);
        }
        return;
    }
    if value.is_null() {
        if output.mode == WriteMode::Update {
            clear(rule, pointer, output);
        }
        return;
    }
    let taken = match (&rule.currency, currency, output.writing.currency) {
        (Some((_, path)), None, Some(code))
            if rule.codec.needs_currency() && output.mode == WriteMode::Update =>
        {
            Some((path.to_string(), format!("the body names no currency; the amount is taken as {code}")))
        }
        _ => None,
    };
    match encode(rule, value, currency, output) {
        Ok((values, remark)) => {
            if output.mode == WriteMode::Update
                && let Source::First(rules) = &rule.source
            {
                for other in rules.iter().filter_map(|rule| rule.target.as_ref()) {
                    output.set(other, output.null_as.clone());
                }
            }
            // Two texts may be made of the same places; what a body says of them must then agree.
            if matches!(rule.source, Source::Join { .. })
                && values.iter().any(|(path, value)| output.at(path).is_some_and(|other| other != value))
            {
                let path = target_text(rule);
                return output.fault(
                    pointer,
                    &path,
                    "another field of the body says something else of the same value",
                );
            }
            for (path, value) in values {
                output.set(&path, value);
            }
            // Where amount and currency are one value, neither goes without the other.
            if let (Some((_, path)), Some(whole)) = (&rule.currency, &rule.clear)
                && whole.overlaps(path)
                && output.at(path).is_none()
                && let Some(code) = currency.or(output.writing.currency)
            {
                output.set(path, Value::from(code));
            }
            if let Some(remark) = remark {
                let path = target_text(rule);
                output.warn(pointer, &path, remark);
            }
            if let Some((path, message)) = taken {
                output.warn(pointer, &path, message);
            }
        }
        Err(message) => {
            let path = target_text(rule);
            output.fault(pointer, &path, message);
        }
    }
}

fn target_text(rule: &ValueRule) -> String {
    rule.targets().first().map(ToString::to_string).unwrap_or_default()
}

fn clear(rule: &ValueRule, pointer: &str, output: &mut Output<'_>) {
    if let Source::Cases { .. } = rule.source {
        let path = target_text(rule);
        return output.fault(pointer, &path, "the value is derived from several and cannot be cleared");
    }
    let null = rule.null_as.as_ref().unwrap_or(output.null_as).clone();
    let targets: Vec<Path> = match &rule.clear {
        Some(path) => vec![path.clone()],
        None => rule.targets().into_iter().cloned().collect(),
    };
    for path in &targets {
        output.set(path, null.clone());
    }
}

/// What goes where, and a remark where a little is lost.
type Encoded = (Vec<(Path, Value)>, Option<&'static str>);

fn encode(
    rule: &ValueRule,
    value: &Value,
    currency: Option<&str>,
    output: &Output<'_>,
) -> Result<Encoded, String> {
    let around = Around { currency: currency.or(output.writing.currency), zone: output.zone.as_ref() };
    match &rule.source {
        Source::Constant(_) => Ok((Vec::new(), None)),
        Source::Paths(_) => {
            let (value, remark) = rule.codec.encode(value, around)?;
            Ok((rule.target.iter().map(|path| (path.clone(), value.clone())).collect(), remark))
        }
        Source::Join { parts, with, .. } => {
            let (text, remark) = match rule.codec.is_text() {
                true => (value.clone(), None),
                false => rule.codec.encode(value, around)?,
            };
            let text = text.as_str().ok_or("text is needed")?.trim();
            // The last parts get one word each; whatever is before them belongs to the first.
            let mut pieces: Vec<&str> = text.rsplitn(parts.len(), with.as_str()).collect();
            pieces.reverse();
            let null = rule.null_as.as_ref().unwrap_or(output.null_as);
            let mut written = Vec::new();
            for (index, (_, path)) in parts.iter().enumerate() {
                match pieces.get(index) {
                    Some(piece) => written.push((path.clone(), Value::from(*piece))),
                    None if output.mode == WriteMode::Update => written.push((path.clone(), null.clone())),
                    None => {}
                }
            }
            Ok((written, remark))
        }
        Source::Cases { cases, .. } => {
            let case = cases.iter().find(|case| case.value == *value).ok_or_else(|| {
                let known: Vec<String> = cases.iter().map(|case| case.value.to_string()).collect();
                format!("the CRM has no counterpart for the value; it has {}", known.join(", "))
            })?;
            Ok((
                case.when
                    .iter()
                    .map(|(_, path, wanted)| (path.clone(), Value::from(wanted.as_str())))
                    .collect(),
                None,
            ))
        }
        Source::First(rules) => {
            let mut trouble = "the CRM has no counterpart for the value".to_owned();
            for rule in rules {
                match encode(rule, value, currency, output) {
                    Ok(written) => return Ok(written),
                    Err(message) => trouble = message,
                }
            }
            Err(trouble)
        }
        Source::Expression(expression) => {
            let mut written = Vec::new();
            for (path, program) in &expression.write {
                let value = run(program, &[("value", value.clone())])?;
                written.push((path.clone(), value));
            }
            Ok((written, None))
        }
    }
}

fn link(name: &str, value: &Value, pointer: &str, output: &mut Output<'_>) {
    let ids: Option<Vec<String>> = match value {
        Value::Null if output.mode == WriteMode::Create => return,
        Value::Null => Some(Vec::new()),
        Value::String(id) => Some(vec![id.clone()]),
        Value::Array(items) if items.len() <= MOST_ELEMENTS => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        }
        _ => None,
    };
    let Some(mut ids) = ids else {
        return output.fault(pointer, "", "ids as text are needed");
    };
    if ids.is_empty() && output.mode == WriteMode::Create {
        return;
    }
    let mut known = HashSet::new();
    ids.retain(|id| known.insert(id.clone()));
    let whole = value.is_array();
    // One association may be written through two fields, as one id and as all of them.
    match output.written.links.iter_mut().find(|link| link.name == name) {
        Some(link) => {
            link.whole |= whole;
            for id in ids {
                if !link.ids.contains(&id) {
                    link.ids.push(id);
                }
            }
        }
        None => output.written.links.push(Link { name: name.to_owned(), ids, whole }),
    }
}

fn object_to_wire(
    mapping: &Mapping,
    fields: &[Field],
    value: &Value,
    body: &Body,
    pointer: &str,
    output: &mut Output<'_>,
) {
    match value {
        Value::Null => {
            for field in fields.iter().filter(|field| !field.read_only) {
                let pointer = format!("{pointer}/{}", field.name);
                field_to_wire(mapping, field, &Value::Null, body, &pointer, output);
            }
        }
        Value::Object(entries) => {
            for (name, value) in entries {
                let pointer = format!("{pointer}/{}", super::document::escape(name));
                match fields.iter().find(|field| field.name == *name) {
                    Some(field) => field_to_wire(mapping, field, value, body, &pointer, output),
                    None => not_stored(name, value, &pointer, output),
                }
            }
        }
        _ => output.fault(pointer, "", "an object is needed"),
    }
}

fn not_stored(name: &str, value: &Value, pointer: &str, output: &mut Output<'_>) {
    if !value.is_null() {
        let message = format!("`{name}` has no counterpart in {}; it is not written", output.connector);
        output.warn(pointer, "", message);
    }
}

/// Fields that a body gives in parts only.
fn compose(mapping: &Mapping, body: &Body, output: &mut Output<'_>) {
    for field in &mapping.fields {
        let Rule::Value(rule) = &field.rule else { continue };
        let Some((parts, with)) = &rule.parts else { continue };
        let given: Vec<&String> = parts.iter().filter(|part| body.contains_key(*part)).collect();
        let Some(first) = given.first() else { continue };
        let pointer = format!("/{first}");
        let present = output.writing.present;
        let value_of = |part: &String| body.get(part).or_else(|| present?.get(part));
        let texts: Vec<&str> = parts
            .iter()
            .filter_map(|part| value_of(part)?.as_str())
            .filter(|text| !text.is_empty())
            .collect();
        let whole = texts.join(with);
        match body.get(&field.name) {
            Some(value) => {
                if value.as_str() != Some(&whole) {
                    let message = format!(
                        "{} keeps only `{}`, which the body names as well; the parts are not written",
                        output.connector, field.name
                    );
                    output.warn(&pointer, "", message);
                }
            }
            None if output.mode == WriteMode::Update && present.is_none() && given.len() < parts.len() => {
                for part in parts.iter().filter(|part| !body.contains_key(*part)) {
                    output.need(part);
                }
                let message = format!(
                    "{} keeps only `{}`: send it, or all of {}",
                    output.connector,
                    field.name,
                    parts.join(", ")
                );
                let path = target_text(rule);
                output.fault(&pointer, &path, message);
            }
            None => {
                let value = if whole.is_empty() { Value::Null } else { Value::from(whole) };
                value_to_wire(rule, &value, None, &pointer, output);
            }
        }
    }
}
