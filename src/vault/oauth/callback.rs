//! The second half of an authorisation: from the CRM's callback to stored tokens and the application's own page.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::authorize::{Knows, STATE, browser_side, client_id, existing};
use super::link::{Signer, cookie_name};
use super::provider::Known;
use super::{Refused, Side, Sides, known_of, redirect};
use crate::error::{self, Error, Kind};
use crate::model::{AppId, Connection, ConnectionState, ConsumerId, Credentials, Secret, ServiceId};
use crate::storage::{Integration, NewConnection, NewState, TakenState, now_ms};
use crate::vault::Vault;
use crate::vault::token::{self, Grant, OAuthClient, Offer, Refusal, TokenEndpoint};

/// A CRM's callback, as the browser brings it.
#[derive(Debug)]
pub struct Callback<'a> {
    /// The query, decoded.
    pub query: &'a [(String, String)],
    /// Values of cookies by name.
    pub cookies: &'a [(String, String)],
}

/// Where the browser goes.
#[derive(Debug)]
pub struct Finished {
    /// The application's page.
    pub location: Url,
    /// The cookie that is of no more use.
    pub cookie: String,
    /// The CRM that is connected now.
    pub service: ServiceId,
}

/// What a confirmation waits with.
#[derive(Serialize, Deserialize)]
struct Pending<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    #[serde(borrow)]
    refresh_token: Option<Cow<'a, str>>,
    expires_at: Option<i64>,
    scope: String,
    captured: Known,
}

/// The purpose under which unconfirmed tokens are sealed.
const CONFIRM: &str = "oauth confirmation";

/// How long a confirmation may take, in milliseconds.
const CONFIRM_MS: i64 = 1_800_000;

/// Longest code, in bytes.
const LONGEST_CODE: usize = 4096;

impl Callback<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = found.next().filter(|value| !value.is_empty());
        // Given twice, it is no telling which one the CRM meant.
        value.filter(|_| found.next().is_none())
    }
}

