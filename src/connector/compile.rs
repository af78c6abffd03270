//! A manifest compiled: every template, path and codec parsed, every fault collected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::manifest::{
    Discover, Enrich, Hydrate, Link, ListSpec, Manifest, OneSpec, Paging, RequestSpec, ResourceSpec, Sign,
    SortSpec, WriteSpec,
};
use super::request::RequestTemplate;
use super::template::{JsonTemplate, Template};
use crate::mapping::fault::nearest;
use crate::mapping::{Codec, Frame, Mapping};
use crate::model::{LimitHeaders, Policy, Resource, Safety, Verb};

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
    /// Discoveries by name.
    pub discover: BTreeMap<String, DiscoverPlan>,
    /// Resources with a mapping.
    pub resources: BTreeMap<Resource, ResourcePlan>,
}

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
    /// The several objects that are this one resource; nothing else then stands here.
    pub sources: Vec<SourcePlan>,
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

/// One fault of a manifest: where (a JSON pointer) and what.
pub type PointedFault = (String, String);

impl ResourcePlan {
    /// The CRM's name of the object, for a call about what lives in `parent`.
    pub fn object(&self, parent: Option<&str>) -> Option<Arc<str>> {
        match self.spec.object.as_deref() {
            Some("{parent}") => parent.map(Arc::from),
            object => object.map(Arc::from),
        }
    }
}

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
        let policy = compile_policy(&manifest, &mut faults);
        (Connector { manifest, base_url, sign, headers, never, policy, discover, resources }, faults.0)
    }

    /// Whether a call of that resource and verb can be served.
    pub fn can(&self, resource: Resource, verb: Verb) -> bool {
        self.resources.get(&resource).is_some_and(|plan| plan.spec.can(verb))
    }
}

fn compile_policy(manifest: &Manifest, faults: &mut Faults) -> Policy {
    let retry = &manifest.retry;
    let mut statuses = |at: &str, statuses: &[u16]| {
        statuses
            .iter()
            .filter_map(|status| {
                faults.ok(at, StatusCode::from_u16(*status).map_err(|_| format!("{status} is no status")))
            })
            .collect()
    };
    let retry_read = statuses("/retry/statuses", &retry.statuses);
    let retry_write = statuses("/retry/write_statuses", &retry.write_statuses);
    let mut secret_headers = Vec::new();
    let mut secret_query = Vec::new();
    for sign in &manifest.auth.sign {
        secret_headers
            .extend(sign.headers.keys().filter_map(|name| HeaderName::try_from(name.as_str()).ok()));
        secret_query.extend(sign.query.keys().cloned());
    }
    let mut limits = Vec::new();
    if let Some(rate) = &manifest.rate_limit
        && let (Some(remaining), Some(reset), Some(unit)) = (&rate.remaining, &rate.reset, rate.reset_unit)
        && let (Ok(remaining), Ok(reset)) =
            (HeaderName::try_from(remaining.as_str()), HeaderName::try_from(reset.as_str()))
    {
        limits.push(LimitHeaders { remaining, reset, unit });
    }
    Policy {
        attempts: retry.attempts.max(1),
        backoff: Duration::from_millis(retry.base_ms),
        backoff_max: Duration::from_millis(retry.max_ms),
        retry_read,
        retry_write,
        secret_headers,
        secret_query,
        limits,
        ..Policy::default()
    }
}

fn compile_sign(at: &str, sign: &Sign, faults: &mut Faults) -> SignTemplate {
    let headers = sign
        .headers
        .iter()
        .filter_map(|(name, text)| {
            let at = format!("{at}/headers/{name}");
            let header = faults
                .ok(&at, HeaderName::try_from(name.as_str()).map_err(|_| "not a header name".to_owned()))?;
            Some((header, faults.ok(&at, Template::parse(text))?))
        })
        .collect();
    let query = sign
        .query
        .iter()
        .filter_map(|(name, text)| {
            Some((name.clone(), faults.ok(&format!("{at}/query/{name}"), Template::parse(text))?))
        })
        .collect();
    let basic = sign.basic.as_ref().and_then(|basic| {
        let user = faults.ok(&format!("{at}/basic/user"), Template::parse(&basic.user))?;
        Some((user, faults.ok(&format!("{at}/basic/password"), Template::parse(&basic.password))?))
    });
    SignTemplate { headers, query, basic }
}

fn compile_resource(
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
            Some((name.clone(), Arc::new(EnrichPlan { name: name.clone(), spec: enrich.clone(), request })))
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
        Some(WritePlan { spec: write.clone(), request })
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
            let add = faults.request(&format!("{at}/add"), &step("add"), &link.add, Safety::Read);
            let remove = faults.request(&format!("{at}/remove"), &step("remove"), &link.remove, Safety::Read);
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
    let id_path = mapping.id_path().unwrap_or_else(|| "id".to_owned());
    let sources = Vec::new();
    let spec = spec.clone();
    ResourcePlan { spec, mapping, id_path, list, one, create, update, delete, enrich, links, sources }
}

/// A resource that is several objects of the CRM.
fn compile_sources(
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
        sources,
    })
}

fn compile_list(
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

/// What is added to a fault about a mistyped word: the known one that is near enough, as a question.
pub fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a String>) -> String {
    nearest(word, known.into_iter().map(String::as_str))
        .map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
}

/// Whether a request has that placeholder anywhere.
fn uses(request: &RequestSpec, name: &str) -> bool {
    let placeholder = format!("{{{name}}}");
    request.path.contains(&placeholder)
        || request.query.values().any(|text| text.contains(&placeholder))
        || request.body.as_ref().is_some_and(|body: &Value| body.to_string().contains(&placeholder))
}

#[derive(Default)]
struct Faults(Vec<PointedFault>);

impl Faults {
    fn add(&mut self, at: &str, message: impl Into<String>) {
        self.0.push((at.to_owned(), message.into()));
    }

    fn ok<T>(&mut self, at: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(at, message)).ok()
    }

    fn texts<'a>(&mut self, at: &str, texts: impl Iterator<Item = &'a String>) -> Vec<Template> {
        texts
            .enumerate()
            .filter_map(|(index, text)| self.ok(&format!("{at}/{index}"), Template::parse(text)))
            .collect()
    }

    fn request(
        &mut self,
        at: &str,
        step: &str,
        spec: &RequestSpec,
        safety: Safety,
    ) -> Option<RequestTemplate> {
        match RequestTemplate::compile(step, spec, safety) {
            Ok(request) => Some(request),
            Err(messages) => {
                for message in messages {
                    self.add(at, message);
                }
                None
            }
        }
    }
}
