//! Where every field of a record came from, or why it has no value.
//!
//! In: the same reply, rules and options that [`read_page`](super::read_page) had. Out: per record, in the same order, one
//! [`Explained`] per unified field, and what of the record no rule reads. A second reading, and a slower one: reading itself
//! keeps no trace. What a value is, and whether there is one, is asked of the very functions that read it.
//!
//! Here the types and the walk over records · `field` the walk over rules · `value` one value · `unread` the rest.

mod field;
#[cfg(test)]
mod tests;
mod unread;
mod value;

use serde_json::{Map, Value};

use super::codec::zone;
use super::emit::{Page, id_of};
use super::path::Path;
use super::plan::Found;
use super::read::{Frame, Visit};
use super::rule::Mapping;
use super::scan::{Malformed, Scanner};
use super::{Extras, Reading};
use crate::model::Problem;
use field::Walk;

/// Why a unified field has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absence {
    /// The mapping has no rule that reads it.
    NotMapped,
    /// The CRM's reply has none of the keys.
    MissingDownstream,
    /// The call did not want it, or the CRM was not asked for it.
    NotAskedFor,
    /// The CRM says null, or the empty text that means null.
    NullDownstream,
    /// The request that would have read it failed.
    StepFailed,
    /// The CRM has a value that the rule makes nothing of.
    CodecProblem,
    /// The connection may not read it.
    NotGranted,
}

impl Absence {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Absence::NotMapped => "not_mapped",
            Absence::MissingDownstream => "missing_downstream",
            Absence::NotAskedFor => "not_asked_for",
            Absence::NullDownstream => "null_downstream",
            Absence::StepFailed => "step_failed",
            Absence::CodecProblem => "codec_problem",
            Absence::NotGranted => "not_granted",
        }
    }
}

/// One place downstream that a field is read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Its path in the record, such as `properties.firstname` or `stages[0].label`.
    pub path: String,
    /// The step whose reply it stands in.
    pub step: String,
    /// What stands there; none where nothing does.
    pub raw: Option<Value>,
    /// Why it gave no value.
    pub absent: Option<Absence>,
}

/// Where one unified field came from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explained {
    /// The field, such as `first_name` or `emails[0].email`.
    pub field: String,
    /// What was read for it, in the rule's order, up to what decided.
    pub from: Vec<Origin>,
    /// The codec that the raw value went through, or the kind of rule.
    pub codec: Option<String>,
    /// What the rule says about the codec, by the rule's own keys.
    pub terms: Map<String, Value>,
    /// Why it has no value; none where it has one.
    pub absent: Option<Absence>,
    /// One sentence more about it.
    pub says: Option<String>,
    /// The line of its rule in the mapping file.
    pub line: Option<u32>,
}

/// Where all fields of one record came from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// The record's id.
    pub id: Option<String>,
    /// Per unified field.
    pub fields: Vec<Explained>,
    /// What no rule reads: paths, lists as `stages[].x`, and the value that was met first.
    pub unread: Vec<(String, Value)>,
}

/// Which requests the parts of a record came from.
#[derive(Debug, Clone, Default)]
pub struct Steps<'s> {
    /// The one whose reply holds the records.
    pub main: &'s str,
    /// What follow-up reads added, by the path that it was put at, and their step.
    pub grafts: Vec<(&'s str, &'s str)>,
    /// Those of them that failed: path, step, a sentence.
    pub failed: Vec<(&'s str, &'s str, &'s str)>,
    /// The path below which the CRM sends only what it is asked for by name, and these names.
    pub asked: Option<(&'s str, Vec<&'s str>)>,
}

impl Mapping {
    /// The mapping file, as faults name it.
    pub fn file(&self) -> &str {
        &self.file
    }
}

