//! One exchange with a CRM's token endpoint: the request as RFC 6749 has it, the reply as CRMs do it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthorizationCode, Client, ClientId, ClientSecret, ExtraTokenFields, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, ResourceOwnerPassword, ResourceOwnerUsername, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use crate::model::Secret;

/// Sends a request and gives the whole reply; follows no redirect, adds no credentials.
pub type HttpClient = Arc<dyn Fn(Request<Vec<u8>>) -> Sending + Send + Sync>;

/// A reply on its way.
pub type Sending = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, Transport>> + Send>>;

/// Why no reply came.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{says}")]
pub struct Transport {
    /// What happened.
    pub says: String,
    /// Whether the request surely did not arrive.
    pub unsent: bool,
}

/// How an OAuth client proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the `Authorization` header.
    Basic,
    /// As `client_id` and `client_secret` in the body.
    Body,
}

/// A CRM's token endpoint, as its manifest describes it for one connection.
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    /// The whole URL, overrides applied.
    pub url: Url,
    /// How the OAuth client proves itself.
    pub client_auth: ClientAuth,
    /// Further form fields.
    pub extra_params: Vec<(String, String)>,
    /// Values to keep from the reply: JSON key and the name that it is kept under.
    pub capture: Vec<(String, String)>,
    /// Error codes of this CRM, besides those of RFC 6749, after which the refresh token is dead.
    pub final_errors: Vec<String>,
    /// How long an access token lives, in seconds, where the reply does not say.
    pub expires_in_s: Option<u64>,
}

/// The OAuth client of an application.
#[derive(Debug, Clone, Copy)]
pub struct OAuthClient<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its secret; none for a public client.
    pub secret: Option<&'a Secret>,
}

/// What a token endpoint granted.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The access token.
    pub access_token: Secret,
    /// A refresh token; none where the one in use stays.
    pub refresh_token: Option<Secret>,
    /// How long the access token lasts, in seconds; none where neither the CRM nor its manifest says.
    pub expires_in: Option<u64>,
    /// Its scopes; none where the CRM does not say.
    pub scope: Option<String>,
    /// Captured values, by the name that they are kept under.
    pub captured: BTreeMap<String, String>,
}

/// Why nothing was granted. `says` holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Never will be: the grant or the client is no good any more.
    Final {
        /// The CRM's code, such as `invalid_grant`.
        code: String,
        /// What the CRM says.
        says: String,
    },
    /// Later it may be.
    Transient {
        /// What happened.
        says: String,
        /// When the CRM wants to be asked again, in milliseconds.
        retry_after_ms: Option<u64>,
        /// Whether it may have been granted all the same: nobody heard how it ended.
        unanswered: bool,
    },
}

/// Codes after which the same grant is refused for ever (RFC 6749, section 5.2).
const FINAL: [&str; 3] = ["invalid_grant", "invalid_client", "unauthorized_client"];

/// What is exchanged for tokens.
#[derive(Debug, Clone, Copy)]
pub enum Offer<'a> {
    /// A refresh token.
    Refresh(&'a Secret),
    /// The code that the CRM's authorize page gave.
    Code {
        /// The code.
        code: &'a Secret,
        /// The redirect URI that it was given to.
        redirect_uri: &'a str,
        /// The secret half of the PKCE challenge, where one was sent.
        verifier: Option<&'a Secret>,
    },
    /// The client alone.
    Client {
        /// Scopes asked for, as they stand in the request.
        scope: &'a str,
    },
    /// A user's own name and password.
    Password {
        /// The name.
        username: &'a Secret,
        /// The password.
        password: &'a Secret,
        /// Scopes asked for, as they stand in the request.
        scope: &'a str,
    },
}

impl<'a> Offer<'a> {
    fn secrets(&self) -> Vec<&'a Secret> {
        match *self {
            Offer::Refresh(token) => vec![token],
            Offer::Code { code, verifier, .. } => std::iter::once(code).chain(verifier).collect(),
            Offer::Client { .. } => Vec::new(),
            Offer::Password { username, password, .. } => vec![username, password],
        }
    }
}

