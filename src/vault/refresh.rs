//! Fresh tokens: one refresh at a time for each connection, whatever the number of callers and whoever goes away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use serde_json::json;

use super::resolve::{Resolved, invalid};
use super::token::{self, Grant, OAuthClient, Refusal, TokenEndpoint};
use super::{Settings, Vault};
use crate::error::{self, Error, Kind};
use crate::model::{Connection, ConnectionId, ConnectionState, Credentials, Secret};
use crate::storage::{StoredConnection, StoredCredentials, now_ms};

/// Refreshes under way and lately done, and failures lately seen.
pub(super) struct Flights {
    /// By connection and the version of the credentials that is renewed: each version is renewed once.
    done: Cache<(ConnectionId, i64), Arc<Resolved>>,
    failed: Cache<ConnectionId, Failure>,
}

/// Why there are no new tokens.
#[derive(Debug, Clone)]
enum Failure {
    /// The connection has ended.
    Final { code: String, says: String },
    /// The CRM's OAuth side failed; the connection is kept.
    Transient { says: String, retry_after_ms: u64 },
    /// The application has set no OAuth client.
    NoClient,
    /// The connection was deleted meanwhile.
    Gone,
    /// Our own fault.
    Internal(String),
}

/// No refresh is tried for as long as the failure says, up to that.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

struct Backoff(Duration);

impl Expiry<ConnectionId, Failure> for Backoff {
    fn expire_after_create(&self, _: &ConnectionId, failure: &Failure, _: Instant) -> Option<Duration> {
        Some(match failure {
            Failure::Transient { retry_after_ms, .. } => {
                Duration::from_millis(*retry_after_ms).min(BACKOFF_MAX).max(self.0)
            }
            _ => Duration::ZERO,
        })
    }
}

impl Flights {
    pub(super) fn new(settings: &Settings) -> Flights {
        let entries = settings.entries;
        Flights {
            done: Cache::builder().max_capacity(entries).time_to_live(settings.keep).build(),
            failed: Cache::builder()
                .max_capacity(entries)
                .expire_after(Backoff(settings.refresh_backoff))
                .build(),
        }
    }
}

impl Vault {
    /// The same connection with an access token that is not about to end. Costs nothing while it is not.
    ///
    /// Errors: `ConnectorCredentialsError` when the CRM has ended the grant (the connection is invalid from then on);
    /// `OAuthConnectorError` when its OAuth side fails and the access token has ended; `OAuthCredentialsNotFoundError`.
    pub async fn fresh(
        &self,
        resolved: Arc<Resolved>,
        endpoint: &TokenEndpoint,
    ) -> error::Result<Arc<Resolved>> {
        let Credentials::OAuth { access_token, refresh_token, expires_at, .. } = &resolved.credentials else {
            return Ok(resolved);
        };
        let left_s = match expires_at {
            _ if access_token.is_empty() => 0,
            Some(end) => end.saturating_sub(now_ms() / 1000),
            None => return Ok(resolved),
        };
        let margin_s = i64::try_from(self.0.settings.refresh_margin.as_secs()).unwrap_or(i64::MAX);
        // Of a short-lived token, a fifth: or it would be renewed with every call.
        let life_s = expires_at.map_or(0, |end| end.saturating_sub(resolved.obtained_at).max(0));
        if left_s > margin_s.min(life_s / 5) {
            return Ok(resolved);
        }
        if refresh_token.is_none() {
            return if left_s > 0 { Ok(resolved) } else { Err(no_refresh_token(&resolved)) };
        }
        match self.renewed(&resolved, endpoint).await {
            Ok(renewed) => Ok(renewed),
            Err(Failure::Transient { says, .. }) if left_s > 0 => {
                tracing::warn!(
                    connection = %resolved.connection.id, service = %resolved.connection.service, left_s, cause = says,
                    "token refresh failed; the access token still lasts and is used"
                );
                Ok(resolved)
            }
            Err(failure) => Err(answer(&failure, &resolved)),
        }
    }

