//! Pipedrive's authorize page and token endpoint: client credentials go in HTTP Basic.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;

use super::errors;
use crate::exchange::{Outcome, Reply, Request};
use crate::oauth::{Refusal, Tokens, consent_page};
use crate::vendor::Vendor;
use crate::world::{World, read, write};

/// What an installed app may do; fixed in the app, not asked for.
const SCOPES: &str = "base,deals:full,contacts:full,leads:full,activities:full,products:full,users:read,search:read,admin,webhooks:full";

/// Answers below `/oauth`.
pub fn answer(request: &Request, world: &World) -> Outcome {
    match (&request.method, request.parts().as_slice()) {
        (&Method::GET, ["oauth", "authorize"]) => authorize(request, world),
        (&Method::POST, ["oauth", "token"]) => token(request, world),
        (&Method::POST, ["oauth", "revoke"]) => {
            client(request, world)?;
            let form = request.form();
            let token = field(&form, "token");
            let token = if token.is_empty() { request.param("token").unwrap_or("") } else { token };
            write(&world.grants).revoke(Vendor::Pipedrive, token);
            Ok(Reply::empty(200))
        }
        _ => Err(errors::no_endpoint()),
    }
}

/// With `mock_user=<account>` consent is given at once (`deny` refuses); without it a page asks.
fn authorize(request: &Request, world: &World) -> Outcome {
    let client = request.param("client_id").unwrap_or("");
    if read(&world.grants).secret_of(Vendor::Pipedrive, client).is_none() {
        return Err(Reply::html(400, "<html><body><h1>Invalid client</h1></body></html>"));
    }
    let redirect_uri = request.param("redirect_uri").unwrap_or("");
    let Ok(mut back) = url::Url::parse(redirect_uri) else {
        return Err(Reply::html(400, "<html><body><h1>Invalid redirect URI</h1></body></html>"));
    };
    let Some(account) = request.param("mock_user") else {
        return Ok(consent_page(request, "Pipedrive"));
    };
    if account == "deny" {
        back.query_pairs_mut().append_pair("error", "user_denied");
    } else {
        let code = write(&world.grants).authorize(
            Vendor::Pipedrive,
            client,
            redirect_uri,
            request.param("code_challenge"),
            account,
        );
        back.query_pairs_mut().append_pair("code", &code);
        back.query_pairs_mut().extend_pairs(&world.settings(Vendor::Pipedrive, account).callback_params);
    }
    if let Some(state) = request.param("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    Ok(Reply::redirect(back.as_str()))
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or("")
}

fn refused(status: u16, error: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "success": false, "error": error, "message": message }))
}

/// The client whose credentials the `Authorization` header holds.
fn client(request: &Request, world: &World) -> Result<String, Reply> {
    let invalid = || refused(401, "invalid_client", "Invalid client: client is invalid");
    let header = request.header("authorization").ok_or_else(invalid)?;
    let (scheme, encoded) = header.split_once(' ').ok_or_else(invalid)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(invalid());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| invalid())?;
    let decoded = String::from_utf8(decoded).map_err(|_| invalid())?;
    let (id, secret) = decoded.split_once(':').ok_or_else(invalid)?;
    let known = read(&world.grants).secret_of(Vendor::Pipedrive, id).is_some_and(|known| known == secret);
    if known { Ok(id.to_owned()) } else { Err(invalid()) }
}

fn token(request: &Request, world: &World) -> Outcome {
    let client = client(request, world)?;
    let form = request.form();
    let granted = match field(&form, "grant_type") {
        "authorization_code" => {
            let (code, redirect_uri) = (field(&form, "code"), field(&form, "redirect_uri"));
            write(&world.grants).exchange(
                Vendor::Pipedrive,
                &client,
                code,
                (redirect_uri, field(&form, "code_verifier")),
                |account| world.token_expiry(Vendor::Pipedrive, account),
            )
        }
        "refresh_token" => {
            let token = field(&form, "refresh_token");
            let mut grants = write(&world.grants);
            let account = grants.refresh_account(Vendor::Pipedrive, token).unwrap_or_default();
            let turn = world.turn(Vendor::Pipedrive, &account);
            grants.refresh(Vendor::Pipedrive, &client, token, turn)
        }
        _ => {
            return Err(refused(
                400,
                "unsupported_grant_type",
                "Unsupported grant type: grant_type is invalid",
            ));
        }
    };
    match granted {
        Ok(tokens) => Ok(Reply::json(200, &wire(&tokens, world))),
        Err(Refusal::Code) => {
            Err(refused(400, "invalid_grant", "Invalid grant: authorization code is invalid"))
        }
        Err(Refusal::RedirectUri) => {
            Err(refused(400, "invalid_request", "Invalid request: `redirect_uri` is invalid"))
        }
        Err(Refusal::RefreshToken) => {
            Err(refused(400, "invalid_grant", "Invalid grant: refresh token is invalid"))
        }
    }
}

fn wire(tokens: &Tokens, world: &World) -> serde_json::Value {
    json!({
        "access_token": tokens.access_token,
        "token_type": "bearer",
        "refresh_token": tokens.refresh_token,
        "scope": SCOPES,
        "expires_in": tokens.expires_in,
        "api_domain": world.vendor_url(Vendor::Pipedrive),
    })
}
