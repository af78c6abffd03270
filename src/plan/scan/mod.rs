//! A list whose CRM lacks a filter or the sort: the gateway reads on and finishes the work itself.
//!
//! In: a call that asked for it, with what the CRM can do left in. Out: the page that the CRM would have given, were it able
//! to. The list below it is read in portions, each from the very position behind the last record looked at. Where a portion
//! holds more than the page has room for, it is read once more up to the record that fills the page, so that the position
//! behind it is the CRM's own: nothing is left out or repeated, whatever is inserted meanwhile.
//!
//! Reading order: [`meaning`] what filters and sorts mean · [`mod@split`] what is left to us · here the machine · [`sorted`].

pub mod meaning;
pub mod sorted;
pub mod split;

use std::collections::HashSet;

use serde_json::{Value, json};

use self::sorted::Kept;
use self::split::Split;
use super::explain::{Explanations, not_asked_for};
use super::list::{self, List, Page, Part, append};
use super::merged::Merged;
use super::{Data, Step, Unified};
use crate::connector::manifest::Paging;
use crate::cursor::{Binding, Position, Token};
use crate::error::{Error, Kind, Result};
use crate::mapping::{Records, narrow};
use crate::model::{Call, FieldMask, Outcome, Warning};
use crate::normalise::raw;
use crate::plan::ground::Ground;

/// Records of a portion where the CRM's own page does not say better.
const USUAL_PORTION: usize = 150;
/// The largest portion.
const LARGEST_PORTION: usize = 500;

/// What the gateway did beside the CRM, for `meta.scan`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Scanned {
    /// The CRM's pages that were read.
    pub pages: u32,
    /// Records looked at, from this page's cursor to the next one's.
    pub records_read: usize,
    /// Whether the page is full or the list at its end; if not, the budget ran out first.
    pub complete: bool,
    /// The filters that the gateway applied.
    pub filters: Vec<&'static str>,
    /// The sort that the gateway applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
}

/// The machine for a list that the gateway filters or sorts.
#[derive(Debug)]
pub struct Scan {
    /// The call as the list below gets it.
    call: Call,
    split: Split,
    below: Below,
    /// The fields that the caller wants, where more are read.
    narrow: Option<FieldMask>,
    token: Token,
    binding: Binding,
    /// Where the present portion begins.
    at: Position,
    limit: usize,
    /// Records of the present portion at the most.
    portion: usize,
    /// How often the present portion was read again because it held too many.
    again: u32,
    budget: u32,
    /// The CRM's pages that are read at once.
    at_once: u32,
    pages: u32,
    read: usize,
    records: Records,
    kept: Vec<Kept>,
    warnings: Vec<Warning>,
    raw: Vec<Value>,
    rate: Vec<(&'static str, String)>,
    explained: Option<Explanations>,
}

/// The list below.
#[derive(Debug)]
enum Below {
    List(Box<List>),
    Merged(Box<Merged>),
}

/// How much of the list below is read at once.
#[derive(Debug, Clone, Copy)]
struct Reach {
    /// Records at the most.
    records: usize,
    /// The CRM's pages at the most.
    pages: u32,
}

impl Scan {
    /// The machine for a call, and its first batch; none where the CRM can do all that is asked.
    ///
    /// # Errors
    /// If a filter or the sort means nothing on the connector's records, or the cursor is not one of this list.
    pub fn start(call: &Call, ground: &Ground) -> Result<Option<(Scan, Step)>> {
        let Some(split) = split::split(call, ground)? else { return Ok(None) };
        // A cursor of a scan belongs to scans only: what it means depends on who sorts.
        let mut marked = call.clone();
        marked.query.pass_through.push(("x-crosswalk-filter=scan".to_owned(), String::new()));
        let binding = list::binding(&marked, ground);
        let token = list::open(call, ground, &binding)?;
        let mut own = call.clone();
        own.query.cursor = None;
        own.query.filter.retain(|(name, _)| !split.filters.iter().any(|(meaning, _)| meaning.name == name));
        if split.sort.is_some() {
            own.query.sort = None;
        }
        if let Some(mask) = &mut own.query.fields {
            split.fields().for_each(|field| widen(mask, field));
        }
        let narrow = call.query.fields.clone().filter(|_| own.query.fields != call.query.fields);
        let at = if split.sort.is_some() { Position::Start } else { token.position.clone() };
        let lowered = ground.connector.manifest.scan_pages.unwrap_or(u32::MAX);
        let budget = ground.scan_pages.min(lowered).max(1);
        let limit = usize::from(call.query.limit);
        let portion = portion(&own, ground)?.max(limit);
        let resource = ground.resource(call)?;
        // Several lists that are merged by a sort are read all at once.
        let at_once = if own.query.sort.is_some() { resource.sources.len().max(1) } else { 1 };
        let at_once = u32::try_from(at_once).unwrap_or(u32::MAX);
        let reach = reach(portion, limit, budget, at_once, split.sort.is_some());
        let (below, step) = Below::start(&own, ground, &at, reach)?;
        let scan = Scan {
            call: own,
            split,
            below,
            narrow,
            token,
            binding,
            at,
            limit,
            portion,
            again: 0,
            budget,
            at_once,
            pages: 0,
            read: 0,
            records: Records::default(),
            kept: Vec::new(),
            warnings: Vec::new(),
            raw: Vec::new(),
            rate: Vec::new(),
            explained: call.query.explain.then(Explanations::default),
        };
        Ok(Some((scan, step)))
    }

