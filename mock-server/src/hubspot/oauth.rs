//! HubSpot's authorize page and token endpoints: client credentials go in the form.

use http::Method;
use serde_json::json;

use super::errors;
use crate::exchange::{Outcome, Reply, Request};
use crate::oauth::{Refusal, Standing, Tokens};
use crate::vendor::Vendor;
use crate::world::{World, read, write};

/// What an installed app may do.
const SCOPES: &[&str] = &[
    "oauth",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.objects.deals.read",
    "crm.objects.deals.write",
    "crm.objects.owners.read",
    "crm.lists.read",
    "crm.lists.write",
];

/// Answers below `/oauth`.
pub fn answer(request: &Request, world: &World) -> Outcome {
    let parts = request.parts();
    match (&request.method, parts.as_slice()) {
        (&Method::GET, ["oauth", "authorize"] | ["oauth", _, "authorize"]) => authorize(request, world),
        (&Method::POST, ["oauth", "v1" | "v3" | "2026-03" | "2026-09", "token"]) => token(request, world),
        (&Method::POST, ["oauth", "v3" | "2026-03" | "2026-09", "token", "revoke"]) => {
            let form = request.form();
            write(&world.grants).revoke(Vendor::Hubspot, field(&form, "token"));
            Ok(Reply::empty(204))
        }
        (&Method::GET, ["oauth", "v1", "access-tokens", token]) => access_token(token, world),
        (&Method::GET, ["oauth", "v1", "refresh-tokens", token]) => refresh_token(token, world),
        (&Method::DELETE, ["oauth", "v1", "refresh-tokens", token]) => {
            write(&world.grants).revoke(Vendor::Hubspot, token);
            Ok(Reply::empty(204))
        }
        _ => Err(errors::no_endpoint()),
    }
}

/// With `mock_user=<account>` consent is given at once (`deny` refuses); without it a page asks.
fn authorize(request: &Request, world: &World) -> Outcome {
    let page = |says: &str| {
        Reply::html(400, &format!("<html><body><h1>Authorization failed</h1><p>{says}</p></body></html>"))
    };
    let client = request.param("client_id").unwrap_or("");
    if read(&world.grants).secret_of(Vendor::Hubspot, client).is_none() {
        return Err(page("Couldn't complete the connection: the client ID is not known."));
    }
    let redirect_uri = request.param("redirect_uri").unwrap_or("");
    let Ok(mut back) = url::Url::parse(redirect_uri) else {
        return Err(page("The redirect URL is missing or does not match the app's."));
    };
    let scopes = request.param("scope").unwrap_or("");
    if scopes.is_empty() {
        return Err(page("The scopes are missing."));
    }
    let Some(account) = request.param("mock_user") else {
        return Ok(crate::oauth::consent_page(request, "HubSpot"));
    };
    let state = request.param("state");
    if account == "deny" {
        back.query_pairs_mut()
            .append_pair("error", "access_denied")
            .append_pair("error_description", "The user denied access");
    } else {
        let code = write(&world.grants).authorize(
            Vendor::Hubspot,
            client,
            redirect_uri,
            request.param("code_challenge"),
            account,
        );
        back.query_pairs_mut().append_pair("code", &code);
        back.query_pairs_mut().extend_pairs(&world.settings(Vendor::Hubspot, account).callback_params);
    }
    if let Some(state) = state {
        back.query_pairs_mut().append_pair("state", state);
    }
    Ok(Reply::redirect(back.as_str()))
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or("")
}

fn refused(status: &str, message: &str, oauth: &str) -> Reply {
    Reply::json(
        400,
        &json!({
            "status": status,
            "message": message,
            "correlationId": errors::correlation(),
            "error": oauth,
            "error_description": message,
        }),
    )
}

