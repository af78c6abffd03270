//! What a CRM can do with one resource, and requests as templates.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Enrich, ListSpec};
use crate::model::Verb;

/// A request, as templates.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// The method.
    #[serde(default = "default_method")]
    pub method: String,
    /// The path below the base URL; placeholders are percent-encoded.
    pub path: String,
    /// Query parameters; one whose placeholder has no value is left out.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers besides the manifest's.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A JSON body.
    #[serde(default)]
    pub body: Option<Value>,
    /// Whether the body is sent as a form instead.
    #[serde(default)]
    pub form: bool,
    /// The step's name in warnings, logs and a body's `pass_through`; made of resource, part and what is done unless said.
    #[serde(default)]
    pub operation_id: Option<String>,
}

fn default_method() -> String {
    "GET".to_owned()
}

/// What a CRM can do with one resource.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceSpec {
    /// The pattern that this entry fills in; lists of named entries merge by name, other lists replace.
    #[serde(default)]
    pub like: Option<String>,
    /// The CRM's name of the object: `{object}` in every template of the resource. `{parent}` is the id of what the
    /// resource lives in, as the call names it.
    #[serde(default)]
    pub object: Option<String>,
    /// Which discovery describes the resource's fields.
    #[serde(default)]
    pub fields: Option<String>,
    /// Where in a record the keys stand that must be asked for by name, such as `properties`.
    #[serde(default)]
    pub ask_below: Option<String>,
    /// Ways to list, the first that can do what a call asks.
    #[serde(default)]
    pub list: Vec<ListSpec>,
    /// Reading one record.
    #[serde(default)]
    pub one: Option<OneSpec>,
    /// Creating a record.
    #[serde(default)]
    pub create: Option<WriteSpec>,
    /// Updating a record.
    #[serde(default)]
    pub update: Option<WriteSpec>,
    /// Deleting a record.
    #[serde(default)]
    pub delete: Option<WriteSpec>,
    /// Follow-up reads that complete records, by name.
    #[serde(default)]
    pub enrich: BTreeMap<String, Enrich>,
    /// Associations that are not part of a record's body, by the name that mappings use.
    #[serde(default)]
    pub links: BTreeMap<String, Link>,
    /// Lists in a record whose elements the CRM keeps as records of their own, written by calls of their own.
    #[serde(default)]
    pub parts: BTreeMap<String, Part>,
    /// What ids look like, as a regular expression over the whole id; the manifest's `id` unless said.
    #[serde(default)]
    pub id: Option<String>,
    /// The CRM's several objects that are this one resource, in the order in which they are listed. Each has a mapping
    /// file of its own, `<resource>.<name>.yaml`, whose `id` has a prefix of its own; nothing else stands beside them.
    #[serde(default)]
    pub sources: Vec<SourceSpec>,
    /// The unified field, also a filter, that tells the sources apart, such as `type`.
    #[serde(default)]
    pub split_by: Option<String>,
}

/// One of several objects that are one resource.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// Its name, as in its mapping file's.
    pub name: String,
    /// What the field that splits the resource says of its records.
    pub is: String,
    /// What the CRM can do with it.
    pub resource: ResourceSpec,
}

impl ResourceSpec {
    /// The same with that pattern of ids, where it has none of its own.
    pub fn with_id(&self, id: Option<&str>) -> ResourceSpec {
        let mut spec = self.clone();
        for spec in
            std::iter::once(&mut spec.id).chain(spec.sources.iter_mut().map(|source| &mut source.resource.id))
        {
            if spec.is_none() {
                *spec = id.map(str::to_owned);
            }
        }
        spec
    }

    /// Whether the CRM can do that.
    pub fn can(&self, verb: Verb) -> bool {
        if self.sources.iter().any(|source| source.resource.can(verb)) {
            return true;
        }
        match verb {
            Verb::List => !self.list.is_empty(),
            Verb::One => self.one.is_some(),
            Verb::Create => self.create.is_some(),
            Verb::Update => self.update.is_some(),
            Verb::Delete => self.delete.is_some(),
        }
    }
}

/// Reading one record. Templates take `{id}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneSpec {
    /// The request.
    pub request: RequestSpec,
    /// Where the record is; the reply itself unless said.
    #[serde(default)]
    pub record: Option<String>,
    /// Follow-up reads, by name.
    #[serde(default)]
    pub enrich: Vec<String>,
}

