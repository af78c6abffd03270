//! The first half of an authorisation: from a signed link to the CRM's own page.

use std::borrow::Cow;
use std::sync::Arc;

use oauth2::PkceCodeChallenge;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::link::{LINK_MS, Link, STATE_MS, Signer, Use, cookie_name};
use super::{Provider, Refused, Side, Sides, known_of, redirect};
use crate::connector::manifest::GrantKind;
use crate::error::{self, Error, Kind};
use crate::model::{AppId, Connection, ConsumerId, ServiceId};
use crate::storage::{Integration, NewState, Store, now_ms};
use crate::vault::Vault;

/// What a browser asks for.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The signed link that stands for an API key.
    pub link: &'a str,
    /// The application in the path.
    pub app: &'a AppId,
    /// The CRM in the path.
    pub service: &'a ServiceId,
    /// Where to go afterwards; the application's first redirect URI where left out.
    pub redirect_uri: Option<&'a str>,
    /// Scopes to ask for, of those that the integration or connector has; all of these where empty.
    pub scopes: Vec<String>,
    /// The application's own value that asks for a confirmation after the callback.
    pub nonce: Option<String>,
    /// The gateway's callback, as the browser reaches it.
    pub callback: &'a str,
}

/// Where the browser goes, and what it takes along.
#[derive(Debug)]
pub struct Started {
    /// The CRM's page.
    pub location: Url,
    /// Name and value of the cookie that binds the authorisation to this browser; none where there is no browser yet.
    pub cookie: Option<(String, String)>,
}

/// What an authorisation under way knows.
#[derive(Serialize, Deserialize)]
pub(super) struct Knows<'a> {
    pub(super) redirect_uri: String,
    pub(super) callback: String,
    /// Borrowed from a buffer that is wiped.
    #[serde(borrow)]
    pub(super) verifier: Option<Cow<'a, str>>,
    pub(super) nonce: Option<String>,
}

/// The purpose under which an authorisation under way is sealed.
pub(super) const STATE: &str = "oauth state";

impl Vault {
    /// A link that lets a browser authorise that connection, for an hour, without an API key. `base` is the gateway as the
    /// browser reaches it; a `redirect_uri` may be added to the query.
    pub fn authorize_link(
        &self,
        base: &str,
        (app, consumer, service): (&AppId, &ConsumerId, &ServiceId),
    ) -> error::Result<String> {
        self.signed("authorize", Use::Authorize, base, (app, consumer, service))
    }

    /// A link that lets a browser revoke that connection, for an hour.
    pub fn revoke_link(
        &self,
        base: &str,
        (app, consumer, service): (&AppId, &ConsumerId, &ServiceId),
    ) -> error::Result<String> {
        self.signed("revoke", Use::Revoke, base, (app, consumer, service))
    }

    fn signed(
        &self,
        path: &str,
        purpose: Use,
        base: &str,
        (app, consumer, service): (&AppId, &ConsumerId, &ServiceId),
    ) -> error::Result<String> {
        let exp = now_ms() + LINK_MS;
        let link =
            Link { purpose, app: app.clone(), consumer: consumer.clone(), service: service.clone(), exp };
        let state = Signer::new(&self.0.store)?.link(&link);
        let part = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let (service, app) = (part(service.as_str()), part(app.as_str()));
        Ok(format!("{base}/vault/{path}/{service}/{app}?state={state}"))
    }

    /// Begins an authorisation: where the browser goes.
    ///
    /// Errors: `OAuthInvalidStateError` (the link), `OAuthRedirectUriError`; then, told to the redirect URI too,
    /// `ConnectorNotFoundError`, `IntegrationNotFoundError`, `ConnectorDisabledError`, `InvalidStateError`,
    /// `OAuthCredentialsNotFoundError`, `ConnectionSettingsError`, `RequestValidationError` (scopes).
    pub async fn authorize(&self, asked: &Asked<'_>, sides: Sides<'_>) -> Result<Started, Refused> {
        let link = self.link(asked.link, Use::Authorize, (asked.app, asked.service)).await?;
        let home = self.redirect_uri(asked.app, asked.redirect_uri).await?;
        let started = self.begin(asked, &link.consumer, &home, sides, true).await;
        started.map_err(|error| Refused::back(error, &home.url, asked.service))
    }

    /// A state for an application that sends the browser to the CRM itself, with the gateway's callback as redirect URI.
    ///
    /// Errors: as [`Vault::authorize`].
    pub async fn callback_state(
        &self,
        asked: &Asked<'_>,
        consumer: &ConsumerId,
        sides: Sides<'_>,
    ) -> error::Result<String> {
        let home = self.redirect_uri(asked.app, asked.redirect_uri).await?;
        let started = self.begin(asked, consumer, &home, sides, false).await?;
        let state = started.location.query_pairs().find(|(name, _)| name == "state");
        state
            .map(|(_, state)| state.into_owned())
            .ok_or_else(|| Error::internal("an authorisation without a state"))
    }

