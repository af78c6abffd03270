//! Text and JSON with `{name}` placeholders.
//!
//! A placeholder whose name has no value leaves out what it stands in: the query parameter, header or body key. A
//! JSON string that is nothing but one placeholder becomes the value itself, list or object included.

use serde_json::{Map, Value};

/// Where placeholders get their values.
pub trait Names {
    /// The value with that name, if there is one.
    fn get(&self, name: &str) -> Option<Value>;
}

impl<F: Fn(&str) -> Option<Value>> Names for F {
    fn get(&self, name: &str) -> Option<Value> {
        self(name)
    }
}

/// A text with placeholders, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

impl Template {
    /// Parses a text; `{{` and `}}` stand for the braces themselves.
    ///
    /// # Errors
    /// One sentence, if a brace is left open or a placeholder is empty.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '{' if chars.peek() == Some(&'{') => {
                    chars.next();
                    plain.push('{');
                }
                '}' if chars.peek() == Some(&'}') => {
                    chars.next();
                    plain.push('}');
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some(char) if char.is_alphanumeric() || "_.-".contains(char) => name.push(char),
                            Some(char) => {
                                return Err(format!("`{char}` in the placeholder `{{{name}` of `{text}`"));
                            }
                            None => {
                                return Err(format!("the placeholder `{{{name}` of `{text}` is not closed"));
                            }
                        }
                    }
                    if name.is_empty() {
                        return Err(format!("an empty placeholder in `{text}`"));
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Name(name));
                }
                '}' => return Err(format!("a `}}` without `{{` in `{text}`")),
                char => plain.push(char),
            }
        }
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template { parts })
    }

    /// The names of the placeholders, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with every placeholder filled, `encode`d on the way; none if one has no value.
    pub fn render_with(&self, names: &dyn Names, encode: fn(&str) -> String) -> Option<String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name(name) => out.push_str(&encode(&text_of(&names.get(name)?)?)),
            }
        }
        Some(out)
    }

    /// The text with every placeholder filled; none if one has no value.
    pub fn render(&self, names: &dyn Names) -> Option<String> {
        self.render_with(names, str::to_owned)
    }

    /// The value of a template that is nothing but one placeholder, or else its text.
    fn render_value(&self, names: &dyn Names) -> Option<Value> {
        match self.parts.as_slice() {
            [Part::Name(name)] => names.get(name),
            _ => self.render(names).map(Value::String),
        }
    }
}

/// A value as it stands in a URL or header: lists joined with commas; none for null and objects.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().filter_map(text_of).collect();
            (!texts.is_empty()).then(|| texts.join(","))
        }
    }
}

/// A JSON document with placeholders in its strings, parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonTemplate {
    /// A value without placeholders.
    Plain(Value),
    /// A string with placeholders.
    Text(Template),
    /// A list.
    List(Vec<JsonTemplate>),
    /// An object.
    Object(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    /// Parses the strings of a document.
    ///
    /// # Errors
    /// One sentence about the first placeholder that cannot be read.
    pub fn parse(value: &Value) -> Result<JsonTemplate, String> {
        Ok(match value {
            Value::String(text) => {
                let template = Template::parse(text)?;
                if template.names().next().is_some() {
                    JsonTemplate::Text(template)
                } else {
                    JsonTemplate::Plain(value.clone())
                }
            }
            Value::Array(items) => {
                JsonTemplate::List(items.iter().map(JsonTemplate::parse).collect::<Result<_, _>>()?)
            }
            Value::Object(object) => JsonTemplate::Object(
                object
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), JsonTemplate::parse(value)?)))
                    .collect::<Result<_, String>>()?,
            ),
            plain => JsonTemplate::Plain(plain.clone()),
        })
    }

    /// The document with its placeholders filled; none if it is itself a placeholder without value.
    pub fn render(&self, names: &dyn Names) -> Option<Value> {
        Some(match self {
            JsonTemplate::Plain(value) => value.clone(),
            JsonTemplate::Text(template) => template.render_value(names)?,
            JsonTemplate::List(items) => {
                Value::Array(items.iter().filter_map(|item| item.render(names)).collect())
            }
            JsonTemplate::Object(entries) => Value::Object(
                entries
                    .iter()
                    .filter_map(|(key, value)| Some((key.clone(), value.render(names)?)))
                    .collect::<Map<String, Value>>(),
            ),
        })
    }

    /// The names of all placeholders.
    pub fn names(&self) -> Vec<&str> {
        match self {
            JsonTemplate::Plain(_) => Vec::new(),
            JsonTemplate::Text(template) => template.names().collect(),
            JsonTemplate::List(items) => items.iter().flat_map(JsonTemplate::names).collect(),
            JsonTemplate::Object(entries) => entries.iter().flat_map(|(_, value)| value.names()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(name: &str) -> Option<Value> {
        match name {
            "id" => Some(json!("a/b")),
            "list" => Some(json!(["x", 2])),
            "none" => Some(Value::Null),
            _ => None,
        }
    }

    #[test]
    fn text_is_filled_or_left_out_whole() {
        let render = |text: &str| Template::parse(text).unwrap().render(&names);
        assert_eq!(render("/c/{id}/x"), Some("/c/a/b/x".into()));
        assert_eq!(render("{list}"), Some("x,2".into()));
        assert_eq!(render("a{{b}}"), Some("a{b}".into()));
        assert_eq!(render("{none}"), None);
        assert_eq!(render("x{unknown}"), None);
        assert_eq!(render(""), Some(String::new()));
    }

    #[test]
    fn json_keeps_values_and_leaves_out_keys_without_one() {
        let template =
            JsonTemplate::parse(&json!({"a": "{list}", "b": "{unknown}", "c": ["{id}", "{gone}", 1]}))
                .unwrap();
        assert_eq!(template.render(&names), Some(json!({"a": ["x", 2], "c": ["a/b", 1]})));
    }

    #[test]
    fn broken_placeholders_are_named() {
        for text in ["{", "{a", "a}", "{}", "{a b}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
