//! Room: oauth. In: codes, refresh tokens, clients. Out: tokens, whose account a token opens. Never: vendor wording.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::exchange::{Reply, Request};
use crate::seed::{Rng, mix};
use crate::vendor::Vendor;

/// A pair of tokens as the token endpoint hands them out.
#[derive(Debug, Clone, Serialize)]
pub struct Tokens {
    /// The bearer token.
    pub access_token: String,
    /// The token that buys the next access token.
    pub refresh_token: String,
    /// Lifetime of the access token, seconds.
    pub expires_in: i64,
    /// The account that the tokens open.
    pub account: String,
}

/// Why the token endpoint says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The authorization code is unknown or was used before.
    Code,
    /// The redirect URI differs from the one that the code was issued for.
    RedirectUri,
    /// The refresh token is unknown, revoked, rotated away or another client's.
    RefreshToken,
}

/// What a bearer token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Opens this account.
    Account(String),
    /// Opened an account until then, milliseconds since 1970.
    Expired {
        /// The account that it opened.
        account: String,
        /// When it expired.
        at_ms: i64,
    },
    /// Never heard of it, or revoked.
    Unknown,
}

/// How often an account's refresh tokens were used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RefreshCounts {
    /// Refreshes that handed out a token.
    pub granted: u64,
    /// Refreshes refused although the token once belonged to the account (rotated away or revoked).
    pub refused: u64,
}

#[derive(Debug)]
struct Access {
    vendor: Vendor,
    account: String,
    expires_ms: i64,
}

#[derive(Debug)]
struct Refresh {
    vendor: Vendor,
    account: String,
    client: Option<String>,
    alive: bool,
    /// Replaced, but still taken until then, milliseconds since 1970.
    grace_until_ms: i64,
}

#[derive(Debug)]
struct Code {
    vendor: Vendor,
    account: String,
    client: String,
    redirect_uri: String,
    challenge: Option<String>,
}

/// How a refresh goes.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Whether the refresh token is replaced.
    pub rotate: bool,
    /// For how long the replaced one is still taken, milliseconds.
    pub grace_ms: i64,
    /// Lifetime of the access token, seconds.
    pub lifetime_s: i64,
    /// When it expires, milliseconds since 1970.
    pub expires_ms: i64,
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
}

/// Every client, code and token of this server.
#[derive(Debug)]
pub struct Grants {
    counter: u64,
    seed: u64,
    clients: HashMap<(Vendor, String), String>,
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    revoked_static: HashSet<(Vendor, String)>,
    counts: HashMap<(Vendor, String), RefreshCounts>,
}

impl Grants {
    /// The demo clients and the demo account's refresh tokens.
    pub fn new(seed: u64) -> Grants {
        let mut grants = Grants {
            counter: 0,
            seed,
            clients: HashMap::new(),
            codes: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            revoked_static: HashSet::new(),
            counts: HashMap::new(),
        };
        for vendor in Vendor::ALL {
            let name = vendor.prefix();
            grants.add_client(vendor, &format!("demo-{name}-client"), &format!("demo-{name}-secret"));
            let refresh =
                Refresh { vendor, account: "demo".to_owned(), client: None, alive: true, grace_until_ms: 0 };
            grants.refresh.insert(format!("demo-{name}-refresh"), refresh);
        }
        grants
    }

    /// Makes an OAuth client known.
    pub fn add_client(&mut self, vendor: Vendor, id: &str, secret: &str) {
        self.clients.insert((vendor, id.to_owned()), secret.to_owned());
    }

    /// A client's secret, if the client is known.
    pub fn secret_of(&self, vendor: Vendor, client: &str) -> Option<&str> {
        self.clients.get(&(vendor, client.to_owned())).map(String::as_str)
    }

    fn opaque(&mut self, prefix: &str) -> String {
        self.counter += 1;
        let mut rng = Rng::new(mix(self.seed), prefix, self.counter);
        format!("{prefix}-{:06}-{}", self.counter, rng.hash40())
    }

    /// Issues a code for an account that consented.
    pub fn authorize(
        &mut self,
        vendor: Vendor,
        client: &str,
        redirect_uri: &str,
        challenge: Option<&str>,
        account: &str,
    ) -> String {
        let code = self.opaque("code");
        self.codes.insert(
            code.clone(),
            Code {
                vendor,
                account: account.to_owned(),
                client: client.to_owned(),
                redirect_uri: redirect_uri.to_owned(),
                challenge: challenge.map(str::to_owned),
            },
        );
        code
    }

    /// Exchanges a code, once.
    pub fn exchange(
        &mut self,
        vendor: Vendor,
        client: &str,
        code: &str,
        (redirect_uri, verifier): (&str, &str),
        expires_ms: impl Fn(&str) -> (i64, i64),
    ) -> Result<Tokens, Refusal> {
        let known = self.codes.get(code).filter(|known| known.vendor == vendor && known.client == client);
        let known = known.ok_or(Refusal::Code)?;
        if known.redirect_uri != redirect_uri {
            return Err(Refusal::RedirectUri);
        }
        if known.challenge.as_ref().is_some_and(|challenge| *challenge != challenge_of(verifier)) {
            return Err(Refusal::Code);
        }
        let account = known.account.clone();
        self.codes.remove(code);
        let (lifetime_s, expires_ms) = expires_ms(&account);
        let refresh_token = self.new_refresh(vendor, &account, Some(client));
        Ok(self.grant(vendor, account, refresh_token, lifetime_s, expires_ms))
    }

