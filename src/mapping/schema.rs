//! The unified side's shape, taken from the OpenAPI document: which fields there are and what they may hold.

use serde_json::Value;

/// How deep references and nested types are followed.
const DEEPEST: usize = 12;

/// The fields of one kind of record.
#[derive(Debug, Clone, PartialEq)]
pub struct UnifiedSchema {
    /// The schema's name, such as `Contact`.
    pub name: String,
    /// The fields in the contract's order.
    pub fields: Vec<UnifiedField>,
}

/// One field of a record or of an object within it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnifiedField {
    /// The key.
    pub name: String,
    /// What it holds.
    pub kind: UnifiedType,
    /// Whether it may be null in a reply; if not it is left out, or emptied where `required`.
    pub nullable: bool,
    /// Whether bodies may not set it.
    pub read_only: bool,
    /// Whether a reply must have it.
    pub required: bool,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum UnifiedType {
    /// Text, perhaps one of a closed set of words.
    Text {
        /// `date`, `date-time`, or another format that is not enforced here.
        format: Option<String>,
        /// The closed set.
        options: Option<Vec<String>>,
    },
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    List(Box<UnifiedType>),
    /// An object with known keys.
    Object(Vec<UnifiedField>),
    /// Anything.
    Any,
}

impl UnifiedType {
    /// The type as a noun for messages.
    pub fn noun(&self) -> &'static str {
        match self {
            UnifiedType::Text { format: Some(format), .. } if format == "date-time" => "a date-time",
            UnifiedType::Text { format: Some(format), .. } if format == "date" => "a date",
            UnifiedType::Text { options: Some(_), .. } => "one of a closed set of words",
            UnifiedType::Text { .. } => "text",
            UnifiedType::Integer => "a whole number",
            UnifiedType::Number => "a number",
            UnifiedType::Boolean => "a boolean",
            UnifiedType::List(_) => "a list",
            UnifiedType::Object(_) => "an object",
            UnifiedType::Any => "anything",
        }
    }

    /// The keys of an object or of the objects in a list.
    pub fn fields(&self) -> &[UnifiedField] {
        match self {
            UnifiedType::Object(fields) => fields,
            UnifiedType::List(item) => item.fields(),
            _ => &[],
        }
    }
}

impl UnifiedSchema {
    /// The schema of one component. Where the document also has `<name>Record` (the shape of replies), that one says
    /// what is required and what may be null.
    pub fn from_openapi(openapi: &Value, schema_name: &str) -> Option<UnifiedSchema> {
        let schemas = openapi.pointer("/components/schemas")?;
        let record = format!("{schema_name}Record");
        let reply = schemas.get(&record).or_else(|| schemas.get(schema_name))?;
        let body = schemas.get(schema_name)?;
        let mut fields = fields_of(openapi, reply, 0);
        for field in &mut fields {
            // Either side may say that a field cannot be set.
            let known = property(openapi, body, &field.name, 0);
            field.read_only |= known.is_some_and(|schema| is_read_only(openapi, schema, 0));
        }
        Some(UnifiedSchema { name: schema_name.to_owned(), fields })
    }

    /// The field with that key.
    pub fn field(&self, name: &str) -> Option<&UnifiedField> {
        self.fields.iter().find(|field| field.name == name)
    }
}

fn resolve<'a>(openapi: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEEPEST {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { break };
        match reference.strip_prefix('#').and_then(|pointer| openapi.pointer(pointer)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// The schema itself, what it refers to, and every part of its `allOf`.
fn parts<'a>(openapi: &'a Value, schema: &'a Value, depth: usize, into: &mut Vec<&'a Value>) {
    if depth > DEEPEST {
        return;
    }
    into.push(schema);
    if schema.get("$ref").is_some() {
        parts(openapi, resolve(openapi, schema), depth + 1, into);
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        parts(openapi, part, depth + 1, into);
    }
}

fn all_parts<'a>(openapi: &'a Value, schema: &'a Value, depth: usize) -> Vec<&'a Value> {
    let mut found = Vec::new();
    parts(openapi, schema, depth, &mut found);
    found
}

fn property<'a>(openapi: &'a Value, schema: &'a Value, name: &str, depth: usize) -> Option<&'a Value> {
    all_parts(openapi, schema, depth).into_iter().find_map(|part| part.get("properties")?.get(name))
}

