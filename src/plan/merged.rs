//! A list of a resource that is several objects of the CRM.
//!
//! Without a sort the lists follow one another. With one, records that have a key are merged: a downstream page of each
//! is read from the same key on, and what is surely complete is taken; groups of equal keys that are too large for a
//! page, and the records without a key, follow list by list, by id. Nothing is left out or repeated, whatever is
//! inserted meanwhile: the position is a key or an id, never a count.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::explain::Explanations;
use super::keyset::{self, Row};
use super::list::{self, List, Page, Part, PartOf, append};
use super::source::one_of;
use super::{Data, Ground, Step, Unified};
use crate::cursor::{Binding, Keyset, Position, Token};
use crate::error::{Error, Kind, Result};
use crate::mapping::Records;
use crate::model::{Call, Format, Outcome, Warning};
use crate::normalise::raw;

/// Rounds of one call at the most; beyond, the page is handed out as far as it is.
const ROUNDS: usize = 60;

/// The machine for a list of several.
#[derive(Debug)]
pub struct Merged {
    /// The call as each list gets it.
    call: Call,
    /// The lists to read: the ground of each.
    grounds: Vec<Ground>,
    token: Token,
    binding: Binding,
    /// Which list, and where in it; where keys are merged, the list counts for nothing.
    at: (usize, Position),
    limit: usize,
    consumed: usize,
    rounds: usize,
    pages: u32,
    pages_at_most: u32,
    runs: Vec<Run>,
    records: Records,
    warnings: Vec<Warning>,
    raw: Vec<Value>,
    rate: Vec<(&'static str, String)>,
    explained: Option<Explanations>,
}

/// One list under way.
#[derive(Debug)]
struct Run {
    list: List,
    /// Which list it is.
    index: usize,
    /// Requests that it waits for.
    waits_for: usize,
    page: Option<Box<Page>>,
}

impl Merged {
    /// The machine for a call, and its first batch.
    ///
    /// # Errors
    /// If a list cannot apply the filters or the sort, or the cursor is not one of this list.
    pub fn start(call: &Call, ground: &Ground) -> Result<(Merged, Step)> {
        let binding = list::binding(call, ground);
        let token = list::open(call, ground, &binding)?;
        Merged::begin(call, ground, binding, token, usize::from(call.query.limit), u32::MAX)
    }

    /// The machine for so many records from a position on, read in so many of the CRM's pages at the most.
    ///
    /// # Errors
    /// If a list cannot apply the filters or the sort.
    pub fn at(
        call: &Call,
        ground: &Ground,
        position: Position,
        limit: usize,
        pages: u32,
    ) -> Result<(Merged, Step)> {
        let token = Token { position, trail: Vec::new(), whole: false };
        Merged::begin(call, ground, list::binding(call, ground), token, limit, pages)
    }

    fn begin(
        call: &Call,
        ground: &Ground,
        binding: Binding,
        token: Token,
        limit: usize,
        pages_at_most: u32,
    ) -> Result<(Merged, Step)> {
        let resource = ground.resource(call)?;
        let split_by = resource.spec.split_by.as_deref().unwrap_or("type");
        let wanted = call.query.filter.iter().find(|(name, _)| name == split_by).map(|(_, value)| value);
        let chosen: Vec<usize> = (0..resource.sources.len())
            .filter(|index| {
                let is = resource.sources.get(*index).map(|source| source.is.as_str());
                wanted.is_none_or(|wanted| wanted.as_str() == is)
            })
            .collect();
        if chosen.is_empty() {
            let name = &ground.connector.manifest.name;
            let message = format!("{name} does not take a filter's value.");
            return Err(Error::new(Kind::RequestValidationError, message).detail(json!([{
                "parameter": format!("filter[{split_by}]"),
                "message": one_of(&resource.sources),
            }])));
        }
        let grounds = chosen
            .into_iter()
            .filter_map(|index| {
                let source = resource.sources.get(index)?;
                Some(ground.of_source(index, &source.plan, call.parent.as_deref()))
            })
            .collect();
        let mut own = call.clone();
        own.query.cursor = None;
        own.query.filter.retain(|(name, _)| name != split_by);
        let at = match token.position.clone() {
            Position::Among { source, at } => (source as usize, *at),
            position => (0, position),
        };
        let mut merged = Merged {
            call: own,
            grounds,
            token,
            binding,
            at,
            limit,
            consumed: 0,
            rounds: 0,
            pages: 0,
            pages_at_most,
            runs: Vec::new(),
            records: Records::default(),
            warnings: Vec::new(),
            raw: Vec::new(),
            rate: Vec::new(),
            explained: call.query.explain.then(Explanations::default),
        };
        let step = merged.ask()?;
        Ok((merged, step))
    }

