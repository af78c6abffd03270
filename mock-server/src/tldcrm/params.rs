//! Parameters, wherever they stand: query, form body, JSON body (of a GET too).

use serde_json::Value;

use crate::exchange::Request;

/// All parameters of a request, in their order.
#[derive(Debug)]
pub struct Params(pub Vec<(String, Value)>);

impl Params {
    /// Gathers them.
    pub fn of(request: &Request) -> Params {
        let mut all: Vec<(String, Value)> =
            request.query.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
        let kind = request.header("content-type").unwrap_or("");
        if kind.contains("json") {
            if let Ok(Value::Object(members)) = request.json() {
                all.extend(members);
            }
        } else if kind.contains("form-urlencoded") {
            all.extend(request.form().into_iter().map(|(name, value)| (name, Value::String(value))));
        }
        Params(all)
    }

    /// A parameter.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// A parameter as text.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// Ids or names: a list, or a text with commas.
    pub fn list(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect(),
            Some(Value::String(text)) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            Some(Value::Null) | None => Vec::new(),
            Some(other) => vec![other.to_string()],
        }
    }
}
