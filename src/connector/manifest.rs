//! What a connector's `manifest.yaml` says: the serde types, one per key, in the words of `connectors/README.md`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::model::{FieldKind, ResetUnit, Resource, Verb};

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
    /// The longest URL that the CRM takes, in bytes; 8000 unless said.
    #[serde(default = "default_url_limit")]
    pub url_limit_bytes: usize,
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

/// How requests are authorised.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The OAuth 2 side, where the CRM has one.
    #[serde(default)]
    pub oauth2: Option<OAuth2>,
    /// Names of the secrets that a connection without OAuth holds, such as `api_key`.
    #[serde(default)]
    pub secrets: Vec<Setting>,
    /// How a request is signed: the first entry whose names all have values.
    pub sign: Vec<Sign>,
}

/// A CRM's OAuth 2 endpoints and oddities.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Where users consent.
    pub authorize_url: String,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: String,
    /// Where tokens are revoked.
    #[serde(default)]
    pub revoke_url: Option<String>,
    /// How the client proves itself at the token endpoint.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Scopes asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What stands between scopes.
    #[serde(default = "default_scope_separator")]
    pub scope_separator: String,
    /// Whether the CRM takes a PKCE challenge.
    #[serde(default)]
    pub pkce: bool,
    /// What becomes of a refresh token when it is used.
    #[serde(default)]
    pub refresh_token: RefreshToken,
    /// How long an access token lives, in seconds, where the reply does not say.
    #[serde(default)]
    pub expires_in_s: Option<u64>,
    /// Error codes after which a refresh token is dead, besides those of RFC 6749.
    #[serde(default)]
    pub final_errors: Vec<String>,
    /// Further parameters of the token request.
    #[serde(default)]
    pub token_params: BTreeMap<String, String>,
    /// Further parameters of the authorize URL.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
    /// Keys of the token reply that the connection keeps, and under which name.
    #[serde(default)]
    pub capture: BTreeMap<String, String>,
}

fn default_scope_separator() -> String {
    " ".to_owned()
}

/// How an OAuth client proves itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// In the form body.
    #[default]
    Body,
    /// In an `Authorization: Basic` header.
    Basic,
}

/// What becomes of a refresh token when it is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RefreshToken {
    /// It stays.
    #[default]
    Fixed,
    /// The reply holds a new one.
    Rotating,
    /// There is none.
    None,
}

/// One way to sign a request; templates over the connection's secrets, settings and captured values.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// Headers to add.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Query parameters to add.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// HTTP Basic credentials.
    #[serde(default)]
    pub basic: Option<Basic>,
}

/// HTTP Basic credentials, as templates.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user name.
    pub user: String,
    /// The password; often empty.
    #[serde(default)]
    pub password: String,
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
}

fn default_method() -> String {
    "GET".to_owned()
}

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
    /// For how long an answer is kept, in seconds.
    #[serde(default = "default_discover_ttl")]
    pub ttl_s: u64,
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
    /// Where the options are.
    #[serde(default)]
    pub options: Option<DiscoverOptions>,
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
    pub current: LinkCurrent,
    /// How one is added, with `{id}` and `{to}`.
    pub add: RequestSpec,
    /// How one is removed, with `{id}` and `{to}`.
    pub remove: RequestSpec,
}

/// How a record's present associations are read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkCurrent {
    /// The request.
    pub request: RequestSpec,
    /// Where they are in the reply.
    pub records: String,
    /// Path of the other record's id.
    pub id: String,
    /// A path that only the one shown by a single link has; without such an entry the first is it.
    #[serde(default)]
    pub shown: Option<String>,
}
