//! Authorisations: a browser's way to a CRM's own page and back, and tokens without a browser.
//!
//! Browsers show a signed link instead of an API key; where they are sent is the application's list or the CRM's page,
//! nowhere else.

use http::header::{LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded;

use super::{Desk, reply};
use crate::error::{Error, Kind, Result};
use crate::model::{Answer, AppId, ConsumerId, ServiceId};
use crate::storage::connections::state_name;
use crate::vault::oauth::{Asked, Callback, Refused, Side};

/// Longest value of the application's own that is kept through an authorisation, in bytes.
const LONGEST_NONCE: usize = 512;

/// `GET /vault/authorize/{service_id}/{application_id}`.
///
/// # Errors
/// As [`crate::vault::Vault::authorize`].
pub(super) async fn authorize(desk: &Desk<'_>) -> Result<Answer> {
    let query = query(desk);
    let (app, service) = named(desk);
    let callback = callback_url(desk);
    let scopes = get(&query, "scope").unwrap_or_default();
    let nonce = get(&query, "nonce").filter(|nonce| !nonce.is_empty());
    if nonce.is_some_and(|nonce| nonce.len() > LONGEST_NONCE) {
        return Err(Error::new(Kind::RequestValidationError, "`nonce` is longer than 512 bytes."));
    }
    let asked = Asked {
        link: get(&query, "state").unwrap_or_default(),
        app: &app,
        service: &service,
        redirect_uri: get(&query, "redirect_uri"),
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        nonce: nonce.map(str::to_owned),
        callback: &callback,
    };
    let started = desk.shared.vault.authorize(&asked, &sides(desk)).await.map_err(refused)?;
    let mut answer = sent_to(&started.location, &service)?;
    if let Some((name, value)) = started.cookie {
        set_cookie(&mut answer, &name, &value, 600, &callback)?;
    }
    Ok(answer)
}

/// `GET /vault/callback`.
///
/// # Errors
/// As [`crate::vault::Vault::call_back`].
pub(super) async fn call_back(desk: &Desk<'_>) -> Result<Answer> {
    let query = query(desk);
    let callback = Callback { query: &query, cookies: &desk.visitor.cookies };
    let finished = desk.shared.vault.call_back(&callback, &sides(desk)).await.map_err(refused)?;
    let mut answer = sent_to(&finished.location, &finished.service)?;
    set_cookie(&mut answer, &finished.cookie, "", 0, &callback_url(desk))?;
    Ok(answer)
}

/// `GET /vault/revoke/{service_id}/{application_id}`.
///
/// # Errors
/// As [`crate::vault::Vault::revoke`].
pub(super) async fn revoke(desk: &Desk<'_>) -> Result<Answer> {
    let query = query(desk);
    let (app, service) = named(desk);
    let link = get(&query, "state").unwrap_or_default();
    let redirect_uri = get(&query, "redirect_uri");
    let revoked = desk.shared.vault.revoke(link, (&app, &service), redirect_uri, &sides(desk)).await;
    sent_to(&revoked.map_err(refused)?.location, &service)
}

/// `POST /vault/connections/{unified_api}/{service_id}/token`.
///
/// # Errors
/// As [`crate::vault::Vault::obtain_token`].
pub(super) async fn token(desk: &Desk<'_>) -> Result<Answer> {
    let service = crm(desk)?;
    desk.shared.vault.obtain_token((desk.app()?, desk.consumer()?, &service), &sides(desk)).await?;
    connection(desk, &service).await
}

/// `POST /vault/connections/{unified_api}/{service_id}/confirm`.
///
/// # Errors
/// As [`crate::vault::Vault::confirm`].
pub(super) async fn confirm(desk: &Desk<'_>) -> Result<Answer> {
    let service = crm(desk)?;
    let token = body_text(desk, "confirm_token").unwrap_or_default();
    let whose = (desk.app()?, desk.consumer()?, &service);
    desk.shared.vault.confirm(whose, token, &sides(desk)).await?;
    Ok(reply::ok(json!({ "confirmed": true })))
}

/// `POST /vault/connections/{unified_api}/{service_id}/callback-state`.
///
/// # Errors
/// As [`crate::vault::Vault::callback_state`].
pub(super) async fn callback_state(desk: &Desk<'_>) -> Result<Answer> {
    let service = crm(desk)?;
    let asked = Asked {
        link: "",
        app: desk.app()?,
        service: &service,
        redirect_uri: body_text(desk, "redirect_uri"),
        scopes: Vec::new(),
        nonce: None,
        callback: &callback_url(desk),
    };
    let state = desk.shared.vault.callback_state(&asked, desk.consumer()?, &sides(desk)).await?;
    Ok(reply::ok(json!({ "state": state })))
}

fn sides<'a>(desk: &'a Desk<'_>) -> impl Fn(&ServiceId) -> Option<Side> + Sync + use<'a> {
    let shared = desk.shared;
    move |service| shared.side(service)
}

fn refused(refused: Refused) -> Error {
    match refused.back {
        Some(back) => refused.error.back(back),
        None => refused.error,
    }
}

fn query(desk: &Desk<'_>) -> Vec<(String, String)> {
    form_urlencoded::parse(desk.call.raw_query.as_bytes()).into_owned().collect()
}

/// The one value of a query key; none where it is given more than once.
fn get<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
    let mut values = query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let value = values.next();
    value.filter(|_| values.next().is_none())
}

