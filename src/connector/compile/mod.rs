//! A manifest compiled: every template, path and codec parsed, every fault collected.
//!
//! Reading order: [`Connector`] · [`plan`] what its parts become · `head` · `resource` · `probe` · `list` · `faults`.

mod faults;
mod head;
mod list;
pub mod plan;
mod probe;
mod resource;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use regex::Regex;

use self::faults::Faults;
use self::head::{compile_policy, compile_sign};
use self::resource::{compile_resource, compile_sources};
use super::manifest::Manifest;
use super::template::Template;
use crate::mapping::Mapping;
use crate::model::{Policy, Resource, Safety, Verb};

pub use faults::meant;
pub use plan::{
    DiscoverPlan, EnrichPlan, FilterPlan, HydratePlan, LinkPlan, ListPlan, MappingKey, OnePlan, PartPlan,
    ResourcePlan, SignTemplate, SortPlan, SourcePlan, WritePlan,
};
pub use probe::ProbePlan;

/// A connector ready to plan with.
#[derive(Debug)]
pub struct Connector {
    /// What its manifest says.
    pub manifest: Manifest,
    /// Base URLs, the first that can be filled.
    pub base_url: Vec<Template>,
    /// Ways to sign, the first that can be filled.
    pub sign: Vec<SignTemplate>,
    /// Headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Headers that are never sent.
    pub never: Vec<HeaderName>,
    /// How requests are repeated and paced.
    pub policy: Policy,
    /// What ids look like, where a resource does not say otherwise.
    pub id: Option<Regex>,
    /// Discoveries by name.
    pub discover: BTreeMap<String, DiscoverPlan>,
    /// Resources with a mapping.
    pub resources: BTreeMap<Resource, ResourcePlan>,
}

/// One fault of a manifest: where (a JSON pointer) and what.
pub type PointedFault = (String, String);

impl Connector {
    /// Compiles a manifest with its mappings: what could be compiled, and every fault with the JSON pointer of its place
    /// in the manifest. A mapping that is none here has faults of its own. Only a connector without faults may be used; one with faults serves to find the others.
    pub fn compile(
        manifest: Manifest,
        mut mappings: BTreeMap<MappingKey, Option<Arc<Mapping>>>,
    ) -> (Connector, Vec<PointedFault>) {
        let mut faults = Faults::default();
        let base_url = faults.texts("/base_url", manifest.base_url.iter());
        if manifest.base_url.is_empty() {
            faults.add("/base_url", "at least one base URL is needed");
        }
        faults.0.extend(super::oauth::check(&manifest));
        let sign = manifest
            .auth
            .sign
            .iter()
            .enumerate()
            .map(|(index, sign)| compile_sign(&format!("/auth/sign/{index}"), sign, &mut faults))
            .collect();
        let headers = manifest
            .headers
            .send
            .iter()
            .filter_map(|(name, value)| {
                let at = format!("/headers/send/{name}");
                let header = faults.ok(
                    &at,
                    HeaderName::try_from(name.as_str()).map_err(|_| "not a header name".to_owned()),
                )?;
                let value = faults.ok(
                    &at,
                    HeaderValue::try_from(value.as_str()).map_err(|_| "not a header value".to_owned()),
                )?;
                Some((header, value))
            })
            .collect();
        let never = manifest
            .headers
            .never
            .iter()
            .filter_map(|name| {
                faults.ok(
                    "/headers/never",
                    HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is not a header name")),
                )
            })
            .collect();
        let discover = manifest
            .discover
            .iter()
            .filter_map(|(name, spec)| {
                let request = faults.request(
                    &format!("/discover/{name}/request"),
                    &format!("discover.{name}"),
                    &spec.request,
                    Safety::Read,
                )?;
                Some((name.clone(), DiscoverPlan { request, spec: spec.clone() }))
            })
            .collect();
        let mut resources = BTreeMap::new();
        for (&resource, spec) in &manifest.resources {
            let at = format!("/resources/{resource}");
            let spec = &spec.with_id(manifest.id.as_deref());
            if let Some(name) = &spec.fields
                && !manifest.discover.contains_key(name)
            {
                let meant = meant(name, manifest.discover.keys());
                faults.add(&format!("{at}/fields"), format!("there is no `discover` entry `{name}`{meant}"));
            }
            if !spec.sources.is_empty() {
                let plan = compile_sources(&at, resource, spec, &mut mappings, &mut faults);
                resources.extend(plan.map(|plan| (resource, plan)));
                continue;
            }
            let mapping = match mappings.remove(&(resource, None)) {
                Some(Some(mapping)) => mapping,
                // The mapping's own faults are told already.
                Some(None) => continue,
                None => {
                    faults.add(&at, format!("there is no mapping file for `{resource}`"));
                    continue;
                }
            };
            let plan = compile_resource(&at, resource, spec, mapping, &mut faults);
            resources.insert(resource, plan);
        }
        for (resource, source) in mappings.keys() {
            let name =
                source.as_ref().map_or_else(|| resource.to_string(), |source| format!("{resource}.{source}"));
            faults.add("/resources", format!("`{name}` has a mapping file, but no entry here"));
        }
        let id = faults.pattern("/id", manifest.id.as_deref());
        let policy = compile_policy(&manifest, &mut faults);
        (Connector { manifest, base_url, sign, headers, never, policy, id, discover, resources }, faults.0)
    }

    /// Whether a call of that resource and verb can be served.
    pub fn can(&self, resource: Resource, verb: Verb) -> bool {
        self.resources.get(&resource).is_some_and(|plan| plan.spec.can(verb))
    }
}
