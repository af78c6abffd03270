//! Lists: downstream pages are fetched, completed, mapped and cut until the page asked for is full.
//!
//! Reading order: here the machine · `request` what a page is asked with · `page` what becomes of its reply · `cursor` where
//! the list goes on.

mod cursor;
mod page;
mod request;

pub(super) use cursor::{binding, open};

use std::sync::Arc;

use crate::connector::compile::{ListPlan, ResourcePlan};
use crate::connector::manifest::Paging;
use crate::cursor::{Binding, Position, Token};
use crate::error::{Error, Result};
use crate::mapping::{Captured, Extras, Records, Span};
use crate::model::{Call, Outcome, Reply, Warning};
use crate::normalise::raw;
use crate::plan::anchored::Search;
use crate::plan::ask::Asked;
use crate::plan::enrich::{Failed, Round};
use crate::plan::explain::Explanations;
use crate::plan::ground::Ground;
use crate::plan::keyset::Row;
use crate::plan::paging::Window;
use crate::plan::way::Way;
use crate::plan::{Data, Step, Unified, ask, extras, way};

/// Downstream pages read for one call at the most; beyond, the page is handed out as far as it is.
const PAGES_PER_CALL: u32 = 40;

/// A page of unified records.
#[derive(Debug)]
pub struct Page {
    /// The records' JSON, separated by commas.
    pub records: Records,
    /// All matching records, where the CRM says.
    pub total: Option<u64>,
    /// The cursor of this page.
    pub current: String,
    /// The cursor of the page after.
    pub next: Option<String>,
    /// The cursor of the page before.
    pub previous: Option<String>,
    /// What this is as a part of a longer list.
    pub part: Part,
}

/// What a page is as a part of a longer list.
#[derive(Debug, Default)]
pub struct Part {
    /// Where its list goes on.
    pub next: Option<Position>,
    /// Key and id of every record; only of a whole downstream page.
    pub rows: Vec<Row>,
    /// Whether the downstream page was full.
    pub full: bool,
    /// Records taken, good and bad.
    pub taken: usize,
    /// The CRM's pages that were read for it.
    pub pages: u32,
}

/// How a list is a part of a longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartOf {
    /// Its records follow one another, until its keyset paging turns back to values.
    Sequence,
    /// One downstream page as it is, to be merged by others.
    Merge,
}

/// The machine for a list.
#[derive(Debug)]
pub struct List {
    way: Way,
    token: Token,
    binding: Binding,
    position: Position,
    asked: Arc<Asked>,
    limit: usize,
    consumed: usize,
    pages: u32,
    pages_at_most: u32,
    stage: Stage,
    records: Records,
    total: Option<u64>,
    warnings: Vec<Warning>,
    raw: Option<raw::Replies>,
    rate: Vec<(&'static str, String)>,
    part_of: Option<PartOf>,
    part: Part,
    explained: Option<Explanations>,
    /// Where the records delivered last are looked for, once they are not where they were.
    search: Option<Search>,
}

/// What the replies to come are.
#[derive(Debug)]
enum Stage {
    /// A page, in one reply per chunk of properties.
    Page(Window),
    /// The records that a page's search has found.
    Hydrate(Fetched),
    /// What completes them.
    Enrich(Fetched, Round),
}

/// A downstream page on its way through follow-up calls.
#[derive(Debug)]
struct Fetched {
    window: Window,
    /// The page.
    reply: Reply,
    /// Further chunks of the records' properties, and what else stands in for parts of them.
    extras: Extras,
    /// Records read by a second call, in its batches.
    hydrated: Option<Vec<Reply>>,
    /// Key and id of every record on the page, good or bad.
    rows: Vec<Row>,
    /// Follow-up reads that failed.
    failed: Vec<Failed>,
    /// How many may be taken, where some that follow were delivered before.
    free: Option<usize>,
}

impl List {
    /// The machine for a call, and its first batch.
    ///
    /// # Errors
    /// If the connector cannot apply the filters or the sort, or the cursor is not one of this list.
    pub fn start(call: &Call, ground: &Ground) -> Result<(List, Step)> {
        let binding = binding(call, ground);
        let token = open(call, ground, &binding)?;
        List::begin(call, ground, binding, token, usize::from(call.query.limit), None)
    }

    /// The machine for so many records of a longer list, from a position on.
    ///
    /// # Errors
    /// If the connector cannot apply the filters or the sort.
    pub fn part(
        call: &Call,
        ground: &Ground,
        position: Position,
        limit: usize,
        part_of: PartOf,
    ) -> Result<(List, Step)> {
        let token = Token { position, trail: Vec::new(), whole: false };
        List::begin(call, ground, binding(call, ground), token, limit, Some(part_of))
    }

    /// The machine for so many records from a position on, read in so many of the CRM's pages at the most.
    ///
    /// # Errors
    /// If the connector cannot apply the filters or the sort.
    pub fn at(
        call: &Call,
        ground: &Ground,
        position: Position,
        limit: usize,
        pages: u32,
    ) -> Result<(List, Step)> {
        let token = Token { position, trail: Vec::new(), whole: false };
        let (mut list, step) = List::begin(call, ground, binding(call, ground), token, limit, None)?;
        list.limit_pages(pages);
        Ok((list, step))
    }

