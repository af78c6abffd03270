//! Ways to list: filters, sorts, second calls and follow-up reads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Paging, RequestSpec};

/// One way to list records.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSpec {
    /// The way's name, for logs.
    pub name: String,
    /// The request.
    pub request: RequestSpec,
    /// Where the records are in the reply; the reply itself unless said.
    #[serde(default)]
    pub records: Option<String>,
    /// Where in each of them the record is.
    #[serde(default)]
    pub item: Option<String>,
    /// Where the reply says how many records there are in all.
    #[serde(default)]
    pub total: Option<String>,
    /// Unified filters that this way can apply.
    #[serde(default)]
    pub filters: BTreeMap<String, FilterSpec>,
    /// Filters without which this way is not taken.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Unified sorts that this way can apply.
    #[serde(default)]
    pub sorts: BTreeMap<String, SortSpec>,
    /// What a list without a sort is ordered by, so that counted records stay in their places.
    #[serde(default)]
    pub order: Option<String>,
    /// What stands between text clauses.
    #[serde(default)]
    pub clause_join: Option<String>,
    /// The CRM's words for the directions.
    #[serde(default)]
    pub directions: Directions,
    /// How pages follow one another.
    pub paging: Paging,
    /// Follow-up reads, by name.
    #[serde(default)]
    pub enrich: Vec<String>,
    /// A second call that reads the records whose ids the first one found.
    #[serde(default)]
    pub hydrate: Option<Hydrate>,
}

/// How one unified filter is applied.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterSpec {
    /// The codec of the value; text unless said.
    #[serde(default, rename = "as")]
    pub codec: Option<String>,
    /// The CRM's words for values; a value that is not here is refused.
    #[serde(default)]
    pub values: BTreeMap<String, Value>,
    /// The query parameter that takes it.
    #[serde(default)]
    pub query: Option<String>,
    /// One clause, text or JSON; `{value}` is the value. A list adds several.
    #[serde(default)]
    pub clause: Option<Value>,
    /// Clauses by value, where they differ in more than the value.
    #[serde(default)]
    pub clauses: BTreeMap<String, Value>,
    /// The fewest characters that the CRM takes.
    #[serde(default)]
    pub min_length: Option<usize>,
}

/// How one unified sort is applied.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SortSpec {
    /// The CRM's name for it.
    Name(String),
    /// The CRM's name and how its values are compared.
    Full {
        /// The CRM's name.
        by: String,
        /// Where a record has the value, for keyset paging.
        #[serde(default)]
        path: Option<String>,
        /// The codec of the value in a clause.
        #[serde(default, rename = "as")]
        codec: Option<String>,
    },
}

impl SortSpec {
    /// The CRM's name.
    pub fn by(&self) -> &str {
        match self {
            SortSpec::Name(by) | SortSpec::Full { by, .. } => by,
        }
    }
}

/// The CRM's words for the directions.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Directions {
    /// Ascending.
    pub asc: String,
    /// Descending.
    pub desc: String,
}

impl Default for Directions {
    fn default() -> Directions {
        Directions { asc: "asc".to_owned(), desc: "desc".to_owned() }
    }
}

/// A second call that reads the records that a first one found. Templates take `{ids}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hydrate {
    /// Path of the id in what the first call found.
    pub id: String,
    /// The request.
    pub request: RequestSpec,
    /// Where the records are.
    #[serde(default)]
    pub records: Option<String>,
    /// Path of the id in a record.
    pub key: String,
    /// Ids in one request.
    pub batch: usize,
}

/// A follow-up read that completes records. Templates take `{ids}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrich {
    /// Unified fields that it feeds: it is left out where none of them is wanted.
    pub feeds: Vec<String>,
    /// The request; it changes nothing, whatever its method.
    pub request: RequestSpec,
    /// Ids in one request; none where one request serves any number.
    #[serde(default)]
    pub batch: Option<usize>,
    /// Where the entries are in the reply.
    pub records: String,
    /// Path of the record's id in an entry.
    pub key: String,
    /// Where in a record the entries stand for the mapping.
    pub graft: String,
    /// Whether each record takes a list of all its entries, and not one entry.
    #[serde(default)]
    pub group: bool,
    /// How an entry becomes what a plain read would have held.
    #[serde(default)]
    pub reshape: Option<Reshape>,
    /// How entries are paged, where they are.
    #[serde(default)]
    pub paging: Option<Paging>,
    /// How the rest of one record's list is read, where an entry or a record holds but the beginning of it.
    #[serde(default)]
    pub more: Option<More>,
    /// Whether the call has failed where this read fails; else that is a warning.
    #[serde(default)]
    pub required: bool,
}

/// How the rest of one record's list is read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct More {
    /// Path of the `{cursor}` in an entry; absent or null where the entry is complete.
    pub at: String,
    /// Path of the `{cursor}` in a record that a plain read has completed itself.
    #[serde(default)]
    pub inline: Option<String>,
    /// The request, with `{id}` and `{cursor}`.
    pub request: RequestSpec,
    /// Where the further items are in the reply.
    pub records: String,
    /// Path of the next `{cursor}` in the reply.
    pub next: String,
}

/// Makes a list from a list in an entry.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The list's path in the entry.
    pub each: String,
    /// A list in each item; every one of its items makes an item of its own.
    #[serde(default)]
    pub spread: Option<String>,
    /// The new item's keys.
    pub keys: BTreeMap<String, ReshapeKey>,
}

/// Where a new item's key comes from: the spread item first, then the item.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReshapeKey {
    /// The path.
    pub from: String,
    /// Texts to replace.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}
