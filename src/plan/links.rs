//! Associations of a record: what is there is read, what is missing added, then what is no longer meant removed. In this
//! order, so that a record that needs an association is never without one, and a failure leaves too many, never none.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Ground;
use super::steps::Steps;
use crate::connector::compile::LinkPlan;
use crate::connector::dig::{dig, dig_text};
use crate::connector::manifest::Current;
use crate::error::{Error, Kind, Result};
use crate::mapping::Link;
use crate::model::{Call, Outcome, Request, Warning};
use crate::normalise::classify;

/// Pages of one record's present associations read at the most.
const MOST_PAGES: usize = 20;

/// Associations on their way to what is meant.
#[derive(Debug)]
pub struct Links {
    meant: Vec<Meant>,
    stage: Stage,
}

/// What one association is to be, and what is known of what it is.
#[derive(Debug)]
struct Meant {
    link: Link,
    entries: Vec<Value>,
    pages: usize,
    /// Whether it has failed and is optional.
    given_up: bool,
}

#[derive(Debug)]
enum Stage {
    /// The replies to come are pages of these.
    Present(Vec<usize>),
    /// The replies to come are those of additions to these; then these are removed.
    Add(Vec<usize>, Vec<(usize, Request)>),
    /// The replies to come are those of removals from these.
    Remove(Vec<usize>),
}

impl Links {
    /// The requests that read what is there; none where nothing is meant to change.
    ///
    /// # Errors
    /// If the mapping names an association that the manifest does not, or an id is none of this CRM.
    pub fn start(
        meant: Vec<Link>,
        id: &str,
        call: &Call,
        ground: &Ground,
        steps: &mut Steps,
    ) -> Result<(Links, Vec<Request>)> {
        let mut requests = Vec::with_capacity(meant.len());
        for link in &meant {
            requests.push(steps.request(
                ground,
                &plan(link, call, ground)?.current,
                &names(id, None, None),
            )?);
        }
        let stage = Stage::Present((0..meant.len()).collect());
        let meant =
            meant.into_iter().map(|link| Meant { link, entries: Vec::new(), pages: 0, given_up: false });
        Ok((Links { meant: meant.collect(), stage }, requests))
    }

    /// Takes the replies; the next requests, or none once all is as meant.
    ///
    /// # Errors
    /// If what is there could not be read, or a change was refused, of an association that is required.
    pub fn feed(
        &mut self,
        id: &str,
        call: &Call,
        ground: &Ground,
        outcomes: Vec<Outcome>,
        steps: &mut Steps,
    ) -> Result<Vec<Request>> {
        match std::mem::replace(&mut self.stage, Stage::Remove(Vec::new())) {
            Stage::Present(asked) => self.present(asked, id, call, ground, outcomes, steps),
            Stage::Add(asked, removals) => {
                self.changed(&asked, call, ground, outcomes, steps)?;
                let kept =
                    |(of, _): &(usize, Request)| self.meant.get(*of).is_some_and(|meant| !meant.given_up);
                let (of, requests) = removals.into_iter().filter(kept).unzip();
                self.stage = Stage::Remove(of);
                Ok(requests)
            }
            Stage::Remove(asked) => {
                self.changed(&asked, call, ground, outcomes, steps)?;
                Ok(Vec::new())
            }
        }
    }

    fn present(
        &mut self,
        asked: Vec<usize>,
        id: &str,
        call: &Call,
        ground: &Ground,
        outcomes: Vec<Outcome>,
        steps: &mut Steps,
    ) -> Result<Vec<Request>> {
        let (mut more, mut requests) = (Vec::new(), Vec::new());
        for (of, outcome) in asked.into_iter().zip(outcomes) {
            let Some(meant) = self.meant.get_mut(of) else { continue };
            let plan = plan(&meant.link, call, ground)?;
            let page = classify::record(&ground.connector, call, outcome)
                .and_then(|reply| page(&plan.spec.current, &reply.body, ground));
            match page {
                Ok((entries, next)) => {
                    meant.entries.extend(entries);
                    meant.pages += 1;
                    if let Some(cursor) = next {
                        if meant.pages >= MOST_PAGES {
                            return Err(too_many(ground, &meant.link.name));
                        }
                        requests.push(steps.request(
                            ground,
                            &plan.current,
                            &names(id, None, Some(&cursor)),
                        )?);
                        more.push(of);
                    }
                }
                Err(error) if !plan.spec.required => {
                    steps.warn(&plan.current, &error, "the association was not changed");
                    meant.given_up = true;
                }
                Err(error) => return Err(error),
            }
        }
        if !more.is_empty() {
            self.stage = Stage::Present(more);
            return Ok(requests);
        }
        self.changes(id, call, ground, steps)
    }

