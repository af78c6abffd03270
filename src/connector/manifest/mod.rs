//! What a connector's `manifest.yaml` says: the serde types, one per key, in the words of `connectors/README.md`.
//!
//! Reading order: here the head · [`mod@auth`] · [`errors`] · [`discover`] · [`resource`] · [`mod@list`] · [`paging`].

pub mod auth;
pub mod discover;
pub mod errors;
pub mod list;
pub mod paging;
pub mod resource;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::model::Resource;

pub use auth::{Auth, Basic, ClientAuth, GrantKind, OAuth2, RefreshToken, Sign, Urls};
pub use discover::{Discover, DiscoverField, DiscoverOptions, PathIs};
pub use errors::{ErrorList, ErrorRule, Errors, Meaning, RateLimit, Retry};
pub use list::{Directions, Enrich, FilterSpec, Hydrate, ListSpec, More, Reshape, ReshapeKey, SortSpec};
pub use paging::{KeysetOps, PageSize, Paging};
pub use resource::{
    Current, Link, OneSpec, Part, ProbeSpec, RequestSpec, ResourceSpec, SourceSpec, WriteSpec,
};

/// A whole manifest.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The service id; also the folder's name.
    pub connector: String,
    /// What users see.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// The vendor's site.
    #[serde(default)]
    pub website: Option<String>,
    /// How grown up the connector is.
    #[serde(default)]
    pub status: Status,
    /// Templates of the API's base URL: the first whose names all have values.
    pub base_url: Vec<String>,
    /// How requests are authorised.
    pub auth: Auth,
    /// Form fields of a connection.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// Headers of every request.
    #[serde(default)]
    pub headers: Headers,
    /// What ids look like, as a regular expression over the whole id: a call that names another is told that there is no
    /// such record, and nothing is sent. Resources may differ.
    #[serde(default)]
    pub id: Option<String>,
    /// The longest URL that the CRM takes, in bytes; 8000 unless said.
    #[serde(default = "default_url_limit")]
    pub url_limit_bytes: usize,
    /// Pages that one call may read to filter or sort what the CRM cannot; the gateway's setting where it is lower.
    #[serde(default)]
    pub scan_pages: Option<u32>,
    /// How replies that are not what was asked for are told apart.
    #[serde(default)]
    pub errors: Errors,
    /// Where replies say how much may still be asked.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// When a request is sent again.
    #[serde(default)]
    pub retry: Retry,
    /// Calls that ask a CRM for the definitions of its fields.
    #[serde(default)]
    pub discover: BTreeMap<String, Discover>,
    /// What several resources have in common; a resource takes one over with `like`. Merged before anything else is read.
    #[serde(default)]
    pub patterns: BTreeMap<String, Value>,
    /// What the CRM can do, resource by resource.
    pub resources: BTreeMap<Resource, ResourceSpec>,
}

fn default_url_limit() -> usize {
    8000
}

/// How grown up a connector is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use.
    #[default]
    Live,
    /// Complete, not yet proven.
    Beta,
}

/// One form field of a connection.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The setting's id.
    pub id: String,
    /// What users see.
    pub label: String,
    /// Whether the connection cannot be called without it.
    #[serde(default)]
    pub required: bool,
    /// How it is entered.
    #[serde(default, rename = "type")]
    pub kind: SettingKind,
    /// The choices of a select.
    #[serde(default)]
    pub options: Vec<SettingOption>,
    /// What stands in the empty field.
    #[serde(default)]
    pub placeholder: Option<String>,
    /// A sentence below it.
    #[serde(default)]
    pub description: Option<String>,
}

/// How a setting is entered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SettingKind {
    /// One line of text.
    #[default]
    Text,
    /// Several lines.
    Textarea,
    /// A web address.
    Url,
    /// An e-mail address.
    Email,
    /// A number.
    Number,
    /// Yes or no.
    Checkbox,
    /// One of several choices.
    Select,
}

impl SettingKind {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            SettingKind::Text => "text",
            SettingKind::Textarea => "textarea",
            SettingKind::Url => "url",
            SettingKind::Email => "email",
            SettingKind::Number => "number",
            SettingKind::Checkbox => "checkbox",
            SettingKind::Select => "select",
        }
    }
}

/// One choice of a select.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingOption {
    /// What is stored.
    pub value: String,
    /// What users see.
    pub label: String,
}

/// Headers of every request.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Headers {
    /// Headers that are always sent.
    #[serde(default)]
    pub send: BTreeMap<String, String>,
    /// Headers that are never sent, whoever asks for them.
    #[serde(default)]
    pub never: Vec<String>,
}
