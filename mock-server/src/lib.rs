//! Vendor-shaped, stateful mock CRMs over real sockets.
//!
//! One port serves every vendor under a path prefix (`/hubspot`, `/pipedrive`) and the controls under `/__mock`.
//! Written from the vendors' public contracts alone; it knows nothing of the gateway that is tested against it.
//!
//! The walk of a request: `server` (sockets, faults, journal) → `hubspot` or `pipedrive` (what the vendor means) →
//! `world` (accounts, tokens, limits). `seed` makes the demo records, `oauth` keeps tokens, `control` steers it all
//! over HTTP, and [`MockServer`] does the same in process.
//!
//! A bearer token names an account. `pat-demo-hubspot` and `demo-pipedrive-token` open the account `demo`, which is full
//! of records. `pat-test-<account>` and `test-<account>` open an account of that name, empty at first but for owners,
//! pipelines and fields. Accounts whose names begin with `bigids` hand out ids above 2^53.

pub mod clock;
pub mod concord;
mod control;
mod exchange;
pub mod faults;
pub mod hubspot;
pub mod journal;
mod json;
pub mod oauth;
pub mod pipedrive;
pub mod seed;
mod server;
pub mod tldcrm;
pub mod vendor;
pub mod world;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use faults::Fault;
use journal::{Entry, Filter};
use oauth::{RefreshCounts, Tokens};
pub use vendor::Vendor;
use world::{AccountSettings, World, lock, read, write};

/// How a mock server is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Records of each object in the demo accounts.
    pub records_per_object: usize,
    /// What the demo records and the tokens are generated from.
    pub seed: u64,
    /// Requests kept in the journal; 0 keeps none.
    pub journal_capacity: usize,
    /// Lifetime of access tokens, seconds, where an account says nothing; the vendor's own when absent.
    pub token_lifetime_s: Option<i64>,
    /// Objects of HubSpot's demo account and how many records their lists show that are made whenever they are read, so that
    /// their number costs no memory.
    pub generate: Vec<(String, u64)>,
    /// The address that clients reach this server by; the socket's own when absent.
    pub public_url: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            records_per_object: 2000,
            seed: 1,
            journal_capacity: 10_000,
            token_lifetime_s: None,
            generate: Vec::new(),
            public_url: None,
        }
    }
}

/// A running mock server; it stops when dropped.
#[derive(Debug)]
pub struct MockServer {
    addr: SocketAddr,
    world: Arc<World>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

/// Starts a server; port 0 takes a free one.
pub async fn start(addr: SocketAddr, options: Options) -> io::Result<MockServer> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let base_url = options.public_url.clone().unwrap_or_else(|| format!("http://{addr}"));
    let world = Arc::new(World::new(options, base_url.trim_end_matches('/').to_owned()));
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(server::run(listener, Arc::clone(&world), stopped));
    Ok(MockServer { addr, world, stop, task: Some(task) })
}

