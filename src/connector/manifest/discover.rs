//! Calls that ask a CRM for the definitions of its fields.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Paging, RequestSpec};
use crate::model::FieldKind;

/// A call that asks for field definitions.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discover {
    /// The request.
    pub request: RequestSpec,
    /// Where the definitions are in the reply.
    pub records: String,
    /// How the definitions are paged, where they are.
    #[serde(default)]
    pub paging: Option<Paging>,
    /// Where a definition says what.
    pub field: DiscoverField,
    /// Where the reply lists the ids of fields that a new record must have, apart from the definitions.
    #[serde(default)]
    pub required: Option<String>,
    /// For how long an answer is kept, in seconds.
    #[serde(default = "default_discover_ttl")]
    pub ttl_s: u64,
}

impl Discover {
    /// Whether the CRM says which fields a new record must have.
    pub fn says_required(&self) -> bool {
        self.required.is_some() || !self.field.required.is_empty()
    }
}

fn default_discover_ttl() -> u64 {
    900
}

/// Paths within one field definition.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscoverField {
    /// The key under which values are sent.
    pub id: String,
    /// What users see.
    pub name: String,
    /// The description.
    #[serde(default)]
    pub description: Option<String>,
    /// Paths of the type; the first whose text is in `kinds`.
    pub kind: Vec<String>,
    /// The CRM's types and ours.
    pub kinds: BTreeMap<String, FieldKind>,
    /// When a field is the customer's own: a path and the text of its value.
    #[serde(default)]
    pub custom: Option<PathIs>,
    /// When a field is computed by the CRM: any of these.
    #[serde(default)]
    pub read_only: Vec<PathIs>,
    /// When a new record must have the field: any of these.
    #[serde(default)]
    pub required: Vec<PathIs>,
    /// Where a definition says what its values may be, beyond the type.
    #[serde(default)]
    pub limits: DiscoverLimits,
    /// The most characters of texts by kind, where the CRM's documentation says so and its definitions do not.
    #[serde(default)]
    pub max_lengths: BTreeMap<FieldKind, u64>,
    /// Where the options are.
    #[serde(default)]
    pub options: Option<DiscoverOptions>,
}

/// Paths of a definition's limits.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscoverLimits {
    /// The most characters of a text.
    #[serde(default)]
    pub max_length: Option<String>,
    /// The least number.
    #[serde(default)]
    pub minimum: Option<String>,
    /// The greatest number.
    #[serde(default)]
    pub maximum: Option<String>,
    /// The most decimals of a number.
    #[serde(default)]
    pub decimals: Option<String>,
}

/// A path and the text that its value must have, or must not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathIs {
    /// The path.
    pub path: String,
    /// The value's text, such as `true`.
    #[serde(default)]
    pub is: Option<String>,
    /// The text that the value must not have; no value has none.
    #[serde(default)]
    pub is_not: Option<String>,
}

/// Where a definition lists its options.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscoverOptions {
    /// The list's path.
    pub at: String,
    /// Path of an option's id.
    pub id: String,
    /// Path of an option's label.
    pub label: String,
}
