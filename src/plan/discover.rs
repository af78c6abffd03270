//! Discovery: what fields the CRM's customer has.

use serde_json::{Value, json};

use super::Ground;
use crate::connector::compile::DiscoverPlan;
use crate::connector::dig::{dig, dig_text};
use crate::connector::manifest::{DiscoverField, Paging, PathIs};
use crate::error::Result;
use crate::model::{
    FieldDefinition, FieldDefinitions, FieldKind, FieldLimits, FieldOption, Outcome, Request,
};
use crate::normalise::classify;

/// Pages of definitions that are read at the most.
const PAGES: usize = 40;

/// The machine for one discovery.
#[derive(Debug, Default)]
pub struct Discovery {
    fields: Vec<FieldDefinition>,
    pages: usize,
}

/// What a discovery wants next.
#[derive(Debug)]
pub enum DiscoveryStep {
    /// The reply to this.
    Ask(Request),
    /// Nothing: these are the fields.
    Done(FieldDefinitions),
}

impl Discovery {
    /// The first request.
    ///
    /// # Errors
    /// If it cannot be filled in.
    pub fn start(plan: &DiscoverPlan, ground: &Ground) -> Result<(Discovery, Request)> {
        Ok((Discovery::default(), ground.request(&plan.request, &|_: &str| None)?))
    }

    /// Takes the reply to the last request.
    ///
    /// # Errors
    /// If the CRM did not say.
    pub fn feed(&mut self, plan: &DiscoverPlan, ground: &Ground, outcome: &Outcome) -> Result<DiscoveryStep> {
        let reply = classify::read(&ground.connector, outcome)?;
        let body: Value = serde_json::from_slice(&reply.body)
            .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
        let entries = dig(&body, &plan.spec.records).and_then(Value::as_array);
        self.fields
            .extend(entries.into_iter().flatten().filter_map(|entry| definition(&plan.spec.field, entry)));
        let required =
            plan.spec.required.as_ref().and_then(|path| dig(&body, path)).and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if let Some(field) = self.fields.iter_mut().find(|field| field.id == name) {
                field.required = true;
            }
        }
        self.pages += 1;
        if let Some(Paging::Cursor { next, .. }) = &plan.spec.paging
            && let Some(cursor) = dig_text(&body, next)
            && self.pages < PAGES
        {
            return Ok(DiscoveryStep::Ask(
                ground.request(&plan.request, &|name: &str| (name == "cursor").then(|| json!(cursor)))?,
            ));
        }
        Ok(DiscoveryStep::Done(FieldDefinitions::new(std::mem::take(&mut self.fields))))
    }
}

fn definition(spec: &DiscoverField, entry: &Value) -> Option<FieldDefinition> {
    let id = dig_text(entry, &spec.id)?;
    let is = |test: &PathIs| {
        let text = dig_text(entry, &test.path);
        test.is.as_ref().is_none_or(|is| text.as_ref() == Some(is))
            && test.is_not.as_ref().is_none_or(|not| text.as_ref() != Some(not))
    };
    let options = spec.options.as_ref().map_or_else(Vec::new, |options| {
        let entries = dig(entry, &options.at).and_then(Value::as_array);
        entries
            .into_iter()
            .flatten()
            .filter_map(|option| {
                let id = dig_text(option, &options.id)?;
                Some(FieldOption {
                    label: dig_text(option, &options.label).unwrap_or_else(|| id.clone()),
                    id,
                })
            })
            .collect()
    });
    let kind = spec
        .kind
        .iter()
        .filter_map(|path| dig_text(entry, path))
        .find_map(|kind| spec.kinds.get(&kind).copied())
        .unwrap_or(FieldKind::Other);
    let number = |path: &Option<String>| dig_text(entry, path.as_deref()?);
    let limits = FieldLimits {
        max_length: number(&spec.limits.max_length)
            .and_then(|text| text.parse().ok())
            .or_else(|| spec.max_lengths.get(&kind).copied()),
        minimum: number(&spec.limits.minimum).and_then(|text| serde_json::from_str(&text).ok()),
        maximum: number(&spec.limits.maximum).and_then(|text| serde_json::from_str(&text).ok()),
        decimals: number(&spec.limits.decimals).and_then(|text| text.parse().ok()),
    };
    Some(FieldDefinition {
        name: dig_text(entry, &spec.name).unwrap_or_else(|| id.clone()),
        description: spec
            .description
            .as_ref()
            .and_then(|path| dig_text(entry, path))
            .filter(|text| !text.is_empty()),
        kind,
        custom: spec.custom.as_ref().is_none_or(is),
        read_only: spec.read_only.iter().any(is),
        required: spec.required.iter().any(is),
        limits,
        options,
        id,
    })
}
