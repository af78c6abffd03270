//! One exchange with a CRM's token endpoint: the request as RFC 6749 has it, the reply as CRMs do it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, Client, ClientId, ClientSecret, ExtraTokenFields, RefreshToken, RequestTokenError,
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
#[error("{0}")]
pub struct Transport(pub String);

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
    /// How long the access token lasts, in seconds; none where the CRM does not say.
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
    },
}

/// Codes after which the same grant is refused for ever (RFC 6749, section 5.2).
const FINAL: [&str; 3] = ["invalid_grant", "invalid_client", "unauthorized_client"];

/// Gets new tokens for a refresh token.
pub async fn refresh(
    http: &HttpClient,
    endpoint: &TokenEndpoint,
    client: OAuthClient<'_>,
    refresh_token: &Secret,
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
    let token = RefreshToken::new(refresh_token.expose().to_owned());
    let mut request = oauth.exchange_refresh_token(&token);
    for (name, value) in &endpoint.extra_params {
        request = request.add_extra_param(name, value);
    }
    let send = |request| send(http.clone(), request);
    let secrets: Vec<&Secret> = std::iter::once(refresh_token).chain(client.secret).collect();
    match request.request_async(&send).await {
        Ok(reply) => Ok(granted(&reply, endpoint)),
        Err(error) => Err(refused(error, endpoint, &secrets)),
    }
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
        expires_in: reply.expires_in().map(|life| life.as_secs()),
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
                Refusal::Transient { says, retry_after_ms: None }
            }
        }
        RequestTokenError::Request(Unsent { says, retry_after_ms }) => {
            Refusal::Transient { says: redacted(&says, secrets), retry_after_ms }
        }
        // The reply's text is left out: it may hold tokens.
        RequestTokenError::Parse(..) => {
            let says = "the token endpoint's reply is not a token reply".to_owned();
            Refusal::Transient { says, retry_after_ms: None }
        }
        RequestTokenError::Other(says) => {
            Refusal::Transient { says: redacted(&says, secrets), retry_after_ms: None }
        }
    }
}

/// The text without the secrets, and not longer than a sentence or three.
fn redacted(text: &str, secrets: &[&Secret]) -> String {
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
}

