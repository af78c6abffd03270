//! Reading a reply: where its records are, what else it says, and each record as unified JSON.

use std::collections::HashMap;

use super::Reading;
use super::codec::zone;
use super::emit::{Page, Wanted, id_of, wanted};
use super::finder::CustomMappings;
use super::path::{Path, Step};
use super::plan::{Found, Slot, Tree};
use super::rule::Mapping;
use super::scan::{Malformed, Scanner, scalar_text};
use crate::model::{Problem, Severity};

/// Where the records of a reply are, and which other values of it are wanted.
#[derive(Debug, Clone)]
pub struct Frame {
    nodes: Vec<FrameNode>,
    item: Vec<String>,
    captures: usize,
    /// Indexes of lists cannot be followed while records are read: these captures are looked up in a raw value.
    at_root: bool,
}

#[derive(Debug, Clone, Default)]
struct FrameNode {
    keys: Vec<(String, usize)>,
    indexes: Vec<(usize, usize)>,
    captures: Vec<usize>,
    records: bool,
}

/// More downstream JSON for a record, by the record's id: where it is read as if it stood there, and the raw JSON.
/// The empty path is the record itself; an object adds keys, anything else replaces.
pub type Extras = HashMap<String, Vec<(String, Box<str>)>>;

/// The records of a page in unified JSON.
#[derive(Debug, Default)]
pub struct Records {
    /// The records, separated by commas.
    pub json: Vec<u8>,
    /// Where each record stands in `json`.
    pub items: Vec<Span>,
    /// What went wrong with fields (warnings) and whole elements (faults: they are left out).
    pub problems: Vec<Problem>,
    /// Elements that the reply had, good or bad, mapped or not.
    pub seen: usize,
    /// Whether the reply had the place of the records at all.
    pub found: bool,
}

/// One record within [`Records::json`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
    /// The record's id.
    pub id: Option<String>,
}

/// The values captured outside of the records, in the order of the frame's capture paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured<'a> {
    values: Vec<Option<&'a str>>,
}

impl<'a> Captured<'a> {
    /// The raw JSON at a capture path; none where the reply lacks it.
    pub fn raw(&self, index: usize) -> Option<&'a str> {
        self.values.get(index).copied().flatten()
    }

    /// A text's own, a number's or boolean's spelling; none for null, lists and objects.
    pub fn as_text(&self, index: usize) -> Option<String> {
        self.raw(index).and_then(scalar_text).map(|text| text.into_owned())
    }

    /// A whole number that is not negative, also where it is written as text.
    pub fn as_u64(&self, index: usize) -> Option<u64> {
        self.as_text(index)?.parse().ok()
    }

    /// A boolean, also where it is written as text.
    pub fn as_bool(&self, index: usize) -> Option<bool> {
        self.as_text(index)?.parse().ok()
    }

    /// Whether the value is null or not there.
    pub fn is_null(&self, index: usize) -> bool {
        self.raw(index).is_none_or(|raw| raw == "null")
    }
}

impl Frame {
    /// Compiles a frame. `records`: the path of the list (or the one record); none where the whole body is it. `item`: the
    /// path of the record within an element. `capture`: paths outside of the records whose raw values are wanted.
    ///
    /// Errors: a sentence about a path that cannot be used here.
    pub fn compile(records: Option<&str>, item: Option<&str>, capture: &[&str]) -> Result<Frame, String> {
        let mut frame = Frame {
            nodes: vec![FrameNode::default()],
            item: match item {
                Some(path) => keys(path)?,
                None => Vec::new(),
            },
            captures: capture.len(),
            at_root: false,
        };
        match records {
            Some(path) if path != "." && !path.is_empty() => {
                let node = frame.reach(&Path::parse(path)?)?;
                if let Some(node) = frame.nodes.get_mut(node) {
                    node.records = true;
                }
            }
            _ => frame.at_root = true,
        }
        for (index, path) in capture.iter().enumerate() {
            let node = frame.reach(&Path::parse(path)?)?;
            if let Some(node) = frame.nodes.get_mut(node) {
                node.captures.push(index);
            }
        }
        Ok(frame)
    }

