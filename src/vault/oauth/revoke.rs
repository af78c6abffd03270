//! The end of an authorisation: the CRM is told, the tokens are forgotten.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method, Request, header};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::authorize::existing;
use super::link::Use;
use super::{Provider, Refused, Sides, known_of, redirect};
use crate::error;
use crate::model::{AppId, Connection, Credentials, Secret, ServiceId};
use crate::storage::Integration;
use crate::vault::Vault;
use crate::vault::token::ClientAuth;

/// Where the browser goes after an end.
#[derive(Debug)]
pub struct Revoked {
    /// The application's page.
    pub location: Url,
}

impl Vault {
    /// Revokes a connection by a signed link, and says where the browser goes.
    ///
    /// Errors: `OAuthInvalidStateError`, `OAuthRedirectUriError`, `ConnectionNotFoundError` and those of a connector that is
    /// not there or off.
    pub async fn revoke(
        &self,
        link: &str,
        (app, service): (&AppId, &ServiceId),
        redirect_uri: Option<&str>,
        sides: Sides<'_>,
    ) -> Result<Revoked, Refused> {
        let link = self.link(link, Use::Revoke, (app, service)).await?;
        let redirect_uri = self.redirect_uri(app, redirect_uri).await?.url;
        let connection = existing(&self.0.store, app, &link.consumer, service).await;
        let revoked = match connection {
            Ok(Some(connection)) => self.revoke_connection(&connection, sides).await,
            // Nothing is left to revoke.
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        revoked.map_err(|error| Refused::back(error, &redirect_uri, service))?;
        Ok(Revoked { location: redirect::with(&redirect_uri, &[("service_id", service.as_str())]) })
    }

    /// Tells the CRM that a connection's tokens are of no more use, where it has an ear for that, and forgets them. A CRM that
    /// does not answer keeps nobody connected: the tokens are forgotten all the same.
    pub async fn revoke_connection(&self, connection: &Connection, sides: Sides<'_>) -> error::Result<()> {
        let opened = self.0.store.opened_connection(connection).await?;
        let token = opened.and_then(|(_, found)| found).and_then(|found| match found.credentials {
            Credentials::OAuth { access_token, refresh_token, .. } => Some(match refresh_token {
                Some(token) => (token, "refresh_token"),
                None => (access_token, "access_token"),
            }),
            Credentials::Granted { access_token, .. } => Some((access_token, "access_token")),
            Credentials::Static { .. } => None,
        });
        if let Some((token, hint)) = token.filter(|(token, _)| !token.is_empty()) {
            let side = self.side(&connection.app, &connection.service, sides).await;
            let told = match side {
                Ok((side, integration)) => match &side.provider {
                    Some(provider) => self.tell(provider, &integration, connection, &token, hint).await,
                    None => Ok(()),
                },
                Err(error) => Err(error.to_string()),
            };
            if let Err(cause) = told {
                tracing::warn!(connection = %connection.id, service = %connection.service, cause, "the CRM was not told of a revocation");
            }
        }
        Ok(self.0.store.forget_credentials(connection).await?)
    }

    async fn tell(
        &self,
        provider: &Provider,
        integration: &Integration,
        connection: &Connection,
        token: &Secret,
        hint: &str,
    ) -> Result<(), String> {
        let url = provider.revoke_url(&known_of(connection)).map_err(|error| error.to_string())?;
        let (Some(url), Some(id)) = (url, integration.client_id.as_deref()) else { return Ok(()) };
        let secret = integration.client_secret.as_ref().map_or("", Secret::expose);
        let request = revocation(&url, provider.client_auth(), (id, secret), token, hint)?;
        let sent = tokio::time::timeout(self.0.settings.refresh_timeout, (self.0.http)(request)).await;
        let reply = sent.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.says)?;
        if reply.status().is_success() { Ok(()) } else { Err(format!("the CRM answered {}", reply.status())) }
    }
}

/// The request of RFC 7009.
fn revocation(
    url: &Url,
    client_auth: ClientAuth,
    (id, secret): (&str, &str),
    token: &Secret,
    hint: &str,
) -> Result<Request<Vec<u8>>, String> {
    let mut form = Serializer::new(String::new());
    form.append_pair("token", token.expose()).append_pair("token_type_hint", hint);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(url.as_str())
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json");
    match client_auth {
        ClientAuth::Basic => {
            let part = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", part(id), part(secret))));
            let mut basic = HeaderValue::try_from(basic).map_err(|error| error.to_string())?;
            basic.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, basic);
        }
        ClientAuth::Body => {
            form.append_pair("client_id", id).append_pair("client_secret", secret);
        }
    }
    request.body(form.finish().into_bytes()).map_err(|error| error.to_string())
}
