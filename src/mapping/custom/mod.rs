//! Custom fields: the left-over keys of one object, by id, typed by what the CRM says about its fields.
//!
//! `form` how each kind is spelled on the wire · `check` what a field takes · `law` made-up fields and values of every kind.

mod check;
mod form;
pub(super) mod law;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use self::check::expected;
pub(super) use self::check::listed;
use self::form::Forms;
use super::codec::Around;
use super::emit::{At, Page};
use super::fault::nearest;
use super::path::{Path, Step};
use super::plan::{Found, Tree};
use super::rule::Mapping;
use super::scan::{push_text, scalar_text};
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
    /// How values are spelled.
    pub forms: Forms,
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
            forms: Forms::compile(rule)?,
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
                && let Err(message) = self.value(raw, head.definition, page.around(), out)
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

    /// One value in its type; on an error a plain value is written as it is, another as null.
    fn value(
        &self,
        raw: &str,
        definition: Option<&FieldDefinition>,
        around: Around<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let Some(definition) = definition else {
            match scalar_text(raw).filter(|_| self.named) {
                Some(text) => push_text(out, &text),
                None if self.named => push_text(out, raw),
                None => out.extend_from_slice(raw.as_bytes()),
            }
            return Ok(());
        };
        let start = out.len();
        let kind = definition.kind;
        let made = self.forms.read(kind, raw, around, out).map_err(|message| {
            let plain = kind != FieldKind::Money && !raw.starts_with(['{', '[']);
            out.extend_from_slice(if plain { raw.as_bytes() } else { b"null" });
            format!("the CRM says that the field is of the kind `{}`: {message}", kind.name())
        });
        if self.named {
            // Such an element's value is text, whatever the CRM has.
            let typed = String::from_utf8_lossy(out.get(start..).unwrap_or_default()).into_owned();
            out.truncate(start);
            match (scalar_text(&typed), scalar_text(raw)) {
                (Some(text), _) | (None, Some(text)) => push_text(out, &text),
                (None, None) => push_text(out, raw),
            }
        }
        made
    }

    /// Takes a body's custom fields apart.
    pub fn write(&self, value: &Value, output: &mut Output<'_>) {
        let items = match value {
            // Clearing the list of all custom fields would clear fields that nobody named.
            Value::Null => return,
            Value::Array(items) => items,
            _ => return output.fault(&format!("/{}", self.field), "", "a list of fields is needed"),
        };
        let mut named: Vec<String> = Vec::with_capacity(items.len().min(MOST));
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("/{}/{index}", self.field);
            let (key, definition) = match self.key(item, output.writing.definitions) {
                Ok(found) => found,
                Err((part, message)) => {
                    output.fault(&format!("{pointer}{part}"), &self.base.to_string(), message);
                    continue;
                }
            };
            if named.contains(&key) {
                output.fault(&pointer, &self.path(&key).to_string(), "the body names this field twice");
                continue;
            }
            self.set(&key, definition, item.get("value"), &format!("{pointer}/value"), output);
            named.push(key);
        }
    }

    /// Sets one field of the CRM's body, if the value is one that it takes.
    pub(super) fn set(
        &self,
        key: &str,
        definition: Option<&FieldDefinition>,
        value: Option<&Value>,
        pointer: &str,
        output: &mut Output<'_>,
    ) {
        let path = self.path(key);
        let made = match value {
            None | Some(Value::Null) => {
                if output.mode == WriteMode::Update {
                    match definition.filter(|definition| definition.required) {
                        Some(definition) => {
                            let message = format!("`{}` is required and cannot be cleared", definition.name);
                            output.fault(pointer, &path.to_string(), message);
                        }
                        None => output.set(&path, self.null_as.clone()),
                    }
                }
                return;
            }
            Some(value) => self.wire(value, definition, output.around()),
        };
        match made {
            Ok(value) => output.set(&path, value),
            Err(message) => output.fault(pointer, &path.to_string(), message),
        }
    }

    /// Where a field stands.
    fn path(&self, key: &str) -> Path {
        self.base.join(&Path { steps: vec![Step::Key(key.to_owned())] })
    }

    /// The key of a path which is one of the left-over keys, or would be if no rule read it.
    pub(super) fn key_of<'p>(&self, path: &'p Path) -> Option<&'p str> {
        match path.steps.split_last() {
            Some((Step::Key(key), base)) if base == self.base.steps => Some(key),
            _ => None,
        }
    }

    /// Sets one field of the CRM's body by its key, as a custom mapping wants it: it need not be a custom one.
    pub(super) fn write_one(&self, key: &str, value: &Value, pointer: &str, output: &mut Output<'_>) {
        let definition = output.writing.definitions.and_then(|known| known.get(key));
        if let Some(definition) = definition.filter(|definition| definition.read_only) {
            let message = format!("the CRM computes `{}`; it cannot be written", definition.name);
            return output.fault(pointer, &self.path(key).to_string(), message);
        }
        self.set(key, definition, Some(value), pointer, output);
    }

    /// A value of the wire in the type that its definition says; none where it is not of that type.
    pub(super) fn typed(
        &self,
        value: &Value,
        definition: &FieldDefinition,
        around: Around<'_>,
    ) -> Option<Value> {
        let raw = value.to_string();
        if self.is_empty(&raw) {
            return Some(Value::Null);
        }
        let mut out = Vec::new();
        self.forms.read(definition.kind, &raw, around, &mut out).ok()?;
        serde_json::from_slice(&out).ok()
    }

    /// The key that a custom field of a body means, by its id or name. On an error: the part that is wrong, and why.
    fn key<'d>(
        &self,
        item: &Value,
        definitions: Option<&'d FieldDefinitions>,
    ) -> Result<(String, Option<&'d FieldDefinition>), (&'static str, String)> {
        let text = |key: &str| item.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (id, name) = if self.named { (text("name"), None) } else { (text("id"), text("name")) };
        let at_id = if self.named { "/name" } else { "/id" };
        let Some(definitions) = definitions else {
            let unknown = "the fields of the CRM are not known at the moment, so `id` is needed";
            let id = id.ok_or((if name.is_some() { "/name" } else { "" }, unknown.to_owned()))?;
            if self.mapped.iter().any(|mapped| mapped == id) {
                return Err((at_id, "the field has a place of its own in the contract".to_owned()));
            }
            return Ok((id.to_owned(), None));
        };
        let (at, definition) = match (id, name) {
            (Some(id), _) => (at_id, by_id(definitions, id).map_err(|message| (at_id, message))?),
            (None, Some(name)) => {
                ("/name", by_name(definitions, name).map_err(|message| ("/name", message))?)
            }
            (None, None) => return Err(("", "`id` or `name` is needed".to_owned())),
        };
        if definition.read_only {
            return Err((at, format!("the CRM computes `{}`; it cannot be written", definition.name)));
        }
        if !definition.custom {
            let name = &definition.name;
            return Err((at, format!("`{name}` is one of the CRM's own fields, not a custom one")));
        }
        Ok((definition.id.clone(), Some(definition)))
    }

    /// A value of a body as the wire has it.
    fn wire(
        &self,
        value: &Value,
        definition: Option<&FieldDefinition>,
        around: Around<'_>,
    ) -> Result<Value, String> {
        let separator = self.forms.separator.as_deref();
        let Some(definition) = definition else { return check::unknown(value, self.forms.text, separator) };
        let checked = if definition.kind == FieldKind::Other {
            check::unknown(value, self.forms.text, separator)?
        } else {
            check::check(definition, value, separator, self.forms.number_options)?
        };
        let wire = self.forms.write(definition.kind, &checked, around);
        wire.map_err(|why| format!("`{}` takes {}: {why}", definition.name, expected(definition)))
    }

    /// Notes what a new record must have and the body does not give.
    pub fn require(&self, mapping: &Mapping, output: &mut Output<'_>) {
        let Some(definitions) = output.writing.definitions else { return };
        for definition in definitions.fields.iter().filter(|field| field.required && !field.read_only) {
            let path = self.path(&definition.id);
            if output.at(&path).is_some_and(|value| !value.is_null() && value != "") {
                continue;
            }
            let place = mapping.field_written_to(&path).unwrap_or(&self.field);
            // What was refused for its value has been told already.
            let told = path.to_string();
            if output.faults().any(|fault| fault.path == told) {
                continue;
            }
            let message = format!(
                "a new record must have `{}` (`{}`), which takes {}",
                definition.name,
                definition.id,
                expected(definition)
            );
            output.fault(&format!("/{place}"), &told, message);
        }
    }
}