    fn reach(&mut self, path: &Path) -> Result<usize, String> {
        let mut at = 0;
        for step in &path.steps {
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { break };
            at = match step {
                Step::Key(key) => match node.keys.iter().find(|(known, _)| known == key) {
                    Some((_, known)) => *known,
                    None => {
                        node.keys.push((key.clone(), fresh));
                        fresh
                    }
                },
                Step::Index(index) => match node.indexes.iter().find(|(known, _)| known == index) {
                    Some((_, known)) => *known,
                    None => {
                        node.indexes.push((*index, fresh));
                        fresh
                    }
                },
                Step::Choice(..) | Step::Rest => {
                    return Err(format!(
                        "`{path}` is outside of the records, where only keys and positions can be used"
                    ));
                }
            };
            if at == fresh {
                self.nodes.push(FrameNode::default());
            }
        }
        Ok(at)
    }

    /// Walks a body; `record` is called at each element of the records' list, `restart` where the list begins.
    pub(super) fn walk<'a>(
        &self,
        body: &'a [u8],
        visit: &mut dyn Visit<'a>,
    ) -> Result<Captured<'a>, Malformed> {
        let mut scanner = Scanner::new(body)?;
        let mut captured = vec![None; self.captures];
        if self.at_root
            && self.nodes.first().is_some_and(|root| root.keys.is_empty() && root.indexes.is_empty())
        {
            let start = scanner.at();
            self.records(&mut scanner, visit)?;
            self.capture(0, scanner.since(start), &mut captured);
        } else {
            if self.at_root {
                // The captures lie within the body that is itself the record: twice over it.
                let mut second = Scanner::new(body)?;
                self.records(&mut second, visit)?;
            }
            self.node(0, &mut scanner, visit, &mut captured)?;
        }
        scanner.end()?;
        Ok(Captured { values: captured })
    }

    fn capture<'a>(&self, at: usize, raw: &'a str, captured: &mut [Option<&'a str>]) {
        for index in self.nodes.get(at).map(|node| node.captures.as_slice()).unwrap_or_default() {
            if let Some(place) = captured.get_mut(*index) {
                *place = Some(raw);
            }
        }
    }

    fn node<'a>(
        &self,
        at: usize,
        scanner: &mut Scanner<'a>,
        visit: &mut dyn Visit<'a>,
        captured: &mut [Option<&'a str>],
    ) -> Result<(), Malformed> {
        let Some(node) = self.nodes.get(at) else { return scanner.skip() };
        let start = scanner.at();
        if node.records {
            self.records(scanner, visit)?;
            // Values captured within the records' own place, such as a list's first element.
            if !node.keys.is_empty() || !node.indexes.is_empty() {
                let end = scanner.at();
                scanner.rewind(start);
                self.inside(node, scanner, visit, captured)?;
                scanner.rewind(end);
            }
        } else {
            self.inside(node, scanner, visit, captured)?;
        }
        self.capture(at, scanner.since(start), captured);
        Ok(())
    }

    fn inside<'a>(
        &self,
        node: &FrameNode,
        scanner: &mut Scanner<'a>,
        visit: &mut dyn Visit<'a>,
        captured: &mut [Option<&'a str>],
    ) -> Result<(), Malformed> {
        let mut first = true;
        match scanner.peek() {
            Some(b'{') if !node.keys.is_empty() => {
                scanner.enter()?;
                while let Some(key) = scanner.next_key(&mut first)? {
                    let key = key.text();
                    match node.keys.iter().find(|(known, _)| *known == key) {
                        Some((_, child)) => {
                            self.forget(*child, captured);
                            self.node(*child, scanner, visit, captured)?;
                        }
                        None => scanner.skip()?,
                    }
                }
                Ok(())
            }
            Some(b'[') if !node.indexes.is_empty() => {
                scanner.enter()?;
                let mut index = 0;
                while scanner.next_element(&mut first)? {
                    match node.indexes.iter().find(|(known, _)| *known == index) {
                        Some((_, child)) => self.node(*child, scanner, visit, captured)?,
                        None => scanner.skip()?,
                    }
                    index += 1;
                }
                Ok(())
            }
            _ => scanner.skip(),
        }
    }

    /// Of a key that comes twice the last one counts.
    fn forget(&self, at: usize, captured: &mut [Option<&str>]) {
        let Some(node) = self.nodes.get(at) else { return };
        for index in &node.captures {
            if let Some(place) = captured.get_mut(*index) {
                *place = None;
            }
        }
        for (_, child) in &node.keys {
            self.forget(*child, captured);
        }
        for (_, child) in &node.indexes {
            self.forget(*child, captured);
        }
    }

    fn records<'a>(&self, scanner: &mut Scanner<'a>, visit: &mut dyn Visit<'a>) -> Result<(), Malformed> {
        visit.restart();
        match scanner.peek() {
            Some(b'[') => {
                scanner.enter()?;
                let mut first = true;
                while scanner.next_element(&mut first)? {
                    self.element(scanner, visit)?;
                }
                Ok(())
            }
            Some(b'{') => self.element(scanner, visit),
            _ => scanner.skip(),
        }
    }

    fn element<'a>(&self, scanner: &mut Scanner<'a>, visit: &mut dyn Visit<'a>) -> Result<(), Malformed> {
        if self.item.is_empty() {
            return visit.record(scanner);
        }
        // The record is a part of the element: look for it, then read the part.
        let start = scanner.at();
        scanner.skip()?;
        let end = scanner.at();
        scanner.rewind(start);
        let mut part = None;
        within(scanner, &self.item, &mut part)?;
        match part {
            Some(at) => {
                scanner.rewind(at);
                // Read at its own depth: the element as a whole has been checked already.
                visit.record(scanner)?;
            }
            None => visit.missing(),
        }
        scanner.rewind(end);
        Ok(())
    }
}

