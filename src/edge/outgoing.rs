//! The bodies of replies: whole bytes, or pieces that are made while they are sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::activity::{Busy, Reader};
use super::respond::Line;
use crate::model::{End, Piece, Stream};

/// The body of a reply.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// All of it; none once it was handed over.
    Whole(Option<Bytes>),
    /// Piece by piece.
    Pieces(Box<Pieces>),
}

impl Outgoing {
    /// A body that is all there.
    pub(super) fn whole(bytes: Bytes) -> Outgoing {
        Outgoing::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// Keeps the connection busy until a stream has ended; a body that is all there is sent in no time.
    pub(super) fn keep(&mut self, busy: Busy) {
        if let Outgoing::Pieces(pieces) = self {
            pieces.reader = Some(busy.reader());
            pieces.held.busy = Some(busy);
        }
    }
}

/// What a stream holds on to until it has ended.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "held, never looked at")]
pub(super) struct Held {
    /// Its place among the calls at work.
    pub(super) place: Option<OwnedSemaphorePermit>,
    /// A drain waits for it.
    pub(super) counted: Option<TaskTrackerToken>,
    /// Its connection is busy.
    pub(super) busy: Option<Busy>,
}

/// A stream on its way out, with the line that is logged at its end.
#[derive(Debug)]
pub(super) struct Pieces {
    stream: Stream,
    line: Line,
    /// Whether the caller has said that it reads trailers.
    takes_trailers: bool,
    held: Held,
    reader: Option<Reader>,
    over: bool,
}

impl Pieces {
    pub(super) fn new(stream: Stream, line: Line, takes_trailers: bool, held: Held) -> Pieces {
        Pieces { stream, line, takes_trailers, held, reader: None, over: false }
    }

    /// The last frame: trailers, or nothing, or a broken connection where nothing else would tell of an early end.
    fn end(&mut self, end: Option<End>) -> Option<io::Result<Frame<Bytes>>> {
        self.over = true;
        self.held = Held::default();
        self.reader = None;
        let Some(end) = end else {
            self.line.broken_off();
            return Some(Err(io::Error::other("the stream stopped without an end")));
        };
        self.line.streamed(&end);
        if end.early.is_some() && !self.stream.says_its_end && !self.takes_trailers {
            return Some(Err(io::Error::other("ended early, and the caller takes no trailers")));
        }
        (!end.trailers.is_empty()).then(|| Ok(Frame::trailers(end.trailers)))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let pieces = match &mut *self {
            Outgoing::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Outgoing::Pieces(pieces) => pieces,
        };
        if pieces.over {
            return Poll::Ready(None);
        }
        let polled = pieces.stream.pieces.as_mut().poll_next(cx);
        if let Some(reader) = &pieces.reader {
            reader.handed(polled.is_ready());
        }
        polled.map(|piece| match piece {
            Some(Piece::Data(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End(end)) => pieces.end(Some(end)),
            None => pieces.end(None),
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Whole(bytes) => bytes.is_none(),
            Outgoing::Pieces(pieces) => pieces.over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Outgoing::Pieces(_) => SizeHint::default(),
        }
    }
}