impl Vault {
    /// Ends an authorisation: exchanges the code and stores what it brings.
    ///
    /// Errors: `OAuthInvalidStateError`; then, told to the redirect URI too, `OAuthRedirectUriError`,
    /// `OAuthCodeExchangeError` (refused by the user or the CRM), `OAuthConnectorError` (the CRM's OAuth side failed), and
    /// those of [`Vault::authorize`].
    pub async fn call_back(&self, callback: &Callback<'_>, sides: Sides<'_>) -> Result<Finished, Refused> {
        let cookie = |name: &str| {
            callback.cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let signer = Signer::new(&self.0.store).map_err(Error::from)?;
        let id = callback.get("state").and_then(|state| signer.read_state(state, cookie, now_ms()));
        let taken = match id {
            Some(id) => {
                self.0.store.take_state(&id, STATE).await.map_err(Error::from)?.map(|taken| (id, taken))
            }
            None => None,
        };
        let (id, taken) = taken.ok_or_else(invalid)?;
        let knows: Knows = serde_json::from_slice(&taken.knows).map_err(|_| invalid())?;
        // Struck off the list meanwhile, a redirect URI is no longer used.
        let redirect_uri = self.redirect_uri(&taken.app, Some(&knows.redirect_uri)).await?.url;
        let location = self
            .finish(callback, &taken, &knows, &redirect_uri, sides)
            .await
            .map_err(|error| Refused::back(error, &redirect_uri, &taken.service))?;
        Ok(Finished { location, cookie: cookie_name(&id), service: taken.service })
    }

    async fn finish(
        &self,
        callback: &Callback<'_>,
        taken: &TakenState,
        knows: &Knows<'_>,
        redirect_uri: &Url,
        sides: Sides<'_>,
    ) -> error::Result<Url> {
        if let Some(code) = callback.get("error") {
            return Err(refused_by_crm(&taken.service, code, callback.get("error_description")));
        }
        let code = callback.get("code").filter(|code| code.len() <= LONGEST_CODE).ok_or_else(|| {
            let says = format!("`{}` called back without a code.", taken.service);
            Error::new(Kind::OAuthCodeExchangeError, says)
        })?;
        let (side, integration) = self.side(&taken.app, &taken.service, sides).await?;
        let connection = existing(&self.0.store, &taken.app, &taken.consumer, &taken.service).await?;
        let exchange = Exchange {
            whose: (taken.app.clone(), taken.consumer.clone(), taken.service.clone()),
            code: Secret::new(code),
            verifier: knows.verifier.as_ref().map(|verifier| Secret::new(verifier.as_ref())),
            callback: knows.callback.clone(),
            query: callback.query.to_vec(),
            confirmed: knows.nonce.is_none(),
            side,
            integration,
            connection,
        };
        // A task of its own: a browser that goes away must not leave tokens that nobody knows.
        let vault = self.clone();
        let exchanged = self.0.flights.spawn(async move { exchange.run(&vault).await });
        let token = exchanged.await.map_err(|error| Error::internal(format!("code exchange: {error}")))??;
        let (Some(token), Some(nonce)) = (token, &knows.nonce) else {
            return Ok(redirect::with(redirect_uri, &[("service_id", taken.service.as_str())]));
        };
        let mut location = redirect_uri.clone();
        let fragment = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("nonce", nonce)
            .append_pair("confirm_token", &token)
            .append_pair("service_id", taken.service.as_str())
            .finish();
        location.set_fragment(Some(&fragment));
        Ok(location)
    }

    /// Stores what an authorisation brought; makes the connection where there is none.
    pub(super) async fn authorised(
        &self,
        (app, consumer, service): (&AppId, &ConsumerId, &ServiceId),
        connection: Option<Connection>,
        credentials: &Credentials,
        captured: &Known,
        side: &Side,
    ) -> error::Result<()> {
        let settings = connection.as_ref().map(|connection| connection.settings.clone()).unwrap_or_default();
        let set = |id: &String| settings.get(id).is_some_and(|value| !value.trim().is_empty());
        let complete = side.required.iter().all(set);
        let state = if complete { ConnectionState::Callable } else { ConnectionState::Authorized };
        match connection {
            Some(connection) => {
                self.0.store.authorise_connection(&connection, credentials, captured, state).await?;
            }
            None => {
                let (captured, credentials) = (captured.clone(), Some(credentials.clone()));
                let new = NewConnection { app, consumer, service, state, settings, captured, credentials };
                self.0.store.create_connection(new).await?;
            }
        }
        tracing::info!(
            app = app.as_str(),
            consumer = consumer.as_str(),
            service = service.as_str(),
            "authorised"
        );
        Ok(())
    }

    /// Keeps tokens until the application confirms that it was its own customer who authorised.
    async fn pend(
        &self,
        (app, consumer, service): (&AppId, &ConsumerId, &ServiceId),
        credentials: Credentials,
        captured: Known,
    ) -> error::Result<String> {
        let Credentials::OAuth { access_token, refresh_token, expires_at, scope } = credentials else {
            return Err(Error::internal("an authorisation without tokens"));
        };
        let pending = Pending {
            access_token: access_token.expose().into(),
            refresh_token: refresh_token.as_ref().map(|token| token.expose().into()),
            expires_at,
            scope,
            captured,
        };
        let knows = Zeroizing::new(serde_json::to_vec(&pending).map_err(Error::internal)?);
        let (token, id) = Signer::new(&self.0.store)?.token()?;
        let expires_ms = now_ms() + CONFIRM_MS;
        let new = NewState { id: &id, purpose: CONFIRM, app, consumer, service, knows: &knows, expires_ms };
        self.0.store.put_state(new).await?;
        Ok(token)
    }

    /// Confirms an authorisation that was begun with a nonce: from now on the connection can be called.
    ///
    /// Errors: `OAuthInvalidStateError`: the token is unknown, used, over, or another connection's.
    pub async fn confirm(
        &self,
        (app, consumer, service): (&AppId, &ConsumerId, &ServiceId),
        token: &str,
        sides: Sides<'_>,
    ) -> error::Result<()> {
        let refused = || {
            let says = "The confirm token is not valid, was used, or is over.";
            Error::new(Kind::OAuthInvalidStateError, says)
        };
        let id = Signer::new(&self.0.store)?.token_id(token).ok_or_else(refused)?;
        let (side, _) = self.side(app, service, sides).await?;
        let taken = self.0.store.take_state(&id, CONFIRM).await?.ok_or_else(refused)?;
        if (&taken.app, &taken.consumer, &taken.service) != (app, consumer, service) {
            return Err(refused());
        }
        let pending: Pending = serde_json::from_slice(&taken.knows).map_err(|_| refused())?;
        let credentials = Credentials::OAuth {
            access_token: Secret::new(pending.access_token),
            refresh_token: pending.refresh_token.map(Secret::new),
            expires_at: pending.expires_at,
            scope: pending.scope,
        };
        let connection = existing(&self.0.store, app, consumer, service).await?;
        self.authorised((app, consumer, service), connection, &credentials, &pending.captured, &side).await
    }
}

/// An exchange of a code for tokens, with all that it takes.
struct Exchange {
    whose: (AppId, ConsumerId, ServiceId),
    code: Secret,
    verifier: Option<Secret>,
    callback: String,
    query: Vec<(String, String)>,
    confirmed: bool,
    side: Side,
    integration: Arc<Integration>,
    connection: Option<Connection>,
}

impl Exchange {
    /// Exchanges the code and stores what it brings; the confirm token, where the application must confirm first.
    async fn run(self, vault: &Vault) -> error::Result<Option<String>> {
        let service = &self.integration.service;
        let provider = browser_side(&self.side, service)?;
        let id = client_id(&self.integration)?;
        let mut captured = provider.captured(&self.query);
        let mut known = self.connection.as_ref().map(known_of).unwrap_or_default();
        known.extend(captured.clone());
        let endpoint = provider.token_endpoint(&known).map_err(|error| {
            let says = format!("`{service}` called back with an address that is not its own.");
            if captured.is_empty() { error } else { Error::new(Kind::OAuthCodeExchangeError, says) }
        })?;
        let verifier = self.verifier.as_ref();
        let offer = Offer::Code { code: &self.code, redirect_uri: &self.callback, verifier };
        let client = OAuthClient { id, secret: self.integration.client_secret.as_ref() };
        let asked_s = now_ms() / 1000;
        let grant = vault.exchange(&endpoint, client, offer).await;
        let grant = grant.map_err(|refusal| not_exchanged(service, refusal))?;
        captured.extend(grant.captured);
        let lasts = grant.expires_in.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        let credentials = Credentials::OAuth {
            access_token: grant.access_token,
            refresh_token: grant.refresh_token,
            expires_at: lasts.map(|seconds| asked_s.saturating_add(seconds)),
            scope: grant.scope.unwrap_or_default(),
        };
        let whose = (&self.whose.0, &self.whose.1, &self.whose.2);
        if !self.confirmed {
            return vault.pend(whose, credentials, captured).await.map(Some);
        }
        vault.authorised(whose, self.connection, &credentials, &captured, &self.side).await?;
        Ok(None)
    }
}

impl Vault {
    /// One exchange, as long as a token endpoint may take.
    pub(super) async fn exchange(
        &self,
        endpoint: &TokenEndpoint,
        client: OAuthClient<'_>,
        offer: Offer<'_>,
    ) -> Result<Grant, Refusal> {
        let exchange = token::exchange(&self.0.http, endpoint, client, offer);
        tokio::time::timeout(self.0.settings.refresh_timeout, exchange).await.unwrap_or_else(|_| {
            let says = "the token endpoint did not answer in time".to_owned();
            Err(Refusal::Transient { says, retry_after_ms: None, unanswered: true })
        })
    }
}

fn invalid() -> Error {
    let says = "The authorisation's state is missing, altered, over, used already, or of another browser: begin again.";
    Error::new(Kind::OAuthInvalidStateError, says)
}

/// The CRM's own refusal: of the user, of the client, or of the moment.
fn refused_by_crm(service: &ServiceId, code: &str, words: Option<&str>) -> Error {
    let code = token::redacted(code, &[]);
    let words = words.map(|words| token::redacted(words, &[]));
    let kind = match code.as_str() {
        "server_error" | "temporarily_unavailable" => Kind::OAuthConnectorError,
        _ => Kind::OAuthCodeExchangeError,
    };
    Error::new(kind, format!("`{service}` did not authorise the connection."))
        .detail(json!({ "code": code, "reason": words }))
}

pub(super) fn not_exchanged(service: &ServiceId, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Final { code, says } => {
            Error::new(Kind::OAuthCodeExchangeError, format!("`{service}` gave no tokens."))
                .detail(json!({ "code": code, "reason": says }))
        }
        Refusal::Transient { says, retry_after_ms, .. } => {
            let error =
                Error::new(Kind::OAuthConnectorError, format!("The OAuth side of `{service}` failed."))
                    .detail(json!({ "reason": says }));
            match retry_after_ms {
                Some(wait) => error.retry_after_ms(wait),
                None => error,
            }
        }
    }
}
