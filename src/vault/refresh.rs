//! Fresh tokens: one refresh at a time for each connection, whatever the number of callers and whoever goes away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use serde_json::json;

use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::oauth::renewal::{Renewal, renewal};
use super::oauth::{Provider, known_of};
use super::resolve::{Resolved, invalid};
use super::token::{self, Grant, OAuthClient, Refusal, TokenEndpoint};
use super::{Settings, Vault};
use crate::error::{self, Error, Kind};
use crate::model::{Connection, ConnectionId, ConnectionState, Credentials, Secret};
use crate::storage::{Lease, StoredConnection, StoredCredentials, now_ms};

/// Refreshes under way and lately done, and failures lately seen.
pub(super) struct Flights {
    /// By connection and the version of the credentials that is renewed: each version is renewed once.
    done: Cache<(ConnectionId, i64), Arc<Resolved>>,
    failed: Cache<ConnectionId, Failure>,
    /// What this process takes leases as.
    holder: String,
    under_way: TaskTracker,
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
    /// What is known of the connection makes no token endpoint.
    NoEndpoint(String),
    /// Our own fault.
    Internal(String),
}

/// How long a lease lasts without being extended: the longest that others wait after a crash.
const LEASE: Duration = Duration::from_secs(2);

/// How often a lease is extended while the CRM is asked.
const BEAT: Duration = Duration::from_millis(500);

