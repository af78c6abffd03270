//! Lists: downstream pages are fetched, completed, mapped and cut until the page asked for is full.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ask::Asked;
use super::enrich::Round;
use super::ground::Ground;
use super::keyset::{self, Language, Row};
use super::paging::{self, Seen, Window};
use super::way::{self, Way};
use super::{Data, Step, Unified, ask, extras, pass_through};
use crate::connector::compile::{ListPlan, ResourcePlan};
use crate::connector::manifest::Paging;
use crate::connector::template::text_of;
use crate::cursor::{self, Binding, Keyset, Position, Token};
use crate::error::{Error, Kind, Result};
use crate::mapping::{Captured, Extras, Plucking, Reading, Records, Span, pluck, read_page};
use crate::model::{Call, Outcome, Reply, Request, Warning};
use crate::normalise::{classify, raw};

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
    stage: Stage,
    records: Records,
    total: Option<u64>,
    warnings: Vec<Warning>,
    raw: Option<raw::Replies>,
    rate: Vec<(&'static str, String)>,
    part_of: Option<PartOf>,
    part: Part,
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
            stage: Stage::Page(Window::default()),
            records: Records::default(),
            total: None,
            warnings: Vec::new(),
            raw: call.query.raw.then(raw::Replies::default),
            rate: Vec::new(),
            part_of,
            part: Part::default(),
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

    /// Asks for the page at the present position.
    fn ask_page(&mut self, call: &Call, ground: &Ground) -> Result<Step> {
        let resource = ground.resource(call)?;
        let plan = self.plan(resource)?;
        // One record more than wanted shows where the last group of equal keys ends.
        let cuts = matches!(plan.spec.paging, Paging::Keyset { .. }) && call.query.sort.is_some();
        let ahead = usize::from(cuts && self.part_of != Some(PartOf::Merge));
        let window = paging::window(&plan.spec.paging, &self.position, self.limit - self.consumed + ahead);
        let mut clauses = self.way.clauses.clone();
        let mut order = call
            .query
            .sort
            .as_ref()
            .and_then(|sort| plan.sorts.get(&sort.by).map(|plan| (plan.by.clone(), sort.descending)));
        if let (Some(language), Some(at)) = (language(plan), self.keyset_position(call)) {
            let sort =
                call.query.sort.as_ref().and_then(|sort| Some((plan.sorts.get(&sort.by)?, sort.descending)));
            let asked =
                keyset::ask(&at, sort, &language).map_err(|message| invalid_cursor(ground, message))?;
            clauses.extend(asked.clauses);
            order = Some((asked.sort, asked.descending));
        }
        let order = order.or_else(|| plan.spec.order.clone().map(|by| (by, false)));
        let directions = &plan.spec.directions;
        let clauses = match &plan.spec.clause_join {
            Some(join) => {
                let texts: Vec<String> = clauses.iter().filter_map(text_of).collect();
                (!texts.is_empty()).then(|| Value::from(texts.join(join)))
            }
            None => Some(Value::Array(clauses)),
        };
        let mut requests = Vec::with_capacity(self.asked.parts.len());
        for part in &self.asked.parts {
            let names = |name: &str| match name {
                "limit" if window.size != usize::MAX => Some(json!(window.size)),
                "cursor" => window.cursor.clone().map(Value::from),
                "page" => window.page.map(Value::from),
                "offset" => window.offset.map(Value::from),
                "properties" if plan.request.has_body() => Some(json!(part.names)),
                "properties" => Some(Value::from(part.text.as_str())).filter(|_| !part.text.is_empty()),
                "clauses" => clauses.clone(),
                "sort" => order.as_ref().map(|(by, _)| json!(by)),
                "direction" => order.as_ref().map(|(_, descending)| {
                    json!(if *descending { &directions.desc } else { &directions.asc })
                }),
                "parent" => call.parent.clone().map(Value::from),
                name => {
                    self.way.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
                }
            };
            let mut request = match (&plan.spec.paging, &window.cursor) {
                (Paging::NextUrl { .. }, Some(url)) => {
                    follow(ground, ground.request(&plan.request, &names)?, url)?
                }
                _ => ground.request(&plan.request, &names)?,
            };
            if !self.way.query.is_empty() {
                request.url.query_pairs_mut().extend_pairs(self.way.query.iter());
            }
            pass_through::query(call, &mut request);
            requests.push(request);
        }
        self.pages += 1;
        self.stage = Stage::Page(window);
        Ok(Step::Ask(requests))
    }

    fn keyset_position(&self, call: &Call) -> Option<Keyset> {
        match &self.position {
            Position::Keyset(at) => Some(at.clone()),
            Position::Start => Some(keyset::start(call.query.sort.is_some())),
            _ => None,
        }
    }

    /// Takes a page: completes it by further calls where the plan has them, or maps it.
    fn page(&mut self, window: Window, call: &Call, ground: &Ground, outcomes: Vec<Outcome>) -> Result<Step> {
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
        let mut fetched = Fetched { window, reply, extras, hydrated: None, rows: Vec::new() };
        let is_keyset = matches!(plan.spec.paging, Paging::Keyset { .. });
        if !is_keyset && plan.hydrate.is_none() && plan.enrich.is_empty() {
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

    /// The ids of the records of a page that will be taken.
    fn ids(&self, fetched: &Fetched) -> Vec<String> {
        let rows = fetched.rows.iter().skip(fetched.window.skip).take(self.limit - self.consumed);
        rows.filter_map(|(_, id)| id.clone()).collect()
    }

    fn hydrated(
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

    fn enrich(&mut self, fetched: Fetched, call: &Call, ground: &Ground) -> Result<Step> {
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
    fn map(&mut self, fetched: Fetched, call: &Call, ground: &Ground) -> Result<Step> {
        let resource = ground.resource(call)?;
        let plan = self.plan(resource)?;
        let Fetched { window, reply, extras, hydrated, rows } = fetched;
        let mut take = self.limit - self.consumed;
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
        let next = match plan.spec.paging {
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
        match next {
            // As a part of a longer list, values that follow are merged with those of others.
            Some(position @ Position::Keyset(Keyset::Values { .. }))
                if self.part_of == Some(PartOf::Sequence) =>
            {
                self.finish(call, ground, Some(position))
            }
            Some(position) if self.consumed < self.limit && self.pages < PAGES_PER_CALL => {
                self.position = position;
                self.ask_page(call, ground)
            }
            next => self.finish(call, ground, next),
        }
    }

    /// Maps records that a second call has read, in the order in which the first one found them.
    fn map_hydrated(
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

/// Whether the last key of the records' path stands in a reply at all.
fn names_records(plan: &ListPlan, body: &[u8]) -> bool {
    let path = plan.spec.records.as_deref().unwrap_or_default();
    let key = path.rsplit('.').next().unwrap_or(path);
    memchr::memmem::find(body, format!("\"{key}\"").as_bytes()).is_some()
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

fn language(plan: &ListPlan) -> Option<Language<'_>> {
    let (Paging::Keyset { id_name, ops, .. }, Some((clause, bare_clause))) =
        (&plan.spec.paging, &plan.keyset)
    else {
        return None;
    };
    Some(Language { id_name, clause, bare_clause, ops })
}

/// The position that a call's cursor names.
pub(super) fn open(call: &Call, ground: &Ground, binding: &Binding) -> Result<Token> {
    match &call.query.cursor {
        None => Ok(Token::start()),
        Some(text) => {
            Token::open(text, &ground.cursor_key, binding).map_err(|fault| invalid_cursor(ground, fault))
        }
    }
}

/// What the cursors of a list belong to: whose, which operation, which query; not how many records or fields are wanted.
pub(super) fn binding(call: &Call, ground: &Ground) -> Binding {
    let connection = &ground.connection;
    let mut filter: Vec<String> =
        call.query.filter.iter().map(|(name, value)| format!("{name}={value}")).collect();
    filter.sort();
    filter.extend(call.query.pass_through.iter().map(|(name, value)| format!("?{name}={value}")));
    let sort =
        call.query.sort.as_ref().map_or(String::new(), |sort| format!("{} {}", sort.by, sort.descending));
    Binding::new(&[
        connection.app.as_str(),
        connection.consumer.as_str(),
        connection.service.as_str(),
        connection.id.as_str(),
        &call.operation.to_string(),
        call.parent.as_deref().unwrap_or(""),
        &json!(filter).to_string(),
        &sort,
    ])
}

fn invalid_cursor(ground: &Ground, fault: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidCursorError, format!("The cursor cannot be used with this call: {fault}."))
        .detail(json!({ "reason": fault.to_string(), "service": ground.connection.service.as_str() }))
}

/// The request for a next page whose URL the CRM has given: its path and query, never another host.
fn follow(ground: &Ground, mut request: Request, next: &str) -> Result<Request> {
    let url = ground.base.join(next).map_err(|fault| cursor_url(&fault.to_string()))?;
    if url.host() != ground.base.host()
        && !ground.connector.manifest.base_url.is_empty()
        && url.host_str() != ground.base.host_str()
    {
        return Err(cursor_url("it leads to another host"));
    }
    request.url.set_path(url.path());
    request.url.set_query(url.query());
    Ok(request)
}

fn cursor_url(reason: &str) -> Error {
    Error::new(Kind::ConnectorExecutionError, format!("The CRM's next page cannot be followed: {reason}."))
}

impl From<cursor::Error> for Error {
    fn from(fault: cursor::Error) -> Error {
        Error::new(Kind::InvalidCursorError, fault.to_string())
    }
}
