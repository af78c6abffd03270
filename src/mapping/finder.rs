//! Custom mappings: fields that an application asked for, found in a CRM's record by paths chosen for one connection.

use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model::{JpQuery, Segment, Selector};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::{Map, Value};

use super::custom::Custom;
use super::emit::Page;
use super::path::{Path, Step};
use super::rule::{Mapping, Rule};
use super::write::Output;
use crate::model::FieldMask;

/// The unified field that holds them.
pub const FIELD: &str = "custom_mappings";
/// The most characters of a path.
const MOST_CHARACTERS: usize = 500;
/// The most `..` of a path: each walks all that is below.
const MOST_DESCENTS: usize = 2;
/// The most values that one path gives.
const MOST_HITS: usize = 1_000;

/// A JSONPath (RFC 9535) into a CRM's record, compiled.
#[derive(Debug, Clone)]
pub struct Finder {
    text: String,
    query: JpQuery,
    /// The keys that it begins with.
    keys: Vec<String>,
    /// Whether it is nothing but these: one place, which can be written.
    plain: bool,
}

impl Finder {
    /// Compiles a path.
    ///
    /// Errors: a sentence with the position of what is wrong.
    pub fn parse(text: &str) -> Result<Finder, String> {
        if text.chars().count() > MOST_CHARACTERS {
            return Err(format!("The path has more than {MOST_CHARACTERS} characters."));
        }
        let query = parse_json_path(text).map_err(|error| match error {
            JsonPathError::PestError(error) => {
                let (_, column) = match error.line_col {
                    pest::error::LineColLocation::Pos(at) | pest::error::LineColLocation::Span(at, _) => at,
                };
                format!("The path is no JSONPath (RFC 9535): it breaks off at character {column}.")
            }
            other => format!("The path is no JSONPath (RFC 9535): {other}."),
        })?;
        let descents =
            query.segments.iter().filter(|segment| matches!(segment, Segment::Descendant(_))).count();
        if descents > MOST_DESCENTS {
            return Err(format!("The path has more than {MOST_DESCENTS} `..`."));
        }
        if query.segments.is_empty() {
            return Err(
                "The path names nothing: a key such as `$.properties.lead_score` is needed.".to_owned()
            );
        }
        let keys: Vec<String> = query.segments.iter().map_while(key).collect();
        let plain = keys.len() == query.segments.len();
        Ok(Finder { text: text.to_owned(), query, keys, plain })
    }

    /// What the path finds: null for nothing, the value, or a list of several.
    pub fn find(&self, record: &Value) -> Value {
        let Ok(found) = js_path_process(&self.query, record) else { return Value::Null };
        let mut values: Vec<Value> = found.into_iter().take(MOST_HITS).map(|hit| hit.val().clone()).collect();
        match values.len() {
            0 => Value::Null,
            1 => values.pop().unwrap_or_default(),
            _ => Value::Array(values),
        }
    }

    /// The one place that it names.
    fn place(&self) -> Option<Path> {
        let steps = self.keys.iter().map(|key| Step::Key(key.clone())).collect();
        self.plain.then_some(Path { steps })
    }
}

/// The key of a segment that is one; a name with escapes is left to the library.
fn key(segment: &Segment) -> Option<String> {
    let Segment::Selector(Selector::Name(name)) = segment else { return None };
    let quoted = |mark: char| name.strip_prefix(mark)?.strip_suffix(mark);
    let plain = quoted('\'').or_else(|| quoted('"')).unwrap_or(name);
    (!plain.contains('\\')).then(|| plain.to_owned())
}

/// The custom mappings of one connection and resource.
#[derive(Debug, Clone, Default)]
pub struct CustomMappings {
    /// Target fields and, where the connection has one, the path, by name.
    fields: Vec<(String, Option<Finder>)>,
}

impl CustomMappings {
    /// Target fields with their paths.
    pub fn new(fields: Vec<(String, Option<Finder>)>) -> CustomMappings {
        CustomMappings { fields }
    }

    /// Whether a mask wants any of them.
    pub fn wanted(mask: Option<&FieldMask>) -> bool {
        mask.is_none_or(|mask| mask.is_all() || mask.below(FIELD).is_some())
    }

