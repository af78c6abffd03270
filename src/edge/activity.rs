//! What a connection has done and when: enough to tell a silent, slow or idle peer from a busy one.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config::Timeouts;

/// One connection's doings.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests whose headers were whole.
    requests: AtomicU32,
    /// Requests without a reply yet.
    busy: AtomicU32,
    /// When the last reply was ready, in milliseconds since opening.
    last: AtomicU64,
    /// When the first byte of unfinished headers came, in milliseconds since opening plus one; 0 for none.
    head: AtomicU64,
    http2: AtomicBool,
    /// Of each stream under way, when the caller last took a piece, in milliseconds since opening plus one; 0 while the
    /// caller waits for us.
    taken: Mutex<Vec<Weak<AtomicU64>>>,
}

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may stay.
    Stay,
    /// It is told goodbye.
    Idle,
    /// It is cut.
    Stalled,
}

impl Activity {
    pub(super) fn new() -> Activity {
        Activity {
            opened: Instant::now(),
            requests: AtomicU32::new(0),
            busy: AtomicU32::new(0),
            last: AtomicU64::new(0),
            head: AtomicU64::new(0),
            http2: AtomicBool::new(false),
            taken: Mutex::new(Vec::new()),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Relaxed)
    }

    pub(super) fn set_http2(&self) {
        self.http2.store(true, Relaxed);
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn request(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Relaxed);
        self.busy.fetch_add(1, Relaxed);
        self.head.store(0, Relaxed);
        Busy(Arc::clone(self))
    }

    fn received(&self, bytes: &[u8], is_first: bool) {
        if is_first && bytes.starts_with(b"PRI") {
            self.set_http2();
        }
        // Frames that are no request (pings, window updates) come on idle HTTP/2 connections too.
        if self.busy.load(Relaxed) == 0 && !self.is_http2() {
            let _ = self.head.compare_exchange(0, self.now() + 1, Relaxed, Relaxed);
        }
    }

    pub(super) fn verdict(&self, timeouts: &Timeouts) -> Verdict {
        let now = self.now();
        let since = |then: u64| Duration::from_millis(now.saturating_sub(then));
        if self.busy.load(Relaxed) > 0 {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.retain(|taken| taken.strong_count() > 0);
            let unread = taken.iter().filter_map(Weak::upgrade).any(|taken| {
                let taken = taken.load(Relaxed);
                taken > 0 && since(taken - 1) >= timeouts.write
            });
            return if unread { Verdict::Stalled } else { Verdict::Stay };
        }
        let head = self.head.load(Relaxed);
        if self.requests.load(Relaxed) == 0 && since(0) >= timeouts.header {
            return Verdict::Stalled;
        }
        if head > 0 && since(head - 1) >= timeouts.header {
            return Verdict::Stalled;
        }
        if since(self.last.load(Relaxed)) >= timeouts.idle { Verdict::Idle } else { Verdict::Stay }
    }
}

/// A request at work.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Busy {
    /// Watches over the caller's reading of a stream.
    pub(super) fn reader(&self) -> Reader {
        let activity = Arc::clone(&self.0);
        let taken = Arc::new(AtomicU64::new(activity.now() + 1));
        activity.taken.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&taken));
        Reader { activity, taken }
    }
}

/// The caller's reading of a stream.
#[derive(Debug)]
pub(super) struct Reader {
    activity: Arc<Activity>,
    taken: Arc<AtomicU64>,
}

impl Reader {
    /// The caller has room for a piece: it was handed one, or waits for it.
    pub(super) fn handed(&self, one: bool) {
        self.taken.store(if one { self.activity.now() + 1 } else { 0 }, Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.last.store(self.0.now(), Relaxed);
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

/// A socket that tells of bytes received.
#[derive(Debug)]
pub(super) struct Watched<S> {
    socket: S,
    activity: Arc<Activity>,
    has_received: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(socket: S, activity: Arc<Activity>) -> Watched<S> {
        Watched { socket, activity, has_received: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if let Some(received) = buffer.filled().get(before..).filter(|received| !received.is_empty()) {
            let is_first = !self.has_received;
            self.has_received = true;
            self.activity.received(received, is_first);
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