    /// Reads so many of the CRM's pages at the most, the first in any case.
    pub fn limit_pages(&mut self, pages: u32) {
        self.pages_at_most = pages.min(PAGES_PER_CALL);
    }

    fn begin(
        call: &Call,
        ground: &Ground,
        binding: Binding,
        token: Token,
        limit: usize,
        part_of: Option<PartOf>,
    ) -> Result<(List, Step)> {
        let resource = ground.resource(call)?;
        let way = way::choose(call, ground, resource)?;
        let mut list = List {
            position: token.position.clone(),
            asked: ask::properties(
                ground,
                resource,
                call.query.fields.as_ref(),
                key_path(call, resource, &way),
            ),
            way,
            token,
            binding,
            limit,
            consumed: 0,
            pages: 0,
            pages_at_most: PAGES_PER_CALL,
            stage: Stage::Page(Window::default()),
            records: Records::default(),
            total: None,
            warnings: Vec::new(),
            raw: call.query.raw.then(raw::Replies::default),
            rate: Vec::new(),
            part_of,
            part: Part::default(),
            explained: call.query.explain.then(Explanations::default),
            search: None,
        };
        let step = list.ask_page(call, ground)?;
        Ok((list, step))
    }

    /// Takes the replies to the last batch.
    ///
    /// # Errors
    /// If the page could not be read.
    pub fn feed(&mut self, call: &Call, ground: &Ground, outcomes: Vec<Outcome>) -> Result<Step> {
        match std::mem::replace(&mut self.stage, Stage::Page(Window::default())) {
            Stage::Page(window) => self.page(window, call, ground, outcomes),
            Stage::Hydrate(fetched) => self.hydrated(fetched, call, ground, outcomes),
            Stage::Enrich(mut fetched, mut round) => {
                self.keep_raw(&outcomes);
                let more = round.feed(outcomes, ground, &mut self.warnings)?;
                if more.is_empty() {
                    fetched.failed = round.failed();
                    extras::merge(&mut fetched.extras, round.into_extras());
                    return self.map(fetched, call, ground);
                }
                self.stage = Stage::Enrich(fetched, round);
                Ok(Step::Ask(more))
            }
        }
    }

    fn plan<'a>(&self, resource: &'a ResourcePlan) -> Result<&'a ListPlan> {
        resource.list.get(self.way.index).ok_or_else(|| Error::internal("the chosen way to list is gone"))
    }

    fn note_total(&mut self, plan: &ListPlan, captured: &Captured<'_>) {
        // Past its first page, and wherever it adds clauses of its own, keyset paging asks for less than the whole.
        let counts_all =
            !matches!(plan.spec.paging, Paging::Keyset { .. }) || self.position == Position::Start;
        if let Some(index) = plan.total.filter(|_| counts_all) {
            self.total = captured.as_u64(index).or(self.total);
        }
    }

    fn keep_raw(&mut self, outcomes: &[Outcome]) {
        if let Some(raw) = &mut self.raw {
            raw.keep(outcomes);
        }
    }

    fn finish(&mut self, call: &Call, ground: &Ground, next: Option<Position>) -> Result<Step> {
        let seal = |token: &Token| token.seal(&ground.cursor_key, &self.binding);
        self.part.taken = self.consumed;
        self.part.pages = self.pages;
        self.part.next = next.clone();
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.extend(
            std::mem::take(&mut self.records.problems)
                .into_iter()
                .map(|problem| Warning::from(problem).operation(call.operation.to_string())),
        );
        Ok(Step::Done(Box::new(Unified {
            data: Data::Page(Box::new(Page {
                total: self.total.filter(|_| call.query.sort.is_none() || self.way_counts(ground, call)),
                current: seal(&self.token),
                next: next.map(|position| seal(&self.token.next(position))),
                previous: self.token.previous().map(|token| seal(&token)),
                records: std::mem::take(&mut self.records),
                part: std::mem::take(&mut self.part),
            })),
            warnings,
            raw: self.raw.take().map(raw::Replies::into_value),
            rate: std::mem::take(&mut self.rate),
            explained: self.explained.take(),
            scanned: None,
        })))
    }

    /// Whether the total of this way counts all records even when sorted: keyset paging leaves out those without a key.
    fn way_counts(&self, ground: &Ground, call: &Call) -> bool {
        ground
            .resource(call)
            .and_then(|resource| self.plan(resource))
            .is_ok_and(|plan| !matches!(plan.spec.paging, Paging::Keyset { .. }))
    }
}

/// Where a record has the value that the list is sorted by.
fn key_path<'a>(call: &Call, resource: &'a ResourcePlan, way: &Way) -> Option<&'a str> {
    let sort = call.query.sort.as_ref()?;
    resource.list.get(way.index)?.sorts.get(&sort.by)?.path.as_deref()
}

/// Adds a record that has been mapped already.
pub(super) fn append(records: &mut Records, json: &[u8], id: Option<String>) {
    if !records.items.is_empty() {
        records.json.push(b',');
    }
    let start = records.json.len();
    records.json.extend_from_slice(json);
    records.items.push(Span { start, end: records.json.len(), id });
}