async fn send(http: HttpClient, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Unsent> {
    let reply = http(request).await.map_err(|Transport(says)| Unsent { says, retry_after_ms: None })?;
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
        });
    }
    normalised(status, reply.body()).ok_or_else(|| Unsent {
        says: format!("the token endpoint answered {status} without a JSON object"),
        retry_after_ms: None,
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
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn endpoint(client_auth: ClientAuth) -> TokenEndpoint {
        TokenEndpoint {
            url: Url::parse("http://127.0.0.1:1/token").unwrap(),
            client_auth,
            extra_params: vec![("redirect_uri".to_owned(), "https://a.example/cb".to_owned())],
            capture: vec![
                ("api_domain".to_owned(), "api_domain".to_owned()),
                ("hub_id".to_owned(), "portal".to_owned()),
            ],
            final_errors: vec!["BAD_REFRESH_TOKEN".to_owned()],
        }
    }

    type Seen = Arc<Mutex<Vec<Request<Vec<u8>>>>>;

    /// A client that answers all requests so, and keeps them.
    fn answering(status: u16, body: &str) -> (HttpClient, Seen) {
        let seen = Seen::default();
        let (kept, body) = (seen.clone(), body.to_owned());
        let client: HttpClient = Arc::new(move |request| {
            kept.lock().unwrap().push(request);
            let reply =
                Response::builder().status(status).header("retry-after", "7").body(body.clone().into_bytes());
            Box::pin(async move { Ok(reply.unwrap()) })
        });
        (client, seen)
    }

    async fn exchange(client_auth: ClientAuth, status: u16, body: &str) -> Result<Grant, Refusal> {
        let (client, _) = answering(status, body);
        let secret = Secret::new("cs-1");
        let oauth = OAuthClient { id: "c-1", secret: Some(&secret) };
        refresh(&client, &endpoint(client_auth), oauth, &Secret::new("rt-1")).await
    }

    #[tokio::test]
    async fn the_client_proves_itself_as_told() {
        let secret = Secret::new("cs-1");
        for client_auth in [ClientAuth::Basic, ClientAuth::Body] {
            let (client, seen) = answering(200, r#"{"access_token":"at","token_type":"bearer"}"#);
            let oauth = OAuthClient { id: "c-1", secret: Some(&secret) };
            refresh(&client, &endpoint(client_auth), oauth, &Secret::new("rt-1")).await.unwrap();
            let request = seen.lock().unwrap().remove(0);
            let form: BTreeMap<String, String> =
                url::form_urlencoded::parse(request.body()).into_owned().collect();
            assert_eq!(form["grant_type"], "refresh_token");
            assert_eq!(form["refresh_token"], "rt-1");
            assert_eq!(form["redirect_uri"], "https://a.example/cb");
            let header = request.headers().get("authorization").map(|value| value.to_str().unwrap());
            match client_auth {
                // c-1:cs-1
                ClientAuth::Basic => {
                    assert_eq!((header, form.get("client_secret")), (Some("Basic Yy0xOmNzLTE="), None))
                }
                ClientAuth::Body => {
                    assert_eq!(
                        (header, form["client_id"].as_str(), form["client_secret"].as_str()),
                        (None, "c-1", "cs-1")
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn replies_are_read_as_crms_write_them() {
        // body, expires_in, refresh token, scope
        let rows = [
            (
                r#"{"access_token":"at","token_type":"Bearer","expires_in":1800,"refresh_token":"rt-2","scope":"a b"}"#,
                Some(1800),
                Some("rt-2"),
                Some("a b"),
            ),
            (r#"{"access_token":"at"}"#, None, None, None),
            (
                r#"{"access_token":"at","expires_in":"3599","scope":"a,b , c"}"#,
                Some(3599),
                None,
                Some("a b c"),
            ),
            (r#"{"access_token":"at","expires_in":3599.5,"scope":["a","b"]}"#, Some(3599), None, Some("a b")),
            (r#"{"access_token":"at","expires_in":3600000,"expires_in_sec":3600}"#, Some(3600), None, None),
            (
                r#"{"access_token":"at","expires_in":null,"refresh_token":null,"scope":null}"#,
                None,
                None,
                None,
            ),
            (r#"{"access_token":"at","expires_in":"soon","refresh_token":""}"#, None, None, None),
            (r#"{"access_token":"at","expires_in":0,"error":null}"#, None, None, None),
            (r#"{"access_token":"at","expires_in":-1,"token_type":null}"#, None, None, None),
        ];
        for (body, expires_in, refresh_token, scope) in rows {
            let grant = exchange(ClientAuth::Body, 200, body)
                .await
                .unwrap_or_else(|error| panic!("{body}: {error:?}"));
            assert_eq!(grant.access_token.expose(), "at", "{body}");
            assert_eq!(grant.expires_in, expires_in, "{body}");
            assert_eq!(grant.refresh_token.as_ref().map(Secret::expose), refresh_token, "{body}");
            assert_eq!(grant.scope.as_deref(), scope, "{body}");
        }
    }

    #[tokio::test]
    async fn values_are_captured_under_their_names() {
        let body = r#"{"access_token":"at","api_domain":"https://acme.example","hub_id":62515,"other":"x"}"#;
        let captured = exchange(ClientAuth::Basic, 200, body).await.unwrap().captured;
        let expected = [("api_domain", "https://acme.example"), ("portal", "62515")];
        assert_eq!(captured, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[tokio::test]
    async fn refusals_are_final_or_not() {
        let finals = [
            (400, r#"{"error":"invalid_grant","error_description":"gone"}"#, "invalid_grant"),
            (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
            (400, r#"{"error":"unauthorized_client"}"#, "unauthorized_client"),
            (200, r#"{"error":"invalid_grant"}"#, "invalid_grant"),
            (
                400,
                r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or unknown refresh token"}"#,
                "BAD_REFRESH_TOKEN",
            ),
        ];
        for (status, body, expected) in finals {
            match exchange(ClientAuth::Body, status, body).await {
                Err(Refusal::Final { code, .. }) => assert_eq!(code, expected),
                other => panic!("{body}: {other:?}"),
            }
        }
        let transients = [
            (500, r#"{"error":"invalid_grant"}"#),
            (503, "oops"),
            (429, "{}"),
            (408, ""),
            (302, ""),
            (400, r#"{"error":"temporarily_unavailable"}"#),
            (400, r#"{"error":"invalid_request"}"#),
            (200, "<html>"),
            (200, "{}"),
            (200, "[]"),
            (403, "blocked"),
        ];
        for (status, body) in transients {
            let refusal = exchange(ClientAuth::Body, status, body).await;
            assert!(matches!(refusal, Err(Refusal::Transient { .. })), "{status} {body}: {refusal:?}");
        }
        let busy = exchange(ClientAuth::Body, 429, "").await;
        assert!(matches!(busy, Err(Refusal::Transient { retry_after_ms: Some(7000), .. })));
    }

    #[tokio::test]
    async fn what_the_crm_says_is_kept_but_no_secret() {
        let body = r#"{"error":"invalid_grant","error_description":"token rt-1 of cs-1\nis revoked"}"#;
        let refusal = exchange(ClientAuth::Body, 400, body).await.unwrap_err();
        let says = "invalid_grant: token *** of *** is revoked".to_owned();
        assert_eq!(refusal, Refusal::Final { code: "invalid_grant".to_owned(), says });
    }
}