    /// The keys right below a path such as `properties` that must be asked for.
    pub fn keys_below(&self, prefix: &str) -> Vec<&str> {
        let prefix: Vec<&str> = prefix.split('.').collect();
        let below = |finder: &'_ Finder| {
            let inside = finder.keys.iter().map(String::as_str).take(prefix.len()).eq(prefix.iter().copied());
            inside.then_some(prefix.len())
        };
        let finders = self.fields.iter().filter_map(|(_, finder)| finder.as_ref());
        finders.filter_map(|finder| finder.keys.get(below(finder)?).map(String::as_str)).collect()
    }

    /// Adds `custom_mappings` to a record that has just been written, which ends in `}`.
    pub(super) fn emit<'a>(
        &self,
        raw: &str,
        grafts: Option<&[(String, Box<str>)]>,
        mapping: &Mapping,
        page: &mut Page<'a, '_>,
        out: &mut Vec<u8>,
    ) {
        let mask = page.reading.fields;
        let Ok(mut record) = serde_json::from_str::<Value>(raw) else { return };
        for (path, more) in grafts.into_iter().flatten() {
            if let (Ok(path), Ok(more)) = (Path::parse(path), serde_json::from_str(more)) {
                graft(&mut record, &path, more);
            }
        }
        let part = mask.filter(|mask| !mask.is_all()).and_then(|mask| mask.below(FIELD));
        let part = part.filter(|part| !part.is_all());
        let mut found = Map::new();
        for (name, finder) in &self.fields {
            let Some(finder) = finder.as_ref().filter(|_| part.is_none_or(|part| part.below(name).is_some()))
            else {
                continue;
            };
            found.insert(name.clone(), typed(finder, finder.find(&record), mapping.custom.as_ref(), page));
        }
        if out.pop() == Some(b'}') {
            if out.last() != Some(&b'{') {
                out.push(b',');
            }
            out.extend_from_slice(b"\"custom_mappings\":");
            out.extend_from_slice(Value::Object(found).to_string().as_bytes());
            out.push(b'}');
        }
    }

    /// Takes a body's `custom_mappings` apart.
    pub(super) fn write(&self, value: &Value, mapping: &Mapping, output: &mut Output<'_>) {
        let values = match value {
            Value::Null => return,
            Value::Object(values) => values,
            _ => return output.fault("/custom_mappings", "", "an object of target fields is needed"),
        };
        for (name, value) in values {
            let pointer = format!("/custom_mappings/{}", super::document::escape(name));
            let finder = match self.fields.iter().find(|(known, _)| known == name) {
                Some((_, Some(finder))) => finder,
                Some((_, None)) => {
                    let message = "the connection has no path for this target field; it is not written";
                    output.warn(&pointer, "", message);
                    continue;
                }
                None => {
                    let known = self.fields.iter().map(|(known, _)| format!("`{known}`"));
                    let known = super::custom::listed(known.collect::<Vec<_>>().into_iter());
                    output.fault(&pointer, "", format!("there is no such target field; there are {known}"));
                    continue;
                }
            };
            let Some(path) = finder.place().filter(|path| mapping.takes(path)) else {
                let message = "the connection's path for this target field can be read only: it names no single \
                               place that the CRM takes";
                output.fault(&pointer, &finder.text, message);
                continue;
            };
            if output.at(&path).is_some() {
                let message = "another field of the body is written to the same place";
                output.fault(&pointer, &finder.text, message);
                continue;
            }
            match mapping.custom.as_ref().and_then(|custom| Some((custom, custom.key_of(&path)?))) {
                Some((custom, key)) => custom.write_one(key, value, &pointer, output),
                None => output.set_or_clear(&path, value),
            }
        }
    }
}

/// A value in the type that the CRM says, where the path is a field of its own.
fn typed(finder: &Finder, value: Value, custom: Option<&Custom>, page: &Page<'_, '_>) -> Value {
    let typed = || {
        let custom = custom?;
        let key = custom.key_of(&finder.place()?)?.to_owned();
        custom.typed(&value, page.reading.definitions?.get(&key)?, page.around())
    };
    typed().unwrap_or(value)
}

/// Adds what a follow-up read found, as if it stood in the record: objects are merged, anything else replaces.
fn graft(record: &mut Value, path: &Path, more: Value) {
    let mut at = record;
    for step in &path.steps {
        let (Step::Key(key), Value::Object(map)) = (step, at) else { return };
        at = map.entry(key.clone()).or_insert(Value::Null);
    }
    merge(at, more);
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

impl Mapping {
    /// Whether the CRM's body has such a place: beside one that a rule writes to, or among the left-over keys.
    fn takes(&self, path: &Path) -> bool {
        if self.custom.as_ref().is_some_and(|custom| !custom.read_only && custom.key_of(path).is_some()) {
            return true;
        }
        let head = |path: &Path| path.steps.first().cloned();
        self.fields.iter().filter(|field| !field.read_only).any(|field| match &field.rule {
            Rule::Value(rule) => rule.targets().iter().any(|target| {
                target.steps.len() == 1 || (path.steps.len() > 1 && head(target) == head(path))
            }),
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_find_nothing_one_value_or_several() {
        let record = json!({"id": "1", "properties": {"lead_score": "7", "odd key": "x"}, "tags": [{"n": 1}, {"n": 2}]});
        for (path, found) in [
            ("$.properties.lead_score", json!("7")),
            ("$['properties']['odd key']", json!("x")),
            ("$.properties.none", Value::Null),
            ("$.tags[*].n", json!([1, 2])),
            ("$.tags[?@.n > 1].n", json!(2)),
            ("$..n", json!([1, 2])),
            ("$.tags[0]", json!({"n": 1})),
            ("$.tags[-1].n", json!(2)),
        ] {
            assert_eq!(Finder::parse(path).unwrap().find(&record), found, "{path}");
        }
    }

    #[test]
    fn a_faulty_path_is_told_with_its_position() {
        for (path, says) in [
            ("properties.score", "character 1"),
            ("$.properties.[", "character 14"),
            ("$.tags[?", "character"),
            ("$", "names nothing"),
            ("$..a..b..c", "more than 2 `..`"),
        ] {
            let message = Finder::parse(path).unwrap_err();
            assert!(message.contains(says), "{path}: {message}");
        }
        assert!(Finder::parse(&format!("$.{}", "a".repeat(500))).unwrap_err().contains("500"));
    }

    #[test]
    fn only_keys_name_a_place() {
        let place = |path: &str| Finder::parse(path).unwrap().place().map(|path| path.to_string());
        assert_eq!(place("$.properties.score").as_deref(), Some("properties.score"));
        assert_eq!(place("$['properties'][\"score\"]").as_deref(), Some("properties.score"));
        for path in ["$.a[0]", "$.a.*", "$..a", "$.a[?@.b]", "$.a['b','c']"] {
            assert_eq!(place(path), None, "{path}");
        }
        let mappings = CustomMappings::new(vec![
            ("a".to_owned(), Finder::parse("$.properties.score").ok()),
            ("b".to_owned(), Finder::parse("$.properties['first'][0]").ok()),
            ("c".to_owned(), Finder::parse("$.id").ok()),
            ("d".to_owned(), None),
        ]);
        assert_eq!(mappings.keys_below("properties"), ["score", "first"]);
    }
}
