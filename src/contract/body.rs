//! Body schemas, and their faults as sentences.

use std::fmt::Write as _;
use std::sync::OnceLock;

use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind};
use serde_json::Value;

use super::Error;

/// Faults told about one body; more are cut off.
const MOST_FAULTS: usize = 100;

/// One thing wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer to the place; empty for the body itself.
    pub pointer: String,
    /// What should be there, as a sentence without the value that is.
    pub message: String,
}

/// The schema of an operation's body.
#[derive(Debug)]
pub struct Schema {
    name: String,
    schema: Value,
    compiled: OnceLock<Result<Validator, String>>,
}

impl Schema {
    pub(super) fn new(name: &str, schema: Value) -> Schema {
        Schema { name: name.to_owned(), schema, compiled: OnceLock::new() }
    }

    /// The compiled schema.
    ///
    /// Errors: the schema itself is wrong.
    pub fn validator(&self) -> Result<&Validator, Error> {
        let compiled = self.compiled.get_or_init(|| {
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            options.build(&self.schema).map_err(|error| error.to_string())
        });
        compiled.as_ref().map_err(|error| Error::new(format!("the body of {}: {error}", self.name)))
    }

    /// Everything that is wrong with a body, in the order of the document; 100 faults at most.
    pub fn faults(&self, body: &Value) -> Result<Vec<Fault>, Error> {
        let validator = self.validator()?;
        if validator.is_valid(body) {
            return Ok(Vec::new());
        }
        let mut faults = Vec::new();
        for error in validator.iter_errors(body).take(MOST_FAULTS) {
            say(&error, &mut faults);
        }
        faults.dedup();
        faults.truncate(MOST_FAULTS);
        Ok(faults)
    }
}

fn say(error: &ValidationError<'_>, faults: &mut Vec<Fault>) {
    let place = error.instance_path().as_str();
    let mut fault = |pointer: String, message: String| faults.push(Fault { pointer, message });
    let here = |message: String| (place.to_owned(), message);
    let (pointer, message) = match error.kind() {
        ValidationErrorKind::Required { property } => {
            (below(place, property.as_str().unwrap_or_default()), "This key is required.".to_owned())
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for key in unexpected {
                fault(below(place, key), "This key is unknown.".to_owned());
            }
            return;
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            here(alternatives(context))
        }
        ValidationErrorKind::Type { kind } => {
            here(format!("Must be {}, not {}.", types(kind), named(error.instance())))
        }
        ValidationErrorKind::Enum { options } => here(format!("Must be one of {}.", listed(options))),
        ValidationErrorKind::Constant { expected_value } => here(format!("Must be {expected_value}.")),
        ValidationErrorKind::Format { format } => here(format!("Must be {}.", form(format))),
        ValidationErrorKind::Pattern { pattern } => here(format!("Must match the pattern {pattern}.")),
        ValidationErrorKind::MinLength { limit: 1 } => here("Must not be empty.".to_owned()),
        ValidationErrorKind::MinLength { limit } => here(format!("Must have at least {limit} characters.")),
        ValidationErrorKind::MaxLength { limit } => here(format!("Must have at most {limit} characters.")),
        ValidationErrorKind::MinItems { limit } => here(format!("Must have at least {limit} items.")),
        ValidationErrorKind::MaxItems { limit } => here(format!("Must have at most {limit} items.")),
        ValidationErrorKind::MinProperties { limit } => here(format!("Must have at least {limit} keys.")),
        ValidationErrorKind::MaxProperties { limit } => here(format!("Must have at most {limit} keys.")),
        ValidationErrorKind::UniqueItems => here("Must not have an item twice.".to_owned()),
        ValidationErrorKind::Minimum { limit } => here(format!("Must be at least {limit}.")),
        ValidationErrorKind::Maximum { limit } => here(format!("Must be at most {limit}.")),
        ValidationErrorKind::ExclusiveMinimum { limit } => here(format!("Must be more than {limit}.")),
        ValidationErrorKind::ExclusiveMaximum { limit } => here(format!("Must be less than {limit}.")),
        other => here(format!("Does not satisfy `{}` of the contract.", other.keyword())),
    };
    fault(pointer, message);
}