/// Finds the position of a nested value; the scanner ends behind the outer value.
fn within(scanner: &mut Scanner<'_>, keys: &[String], part: &mut Option<usize>) -> Result<(), Malformed> {
    let Some((wanted, deeper)) = keys.split_first() else {
        *part = Some(scanner.at());
        return scanner.skip();
    };
    if scanner.peek() != Some(b'{') {
        return scanner.skip();
    }
    scanner.enter()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(&mut first)? {
        if key.text() == **wanted {
            *part = None;
            within(scanner, deeper, part)?;
        } else {
            scanner.skip()?;
        }
    }
    Ok(())
}

fn keys(path: &str) -> Result<Vec<String>, String> {
    Path::parse(path)?
        .steps
        .into_iter()
        .map(|step| match step {
            Step::Key(key) => Ok(key),
            _ => Err(format!("`{path}` may hold plain keys only")),
        })
        .collect()
}

/// What is done with records as they come.
pub(super) trait Visit<'a> {
    /// The list of records begins: forget what was read before.
    fn restart(&mut self);
    /// Reads the record that starts here.
    fn record(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Malformed>;
    /// An element lacks its record.
    fn missing(&mut self);
}

struct Mapper<'a, 'r> {
    mapping: &'r Mapping,
    page: Page<'a, 'r>,
    found: Found<'a>,
    wanted: Vec<Wanted<'a>>,
    json: &'r mut Vec<u8>,
    items: &'r mut Vec<Span>,
    seen: usize,
    exists: bool,
    /// What `json`, `items` and `problems` held before.
    before: (usize, usize, usize),
}

impl<'a> Mapper<'a, '_> {
    #[cold]
    fn bad(&mut self, message: &str) {
        let index = self.seen - 1;
        self.page.problems.push(Problem {
            severity: Severity::Fault,
            record: None,
            pointer: String::new(),
            path: format!("[{index}]"),
            message: format!("element {index} of the reply is left out: {message}"),
        });
    }
}

impl<'a> Visit<'a> for Mapper<'a, '_> {
    fn restart(&mut self) {
        self.json.truncate(self.before.0);
        self.items.truncate(self.before.1);
        self.page.problems.truncate(self.before.2);
        self.seen = 0;
        self.exists = true;
    }

    fn missing(&mut self) {
        self.seen += 1;
        if self.seen > self.page.reading.skip && self.seen - self.page.reading.skip <= self.page.reading.take
        {
            self.bad("it has no record in it");
        }
    }