    /// The same connection with another access token than the one that the CRM has just refused. Where that was renewed
    /// meanwhile, the renewed one. To be called once for a call. Errors: as [`Vault::fresh`].
    pub async fn refresh_after_401(
        &self,
        resolved: &Arc<Resolved>,
        endpoint: &TokenEndpoint,
        rejected_access_token: &Secret,
    ) -> error::Result<Arc<Resolved>> {
        let Credentials::OAuth { access_token, refresh_token, .. } = &resolved.credentials else {
            let says = format!("`{}` refused the connection's credentials.", resolved.connection.service);
            return Err(Error::new(Kind::ConnectorCredentialsError, says));
        };
        if access_token != rejected_access_token {
            return Ok(resolved.clone());
        }
        if refresh_token.is_none() {
            return Err(no_refresh_token(resolved));
        }
        self.renewed(resolved, endpoint).await.map_err(|failure| answer(&failure, resolved))
    }

    /// The connection with credentials newer than the version given: one flight for all who ask.
    async fn renewed(&self, old: &Arc<Resolved>, endpoint: &TokenEndpoint) -> Result<Arc<Resolved>, Failure> {
        let flights = &self.0.flights;
        if let Some(failure) = flights.failed.get(&old.connection.id).await {
            return Err(failure);
        }
        let slot = (old.connection.id.clone(), old.version);
        if let Some(done) = flights.done.get(&slot).await {
            return Ok(done);
        }
        let (vault, old, endpoint) = (self.clone(), old.clone(), endpoint.clone());
        // The whole flight is a task of its own: were it a caller's, it would end with that caller, and the next one
        // would send a refresh token that may have been used up.
        let flight = tokio::spawn(async move {
            let flights = &vault.0.flights;
            flights.done.try_get_with(slot, vault.fly(&old, &endpoint)).await
        });
        match flight.await {
            Ok(outcome) => outcome.map_err(|failure| (*failure).clone()),
            Err(error) => Err(Failure::Internal(format!("token refresh: {error}"))),
        }
    }

    async fn fly(&self, old: &Resolved, endpoint: &TokenEndpoint) -> Result<Arc<Resolved>, Failure> {
        let outcome = self.refresh_now(old, endpoint).await;
        if let Err(failure @ Failure::Transient { .. }) = &outcome {
            self.0.flights.failed.insert(old.connection.id.clone(), failure.clone()).await;
        }
        outcome
    }

    async fn refresh_now(&self, old: &Resolved, endpoint: &TokenEndpoint) -> Result<Arc<Resolved>, Failure> {
        let inner = &self.0;
        // What is in the database counts: another process may have been first, or someone have authorised anew.
        let stored = inner.store.opened_connection(&old.connection).await.map_err(internal)?;
        let Some((stored, Some(found))) = stored else { return Err(Failure::Gone) };
        if stored.connection.state == ConnectionState::Invalid {
            return Err(ended(&stored));
        }
        if found.version != old.version {
            return Ok(resolved(old, stored.connection, found));
        }
        let Credentials::OAuth { refresh_token: Some(refresh_token), scope, .. } = &found.credentials else {
            return Err(Failure::Gone);
        };
        let Some(id) = old.integration.client_id.as_deref() else { return Err(Failure::NoClient) };
        let client = OAuthClient { id, secret: old.integration.client_secret.as_ref() };
        let asked_s = now_ms() / 1000;
        let exchange = token::refresh(&inner.http, endpoint, client, refresh_token);
        let grant = match tokio::time::timeout(inner.settings.refresh_timeout, exchange).await {
            Ok(Ok(grant)) => grant,
            Ok(Err(Refusal::Final { code, says })) => {
                return self.end(old, &stored.connection, found.version, code, says).await;
            }
            Ok(Err(Refusal::Transient { says, retry_after_ms })) => {
                return Err(self.transient(says, retry_after_ms));
            }
            Err(_) => {
                return Err(self.transient("the token endpoint did not answer in time".to_owned(), None));
            }
        };
        let kept = (refresh_token.clone(), scope.clone());
        self.keep(old, stored.connection, found.version, grant, asked_s, kept).await
    }