/// Gets tokens for what is offered.
pub async fn exchange(
    http: &HttpClient,
    endpoint: &TokenEndpoint,
    client: OAuthClient<'_>,
    offer: Offer<'_>,
) -> Result<Grant, Refusal> {
    let mut oauth: TokenClient =
        Client::new(ClientId::new(client.id.to_owned())).set_auth_type(match endpoint.client_auth {
            ClientAuth::Basic => AuthType::BasicAuth,
            ClientAuth::Body => AuthType::RequestBody,
        });
    if let Some(secret) = client.secret {
        oauth = oauth.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
    }
    let oauth = oauth.set_token_uri(TokenUrl::from_url(endpoint.url.clone()));
    let send = |request| send(http.clone(), request);
    let extra = endpoint.extra_params.iter();
    let outcome = match offer {
        Offer::Refresh(token) => {
            let token = RefreshToken::new(token.expose().to_owned());
            let request = oauth.exchange_refresh_token(&token);
            let request = extra.fold(request, |request, (name, value)| request.add_extra_param(name, value));
            request.request_async(&send).await
        }
        Offer::Code { code, redirect_uri, verifier } => {
            let to = RedirectUrl::new(redirect_uri.to_owned()).map_err(|error| Refusal::Transient {
                says: error.to_string(),
                retry_after_ms: None,
                unanswered: false,
            })?;
            let mut request = oauth
                .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
                .set_redirect_uri(Cow::Owned(to));
            if let Some(verifier) = verifier {
                request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
            }
            let request = extra.fold(request, |request, (name, value)| request.add_extra_param(name, value));
            request.request_async(&send).await
        }
        Offer::Client { scope } => {
            let request = oauth.exchange_client_credentials();
            let scope =
                Some(scope).filter(|scope| !scope.is_empty()).map(|scope| Scope::new(scope.to_owned()));
            let request = request.add_scopes(scope);
            let request = extra.fold(request, |request, (name, value)| request.add_extra_param(name, value));
            request.request_async(&send).await
        }
        Offer::Password { username, password, scope } => {
            let username = ResourceOwnerUsername::new(username.expose().to_owned());
            let password = ResourceOwnerPassword::new(password.expose().to_owned());
            let request = oauth.exchange_password(&username, &password);
            let scope =
                Some(scope).filter(|scope| !scope.is_empty()).map(|scope| Scope::new(scope.to_owned()));
            let request = request.add_scopes(scope);
            let request = extra.fold(request, |request, (name, value)| request.add_extra_param(name, value));
            request.request_async(&send).await
        }
    };
    let secrets: Vec<&Secret> = offer.secrets().into_iter().chain(client.secret).collect();
    outcome.map(|reply| granted(&reply, endpoint)).map_err(|error| refused(error, endpoint, &secrets))
}

type TokenClient = Client<
    BasicErrorResponse,
    Reply,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;
type Reply = StandardTokenResponse<Extra, BasicTokenType>;

/// What a reply holds besides the standard's own keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Extra(Map<String, Value>);

impl ExtraTokenFields for Extra {}

fn granted(reply: &Reply, endpoint: &TokenEndpoint) -> Grant {
    let captured = endpoint.capture.iter().filter_map(|(key, name)| {
        let value = match reply.extra_fields().0.get(key)? {
            Value::String(text) => text.clone(),
            Value::Null => return None,
            other => other.to_string(),
        };
        Some((name.clone(), value))
    });
    Grant {
        access_token: Secret::new(reply.access_token().secret()),
        refresh_token: reply.refresh_token().map(|token| Secret::new(token.secret())),
        expires_in: reply.expires_in().map(|life| life.as_secs()).or(endpoint.expires_in_s),
        scope: reply
            .scopes()
            .map(|scopes| scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")),
        captured: captured.collect(),
    }
}

fn refused(
    error: RequestTokenError<Unsent, BasicErrorResponse>,
    endpoint: &TokenEndpoint,
    secrets: &[&Secret],
) -> Refusal {
    match error {
        RequestTokenError::ServerResponse(reply) => {
            let code = reply.error().as_ref().to_owned();
            let words = reply.error_description().map_or("", String::as_str);
            let says = redacted(&format!("{code}: {words}"), secrets);
            let says = says.trim_end_matches([':', ' ']).to_owned();
            if FINAL.contains(&code.as_str()) || endpoint.final_errors.contains(&code) {
                Refusal::Final { code: redacted(&code, secrets), says }
            } else {
                Refusal::Transient { says, retry_after_ms: None, unanswered: false }
            }
        }
        RequestTokenError::Request(Unsent { says, retry_after_ms, unanswered }) => {
            Refusal::Transient { says: redacted(&says, secrets), retry_after_ms, unanswered }
        }
        // The reply's text is left out: it may hold tokens.
        RequestTokenError::Parse(..) => {
            let says = "the token endpoint's reply is not a token reply".to_owned();
            Refusal::Transient { says, retry_after_ms: None, unanswered: true }
        }
        RequestTokenError::Other(says) => {
            Refusal::Transient { says: redacted(&says, secrets), retry_after_ms: None, unanswered: false }
        }
    }
}

/// The text without the secrets, and not longer than a sentence or three.
pub(super) fn redacted(text: &str, secrets: &[&Secret]) -> String {
    let text = secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "***"));
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(300).collect()
}

