//! A CRM's OAuth side: what its manifest says, as this gateway's settings have it.

use std::collections::BTreeMap;

use url::Url;

use crate::connector::manifest::{self, GrantKind, OAuth2, RefreshToken, Urls};
use crate::connector::oauth::{Allowed, url_of};
use crate::connector::request::join;
use crate::connector::template::Template;
use crate::error::{Error, Kind, Result};
use crate::model::Connection;
use crate::vault::token::{ClientAuth, TokenEndpoint};

/// Values by name that URLs are filled with: a connection's settings and what was captured for it.
pub type Known = BTreeMap<String, String>;

/// A CRM's OAuth side.
#[derive(Debug)]
pub struct Provider {
    authorize: Vec<Template>,
    token: Vec<Template>,
    revoke: Vec<Template>,
    hosts: Vec<Allowed>,
    /// The address that stands for the CRM's own hosts, where the settings name one.
    base_url: Option<Url>,
    client_auth: ClientAuth,
    says: OAuth2,
}

impl Provider {
    /// The side that a checked manifest describes; all its requests go to `base_url` where there is one.
    pub fn new(says: &OAuth2, base_url: Option<&Url>) -> Provider {
        let templates = |urls: Option<&Urls>| {
            let all = urls.map(Urls::all).unwrap_or_default();
            all.iter().filter_map(|text| Template::parse(text).ok()).collect()
        };
        Provider {
            authorize: templates(says.authorize_url.as_ref()),
            token: templates(Some(&says.token_url)),
            revoke: templates(says.revoke_url.as_ref()),
            hosts: says.hosts.iter().filter_map(|host| Allowed::parse(host).ok()).collect(),
            base_url: base_url.cloned(),
            client_auth: match says.client_auth {
                manifest::ClientAuth::Body => ClientAuth::Body,
                manifest::ClientAuth::Basic => ClientAuth::Basic,
            },
            says: says.clone(),
        }
    }

    /// Where a browser is sent to consent, without its query.
    ///
    /// # Errors
    /// `ConnectionSettingsError`: what is known makes no URL, or one that leads elsewhere than to the CRM.
    pub fn authorize_url(&self, known: &Known) -> Result<Url> {
        self.url(&self.authorize, known)?.ok_or_else(lacking)
    }

    /// Where codes, refresh tokens and clients are exchanged for tokens.
    ///
    /// # Errors
    /// As [`Provider::authorize_url`].
    pub fn token_endpoint(&self, known: &Known) -> Result<TokenEndpoint> {
        let pairs = |map: &BTreeMap<String, String>| {
            map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        Ok(TokenEndpoint {
            url: self.url(&self.token, known)?.ok_or_else(lacking)?,
            client_auth: self.client_auth,
            extra_params: pairs(&self.says.token_params),
            capture: pairs(&self.says.capture),
            final_errors: self.says.final_errors.clone(),
            expires_in_s: self.says.expires_in_s,
        })
    }

    /// Where tokens are revoked; none where the CRM has no such endpoint.
    ///
    /// # Errors
    /// As [`Provider::authorize_url`].
    pub fn revoke_url(&self, known: &Known) -> Result<Option<Url>> {
        self.url(&self.revoke, known)
    }

    fn url(&self, templates: &[Template], known: &Known) -> Result<Option<Url>> {
        let url = url_of(templates, &self.hosts, known).map_err(|says| {
            Error::new(Kind::ConnectionSettingsError, "The connection's settings make no OAuth address.")
                .detail(says)
        })?;
        Ok(url.map(|url| match &self.base_url {
            Some(base) => join(
                base,
                &match url.query() {
                    Some(query) => format!("{}?{query}", url.path()),
                    None => url.path().to_owned(),
                },
            ),
            None => url,
        }))
    }

    /// How the client proves itself.
    pub fn client_auth(&self) -> ClientAuth {
        self.client_auth
    }

    /// Whether tokens can be had in that way.
    pub fn grants(&self, kind: GrantKind) -> bool {
        self.says.grants.contains(&kind)
    }

    /// Whether a PKCE challenge goes along.
    pub fn pkce(&self) -> bool {
        self.says.pkce
    }

    /// Whether a refresh replaces the refresh token.
    pub fn rotates(&self) -> bool {
        self.says.refresh_token == RefreshToken::Rotating
    }

    /// Further parameters of the authorize URL.
    pub fn authorize_params(&self) -> &BTreeMap<String, String> {
        &self.says.authorize_params
    }

    /// The scopes to ask for: the integration's own where it has some.
    pub fn scopes<'a>(&'a self, own: &'a [String]) -> &'a [String] {
        if own.is_empty() { &self.says.scopes } else { own }
    }

    /// Scopes as they stand in a request.
    pub fn joined(&self, scopes: &[String]) -> String {
        scopes.join(&self.says.scope_separator)
    }

    /// What a callback's query holds for the connection to keep.
    pub fn captured(&self, query: &[(String, String)]) -> Known {
        let value = |key: &String| query.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        let kept = self.says.capture_callback.iter();
        kept.filter_map(|(key, name)| Some((name.clone(), value(key)?))).collect()
    }
}

/// What is known of a connection.
pub fn known_of(connection: &Connection) -> Known {
    let mut known = connection.settings.clone();
    known.extend(connection.captured.iter().map(|(name, value)| (name.clone(), value.clone())));
    known
}

fn lacking() -> Error {
    Error::new(
        Kind::ConnectionSettingsError,
        "The connection lacks settings that the CRM's OAuth address needs.",
    )
}
