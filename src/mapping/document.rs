//! YAML with positions: a value like JSON's, and where each part of it stands in the file.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use super::fault::{Fault, nearest};

/// A YAML file: its value, and the position of every key and value.
#[derive(Debug, Clone)]
pub struct Document {
    file: String,
    value: Value,
    places: HashMap<String, Place>,
}

/// Where a key and its value stand, as line and column from 1.
#[derive(Debug, Clone, Copy)]
struct Place {
    key: (u32, u32),
    value: (u32, u32),
}

impl Document {
    /// Reads YAML 1.2 with one document; duplicate keys are refused.
    ///
    /// Errors: the first syntax fault, with its position.
    pub fn parse(file: &str, text: &str) -> Result<Document, Vec<Fault>> {
        // YAML 1.2: `no`, `on` and `y` are texts.
        let options = serde_saphyr::options! { strict_booleans: true };
        let root: Spanned<Node> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), place);
            let message = error.without_snippet().to_string();
            let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            vec![Fault { file: file.to_owned(), line, column, message }]
        })?;
        let mut places = HashMap::new();
        let at = place(root.referenced);
        let value = settle(root.value, String::new(), Place { key: at, value: at }, &mut places);
        Ok(Document { file: file.to_owned(), value, places })
    }

    /// The file's name as given to [`Document::parse`].
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The same file with another value, such as one whose patterns are filled in. `origins` says which parts of that
    /// value stand elsewhere in the file: the pointer in the value, and the one in the file; the rest has not moved.
    pub fn with_value(mut self, value: Value, origins: &HashMap<String, String>) -> Document {
        let moved: Vec<(String, Place)> =
            origins.iter().filter_map(|(at, from)| Some((at.clone(), *self.places.get(from)?))).collect();
        self.places.extend(moved);
        self.value = value;
        self
    }

    /// The whole value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The line of the key that a JSON pointer names, or of the nearest value around it.
    pub fn line(&self, pointer: &str) -> u32 {
        self.find(pointer).map_or(1, |place| place.key.0)
    }

    /// A fault at the value that a JSON pointer names, or at the nearest value around it.
    pub fn fault(&self, pointer: &str, message: impl Into<String>) -> Fault {
        let (line, column) = self.find(pointer).map_or((1, 1), |place| place.value);
        Fault { file: self.file.clone(), line, column, message: message.into() }
    }

    /// A fault at the key of the entry that a JSON pointer names.
    pub fn fault_at_key(&self, pointer: &str, message: impl Into<String>) -> Fault {
        let (line, column) = self.find(pointer).map_or((1, 1), |place| place.key);
        Fault { file: self.file.clone(), line, column, message: message.into() }
    }

    /// Everything that a JSON schema has against the document, in file order.
    pub fn validate(&self, validator: &jsonschema::Validator) -> Vec<Fault> {
        self.validate_with(validator, &Value::Null)
    }

    /// Like [`Document::validate`]; with the schema's own text at hand an unknown key is answered with the nearest known one.
    pub fn validate_with(&self, validator: &jsonschema::Validator, schema: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        for error in validator.iter_errors(&self.value) {
            self.explain(&error, schema, &mut faults);
        }
        faults.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
        faults.dedup();
        faults
    }

    fn find(&self, pointer: &str) -> Option<Place> {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                return Some(*place);
            }
            pointer = pointer.get(..pointer.rfind('/')?)?;
        }
    }

    fn explain(&self, error: &jsonschema::ValidationError<'_>, schema: &Value, faults: &mut Vec<Fault>) {
        let pointer = error.instance_path().to_string();
        let instance = error.instance();
        let message = match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let known = known_keys(schema, &error.schema_path().to_string());
                for key in unexpected {
                    let meant = nearest(key, known.iter().map(String::as_str));
                    let hint = match meant {
                        Some(meant) => format!("; did you mean `{meant}`?"),
                        None if known.is_empty() => String::new(),
                        None => format!("; known are {}", listed(known.iter().map(String::as_str))),
                    };
                    let at = format!("{pointer}/{}", escape(key));
                    faults.push(self.fault_at_key(&at, format!("unknown key `{key}`{hint}")));
                }
                return;
            }
            ValidationErrorKind::Required { property } => {
                format!("the key `{}` is missing", property.as_str().unwrap_or_default())
            }
            ValidationErrorKind::Type { kind } => {
                format!("expected {}, found {}", expected(kind), kind_of(instance))
            }
            ValidationErrorKind::Enum { options } => {
                let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
                let meant = instance
                    .as_str()
                    .and_then(|word| nearest(word, options.iter().filter_map(Value::as_str)))
                    .map(|meant| format!("; did you mean `{meant}`?"))
                    .unwrap_or_default();
                let options = options.iter().map(|o| o.as_str().map_or_else(|| o.to_string(), str::to_owned));
                let options: Vec<String> = options.collect();
                format!(
                    "{} is not one of {}{meant}",
                    shown(instance),
                    listed(options.iter().map(String::as_str))
                )
            }
            ValidationErrorKind::Constant { expected_value } => {
                format!("expected {expected_value}, found {}", shown(instance))
            }
            ValidationErrorKind::Pattern { pattern } => {
                format!("{} does not have the form {pattern}", shown(instance))
            }
            ValidationErrorKind::MinItems { limit } => format!("at least {limit} element(s) are needed"),
            ValidationErrorKind::MaxItems { limit } => format!("at most {limit} element(s) are allowed"),
            ValidationErrorKind::MinProperties { limit } => format!("at least {limit} key(s) are needed"),
            ValidationErrorKind::MinLength { .. } => "the text is too short".to_owned(),
            ValidationErrorKind::PropertyNames { error } => {
                format!("the key {} is not allowed here", shown(error.instance()))
            }
            ValidationErrorKind::FalseSchema => "this key is not allowed here".to_owned(),
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                // The alternative that was followed deepest is the one that was meant.
                let depth = |errors: &Vec<jsonschema::ValidationError<'static>>| {
                    errors.iter().map(|e| e.instance_path().to_string().len()).max().unwrap_or(0)
                };
                let wrong_kind = |errors: &Vec<jsonschema::ValidationError<'static>>| {
                    errors.iter().any(|e| {
                        matches!(e.kind(), ValidationErrorKind::Type { .. })
                            && e.instance_path().to_string() == pointer
                    })
                };
                // An alternative that is a word, or that a word tells apart, such as `kind: page`, is meant only with it.
                let words: Vec<(String, &Arc<Value>)> = context
                    .iter()
                    .flatten()
                    .filter_map(|e| match e.kind() {
                        ValidationErrorKind::Constant { expected_value } => {
                            let at = e.instance_path().to_string();
                            (at == pointer || at.rsplit_once('/')?.0 == pointer)
                                .then_some((at, expected_value))
                        }
                        _ => None,
                    })
                    .collect();
                let wrong_word = |errors: &Vec<jsonschema::ValidationError<'static>>| {
                    errors.iter().any(|e| {
                        matches!(e.kind(), ValidationErrorKind::Constant { .. })
                            && words.iter().any(|(at, _)| *at == e.instance_path().to_string())
                    })
                };
                let meant = context
                    .iter()
                    .filter(|errors| !wrong_kind(errors) && !wrong_word(errors))
                    .max_by_key(|errors| depth(errors));
                if let Some(errors) = meant {
                    for error in errors {
                        self.explain(error, schema, faults);
                    }
                    return;
                }
                if let Some((at, _)) = words.first() {
                    let found = self.value.pointer(at).and_then(Value::as_str).unwrap_or_default();
                    let known: Vec<&str> = words.iter().filter_map(|(_, word)| word.as_str()).collect();
                    let hint = nearest(found, known.iter().copied())
                        .map(|meant| format!("; did you mean `{meant}`?"))
                        .unwrap_or_default();
                    let message = format!("`{found}` is not one of {}{hint}", listed(known.into_iter()));
                    return faults.push(self.fault(at, message));
                }
                let kinds: Vec<String> = context
                    .iter()
                    .flatten()
                    .filter_map(|e| match e.kind() {
                        ValidationErrorKind::Type { kind } => Some(expected(kind)),
                        _ => None,
                    })
                    .collect();
                format!("expected {}, found {}", kinds.join(" or "), kind_of(instance))
            }
            _ => error.to_string(),
        };
        let key_is_meant =
            matches!(error.kind(), ValidationErrorKind::FalseSchema | ValidationErrorKind::Required { .. });
        faults.push(if key_is_meant {
            self.fault_at_key(&pointer, message)
        } else {
            self.fault(&pointer, message)
        });
    }
}

