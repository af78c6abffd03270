//! Everything the server knows: accounts, tokens, faults, journal, settings. Shared by all connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};

use crate::clock::now_ms;
use crate::faults::Faults;
use crate::journal::Journal;
use crate::oauth::{Grants, Standing, Turn};
use crate::vendor::Vendor;
use crate::{Options, concord, hubspot, pipedrive, tldcrm};

/// Requests allowed in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Requests that pass in one window.
    pub max: u32,
    /// Length of the window, milliseconds.
    pub window_ms: i64,
}

/// What is particular about one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountSettings {
    /// Enforced limit of all requests; not enforced when absent.
    pub rate_limit: Option<RateLimit>,
    /// Enforced limit of search requests (HubSpot); not enforced when absent.
    pub search_limit: Option<RateLimit>,
    /// Whether a refresh replaces the refresh token and kills the old one at once.
    pub rotate_refresh_tokens: bool,
    /// For how long a replaced refresh token is still taken, milliseconds.
    pub refresh_grace_ms: i64,
    /// Whether token replies leave out how long the access token lasts (Salesforce).
    pub omit_expires_in: bool,
    /// Whether a refresh's reply leaves out the refresh token that stays (Zoho, Salesforce).
    pub omit_refresh_token: bool,
    /// Whether refusals of the token endpoint come with status 200 (Zoho).
    pub refuse_with_200: bool,
    /// What the authorize page adds to the callback, as Zoho's `location` and `accounts-server`.
    pub callback_params: Vec<(String, String)>,
    /// Announced and real lifetime of access tokens, seconds; the vendor's own when absent.
    pub token_lifetime_s: Option<i64>,
    /// How long a new record stays invisible to search, milliseconds (HubSpot).
    pub search_lag_ms: i64,
    /// Scopes that calls of this account lack, as path patterns below the vendor's prefix: such calls get 403.
    pub forbidden_paths: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    from_ms: i64,
    used: u32,
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// The limit.
    pub limit: RateLimit,
    /// Requests left in this window after this one.
    pub remaining: u32,
    /// When the window ends, milliseconds from now.
    pub reset_ms: i64,
    /// Whether this request may pass.
    pub passes: bool,
}

type Accounts<T> = RwLock<HashMap<String, Arc<RwLock<T>>>>;

/// Everything the server knows.
#[derive(Debug)]
pub struct World {
    /// The options it was started with.
    pub options: Options,
    /// `http://host:port`.
    pub base_url: String,
    /// OAuth clients, codes and tokens.
    pub grants: RwLock<Grants>,
    /// The faults that are set.
    pub faults: Mutex<Faults>,
    /// The last requests.
    pub journal: Mutex<Journal>,
    /// Told of every finished request.
    pub finished: tokio::sync::Notify,
    /// How many replies are held back.
    pub held: tokio::sync::watch::Sender<usize>,
    /// Moved on when held replies are let go.
    pub released: tokio::sync::watch::Sender<u64>,
    settings: RwLock<HashMap<(Vendor, String), AccountSettings>>,
    windows: Mutex<HashMap<(Vendor, String, &'static str), Window>>,
    hubspot: Accounts<hubspot::Account>,
    pipedrive: Accounts<pipedrive::Account>,
    concord: Accounts<concord::Account>,
    tldcrm: Accounts<tldcrm::Account>,
}

impl World {
    /// A world without accounts; they come into being when first asked for.
    pub fn new(options: Options, base_url: String) -> World {
        World {
            grants: RwLock::new(Grants::new(options.seed)),
            faults: Mutex::new(Faults::default()),
            journal: Mutex::new(Journal::new(options.journal_capacity)),
            finished: tokio::sync::Notify::new(),
            held: tokio::sync::watch::Sender::new(0),
            released: tokio::sync::watch::Sender::new(0),
            settings: RwLock::default(),
            windows: Mutex::default(),
            hubspot: RwLock::default(),
            pipedrive: RwLock::default(),
            concord: RwLock::default(),
            tldcrm: RwLock::default(),
            options,
            base_url,
        }
    }

    /// Forgets every account, token, fault, setting and journal entry.
    pub fn reset(&self) {
        *write(&self.grants) = Grants::new(self.options.seed);
        lock(&self.faults).clear();
        lock(&self.journal).clear();
        write(&self.settings).clear();
        lock(&self.windows).clear();
        write(&self.hubspot).clear();
        write(&self.pipedrive).clear();
        write(&self.concord).clear();
        write(&self.tldcrm).clear();
    }