    /// The account that a refresh token belongs or belonged to; tokens `test-refresh-<account>` always exist.
    pub fn refresh_account(&mut self, vendor: Vendor, token: &str) -> Option<String> {
        if !self.refresh.contains_key(token) {
            let account =
                token.strip_prefix("test-refresh-").filter(|account| !account.is_empty())?.to_owned();
            let refresh = Refresh { vendor, account, client: None, alive: true, grace_until_ms: 0 };
            self.refresh.insert(token.to_owned(), refresh);
        }
        self.refresh.get(token).filter(|known| known.vendor == vendor).map(|known| known.account.clone())
    }

    /// Buys a new access token; under `rotate` the old refresh token dies at once.
    pub fn refresh(
        &mut self,
        vendor: Vendor,
        client: &str,
        token: &str,
        turn: Turn,
    ) -> Result<Tokens, Refusal> {
        let account = self.refresh_account(vendor, token).ok_or(Refusal::RefreshToken)?;
        let usable = self
            .refresh
            .get(token)
            .filter(|known| known.alive || known.grace_until_ms > turn.now_ms)
            .is_some_and(|known| known.client.as_deref().is_none_or(|owner| owner == client));
        let counts = self.counts.entry((vendor, account.clone())).or_default();
        if !usable {
            counts.refused += 1;
            return Err(Refusal::RefreshToken);
        }
        counts.granted += 1;
        let refresh_token = if turn.rotate {
            if let Some(old) = self.refresh.get_mut(token).filter(|old| old.alive) {
                old.alive = false;
                old.grace_until_ms = turn.now_ms + turn.grace_ms;
            }
            self.new_refresh(vendor, &account, Some(client))
        } else {
            token.to_owned()
        };
        Ok(self.grant(vendor, account, refresh_token, turn.lifetime_s, turn.expires_ms))
    }

    fn new_refresh(&mut self, vendor: Vendor, account: &str, client: Option<&str>) -> String {
        let token = self.opaque("refresh");
        self.refresh.insert(
            token.clone(),
            Refresh {
                vendor,
                account: account.to_owned(),
                client: client.map(str::to_owned),
                alive: true,
                grace_until_ms: 0,
            },
        );
        token
    }

    fn grant(
        &mut self,
        vendor: Vendor,
        account: String,
        refresh_token: String,
        expires_in: i64,
        expires_ms: i64,
    ) -> Tokens {
        let access_token = self.opaque("access");
        self.access.insert(access_token.clone(), Access { vendor, account: account.clone(), expires_ms });
        Tokens { access_token, refresh_token, expires_in, account }
    }

    /// Makes tokens without the dance; a lifetime of zero or less is expired already.
    pub fn mint(&mut self, vendor: Vendor, account: &str, lifetime_s: i64, now_ms: i64) -> Tokens {
        let refresh_token = self.new_refresh(vendor, account, None);
        self.grant(vendor, account.to_owned(), refresh_token, lifetime_s, now_ms + lifetime_s * 1000)
    }

    /// What a bearer token is worth now. Fixed tokens never expire, but can be revoked.
    pub fn standing(&self, vendor: Vendor, token: &str, now_ms: i64) -> Standing {
        if let Some(known) = self.access.get(token).filter(|known| known.vendor == vendor) {
            let account = known.account.clone();
            return if known.expires_ms > now_ms {
                Standing::Account(account)
            } else {
                Standing::Expired { account, at_ms: known.expires_ms }
            };
        }
        match fixed_account(vendor, token) {
            Some(account) if !self.revoked_static.contains(&(vendor, token.to_owned())) => {
                Standing::Account(account.to_owned())
            }
            _ => Standing::Unknown,
        }
    }

    /// Expires every access token of an account; answers how many.
    pub fn expire_access(&mut self, vendor: Vendor, account: &str, now_ms: i64) -> usize {
        let mut count = 0;
        for access in self.access.values_mut() {
            if access.vendor == vendor && access.account == account && access.expires_ms > now_ms {
                access.expires_ms = now_ms;
                count += 1;
            }
        }
        count
    }

    /// Kills one token of any kind; answers whether it was known.
    pub fn revoke(&mut self, vendor: Vendor, token: &str) -> bool {
        if self.access.remove(token).is_some() {
            return true;
        }
        if self.refresh_account(vendor, token).is_some() {
            if let Some(known) = self.refresh.get_mut(token) {
                known.alive = false;
                known.grace_until_ms = 0;
            }
            return true;
        }
        fixed_account(vendor, token).is_some() && self.revoked_static.insert((vendor, token.to_owned()))
    }

