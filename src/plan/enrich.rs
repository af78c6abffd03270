//! Follow-up reads that complete records: associations of a search result, stages of pipelines.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Ground;
use super::extras;
use crate::connector::compile::EnrichPlan;
use crate::connector::dig::{dig, dig_text};
use crate::connector::manifest::{Paging, Reshape};
use crate::error::Result;
use crate::mapping::Extras;
use crate::model::{FieldMask, Outcome, Request, Warning};
use crate::normalise::classify;

/// Requests for the rest of one record's list at the most.
const MOST_OF_ONE: usize = 20;

/// The follow-up reads of one page.
#[derive(Debug, Default)]
pub struct Round {
    /// Which read each request of the last batch belongs to.
    sent: Vec<Sent>,
    /// Entries of reads that are grouped, by read and record id, over all pages of the read.
    groups: BTreeMap<(String, String), Vec<Value>>,
    extras: Extras,
    /// The reads that failed.
    failed: Vec<Failed>,
}

/// A follow-up read that failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Where it would have added something.
    pub graft: String,
    /// Its step.
    pub step: Arc<str>,
    /// Why.
    pub says: String,
}

/// What a request of the last batch asks for.
#[derive(Debug)]
struct Sent {
    plan: Arc<EnrichPlan>,
    rest: Option<Rest>,
}

/// One record whose list goes on.
#[derive(Debug)]
struct Rest {
    id: String,
    /// What is known of its list, as the mapping reads it.
    items: Vec<Value>,
    requests: usize,
}

impl Round {
    /// The requests for the rest of lists whose beginning a plain read held.
    ///
    /// # Errors
    /// If a request cannot be filled in.
    pub fn complete(
        &mut self,
        plans: &BTreeMap<String, Arc<EnrichPlan>>,
        records: &[(String, Value)],
        fields: Option<&FieldMask>,
        ground: &Ground,
    ) -> Result<Vec<Request>> {
        let mut requests = Vec::new();
        for plan in plans.values().filter(|plan| wanted(plan, fields)) {
            let Some(inline) = plan.spec.more.as_ref().and_then(|more| more.inline.as_ref()) else {
                continue;
            };
            for (id, record) in records {
                let Some(cursor) = dig_text(record, inline) else { continue };
                let items =
                    dig(record, &plan.spec.graft).and_then(Value::as_array).cloned().unwrap_or_default();
                let rest = Rest { id: id.clone(), items, requests: 0 };
                requests.extend(self.go_on(plan, rest, &cursor, ground)?);
            }
        }
        Ok(requests)
    }

    /// The request for more of one record's list.
    fn go_on(
        &mut self,
        plan: &Arc<EnrichPlan>,
        mut rest: Rest,
        cursor: &str,
        ground: &Ground,
    ) -> Result<Option<Request>> {
        let Some(template) = &plan.more else { return Ok(None) };
        let request = ground.request(template, &|name: &str| match name {
            "id" => Some(json!(rest.id)),
            "cursor" => Some(json!(cursor)),
            _ => None,
        })?;
        rest.requests += 1;
        self.sent.push(Sent { plan: plan.clone(), rest: Some(rest) });
        Ok(Some(request))
    }

    /// The requests for these records; none where nothing of what they feed is wanted.
    ///
    /// # Errors
    /// If a request cannot be filled in.
    pub fn start(
        &mut self,
        plans: &[Arc<EnrichPlan>],
        ids: &[String],
        fields: Option<&FieldMask>,
        ground: &Ground,
    ) -> Result<Vec<Request>> {
        let mut requests = Vec::new();
        for plan in plans.iter().filter(|plan| wanted(plan, fields)) {
            for batch in ids.chunks(plan.spec.batch.unwrap_or(usize::MAX).max(1)) {
                requests.push(ground.request(&plan.request, &|name: &str| {
                    match name {
                        "ids" => Some(json!(batch)),
                        "id" => batch.first().map(|id| json!(id)),
                        // `{ids.as.key}`: one object per id.
                        name => name
                            .strip_prefix("ids.as.")
                            .map(|key| batch.iter().map(|id| json!({ key: id })).collect()),
                    }
                })?);
                self.sent.push(Sent { plan: plan.clone(), rest: None });
            }
        }
        Ok(requests)
    }

