//! Reading one record.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ask::Asked;
use super::enrich::{Failed, Round};
use super::explain::{Explanations, Sent, explain};
use super::ground::Ground;
use super::{Data, Step, Unified, ask, extras, pass_through};
use crate::error::{Error, Kind, Result};
use crate::mapping::{Extras, Reading, Records, read_page};
use crate::model::{Call, Outcome, Reply, Warning};
use crate::normalise::{classify, raw};

/// The machine for one record.
#[derive(Debug)]
pub struct One {
    stage: Stage,
    warnings: Vec<Warning>,
    raw: Option<raw::Replies>,
    rate: Vec<(&'static str, String)>,
    asked: Arc<Asked>,
    failed: Vec<Failed>,
}

#[derive(Debug)]
enum Stage {
    Record,
    Enrich(Box<(Reply, Extras, Round)>),
}

impl One {
    /// The machine for a call, and its first batch.
    ///
    /// # Errors
    /// If the id can be the id of no record.
    pub fn start(call: &Call, ground: &Ground) -> Result<(One, Step)> {
        let resource = ground.resource(call)?;
        let plan = resource.one.as_ref().ok_or_else(|| Error::internal("no way to read one"))?;
        let mut requests = Vec::new();
        let asked = ask::properties(ground, resource, call.query.fields.as_ref(), None);
        for part in &asked.parts {
            let names = |name: &str| match name {
                "id" => call.id.clone().map(Value::from),
                "parent" => call.parent.clone().map(Value::from),
                "properties" if plan.request.has_body() => Some(json!(part.names)),
                "properties" => Some(Value::from(part.text.as_str())).filter(|_| !part.text.is_empty()),
                _ => None,
            };
            let mut request = ground.request(&plan.request, &names)?;
            pass_through::query(call, &mut request);
            requests.push(request);
        }
        let one = One {
            stage: Stage::Record,
            warnings: Vec::new(),
            raw: call.query.raw.then(raw::Replies::default),
            rate: Vec::new(),
            asked,
            failed: Vec::new(),
        };
        Ok((one, Step::Ask(requests)))
    }

    /// Takes the replies to the last batch.
    ///
    /// # Errors
    /// If the record could not be read.
    pub fn feed(&mut self, call: &Call, ground: &Ground, outcomes: Vec<Outcome>) -> Result<Step> {
        if let Some(raw) = &mut self.raw {
            raw.keep(&outcomes);
        }
        match std::mem::replace(&mut self.stage, Stage::Record) {
            Stage::Record => self.record(call, ground, outcomes),
            Stage::Enrich(stage) => {
                let (reply, mut extras, mut round) = *stage;
                let more = round.feed(outcomes, ground, &mut self.warnings)?;
                if more.is_empty() {
                    self.failed = round.failed();
                    extras::merge(&mut extras, round.into_extras());
                    return self.map(&reply, &extras, call, ground);
                }
                self.stage = Stage::Enrich(Box::new((reply, extras, round)));
                Ok(Step::Ask(more))
            }
        }
    }

    fn record(&mut self, call: &Call, ground: &Ground, outcomes: Vec<Outcome>) -> Result<Step> {
        let resource = ground.resource(call)?;
        let plan = resource.one.as_ref().ok_or_else(|| Error::internal("no way to read one"))?;
        let mut replies = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            replies.push(classify::record(&ground.connector, call, outcome)?);
        }
        let mut replies = replies.into_iter();
        let Some(reply) = replies.next() else {
            return Err(Error::internal("a record came without a reply"));
        };
        self.rate = classify::rate(&ground.connector, &reply);
        let mut extras = Extras::default();
        for chunk in replies {
            extras::chunk(&mut extras, plan.record.as_deref(), &resource.id_path, &chunk.body)
                .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
        }
        if resource.goes_on_inline() {
            let unfinished = extras::unfinished(plan.record.as_deref(), &resource.id_path, &reply.body, 0)
                .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
            let mut round = Round::default();
            let fields = call.query.fields.as_ref();
            let requests = round.complete(&resource.enrich, &unfinished, fields, ground)?;
            if !requests.is_empty() {
                self.stage = Stage::Enrich(Box::new((reply, extras, round)));
                return Ok(Step::Ask(requests));
            }
        }
        if !plan.enrich.is_empty() {
            let mut round = Round::default();
            let ids: Vec<String> = call.id.iter().cloned().collect();
            let requests = round.start(&plan.enrich, &ids, call.query.fields.as_ref(), ground)?;
            if !requests.is_empty() {
                self.stage = Stage::Enrich(Box::new((reply, extras, round)));
                return Ok(Step::Ask(requests));
            }
        }
        self.map(&reply, &extras, call, ground)
    }

    fn map(&mut self, reply: &Reply, extras: &Extras, call: &Call, ground: &Ground) -> Result<Step> {
        let resource = ground.resource(call)?;
        let plan = resource.one.as_ref().ok_or_else(|| Error::internal("no way to read one"))?;
        let reading = Reading {
            fields: call.query.fields.as_ref(),
            definitions: ground.definitions.as_deref(),
            custom_mappings: ground.custom_mappings.as_deref(),
            currency: ground.setting("currency"),
            timezone: ground.setting("timezone"),
            extras: Some(extras).filter(|extras| !extras.is_empty()),
            skip: 0,
            take: 1,
        };
        let mut records = Records::default();
        read_page(&resource.mapping, &plan.frame, &reply.body, &reading, &mut records)
            .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
        let problems = std::mem::take(&mut records.problems);
        if records.items.is_empty() {
            let name = &ground.connector.manifest.name;
            return Err(match problems.first() {
                Some(problem) => Error::new(
                    Kind::MappingError,
                    format!("{name} answered with a record that cannot be read: {}", problem.message),
                ),
                None => Error::new(Kind::EntityNotFoundError, format!("{name} has no such record.")),
            });
        }
        let explained = if call.query.explain {
            let (main, failed) = (plan.request.step(), self.failed.as_slice());
            let sent = Sent { main, enrich: &plan.enrich, failed, asked: &self.asked };
            let mut explained = Explanations::default();
            explain(&mut explained, resource, &plan.frame, &reply.body, &reading, sent)
                .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
            Some(explained)
        } else {
            None
        };
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.extend(
            problems.into_iter().map(|problem| Warning::from(problem).operation(call.operation.to_string())),
        );
        Ok(Step::Done(Box::new(Unified {
            data: Data::Record(records.json),
            warnings,
            raw: self.raw.take().map(raw::Replies::into_value),
            rate: std::mem::take(&mut self.rate),
            explained,
            scanned: None,
        })))
    }
}