    /// Waits, counted among the held, until held replies are let go.
    pub async fn hold(&self) {
        struct Held<'w>(&'w tokio::sync::watch::Sender<usize>);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.send_modify(|held| *held -= 1);
            }
        }
        let mut released = self.released.subscribe();
        self.held.send_modify(|held| *held += 1);
        let _held = Held(&self.held);
        let _ = released.changed().await;
    }

    /// The base URL of one vendor, without a slash at the end.
    pub fn vendor_url(&self, vendor: Vendor) -> String {
        format!("{}/{}", self.base_url, vendor.prefix())
    }

    /// An account's settings.
    pub fn settings(&self, vendor: Vendor, account: &str) -> AccountSettings {
        read(&self.settings).get(&(vendor, account.to_owned())).cloned().unwrap_or_default()
    }

    /// Changes an account's settings.
    pub fn set_settings(&self, vendor: Vendor, account: &str, settings: AccountSettings) {
        write(&self.settings).insert((vendor, account.to_owned()), settings);
    }

    /// Lifetime of an account's access tokens, and when one issued now expires.
    pub fn token_expiry(&self, vendor: Vendor, account: &str) -> (i64, i64) {
        let own = self.settings(vendor, account).token_lifetime_s;
        let lifetime_s = own.or(self.options.token_lifetime_s).unwrap_or(vendor.token_lifetime_s());
        (lifetime_s, now_ms() + lifetime_s * 1000)
    }

    /// How a refresh of an account's tokens goes now.
    pub fn turn(&self, vendor: Vendor, account: &str) -> Turn {
        let settings = self.settings(vendor, account);
        let (lifetime_s, expires_ms) = self.token_expiry(vendor, account);
        let (rotate, grace_ms) = (settings.rotate_refresh_tokens, settings.refresh_grace_ms);
        Turn { rotate, grace_ms, lifetime_s, expires_ms, now_ms: now_ms() }
    }

    /// What a token is worth.
    pub fn standing(&self, vendor: Vendor, token: &str) -> Standing {
        read(&self.grants).standing(vendor, token, now_ms())
    }

    /// Counts a request against one of an account's limits. Windows are fixed, beginning with their first request.
    pub fn count(
        &self,
        vendor: Vendor,
        account: &str,
        bucket: &'static str,
        enforced: Option<RateLimit>,
        announced: RateLimit,
    ) -> Allowance {
        let limit = enforced.unwrap_or(announced);
        let now = now_ms();
        let mut windows = lock(&self.windows);
        let window =
            windows.entry((vendor, account.to_owned(), bucket)).or_insert(Window { from_ms: now, used: 0 });
        if now - window.from_ms >= limit.window_ms {
            *window = Window { from_ms: now, used: 0 };
        }
        let passes = enforced.is_none() || window.used < limit.max;
        if passes {
            window.used = window.used.saturating_add(1);
        }
        Allowance {
            limit,
            remaining: limit.max.saturating_sub(window.used),
            reset_ms: window.from_ms + limit.window_ms - now,
            passes,
        }
    }

    /// A HubSpot account, created when new.
    pub fn hubspot(&self, name: &str) -> Arc<RwLock<hubspot::Account>> {
        of(&self.hubspot, name, || hubspot::Account::new(name, &self.options))
    }

    /// A Concord installation, created when new.
    pub fn concord(&self, name: &str) -> Arc<RwLock<concord::Account>> {
        of(&self.concord, name, || concord::Account::new(name, &self.options))
    }

    /// A TLDCRM account, created when new.
    pub fn tldcrm(&self, name: &str) -> Arc<RwLock<tldcrm::Account>> {
        of(&self.tldcrm, name, || tldcrm::Account::new(name, &self.options))
    }

    /// A Pipedrive account, created when new.
    pub fn pipedrive(&self, name: &str) -> Arc<RwLock<pipedrive::Account>> {
        of(&self.pipedrive, name, || pipedrive::Account::new(name, &self.options))
    }
}

fn of<T>(accounts: &Accounts<T>, name: &str, new: impl FnOnce() -> T) -> Arc<RwLock<T>> {
    if let Some(account) = read(accounts).get(name) {
        return Arc::clone(account);
    }
    Arc::clone(write(accounts).entry(name.to_owned()).or_insert_with(|| Arc::new(RwLock::new(new()))))
}

/// Locks; a panic of another holder does not matter to a mock.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for reading.
pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing.
pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
