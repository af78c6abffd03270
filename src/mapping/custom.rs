//! Custom fields: the left-over keys of one object, by id, typed by what the CRM says about its fields.

use serde_json::{Map, Value};

use super::codec::{is_number, number_text};
use super::emit::{At, Page};
use super::path::{Path, Step};
use super::plan::{Found, Tree};
use super::scan::{push_text, scalar_text, text_of};
use super::schema::UnifiedField;
use super::write::{Output, WriteMode};
use crate::model::{FieldDefinition, FieldDefinitions, FieldKind, FieldMask};

/// The most left-over keys that are looked at in one record.
const MOST: usize = 2_000;

/// The rule for custom fields.
#[derive(Debug)]
pub(super) struct Custom {
    /// The unified field that holds them.
    pub field: String,
    /// Whether an element has the key as its `name` and no id.
    pub named: bool,
    /// The object whose left-over keys they are.
    pub base: Path,
    /// Whether every value is text on the wire.
    pub text: bool,
    /// What stands between the options of a multiple choice, where they are one text.
    pub multiple: Option<String>,
    /// Whether option ids are numbers on the wire.
    pub number_options: bool,
    pub read_only: bool,
    pub null_as: Value,
    /// Keys that other rules read.
    mapped: Vec<String>,
}

impl Custom {
    /// Compiles the file's `custom_fields`.
    ///
    /// Errors: what is wrong with its path.
    pub fn compile(
        rule: &Value,
        field: &UnifiedField,
        null_as: &Value,
        tree: &mut Tree,
    ) -> Result<Custom, String> {
        let text = |key: &str| rule.get(key).and_then(Value::as_str);
        let path = Path::parse(text("from").unwrap_or_default())?;
        if !path.is_rest() || path.steps.iter().any(|s| !matches!(s, Step::Key(_) | Step::Rest)) {
            return Err(
                "the path of custom fields is keys that end in `*`, such as `properties.*`".to_owned()
            );
        }
        let mut base = path.clone();
        base.steps.pop();
        tree.slot(&path);
        let except =
            rule.get("except").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for key in except.filter(|key| *key != "mapped") {
            tree.exclude(&base.join(&Path { steps: vec![Step::Key(key.to_owned())] }));
        }
        Ok(Custom {
            field: field.name.clone(),
            named: !field.kind.fields().iter().any(|part| part.name == "id"),
            mapped: tree.keys_at(&base),
            base,
            text: text("values") == Some("text"),
            multiple: text("multiple").map(str::to_owned),
            number_options: text("options") == Some("number"),
            read_only: rule.get("read_only") == Some(&Value::Bool(true)),
            null_as: rule.get("null_as").unwrap_or(null_as).clone(),
        })
    }