    /// Takes the replies to the last batch.
    ///
    /// # Errors
    /// If the list could not be read, or one that the gateway is to sort is larger than the budget.
    pub fn feed(&mut self, call: &Call, ground: &Ground, outcomes: Vec<Outcome>) -> Result<Step> {
        let step = match &mut self.below {
            Below::List(list) => list.feed(&self.call, ground, outcomes)?,
            Below::Merged(merged) => merged.feed(&self.call, ground, outcomes)?,
        };
        match step {
            Step::Ask(requests) => Ok(Step::Ask(requests)),
            Step::Done(unified) => self.portion(call, ground, *unified),
        }
    }

    /// Takes a portion of the list below.
    fn portion(&mut self, call: &Call, ground: &Ground, unified: Unified) -> Result<Step> {
        let Unified { data, warnings, raw, rate, explained, .. } = unified;
        let Data::Page(page) = data else { return Err(Error::internal("a list came without a page")) };
        let Page { records, part, .. } = *page;
        let Part { next, taken, pages, .. } = part;
        self.pages += pages;
        self.rate = rate;
        let mut held = Vec::new();
        for (index, item) in records.items.iter().enumerate() {
            let json = records.json.get(item.start..item.end).unwrap_or_default();
            let record: Value = serde_json::from_slice(json).map_err(Error::internal)?;
            if self.split.filters.iter().all(|(meaning, wanted)| meaning.holds(&record, wanted)) {
                let key = self.split.sort.and_then(|(field, _)| sorted::key(&record, field));
                held.push((index, key));
            }
        }
        let room = self.limit - self.records.items.len();
        if self.split.sort.is_none()
            && let Some((last, _)) = held.get(room.saturating_sub(1))
            && held.len() > room
        {
            // Up to the record that fills the page, read again, the list below knows where it goes on.
            self.again += 1;
            let records = if self.again > 3 { room } else { last + 1 };
            return self.ask(ground, Reach { records, pages: self.left().max(1) });
        }
        self.again = 0;
        self.read += taken;
        let mut shown = HashSet::new();
        for (index, key) in held {
            let Some(item) = records.items.get(index) else { continue };
            let json = records.json.get(item.start..item.end).unwrap_or_default();
            let id = item.id.clone().unwrap_or_default();
            if self.split.sort.is_some() {
                self.kept.push(Kept { key, id: id.clone(), json: self.narrowed(json)? });
            } else {
                let json = self.narrowed(json)?;
                append(&mut self.records, &json, item.id.clone());
            }
            shown.insert(id);
        }
        self.raw.extend(raw);
        self.warnings.extend(
            warnings
                .into_iter()
                .filter(|warning| warning.record_id.as_ref().is_none_or(|id| shown.contains(id))),
        );
        if let Some(all) = &mut self.explained {
            all.extend(explained.into_iter().flatten().filter(|(id, _)| shown.contains(id)));
        }
        match (next, self.split.sort) {
            (None, None) => Ok(self.finish(call, ground, None, true)),
            (None, Some(_)) => self.sorted(call, ground),
            (Some(next), sort) if self.pages.saturating_add(self.at_once) <= self.budget => {
                if self.records.items.len() >= self.limit {
                    return Ok(self.finish(call, ground, Some(next), true));
                }
                self.at = next;
                let room = self.limit - self.records.items.len();
                let reach = reach(self.portion, room, self.left(), self.at_once, sort.is_some());
                self.ask(ground, reach)
            }
            (Some(next), None) => {
                let complete = self.records.items.len() >= self.limit;
                Ok(self.finish(call, ground, Some(next), complete))
            }
            (Some(_), Some(_)) => Err(self.too_large(call, ground)),
        }
    }