    /// Kills every token issued to an account, as when its owner removes the app. Fixed tokens are left.
    pub fn revoke_account(&mut self, vendor: Vendor, account: &str) -> usize {
        let before = self.access.len();
        self.access.retain(|_, known| known.vendor != vendor || known.account != account);
        let mut count = before - self.access.len();
        for known in self.refresh.values_mut() {
            if known.vendor == vendor && known.account == account {
                known.grace_until_ms = 0;
                count += usize::from(known.alive);
                known.alive = false;
            }
        }
        count
    }

    /// How often the account's refresh tokens were used.
    pub fn counts(&self, vendor: Vendor, account: &str) -> RefreshCounts {
        self.counts.get(&(vendor, account.to_owned())).copied().unwrap_or_default()
    }
}

/// The S256 challenge of a verifier (RFC 7636).
fn challenge_of(verifier: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier.as_bytes()))
}

/// A page on which a person picks the account to connect.
pub fn consent_page(request: &Request, vendor: &str) -> Reply {
    let query = request.raw_query.as_deref().unwrap_or("").replace('&', "&amp;").replace('"', "&quot;");
    let button =
        |account: &str, says: &str| format!("<p><a href=\"?{query}&amp;mock_user={account}\">{says}</a></p>");
    let page = format!(
        "<html><head><title>{vendor} (mock)</title></head><body><h1>Connect to {vendor} (mock)</h1>{}{}</body></html>",
        button("demo", "Allow access to the demo account"),
        button("deny", "Cancel")
    );
    Reply::html(200, &page)
}

/// The account that a fixed token opens: `pat-demo-hubspot`, `pat-test-<account>`, `demo-pipedrive-token`,
/// `test-<account>`.
fn fixed_account(vendor: Vendor, token: &str) -> Option<&str> {
    let (demo, prefix) = match vendor {
        Vendor::Hubspot => ("pat-demo-hubspot", "pat-test-"),
        Vendor::Pipedrive => ("demo-pipedrive-token", "test-"),
        Vendor::Concord => ("demo-concord-token", "test-"),
        Vendor::Tldcrm => ("demo-tldcrm-key", "test-"),
    };
    if token == demo {
        return Some("demo");
    }
    token
        .strip_prefix(prefix)
        .filter(|account| !account.is_empty() && *account != "demo" && !account.starts_with("refresh-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(rotate: bool, now_ms: i64) -> Turn {
        Turn { rotate, grace_ms: 50, lifetime_s: 1800, expires_ms: i64::MAX, now_ms }
    }

    #[test]
    fn a_rotated_refresh_token_may_have_a_grace() {
        let mut grants = Grants::new(1);
        let mut at = |token: &str, now_ms| {
            grants.refresh(Vendor::Hubspot, "demo-hubspot-client", token, turn(true, now_ms))
        };
        assert!(at("test-refresh-a", 0).is_ok());
        assert!(at("test-refresh-a", 49).is_ok());
        assert_eq!(at("test-refresh-a", 50).unwrap_err(), Refusal::RefreshToken);
    }

    #[test]
    fn a_rotated_refresh_token_dies_and_a_fixed_one_lives() {
        let mut grants = Grants::new(1);
        let client = "demo-hubspot-client";
        let again = |grants: &mut Grants, token: &str, rotate| {
            grants.refresh(Vendor::Hubspot, client, token, Turn { grace_ms: 0, ..turn(rotate, 0) })
        };
        let kept = again(&mut grants, "demo-hubspot-refresh", false).unwrap();
        assert_eq!(kept.refresh_token, "demo-hubspot-refresh");
        let moved = again(&mut grants, "test-refresh-a", true).unwrap();
        assert_eq!(again(&mut grants, "test-refresh-a", true).unwrap_err(), Refusal::RefreshToken);
        assert!(again(&mut grants, &moved.refresh_token, true).is_ok());
        assert_eq!(grants.counts(Vendor::Hubspot, "a"), RefreshCounts { granted: 2, refused: 1 });
        assert_eq!(
            grants.standing(Vendor::Hubspot, &kept.access_token, 0),
            Standing::Account("demo".to_owned())
        );
        assert_eq!(grants.standing(Vendor::Pipedrive, &kept.access_token, 0), Standing::Unknown);
    }

    #[test]
    fn a_code_works_once_and_only_with_its_redirect() {
        let mut grants = Grants::new(1);
        let code = grants.authorize(Vendor::Pipedrive, "c", "https://app/cb", None, "acme");
        let lifetime = |_: &str| (60, i64::MAX);
        assert_eq!(
            grants.exchange(Vendor::Pipedrive, "c", &code, ("https://evil/cb", ""), lifetime).unwrap_err(),
            Refusal::RedirectUri
        );
        assert!(grants.exchange(Vendor::Pipedrive, "c", &code, ("https://app/cb", ""), lifetime).is_ok());
        assert_eq!(
            grants.exchange(Vendor::Pipedrive, "c", &code, ("https://app/cb", ""), lifetime).unwrap_err(),
            Refusal::Code
        );
    }
}