fn token(request: &Request, world: &World) -> Outcome {
    let form = request.form();
    let client = field(&form, "client_id");
    match read(&world.grants).secret_of(Vendor::Hubspot, client) {
        None => return Err(refused("BAD_CLIENT_ID", "missing or unknown client id", "invalid_client")),
        Some(secret) if secret != field(&form, "client_secret") => {
            return Err(refused("BAD_CLIENT_SECRET", "missing or invalid client secret", "invalid_client"));
        }
        Some(_) => {}
    }
    let asked_for = write(&world.grants)
        .refresh_account(Vendor::Hubspot, field(&form, "refresh_token"))
        .unwrap_or_default();
    let granted = match field(&form, "grant_type") {
        "authorization_code" => {
            let (code, redirect_uri) = (field(&form, "code"), field(&form, "redirect_uri"));
            write(&world.grants).exchange(
                Vendor::Hubspot,
                client,
                code,
                (redirect_uri, field(&form, "code_verifier")),
                |account| world.token_expiry(Vendor::Hubspot, account),
            )
        }
        "refresh_token" => {
            let token = field(&form, "refresh_token");
            let mut grants = write(&world.grants);
            let account = grants.refresh_account(Vendor::Hubspot, token).unwrap_or_default();
            let turn = world.turn(Vendor::Hubspot, &account);
            grants.refresh(Vendor::Hubspot, client, token, turn)
        }
        _ => {
            return Err(refused("BAD_GRANT_TYPE", "missing or unknown grant type", "unsupported_grant_type"));
        }
    };
    let refuse = |mut reply: Reply| {
        if world.settings(Vendor::Hubspot, &asked_for).refuse_with_200 {
            reply.status = http::StatusCode::OK;
        }
        Err(reply)
    };
    match granted {
        Ok(tokens) => Ok(Reply::json(200, &wire(&tokens, field(&form, "grant_type"), world))),
        Err(Refusal::Code) => Err(refused("BAD_AUTH_CODE", "missing or unknown auth code", "invalid_grant")),
        Err(Refusal::RedirectUri) => Err(refused(
            "BAD_REDIRECT_URI",
            "redirect URI does not match the one the code was issued for",
            "invalid_grant",
        )),
        Err(Refusal::RefreshToken) => {
            refuse(refused("BAD_REFRESH_TOKEN", "missing or invalid refresh token", "invalid_grant"))
        }
    }
}

fn wire(tokens: &Tokens, grant: &str, world: &World) -> serde_json::Value {
    let settings = world.settings(Vendor::Hubspot, &tokens.account);
    let mut reply = json!({
        "token_type": "bearer",
        "refresh_token": tokens.refresh_token,
        "access_token": tokens.access_token,
        "expires_in": tokens.expires_in,
    });
    if let Some(reply) = reply.as_object_mut() {
        if settings.omit_expires_in {
            reply.remove("expires_in");
        }
        if settings.omit_refresh_token && grant == "refresh_token" {
            reply.remove("refresh_token");
        }
    }
    reply
}

fn access_token(token: &str, world: &World) -> Outcome {
    match world.standing(Vendor::Hubspot, token) {
        Standing::Account(account) => {
            let portal_id = read(&world.hubspot(&account)).portal_id;
            Ok(Reply::json(
                200,
                &json!({
                    "token": token,
                    "user": format!("{account}@vendor.example"),
                    "hub_domain": format!("{account}.example"),
                    "scopes": SCOPES,
                    "hub_id": portal_id,
                    "app_id": 456_789,
                    "expires_in": 1738,
                    "user_id": 64_492_917,
                    "token_type": "access",
                }),
            ))
        }
        _ => Err(errors::detailed(404, "OBJECT_NOT_FOUND", "missing or unknown access token", &json!({}))),
    }
}

fn refresh_token(token: &str, world: &World) -> Outcome {
    let Some(account) = write(&world.grants).refresh_account(Vendor::Hubspot, token) else {
        return Err(errors::detailed(
            404,
            "OBJECT_NOT_FOUND",
            "missing or unknown refresh token",
            &json!({}),
        ));
    };
    let portal_id = read(&world.hubspot(&account)).portal_id;
    Ok(Reply::json(
        200,
        &json!({
            "token": token,
            "user": format!("{account}@vendor.example"),
            "hub_domain": format!("{account}.example"),
            "scopes": SCOPES,
            "hub_id": portal_id,
            "client_id": "demo-hubspot-client",
            "user_id": 64_492_917,
            "token_type": "refresh",
        }),
    ))
}
