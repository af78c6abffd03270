//! Which way to list: the first that can apply the call's filters and sort; and the filters in the CRM's words.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Ground;
use crate::connector::compile::{FilterPlan, ListPlan, ResourcePlan};
use crate::connector::manifest::{FilterSpec, Paging};
use crate::error::{Error, Kind, Result};
use crate::mapping::Writing;
use crate::model::{Call, Sort};

/// Records asked of each of several lists that are read as one.
const SEVERAL_PAGE: u16 = 100;

/// The chosen way and the call's filters as it takes them.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// Its position among the resource's ways.
    pub index: usize,
    /// Clauses, text or JSON.
    pub clauses: Vec<Value>,
    /// Query parameters of filters.
    pub query: Vec<(String, String)>,
    /// Wire values by `filter.<name>`.
    pub values: Vec<(String, Value)>,
}

/// Chooses the way for a call.
///
/// # Errors
/// If a filter or the sort cannot be applied, at all or together; the supported ones are listed.
pub fn choose(call: &Call, ground: &Ground, resource: &ResourcePlan) -> Result<Way> {
    let name = &ground.connector.manifest.name;
    let filters: Vec<&str> = call.query.filter.iter().map(|(name, _)| name.as_str()).collect();
    let split_by = ground.source.and(ground.connector.resources.get(&call.operation.resource));
    let split_by = split_by.and_then(|resource| resource.spec.split_by.as_deref());
    let supported: BTreeSet<&str> =
        resource.list.iter().flat_map(|way| way.filters.keys().map(String::as_str)).chain(split_by).collect();
    let unsupported: Vec<&&str> = filters.iter().filter(|filter| !supported.contains(**filter)).collect();
    if !unsupported.is_empty() {
        return Err(Error::new(
            Kind::UnsupportedFiltersError,
            format!("{name} cannot filter {} by {}.", call.operation.resource, list_of(&unsupported)),
        )
        .detail(json!({ "unsupported": unsupported, "supported": supported })));
    }
    let sorts: BTreeSet<&str> =
        resource.list.iter().flat_map(|way| way.sorts.keys().map(String::as_str)).collect();
    if let Some(Sort { by, .. }) = &call.query.sort
        && !sorts.contains(by.as_str())
    {
        return Err(Error::new(
            Kind::UnsupportedSortFieldError,
            format!("{name} cannot sort {} by {by}.", call.operation.resource),
        )
        .detail(json!({ "unsupported": by, "supported": sorts })));
    }
    let fits = |way: &&ListPlan| {
        filters.iter().all(|filter| way.filters.contains_key(*filter))
            && way.spec.needs.iter().all(|need| filters.contains(&need.as_str()))
            && call.query.sort.as_ref().is_none_or(|sort| way.sorts.contains_key(&sort.by))
    };
    let Some(index) = resource.list.iter().position(|way| fits(&way)) else {
        let combinations: Vec<Value> = resource
            .list
            .iter()
            .filter(|way| !way.filters.is_empty() || !way.sorts.is_empty())
            .map(|way| json!({ "filters": way.filters.keys().collect::<Vec<_>>(), "sorts": way.sorts.keys().collect::<Vec<_>>() }))
            .collect();
        let kind =
            if filters.is_empty() { Kind::UnsupportedSortFieldError } else { Kind::UnsupportedFiltersError };
        return Err(Error::new(
            kind,
            format!(
                "{name} cannot apply these filters and this sort to {} together.",
                call.operation.resource
            ),
        )
        .detail(
            json!({ "unsupported": filters, "supported": supported, "supported_together": combinations }),
        ));
    };
    let mut way = Way { index, ..Way::default() };
    let Some(plan) = resource.list.get(index) else { return Ok(way) };
    let mut faults = Vec::new();
    for (name, value) in &call.query.filter {
        if let (Some(spec), Some(filter)) = (plan.spec.filters.get(name), plan.filters.get(name))
            && let Err(message) = apply(&mut way, name, value, spec, filter, ground)
        {
            faults.push(json!({ "parameter": format!("filter[{name}]"), "message": message }));
        }
    }
    if faults.is_empty() {
        Ok(way)
    } else {
        Err(Error::new(Kind::RequestValidationError, format!("{name} does not take a filter's value."))
            .detail(faults))
    }
}

/// The most records that the CRM gives on one page of the list that a call asks for; of several lists read as one, of any.
///
/// # Errors
/// If the list cannot be read this way.
pub fn largest_page(call: &Call, ground: &Ground) -> Result<u16> {
    let resource = ground.resource(call)?;
    if !resource.sources.is_empty() {
        return Ok(SEVERAL_PAGE);
    }
    let way = choose(call, ground, resource)?;
    let size = resource.list.get(way.index).and_then(|plan| match &plan.spec.paging {
        Paging::Cursor { size, .. }
        | Paging::NextUrl { size, .. }
        | Paging::Page { size, .. }
        | Paging::Offset { size, .. }
        | Paging::Keyset { size, .. } => Some(size.max),
        Paging::Whole => None,
    });
    // A list that comes whole is taken whole.
    Ok(size.map_or(u16::MAX, |size| u16::try_from(size).unwrap_or(u16::MAX).max(1)))
}

fn apply(
    way: &mut Way,
    name: &str,
    value: &Value,
    spec: &FilterSpec,
    plan: &FilterPlan,
    ground: &Ground,
) -> std::result::Result<(), String> {
    let words = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if let Some(least) = spec.min_length
        && words.chars().count() < least
    {
        return Err(format!("at least {least} characters are needed"));
    }
    let writing = Writing {
        definitions: None,
        custom_mappings: None,
        currency: ground.setting("currency"),
        timezone: ground.setting("timezone"),
        present: None,
        now: None,
    };
    let wire = match (&plan.codec, spec.values.get(&words)) {
        (_, Some(wire)) => wire.clone(),
        _ if !spec.values.is_empty() => return Err(one_of(spec.values.keys())),
        (Some(codec), None) => codec.write(value, &writing)?,
        (None, None) => Value::String(words.clone()),
    };
    let names = |name: &str| (name == "value").then(|| wire.clone());
    let mut add = |clause: Option<Value>| match clause {
        Some(Value::Array(clauses)) => way.clauses.extend(clauses),
        Some(clause) => way.clauses.push(clause),
        None => {}
    };
    if !plan.clauses.is_empty() {
        let clause = plan.clauses.get(&words).ok_or_else(|| one_of(plan.clauses.keys()))?;
        add(clause.render(&names));
    }
    if let Some(clause) = &plan.clause {
        add(clause.render(&names));
    }
    if let (Some(query), Some(text)) = (&spec.query, crate::connector::template::text_of(&wire)) {
        way.query.push((query.clone(), text));
    }
    way.values.push((format!("filter.{name}"), wire));
    Ok(())
}

fn one_of<'a>(words: impl Iterator<Item = &'a String>) -> String {
    format!("must be one of {}", words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
}

fn list_of(names: &[&&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