impl MockServer {
    /// Starts a server with default options on a free port of the loopback.
    pub async fn local() -> io::Result<MockServer> {
        start(SocketAddr::from(([127, 0, 0, 1], 0)), Options::default()).await
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://host:port`.
    pub fn base_url(&self) -> &str {
        &self.world.base_url
    }

    /// The base URL of HubSpot's API.
    pub fn hubspot_url(&self) -> String {
        self.world.vendor_url(Vendor::Hubspot)
    }

    /// The base URL of Pipedrive's API.
    pub fn pipedrive_url(&self) -> String {
        self.world.vendor_url(Vendor::Pipedrive)
    }

    /// The base URL of Concord's API.
    pub fn concord_url(&self) -> String {
        self.world.vendor_url(Vendor::Concord)
    }

    /// The base URL of TLDCRM's API.
    pub fn tldcrm_url(&self) -> String {
        self.world.vendor_url(Vendor::Tldcrm)
    }

    /// Closes every connection and the listener.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }

    /// Forgets every account, token, fault, setting and journal entry.
    pub fn reset(&self) {
        self.world.reset();
    }

    /// Makes tokens for an account without the dance; a lifetime of zero or less is expired already.
    pub fn mint_tokens(&self, vendor: Vendor, account: &str, lifetime_s: i64) -> Tokens {
        write(&self.world.grants).mint(vendor, account, lifetime_s, clock::now_ms())
    }

    /// Expires every access token of an account now; answers how many.
    pub fn expire_tokens(&self, vendor: Vendor, account: &str) -> usize {
        write(&self.world.grants).expire_access(vendor, account, clock::now_ms())
    }

    /// Kills one token of any kind; answers whether it was known.
    pub fn revoke_token(&self, vendor: Vendor, token: &str) -> bool {
        write(&self.world.grants).revoke(vendor, token)
    }

    /// Kills every issued token of an account, as when its owner removes the app.
    pub fn revoke_account(&self, vendor: Vendor, account: &str) -> usize {
        write(&self.world.grants).revoke_account(vendor, account)
    }

    /// Makes an OAuth client known besides the demo's.
    pub fn add_client(&self, vendor: Vendor, id: &str, secret: &str) {
        write(&self.world.grants).add_client(vendor, id, secret);
    }

    /// How often an account's refresh tokens were used.
    pub fn refresh_counts(&self, vendor: Vendor, account: &str) -> RefreshCounts {
        read(&self.world.grants).counts(vendor, account)
    }

    /// An account's settings.
    pub fn settings(&self, vendor: Vendor, account: &str) -> AccountSettings {
        self.world.settings(vendor, account)
    }

    /// Changes an account's settings.
    pub fn set_settings(&self, vendor: Vendor, account: &str, settings: AccountSettings) {
        self.world.set_settings(vendor, account, settings);
    }

    /// Sets a fault.
    pub fn fault(&self, fault: Fault) {
        lock(&self.world.faults).add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        lock(&self.world.faults).clear();
    }

    /// Removes the faults of one account.
    pub fn clear_faults_of(&self, vendor: Vendor, account: &str) {
        lock(&self.world.faults).clear_of(vendor, account);
    }

    /// The requests that a filter shows, oldest first.
    pub fn journal(&self, filter: &Filter) -> Vec<Entry> {
        lock(&self.world.journal).entries(filter)
    }

    /// How many kept requests a filter shows.
    pub fn count(&self, filter: &Filter) -> usize {
        lock(&self.world.journal).count(filter)
    }

    /// Forgets the journal's entries.
    pub fn clear_journal(&self) {
        lock(&self.world.journal).clear();
    }

    /// Waits until so many requests that the filter shows were answered; false when the time is over first.
    pub async fn wait_for(&self, filter: &Filter, count: usize, within: Duration) -> bool {
        tokio::time::timeout(within, async {
            loop {
                let next = self.world.finished.notified();
                tokio::pin!(next);
                next.as_mut().enable();
                if self.count(filter) >= count {
                    return;
                }
                next.await;
            }
        })
        .await
        .is_ok()
    }

    /// Waits until so many replies are held back; false when the time is over first.
    pub async fn wait_for_held(&self, count: usize, within: Duration) -> bool {
        let mut held = self.world.held.subscribe();
        tokio::time::timeout(within, held.wait_for(|held| *held >= count))
            .await
            .is_ok_and(|held| held.is_ok())
    }

    /// Lets all held replies go.
    pub fn release(&self) {
        self.world.released.send_modify(|times| *times += 1);
    }

    /// Adds generated records to an account; answers their ids. Nothing happens for an object the vendor lacks.
    pub fn seed_records(&self, vendor: Vendor, account: &str, object: &str, count: usize) -> Vec<String> {
        control::seed_records(&self.world, vendor, account, object, count)
    }

    /// Lets the list of an object (HubSpot's) show so many records that are made whenever they are read, in place of those
    /// that are kept; whether there is such an object.
    pub fn compute_records(&self, account: &str, object: &str, count: u64) -> bool {
        write(&self.world.hubspot(account)).compute(object, count)
    }

    /// Adds one record with the given fields, unchecked, and the vendor's defaults for the rest; answers its id.
    /// Fields named `createdAt` and `updatedAt` (HubSpot) or `add_time` and `update_time` (Pipedrive) set its times.
    pub fn insert_record(
        &self,
        vendor: Vendor,
        account: &str,
        object: &str,
        fields: &Map<String, Value>,
    ) -> Option<String> {
        control::insert_record(&self.world, vendor, account, object, fields)
    }
}

impl Drop for MockServer {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}