/// The pointer to a key below a place (RFC 6901).
fn below(place: &str, key: &str) -> String {
    let mut pointer = String::with_capacity(place.len() + key.len() + 1);
    pointer.push_str(place);
    pointer.push('/');
    for character in key.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
    pointer
}

/// Alternatives that all fail for a missing key are told as such.
fn alternatives(context: &[Vec<ValidationError<'_>>]) -> String {
    let mut keys = Vec::new();
    for branch in context {
        match branch.as_slice() {
            [only] => match only.kind() {
                ValidationErrorKind::Required { property } => keys.extend(property.as_str()),
                _ => return "Has none of the allowed forms.".to_owned(),
            },
            _ => return "Has none of the allowed forms.".to_owned(),
        }
    }
    format!("One of the keys {} is required.", keys.join(", "))
}

fn types(kind: &TypeKind) -> String {
    let names: Vec<&str> = match kind {
        TypeKind::Single(one) => vec![one.as_str()],
        TypeKind::Multiple(several) => several.iter().map(|one| one.as_str()).collect(),
    };
    let mut text = String::new();
    for (position, name) in names.iter().enumerate() {
        let joint = match position {
            0 => "",
            last if last + 1 == names.len() => " or ",
            _ => ", ",
        };
        let article = match *name {
            "null" => "",
            "integer" => "a whole number",
            "array" => "an array",
            "object" => "an object",
            "boolean" => "true or false",
            "string" => "a string",
            _ => "a number",
        };
        let name = if article.is_empty() { *name } else { article };
        let _ = write!(text, "{joint}{name}");
    }
    text
}

fn named(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn listed(options: &Value) -> String {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<String> = options
        .iter()
        .map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned))
        .collect();
    names.join(", ")
}

fn form(format: &str) -> String {
    match format {
        "date-time" => "a date and time with Z or an offset, such as 2024-01-31T09:30:00Z".to_owned(),
        "date" => "a date such as 2024-01-31".to_owned(),
        "email" => "an e-mail address".to_owned(),
        "uri" => "a whole URL such as https://example.com".to_owned(),
        other => format!("a valid {other}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(schema: Value, body: Value) -> Vec<(String, String)> {
        let faults = Schema::new("test", schema).faults(&body).unwrap();
        faults.into_iter().map(|fault| (fault.pointer, fault.message)).collect()
    }

    #[test]
    fn every_kind_of_fault_is_a_sentence_with_its_place() {
        let rows = [
            (json!({ "type": ["string", "null"] }), json!(1), "", "Must be null or a string, not a number."),
            (
                json!({ "type": "integer" }),
                json!(1.5),
                "",
                "Must be a whole number, not a number with a fraction.",
            ),
            (json!({ "required": ["a/b"] }), json!({}), "/a~1b", "This key is required."),
            (
                json!({ "properties": {}, "additionalProperties": false }),
                json!({ "x": 1 }),
                "/x",
                "This key is unknown.",
            ),
            (json!({ "enum": ["a", "b", null] }), json!("c"), "", "Must be one of a, b, null."),
            (json!({ "format": "date" }), json!("2024-1-1"), "", "Must be a date such as 2024-01-31."),
            (json!({ "format": "email" }), json!("a"), "", "Must be an e-mail address."),
            (json!({ "minLength": 1 }), json!(""), "", "Must not be empty."),
            (json!({ "maximum": 3 }), json!(4), "", "Must be at most 3."),
            (
                json!({ "anyOf": [{ "required": ["id"] }, { "required": ["name"] }] }),
                json!({}),
                "",
                "One of the keys id, name is required.",
            ),
            (json!({ "items": { "minItems": 2 } }), json!([[1]]), "/0", "Must have at least 2 items."),
        ];
        for (schema, body, pointer, message) in rows {
            assert_eq!(faults(schema.clone(), body), [(pointer.to_owned(), message.to_owned())], "{schema}");
        }
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_fraction_of_zeros() {
        assert_eq!(faults(json!({ "type": "integer" }), json!(7500.0)), []);
    }
}