/// No reply that could say anything about the grant.
#[derive(Debug, thiserror::Error)]
#[error("{says}")]
struct Unsent {
    says: String,
    retry_after_ms: Option<u64>,
    unanswered: bool,
}

async fn send(http: HttpClient, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Unsent> {
    let reply = http(request).await.map_err(|Transport { says, unsent }| Unsent {
        says,
        retry_after_ms: None,
        unanswered: !unsent,
    })?;
    let status = reply.status();
    let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if status.is_server_error() || busy || status.is_redirection() {
        let seconds = reply
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
        return Err(Unsent {
            says: format!("the token endpoint answered {status}"),
            retry_after_ms: seconds.map(|seconds| seconds.saturating_mul(1000)),
            unanswered: status.is_server_error(),
        });
    }
    normalised(status, reply.body()).ok_or_else(|| Unsent {
        says: format!("the token endpoint answered {status} without a JSON object"),
        retry_after_ms: None,
        unanswered: true,
    })
}

/// The reply as RFC 6749 wants it. None if it is no JSON object.
///
/// Real replies lack `token_type` (HubSpot's own is lower case, Zoho leaves it out of errors), give `expires_in` as text,
/// separate scopes by commas (Pipedrive) or as a list, and say 200 with an `error` inside (Zoho).
fn normalised(status: StatusCode, body: &[u8]) -> Option<Response<Vec<u8>>> {
    let mut reply: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Object(_) | Value::Array(_) => Some(value.to_string()),
        other => Some(other.to_string()),
    };
    let find = |reply: &Map<String, Value>, keys: &[&str]| {
        keys.iter().find_map(|key| reply.get(*key).and_then(text))
    };
    let access_token = find(&reply, &["access_token"]);
    if !status.is_success() || access_token.is_none() {
        // HubSpot names the code `status`, and has the words in `message`.
        let code = find(&reply, &["error", "status", "errorType", "code"])
            .unwrap_or_else(|| "no_access_token".to_owned());
        let words = find(&reply, &["error_description", "message", "error_info"]);
        return json_reply(StatusCode::BAD_REQUEST, &json!({ "error": code, "error_description": words }));
    }
    reply.remove("error");
    let lifetime = reply
        .remove("expires_in_sec")
        .filter(|value| !value.is_null())
        .or_else(|| reply.remove("expires_in"));
    reply.remove("expires_in");
    if let Some(seconds) = lifetime.as_ref().and_then(whole_seconds) {
        reply.insert("expires_in".to_owned(), seconds.into());
    }
    if find(&reply, &["token_type"]).is_none() {
        reply.insert("token_type".to_owned(), "bearer".into());
    }
    if find(&reply, &["refresh_token"]).is_none() {
        reply.remove("refresh_token");
    }
    let scope = match reply.remove("scope").or_else(|| reply.remove("scopes")) {
        Some(Value::Array(scopes)) => scopes.iter().filter_map(text).collect::<Vec<_>>().join(" "),
        Some(Value::String(scopes)) => {
            scopes.split([',', ' ']).filter(|scope| !scope.is_empty()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    };
    if !scope.is_empty() {
        reply.insert("scope".to_owned(), scope.into());
    }
    json_reply(StatusCode::OK, &Value::Object(reply))
}

/// A lifetime in whole seconds, from a number or a text; none where it makes no sense.
fn whole_seconds(value: &Value) -> Option<u64> {
    let seconds = match value {
        Value::String(text) => text.trim().parse::<f64>().ok()?,
        other => other.as_f64()?,
    };
    // Ten years: what is longer is in other units, or means never.
    let sensible = (1.0..315_360_000.0).contains(&seconds);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    sensible.then_some(seconds as u64)
}

fn json_reply(status: StatusCode, body: &Value) -> Option<Response<Vec<u8>>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(body).ok()?)
        .ok()
}

#[cfg(test)]
mod tests;