    /// The additions; without any, the removals.
    fn changes(&mut self, id: &str, call: &Call, ground: &Ground, steps: &mut Steps) -> Result<Vec<Request>> {
        let (mut added, mut additions, mut removals) = (Vec::new(), Vec::new(), Vec::new());
        for (of, meant) in self.meant.iter().enumerate().filter(|(_, meant)| !meant.given_up) {
            let plan = plan(&meant.link, call, ground)?;
            let present = Present::read(plan, &meant.entries);
            let ids: BTreeSet<&str> = meant.link.ids.iter().map(String::as_str).collect();
            for to in ids.iter().filter(|to| !present.holds(plan, to)) {
                additions.push(steps.request(ground, &plan.add, &names(id, Some(to), None))?);
                added.push(of);
            }
            for to in present.stale(plan, &meant.link, &ids) {
                removals.push((of, steps.request(ground, &plan.remove, &names(id, Some(to), None))?));
            }
            if let Some(others) = present.others(plan, &meant.link, &ids) {
                let message = format!(
                    "the record stays associated with {others} more; the field shows one of them, perhaps not the one written"
                );
                steps
                    .warnings
                    .push(Warning::new("AssociationWarning", message).operation(plan.add.step().to_string()));
            }
        }
        if additions.is_empty() {
            let (of, requests) = removals.into_iter().unzip();
            self.stage = Stage::Remove(of);
            return Ok(requests);
        }
        self.stage = Stage::Add(added, removals);
        Ok(additions)
    }

    fn changed(
        &mut self,
        asked: &[usize],
        call: &Call,
        ground: &Ground,
        outcomes: Vec<Outcome>,
        steps: &mut Steps,
    ) -> Result<()> {
        let mut failed = None;
        for (of, outcome) in asked.iter().zip(outcomes) {
            let Some(meant) = self.meant.get_mut(*of) else { continue };
            let plan = plan(&meant.link, call, ground)?;
            match classify::record(&ground.connector, call, outcome) {
                Ok(_) => steps.written = true,
                Err(error) if !plan.spec.required => {
                    steps.warn(&plan.add, &error, "the association may not be as meant");
                    meant.given_up = true;
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// The entries of a page of what belongs to a record, and the next page's cursor.
pub(super) fn page(current: &Current, body: &[u8], ground: &Ground) -> Result<(Vec<Value>, Option<String>)> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
    let next = current.next.as_ref().and_then(|path| dig_text(&body, path)).filter(|next| !next.is_empty());
    let entries = dig(&body, &current.records).and_then(Value::as_array).cloned().unwrap_or_default();
    Ok((entries, next))
}

/// Reading goes on for too long.
pub(super) fn too_many(ground: &Ground, what: &str) -> Error {
    let name = &ground.connector.manifest.name;
    Error::new(
        Kind::ConnectorExecutionError,
        format!("{name} has more of `{what}` here than can be changed in one call."),
    )
    .detail(json!({ "pages": MOST_PAGES }))
}

/// What is there.
struct Present {
    all: Vec<String>,
    shown: Option<String>,
}

impl Present {
    fn read(plan: &LinkPlan, entries: &[Value]) -> Present {
        let current = &plan.spec.current;
        let id = |entry: &Value| dig_text(entry, &current.id);
        let mut all: Vec<String> = Vec::new();
        for id in entries.iter().filter_map(id) {
            if !all.contains(&id) {
                all.push(id);
            }
        }
        let marked = current
            .shown
            .as_ref()
            .and_then(|path| entries.iter().find(|entry| dig(entry, path).is_some()).and_then(id));
        let shown = marked.or_else(|| all.first().cloned());
        Present { all, shown }
    }

    /// What is to go. Of an association that a field shows one of, only that one: the CRM's own single one goes by itself
    /// when another takes its place.
    fn stale<'a>(&'a self, plan: &LinkPlan, link: &Link, meant: &BTreeSet<&str>) -> Vec<&'a str> {
        let shown = || self.shown.as_deref().filter(|shown| !meant.contains(shown)).into_iter().collect();
        match (plan.spec.single, link.whole) {
            (true, _) if !meant.is_empty() => Vec::new(),
            (true, _) | (false, false) => shown(),
            (false, true) => self.all.iter().map(String::as_str).filter(|to| !meant.contains(to)).collect(),
        }
    }

    /// How many stay that the body does not name, where that may hide what it names.
    fn others(&self, plan: &LinkPlan, link: &Link, meant: &BTreeSet<&str>) -> Option<usize> {
        if plan.spec.single || link.whole {
            return None;
        }
        let stay = |to: &&String| Some(*to) != self.shown.as_ref() && !meant.contains(to.as_str());
        let others = self.all.iter().filter(stay).count();
        (others > 0).then_some(others)
    }

    fn holds(&self, plan: &LinkPlan, to: &str) -> bool {
        if plan.spec.single {
            self.shown.as_deref() == Some(to)
        } else {
            self.all.iter().any(|known| known == to)
        }
    }
}

fn plan<'a>(link: &Link, call: &Call, ground: &'a Ground) -> Result<&'a LinkPlan> {
    ground.resource(call)?.links.get(&link.name).ok_or_else(|| {
        Error::internal(format!(
            "the mapping of {} links `{}`, the manifest does not",
            call.operation.resource, link.name
        ))
    })
}

fn names<'a>(
    id: &'a str,
    to: Option<&'a str>,
    cursor: Option<&'a str>,
) -> impl Fn(&str) -> Option<Value> + 'a {
    move |name: &str| match name {
        "id" => Some(json!(id)),
        "to" => to.map(|to| json!(to)),
        "cursor" => cursor.map(|cursor| json!(cursor)),
        _ => None,
    }
}
