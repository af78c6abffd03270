//! Associations of a record: what is there is read, what is missing added, what is no longer meant removed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Ground;
use crate::connector::compile::LinkPlan;
use crate::connector::dig::{dig, dig_text};
use crate::error::{Error, Result};
use crate::mapping::Link;
use crate::model::{Call, Outcome, Request};
use crate::normalise::classify;

/// Associations on their way to what is meant.
#[derive(Debug)]
pub struct Links {
    meant: Vec<Link>,
    stage: Stage,
}

#[derive(Debug, PartialEq)]
enum Stage {
    Present,
    Changes,
}

impl Links {
    /// The requests that read what is there; none where nothing is meant to change.
    ///
    /// # Errors
    /// If the mapping names an association that the manifest does not.
    pub fn start(meant: Vec<Link>, id: &str, call: &Call, ground: &Ground) -> Result<(Links, Vec<Request>)> {
        let requests = meant
            .iter()
            .map(|link| ground.request(&plan(link, call, ground)?.current, &names(id, None)))
            .collect::<Result<Vec<Request>>>()?;
        Ok((Links { meant, stage: Stage::Present }, requests))
    }

    /// Takes the replies; the next requests, or none once all is as meant.
    ///
    /// # Errors
    /// If what is there could not be read, or a change was refused.
    pub fn feed(
        &mut self,
        id: &str,
        call: &Call,
        ground: &Ground,
        outcomes: Vec<Outcome>,
    ) -> Result<Vec<Request>> {
        if self.stage == Stage::Changes {
            for outcome in outcomes {
                classify::record(&ground.connector, call, outcome)?;
            }
            return Ok(Vec::new());
        }
        self.stage = Stage::Changes;
        let mut requests = Vec::new();
        for (link, outcome) in self.meant.iter().zip(outcomes) {
            let plan = plan(link, call, ground)?;
            let reply = classify::record(&ground.connector, call, outcome)?;
            let body: Value = serde_json::from_slice(&reply.body)
                .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
            let present = Present::read(plan, &body);
            let meant: BTreeSet<&str> = link.ids.iter().map(String::as_str).collect();
            for to in present.stale(plan, &meant) {
                requests.push(ground.request(&plan.remove, &names(id, Some(to)))?);
            }
            for to in meant.iter().filter(|to| !present.holds(plan, to)) {
                requests.push(ground.request(&plan.add, &names(id, Some(to)))?);
            }
        }
        Ok(requests)
    }
}

/// What is there.
struct Present {
    all: Vec<String>,
    shown: Option<String>,
}

impl Present {
    fn read(plan: &LinkPlan, body: &Value) -> Present {
        let current = &plan.spec.current;
        let entries =
            dig(body, &current.records).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let id = |entry: &Value| dig_text(entry, &current.id);
        let all: Vec<String> = entries.iter().filter_map(id).collect();
        let marked = current
            .shown
            .as_ref()
            .and_then(|path| entries.iter().find(|entry| dig(entry, path).is_some()).and_then(id));
        let shown = marked.or_else(|| all.first().cloned());
        Present { all, shown }
    }

    /// What is to go: of a single association only the one that is shown, and only if nothing takes its place.
    fn stale<'a>(&'a self, plan: &LinkPlan, meant: &BTreeSet<&str>) -> Vec<&'a str> {
        if plan.spec.single {
            return self.shown.as_deref().filter(|_| meant.is_empty()).into_iter().collect();
        }
        let unique: BTreeSet<&str> = self.all.iter().map(String::as_str).collect();
        unique.into_iter().filter(|to| !meant.contains(to)).collect()
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

fn names<'a>(id: &'a str, to: Option<&'a str>) -> impl Fn(&str) -> Option<Value> + 'a {
    move |name: &str| match name {
        "id" => Some(json!(id)),
        "to" => to.map(|to| json!(to)),
        _ => None,
    }
}
