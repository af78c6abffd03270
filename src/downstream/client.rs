//! The corridor of one request: the connection's turn, the host's turn, an attempt, and whether there is another.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt;

use super::attempt::{Fault, exchange, host, record};
use super::guard::{Guard, Resolver};
use super::hosts::Hosts;
use super::pauses::Pauses;
use super::retry;
use super::settings::Settings;
use crate::model::{Attempt, ConnectionId, Failure, Outcome, Policy, Reply, Request, Sent};

/// Whose connection a call uses, and how long the call may take.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The connection; what the CRM says about its limits is remembered for it.
    pub connection: ConnectionId,
    /// When the call must have its answer. No attempt goes beyond it, and no wait is begun that would.
    pub deadline: Instant,
}

/// The pooled HTTP client. One for the whole gateway; a CRM's hosts, addresses and limits are kept apart inside.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    guard: Arc<Guard>,
    /// For public and declared addresses.
    secure: Result<reqwest::Client, String>,
    /// For declared addresses only.
    plain: Result<reqwest::Client, String>,
    hosts: Hosts,
    pauses: Pauses,
}

impl Client {
    /// A client with these limits. It never fails: see [`Client::tls_fault`].
    pub fn new(settings: Settings) -> Client {
        let guard = Arc::new(Guard::new(settings.allow.clone()));
        Client {
            secure: build(&settings, &guard, false),
            plain: build(&settings, &guard, true),
            hosts: Hosts::new(settings.per_host),
            pauses: Pauses::default(),
            guard,
            settings,
        }
    }

    /// Why nothing can be called over TLS, if so: mostly that the system has no certificates (`ca-certificates`).
    pub fn tls_fault(&self) -> Option<&str> {
        self.secure.as_ref().err().map(String::as_str)
    }

    /// Sends a batch, so many at once as the policy says. Answers come in the order of the requests.
    pub async fn send_all(&self, mut requests: Vec<Request>, policy: &Policy, scope: &Scope) -> Vec<Sent> {
        // Most batches are of one: no need to keep an order.
        if requests.len() == 1
            && let Some(request) = requests.pop()
        {
            return vec![self.send(request, policy, scope).await];
        }
        futures_util::stream::iter(requests.into_iter().map(|request| self.send(request, policy, scope)))
            .buffered(policy.parallel.max(1))
            .collect()
            .await
    }

    /// Sends a request, signed already, and repeats it where that can do no harm and there is time.
    ///
    /// Limits: the scope's deadline for all attempts and waits together. Errors: in [`Sent::outcome`].
    pub async fn send(&self, request: Request, policy: &Policy, scope: &Scope) -> Sent {
        let started = Instant::now();
        let mut attempts: Vec<Attempt> = Vec::with_capacity(1);
        let mut timeouts = 0;
        loop {
            let number = u32::try_from(attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
            if let Some(outcome) = self.not_now(&request, scope).await {
                return Sent { outcome, attempts };
            }
            let began = Instant::now();
            let ended = self.attempt(&request, policy, scope).await;
            attempts.push(record(&request, policy, number, &ended, began.elapsed()));
            self.remember(&ended, policy, scope);
            timeouts += u32::from(matches!(ended, Err(Fault::TimedOut(_))));

            if number < policy.attempts && retry::may_repeat(request.safety, &ended, timeouts, policy) {
                let wait = retry::wait(&ended, policy, number, SystemTime::now(), random());
                if wait < left(scope) && !self.is_long_pause(&ended, policy) {
                    tokio::time::sleep(wait).await;
                    continue;
                }
            }
            let outcome = match ended {
                Ok(reply) => Ok(Reply { elapsed: started.elapsed(), ..reply }),
                Err(fault) => Err(fault.failure(host(&request))),
            };
            return Sent { outcome, attempts };
        }
    }

    /// Waits while the CRM has this connection pause; if the pause is too long, the reply that stands for the CRM's.
    async fn not_now(&self, request: &Request, scope: &Scope) -> Option<Outcome> {
        while let Some((rest, reply)) = self.pauses.of(&scope.connection, Instant::now()) {
            if rest > self.settings.pause_wait || rest >= left(scope) {
                return Some(Ok(reply));
            }
            tokio::time::sleep(rest).await;
        }
        let late = || Failure::NotSent(format!("{}: no time was left to send it", host(request)));
        left(scope).is_zero().then(|| Err(late()))
    }

    /// One attempt, in the host's turn.
    async fn attempt(&self, request: &Request, policy: &Policy, scope: &Scope) -> Result<Reply, Fault> {
        self.guard.check(&request.url).map_err(|blocked| Fault::Blocked(blocked.to_string()))?;
        let client = if request.url.scheme() == "https" { &self.secure } else { &self.plain };
        let client = client.as_ref().map_err(|fault| Fault::Blocked(fault.clone()))?;
        let wait = self.settings.queue_wait.min(left(scope));
        let Some(_turn) = self.hosts.turn(&request.url, wait).await else {
            return Err(Fault::Unreachable("too many requests to this host are under way".to_owned()));
        };
        let time = self.settings.attempt_timeout.min(left(scope));
        exchange(client, request, policy, self.settings.reply_bytes_max, time).await
    }

    /// Whether the CRM asks for a longer pause than a caller is kept waiting for.
    fn is_long_pause(&self, ended: &Result<Reply, Fault>, policy: &Policy) -> bool {
        let asked =
            ended.as_ref().ok().and_then(|reply| retry::asked_to_wait(reply, policy, SystemTime::now()));
        asked.is_some_and(|wait| wait > self.settings.pause_wait)
    }

    /// Remembers what the reply says about the connection's limits.
    fn remember(&self, ended: &Result<Reply, Fault>, policy: &Policy, scope: &Scope) {
        let Ok(reply) = ended else { return };
        if reply.status == http::StatusCode::SERVICE_UNAVAILABLE {
            return; // Says something about the CRM, not about this connection.
        }
        if let Some(wait) = retry::asked_to_wait(reply, policy, SystemTime::now()) {
            self.pauses.add(&scope.connection, Instant::now(), wait, reply);
        }
    }
}

/// What is left of the call's time.
fn left(scope: &Scope) -> Duration {
    scope.deadline.saturating_duration_since(Instant::now())
}

fn build(settings: &Settings, guard: &Arc<Guard>, plain: bool) -> Result<reqwest::Client, String> {
    let fault = |error: reqwest::Error| {
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
    };
    let builder = reqwest::Client::builder()
        .user_agent(settings.user_agent.as_str())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(settings.idle)
        .tcp_nodelay(true)
        .no_proxy()
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(Resolver { guard: Arc::clone(guard), plain });
    let builder = if plain {
        builder.tls_certs_only([])
    } else {
        let roots = reqwest::Certificate::from_pem_bundle(&settings.roots_pem).map_err(fault)?;
        builder.https_only(true).tls_certs_merge(roots)
    };
    builder.build().map_err(fault)
}

/// A number in 0..1.
fn random() -> f64 {
    let mut bytes = [0; 4];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}
