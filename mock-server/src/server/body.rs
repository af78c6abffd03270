//! Reply bodies: whole, trickling, or cut short.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// The connection is to be closed without (the rest of) a reply.
#[derive(Debug)]
pub struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

/// A reply's body.
pub struct Delivery {
    left: Bytes,
    announced: u64,
    chunk: usize,
    pause: Option<Duration>,
    waiting: Option<Pin<Box<tokio::time::Sleep>>>,
    cut: bool,
}

impl Delivery {
    /// The whole body at once.
    pub fn whole(body: Bytes) -> Delivery {
        let announced = body.len() as u64;
        Delivery { left: body, announced, chunk: usize::MAX, pause: None, waiting: None, cut: false }
    }

    /// The body in small pieces, a pause before each.
    pub fn drip(body: Bytes, chunk: usize, every_ms: u64) -> Delivery {
        let pause = Some(Duration::from_millis(every_ms));
        Delivery { chunk: chunk.max(1), pause, ..Delivery::whole(body) }
    }

    /// The first bytes of a body whose whole length is announced.
    pub fn cut(body: Bytes, keep: usize) -> Delivery {
        let announced = body.len() as u64;
        let left = body.slice(..keep.min(body.len()));
        // The pause lets the first bytes leave before the connection closes.
        let pause = Some(Duration::from_millis(5));
        Delivery { left, announced, cut: true, pause, ..Delivery::whole(Bytes::new()) }
    }
}

impl Body for Delivery {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        let this = &mut *self;
        if this.left.is_empty() && !this.cut {
            return Poll::Ready(None);
        }
        if let Some(pause) = this.pause {
            let sleep = this.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.waiting = None;
        }
        if this.left.is_empty() {
            return Poll::Ready(Some(Err(Dropped)));
        }
        let size = this.chunk.min(this.left.len());
        let piece = this.left.split_to(size);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.cut
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}
