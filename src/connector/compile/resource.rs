//! What a resource's entry becomes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::faults::{Faults, meant};
use super::list::compile_list;
use super::probe;
use super::{EnrichPlan, LinkPlan, MappingKey, OnePlan, PartPlan, ResourcePlan, SourcePlan, WritePlan};
use crate::connector::manifest::{OneSpec, ResourceSpec, WriteSpec};
use crate::connector::template::JsonTemplate;
use crate::mapping::{Frame, Mapping};
use crate::model::{Resource, Safety, Verb};

pub(super) fn compile_resource(
    at: &str,
    resource: Resource,
    spec: &ResourceSpec,
    mapping: Arc<Mapping>,
    faults: &mut Faults,
) -> ResourcePlan {
    let enrich: BTreeMap<String, Arc<EnrichPlan>> = spec
        .enrich
        .iter()
        .filter_map(|(name, enrich)| {
            let step = format!("{resource}.{name}");
            let request = faults.request(
                &format!("{at}/enrich/{name}/request"),
                &step,
                &enrich.request,
                Safety::Read,
            )?;
            let more = enrich.more.as_ref().and_then(|more| {
                let at = format!("{at}/enrich/{name}/more/request");
                faults.request(&at, &format!("{step}.more"), &more.request, Safety::Read)
            });
            Some((
                name.clone(),
                Arc::new(EnrichPlan { name: name.clone(), spec: enrich.clone(), request, more }),
            ))
        })
        .collect();
    let pick = |at: &str, names: &[String], faults: &mut Faults| -> Vec<Arc<EnrichPlan>> {
        names
            .iter()
            .filter_map(|name| {
                let plan = enrich.get(name).cloned();
                if plan.is_none() && !spec.enrich.contains_key(name) {
                    let meant = meant(name, spec.enrich.keys());
                    faults.add(at, format!("there is no `enrich` entry `{name}`{meant}"));
                }
                plan
            })
            .collect()
    };
    let list = spec
        .list
        .iter()
        .enumerate()
        .filter_map(|(index, list)| {
            let at = format!("{at}/list/{index}");
            let enrich = pick(&format!("{at}/enrich"), &list.enrich, faults);
            compile_list(&at, resource, list, enrich, faults)
        })
        .collect();
    let one = spec.one.as_ref().and_then(|one: &OneSpec| {
        let enrich = pick(&format!("{at}/one/enrich"), &one.enrich, faults);
        let request = faults.request(
            &format!("{at}/one/request"),
            &format!("{resource}.one"),
            &one.request,
            Safety::Read,
        )?;
        let frame = faults.ok(&format!("{at}/one"), Frame::compile(one.record.as_deref(), None, &[]))?;
        Some(OnePlan { request, frame, record: one.record.clone(), enrich })
    });
    let mut write = |verb: Verb, write: &Option<WriteSpec>| {
        let write = write.as_ref()?;
        let at = format!("{at}/{verb}");
        let request = faults.request(
            &format!("{at}/request"),
            &format!("{resource}.{verb}"),
            &write.request,
            Safety::Write,
        )?;
        if verb == Verb::Create && write.id.is_none() {
            faults.add(&at, "`id` is missing: where the reply has the new record's id");
        }
        let probe = probe::compile(&at, resource, verb, write, faults);
        Some(WritePlan { spec: write.clone(), request, probe })
    };
    let create = write(Verb::Create, &spec.create);
    let update = write(Verb::Update, &spec.update);
    let delete = write(Verb::Delete, &spec.delete);
    let links = spec
        .links
        .iter()
        .filter_map(|(name, link)| {
            let at = format!("{at}/links/{name}");
            let step = |what: &str| format!("{resource}.{name}.{what}");
            let current = faults.request(
                &format!("{at}/current/request"),
                &step("read"),
                &link.current.request,
                Safety::Read,
            );
            // Setting an association that is set already changes nothing: these may be repeated.
            let add = faults.request(&format!("{at}/add"), &step("add"), &link.add, Safety::Repeatable);
            let remove =
                faults.request(&format!("{at}/remove"), &step("remove"), &link.remove, Safety::Repeatable);
            let in_create = link
                .in_create
                .as_ref()
                .and_then(|value| faults.ok(&format!("{at}/in_create"), JsonTemplate::parse(value)));
            Some((
                name.clone(),
                LinkPlan { spec: link.clone(), in_create, current: current?, add: add?, remove: remove? },
            ))
        })
        .collect();
    let parts = spec
        .parts
        .iter()
        .filter_map(|(name, part)| {
            let at = format!("{at}/parts/{name}");
            let mut request = |what: &str, spec, safety| {
                faults.request(&format!("{at}/{what}"), &format!("{resource}.{name}.{what}"), spec, safety)
            };
            let current = request("current", &part.current.request, Safety::Read);
            let add = request("add", &part.add, Safety::Write);
            // What is changed or removed already changes nothing a second time: these may be repeated.
            let change = request("change", &part.change, Safety::Repeatable);
            let remove = request("remove", &part.remove, Safety::Repeatable);
            let spec = part.clone();
            Some((
                name.clone(),
                PartPlan { spec, current: current?, add: add?, change: change?, remove: remove? },
            ))
        })
        .collect();
    let id = faults.pattern(&format!("{at}/id"), spec.id.as_deref());
    let id_path = mapping.id_path().unwrap_or_else(|| "id".to_owned());
    let sources = Vec::new();
    let spec = spec.clone();
    ResourcePlan {
        spec,
        mapping,
        id_path,
        list,
        one,
        create,
        update,
        delete,
        enrich,
        links,
        parts,
        id,
        sources,
    }
}

