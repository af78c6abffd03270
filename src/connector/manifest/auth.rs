//! How requests are authorised.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Setting;

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
    /// Where users consent; needed for the grant `authorization_code`.
    #[serde(default)]
    pub authorize_url: Option<Urls>,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: Urls,
    /// Where tokens are revoked (RFC 7009).
    #[serde(default)]
    pub revoke_url: Option<Urls>,
    /// Hosts that the URLs above may lead to once their names are filled in: `accounts.crm.example`, `*.crm.example`, or
    /// with a scheme a whole origin. Needed where a URL has names.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// How tokens can be had.
    #[serde(default = "default_grants")]
    pub grants: Vec<GrantKind>,
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
    /// How long an access token lives, in seconds, where the reply does not say; without it, until a call is refused.
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
    /// Query parameters of the callback that the connection keeps, and under which name.
    #[serde(default)]
    pub capture_callback: BTreeMap<String, String>,
}

/// One URL template, or several: the first whose names all have values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Urls {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Urls {
    /// The templates in order.
    pub fn all(&self) -> &[String] {
        match self {
            Urls::One(url) => std::slice::from_ref(url),
            Urls::Several(urls) => urls,
        }
    }
}

/// How tokens can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// A user consents in the browser.
    AuthorizationCode,
    /// The client itself: the connection's own `client_id` and `client_secret`, or the integration's.
    ClientCredentials,
    /// The connection's `username` and `password`.
    Password,
}

fn default_grants() -> Vec<GrantKind> {
    vec![GrantKind::AuthorizationCode]
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