    /// Takes the replies; what could not be read becomes a warning. More requests follow where a reply has pages.
    ///
    /// # Errors
    /// If a read that is required failed, or the request for a further page cannot be filled in.
    pub fn feed(
        &mut self,
        outcomes: Vec<Outcome>,
        ground: &Ground,
        warnings: &mut Vec<Warning>,
    ) -> Result<Vec<Request>> {
        let mut more = Vec::new();
        for (Sent { plan, rest }, outcome) in std::mem::take(&mut self.sent).into_iter().zip(outcomes) {
            let body = classify::read(&ground.connector, &outcome).and_then(|reply| {
                serde_json::from_slice::<Value>(&reply.body)
                    .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))
            });
            match (body, rest) {
                (Ok(body), None) => {
                    more.extend(self.graft(&plan, &body, ground)?);
                    if let Some(Paging::Cursor { next, .. }) = &plan.spec.paging
                        && let Some(cursor) = dig_text(&body, next)
                    {
                        more.push(ground.request(&plan.request, &|name: &str| {
                            (name == "cursor").then(|| json!(cursor))
                        })?);
                        self.sent.push(Sent { plan, rest: None });
                    }
                }
                (Ok(body), Some(rest)) => more.extend(self.rest(&plan, rest, &body, ground, warnings)?),
                (Err(error), _) if plan.spec.required => return Err(error),
                (Err(error), rest) => {
                    let says = error.to_string();
                    self.failed.push(Failed {
                        graft: plan.spec.graft.clone(),
                        step: plan.request.step().clone(),
                        says: says.clone(),
                    });
                    warnings.push(Warning {
                        status_code: Some(error.http_status().as_u16()),
                        error: Some(says),
                        record_id: rest.as_ref().map(|rest| rest.id.clone()),
                        ..incomplete(&plan, "could not be read")
                    });
                    self.keep(&plan, rest);
                }
            }
        }
        Ok(more)
    }

    /// The reads that failed so far.
    pub fn failed(&mut self) -> Vec<Failed> {
        std::mem::take(&mut self.failed)
    }

    /// Takes more of one record's list.
    fn rest(
        &mut self,
        plan: &Arc<EnrichPlan>,
        mut rest: Rest,
        body: &Value,
        ground: &Ground,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<Request>> {
        let Some(spec) = &plan.spec.more else { return Ok(None) };
        let items = dig(body, &spec.records).and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            match &plan.spec.reshape {
                Some(reshape) => reshape_item(reshape, item, &mut rest.items),
                None => rest.items.push(item.clone()),
            }
        }
        match dig_text(body, &spec.next) {
            Some(cursor) if rest.requests < MOST_OF_ONE => return self.go_on(plan, rest, &cursor, ground),
            Some(_) => warnings.push(Warning {
                record_id: Some(rest.id.clone()),
                ..incomplete(plan, &format!("were read as far as {} of them", rest.items.len()))
            }),
            None => {}
        }
        self.keep(plan, Some(rest));
        Ok(None)
    }

    fn keep(&mut self, plan: &EnrichPlan, rest: Option<Rest>) {
        if let Some(Rest { id, items, .. }) = rest {
            extras::add(&mut self.extras, id, &plan.spec.graft, &Value::Array(items));
        }
    }

    /// What was found, by record id.
    pub fn into_extras(mut self) -> Extras {
        for ((graft, key), group) in std::mem::take(&mut self.groups) {
            extras::add(&mut self.extras, key, &graft, &Value::Array(group));
        }
        self.extras
    }

    fn graft(&mut self, plan: &Arc<EnrichPlan>, body: &Value, ground: &Ground) -> Result<Vec<Request>> {
        let mut more = Vec::new();
        let Some(Value::Array(entries)) = dig(body, &plan.spec.records) else { return Ok(more) };
        for entry in entries {
            let Some(key) = dig_text(entry, &plan.spec.key) else { continue };
            let value = match &plan.spec.reshape {
                Some(reshape) => reshaped(reshape, entry),
                None => entry.clone(),
            };
            let goes_on = plan.spec.more.as_ref().and_then(|more| dig_text(entry, &more.at));
            if let (Some(cursor), Value::Array(items)) = (goes_on, &value) {
                let rest = Rest { id: key, items: items.clone(), requests: 0 };
                more.extend(self.go_on(plan, rest, &cursor, ground)?);
            } else if plan.spec.group {
                self.groups.entry((plan.spec.graft.clone(), key)).or_default().push(value);
            } else {
                extras::add(&mut self.extras, key, &plan.spec.graft, &value);
            }
        }
        Ok(more)
    }
}

fn incomplete(plan: &EnrichPlan, what: &str) -> Warning {
    let feeds = plan.spec.feeds.join(", ");
    let message = format!("{} {what}; {feeds} may be missing.", plan.name);
    Warning::new("EnrichmentWarning", message).operation(plan.request.step().to_string())
}

fn wanted(plan: &EnrichPlan, fields: Option<&FieldMask>) -> bool {
    fields.is_none_or(|fields| {
        fields.is_all() || plan.spec.feeds.iter().any(|field| fields.below(field).is_some())
    })
}

fn reshaped(reshape: &Reshape, entry: &Value) -> Value {
    let mut out = Vec::new();
    let items = dig(entry, &reshape.each).and_then(Value::as_array);
    items.into_iter().flatten().for_each(|item| reshape_item(reshape, item, &mut out));
    Value::Array(out)
}

fn reshape_item(reshape: &Reshape, item: &Value, out: &mut Vec<Value>) {
    let spread: Vec<&Value> = match &reshape.spread {
        Some(path) => dig(item, path)
            .and_then(Value::as_array)
            .map(|spread| spread.iter().collect())
            .unwrap_or_default(),
        None => vec![item],
    };
    for part in spread {
        let keys = reshape.keys.iter().filter_map(|(name, key)| {
            let text = dig_text(part, &key.from).or_else(|| dig_text(item, &key.from))?;
            Some((name.clone(), Value::String(key.values.get(&text).cloned().unwrap_or(text))))
        });
        out.push(Value::Object(keys.collect::<Map<String, Value>>()));
    }
}