    async fn begin(
        &self,
        asked: &Asked<'_>,
        consumer: &ConsumerId,
        home: &Home,
        sides: Sides<'_>,
        for_browser: bool,
    ) -> error::Result<Started> {
        let (side, integration) = self.side(asked.app, asked.service, sides).await?;
        let provider = browser_side(&side, asked.service)?;
        let client_id = client_id(&integration)?;
        let scopes = scopes(provider, &integration, &asked.scopes)?;
        let connection = existing(&self.0.store, asked.app, consumer, asked.service).await?;
        let known = connection.as_ref().map(known_of).unwrap_or_default();
        let mut location = provider.authorize_url(&known)?;
        let pkce = provider.pkce().then(PkceCodeChallenge::new_random_sha256);
        let verifier = pkce.as_ref().map(|(_, verifier)| verifier.secret().as_str().into());
        let knows = Knows {
            redirect_uri: home.text.clone(),
            callback: asked.callback.to_owned(),
            verifier,
            nonce: asked.nonce.clone(),
        };
        let knows = Zeroizing::new(serde_json::to_vec(&knows).map_err(Error::internal)?);
        let expires_ms = now_ms() + STATE_MS;
        let state = Signer::new(&self.0.store)?.state(for_browser, expires_ms)?;
        let (app, service) = (asked.app, asked.service);
        let new =
            NewState { id: &state.id, purpose: STATE, app, consumer, service, knows: &knows, expires_ms };
        self.0.store.put_state(new).await?;
        {
            let mut query = location.query_pairs_mut();
            query.append_pair("response_type", "code").append_pair("client_id", client_id);
            query.append_pair("redirect_uri", asked.callback);
            if !scopes.is_empty() {
                query.append_pair("scope", &provider.joined(&scopes));
            }
            if let Some((challenge, _)) = &pkce {
                query.append_pair("code_challenge", challenge.as_str());
                query.append_pair("code_challenge_method", challenge.method().as_str());
            }
            query.extend_pairs(provider.authorize_params());
            query.append_pair("state", &state.text);
        }
        let cookie = state.browser.map(|half| (cookie_name(&state.id), half));
        Ok(Started { location, cookie })
    }

    /// The link, if it is good for that path; and its consumer is still there.
    pub(super) async fn link(
        &self,
        text: &str,
        purpose: Use,
        (app, service): (&AppId, &ServiceId),
    ) -> error::Result<Link> {
        let link = Signer::new(&self.0.store)?.read_link(text, purpose, now_ms());
        link.filter(|link| link.app == *app && link.service == *service).ok_or_else(|| {
            let says = "The link is not valid, or no longer: ask the application for a new one.";
            Error::new(Kind::OAuthInvalidStateError, says)
        })
    }

    /// The redirect URI asked for, if the application allows it.
    pub(super) async fn redirect_uri(&self, app: &AppId, asked: Option<&str>) -> error::Result<Home> {
        let list = self.0.store.redirect_uris(app).await?;
        let asked = asked.filter(|uri| !uri.is_empty());
        let default = || list.first().filter(|uri| !uri.contains(":*")).map(String::as_str);
        let uri = asked.or_else(default).filter(|uri| redirect::allows(&list, uri));
        let home = |uri: &str| Some(Home { text: uri.to_owned(), url: Url::parse(uri).ok()? });
        uri.and_then(home).ok_or_else(|| {
            let says = match asked {
                Some(_) => "The redirect URI is not on the application's list.",
                None => "No redirect URI is given, and the application has no default one.",
            };
            Error::new(Kind::OAuthRedirectUriError, says)
        })
    }

    /// The connector's OAuth side and the application's integration, both switched on.
    pub(super) async fn side<'a>(
        &self,
        app: &AppId,
        service: &ServiceId,
        sides: Sides<'a>,
    ) -> error::Result<(Side, Arc<Integration>)> {
        let side = sides(service).ok_or_else(|| {
            Error::new(Kind::ConnectorNotFoundError, format!("There is no CRM connector `{service}`."))
        })?;
        let integrations = self.integrations(app).await?;
        let integration = integrations.get(service).cloned().ok_or_else(|| {
            let says = format!("The application has not enabled the connector `{service}`.");
            Error::new(Kind::IntegrationNotFoundError, says)
        })?;
        if !integration.enabled {
            let says = format!("The application has switched the connector `{service}` off.");
            return Err(Error::new(Kind::ConnectorDisabledError, says));
        }
        Ok((side, integration))
    }
}

/// A redirect URI that is the application's: as it stands on its list, and parsed.
pub(super) struct Home {
    pub(super) text: String,
    pub(super) url: Url,
}

pub(super) fn browser_side<'a>(side: &'a Side, service: &ServiceId) -> error::Result<&'a Arc<Provider>> {
    let provider = side.provider.as_ref().filter(|side| side.grants(GrantKind::AuthorizationCode));
    provider.ok_or_else(|| {
        Error::new(Kind::InvalidStateError, format!("`{service}` is not connected through a browser."))
    })
}

pub(super) fn client_id(integration: &Integration) -> error::Result<&str> {
    integration.client_id.as_deref().filter(|id| !id.is_empty()).ok_or_else(|| {
        Error::new(
            Kind::OAuthCredentialsNotFoundError,
            format!("The application's integration `{}` has no OAuth client.", integration.service),
        )
    })
}

/// The scopes to ask for. Nobody can ask for more than the application has settled on.
fn scopes(provider: &Provider, integration: &Integration, asked: &[String]) -> error::Result<Vec<String>> {
    let own = provider.scopes(&integration.scopes);
    let beyond: Vec<&String> = asked.iter().filter(|scope| !own.contains(scope)).collect();
    if !beyond.is_empty() {
        let says = "Scopes are asked for that the application has not settled on.";
        return Err(
            Error::new(Kind::RequestValidationError, says).detail(json!({ "scope": beyond, "allowed": own }))
        );
    }
    Ok(if asked.is_empty() { own.to_vec() } else { asked.to_vec() })
}

pub(super) async fn existing(
    store: &Store,
    app: &AppId,
    consumer: &ConsumerId,
    service: &ServiceId,
) -> error::Result<Option<Connection>> {
    let all = store.connections(app, Some(consumer)).await?;
    Ok(all.into_iter().map(|stored| stored.connection).find(|connection| connection.service == *service))
}
