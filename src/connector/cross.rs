//! What manifest, mapping and contract must agree on.

use serde_json::{Map, Value};

use super::compile::{Connector, PointedFault, ResourcePlan, meant};
use crate::model::{Resource, Verb};

/// Every disagreement between a manifest and its mappings.
pub fn check(connector: &Connector) -> Vec<PointedFault> {
    let mut faults = Vec::new();
    for (resource, plan) in &connector.resources {
        let at = format!("/resources/{resource}");
        if plan.sources.is_empty() {
            agree(&at, plan, &mut faults);
        }
        for (index, source) in plan.sources.iter().enumerate() {
            agree(&format!("{at}/sources/{index}/resource"), &source.plan, &mut faults);
        }
    }
    faults
}

fn agree(at: &str, plan: &ResourcePlan, faults: &mut Vec<PointedFault>) {
    links(at, plan, faults);
    enrichments(at, plan, faults);
    parts(at, plan, faults);
    sides(at, plan, faults);
    probes(at, plan, faults);
}

/// Every filter and sort of a manifest that the contract does not have; of a manifest as it is written, whatever else is
/// wrong with it.
pub fn names(manifest: &Value, contract: &Value) -> Vec<PointedFault> {
    let mut faults = Vec::new();
    let resources = manifest.get("resources").and_then(Value::as_object);
    for (name, spec) in resources.into_iter().flatten() {
        if let Some(resource) = Resource::from_name(name) {
            let at = format!("/resources/{name}");
            names_of(&at, resource, spec, contract, &mut faults);
            let sources = spec.get("sources").and_then(Value::as_array);
            for (index, source) in sources.into_iter().flatten().enumerate() {
                if let Some(spec) = source.get("resource") {
                    let at = format!("{at}/sources/{index}/resource");
                    names_of(&at, resource, spec, contract, &mut faults);
                }
            }
        }
    }
    faults
}

fn names_of(at: &str, resource: Resource, spec: &Value, contract: &Value, faults: &mut Vec<PointedFault>) {
    let plural: String = {
        let mut chars = resource.name().chars();
        chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
    };
    let schema = |kind: &str| contract.pointer(&format!("/components/schemas/{plural}{kind}/properties"));
    let filters: Vec<String> = schema("Filter")
        .and_then(Value::as_object)
        .map(|filters| filters.keys().cloned().collect())
        .unwrap_or_default();
    let sorts: Vec<String> = schema("Sort")
        .and_then(|sort| sort.pointer("/by/enum"))
        .and_then(Value::as_array)
        .map(|sorts| sorts.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let ways = spec.get("list").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, way) in ways.iter().enumerate() {
        let mut known = |kind: &str, name: &String, names: &[String]| {
            if !names.contains(name) {
                faults.push((
                    format!("{at}/list/{index}/{kind}s/{name}"),
                    format!("the contract has no {kind} `{name}` for {resource}{}", meant(name, names)),
                ));
            }
        };
        let keys = |key: &str| way.get(key).and_then(Value::as_object).into_iter().flat_map(Map::keys);
        keys("filters").for_each(|name| known("filter", name, &filters));
        keys("sorts").for_each(|name| known("sort", name, &sorts));
    }
}

/// Every association that the mapping writes is one of the manifest.
fn links(at: &str, plan: &ResourcePlan, faults: &mut Vec<PointedFault>) {
    let used: Vec<(String, String)> =
        plan.mapping.rules().into_iter().filter_map(|rule| Some((rule.link?, rule.field))).collect();
    for (link, field) in used.iter().filter(|(link, _)| !plan.spec.links.contains_key(link)) {
        faults.push((
            format!("{at}/links"),
            format!(
                "the mapping writes `{field}` as the link `{link}`, which is not among `links`{}",
                meant(link, plan.spec.links.keys())
            ),
        ));
    }
    for link in plan.spec.links.keys().filter(|link| !used.iter().any(|(used, _)| used == *link)) {
        faults
            .push((format!("{at}/links/{link}"), format!("no rule of the mapping writes the link `{link}`")));
    }
}

/// Every follow-up read feeds fields that the mapping reads.
fn enrichments(at: &str, plan: &ResourcePlan, faults: &mut Vec<PointedFault>) {
    let rules = plan.mapping.rules();
    for (name, enrich) in &plan.spec.enrich {
        for field in &enrich.feeds {
            let fed = rules.iter().any(|rule| {
                let named = rule.field == *field
                    || rule.field.starts_with(&format!("{field}["))
                    || rule.field.starts_with(&format!("{field}."));
                named && rule.read
            });
            if !fed {
                let fields: Vec<String> = rules
                    .iter()
                    .filter(|rule| rule.read && !rule.field.contains(['.', '[']))
                    .map(|rule| rule.field.clone())
                    .collect();
                faults.push((
                    format!("{at}/enrich/{name}/feeds"),
                    format!("the mapping does not read `{field}`{}", meant(field, &fields)),
                ));
            }
        }
        let used = enrich.more.as_ref().is_some_and(|more| more.inline.is_some())
            || plan.spec.list.iter().any(|way| way.enrich.contains(name))
            || plan.spec.one.as_ref().is_some_and(|one| one.enrich.contains(name));
        if !used {
            faults.push((format!("{at}/enrich/{name}"), format!("nothing uses the follow-up read `{name}`")));
        }
    }
}

/// What lost writes are looked for by is something that the mapping writes.
fn probes(at: &str, plan: &ResourcePlan, faults: &mut Vec<PointedFault>) {
    let rules = plan.mapping.rules();
    let written: Vec<String> = rules
        .into_iter()
        .filter(|rule| rule.write)
        .flat_map(|rule| rule.paths)
        .chain(plan.mapping.default_paths())
        .map(|path| plain(&path).to_owned())
        .collect();
    let probes = plan.create.iter().flat_map(|create| create.probe.iter().enumerate());
    for (index, probe) in probes {
        for path in probe.spec.by.keys().filter(|path| !written.iter().any(|known| known == plain(path))) {
            faults.push((
                format!("{at}/create/probe/{index}/by/{path}"),
                format!("the mapping does not write `{path}`{}", meant(path, &written)),
            ));
        }
    }
}

/// Every list that calls of its own write is one that the mapping writes.
fn parts(at: &str, plan: &ResourcePlan, faults: &mut Vec<PointedFault>) {
    let rules = plan.mapping.rules();
    for (name, part) in &plan.spec.parts {
        if !rules.iter().any(|rule| rule.field.starts_with(&format!("{}[", part.field)) && rule.write) {
            let message = format!("the mapping does not write the elements of `{}`", part.field);
            faults.push((format!("{at}/parts/{name}/field"), message));
        }
    }
}

/// A path up to its first list.
fn plain(path: &str) -> &str {
    path.split('[').next().unwrap_or(path)
}

/// A resource that can be written has rules that write.
fn sides(at: &str, plan: &ResourcePlan, faults: &mut Vec<PointedFault>) {
    let rules = plan.mapping.rules();
    for verb in [Verb::Create, Verb::Update] {
        if plan.spec.can(verb) && !rules.iter().any(|rule| rule.write) {
            faults.push((format!("{at}/{verb}"), "no rule of the mapping writes".to_owned()));
        }
    }
    if !rules.iter().any(|rule| rule.field == "id" && rule.read) {
        faults.push((at.to_owned(), "the mapping does not read `id`".to_owned()));
    }
}
