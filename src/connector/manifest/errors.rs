//! How a CRM says that something went wrong, how much may still be asked, and when to ask again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::ResetUnit;

/// How the CRM says that something went wrong.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// Paths of the message in an error's body; the first that is there.
    #[serde(default)]
    pub message: Vec<String>,
    /// Paths of the code; the first that is there.
    #[serde(default)]
    pub code: Vec<String>,
    /// A list of single errors in the body.
    #[serde(default)]
    pub each: Option<ErrorList>,
    /// What replies mean, the first that fits; after these the status decides.
    #[serde(default)]
    pub rules: Vec<ErrorRule>,
}

/// Where an error's body lists single errors.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorList {
    /// The list's path.
    pub at: String,
    /// Path of the message in an entry.
    #[serde(default)]
    pub message: Option<String>,
    /// Path of the code in an entry.
    #[serde(default)]
    pub code: Option<String>,
    /// Path of the place or context in an entry.
    #[serde(default)]
    pub detail: Option<String>,
}

/// What a reply means when all that the rule names fits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// The status, if it matters.
    #[serde(default)]
    pub status: Option<u16>,
    /// Paths in the body and the text of their value.
    #[serde(default)]
    pub when: BTreeMap<String, String>,
    /// Text that the body's message contains, letter case aside.
    #[serde(default)]
    pub says: Option<String>,
    /// What it means.
    pub is: Meaning,
}

/// What a downstream reply means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// It is the answer.
    Success,
    /// The answer is an empty list.
    Empty,
    /// The credentials are not accepted: refreshed and tried again once.
    Credentials,
    /// The credentials are good, but do not allow this.
    Forbidden,
    /// Too many requests.
    RateLimit,
    /// There is no such record.
    NotFound,
    /// Such a record exists already.
    Conflict,
    /// The CRM does not accept what was sent.
    Invalid,
    /// Anything else that went wrong.
    Failed,
}

/// Header names of a CRM's rate limit.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests allowed in a window.
    #[serde(default)]
    pub limit: Option<String>,
    /// Requests left.
    #[serde(default)]
    pub remaining: Option<String>,
    /// When the window ends.
    #[serde(default)]
    pub reset: Option<String>,
    /// What the number of `reset` means; where it is said, a connection with nothing left pauses until then.
    #[serde(default)]
    pub reset_unit: Option<ResetUnit>,
}

/// When a request is sent again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts in all.
    pub attempts: u32,
    /// Statuses after which a read is sent again.
    pub statuses: Vec<u16>,
    /// Statuses after which even a write surely did not happen, and is sent again.
    pub write_statuses: Vec<u16>,
    /// The first wait, in milliseconds; it doubles.
    pub base_ms: u64,
    /// The longest wait, in milliseconds.
    pub max_ms: u64,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            attempts: 3,
            statuses: vec![429, 502, 503, 504],
            write_statuses: vec![429],
            base_ms: 200,
            max_ms: 5_000,
        }
    }
}
