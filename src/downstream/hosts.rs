//! How many requests one host gets at once, over all connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

/// Hosts remembered before idle ones are forgotten.
const HOSTS_MAX: usize = 4096;

type Turns = HashMap<Box<str>, Arc<Semaphore>>;

/// Turns at hosts. Reading takes no lock; a host seen for the first time copies the table.
#[derive(Debug)]
pub(super) struct Hosts {
    per_host: usize,
    turns: ArcSwap<Turns>,
}

impl Hosts {
    /// No host seen yet; each will get so many requests at once.
    pub(super) fn new(per_host: usize) -> Hosts {
        Hosts { per_host: per_host.max(1), turns: ArcSwap::default() }
    }

    /// Waits for a turn at the URL's host and port; it ends when the permit is dropped. None: no turn in time.
    pub(super) async fn turn(&self, url: &Url, wait: Duration) -> Option<OwnedSemaphorePermit> {
        let turns = self.of(authority(url));
        if let Ok(permit) = Arc::clone(&turns).try_acquire_owned() {
            return Some(permit);
        }
        tokio::time::timeout(wait, turns.acquire_owned()).await.ok()?.ok()
    }

    fn of(&self, host: &str) -> Arc<Semaphore> {
        if let Some(turns) = self.turns.load().get(host) {
            return Arc::clone(turns);
        }
        let fresh = Arc::new(Semaphore::new(self.per_host));
        self.turns.rcu(|table| {
            let mut table = Turns::clone(table);
            if table.len() >= HOSTS_MAX {
                table.retain(|_, turns| turns.available_permits() < self.per_host);
            }
            table.entry(host.into()).or_insert_with(|| Arc::clone(&fresh));
            table
        });
        self.turns.load().get(host).map_or(fresh, Arc::clone)
    }
}

/// Host and port as they stand in the URL.
fn authority(url: &Url) -> &str {
    url.authority()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_gets_so_many_requests_and_others_do_not_wait_for_it() {
        let hosts = Hosts::new(2);
        let a: Url = "https://a.example/x".parse().unwrap();
        let b: Url = "https://b.example/x".parse().unwrap();
        let first = hosts.turn(&a, Duration::ZERO).await;
        let second = hosts.turn(&a, Duration::ZERO).await;
        assert!(first.is_some() && second.is_some());
        assert!(hosts.turn(&a, Duration::from_millis(5)).await.is_none());
        assert!(hosts.turn(&b, Duration::ZERO).await.is_some());
        drop(first);
        assert!(hosts.turn(&a, Duration::ZERO).await.is_some());
    }

    #[tokio::test]
    async fn idle_hosts_are_forgotten_and_busy_ones_kept() {
        let hosts = Hosts::new(1);
        let busy: Url = "https://busy.example/".parse().unwrap();
        let held = hosts.turn(&busy, Duration::ZERO).await;
        for n in 0..HOSTS_MAX {
            hosts.of(&format!("h{n}.example"));
        }
        assert!(hosts.turns.load().len() <= HOSTS_MAX);
        assert!(hosts.turn(&busy, Duration::from_millis(5)).await.is_none());
        drop(held);
    }
}