    /// The CRM's pages that are read at once.
    fn pages_at_once(&self) -> u32 {
        if self.merges().is_some() { u32::try_from(self.grounds.len()).unwrap_or(u32::MAX) } else { 1 }
    }

    /// Whether the position is where keys are merged.
    fn merges(&self) -> Option<Keyset> {
        self.call.query.sort.as_ref()?;
        match &self.at.1 {
            Position::Start => Some(keyset::start(true)),
            Position::Keyset(at @ Keyset::Values { .. }) => Some(at.clone()),
            _ => None,
        }
    }

    /// Asks for what follows the present position.
    fn ask(&mut self) -> Result<Step> {
        self.rounds += 1;
        let remaining = self.limit - self.consumed;
        let (position, limit, part_of, lists) = match self.merges() {
            // One record more than wanted shows where the last group of equal keys ends.
            Some(at) => (Position::Keyset(at), remaining + 1, PartOf::Merge, 0..self.grounds.len()),
            None => (self.at.1.clone(), remaining, PartOf::Sequence, self.at.0..self.at.0 + 1),
        };
        let mut batch = Vec::new();
        self.runs.clear();
        for index in lists {
            let Some(ground) = self.grounds.get(index) else { break };
            let (mut list, step) = List::part(&self.call, ground, position.clone(), limit, part_of)?;
            list.limit_pages(self.pages_at_most.saturating_sub(self.pages));
            if let Step::Ask(requests) = step {
                self.runs.push(Run { list, index, waits_for: requests.len(), page: None });
                batch.extend(requests);
            }
        }
        Ok(Step::Ask(batch))
    }

    /// Takes the replies to the last batch.
    ///
    /// # Errors
    /// If a list could not be read.
    pub fn feed(&mut self, call: &Call, ground: &Ground, outcomes: Vec<Outcome>) -> Result<Step> {
        let mut outcomes = outcomes.into_iter();
        let mut batch = Vec::new();
        for run in self.runs.iter_mut().filter(|run| run.page.is_none()) {
            let Some(ground) = self.grounds.get(run.index) else { continue };
            let own = outcomes.by_ref().take(run.waits_for).collect();
            match run.list.feed(&self.call, ground, own)? {
                Step::Ask(requests) => {
                    run.waits_for = requests.len();
                    batch.extend(requests);
                }
                Step::Done(unified) => {
                    let Unified { data, warnings, raw, rate, explained, .. } = *unified;
                    self.warnings.extend(warnings);
                    self.raw.extend(raw);
                    self.rate = rate;
                    if let Some(all) = &mut self.explained {
                        all.extend(explained.into_iter().flatten());
                    }
                    if let Data::Page(page) = data {
                        self.pages = self.pages.saturating_add(page.part.pages);
                        run.page = Some(page);
                    }
                }
            }
        }
        if !batch.is_empty() {
            return Ok(Step::Ask(batch));
        }
        let next = match self.merges() {
            Some(at) => self.merge(&at),
            None => self.follow(),
        };
        match next {
            Some(at) if self.goes_on() => {
                self.at = at;
                // What is merged is read from every list at once.
                if self.pages.saturating_add(self.pages_at_once()) > self.pages_at_most {
                    let at = Some(self.at.clone());
                    return Ok(self.finish(call, ground, at));
                }
                self.ask()
            }
            next => Ok(self.finish(call, ground, next)),
        }
    }

    /// Whether another round is made before this page is handed out. A stream hands out each as it comes.
    fn goes_on(&self) -> bool {
        let streamed = self.call.query.format != Format::Json && self.consumed > 0;
        self.consumed < self.limit && self.rounds < ROUNDS && !streamed
    }

    /// Takes a part of one list; where to go on.
    fn follow(&mut self) -> Option<(usize, Position)> {
        let run = self.runs.pop()?;
        let Page { records, part, .. } = *run.page?;
        for item in &records.items {
            if let Some(json) = records.json.get(item.start..item.end) {
                append(&mut self.records, json, item.id.clone());
            }
        }
        self.consumed += part.taken;
        let following = run.index + 1;
        let is_last = following >= self.grounds.len();
        match (part.next, &self.at.1) {
            // This list has no more of the equal keys; once none has, values go on.
            (Some(values @ Position::Keyset(Keyset::Values { .. })), at) => Some(match at {
                Position::Keyset(Keyset::Ties { key, .. }) if !is_last => {
                    (following, Position::Keyset(Keyset::Ties { key: key.clone(), id: None }))
                }
                _ => (0, values),
            }),
            (Some(position), _) => Some((run.index, position)),
            (None, _) if is_last => None,
            (None, Position::Keyset(Keyset::Without { .. })) => {
                Some((following, Position::Keyset(Keyset::Without { id: None })))
            }
            (None, _) => Some((following, Position::Start)),
        }
    }

