//! Tokens without a browser: a refresh on demand, client credentials, a user's password.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::authorize::{client_id, existing};
use super::callback::not_exchanged;
use super::{Sides, known_of};
use crate::connector::manifest::GrantKind;
use crate::error::{self, Error, Kind};
use crate::model::{AppId, ConsumerId, Credentials, ServiceId};
use crate::storage::now_ms;
use crate::vault::oauth::renewal::Renewal;
use crate::vault::token::{OAuthClient, Refusal};
use crate::vault::{Resolved, Vault};

impl Vault {
    /// Gets a connection a new access token from what it has: its refresh token, its own client or password, or, where it has
    /// nothing and the CRM grants tokens to clients, the application's OAuth client.
    ///
    /// Errors: `ConnectionNotFoundError`, `InvalidStateError` (nothing to get one with), and those of [`Vault::fresh`].
    pub async fn obtain_token(
        &self,
        (app, consumer, service): (&AppId, &ConsumerId, &ServiceId),
        sides: Sides<'_>,
    ) -> error::Result<()> {
        let (side, integration) = self.side(app, service, sides).await?;
        let connection = existing(&self.0.store, app, consumer, service).await?.ok_or_else(|| {
            let says = format!("Consumer `{consumer}` has no connection to `{service}`.");
            Error::new(Kind::ConnectionNotFoundError, says)
        })?;
        let provider = side
            .provider
            .clone()
            .ok_or_else(|| Error::new(Kind::InvalidStateError, format!("`{service}` has no OAuth side.")))?;
        let opened = self.0.store.opened_connection(&connection).await?;
        if let Some((stored, Some(found))) = opened {
            let resolved = Arc::new(Resolved {
                custom_mappings: Arc::default(),
                connection: Arc::new(stored.connection),
                credentials: found.credentials,
                version: found.version,
                obtained_at: found.updated_ms / 1000,
                integration,
                // Only its tokens are wanted.
                limits: None,
                defaults: Arc::default(),
            });
            return self.renew(&resolved, &provider).await.map(|_| ());
        }
        if !provider.grants(GrantKind::ClientCredentials) {
            let says = "The connection is not authorised: there is nothing to exchange for an access token.";
            return Err(Error::new(Kind::InvalidStateError, says));
        }
        let id = client_id(&integration)?;
        let endpoint = provider.token_endpoint(&known_of(&connection))?;
        let how = Renewal::Client(BTreeMap::new());
        let scope = provider.joined(provider.scopes(&integration.scopes));
        let client = OAuthClient { id, secret: integration.client_secret.as_ref() };
        let asked_s = now_ms() / 1000;
        let grant = self.exchange(&endpoint, client, how.offer(&scope)).await;
        let grant = grant.map_err(|refusal| match refusal {
            Refusal::Final { says, .. } => {
                Error::new(Kind::ConnectorCredentialsError, format!("`{service}` gave no token: {says}."))
            }
            refusal => not_exchanged(service, refusal),
        })?;
        let captured = grant.captured.clone();
        let before = Credentials::Static { values: BTreeMap::new() };
        let credentials = how.credentials(grant, asked_s, &before);
        self.authorised((app, consumer, service), Some(connection), &credentials, &captured, &side).await
    }
}