/// A resource that is several objects of the CRM.
pub(super) fn compile_sources(
    at: &str,
    resource: Resource,
    spec: &ResourceSpec,
    mappings: &mut BTreeMap<MappingKey, Option<Arc<Mapping>>>,
    faults: &mut Faults,
) -> Option<ResourcePlan> {
    let own = ResourceSpec { sources: Vec::new(), ..spec.clone() };
    if Verb::ALL.into_iter().any(|verb| own.can(verb)) {
        faults.add(at, "a resource of several `sources` has no calls of its own");
    }
    if spec.split_by.is_none() {
        faults.add(at, "`split_by` is missing: the field that tells the sources apart");
    }
    let mut sources: Vec<SourcePlan> = Vec::new();
    for (index, source) in spec.sources.iter().enumerate() {
        let at = format!("{at}/sources/{index}");
        let name = &source.name;
        let mapping = match mappings.remove(&(resource, Some(name.clone()))) {
            Some(Some(mapping)) => mapping,
            Some(None) => continue,
            None => {
                faults.add(&at, format!("there is no mapping file for `{resource}.{name}`"));
                continue;
            }
        };
        let prefix = mapping.id_prefix().to_owned();
        if prefix.is_empty() || sources.iter().any(|known| prefix.starts_with(known.plan.mapping.id_prefix()))
        {
            faults.add(&at, "the `id` of its mapping needs a `prefix` of its own");
        }
        let plan = compile_resource(&format!("{at}/resource"), resource, &source.resource, mapping, faults);
        for (number, way) in plan.list.iter().enumerate() {
            if !way.sorts.is_empty() && way.keyset.is_none() {
                let at = format!("{at}/resource/list/{number}/sorts");
                faults.add(&at, "lists of several sources are merged in order only by keyset paging");
            }
        }
        sources.push(SourcePlan { name: name.clone(), is: source.is.clone(), plan });
    }
    let mapping = sources.first().map(|source| source.plan.mapping.clone())?;
    Some(ResourcePlan {
        id_path: "id".to_owned(),
        spec: spec.clone(),
        mapping,
        list: Vec::new(),
        one: None,
        create: None,
        update: None,
        delete: None,
        enrich: BTreeMap::new(),
        links: BTreeMap::new(),
        parts: BTreeMap::new(),
        id: None,
        sources,
    })
}
