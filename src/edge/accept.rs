//! Sockets: accepted within limits, supervised, drained.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::{Activity, Verdict, Watched};
use super::tls::Certificates;
use super::{Handler, Server};
use crate::config::Settings;

/// How long connections get to send their last replies after a drain that used up its time.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A pause after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An open listener.
#[derive(Debug)]
pub struct Gate {
    listener: TcpListener,
    address: SocketAddr,
    certificates: Option<Arc<Certificates>>,
}

/// How far the gateway is in stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// New requests are answered 503.
    Draining,
    /// Connections are told goodbye.
    Closing,
    /// Connections are cut.
    Cut,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Calls that were still at work when the time was up.
    pub unfinished_calls: usize,
}

impl Gate {
    /// Binds the address and reads the certificate.
    ///
    /// Errors: the address is taken or not ours, certificate or key cannot be used.
    pub async fn open(settings: &Settings) -> io::Result<Gate> {
        let certificates = settings.tls.as_ref().map(Certificates::load).transpose()?.map(Arc::new);
        let listener = TcpListener::bind(settings.listen)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", settings.listen)))?;
        let address = listener.local_addr()?;
        Ok(Gate { listener, address, certificates })
    }

    /// Where calls are accepted, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Scheme and address, without a trailing slash.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.is_tls() { "https" } else { "http" }, self.address)
    }

    /// Whether the gateway itself ends TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.certificates.is_some()
    }

    /// Serves until `stop` is cancelled, then drains: calls at work finish within the drain time, requests that come
    /// later are answered 503, writes whose caller has gone finish too.
    pub async fn serve<H: Handler>(self, server: Arc<Server<H>>, stop: CancellationToken) -> Drained {
        let Gate { listener, certificates, .. } = self;
        let (phase, phases) = watch::channel(Phase::Serving);
        let connections = TaskTracker::new();
        let watcher = certificates.clone().map(|certificates| {
            let watcher = tokio::spawn(async move { certificates.watch().await });
            tokio_util::task::AbortOnDropHandle::new(watcher)
        });
        let doors = Doors::new(server.settings());
        let free = Arc::new(Semaphore::new(server.settings().limits.connections));
        loop {
            let accepted = async {
                // The semaphore is never closed.
                let place = Arc::clone(&free).acquire_owned().await.ok();
                listener.accept().await.map(|(socket, peer)| (socket, peer, place))
            };
            let (socket, peer, place) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accepted => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let connection = Connection {
                server: Arc::clone(&server),
                doors: doors.clone(),
                certificates: certificates.clone(),
                phases: phases.clone(),
                peer,
            };
            connections.spawn(async move {
                connection.run(socket).await;
                drop(place);
            });
        }
        drop((listener, watcher));
        drain(&server, &connections, &phase).await
    }
}

async fn drain<H: Handler>(
    server: &Server<H>,
    connections: &TaskTracker,
    phase: &watch::Sender<Phase>,
) -> Drained {
    let deadline = Instant::now() + server.settings().timeouts.drain;
    server.drain();
    let _ = phase.send(Phase::Draining);
    let calls = server.calls();
    calls.close();
    connections.close();
    let in_time = timeout_at(deadline, calls.wait()).await.is_ok();
    let unfinished_calls = if in_time { 0 } else { calls.len() };
    let _ = phase.send(Phase::Closing);
    let _ = timeout_at(deadline.max(Instant::now() + LAST_WORDS), connections.wait()).await;
    let _ = phase.send(Phase::Cut);
    connections.wait().await;
    Drained { unfinished_calls }
}

/// Protocol settings, for sockets whose protocol is known and for those where it must be guessed.
#[derive(Clone)]
struct Doors {
    any: Builder<TokioExecutor>,
    http1: Builder<TokioExecutor>,
    http2: Builder<TokioExecutor>,
}

impl Doors {
    fn new(settings: &Settings) -> Doors {
        let mut any = Builder::new(TokioExecutor::new());
        let head = settings.limits.header_bytes;
        any.http1()
            // The supervisor keeps time: see `Activity`. This room is for requests that we refuse ourselves, with JSON.
            .header_read_timeout(None)
            .max_buf_size(head.saturating_mul(2).max(65_536));
        any.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(250)
            .max_header_list_size(u32::try_from(head.saturating_mul(2)).unwrap_or(u32::MAX))
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10));
        Doors { http1: any.clone().http1_only(), http2: any.clone().http2_only(), any }
    }
}

struct Connection<H> {
    server: Arc<Server<H>>,
    doors: Doors,
    certificates: Option<Arc<Certificates>>,
    phases: watch::Receiver<Phase>,
    peer: SocketAddr,
}

impl<H: Handler> Connection<H> {
    async fn run(self, socket: TcpStream) {
        let _ = socket.set_nodelay(true);
        let activity = Arc::new(Activity::new());
        let Some(certificates) = &self.certificates else {
            let socket = Watched::new(socket, Arc::clone(&activity));
            return self.supervise(socket, &self.doors.any, activity).await;
        };
        let mut phases = self.phases.clone();
        let handshake =
            timeout(self.server.settings().timeouts.header, certificates.acceptor().accept(socket));
        let socket = tokio::select! {
            handshake = handshake => handshake,
            _ = phases.wait_for(|phase| *phase >= Phase::Closing) => return,
        };
        let Ok(Ok(socket)) = socket else {
            tracing::debug!(peer = %self.peer, "no TLS handshake");
            return;
        };
        let door = if socket.get_ref().1.alpn_protocol() == Some(b"h2") {
            activity.set_http2();
            &self.doors.http2
        } else {
            &self.doors.http1
        };
        let socket = Watched::new(socket, Arc::clone(&activity));
        self.supervise(socket, door, activity).await;
    }

    /// Drives a connection until it ends, or has to: hyper by itself leaves silent and half-open peers alone.
    async fn supervise<S>(&self, socket: S, door: &Builder<TokioExecutor>, activity: Arc<Activity>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = self.peer.ip();
        let service = service_fn(|request| {
            let busy = activity.request();
            let server = Arc::clone(&self.server);
            async move {
                let mut response = server.respond(request, peer).await;
                response.body_mut().keep(busy);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = door.serve_connection(TokioIo::new(socket), service);
        let mut connection = std::pin::pin!(connection);
        let timeouts = &self.server.settings().timeouts;
        let mut look = interval(
            (timeouts.header.min(timeouts.idle) / 4).clamp(Duration::from_millis(20), Duration::from_secs(1)),
        );
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut phases = self.phases.clone();
        let mut saying_goodbye = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "connection broken off");
                    }
                    return;
                }
                _ = look.tick() => match activity.verdict(timeouts) {
                    Verdict::Stay => continue,
                    Verdict::Idle if !saying_goodbye => {}
                    Verdict::Idle | Verdict::Stalled => {
                        tracing::debug!(%peer, "connection cut: silent, too slow or idle");
                        return;
                    }
                },
                changed = phases.changed() => {
                    let phase = if changed.is_ok() { *phases.borrow_and_update() } else { Phase::Cut };
                    match phase {
                        Phase::Serving => continue,
                        // HTTP/2 can be told at once; an HTTP/1 connection would be closed under a caller's next request.
                        Phase::Draining if !activity.is_http2() => continue,
                        Phase::Draining | Phase::Closing => {}
                        Phase::Cut => return,
                    }
                }
            }
            if !saying_goodbye {
                saying_goodbye = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
