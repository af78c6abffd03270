//! Faults of a manifest, collected.

use regex::Regex;

use super::PointedFault;
use crate::connector::manifest::RequestSpec;
use crate::connector::request::RequestTemplate;
use crate::connector::template::Template;
use crate::mapping::fault::nearest;
use crate::model::Safety;

/// What is added to a fault about a mistyped word: the known one that is near enough, as a question.
pub fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a String>) -> String {
    nearest(word, known.into_iter().map(String::as_str))
        .map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
}

#[derive(Default)]
pub(super) struct Faults(pub Vec<PointedFault>);

impl Faults {
    /// A pattern that the whole of a text has to fit.
    pub fn pattern(&mut self, at: &str, text: Option<&str>) -> Option<Regex> {
        let whole = format!("^(?:{})$", text?);
        let built = regex::RegexBuilder::new(&whole).size_limit(1 << 18).build();
        self.ok(at, built.map_err(|fault| format!("not a regular expression: {fault}")))
    }

    pub fn add(&mut self, at: &str, message: impl Into<String>) {
        self.0.push((at.to_owned(), message.into()));
    }

    pub fn ok<T>(&mut self, at: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(at, message)).ok()
    }

    pub fn texts<'a>(&mut self, at: &str, texts: impl Iterator<Item = &'a String>) -> Vec<Template> {
        texts
            .enumerate()
            .filter_map(|(index, text)| self.ok(&format!("{at}/{index}"), Template::parse(text)))
            .collect()
    }

    /// A request; `step` is its name unless it has an `operation_id` of its own.
    pub fn request(
        &mut self,
        at: &str,
        step: &str,
        spec: &RequestSpec,
        safety: Safety,
    ) -> Option<RequestTemplate> {
        let step = spec.operation_id.as_deref().unwrap_or(step);
        match RequestTemplate::compile(step, spec, safety) {
            Ok(request) => Some(request),
            Err(messages) => {
                for message in messages {
                    self.add(at, message);
                }
                None
            }
        }
    }
}