/// A key as it stands in a JSON pointer.
pub fn escape(key: &str) -> String {
    if key.contains(['~', '/']) { key.replace('~', "~0").replace('/', "~1") } else { key.to_owned() }
}

fn place(at: serde_saphyr::Location) -> (u32, u32) {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).max(1);
    (number(at.line()), number(at.column()))
}

/// The keys that an object schema knows, given the path of its `additionalProperties`.
fn known_keys(schema: &Value, path: &str) -> Vec<String> {
    let around = path.rfind('/').and_then(|end| path.get(..end)).unwrap_or_default();
    let properties = schema.pointer(&format!("{around}/properties")).and_then(Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        Value::Array(_) | Value::Object(_) => kind_of(value).to_owned(),
        other => format!("`{other}`"),
    }
}

/// What kind of JSON value it is, as a noun.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn expected(kind: &TypeKind) -> String {
    let name = |kind: jsonschema::JsonType| match kind.to_string().as_str() {
        "string" => "text",
        "object" => "a map",
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        _ => "null",
    };
    match kind {
        TypeKind::Single(kind) => name(*kind).to_owned(),
        TypeKind::Multiple(kinds) => kinds.iter().map(name).collect::<Vec<_>>().join(" or "),
    }
}

/// A YAML node before its position is split off.
#[derive(Debug)]
enum Node {
    Leaf(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<Key>, Spanned<Node>)>),
}