    /// Takes what is surely complete of all lists; where to go on.
    fn merge(&mut self, at: &Keyset) -> Option<(usize, Position)> {
        let descending = self.call.query.sort.as_ref().is_some_and(|sort| sort.descending);
        let order = |a: &str, b: &str| {
            let order = compare(a, b);
            if descending { order.reverse() } else { order }
        };
        let runs = std::mem::take(&mut self.runs);
        let pages: Vec<(usize, Box<Page>)> =
            runs.into_iter().filter_map(|run| Some((run.index, run.page?))).collect();
        // Of a full page the records behind its last key are unknown: nothing beyond it is known to come next.
        let last = |part: &Part| part.rows.last().and_then(|(key, _)| key.clone());
        let bound = pages
            .iter()
            .filter(|(_, page)| page.part.full)
            .filter_map(|(_, page)| last(&page.part))
            .min_by(|a, b| order(a, b));
        let mut merged: Vec<(&str, usize, &Option<String>)> = Vec::new();
        for (place, (_, page)) in pages.iter().enumerate() {
            for (key, id) in &page.part.rows {
                let key = key.as_deref().unwrap_or_default();
                if bound.as_deref().is_none_or(|bound| order(key, bound) != Ordering::Greater) {
                    merged.push((key, place, id));
                }
            }
        }
        merged.sort_by(|a, b| order(a.0, b.0));
        let rows: Vec<Row> =
            merged.iter().map(|(key, _, id)| (Some((*key).to_owned()), (*id).clone())).collect();
        let asked = if bound.is_some() { rows.len() } else { usize::MAX };
        let (take, next) = keyset::advance(at, &rows, asked, self.limit - self.consumed);
        let mapped: Vec<HashMap<&str, usize>> = pages
            .iter()
            .map(|(_, page)| {
                let items = page.records.items.iter().enumerate();
                items.filter_map(|(number, item)| Some((item.id.as_deref()?, number))).collect()
            })
            .collect();
        for (_, place, id) in merged.iter().take(take) {
            let (Some((index, page)), Some(id)) = (pages.get(*place), id) else { continue };
            let prefix = self.prefix(*index);
            let number = mapped.get(*place).and_then(|items| items.get(format!("{prefix}{id}").as_str()));
            let item = number.and_then(|number| page.records.items.get(*number));
            if let Some((item, json)) =
                item.and_then(|item| Some((item, page.records.json.get(item.start..item.end)?)))
            {
                append(&mut self.records, json, item.id.clone());
            }
        }
        self.consumed += take;
        next.map(|at| (0, Position::Keyset(at)))
    }

    fn prefix(&self, index: usize) -> &str {
        let ground = self.grounds.get(index);
        let resource = ground.and_then(|ground| ground.resource(&self.call).ok());
        resource.map_or("", |resource| resource.mapping.id_prefix())
    }

    fn finish(&mut self, call: &Call, ground: &Ground, next: Option<(usize, Position)>) -> Step {
        let seal = |token: &Token| token.seal(&ground.cursor_key, &self.binding);
        let next = next.map(|(source, at)| Position::Among {
            source: u32::try_from(source).unwrap_or(u32::MAX),
            at: Box::new(at),
        });
        Step::Done(Box::new(Unified {
            data: Data::Page(Box::new(Page {
                total: None,
                current: seal(&self.token),
                next: next.as_ref().map(|position| seal(&self.token.next(position.clone()))),
                previous: self.token.previous().map(|token| seal(&token)),
                records: std::mem::take(&mut self.records),
                part: Part { next, taken: self.consumed, pages: self.pages, ..Part::default() },
            })),
            warnings: std::mem::take(&mut self.warnings),
            raw: call.query.raw.then(|| raw::joined(std::mem::take(&mut self.raw))),
            rate: std::mem::take(&mut self.rate),
            explained: self.explained.take(),
            scanned: None,
        }))
    }
}

/// Numbers by their value, everything else (such as times in ISO 8601) by its text.
fn compare(a: &str, b: &str) -> Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    }
}