    fn record(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Malformed> {
        self.seen += 1;
        let reading = self.page.reading;
        if self.seen <= reading.skip || self.seen - reading.skip > reading.take {
            return scanner.skip();
        }
        if scanner.peek() != Some(b'{') {
            scanner.skip()?;
            self.bad("it is not an object");
            return Ok(());
        }
        self.found.clear(&self.mapping.tree);
        let whole = scanner.at();
        self.mapping.tree.fill(scanner, &mut self.found)?;
        let raw = scanner.since(whole);
        let mut id = self.id();
        if let Some(extras) = reading.extras
            && let Some(grafts) = id
                .as_deref()
                .and_then(|id| id.strip_prefix(self.mapping.id_prefix()))
                .and_then(|id| extras.get(id))
        {
            for (path, raw) in grafts {
                let graft =
                    Path::parse(path).ok().map(|path| self.mapping.tree.graft(&path, raw, &mut self.found));
                if !matches!(graft, Some(Ok(()))) {
                    self.page.problems.push(Problem {
                        severity: Severity::Warning,
                        record: id.clone(),
                        pointer: String::new(),
                        path: path.clone(),
                        message: "more about the record could not be read".to_owned(),
                    });
                }
            }
            id = self.id();
        }
        if self.mapping.id.is_some() && id.is_none() {
            self.bad("it has no id");
            return Ok(());
        }
        if !self.items.is_empty() {
            self.json.push(b',');
        }
        let start = self.json.len();
        self.page.record = id;
        self.mapping.emit(&self.found, &mut self.page, &self.wanted, self.json);
        if let Some(custom) = reading.custom_mappings.filter(|_| CustomMappings::wanted(reading.fields)) {
            let own = self.page.record.as_deref().and_then(|id| id.strip_prefix(self.mapping.id_prefix()));
            let grafts = own.and_then(|id| Some(reading.extras?.get(id)?.as_slice()));
            custom.emit(raw, grafts, self.mapping, &mut self.page, self.json);
        }
        let end = self.json.len();
        self.items.push(Span { start, end, id: self.page.record.take() });
        Ok(())
    }
}

impl Mapper<'_, '_> {
    fn id(&self) -> Option<String> {
        id_of(self.mapping.id.as_ref()?, &self.found, &self.page)
    }
}

/// Reads a reply: its records are added to `out` as unified JSON, what the frame captures is returned.
///
/// A bad element is left out and noted as a fault, a bad field is null (or left out) and noted as a warning; the page goes on.
///
/// Errors: the body is not JSON; `out` is then as it was.
pub fn read_page<'a>(
    mapping: &Mapping,
    frame: &Frame,
    body: &'a [u8],
    reading: &Reading<'a>,
    out: &mut Records,
) -> Result<Captured<'a>, Malformed> {
    let before = (out.json.len(), out.items.len(), out.problems.len());
    let seen_before = out.seen;
    let mut mapper = Mapper {
        mapping,
        page: Page {
            reading,
            zone: reading.timezone.and_then(zone),
            empty_is_null: mapping.null_as == "",
            lists: (0..mapping.lists).map(|_| Found::default()).collect(),
            heads: Vec::new(),
            problems: &mut out.problems,
            record: None,
        },
        found: Found::default(),
        wanted: mapping.fields.iter().map(|field| wanted(field, reading.fields)).collect(),
        json: &mut out.json,
        items: &mut out.items,
        seen: 0,
        exists: false,
        before,
    };
    let result = frame.walk(body, &mut mapper);
    let (seen, exists) = (mapper.seen, mapper.exists);
    if result.is_err() {
        mapper.restart();
    } else {
        out.seen = seen_before + seen;
        out.found |= exists;
    }
    result
}

struct Plucker<'a> {
    tree: Tree,
    slots: Vec<Slot>,
    found: Found<'a>,
    rows: Rows,
}

impl<'a> Visit<'a> for Plucker<'a> {
    fn restart(&mut self) {
        self.rows.clear();
    }

    fn missing(&mut self) {
        self.rows.push(vec![None; self.slots.len()]);
    }

    fn record(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Malformed> {
        self.found.clear(&self.tree);
        self.tree.fill(scanner, &mut self.found)?;
        let text = |slot: &Slot| self.found.get(*slot).and_then(scalar_text).map(|text| text.into_owned());
        self.rows.push(self.slots.iter().map(text).collect());
        Ok(())
    }
}

/// Per record, the text at each path.
pub type Rows = Vec<Vec<Option<String>>>;

/// Paths to pluck, compiled.
#[derive(Debug, Clone)]
pub struct Plucking {
    tree: Tree,
    slots: Vec<Slot>,
}

impl Plucking {
    /// Compiles paths into a record.
    ///
    /// Errors: a sentence about a path that is none.
    pub fn compile(paths: &[&str]) -> Result<Plucking, String> {
        let mut tree = Tree::default();
        let slots = paths.iter().map(|path| Path::parse(path).map(|path| tree.slot(&path)));
        let slots = slots.collect::<Result<Vec<Slot>, String>>()?;
        Ok(Plucking { tree, slots })
    }
}

/// Every record's scalar at each path as text (none for null, lists, objects and records that lack it), and what the frame
/// captures.
///
/// Errors: the body is not JSON.
pub fn pluck<'a>(frame: &Frame, paths: &Plucking, body: &'a [u8]) -> Result<(Rows, Captured<'a>), Malformed> {
    let mut plucker = Plucker {
        tree: paths.tree.clone(),
        slots: paths.slots.clone(),
        found: Found::default(),
        rows: Vec::new(),
    };
    let captured = frame.walk(body, &mut plucker)?;
    Ok((plucker.rows, captured))
}
