//! How a connection gets its next access token.

use std::collections::BTreeMap;

use super::Provider;
use crate::connector::manifest::GrantKind;
use crate::model::{Credentials, Secret};
use crate::vault::token::{Grant, Offer};

/// What is exchanged for the next access token.
#[derive(Debug, Clone)]
pub enum Renewal {
    /// The refresh token.
    Refresh(Secret),
    /// The client itself: the connection's own where it has one.
    Client(BTreeMap<String, Secret>),
    /// The connection's user name and password, among its values.
    Password(BTreeMap<String, Secret>),
}

/// How these credentials are renewed at that CRM; none where they cannot be.
pub fn renewal(credentials: &Credentials, provider: &Provider) -> Option<Renewal> {
    let has = |values: &BTreeMap<String, Secret>, ids: [&str; 2]| {
        ids.iter().all(|id| values.get(*id).is_some_and(|value| !value.is_empty()))
    };
    match credentials {
        Credentials::OAuth { refresh_token, .. } => refresh_token.clone().map(Renewal::Refresh),
        Credentials::Static { values } | Credentials::Granted { values, .. }
            if provider.grants(GrantKind::Password) && has(values, ["username", "password"]) =>
        {
            Some(Renewal::Password(values.clone()))
        }
        Credentials::Granted { values, .. } if provider.grants(GrantKind::ClientCredentials) => {
            Some(Renewal::Client(values.clone()))
        }
        Credentials::Static { values }
            if provider.grants(GrantKind::ClientCredentials)
                && has(values, ["client_id", "client_secret"]) =>
        {
            Some(Renewal::Client(values.clone()))
        }
        Credentials::Static { .. } | Credentials::Granted { .. } => None,
    }
}

impl Renewal {
    /// The connection's own OAuth client, where it has one.
    pub fn own_client(&self) -> Option<(&str, Option<&Secret>)> {
        let (Renewal::Client(values) | Renewal::Password(values)) = self else { return None };
        Some((values.get("client_id")?.expose(), values.get("client_secret")))
    }

    /// What the token endpoint is offered.
    pub fn offer<'a>(&'a self, scope: &'a str) -> Offer<'a> {
        match self {
            Renewal::Refresh(token) => Offer::Refresh(token),
            Renewal::Client(_) => Offer::Client { scope },
            Renewal::Password(values) => match (values.get("username"), values.get("password")) {
                (Some(username), Some(password)) => Offer::Password { username, password, scope },
                _ => Offer::Client { scope },
            },
        }
    }

    /// The credentials that a grant makes; what it does not say stays as it was.
    pub fn credentials(self, grant: Grant, asked_s: i64, before: &Credentials) -> Credentials {
        let lasts = grant.expires_in.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        let expires_at = lasts.map(|seconds| asked_s.saturating_add(seconds));
        let scope = grant.scope.unwrap_or_else(|| match before {
            Credentials::OAuth { scope, .. } | Credentials::Granted { scope, .. } => scope.clone(),
            Credentials::Static { .. } => String::new(),
        });
        match self {
            Renewal::Refresh(token) => Credentials::OAuth {
                access_token: grant.access_token,
                refresh_token: Some(grant.refresh_token.unwrap_or(token)),
                expires_at,
                scope,
            },
            Renewal::Client(values) | Renewal::Password(values) => {
                Credentials::Granted { values, access_token: grant.access_token, expires_at, scope }
            }
        }
    }
}
