//! What a manifest becomes: every part ready to plan with.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderName;
use regex::Regex;

use super::probe::ProbePlan;
use crate::connector::manifest::{Discover, Enrich, Hydrate, Link, ListSpec, Part, ResourceSpec, WriteSpec};
use crate::connector::request::RequestTemplate;
use crate::connector::template::{JsonTemplate, Template};
use crate::mapping::{Codec, Frame, Mapping};
use crate::model::{Resource, Verb};

/// One way to sign a request.
#[derive(Debug)]
pub struct SignTemplate {
    /// Headers.
    pub headers: Vec<(HeaderName, Template)>,
    /// Query parameters.
    pub query: Vec<(String, Template)>,
    /// User and password.
    pub basic: Option<(Template, Template)>,
}

/// A discovery ready to run.
#[derive(Debug)]
pub struct DiscoverPlan {
    /// The request.
    pub request: RequestTemplate,
    /// What the manifest says.
    pub spec: Discover,
}

/// One resource ready to plan with.
#[derive(Debug)]
pub struct ResourcePlan {
    /// What the manifest says.
    pub spec: ResourceSpec,
    /// The field rules.
    pub mapping: Arc<Mapping>,
    /// Path of a record's id.
    pub id_path: String,
    /// Ways to list.
    pub list: Vec<ListPlan>,
    /// Reading one.
    pub one: Option<OnePlan>,
    /// Creating.
    pub create: Option<WritePlan>,
    /// Updating.
    pub update: Option<WritePlan>,
    /// Deleting.
    pub delete: Option<WritePlan>,
    /// Follow-up reads by name.
    pub enrich: BTreeMap<String, Arc<EnrichPlan>>,
    /// Associations by name.
    pub links: BTreeMap<String, LinkPlan>,
    /// Lists whose elements are records of their own, by name.
    pub parts: BTreeMap<String, PartPlan>,
    /// What ids look like.
    pub id: Option<Regex>,
    /// The several objects that are this one resource; nothing else then stands here.
    pub sources: Vec<SourcePlan>,
}

impl ResourcePlan {
    /// Whether it can do that, over one of its objects at least.
    pub fn has(&self, verb: Verb) -> bool {
        let own = match verb {
            Verb::List => !self.list.is_empty(),
            Verb::One => self.one.is_some(),
            Verb::Create => self.create.is_some(),
            Verb::Update => self.update.is_some(),
            Verb::Delete => self.delete.is_some(),
        };
        own || self.sources.iter().any(|source| source.plan.has(verb))
    }
}

/// One of several objects that are one resource, ready.
#[derive(Debug)]
pub struct SourcePlan {
    /// Its name.
    pub name: String,
    /// What the field that splits the resource says of its records.
    pub is: String,
    /// How it is read and written.
    pub plan: ResourcePlan,
}

/// A mapping file by resource and, where the resource has several objects, the name of one.
pub type MappingKey = (Resource, Option<String>);

/// One way to list, ready.
#[derive(Debug)]
pub struct ListPlan {
    /// What the manifest says.
    pub spec: ListSpec,
    /// The request.
    pub request: RequestTemplate,
    /// Where the records are in the reply, and what else is read from it.
    pub frame: Frame,
    /// Which captures tell about the next page; the first that is there.
    pub next: Vec<usize>,
    /// Which capture is the total.
    pub total: Option<usize>,
    /// Codecs and clauses of the filters.
    pub filters: BTreeMap<String, FilterPlan>,
    /// Codecs and key paths of the sorts.
    pub sorts: BTreeMap<String, SortPlan>,
    /// Clauses of keyset paging, with and without value.
    pub keyset: Option<(JsonTemplate, JsonTemplate)>,
    /// Follow-up reads.
    pub enrich: Vec<Arc<EnrichPlan>>,
    /// The second call.
    pub hydrate: Option<HydratePlan>,
}

/// A filter, ready.
#[derive(Debug)]
pub struct FilterPlan {
    /// The codec of the value.
    pub codec: Option<Codec>,
    /// Clauses.
    pub clause: Option<JsonTemplate>,
    /// Clauses by value.
    pub clauses: BTreeMap<String, JsonTemplate>,
}

/// A sort, ready.
#[derive(Debug)]
pub struct SortPlan {
    /// The CRM's name.
    pub by: String,
    /// Where a record has the value.
    pub path: Option<String>,
    /// The codec of the value in a clause.
    pub codec: Option<Codec>,
}

/// The second call of a list, ready.
#[derive(Debug)]
pub struct HydratePlan {
    /// What the manifest says.
    pub spec: Hydrate,
    /// The request.
    pub request: RequestTemplate,
    /// Where the records are.
    pub frame: Frame,
}

/// A follow-up read, ready.
#[derive(Debug)]
pub struct EnrichPlan {
    /// Its name.
    pub name: String,
    /// What the manifest says.
    pub spec: Enrich,
    /// The request.
    pub request: RequestTemplate,
    /// The request for the rest of one record's list.
    pub more: Option<RequestTemplate>,
}

/// Reading one record, ready.
#[derive(Debug)]
pub struct OnePlan {
    /// The request.
    pub request: RequestTemplate,
    /// Where the record is.
    pub frame: Frame,
    /// Path of the record in the reply.
    pub record: Option<String>,
    /// Follow-up reads.
    pub enrich: Vec<Arc<EnrichPlan>>,
}

/// A write, ready.
#[derive(Debug)]
pub struct WritePlan {
    /// What the manifest says.
    pub spec: WriteSpec,
    /// The request.
    pub request: RequestTemplate,
    /// How a create whose outcome is not known is looked for.
    pub probe: Vec<ProbePlan>,
}

/// An association, ready.
#[derive(Debug)]
pub struct LinkPlan {
    /// What the manifest says.
    pub spec: Link,
    /// What a create holds for one id.
    pub in_create: Option<JsonTemplate>,
    /// Reads the present ones.
    pub current: RequestTemplate,
    /// Adds one.
    pub add: RequestTemplate,
    /// Removes one.
    pub remove: RequestTemplate,
}

/// A list whose elements are records of their own, ready.
#[derive(Debug)]
pub struct PartPlan {
    /// What the manifest says.
    pub spec: Part,
    /// Reads the present ones.
    pub current: RequestTemplate,
    /// Adds one.
    pub add: RequestTemplate,
    /// Changes one.
    pub change: RequestTemplate,
    /// Removes one.
    pub remove: RequestTemplate,
}

impl ResourcePlan {
    /// Whether plain reads may hold but the beginning of a list, which a follow-up read completes.
    pub fn goes_on_inline(&self) -> bool {
        self.enrich.values().any(|plan| plan.spec.more.as_ref().is_some_and(|more| more.inline.is_some()))
    }

    /// The CRM's name of the object, for a call about what lives in `parent`.
    pub fn object(&self, parent: Option<&str>) -> Option<Arc<str>> {
        match self.spec.object.as_deref() {
            Some("{parent}") => parent.map(Arc::from),
            object => object.map(Arc::from),
        }
    }
}