    fn left(&self) -> u32 {
        self.budget.saturating_sub(self.pages)
    }

    /// Asks for a portion from the present position on.
    fn ask(&mut self, ground: &Ground, reach: Reach) -> Result<Step> {
        let (below, step) = Below::start(&self.call, ground, &self.at, reach)?;
        self.below = below;
        Ok(step)
    }

    fn narrowed(&self, json: &[u8]) -> Result<Vec<u8>> {
        let Some(mask) = &self.narrow else { return Ok(json.to_vec()) };
        let mut out = Vec::with_capacity(json.len());
        let text = std::str::from_utf8(json).map_err(Error::internal)?;
        narrow(text, mask, &mut out).map_err(Error::internal)?;
        Ok(out)
    }

    /// The page of a list that the gateway has sorted.
    fn sorted(&mut self, call: &Call, ground: &Ground) -> Result<Step> {
        let Some((_, order)) = self.split.sort else { return Err(Error::internal("there is no sort")) };
        let descending = call.query.sort.as_ref().is_some_and(|sort| sort.descending);
        let mut kept = std::mem::take(&mut self.kept);
        sorted::sort(&mut kept, order, descending);
        let from = sorted::passed(&kept, &self.token.position, order, descending);
        let page = kept.get(from..).unwrap_or_default();
        for record in page.iter().take(self.limit) {
            append(&mut self.records, &record.json, Some(record.id.clone()));
        }
        let next = page.get(self.limit).and_then(|_| page.get(self.limit - 1)).map(sorted::behind);
        Ok(self.finish(call, ground, next, true))
    }

    fn too_large(&self, call: &Call, ground: &Ground) -> Error {
        let name = &ground.connector.manifest.name;
        let by = call.query.sort.as_ref().map(|sort| sort.by.as_str()).unwrap_or_default();
        let resource = call.operation.resource;
        let says = format!(
            "{name} cannot sort {resource} by {by}, and the list is larger than what one call may read to sort it here: {} pages. Filter it further.",
            self.budget
        );
        Error::new(Kind::UnsupportedSortFieldError, says)
            .detail(json!({ "unsupported": by, "budget_pages": self.budget, "records_read": self.read }))
    }