fn is_read_only(openapi: &Value, schema: &Value, depth: usize) -> bool {
    all_parts(openapi, schema, depth).iter().any(|part| part.get("readOnly") == Some(&Value::Bool(true)))
}

fn fields_of(openapi: &Value, schema: &Value, depth: usize) -> Vec<UnifiedField> {
    if depth > DEEPEST {
        return Vec::new();
    }
    let parts = all_parts(openapi, schema, depth);
    let named = |key: &str| -> Vec<&str> {
        let lists = parts.iter().filter_map(|part| part.get(key)?.as_array());
        lists.flatten().filter_map(Value::as_str).collect()
    };
    let mut required = named("required");
    required.extend(named("x-required-unless-fields"));
    let mut fields: Vec<UnifiedField> = Vec::new();
    for part in &parts {
        let Some(properties) = part.get("properties").and_then(Value::as_object) else { continue };
        for (name, schema) in properties {
            if fields.iter().any(|field| field.name == *name) {
                continue;
            }
            let (kind, nullable) = type_of(openapi, schema, depth + 1);
            fields.push(UnifiedField {
                name: name.clone(),
                kind,
                nullable,
                read_only: is_read_only(openapi, schema, depth + 1),
                required: required.contains(&name.as_str()),
            });
        }
    }
    fields
}

fn type_of(openapi: &Value, schema: &Value, depth: usize) -> (UnifiedType, bool) {
    let parts = all_parts(openapi, schema, depth);
    let find = |key: &str| parts.iter().find_map(|part| part.get(key));
    let mut nullable = find("nullable") == Some(&Value::Bool(true));
    let mut kinds: Vec<&str> = match find("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ if find("properties").is_some() => vec!["object"],
        _ => Vec::new(),
    };
    nullable |= kinds.contains(&"null");
    kinds.retain(|kind| *kind != "null");
    let [kind] = kinds.as_slice() else { return (UnifiedType::Any, nullable || kinds.is_empty()) };
    let kind = match *kind {
        "string" => UnifiedType::Text {
            format: find("format").and_then(Value::as_str).map(str::to_owned),
            options: find("enum")
                .and_then(Value::as_array)
                .map(|options| options.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        },
        "integer" => UnifiedType::Integer,
        "number" => UnifiedType::Number,
        "boolean" => UnifiedType::Boolean,
        "array" if depth < DEEPEST => {
            let item = find("items").map_or(UnifiedType::Any, |item| type_of(openapi, item, depth + 1).0);
            UnifiedType::List(Box::new(item))
        }
        "object" => match fields_of(openapi, schema, depth) {
            fields if fields.is_empty() => UnifiedType::Any,
            fields => UnifiedType::Object(fields),
        },
        _ => UnifiedType::Any,
    };
    (kind, nullable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_parts_and_the_reply_shape_are_followed() {
        let openapi = json!({"components": {"schemas": {
            "Stamp": {"type": ["string", "null"], "format": "date-time"},
            "Thing": {"allOf": [{"$ref": "#/components/schemas/ThingUpdate"}], "required": ["name"]},
            "ThingUpdate": {"type": "object", "properties": {
                "name": {"type": ["string", "null"]},
                "score": {"type": ["integer", "null"], "readOnly": true}
            }},
            "ThingRecord": {"type": "object", "x-required-unless-fields": ["name"], "properties": {
                "name": {"type": "string"},
                "score": {"type": ["integer", "null"]},
                "at": {"$ref": "#/components/schemas/Stamp", "readOnly": true},
                "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}
            }}
        }}});
        let schema = UnifiedSchema::from_openapi(&openapi, "Thing").unwrap();
        let name = schema.field("name").unwrap();
        assert!(name.required && !name.nullable && !name.read_only);
        assert!(schema.field("score").unwrap().read_only);
        let at = schema.field("at").unwrap();
        assert!(at.read_only && at.nullable);
        assert_eq!(at.kind, UnifiedType::Text { format: Some("date-time".into()), options: None });
        let UnifiedType::List(item) = &schema.field("tags").unwrap().kind else { panic!("a list") };
        assert_eq!(**item, UnifiedType::Text { format: None, options: Some(vec!["a".into(), "b".into()]) });
        assert!(UnifiedSchema::from_openapi(&openapi, "Nothing").is_none());
    }
}
