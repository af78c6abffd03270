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

/// The follow-up reads of one page.
#[derive(Debug, Default)]
pub struct Round {
    /// Which read each request of the last batch belongs to.
    sent: Vec<Arc<EnrichPlan>>,
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

impl Round {
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
                self.sent.push(plan.clone());
            }
        }
        Ok(requests)
    }

    /// Takes the replies; what could not be read becomes a warning. More requests follow where a reply has pages.
    ///
    /// # Errors
    /// If the request for a further page cannot be filled in.
    pub fn feed(
        &mut self,
        outcomes: Vec<Outcome>,
        ground: &Ground,
        warnings: &mut Vec<Warning>,
    ) -> Result<Vec<Request>> {
        let mut more = Vec::new();
        for (plan, outcome) in std::mem::take(&mut self.sent).into_iter().zip(outcomes) {
            let body = classify::read(&ground.connector, &outcome).and_then(|reply| {
                serde_json::from_slice::<Value>(&reply.body)
                    .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))
            });
            match body {
                Ok(body) => {
                    self.graft(&plan, &body);
                    if let Some(Paging::Cursor { next, .. }) = &plan.spec.paging
                        && let Some(cursor) = dig_text(&body, next)
                    {
                        more.push(ground.request(&plan.request, &|name: &str| {
                            (name == "cursor").then(|| json!(cursor))
                        })?);
                        self.sent.push(plan);
                    }
                }
                Err(error) => {
                    let says = error.to_string();
                    self.failed.push(Failed {
                        graft: plan.spec.graft.clone(),
                        step: plan.request.step().clone(),
                        says: says.clone(),
                    });
                    warnings.push(Warning {
                        status_code: Some(error.http_status().as_u16()),
                        error: Some(says),
                        ..Warning::new(
                            "EnrichmentWarning",
                            format!(
                                "{} could not be read; {} may be missing.",
                                plan.name,
                                plan.spec.feeds.join(", ")
                            ),
                        )
                        .operation(plan.request.step().to_string())
                    });
                }
            }
        }
        Ok(more)
    }

    /// The reads that failed so far.
    pub fn failed(&mut self) -> Vec<Failed> {
        std::mem::take(&mut self.failed)
    }

    /// What was found, by record id.
    pub fn into_extras(mut self) -> Extras {
        for ((graft, key), group) in std::mem::take(&mut self.groups) {
            extras::add(&mut self.extras, key, &graft, &Value::Array(group));
        }
        self.extras
    }

    fn graft(&mut self, plan: &EnrichPlan, body: &Value) {
        let Some(Value::Array(entries)) = dig(body, &plan.spec.records) else { return };
        for entry in entries {
            let Some(key) = dig_text(entry, &plan.spec.key) else { continue };
            let value = match &plan.spec.reshape {
                Some(reshape) => reshaped(reshape, entry),
                None => entry.clone(),
            };
            if plan.spec.group {
                self.groups.entry((plan.spec.graft.clone(), key)).or_default().push(value);
            } else {
                extras::add(&mut self.extras, key, &plan.spec.graft, &value);
            }
        }
    }
}

fn wanted(plan: &EnrichPlan, fields: Option<&FieldMask>) -> bool {
    fields.is_none_or(|fields| {
        fields.is_all() || plan.spec.feeds.iter().any(|field| fields.below(field).is_some())
    })
}

fn reshaped(reshape: &Reshape, entry: &Value) -> Value {
    let mut out = Vec::new();
    let items = dig(entry, &reshape.each).and_then(Value::as_array);
    for item in items.into_iter().flatten() {
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
    Value::Array(out)
}
