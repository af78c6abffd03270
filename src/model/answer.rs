//! What a call is answered with: whole, or while it is still being made.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::ServiceId;

/// A successful answer, ready to be sent.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Body,
    /// Headers besides those that every reply has, such as `x-downstream-ratelimit-remaining`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Time spent waiting for the CRM.
    pub downstream: Duration,
    /// The connector that answered.
    pub service: Option<ServiceId>,
}

impl Answer {
    /// A JSON answer that took no time downstream.
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
        Answer {
            status,
            body: Body::Whole(body.into()),
            headers: Vec::new(),
            downstream: Duration::ZERO,
            service: None,
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// JSON, all of it; empty only for 204.
    Whole(Bytes),
    /// Anything, piece by piece.
    Stream(Stream),
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body::Whole(bytes)
    }
}

impl Body {
    /// The body's bytes, where they are all there.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Body::Whole(bytes) => Some(bytes),
            Body::Stream(_) => None,
        }
    }
}

/// A body that is made while it is sent: the next piece is only asked for when the caller has taken the one before.
/// Dropping it ends the work behind it.
pub struct Stream {
    /// The media type.
    pub content_type: HeaderValue,
    /// The pieces; the last is [`Piece::End`]. A stream that stops without one is broken off.
    pub pieces: BoxStream<'static, Piece>,
    /// Whether the data itself says how it ended. Where it does not, an early end that no trailer can tell of is told by
    /// breaking off.
    pub says_its_end: bool,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

/// A piece of a stream.
#[derive(Debug)]
pub enum Piece {
    /// Bytes; never none.
    Data(Bytes),
    /// That was all.
    End(End),
}

/// How a stream ended.
#[derive(Debug, Default)]
pub struct End {
    /// Headers that follow the body.
    pub trailers: HeaderMap,
    /// Records that were sent, for the log.
    pub records: u64,
    /// Time spent waiting for the CRM.
    pub downstream: Duration,
    /// Why it ended early, if so.
    pub early: Option<Early>,
}

/// Why a stream ended early, for the log: a row of the catalogue.
#[derive(Debug, Clone)]
pub struct Early {
    /// The kind of error.
    pub kind: &'static str,
    /// Whose fault it is.
    pub fault: &'static str,
    /// The cause.
    pub source: Option<String>,
}
