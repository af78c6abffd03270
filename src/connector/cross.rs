//! What manifest, mapping and contract must agree on.

use serde_json::Value;

use super::compile::{Connector, PointedFault, ResourcePlan};
use crate::model::{Resource, Verb};

/// Every disagreement between a connector and the contract, `openapi/crm.yaml`.
pub fn check(connector: &Connector, contract: &Value) -> Vec<PointedFault> {
    let mut faults = Vec::new();
    for (resource, plan) in &connector.resources {
        let at = format!("/resources/{resource}");
        names(&at, *resource, plan, contract, &mut faults);
        links(&at, plan, &mut faults);
        enrichments(&at, plan, &mut faults);
        sides(&at, plan, &mut faults);
    }
    faults
}

/// Filters and sorts are ones of the contract.
fn names(
    at: &str,
    resource: Resource,
    plan: &ResourcePlan,
    contract: &Value,
    faults: &mut Vec<PointedFault>,
) {
    let plural: String = {
        let mut chars = resource.name().chars();
        chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
    };
    let schema = |kind: &str| contract.pointer(&format!("/components/schemas/{plural}{kind}/properties"));
    let filters = schema("Filter").and_then(Value::as_object);
    let sorts = schema("Sort").and_then(|sort| sort.pointer("/by/enum")).and_then(Value::as_array);
    for (index, way) in plan.spec.list.iter().enumerate() {
        for name in way.filters.keys().filter(|name| !filters.is_some_and(|known| known.contains_key(*name)))
        {
            faults.push((
                format!("{at}/list/{index}/filters/{name}"),
                format!("the contract has no filter `{name}` for {resource}"),
            ));
        }
        for name in way
            .sorts
            .keys()
            .filter(|name| !sorts.is_some_and(|known| known.contains(&Value::from(name.as_str()))))
        {
            faults.push((
                format!("{at}/list/{index}/sorts/{name}"),
                format!("the contract has no sort `{name}` for {resource}"),
            ));
        }
    }
}

/// Every association that the mapping writes is one of the manifest.
fn links(at: &str, plan: &ResourcePlan, faults: &mut Vec<PointedFault>) {
    let used: Vec<(String, String)> =
        plan.mapping.rules().into_iter().filter_map(|rule| Some((rule.link?, rule.field))).collect();
    for (link, field) in used.iter().filter(|(link, _)| !plan.links.contains_key(link)) {
        faults.push((
            at.to_owned(),
            format!("the mapping writes `{field}` as the link `{link}`, which is not among `links`"),
        ));
    }
    for link in plan.links.keys().filter(|link| !used.iter().any(|(used, _)| used == *link)) {
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
                faults.push((
                    format!("{at}/enrich/{name}/feeds"),
                    format!("the mapping does not read `{field}`"),
                ));
            }
        }
        let used = plan.spec.list.iter().any(|way| way.enrich.contains(name))
            || plan.spec.one.as_ref().is_some_and(|one| one.enrich.contains(name));
        if !used {
            faults.push((format!("{at}/enrich/{name}"), format!("nothing uses the follow-up read `{name}`")));
        }
    }
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
