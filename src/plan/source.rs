//! One record of a resource that is several objects of the CRM: its id, or its body, says of which.

use serde_json::{Value, json};

use super::{Data, Ground, Plan, Step};
use crate::connector::compile::{ResourcePlan, SourcePlan};
use crate::error::{Error, Kind, Result};
use crate::model::{Call, Outcome, Verb};

/// The machine for one record of one of several objects.
#[derive(Debug)]
pub struct Source {
    plan: Plan,
    call: Call,
    ground: Ground,
}

impl Source {
    /// The machine for a call, and its first batch.
    ///
    /// # Errors
    /// If neither id nor body says which object is meant, or the body would make another of it.
    pub fn start(call: &Call, ground: &Ground) -> Result<(Source, Step)> {
        let resource = ground.resource(call)?;
        let split_by = resource.spec.split_by.as_deref().unwrap_or("type");
        let index = match call.operation.verb {
            Verb::Create => of_body(call, resource, split_by)?,
            _ => of_id(call, resource)?,
        };
        let source =
            resource.sources.get(index).ok_or_else(|| Error::internal("the chosen source is gone"))?;
        let said = call.body.as_ref().and_then(|body| body.get(split_by));
        if said.is_some_and(|said| said != &Value::from(source.is.as_str())) {
            return Err(refused(
                split_by,
                format!("the record is a `{}` and cannot become another", source.is),
            ));
        }
        let ground = ground.of_source(index, &source.plan, call.parent.as_deref());
        let mut call = call.clone();
        let prefix = source.plan.mapping.id_prefix();
        call.id = call.id.and_then(|id| id.strip_prefix(prefix).map(str::to_owned));
        let (plan, step) = Plan::start(&call, &ground)?;
        let source = Source { plan, call, ground };
        let step = source.told(step)?;
        Ok((source, step))
    }

    /// Takes the replies to the last batch.
    ///
    /// # Errors
    /// If a reply is a failure that the answer cannot do without.
    pub fn feed(&mut self, outcomes: Vec<Outcome>) -> Result<Step> {
        let step = self.plan.feed(&self.call, &self.ground, outcomes)?;
        self.told(step)
    }

    /// The id of what was written says of which object it is.
    fn told(&self, mut step: Step) -> Result<Step> {
        if let Step::Done(unified) = &mut step
            && let Data::Id(id) = &mut unified.data
        {
            let prefix = self.ground.resource(&self.call)?.mapping.id_prefix();
            id.insert_str(0, prefix);
        }
        Ok(step)
    }
}

fn of_body(call: &Call, resource: &ResourcePlan, split_by: &str) -> Result<usize> {
    let said = call.body.as_ref().and_then(|body| body.get(split_by)).and_then(Value::as_str);
    resource
        .sources
        .iter()
        .position(|source| Some(source.is.as_str()) == said)
        .ok_or_else(|| refused(split_by, one_of(&resource.sources)))
}

fn of_id(call: &Call, resource: &ResourcePlan) -> Result<usize> {
    let id = call.id.as_deref().unwrap_or_default();
    let found = resource.sources.iter().position(|source| id.starts_with(source.plan.mapping.id_prefix()));
    found.ok_or_else(|| Error::new(Kind::EntityNotFoundError, "There is no record with that id."))
}

/// What the field that splits a resource may say.
pub(super) fn one_of(sources: &[SourcePlan]) -> String {
    let words: Vec<String> = sources.iter().map(|source| format!("`{}`", source.is)).collect();
    format!("must be one of {}", words.join(", "))
}

fn refused(split_by: &str, message: String) -> Error {
    Error::new(Kind::RequestValidationError, "The CRM keeps no such record.")
        .detail(json!([{ "pointer": format!("/{split_by}"), "message": message }]))
}
