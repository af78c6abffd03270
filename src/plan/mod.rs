//! Room 4, plan. In: a checked [`Call`] and the [`Ground`] it stands on. Out: batches of downstream requests, and, once
//! their replies are fed back, an [`Outcome`](Unified). Never: sockets, clock, logs, files, secrets.
//!
//! A plan is a machine: [`Plan::start`] gives the first batch, [`Plan::feed`] takes its replies and gives the next batch
//! or the result. Fan-out, the choice between ways to list, vendor windows and enrichment are therefore plain code that
//! tests run without a socket.
//!
//! Reading order: [`ground`] what a plan stands on · [`way`] which way to list · [`list`] pages · [`paging`] and
//! [`keyset`] and [`anchored`] where the next page begins · [`ask`] which properties are asked for · [`enrich`] follow-up reads, into [`extras`] ·
//! [`explain`] where fields came from ·
//! [`source`] and [`merged`] several objects that are one resource · [`scan`] what the CRM cannot filter or sort ·
//! [`one`] · [`mod@write`] · [`probe`] what an earlier try has made · [`rehearse`] dry runs · [`links`] associations · [`parts`] lists that are records of
//! their own · [`steps`] · [`pass_through`] · [`discover`] · [`sign`].

pub mod anchored;
pub mod ask;
pub mod discover;
pub mod enrich;
pub mod explain;
pub mod extras;
pub mod ground;
pub mod keyset;
pub mod links;
pub mod list;
pub mod merged;
pub mod one;
pub mod paging;
pub mod parts;
pub mod pass_through;
pub mod probe;
pub mod rehearse;
pub mod scan;
pub mod sign;
pub mod source;
pub mod steps;
pub mod way;
pub mod write;

use serde_json::Value;

use crate::connector::compile::ResourcePlan;
use crate::error::{Error, Kind, Result};
use crate::model::{Call, Outcome, Request, Resource, Verb, Warning};

pub use ground::Ground;

/// What a plan wants next.
#[derive(Debug)]
pub enum Step {
    /// Replies to these, in this order.
    Ask(Vec<Request>),
    /// Nothing: this is the result.
    Done(Box<Unified>),
}

/// The result of a plan, in the unified shape.
#[derive(Debug)]
pub struct Unified {
    /// The data.
    pub data: Data,
    /// What went wrong without spoiling the answer.
    pub warnings: Vec<Warning>,
    /// The downstream replies, where they were asked for.
    pub raw: Option<Value>,
    /// What the CRM said about its rate limit, as headers for the caller.
    pub rate: Vec<(&'static str, String)>,
    /// Where the records' fields came from, where it was asked for.
    pub explained: Option<explain::Explanations>,
    /// What the gateway filtered or sorted, where it did.
    pub scanned: Option<scan::Scanned>,
}

/// The data of a result.
#[derive(Debug)]
pub enum Data {
    /// A page.
    Page(Box<list::Page>),
    /// One record, as JSON.
    Record(Vec<u8>),
    /// The id of what was written.
    Id(String),
    /// The requests that a dry run did not send.
    Requests(Value),
}

/// The machine for one call.
#[derive(Debug)]
pub enum Plan {
    /// Reads a page.
    List(Box<list::List>),
    /// Reads one record.
    One(Box<one::One>),
    /// Creates, updates or deletes.
    Write(Box<write::Write>),
    /// Any of these on one of the several objects that are the call's resource.
    Source(Box<source::Source>),
    /// Reads a page of all of them.
    Merged(Box<merged::Merged>),
    /// Reads a page of a list that the CRM cannot filter or sort as asked.
    Scan(Box<scan::Scan>),
}

impl Plan {
    /// The machine for a call, and its first batch.
    ///
    /// # Errors
    /// If the connector cannot do what is asked, or the call does not fit it.
    pub fn start(call: &Call, ground: &Ground) -> Result<(Plan, Step)> {
        let operation = call.operation;
        let name = &ground.connector.manifest.name;
        if !ground.connector.resources.contains_key(&operation.resource) {
            return Err(Error::new(
                Kind::ConnectorMappingNotFoundError,
                format!("{name} has no mapping for {}.", operation.resource),
            ));
        }
        let resource = ground.resource(call)?;
        if !resource.spec.can(operation.verb) {
            let can: Vec<&str> =
                Verb::ALL.into_iter().filter(|verb| resource.spec.can(*verb)).map(Verb::name).collect();
            return Err(Error::new(
                Kind::ConnectorOperationUnsupportedError,
                format!("{name} cannot {} {}.", operation.verb, operation.resource),
            )
            .detail(serde_json::json!({ "operation": operation.to_string(), "supported": can })));
        }
        known_ids(call, ground, resource)?;
        if operation.verb == Verb::List
            && call.query.scan
            && let Some((plan, step)) = scan::Scan::start(call, ground)?
        {
            return Ok((Plan::Scan(Box::new(plan)), step));
        }
        if !resource.sources.is_empty() {
            return match operation.verb {
                Verb::List => merged::Merged::start(call, ground)
                    .map(|(plan, step)| (Plan::Merged(Box::new(plan)), step)),
                _ => source::Source::start(call, ground)
                    .map(|(plan, step)| (Plan::Source(Box::new(plan)), step)),
            };
        }
        match operation.verb {
            Verb::List => {
                list::List::start(call, ground).map(|(plan, step)| (Plan::List(Box::new(plan)), step))
            }
            Verb::One => one::One::start(call, ground).map(|(plan, step)| (Plan::One(Box::new(plan)), step)),
            Verb::Create | Verb::Update | Verb::Delete => {
                write::Write::start(call, ground).map(|(plan, step)| (Plan::Write(Box::new(plan)), step))
            }
        }
    }