/// Explains the records of a reply: the same elements, in the same order, as reading it gives.
///
/// Errors: the body is not JSON.
pub fn explain_page<'a>(
    mapping: &Mapping,
    frame: &Frame,
    body: &'a [u8],
    reading: &Reading<'a>,
    steps: &Steps<'_>,
) -> Result<Vec<Explanation>, Malformed> {
    let mut problems = Vec::new();
    let mut tracer = Tracer { mapping, reading, steps, problems: &mut problems, out: Vec::new(), seen: 0 };
    frame.walk(body, &mut tracer)?;
    Ok(tracer.out)
}

struct Tracer<'a, 'r> {
    mapping: &'r Mapping,
    reading: &'r Reading<'a>,
    steps: &'r Steps<'r>,
    problems: &'r mut Vec<Problem>,
    out: Vec<Explanation>,
    seen: usize,
}

impl<'a> Visit<'a> for Tracer<'a, '_> {
    fn restart(&mut self) {
        self.out.clear();
        self.seen = 0;
    }

    fn missing(&mut self) {
        self.seen += 1;
    }

    fn record(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Malformed> {
        self.seen += 1;
        let (mapping, reading) = (self.mapping, self.reading);
        let out_of_window = self.seen <= reading.skip || self.seen - reading.skip > reading.take;
        if out_of_window || scanner.peek() != Some(b'{') {
            return scanner.skip();
        }
        self.problems.clear();
        let mut page = Page {
            reading,
            zone: reading.timezone.and_then(zone),
            empty_is_null: mapping.null_as == "",
            lists: (0..mapping.lists).map(|_| Found::default()).collect(),
            heads: Vec::new(),
            problems: &mut *self.problems,
            record: None,
        };
        let mut found = Found::default();
        found.clear(&mapping.tree);
        let start = scanner.at();
        mapping.tree.fill(scanner, &mut found)?;
        let raw = scanner.since(start);
        let mut sources =
            Sources { slots: vec![0; found.slots.len()], rest: vec![0; found.rest.len()], whole: vec![raw] };
        let id = |found: &Found<'a>, page: &Page<'a, '_>| id_of(mapping.id.as_ref()?, found, page);
        let grafts = reading.extras.zip(id(&found, &page)).map(|(extras, id)| grafts(mapping, extras, &id));
        for (path, raw) in grafts.into_iter().flatten() {
            let before = found.slots.clone();
            let rest = found.rest.len();
            if let Ok(path) = Path::parse(path) {
                // What could not be read as JSON is told as a warning by reading itself.
                let _ = mapping.tree.graft(&path, raw, &mut found);
            }
            let step = self.steps.grafts.iter().position(|(known, _)| known == path).map_or(0, |at| at + 1);
            for ((from, old), new) in sources.slots.iter_mut().zip(&before).zip(&found.slots) {
                if !same(*old, *new) {
                    *from = step;
                }
            }
            sources.rest.truncate(if found.rest.len() < rest { 0 } else { rest });
            sources.rest.resize(found.rest.len(), step);
            if path.is_empty() {
                sources.whole.push(raw);
            }
        }
        let id = id(&found, &page);
        if mapping.id.is_some() && id.is_none() {
            return Ok(());
        }
        let mut walk = Walk { mapping, steps: self.steps, sources: &sources, fields: Vec::new() };
        walk.record(&found, &mut page);
        let fields = walk.fields;
        let unread = unread::of(mapping, &sources.whole, &found, &fields, reading);
        self.out.push(Explanation { id, fields, unread });
        Ok(())
    }
}

/// Which step each part of a record came from: 0 the main one, above it the follow-up reads.
struct Sources<'a> {
    slots: Vec<usize>,
    rest: Vec<usize>,
    /// The record, and further chunks of it.
    whole: Vec<&'a str>,
}

fn grafts<'e>(mapping: &Mapping, extras: &'e Extras, id: &str) -> &'e [(String, Box<str>)] {
    let id = id.strip_prefix(mapping.id_prefix());
    id.and_then(|id| extras.get(id)).map(Vec::as_slice).unwrap_or_default()
}

/// Whether two raw values are the same place of the same text.
fn same(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => std::ptr::eq(a.as_ptr(), b.as_ptr()) && a.len() == b.len(),
        (None, None) => true,
        _ => false,
    }
}