fn body_text<'d>(desk: &'d Desk<'_>, name: &str) -> Option<&'d str> {
    desk.call.body.as_ref()?.get(name)?.as_str()
}

/// The application and the connector in the path.
fn named(desk: &Desk<'_>) -> (AppId, ServiceId) {
    (AppId::new(desk.call.id("application_id")), ServiceId::new(desk.call.id("service_id")))
}

/// The connector in the path, of the one unified API that there is.
fn crm(desk: &Desk<'_>) -> Result<ServiceId> {
    let service = ServiceId::new(desk.call.id("service_id"));
    if desk.call.id("unified_api") == "crm" {
        return Ok(service);
    }
    Err(Error::new(Kind::ConnectorNotFoundError, format!("There is no such connector `{service}`.")))
}

/// Where CRMs send browsers back to.
fn callback_url(desk: &Desk<'_>) -> String {
    format!("{}/vault/callback", desk.visitor.public_base)
}

fn sent_to(location: &Url, service: &ServiceId) -> Result<Answer> {
    let mut answer = Answer::json(StatusCode::FOUND, "");
    let value = HeaderValue::from_str(location.as_str()).map_err(Error::internal)?;
    answer.headers.push((LOCATION, value));
    // What stands in this address stays between the browser and the gateway.
    answer.headers.push((REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
    answer.service = Some(service.clone());
    Ok(answer)
}

fn set_cookie(answer: &mut Answer, name: &str, value: &str, age_s: u32, callback: &str) -> Result<()> {
    let url = Url::parse(callback).map_err(Error::internal)?;
    let secure = if url.scheme() == "https" { "; Secure" } else { "" };
    let path = url.path();
    let cookie = format!("{name}={value}; Path={path}; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    let mut cookie = HeaderValue::from_str(&cookie).map_err(Error::internal)?;
    cookie.set_sensitive(true);
    answer.headers.push((SET_COOKIE, cookie));
    Ok(())
}

/// The connection as it is now.
async fn connection(desk: &Desk<'_>, service: &ServiceId) -> Result<Answer> {
    let (app, consumer): (&AppId, &ConsumerId) = (desk.app()?, desk.consumer()?);
    let all = desk.shared.store.connections(app, Some(consumer)).await?;
    let found = all.into_iter().find(|stored| stored.connection.service == *service);
    let Some(stored) = found else {
        let says = format!("Consumer `{consumer}` has no connection to `{service}`.");
        return Err(Error::new(Kind::ConnectionNotFoundError, says));
    };
    let of = &stored.connection;
    let record: Value = json!({
        "id": format!("crm+{service}"),
        "service_id": service.as_str(),
        "unified_api": "crm",
        "state": state_name(of.state),
        "enabled": of.enabled,
    });
    Ok(reply::ok(record))
}