    /// Whether the call is refused whatever the CRM says about its fields: asked before the CRM is.
    ///
    /// # Errors
    /// As [`Plan::start`], custom fields and custom mappings left aside.
    pub fn refuse(call: &Call, ground: &Ground) -> Result<()> {
        let resource = ground.connector.resources.get(&call.operation.resource);
        let custom = resource.and_then(|resource| resource.mapping.custom_field());
        let Some(body) = &call.body else { return Plan::start(call, ground).map(drop) };
        let mut bare = body.clone();
        bare.retain(|name, _| Some(name.as_str()) != custom && name != "custom_mappings");
        let bare = Call { body: Some(bare), ..call.clone() };
        Plan::start(&bare, ground).map(drop)
    }

    /// Takes the replies to the last batch, in its order.
    ///
    /// # Errors
    /// If a reply is a failure that the answer cannot do without.
    pub fn feed(&mut self, call: &Call, ground: &Ground, outcomes: Vec<Outcome>) -> Result<Step> {
        match self {
            Plan::List(plan) => plan.feed(call, ground, outcomes),
            Plan::One(plan) => plan.feed(call, ground, outcomes),
            Plan::Write(plan) => plan.feed(call, ground, outcomes),
            // They go on with the call and the ground of their own.
            Plan::Source(plan) => plan.feed(outcomes),
            Plan::Merged(plan) => plan.feed(call, ground, outcomes),
            Plan::Scan(plan) => plan.feed(call, ground, outcomes),
        }
    }
}

/// Refuses ids that no record of this CRM can have, before they reach a path of it.
fn known_ids(call: &Call, ground: &Ground, resource: &ResourcePlan) -> Result<()> {
    let lives_in = match call.operation.resource {
        Resource::ListMembers => Some(Resource::Lists),
        Resource::CustomObjects => Some(Resource::CustomObjectSchemas),
        _ => None,
    };
    let home = lives_in.and_then(|home| ground.connector.resources.get(&home));
    let fits = |plan: Option<&ResourcePlan>, id: &Option<String>| {
        let pattern = plan.and_then(|plan| plan.id.as_ref());
        pattern.zip(id.as_ref()).is_none_or(|(pattern, id)| pattern.is_match(id))
    };
    if fits(home, &call.parent) && fits(Some(resource), &call.id) {
        return Ok(());
    }
    let name = &ground.connector.manifest.name;
    Err(Error::new(Kind::EntityNotFoundError, format!("{name} has no record with that id.")))
}