/// The field with that id.
fn by_id<'d>(definitions: &'d FieldDefinitions, id: &str) -> Result<&'d FieldDefinition, String> {
    definitions.get(id).ok_or_else(|| {
        let known = definitions.fields.iter().filter(|field| field.custom).map(|field| field.id.as_str());
        format!("the CRM has no field with that id{}", meant(id, known))
    })
}

/// The custom field with that name: the one spelled so, or else the one that differs in case only.
fn by_name<'d>(definitions: &'d FieldDefinitions, name: &str) -> Result<&'d FieldDefinition, String> {
    let custom = || definitions.fields.iter().filter(|field| field.custom);
    let only = |same: Vec<&'d FieldDefinition>| match same.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => {
            let ids = listed(several.iter().map(|field| format!("`{}`", field.id)));
            Err(format!("several fields of the CRM have that name ({ids}); `id` is needed"))
        }
    };
    let exact = only(custom().filter(|field| field.name == name).collect())?;
    let found = match exact {
        Some(found) => Some(found),
        None => only(custom().filter(|field| field.name.eq_ignore_ascii_case(name)).collect())?,
    };
    found.ok_or_else(|| {
        let names = custom().map(|field| field.name.as_str());
        format!("the CRM has no field with that name{}", meant(name, names))
    })
}

/// The nearest known word as half a sentence; nothing for words that are too long to have been meant.
fn meant<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    let near = if word.len() > 200 { None } else { nearest(word, known) };
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
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