    /// Writes the record's custom fields as a list.
    pub fn emit<'a>(
        &self,
        found: &Found<'a>,
        page: &mut Page<'a, '_>,
        at: &At<'_>,
        mask: Option<&FieldMask>,
        out: &mut Vec<u8>,
    ) {
        let rest = found.rest.get(..found.rest.len().min(MOST)).unwrap_or_default();
        if rest.len() < found.rest.len() {
            page.warn(
                at,
                &self.base.to_string(),
                format!("more than {MOST} custom fields; the rest is left out"),
            );
        }
        out.push(b'[');
        let mut count = 0;
        let mut heads = std::mem::take(&mut page.heads);
        for (index, (key, raw)) in rest.iter().enumerate() {
            // Of a key that comes twice the last one counts.
            let later = rest.get(index + 1..).unwrap_or_default();
            if later.iter().any(|(other, _)| other.raw.len() == key.raw.len() && other.raw == key.raw) {
                continue;
            }
            // A field without a value says nothing, and some CRMs leave it out altogether: lists stay the same either way.
            if self.is_empty(raw) {
                continue;
            }
            // Records of a page have the same keys in the same order: what is known of a key is kept by its position.
            if heads.len() <= index {
                heads.resize_with(index + 1, Head::default);
            }
            let Some(head) = heads.get_mut(index) else { break };
            if head.key != key.raw {
                *head = Head::of(key.raw, &key.text(), self.named, page.reading.definitions, mask);
            }
            if !head.shown {
                continue;
            }
            if count > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&head.json);
            if head.value
                && let Err(message) = self.value(raw, head.definition, out)
            {
                let path = format!("{}.{}", self.base, key.text());
                page.warn(&at.index(count), &path, message);
            }
            out.push(b'}');
            count += 1;
        }
        out.push(b']');
        page.heads = heads;
    }

    fn is_empty(&self, raw: &str) -> bool {
        raw == "null" || (self.null_as == "" && raw == "\"\"")
    }

    /// One value in its type; on an error the value is written as it is or null.
    fn value(
        &self,
        raw: &str,
        definition: Option<&FieldDefinition>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        if self.named {
            // Such an element's value is text, whatever the CRM has.
            match scalar_text(raw) {
                Some(text) => push_text(out, &text),
                None => push_text(out, raw),
            }
            return Ok(());
        }
        let Some(text) = text_of(raw).filter(|_| self.text) else {
            out.extend_from_slice(raw.as_bytes());
            return Ok(());
        };
        match definition.map_or(FieldKind::Text, |definition| definition.kind) {
            FieldKind::Integer | FieldKind::Number | FieldKind::Money => {
                if is_number(&text) {
                    out.extend_from_slice(text.as_bytes());
                    return Ok(());
                }
                out.extend_from_slice(raw.as_bytes());
                Err("the CRM says that the field is a number; its value is another text".to_owned())
            }
            FieldKind::Boolean => match text.as_ref() {
                "true" | "false" => {
                    out.extend_from_slice(text.as_bytes());
                    Ok(())
                }
                _ => {
                    out.extend_from_slice(raw.as_bytes());
                    Err("the CRM says that the field is a boolean; its value is another text".to_owned())
                }
            },
            FieldKind::Multiselect => {
                let Some(separator) = &self.multiple else {
                    out.extend_from_slice(raw.as_bytes());
                    return Ok(());
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
                Ok(())
            }
            _ => {
                out.extend_from_slice(raw.as_bytes());
                Ok(())
            }
        }
    }

    /// Takes a body's custom fields apart.
    pub fn write(&self, value: &Value, output: &mut Output<'_>) {
        let items = match value {
            // Clearing the list of all custom fields would clear fields that nobody named.
            Value::Null => return,
            Value::Array(items) => items,
            _ => return output.fault(&format!("/{}", self.field), "", "a list of fields is needed"),
        };
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("/{}/{index}", self.field);
            match self.key(item, output) {
                Ok((key, definition)) => {
                    let path = self.base.join(&Path { steps: vec![Step::Key(key)] });
                    match item.get("value") {
                        None | Some(Value::Null) => {
                            if output.mode == WriteMode::Update {
                                output.set(&path, self.null_as.clone());
                            }
                        }
                        Some(value) => match self.wire(value, definition) {
                            Ok(value) => output.set(&path, value),
                            Err(message) => {
                                output.fault(&format!("{pointer}/value"), &path.to_string(), message);
                            }
                        },
                    }
                }
                Err(message) => output.fault(&pointer, &self.base.to_string(), message),
            }
        }
    }

    /// The key that a custom field of a body means, by its id or name.
    fn key<'d>(
        &self,
        item: &Value,
        output: &Output<'d>,
    ) -> Result<(String, Option<&'d FieldDefinition>), String> {
        let text = |key: &str| item.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (id, name) = if self.named { (text("name"), None) } else { (text("id"), text("name")) };
        let Some(definitions) = output.writing.definitions else {
            let id = id.ok_or("the fields of the CRM are not known at the moment, so `id` is needed")?;
            if self.mapped.iter().any(|mapped| mapped == id) {
                return Err(
                    "the field has a place of its own in the contract and is not a custom field".to_owned()
                );
            }
            return Ok((id.to_owned(), None));
        };
        let definition = match (id, name) {
            (Some(id), _) => definitions.get(id).ok_or("the CRM has no field with that id")?,
            (None, Some(name)) => {
                let custom = || definitions.fields.iter().filter(|field| field.custom);
                let mut same = custom().filter(|field| field.name == name);
                let found = match (same.next(), same.next()) {
                    (Some(found), None) => Some(found),
                    (Some(_), Some(_)) => {
                        return Err("several fields of the CRM have that name; use `id`".to_owned());
                    }
                    (None, _) => custom().find(|field| field.name.eq_ignore_ascii_case(name)),
                };
                found.ok_or("the CRM has no field with that name")?
            }
            (None, None) => return Err("`id` or `name` is needed".to_owned()),
        };
        if definition.read_only {
            return Err("the CRM computes that field; it cannot be written".to_owned());
        }
        if !definition.custom {
            return Err("the field has no custom value: it is one of the CRM's own".to_owned());
        }
        Ok((definition.id.clone(), Some(definition)))
    }

    /// A typed value as the wire has it.
    fn wire(&self, value: &Value, definition: Option<&FieldDefinition>) -> Result<Value, String> {
        let kind = definition.map_or(FieldKind::Other, |definition| definition.kind);
        let plain = |value: &Value| -> Result<String, String> {
            match value {
                Value::String(text) => Ok(text.clone()),
                Value::Number(number) => Ok(number_text(number)),
                Value::Bool(value) => Ok(value.to_string()),
                _ => Err("a plain value is needed".to_owned()),
            }
        };
        match kind {
            FieldKind::Integer | FieldKind::Number | FieldKind::Money
                if !is_number(&plain(value).unwrap_or_default())
                    && (kind != FieldKind::Money || !value.is_object()) =>
            {
                return Err("the CRM's field is a number".to_owned());
            }
            FieldKind::Boolean
                if !matches!(value, Value::Bool(_))
                    && !["true", "false"].contains(&value.as_str().unwrap_or_default()) =>
            {
                return Err("the CRM's field is true or false".to_owned());
            }
            FieldKind::Select | FieldKind::Multiselect => return self.options(value, definition, kind),
            _ => {}
        }
        match value {
            Value::Array(items) if self.text => {
                let separator = self.multiple.as_deref().unwrap_or(";");
                let parts: Result<Vec<String>, String> = items.iter().map(plain).collect();
                Ok(Value::from(parts?.join(separator)))
            }
            Value::Object(_) if self.text => Err("a plain value is needed".to_owned()),
            value if self.text => plain(value).map(Value::from),
            Value::String(text)
                if matches!(kind, FieldKind::Integer | FieldKind::Number | FieldKind::Money) =>
            {
                serde_json::from_str(text).map_err(|_| "the CRM's field is a number".to_owned())
            }
            Value::Number(number) => {
                Ok(number_text(number).parse::<i64>().map_or_else(|_| value.clone(), Value::from))
            }
            value => Ok(value.clone()),
        }
    }

    /// Options by id or label, one or several.
    fn options(
        &self,
        value: &Value,
        definition: Option<&FieldDefinition>,
        kind: FieldKind,
    ) -> Result<Value, String> {
        let known = definition.map(|definition| definition.options.as_slice()).unwrap_or_default();
        let id = |value: &Value| -> Result<String, String> {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number_text(number),
                Value::Bool(value) => value.to_string(),
                _ => return Err("an option is needed".to_owned()),
            };
            if known.is_empty() || known.iter().any(|option| option.id == text) {
                return Ok(text);
            }
            let labelled = known.iter().find(|option| option.label == text);
            labelled
                .map(|option| option.id.clone())
                .ok_or_else(|| "the CRM's field has no such option".to_owned())
        };
        let wire = |id: String| match id.parse::<i64>() {
            Ok(number) if self.number_options => Value::from(number),
            _ => Value::from(id),
        };
        let ids: Result<Vec<String>, String> = match value {
            Value::Array(items) => items.iter().map(id).collect(),
            Value::String(text)
                if kind == FieldKind::Multiselect
                    && self.multiple.as_ref().is_some_and(|s| text.contains(s.as_str())) =>
            {
                let separator = self.multiple.as_deref().unwrap_or(";");
                text.split(separator).map(|part| id(&Value::from(part.trim()))).collect()
            }
            one => id(one).map(|id| vec![id]),
        };
        let mut ids = ids?;
        match (kind, &self.multiple) {
            (FieldKind::Multiselect, Some(separator)) => Ok(Value::from(ids.join(separator))),
            (FieldKind::Multiselect, None) => Ok(Value::Array(ids.into_iter().map(wire).collect())),
            _ if ids.len() == 1 => Ok(ids.pop().map_or(Value::Null, wire)),
            _ => Err("the CRM's field takes one option".to_owned()),
        }
    }
}