    fn finish(&mut self, call: &Call, ground: &Ground, next: Option<Position>, complete: bool) -> Step {
        let seal = |token: &Token| token.seal(&ground.cursor_key, &self.binding);
        let records = std::mem::take(&mut self.records);
        let mut explained = self.explained.take();
        if let (Some(all), Some(mask)) = (&mut explained, &self.narrow) {
            all.values_mut().for_each(|explanation| narrow_explanation(explanation, mask));
        }
        let shown: HashSet<&str> = records.items.iter().filter_map(|item| item.id.as_deref()).collect();
        self.warnings.retain(|warning| warning.record_id.as_deref().is_none_or(|id| shown.contains(id)));
        Step::Done(Box::new(Unified {
            data: Data::Page(Box::new(Page {
                total: None,
                current: seal(&self.token),
                next: next.map(|position| seal(&self.token.next(position))),
                previous: self.token.previous().map(|token| seal(&token)),
                records,
                part: Part::default(),
            })),
            warnings: std::mem::take(&mut self.warnings),
            raw: call.query.raw.then(|| raw::joined(std::mem::take(&mut self.raw))),
            rate: std::mem::take(&mut self.rate),
            explained,
            scanned: Some(Scanned {
                pages: self.pages,
                records_read: self.read,
                complete,
                filters: self.split.filters.iter().map(|(meaning, _)| meaning.name).collect(),
                sort: self.split.sort.and(call.query.sort.as_ref()).map(|sort| sort.by.clone()),
            }),
        }))
    }
}

impl Below {
    fn start(call: &Call, ground: &Ground, at: &Position, reach: Reach) -> Result<(Below, Step)> {
        if ground.resource(call)?.sources.is_empty() {
            let (list, step) = List::at(call, ground, at.clone(), reach.records, reach.pages)?;
            return Ok((Below::List(Box::new(list)), step));
        }
        let (merged, step) = Merged::at(call, ground, at.clone(), reach.records, reach.pages)?;
        Ok((Below::Merged(Box::new(merged)), step))
    }
}

/// How much to read: large portions while there are pages left to read one of them again, then what surely fits.
fn reach(portion: usize, room: usize, left: u32, at_once: u32, sorts: bool) -> Reach {
    if sorts {
        Reach { records: LARGEST_PORTION, pages: left }
    } else if left >= at_once.saturating_mul(2) {
        Reach { records: portion.max(room), pages: left / 2 }
    } else {
        Reach { records: room, pages: left.max(1) }
    }
}

/// How many records are well read at once: a page of the CRM's.
fn portion(call: &Call, ground: &Ground) -> Result<usize> {
    let resource = ground.resource(call)?;
    if !resource.sources.is_empty() {
        return Ok(USUAL_PORTION);
    }
    let way = super::way::choose(call, ground, resource)?;
    let Some(plan) = resource.list.get(way.index) else { return Ok(USUAL_PORTION) };
    // Records that are read one by one are not read in vain.
    if plan.hydrate.as_ref().is_some_and(|hydrate| hydrate.spec.batch < 20) {
        return Ok(1);
    }
    Ok(match &plan.spec.paging {
        Paging::Cursor { size, .. }
        | Paging::NextUrl { size, .. }
        | Paging::Page { size, .. }
        | Paging::Offset { size, .. }
        | Paging::Keyset { size, .. } => (size.max as usize).min(LARGEST_PORTION),
        Paging::Whole => LARGEST_PORTION,
    })
}

/// Adds a field to a mask, if it does not want it already.
fn widen(mask: &mut FieldMask, field: &str) {
    let (name, rest) = field.split_once('.').map_or((field, None), |(name, rest)| (name, Some(rest)));
    match (mask.fields.iter_mut().find(|(known, _)| known == name), rest) {
        (Some((_, below)), Some(rest)) if !below.is_all() => widen(below, rest),
        (Some((_, below)), None) => below.fields.clear(),
        (Some(_), Some(_)) => {}
        (None, rest) => {
            let mut below = FieldMask::default();
            rest.into_iter().for_each(|rest| widen(&mut below, rest));
            mask.fields.push((name.to_owned(), below));
        }
    }
}

/// Leaves what the caller did not want out of an explanation.
fn narrow_explanation(explanation: &mut Value, mask: &FieldMask) {
    let Some(fields) = explanation.get_mut("fields").and_then(Value::as_object_mut) else { return };
    let wanted = |place: &str| {
        let names = place.split('.').map(|name| name.split('[').next().unwrap_or(name));
        let mut mask = Some(mask);
        for name in names {
            mask = mask.and_then(|mask| if mask.is_all() { Some(mask) } else { mask.below(name) });
        }
        mask.is_some()
    };
    let unwanted: Vec<String> = fields.keys().filter(|place| !wanted(place)).cloned().collect();
    for place in unwanted {
        let root = place.split(['.', '[']).next().unwrap_or(&place).to_owned();
        fields.shift_remove(&place);
        if !wanted(&root) {
            fields.insert(root, not_asked_for());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_widened_by_what_it_lacks_only() {
        for (mask, field, wider) in [
            ("id", "name", "id,name"),
            ("id,emails.type", "emails.email", "id,emails.type,emails.email"),
            ("emails", "emails.email", "emails"),
            ("name", "name", "name"),
            ("emails.email", "emails.email", "emails.email"),
        ] {
            let mut widened = FieldMask::parse(mask);
            widen(&mut widened, field);
            assert_eq!(widened, FieldMask::parse(wider), "{mask} {field}");
        }
    }

    #[test]
    fn an_explanation_keeps_what_is_wanted() {
        let mut explanation =
            json!({"fields": {"id": {}, "name": {"path": "x"}, "emails[0].email": {}, "emails[0].type": {}}});
        narrow_explanation(&mut explanation, &FieldMask::parse("id,emails.type"));
        let fields: Vec<&String> = explanation["fields"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["id", "emails[0].type", "name"]);
        assert_eq!(explanation["fields"]["name"]["absent"], "not_asked_for");
    }

    #[test]
    fn a_portion_leaves_pages_to_read_it_again() {
        let row = |left| {
            let reach = reach(100, 20, left, 1, false);
            (reach.records, reach.pages)
        };
        assert_eq!([row(20), row(3), row(2), row(1)], [(100, 10), (100, 1), (100, 1), (20, 1)]);
    }
}
