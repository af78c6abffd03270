//! `explain=true`: where the fields of a reply's records came from, bounded and without secrets.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::ask::Asked;
use super::enrich::Failed;
use crate::connector::compile::{EnrichPlan, ResourcePlan};
use crate::mapping::explain::{Explained, Explanation, Origin, Steps, explain_page};
use crate::mapping::{Frame, Malformed, Reading};
use crate::normalise::raw;

/// The longest text of a raw value, in characters.
const LONGEST_TEXT: usize = 300;
/// The longest raw value that is no text, in bytes of JSON.
const LONGEST_JSON: usize = 1_000;
/// The longest sample of what is not read, in characters.
const LONGEST_SAMPLE: usize = 80;

/// Explanations by the records' ids.
pub type Explanations = HashMap<String, Value>;

/// What was sent for a page or a record.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'s> {
    /// The step whose reply holds the records.
    pub main: &'s str,
    /// The follow-up reads.
    pub enrich: &'s [Arc<EnrichPlan>],
    /// Those that failed.
    pub failed: &'s [Failed],
    /// What was asked for by name.
    pub asked: &'s Asked,
}

/// Explains the records of a reply.
///
/// # Errors
/// If the reply is not JSON.
pub fn explain(
    into: &mut Explanations,
    resource: &ResourcePlan,
    frame: &Frame,
    body: &[u8],
    reading: &Reading<'_>,
    sent: Sent<'_>,
) -> Result<(), Malformed> {
    let names = || sent.asked.parts.iter().flat_map(|part| &part.names).map(String::as_str).collect();
    let steps = Steps {
        main: sent.main,
        grafts: sent.enrich.iter().map(|plan| (plan.spec.graft.as_str(), &**plan.request.step())).collect(),
        failed: sent.failed.iter().map(|failed| (&*failed.graft, &*failed.step, &*failed.says)).collect(),
        asked: resource.spec.ask_below.as_deref().map(|prefix| (prefix, names())),
    };
    for explanation in explain_page(&resource.mapping, frame, body, reading, &steps)? {
        let id = explanation.id.clone().unwrap_or_default();
        into.insert(id, shown(&explanation, resource.mapping.file()));
    }
    Ok(())
}

/// What a call that names fields does not want explained.
pub fn not_asked_for() -> Value {
    json!({ "absent": "not_asked_for", "says": "the call's `fields` do not name it" })
}

fn shown(explanation: &Explanation, file: &str) -> Value {
    let fields: Map<String, Value> =
        explanation.fields.iter().map(|field| (field.field.clone(), field_shown(field, file))).collect();
    let unread: Vec<Value> = explanation
        .unread
        .iter()
        .map(|(path, value)| json!({ "path": path, "sample": bounded(path, value, LONGEST_SAMPLE).0 }))
        .collect();
    json!({ "id": explanation.id, "fields": fields, "unread": unread })
}

fn field_shown(field: &Explained, file: &str) -> Value {
    let mut shown = Map::new();
    // Of several places tried in turn the last one decided; what is made of several has them as parts only.
    let made_of_all = matches!(field.codec.as_deref(), Some("join" | "cases" | "expression" | "places"));
    let decides = match field.from.as_slice() {
        [one] => Some(one),
        [.., last] if !made_of_all && field.absent.is_none() => Some(last),
        [.., last] if !made_of_all && last.absent.is_none() => Some(last),
        _ => None,
    };
    if let Some(origin) = decides {
        let mut origin = origin_shown(origin);
        origin.remove("absent");
        shown.append(&mut origin);
    }
    if field.from.len() > 1 {
        let parts = field.from.iter().map(|origin| Value::Object(origin_shown(origin)));
        shown.insert("parts".to_owned(), parts.collect());
    }
    if let Some(codec) = &field.codec {
        shown.insert("codec".to_owned(), codec.as_str().into());
    }
    if !field.terms.is_empty() {
        shown.insert("terms".to_owned(), Value::Object(field.terms.clone()));
    }
    if let Some(absent) = field.absent {
        shown.insert("absent".to_owned(), absent.name().into());
    }
    if let Some(says) = &field.says {
        shown.insert("says".to_owned(), says.as_str().into());
    }
    if let Some(line) = field.line {
        shown.insert("rule".to_owned(), format!("{file}:{line}").into());
    }
    Value::Object(shown)
}

fn origin_shown(origin: &Origin) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("path".to_owned(), origin.path.as_str().into());
    shown.insert("step".to_owned(), origin.step.as_str().into());
    if let Some(raw) = &origin.raw {
        let (raw, cut) = bounded(&origin.path, raw, LONGEST_TEXT);
        shown.insert("raw".to_owned(), raw);
        if cut {
            shown.insert("cut".to_owned(), true.into());
        }
    }
    if let Some(absent) = origin.absent {
        shown.insert("absent".to_owned(), absent.name().into());
    }
    shown
}

/// A raw value without secrets, cut where it is long; and whether it is cut.
fn bounded(path: &str, value: &Value, longest: usize) -> (Value, bool) {
    if path.split(['.', '[', ']', '"']).any(raw::is_secret) && !value.is_null() {
        return ("***".into(), false);
    }
    let cut = |text: &str, longest: usize| -> Value {
        text.chars().take(longest).chain(std::iter::once('…')).collect::<String>().into()
    };
    match value {
        Value::String(text) if text.chars().nth(longest).is_some() => (cut(text, longest), true),
        Value::Array(_) | Value::Object(_) => {
            let mut value = value.clone();
            raw::redact(&mut value);
            let text = value.to_string();
            let longest = longest.saturating_mul(LONGEST_JSON / LONGEST_TEXT);
            if text.len() > longest { (cut(&text, longest), true) } else { (value, false) }
        }
        value => (value.clone(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_values_are_bounded_and_without_secrets() {
        let long = "x".repeat(5_000);
        let (text, cut) = bounded("a.b", &json!(long), LONGEST_TEXT);
        assert_eq!((text.as_str().unwrap().chars().count(), cut), (301, true));
        let (list, cut) = bounded("a", &json!([long, long]), LONGEST_TEXT);
        assert!(cut && list.as_str().unwrap().len() < 1_100);
        assert_eq!(bounded("settings.Api_Token", &json!("s3cret"), LONGEST_TEXT).0, "***");
        assert_eq!(
            bounded("a", &json!({"password": "s3cret", "b": 1}), LONGEST_TEXT).0,
            json!({"password": "***", "b": 1})
        );
    }
}
