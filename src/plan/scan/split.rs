//! Which filters, and whether the sort, go to the CRM, and which are left to the gateway.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::meaning::{self, Meaning, Order};
use crate::connector::compile::{ListPlan, ResourcePlan};
use crate::error::{Error, Kind, Result};
use crate::model::Call;
use crate::plan::ground::Ground;

/// What is left to the gateway.
#[derive(Debug, Default)]
pub struct Split {
    /// Filters and the values wanted.
    pub filters: Vec<(&'static Meaning, Value)>,
    /// The sort's field and order.
    pub sort: Option<(&'static str, Order)>,
}

impl Split {
    /// Every unified field that is looked at.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        let filters = self.filters.iter().flat_map(|(meaning, _)| meaning.fields.iter().copied());
        filters.chain(self.sort.iter().map(|(field, _)| *field))
    }
}

/// What the CRM leaves to the gateway of a call; none where it can do all.
///
/// # Errors
/// If a filter or the sort means nothing on the records that this connector makes.
pub fn split(call: &Call, ground: &Ground) -> Result<Option<Split>> {
    let resource = ground.resource(call)?;
    let split_by = resource.spec.split_by.as_deref().filter(|_| !resource.sources.is_empty());
    let plans: Vec<&ResourcePlan> = match resource.sources.as_slice() {
        [] => vec![resource],
        sources => {
            let wanted = call.query.filter.iter().find(|(name, _)| Some(name.as_str()) == split_by);
            let wanted = wanted.and_then(|(_, value)| value.as_str());
            let chosen = sources.iter().filter(|source| wanted.is_none_or(|wanted| source.is == wanted));
            chosen.map(|source| &source.plan).collect()
        }
    };
    let filters: Vec<&(String, Value)> =
        call.query.filter.iter().filter(|(name, _)| Some(name.as_str()) != split_by).collect();
    let sort = call.query.sort.as_ref().map(|sort| sort.by.as_str());
    let (pushed, sorted) = pushed(&plans, &filters, sort);
    let lacking = filters.iter().filter(|(name, _)| !pushed.contains(&name.as_str()));
    let reads = |field: &str| {
        plans.iter().any(|plan| {
            let same = |known: &str| known.replace("[]", "") == field;
            plan.mapping.rules().iter().any(|rule| rule.read && same(&rule.field))
        })
    };
    let mut split = Split::default();
    let mut unsupported = Vec::new();
    for (name, value) in lacking {
        let meaning = meaning::filter(call.operation.resource, name);
        match meaning.filter(|meaning| meaning.fields.iter().any(|field| reads(field))) {
            Some(meaning) => split.filters.push((meaning, value.clone())),
            None => unsupported.push(name.as_str()),
        }
    }
    let name = &ground.connector.manifest.name;
    if !unsupported.is_empty() {
        let known = meaning::FILTERS.iter().find(|(resource, _)| *resource == call.operation.resource);
        let known = known.map(|(_, filters)| *filters).unwrap_or_default();
        let scanned = known.iter().filter(|meaning| meaning.fields.iter().any(|field| reads(field)));
        let ways = plans.iter().flat_map(|plan| &plan.list).flat_map(|way| way.filters.keys());
        let supported: BTreeSet<&str> =
            scanned.map(|meaning| meaning.name).chain(ways.map(String::as_str)).chain(split_by).collect();
        let says = format!(
            "{name} cannot filter {} by {}, nor do its records say what that is.",
            call.operation.resource,
            unsupported.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        );
        return Err(Error::new(Kind::UnsupportedFiltersError, says)
            .detail(json!({ "unsupported": unsupported, "supported": supported })));
    }
    if let Some(by) = sort.filter(|_| !sorted) {
        split.sort = meaning::sort(by).filter(|(field, _)| reads(field));
        if split.sort.is_none() {
            let says = format!(
                "{name} cannot sort {} by {by}, nor do its records say what that is.",
                call.operation.resource
            );
            return Err(Error::new(Kind::UnsupportedSortFieldError, says)
                .detail(json!({ "unsupported": by, "supported": [] })));
        }
    }
    Ok(Some(split).filter(|split| !split.filters.is_empty() || split.sort.is_some()))
}

/// The most filters that one way of every list takes together, with the sort if any way has it.
fn pushed<'c>(
    plans: &[&ResourcePlan],
    filters: &[&'c (String, Value)],
    sort: Option<&str>,
) -> (Vec<&'c str>, bool) {
    let fits = |way: &ListPlan, names: &[&str], sort: Option<&str>| {
        names.iter().all(|name| way.filters.contains_key(*name))
            && way.spec.needs.iter().all(|need| names.contains(&need.as_str()))
            && sort.is_none_or(|sort| way.sorts.contains_key(sort))
    };
    let all_fit = |names: &[&str], sort: Option<&str>| {
        plans.iter().all(|plan| plan.list.iter().any(|way| fits(way, names, sort)))
    };
    let subset = |bits: u32| -> Vec<&'c str> {
        let taken = filters.iter().enumerate().filter(|(index, _)| bits & (1 << index) != 0);
        taken.map(|(_, (name, _))| name.as_str()).collect()
    };
    let count = u32::try_from(filters.len()).unwrap_or(0).min(16);
    // The most filters first; of as many, those that the call names first.
    let mut subsets: Vec<u32> = (0..1_u32 << count).collect();
    subsets.sort_by_key(|bits| (std::cmp::Reverse(bits.count_ones()), *bits));
    for sort in [sort, None] {
        if let Some(names) = subsets.iter().map(|bits| subset(*bits)).find(|names| all_fit(names, sort)) {
            return (names, sort.is_some());
        }
    }
    (Vec::new(), false)
}
