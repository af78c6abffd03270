//! How pages follow one another.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// How the page size is asked for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageSize {
    /// Whether the CRM heeds the size asked for on every endpoint; where not, a page is measured and never trusted.
    #[serde(default = "yes")]
    pub heeded: bool,
    /// The fewest records.
    #[serde(default = "one")]
    pub min: u32,
    /// The most records.
    pub max: u32,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// How pages follow one another. Templates take `{limit}`, and `{cursor}`, `{page}` or `{offset}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "a few per connector, made once")]
pub enum Paging {
    /// The reply holds a token for the next page: `{cursor}`.
    Cursor {
        /// Path of the token; absent or null at the end.
        next: String,
        /// Page sizes.
        size: PageSize,
    },
    /// The reply holds the next page's URL, absolute or relative.
    NextUrl {
        /// Path of the URL; none where a `Link: …; rel="next"` header has it.
        #[serde(default)]
        next: Option<String>,
        /// Page sizes.
        size: PageSize,
    },
    /// Pages are numbered: `{page}`.
    Page {
        /// The first page's number.
        #[serde(default = "first_page")]
        first: u64,
        /// Path of the last page's number; where there is none, a short page is the last.
        #[serde(default)]
        last: Option<String>,
        /// Page sizes.
        size: PageSize,
    },
    /// Records are counted: `{offset}`.
    Offset {
        /// Paths of a flag that says whether more follow, the first that is there; without any, a short page is the last.
        #[serde(default)]
        more: Vec<String>,
        /// Whether pages begin by the records delivered last, one of which every page holds again: exact under inserts and
        /// deletions.
        #[serde(default)]
        anchored: bool,
        /// Page sizes.
        size: PageSize,
    },
    /// Records are ordered and asked for by what follows the last one: exact under inserts, without any cap.
    Keyset {
        /// The id's path in a record.
        id: String,
        /// The id's name in clauses.
        id_name: String,
        /// The clause `{name} {op} {value}`, as text or JSON.
        clause: Value,
        /// The clause without a value, for `has` and `lacks`.
        bare_clause: Value,
        /// The CRM's words for the comparisons.
        ops: KeysetOps,
        /// Page sizes.
        size: PageSize,
    },
    /// The whole list comes at once; pages are cut from it.
    Whole,
}

fn first_page() -> u64 {
    1
}

/// A CRM's words for the comparisons of keyset paging.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeysetOps {
    /// Greater.
    pub gt: String,
    /// Less.
    pub lt: String,
    /// Equal.
    pub eq: String,
    /// Has any value.
    pub has: String,
    /// Has no value.
    pub lacks: String,
}