/// How often a lease that another process holds is looked at.
const LOOK: Duration = Duration::from_millis(50);

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
    /// Work that is finished before the store is closed, whoever waits for it.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.under_way.spawn(work)
    }

    pub(super) fn new(settings: &Settings) -> Flights {
        let entries = settings.entries;
        Flights {
            done: Cache::builder().max_capacity(entries).time_to_live(settings.keep).build(),
            failed: Cache::builder()
                .max_capacity(entries)
                .expire_after(Backoff(settings.refresh_backoff))
                .build(),
            holder: Uuid::now_v7().to_string(),
            under_way: TaskTracker::new(),
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
        provider: &Arc<Provider>,
    ) -> error::Result<Arc<Resolved>> {
        let left_s = match &resolved.credentials {
            Credentials::OAuth { access_token, expires_at, .. }
            | Credentials::Granted { access_token, expires_at, .. } => match expires_at {
                _ if access_token.is_empty() => 0,
                Some(end) => end.saturating_sub(now_ms() / 1000),
                None => return Ok(resolved),
            },
            values if renewal(values, provider).is_some() => 0,
            Credentials::Static { .. } => return Ok(resolved),
        };
        let margin_s = i64::try_from(self.0.settings.refresh_margin.as_secs()).unwrap_or(i64::MAX);
        // Of a short-lived token, a fifth: or it would be renewed with every call.
        let life_s = expires_at(&resolved).map_or(0, |end| end.saturating_sub(resolved.obtained_at).max(0));
        if left_s > margin_s.min(life_s / 5) {
            return Ok(resolved);
        }
        if renewal(&resolved.credentials, provider).is_none() {
            return if left_s > 0 { Ok(resolved) } else { Err(self.ended_for_good(&resolved).await) };
        }
        match self.renewed(&resolved, provider).await {
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
        provider: &Arc<Provider>,
        rejected_access_token: &Secret,
    ) -> error::Result<Arc<Resolved>> {
        let (Credentials::OAuth { access_token, .. } | Credentials::Granted { access_token, .. }) =
            &resolved.credentials
        else {
            let says = format!("`{}` refused the connection's credentials.", resolved.connection.service);
            return Err(Error::new(Kind::ConnectorCredentialsError, says));
        };
        if access_token != rejected_access_token {
            return Ok(resolved.clone());
        }
        if renewal(&resolved.credentials, provider).is_none() {
            return Err(no_refresh_token(resolved));
        }
        self.renewed(resolved, provider).await.map_err(|failure| answer(&failure, resolved))
    }

    /// The connection with tokens newer than those given, whatever is left of these. Errors: as [`Vault::fresh`], and
    /// `InvalidStateError` where nothing can be renewed.
    pub async fn renew(
        &self,
        resolved: &Arc<Resolved>,
        provider: &Arc<Provider>,
    ) -> error::Result<Arc<Resolved>> {
        if renewal(&resolved.credentials, provider).is_none() {
            let says = "The connection's credentials cannot be exchanged for an access token.";
            return Err(Error::new(Kind::InvalidStateError, says));
        }
        self.renewed(resolved, provider).await.map_err(|failure| answer(&failure, resolved))
    }

    /// Waits for refreshes under way: what a CRM has granted is stored before the store is closed.
    pub async fn settle(&self) {
        self.0.flights.under_way.close();
        let longest = self.0.settings.refresh_timeout + Duration::from_secs(1);
        if tokio::time::timeout(longest, self.0.flights.under_way.wait()).await.is_err() {
            tracing::warn!("stopped with a token refresh still under way");
        }
    }

    /// A known end has come and nothing can be done: the connection is invalid.
    async fn ended_for_good(&self, resolved: &Resolved) -> Error {
        let reason = "The access token has ended, and the CRM gave no refresh token.";
        let marked = self.0.store.invalidate_connection(
            &resolved.connection,
            resolved.version,
            "no_refresh_token",
            reason,
        );
        if let Err(error) = marked.await {
            tracing::warn!(connection = %resolved.connection.id, cause = %error, "the end of a connection was not noted");
        }
        no_refresh_token(resolved)
    }

    /// The connection with credentials newer than the version given: one flight for all who ask.
    async fn renewed(&self, old: &Arc<Resolved>, provider: &Arc<Provider>) -> Result<Arc<Resolved>, Failure> {
        let flights = &self.0.flights;
        if let Some(failure) = flights.failed.get(&old.connection.id).await {
            return Err(failure);
        }
        let slot = (old.connection.id.clone(), old.version);
        if let Some(done) = flights.done.get(&slot).await {
            return Ok(done);
        }
        let (vault, old, provider) = (self.clone(), old.clone(), provider.clone());
        // The whole flight is a task of its own: were it a caller's, it would end with that caller, and the next one
        // would send a refresh token that may have been used up.
        let flight = flights.spawn(async move {
            let flights = &vault.0.flights;
            flights.done.try_get_with(slot, vault.fly(&old, &provider)).await
        });
        match flight.await {
            Ok(outcome) => outcome.map_err(|failure| (*failure).clone()),
            Err(error) => Err(Failure::Internal(format!("token refresh: {error}"))),
        }
    }

    async fn fly(&self, old: &Resolved, provider: &Provider) -> Result<Arc<Resolved>, Failure> {
        let outcome = self.refresh_now(old, provider).await;
        if let Err(failure @ Failure::Transient { .. }) = &outcome {
            self.0.flights.failed.insert(old.connection.id.clone(), failure.clone()).await;
        }
        outcome
    }

    async fn refresh_now(&self, old: &Resolved, provider: &Provider) -> Result<Arc<Resolved>, Failure> {
        let inner = &self.0;
        let give_up = Instant::now() + inner.settings.refresh_timeout + LEASE;
        let (stored, found, unanswered_since_ms) = loop {
            // What is in the database counts: another process may have been first, or someone have authorised anew.
            let stored = inner.store.opened_connection(&old.connection).await.map_err(internal)?;
            let Some((stored, Some(found))) = stored else { return Err(Failure::Gone) };
            if stored.connection.state == ConnectionState::Invalid {
                return Err(ended(&stored));
            }
            if found.version != old.version {
                return Ok(resolved(old, stored.connection, found));
            }
            match self.lease(old).await? {
                Lease::Taken { unanswered_since_ms } => break (stored, found, unanswered_since_ms),
                Lease::Moved => {}
                Lease::Held if Instant::now() < give_up => tokio::time::sleep(LOOK).await,
                Lease::Held => {
                    let says = "another process has been renewing the token for too long".to_owned();
                    return Err(self.transient(says, None));
                }
            }
        };
        let asked = self.ask(old, provider, &stored.connection, &found).await;
        let (asked_s, how, grant) = match asked {
            Ok(granted) => granted,
            Err(refusal) => {
                return self
                    .refused(old, &stored.connection, found.version, refusal, unanswered_since_ms)
                    .await;
            }
        };
        self.keep(old, stored.connection, found, grant, asked_s, how).await
    }

    async fn lease(&self, old: &Resolved) -> Result<Lease, Failure> {
        let (id, holder, now) = (&old.connection.id, &self.0.flights.holder, now_ms());
        self.0.store.lease_refresh(id, old.version, holder, now, now + millis(LEASE)).await.map_err(internal)
    }

    /// Asks the CRM, holding on to the lease meanwhile.
    async fn ask(
        &self,
        old: &Resolved,
        provider: &Provider,
        connection: &Connection,
        found: &StoredCredentials,
    ) -> Result<(i64, Renewal, Grant), Asked> {
        let inner = &self.0;
        let how = renewal(&found.credentials, provider).ok_or(Asked::Never(Failure::Gone))?;
        let endpoint: TokenEndpoint = provider
            .token_endpoint(&known_of(connection))
            .map_err(|error| Asked::Never(Failure::NoEndpoint(error.to_string())))?;
        let integration = &old.integration;
        let own = how.clone();
        let (id, secret) = own
            .own_client()
            .or_else(|| Some((integration.client_id.as_deref()?, integration.client_secret.as_ref())))
            .ok_or(Asked::Never(Failure::NoClient))?;
        let scope = provider.joined(provider.scopes(&integration.scopes));
        let asked_s = now_ms() / 1000;
        let exchange = token::exchange(&inner.http, &endpoint, OAuthClient { id, secret }, own.offer(&scope));
        let mut exchange = std::pin::pin!(tokio::time::timeout(inner.settings.refresh_timeout, exchange));
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + BEAT, BEAT);
        let answered = loop {
            tokio::select! {
                answered = &mut exchange => break answered,
                _ = beat.tick() => {
                    let until_ms = now_ms() + millis(LEASE);
                    let held = inner.store.extend_lease(&connection.id, &inner.flights.holder, until_ms).await;
                    if let Err(error) = held {
                        tracing::warn!(connection = %connection.id, cause = %error, "the lease of a refresh was not extended");
                    }
                }
            }
        };
        match answered {
            Ok(Ok(grant)) => Ok((asked_s, how, grant)),
            Ok(Err(refusal)) => Err(Asked::Refused(refusal)),
            Err(_) => Err(Asked::Refused(Refusal::Transient {
                says: "the token endpoint did not answer in time".to_owned(),
                retry_after_ms: None,
                unanswered: true,
            })),
        }
    }

    /// What follows from a refusal: the end of the connection, or another try later.
    async fn refused(
        &self,
        old: &Resolved,
        connection: &Connection,
        version: i64,
        refusal: Asked,
        unanswered_since_ms: Option<i64>,
    ) -> Result<Arc<Resolved>, Failure> {
        let release = async |answered| {
            let released = self.0.store.release_lease(&connection.id, &self.0.flights.holder, answered).await;
            if let Err(error) = released {
                tracing::warn!(connection = %connection.id, cause = %error, "the lease of a refresh was not given back");
            }
        };
        match refusal {
            Asked::Never(failure) => {
                release(unanswered_since_ms.is_none()).await;
                Err(failure)
            }
            Asked::Refused(Refusal::Final { code, mut says }) => {
                if unanswered_since_ms.is_some() {
                    says.push_str(UNHEARD);
                }
                let outcome = self.end(old, connection, version, code, says).await;
                release(true).await;
                outcome
            }
            Asked::Refused(Refusal::Transient { says, retry_after_ms, unanswered }) => {
                release(!unanswered && unanswered_since_ms.is_none()).await;
                Err(self.transient(says, retry_after_ms))
            }
        }
    }

    /// Stores what was granted, then hands it out. The old tokens stay stored until the new ones are.
    async fn keep(
        &self,
        old: &Resolved,
        mut connection: Connection,
        found: StoredCredentials,
        grant: Grant,
        asked_s: i64,
        how: Renewal,
    ) -> Result<Arc<Resolved>, Failure> {
        let version = found.version;
        let captured = grant.captured.clone();
        let credentials = how.credentials(grant, asked_s, &found.credentials);
        let mut wait = Duration::from_millis(50);
        let stored = loop {
            match self.0.store.replace_credentials(&connection, version, &credentials, &captured).await {
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
        connection.captured.extend(captured);
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
        limits: old.limits.clone(),
        defaults: old.defaults.clone(),
        custom_mappings: old.custom_mappings.clone(),
    })
}

fn ended(stored: &StoredConnection) -> Failure {
    Failure::Final {
        code: stored.reason_code.clone().unwrap_or_default(),
        says: stored.reason.clone().unwrap_or_default(),
    }
}

/// Why the CRM granted nothing.
enum Asked {
    /// It was not asked.
    Never(Failure),
    /// It refused, or could not be heard.
    Refused(Refusal),
}

/// Said of a refused refresh token after a refresh whose end nobody knows.
const UNHEARD: &str = " (An earlier refresh broke off: the CRM may have replaced the refresh token without the gateway hearing of it.)";

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn expires_at(of: &Resolved) -> Option<i64> {
    match &of.credentials {
        Credentials::OAuth { expires_at, .. } | Credentials::Granted { expires_at, .. } => *expires_at,
        Credentials::Static { .. } => None,
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
        Failure::NoEndpoint(says) => Error::new(Kind::ConnectionSettingsError, says.clone()),
        Failure::Gone => {
            let says = format!("The connection to `{service}` was deleted.");
            Error::new(Kind::ConnectionNotFoundError, says)
        }
        Failure::Internal(source) => Error::internal(source),
    }
}

#[cfg(test)]
mod tests;