/// What is the same for a custom field in every record of a page.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    /// The key as it stands between the quotes.
    key: &'a str,
    definition: Option<&'a FieldDefinition>,
    /// Whether it is one of the fields that are shown.
    shown: bool,
    /// Whether its value is wanted.
    value: bool,
    /// The object up to its value.
    json: Vec<u8>,
}

impl<'a> Head<'a> {
    fn of(
        raw: &'a str,
        key: &str,
        named: bool,
        definitions: Option<&'a FieldDefinitions>,
        mask: Option<&FieldMask>,
    ) -> Head<'a> {
        let wants = |name: &str| mask.is_none_or(|mask| mask.is_all() || mask.below(name).is_some());
        let definition = definitions.and_then(|known| known.get(key)).filter(|definition| definition.custom);
        let mut json = vec![b'{'];
        let mut entry = |name: &str, text: Option<&str>| {
            if wants(name) {
                json.extend_from_slice(if json.len() > 1 { b",\"" } else { b"\"" });
                json.extend_from_slice(name.as_bytes());
                json.extend_from_slice(b"\":");
                match text {
                    Some(text) => push_text(&mut json, text),
                    None if name == "value" => {}
                    None => json.extend_from_slice(b"null"),
                }
            }
        };
        entry(if named { "name" } else { "id" }, Some(key));
        if let Some(definition) = definition.filter(|_| !named) {
            entry("name", Some(&definition.name));
            entry("description", definition.description.as_deref());
        }
        entry("value", None);
        let shown = definitions.is_none() || definition.is_some();
        Head { key: raw, definition, shown, value: wants("value"), json }
    }
}

/// The map type of bodies; kept here so that the signature above reads well.
pub(super) type Body = Map<String, Value>;