/// A key; numbers and booleans are taken by their text.
#[derive(Debug)]
struct Key(String);

fn settle(node: Node, pointer: String, at: Place, places: &mut HashMap<String, Place>) -> Value {
    let value = match node {
        Node::Leaf(value) => value,
        Node::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                let at = place(item.referenced);
                list.push(settle(
                    item.value,
                    format!("{pointer}/{index}"),
                    Place { key: at, value: at },
                    places,
                ));
            }
            Value::Array(list)
        }
        Node::Map(entries) => {
            let mut map = Map::new();
            for (key, item) in entries {
                let at = Place { key: place(key.referenced), value: place(item.referenced) };
                let Key(key) = key.value;
                let value = settle(item.value, format!("{pointer}/{}", escape(&key)), at, places);
                map.insert(key, value);
            }
            Value::Object(map)
        }
    };
    places.insert(pointer, at);
    value
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Number(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Leaf(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(Value::String(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain key")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Key, E> {
        Ok(Key(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Key, E> {
        Ok(Key(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Key, E> {
        Ok(Key(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Key, E> {
        Ok(Key(value.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "connector: hubspot\nfileds:\n  name: 1\n  2: { from: a.b }\nlist: [x, true]\n";

    #[test]
    fn values_and_positions_are_kept() {
        let document = Document::parse("m.yaml", TEXT).unwrap();
        let expected =
            json!({"connector": "hubspot", "fileds": {"name": 1, "2": {"from": "a.b"}}, "list": ["x", true]});
        assert_eq!(document.value(), &expected);
        assert_eq!(document.fault("/fileds/2/from", "no").to_string(), "m.yaml:4:14: no");
        assert_eq!(document.fault("/list/1", "no").to_string(), "m.yaml:5:11: no");
        assert_eq!(document.fault_at_key("/fileds/name", "no").to_string(), "m.yaml:3:3: no");
        assert_eq!(document.fault("/list/1/deeper", "no").to_string(), "m.yaml:5:11: no");
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        let document = Document::parse("m.yaml", "{ a: no, b: y, on: true, n: off }").unwrap();
        assert_eq!(document.value(), &json!({"a": "no", "b": "y", "on": true, "n": "off"}));
    }

    #[test]
    fn all_schema_faults_come_at_once_as_sentences() {
        let schema = json!({
            "type": "object",
            "required": ["resource"],
            "properties": {"connector": {"type": "string"}, "fields": {}, "list": {"items": {"enum": ["x", "yes"]}}},
            "additionalProperties": false
        });
        let validator = jsonschema::validator_for(&schema).unwrap();
        let faults = Document::parse("m.yaml", TEXT).unwrap().validate_with(&validator, &schema);
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                "m.yaml:1:1: the key `resource` is missing",
                "m.yaml:2:1: unknown key `fileds`; did you mean `fields`?",
                "m.yaml:5:11: `true` is not one of `x`, `yes`",
            ]
        );
    }

    #[test]
    fn a_syntax_fault_and_a_duplicate_key_have_their_place() {
        let faults = Document::parse("m.yaml", "a: 1\na: 2\n").unwrap_err();
        assert_eq!((faults[0].line, faults[0].column), (2, 1), "{}", faults[0]);
        let faults = Document::parse("m.yaml", "a: [1\nb: 2\n").unwrap_err();
        assert!(faults[0].line >= 1, "{}", faults[0]);
    }
}
