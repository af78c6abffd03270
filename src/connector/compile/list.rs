//! What a way to list becomes.

use std::sync::Arc;

use serde_json::Value;

use super::faults::{Faults, meant};
use super::{EnrichPlan, FilterPlan, HydratePlan, ListPlan, SortPlan};
use crate::connector::manifest::{ListSpec, Paging, RequestSpec, SortSpec};
use crate::connector::template::JsonTemplate;
use crate::mapping::{Codec, Frame};
use crate::model::{Resource, Safety};

pub(super) fn compile_list(
    at: &str,
    resource: Resource,
    spec: &ListSpec,
    enrich: Vec<Arc<EnrichPlan>>,
    faults: &mut Faults,
) -> Option<ListPlan> {
    let step = format!("{resource}.list.{}", spec.name);
    let request = faults.request(&format!("{at}/request"), &step, &spec.request, Safety::Read);
    let next: Vec<&str> = match &spec.paging {
        Paging::Cursor { next, .. } | Paging::NextUrl { next: Some(next), .. } => vec![next.as_str()],
        Paging::Page { last: Some(last), .. } => vec![last.as_str()],
        Paging::Offset { more, .. } => more.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let mut captures = Vec::new();
    let mut capture = |path: &'_ str| {
        (!path.is_empty()).then(|| {
            captures.push(path.to_owned());
            captures.len() - 1
        })
    };
    let next = next.into_iter().filter_map(&mut capture).collect();
    let total = capture(spec.total.as_deref().unwrap_or(""));
    let captures: Vec<&str> = captures.iter().map(String::as_str).collect();
    let frame = faults.ok(
        &format!("{at}/records"),
        Frame::compile(spec.records.as_deref(), spec.item.as_deref(), &captures),
    );
    let filters = spec
        .filters
        .iter()
        .map(|(name, filter)| {
            let at = format!("{at}/filters/{name}");
            let codec = filter.codec.as_ref().and_then(|text| faults.ok(&format!("{at}/as"), Codec::parse(text)));
            let clause = filter.clause.as_ref().and_then(|value| faults.ok(&format!("{at}/clause"), JsonTemplate::parse(value)));
            let clauses = filter
                .clauses
                .iter()
                .filter_map(|(word, value)| Some((word.clone(), faults.ok(&format!("{at}/clauses/{word}"), JsonTemplate::parse(value))?)))
                .collect();
            if filter.query.is_none() && filter.clause.is_none() && filter.clauses.is_empty() && !uses(&spec.request, &format!("filter.{name}")) {
                faults.add(&at, format!("nothing takes the value: `query`, `clause`, `clauses` or `{{filter.{name}}}` in the request"));
            }
            (name.clone(), FilterPlan { codec, clause, clauses })
        })
        .collect();
    let keyset_paging = matches!(spec.paging, Paging::Keyset { .. });
    let sorts = spec
        .sorts
        .iter()
        .map(|(name, sort)| {
            let at = format!("{at}/sorts/{name}");
            let (path, codec) = match sort {
                SortSpec::Name(_) => (None, None),
                SortSpec::Full { path, codec, .. } => (
                    path.clone(),
                    codec.as_ref().and_then(|text| faults.ok(&format!("{at}/as"), Codec::parse(text))),
                ),
            };
            if keyset_paging && path.is_none() {
                faults.add(&at, "keyset paging needs the `path` of the value in a record");
            }
            (name.clone(), SortPlan { by: sort.by().to_owned(), path, codec })
        })
        .collect();
    let keyset = match &spec.paging {
        Paging::Keyset { clause, bare_clause, .. } => {
            let clause = faults.ok(&format!("{at}/paging/clause"), JsonTemplate::parse(clause));
            let bare = faults.ok(&format!("{at}/paging/bare_clause"), JsonTemplate::parse(bare_clause));
            clause.zip(bare)
        }
        _ => None,
    };
    for need in &spec.needs {
        if !spec.filters.contains_key(need) {
            let meant = meant(need, spec.filters.keys());
            faults.add(&format!("{at}/needs"), format!("`{need}` is not among the filters{meant}"));
        }
    }
    let hydrate = spec.hydrate.as_ref().and_then(|hydrate| {
        let at = format!("{at}/hydrate");
        let request = faults.request(
            &format!("{at}/request"),
            &format!("{step}.read"),
            &hydrate.request,
            Safety::Read,
        )?;
        let frame =
            faults.ok(&format!("{at}/records"), Frame::compile(hydrate.records.as_deref(), None, &[]))?;
        Some(HydratePlan { spec: hydrate.clone(), request, frame })
    });
    Some(ListPlan {
        spec: spec.clone(),
        request: request?,
        frame: frame?,
        next,
        total,
        filters,
        sorts,
        keyset,
        enrich,
        hydrate,
    })
}

/// Whether a request has that placeholder anywhere.
fn uses(request: &RequestSpec, name: &str) -> bool {
    let placeholder = format!("{{{name}}}");
    request.path.contains(&placeholder)
        || request.query.values().any(|text| text.contains(&placeholder))
        || request.body.as_ref().is_some_and(|body: &Value| body.to_string().contains(&placeholder))
}