    /// Stores what was granted, then hands it out. The old tokens stay stored until the new ones are.
    async fn keep(
        &self,
        old: &Resolved,
        mut connection: Connection,
        version: i64,
        grant: Grant,
        asked_s: i64,
        (old_refresh, old_scope): (Secret, String),
    ) -> Result<Arc<Resolved>, Failure> {
        let lasts = grant.expires_in.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        let credentials = Credentials::OAuth {
            access_token: grant.access_token,
            refresh_token: Some(grant.refresh_token.unwrap_or(old_refresh)),
            expires_at: lasts.map(|seconds| asked_s.saturating_add(seconds)),
            scope: grant.scope.unwrap_or(old_scope),
        };
        let mut wait = Duration::from_millis(50);
        let stored = loop {
            match self.0.store.replace_credentials(&connection, version, &credentials, &grant.captured).await
            {
                Ok(stored) => break stored,
                // The old refresh token may be used up: the new one is held on to until the disk takes it.
                Err(error) if wait < Duration::from_secs(10) => {
                    tracing::error!(connection = %connection.id, cause = %error, "new tokens could not be stored; trying again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Err(error) => return Err(internal(error)),
            }
        };
        if !stored {
            // Another process was first: what it stored counts.
            return self.found(old, &connection).await;
        }
        connection.captured.extend(grant.captured);
        tracing::info!(connection = %connection.id, service = %connection.service, "tokens renewed");
        Ok(resolved(
            old,
            connection,
            StoredCredentials { credentials, version: version + 1, updated_ms: now_ms() },
        ))
    }

    /// Marks the connection invalid, with the CRM's reason; unless it was authorised anew while the CRM was asked.
    async fn end(
        &self,
        old: &Resolved,
        connection: &Connection,
        version: i64,
        code: String,
        says: String,
    ) -> Result<Arc<Resolved>, Failure> {
        let store = &self.0.store;
        if store.invalidate_connection(connection, version, &code, &says).await.map_err(internal)? {
            tracing::warn!(connection = %connection.id, service = %connection.service, code, says, "the CRM ended the grant");
            return Err(Failure::Final { code, says });
        }
        self.found(old, connection).await
    }

    /// The connection as it is stored by now.
    async fn found(&self, old: &Resolved, connection: &Connection) -> Result<Arc<Resolved>, Failure> {
        match self.0.store.opened_connection(connection).await.map_err(internal)? {
            Some((stored, _)) if stored.connection.state == ConnectionState::Invalid => Err(ended(&stored)),
            Some((stored, Some(found))) => Ok(resolved(old, stored.connection, found)),
            _ => Err(Failure::Gone),
        }
    }

    fn transient(&self, says: String, retry_after_ms: Option<u64>) -> Failure {
        let backoff = u64::try_from(self.0.settings.refresh_backoff.as_millis()).unwrap_or(u64::MAX);
        Failure::Transient { says, retry_after_ms: retry_after_ms.unwrap_or(backoff) }
    }
}

fn resolved(old: &Resolved, connection: Connection, found: StoredCredentials) -> Arc<Resolved> {
    Arc::new(Resolved {
        connection: Arc::new(connection),
        credentials: found.credentials,
        version: found.version,
        obtained_at: found.updated_ms / 1000,
        integration: old.integration.clone(),
    })
}

fn ended(stored: &StoredConnection) -> Failure {
    Failure::Final {
        code: stored.reason_code.clone().unwrap_or_default(),
        says: stored.reason.clone().unwrap_or_default(),
    }
}

fn internal(error: crate::storage::Error) -> Failure {
    Failure::Internal(error.to_string())
}

fn no_refresh_token(of: &Resolved) -> Error {
    let reason = "The access token has ended, and the CRM gave no refresh token.";
    invalid(&of.connection.service, Some("no_refresh_token"), Some(reason))
}

fn answer(failure: &Failure, of: &Resolved) -> Error {
    let service = &of.connection.service;
    match failure {
        Failure::Final { code, says } => invalid(service, Some(code), Some(says)),
        Failure::Transient { says, retry_after_ms } => {
            Error::new(Kind::OAuthConnectorError, format!("The token of `{service}` could not be renewed."))
                .detail(json!({ "reason": says }))
                .retry_after_ms(*retry_after_ms)
        }
        Failure::NoClient => Error::new(
            Kind::OAuthCredentialsNotFoundError,
            format!("The application's integration `{service}` has no OAuth client."),
        ),
        Failure::Gone => {
            let says = format!("The connection to `{service}` was deleted.");
            Error::new(Kind::ConnectionNotFoundError, says)
        }
        Failure::Internal(source) => Error::internal(source),
    }
}

#[cfg(test)]
mod tests;
