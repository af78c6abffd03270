//! What becomes of a downstream page: further calls complete it, then it is mapped.

use serde_json::json;

use super::cursor::invalid_cursor;
use super::{Fetched, List, PartOf, Stage, append};
use crate::connector::compile::{ListPlan, ResourcePlan};
use crate::connector::manifest::Paging;
use crate::cursor::{Keyset, Position};
use crate::error::{Error, Result};
use crate::mapping::{Extras, Plucking, Reading, Records, Span, pluck, read_page};
use crate::model::{Call, Format, Outcome, Reply, Request};
use crate::normalise::classify;
use crate::plan::anchored::{self, Search};
use crate::plan::enrich::Round;
use crate::plan::explain::{Sent, explain};
use crate::plan::ground::Ground;
use crate::plan::keyset::Row;
use crate::plan::paging::{Seen, Window};
use crate::plan::{Step, extras, keyset, paging};

impl List {
    /// Takes a page: completes it by further calls where the plan has them, or maps it.
    pub(super) fn page(
        &mut self,
        window: Window,
        call: &Call,
        ground: &Ground,
        outcomes: Vec<Outcome>,
    ) -> Result<Step> {
        self.keep_raw(&outcomes);
        let resource = ground.resource(call)?;
        let plan = self.plan(resource)?;
        let mut replies = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            match classify::list(&ground.connector, call, outcome)? {
                Some(reply) => replies.push(reply),
                None => return self.finish(call, ground, None),
            }
        }
        let mut replies = replies.into_iter();
        let Some(reply) = replies.next() else { return Err(Error::internal("a page came without a reply")) };
        self.rate = classify::rate(&ground.connector, &reply);
        let mut extras = Extras::default();
        let id_path = resource.id_path.as_str();
        for chunk in replies {
            extras::chunk(&mut extras, plan.spec.records.as_deref(), id_path, &chunk.body)
                .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
        }
        let mut fetched = Fetched {
            window,
            reply,
            extras,
            hydrated: None,
            rows: Vec::new(),
            failed: Vec::new(),
            free: None,
        };
        if resource.goes_on_inline() {
            let records = plan.spec.records.as_deref();
            let unfinished = extras::unfinished(records, id_path, &fetched.reply.body, 1)
                .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
            let mut round = Round::default();
            let fields = call.query.fields.as_ref();
            let requests = round.complete(&resource.enrich, &unfinished, fields, ground)?;
            if !requests.is_empty() {
                self.stage = Stage::Enrich(fetched, round);
                return Ok(Step::Ask(requests));
            }
        }
        let is_keyset = matches!(plan.spec.paging, Paging::Keyset { .. });
        let anchored = matches!(plan.spec.paging, Paging::Offset { anchored: true, .. });
        if !is_keyset && !anchored && plan.hydrate.is_none() && plan.enrich.is_empty() {
            return self.map(fetched, call, ground);
        }
        let id_path = plan.hydrate.as_ref().map_or(id_path, |hydrate| hydrate.spec.id.as_str());
        let key_path = call
            .query
            .sort
            .as_ref()
            .and_then(|sort| plan.sorts.get(&sort.by))
            .and_then(|sort| sort.path.as_deref());
        let paths: Vec<&str> = std::iter::once(id_path).chain(key_path).collect();
        let plucking = Plucking::compile(&paths).map_err(Error::internal)?;
        let (rows, _) = pluck(&plan.frame, &plucking, &fetched.reply.body)
            .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
        fetched.rows = rows
            .into_iter()
            .map(|row| {
                let mut row = row.into_iter();
                let id = row.next().flatten();
                (row.next().flatten(), id)
            })
            .collect();
        if anchored {
            match self.find_place(&mut fetched, ground) {
                Ok(()) => {}
                Err(Some(error)) => return Err(error),
                Err(None) => return self.ask_page(call, ground),
            }
        }
        if let Some(hydrate) = &plan.hydrate {
            let wanted: Vec<String> = self.ids(&fetched);
            if !wanted.is_empty() {
                let requests = wanted
                    .chunks(hydrate.spec.batch.max(1))
                    .map(|ids| {
                        ground.request(&hydrate.request, &|name: &str| (name == "ids").then(|| json!(ids)))
                    })
                    .collect::<Result<Vec<Request>>>()?;
                self.stage = Stage::Hydrate(fetched);
                return Ok(Step::Ask(requests));
            }
        }
        self.enrich(fetched, call, ground)
    }

    /// Finds where the records that were not delivered before begin on a page of an anchored list. Without place, another
    /// window is to be asked for, or, with an error, there is none left.
    fn find_place(
        &mut self,
        fetched: &mut Fetched,
        ground: &Ground,
    ) -> std::result::Result<(), Option<Error>> {
        let (at, seen) = match &self.position {
            Position::Anchored { at, seen } => (*at, seen.clone()),
            _ => (0, Vec::new()),
        };
        if let Some((skip, free)) = anchored::place(&fetched.rows, &seen) {
            fetched.window.skip = skip;
            fetched.free = Some(free);
            self.search = None;
            return Ok(());
        }
        let from = fetched.window.offset.unwrap_or(0);
        let to = from + fetched.rows.len() as u64;
        let ended = fetched.rows.len() < fetched.window.size;
        let search = self.search.get_or_insert_with(|| Search::new(from, to, ended));
        search.saw(from, to, ended);
        match search.next(fetched.window.size as u64) {
            Some(start) if self.pages < self.pages_at_most => {
                // A window begins one record before its position.
                self.position = Position::Anchored { at: start + u64::from(start > 0), seen };
                Err(None)
            }
            _ => {
                let lost = format!("none of the {} records before {at} is in the list any more", seen.len());
                Err(Some(invalid_cursor(ground, lost)))
            }
        }
    }

    /// The ids of the records of a page that will be taken.
    pub(super) fn ids(&self, fetched: &Fetched) -> Vec<String> {
        let rows = fetched.rows.iter().skip(fetched.window.skip).take(self.limit - self.consumed);
        rows.filter_map(|(_, id)| id.clone()).collect()
    }

    pub(super) fn hydrated(
        &mut self,
        mut fetched: Fetched,
        call: &Call,
        ground: &Ground,
        outcomes: Vec<Outcome>,
    ) -> Result<Step> {
        self.keep_raw(&outcomes);
        let replies: Vec<Option<Reply>> = outcomes
            .into_iter()
            .map(|outcome| classify::list(&ground.connector, call, outcome))
            .collect::<Result<_>>()?;
        fetched.hydrated = Some(replies.into_iter().flatten().collect());
        self.enrich(fetched, call, ground)
    }

    pub(super) fn enrich(&mut self, fetched: Fetched, call: &Call, ground: &Ground) -> Result<Step> {
        let resource = ground.resource(call)?;
        let plan = self.plan(resource)?;
        let mut round = Round::default();
        let ids = self.ids(&fetched);
        if !ids.is_empty() {
            let requests = round.start(&plan.enrich, &ids, call.query.fields.as_ref(), ground)?;
            if !requests.is_empty() {
                self.stage = Stage::Enrich(fetched, round);
                return Ok(Step::Ask(requests));
            }
        }
        self.map(fetched, call, ground)
    }

    /// Maps a completed page and goes on, or ends.
    pub(super) fn map(&mut self, fetched: Fetched, call: &Call, ground: &Ground) -> Result<Step> {
        let resource = ground.resource(call)?;
        let plan = self.plan(resource)?;
        let Fetched { window, reply, extras, hydrated, rows, failed, free } = fetched;
        let mut take = (self.limit - self.consumed).min(free.unwrap_or(usize::MAX));
        let mut keyset_next = None;
        if let Paging::Keyset { .. } = plan.spec.paging
            && let Some(at) = self.keyset_position(call)
        {
            (take, keyset_next) = keyset::advance(&at, &rows, window.size, take);
        }
        if self.part_of == Some(PartOf::Merge) {
            take = rows.len();
        }
        let reading = Reading {
            fields: call.query.fields.as_ref(),
            definitions: ground.definitions.as_deref(),
            custom_mappings: ground.custom_mappings.as_deref(),
            currency: ground.setting("currency"),
            timezone: ground.setting("timezone"),
            extras: Some(&extras).filter(|extras| !extras.is_empty()),
            skip: window.skip,
            take,
        };
        // Unified records are about as long as the CRM's: room for all of them at once.
        self.records.json.reserve(reply.body.len());
        let before = self.records.seen;
        let malformed =
            |fault: crate::mapping::Malformed| classify::malformed(&ground.connector, &fault.to_string());
        let captured = match (&hydrated, &plan.hydrate) {
            (Some(replies), Some(hydrate)) => {
                self.map_hydrated(replies, hydrate, &rows, resource, &reading).map_err(malformed)?;
                let nothing = Plucking::compile(&[]).map_err(Error::internal)?;
                pluck(&plan.frame, &nothing, &reply.body).map_err(malformed)?.1
            }
            _ => read_page(&resource.mapping, &plan.frame, &reply.body, &reading, &mut self.records)
                .map_err(malformed)?,
        };
        if let Some(explained) = &mut self.explained {
            let main = plan.hydrate.as_ref().map_or(&plan.request, |hydrate| &hydrate.request).step();
            let sent = Sent { main, enrich: &plan.enrich, failed: &failed, asked: &self.asked };
            match (&hydrated, &plan.hydrate) {
                (Some(replies), Some(hydrate)) => {
                    let whole = Reading { skip: 0, take: usize::MAX, ..reading };
                    for reply in replies {
                        explain(explained, resource, &hydrate.frame, &reply.body, &whole, sent)
                            .map_err(malformed)?;
                    }
                }
                _ => explain(explained, resource, &plan.frame, &reply.body, &reading, sent)
                    .map_err(malformed)?,
            }
        }
        // Some CRMs say null for an empty list; a reply that lacks its place altogether is none that was asked for.
        if !self.records.found && hydrated.is_none() && !names_records(plan, &reply.body) {
            return Err(classify::malformed(&ground.connector, "the reply has no place for records"));
        }
        let seen = if hydrated.is_some() { rows.len() } else { self.records.seen - before };
        let taken = seen.saturating_sub(window.skip).min(take);
        self.consumed += taken;
        self.note_total(plan, &captured);
        if self.part_of == Some(PartOf::Merge) {
            self.part.full = rows.len() >= window.size;
            self.part.rows = rows;
            return self.finish(call, ground, None);
        }
        let next = match &plan.spec.paging {
            Paging::Keyset { .. } => keyset_next.map(Position::Keyset),
            _ => paging::advance(
                &plan.spec.paging,
                &window,
                &Seen {
                    records: seen,
                    taken,
                    captured: Some(&captured),
                    next: &plan.next,
                    headers: &reply.headers,
                },
            ),
        };
        let next = match (next, &plan.spec.paging) {
            (Some(Position::Offset(_)), Paging::Offset { anchored: true, .. }) => {
                let seen = match &self.position {
                    Position::Anchored { seen, .. } => seen.as_slice(),
                    _ => &[],
                };
                let delivered = rows.iter().skip(window.skip).take(taken);
                Some(Position::Anchored {
                    at: window.offset.unwrap_or(0) + (window.skip + taken) as u64,
                    seen: anchored::after(seen, delivered),
                })
            }
            (next, _) => next,
        };
        match next {
            // As a part of a longer list, values that follow are merged with those of others.
            Some(position @ Position::Keyset(Keyset::Values { .. }))
                if self.part_of == Some(PartOf::Sequence) =>
            {
                self.finish(call, ground, Some(position))
            }
            Some(position) if self.goes_on(call) => {
                self.position = position;
                self.ask_page(call, ground)
            }
            next => self.finish(call, ground, next),
        }
    }

    /// Whether another downstream page is read before this one is handed out. A stream hands out each as it comes.
    fn goes_on(&self, call: &Call) -> bool {
        let streamed = call.query.format != Format::Json && self.consumed > 0;
        self.consumed < self.limit && self.pages < self.pages_at_most && !streamed
    }

    /// Maps records that a second call has read, in the order in which the first one found them.
    pub(super) fn map_hydrated(
        &mut self,
        replies: &[Reply],
        hydrate: &crate::connector::compile::HydratePlan,
        rows: &[Row],
        resource: &ResourcePlan,
        reading: &Reading<'_>,
    ) -> std::result::Result<(), crate::mapping::Malformed> {
        let mut found = Records::default();
        for reply in replies {
            let whole = Reading { skip: 0, take: usize::MAX, ..*reading };
            read_page(&resource.mapping, &hydrate.frame, &reply.body, &whole, &mut found)?;
        }
        for (_, id) in rows.iter().skip(reading.skip).take(reading.take) {
            let prefix = resource.mapping.id_prefix();
            let same = |item: &&Span| {
                id.is_some() && item.id.as_deref().and_then(|id| id.strip_prefix(prefix)) == id.as_deref()
            };
            let item = found.items.iter().find(same);
            if let Some((item, json)) =
                item.and_then(|item| Some((item, found.json.get(item.start..item.end)?)))
            {
                append(&mut self.records, json, item.id.clone());
            }
        }
        self.records.problems.append(&mut found.problems);
        Ok(())
    }
}

/// Whether the last key of the records' path stands in a reply at all.
fn names_records(plan: &ListPlan, body: &[u8]) -> bool {
    let path = plan.spec.records.as_deref().unwrap_or_default();
    let key = path.rsplit('.').next().unwrap_or(path);
    memchr::memmem::find(body, format!("\"{key}\"").as_bytes()).is_some()
}