/// Creating, updating or deleting a record. Templates take `{id}`, `{body}`, `{body.key}` and `{links}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteSpec {
    /// The request.
    pub request: RequestSpec,
    /// Path of the new record's id in the reply; for updates and deletes the call's id is known.
    #[serde(default)]
    pub id: Option<String>,
    /// Paths that an update's body must have for the request to be worth sending, such as `properties`.
    #[serde(default)]
    pub skip_when_empty: Option<String>,
    /// How a create whose outcome is not known is looked for; the first that has what it looks by.
    #[serde(default)]
    pub probe: Vec<ProbeSpec>,
}

/// A read that finds what an earlier try of a create has made. Templates take `{sent.key}` from the body that was sent, and
/// `{since}` or `{since_ms}`: no record made before is meant.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// The way's name, for logs.
    pub name: String,
    /// Paths in the body that was sent, and where a record has the same: all must have a value for this way to be taken,
    /// and a record that differs in one is not meant.
    pub by: BTreeMap<String, String>,
    /// The request; it changes nothing, whatever its method.
    pub request: RequestSpec,
    /// Where the records are in the reply; without it the reply itself is the record.
    #[serde(default)]
    pub records: Option<String>,
    /// Where in each of them the record is.
    #[serde(default)]
    pub item: Option<String>,
    /// Path of a record's id.
    pub id: String,
    /// Path of the time at which a record was created.
    #[serde(default)]
    pub created: Option<String>,
    /// The codec of that time; `datetime` unless said.
    #[serde(default, rename = "as")]
    pub codec: Option<String>,
    /// The most records that a reply holds: a full one does not show that there are no others.
    #[serde(default)]
    pub full: Option<usize>,
    /// How long after a write the CRM may not show it here yet, in seconds.
    #[serde(default)]
    pub settle_s: u64,
}

/// An association that is not part of a record's body.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Whether a record has at most one.
    #[serde(default)]
    pub single: bool,
    /// What a create's `{links}` holds for one id, with `{to}`.
    #[serde(default)]
    pub in_create: Option<Value>,
    /// How the present ones are read, with `{id}`.
    pub current: Current,
    /// How one is added, with `{id}` and `{to}`.
    pub add: RequestSpec,
    /// How one is removed, with `{id}` and `{to}`.
    pub remove: RequestSpec,
    /// Whether the write has failed where this fails; else that is a warning.
    #[serde(default = "yes")]
    pub required: bool,
}

fn yes() -> bool {
    true
}

/// How what belongs to a record is read before it is changed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Current {
    /// The request, with `{id}` and, where it is paged, `{cursor}`.
    pub request: RequestSpec,
    /// Where they are in the reply.
    pub records: String,
    /// Path of the other record's id.
    pub id: String,
    /// A path that only the one shown by a single link has; without such an entry the first is it.
    #[serde(default)]
    pub shown: Option<String>,
    /// Path of the next page's `{cursor}`; absent or null at the end.
    #[serde(default)]
    pub next: Option<String>,
}

/// A list in a record whose elements the CRM keeps as records of their own, such as the stages of a pipeline.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The unified list; elements may name the one that they mean by `id`.
    pub field: String,
    /// Where the mapping writes the list in the body, which is then sent without it.
    pub at: String,
    /// Whether a create's body takes the list with it.
    #[serde(default)]
    pub in_create: bool,
    /// The element's key that says the same as in the CRM where no `id` does, such as its name.
    pub same: String,
    /// The element's key for its place in the list, where that has to be said.
    #[serde(default)]
    pub position: Option<String>,
    /// Keys of a present element that its change must repeat.
    #[serde(default)]
    pub keep: Vec<String>,
    /// How the present ones are read.
    pub current: Current,
    /// How one is added, with `{id}` and `{item}`.
    pub add: RequestSpec,
    /// How one is changed, with `{id}`, `{to}` and `{item}`.
    pub change: RequestSpec,
    /// How one is removed, with `{id}` and `{to}`.
    pub remove: RequestSpec,
    /// Whether the write has failed where this fails; else that is a warning.
    #[serde(default = "yes")]
    pub required: bool,
}
