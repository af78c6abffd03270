//! Cursors: opaque, signed, versioned tokens that say where in a list a page begins.
//!
//! In: a [`Position`] and what it belongs to. Out: text for the caller, and back. Never: storage, clock.
//!
//! A token is bound to connection, operation and query by a fingerprint under an HMAC, so that it can neither be
//! forged nor taken elsewhere; it holds no secret and needs no memory, so it survives restarts, other gateway
//! instances and token refreshes.

mod token;

pub use token::{Binding, Error, Key, MAX_LENGTH, Token};

use serde::{Deserialize, Serialize};

/// Where in a downstream list the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// At the first record.
    #[serde(rename = "s")]
    Start,
    /// At a token or URL that the CRM handed out, `skip` records into its page.
    #[serde(rename = "t")]
    Token {
        /// The CRM's token; `None` is its first page.
        at: Option<String>,
        /// Records of that page already delivered.
        skip: u32,
        /// The page size that the token was asked with, where a page has been cut.
        size: u32,
    },
    /// At page number `page` of `size` records, `skip` records into it.
    #[serde(rename = "p")]
    Page {
        /// The page's number as the CRM counts.
        page: u64,
        /// Records on a page.
        size: u32,
        /// Records of that page already delivered.
        skip: u32,
    },
    /// After `0` records, counted from the start.
    #[serde(rename = "o")]
    Offset(u64),
    /// After `at` records, counted from the start when the page before was read; the last of them were `seen`.
    #[serde(rename = "a")]
    Anchored {
        /// How many.
        at: u64,
        /// Ids of the records delivered last.
        seen: Vec<String>,
    },
    /// After a record, by the value of its sort key and its id.
    #[serde(rename = "k")]
    Keyset(Keyset),
    /// In one of several lists that are read as one: in that list, or, in the part where they are merged by a key, in all.
    #[serde(rename = "m")]
    Among {
        /// The list's number.
        source: u32,
        /// Where in it.
        at: Box<Position>,
    },
}

/// How far a list ordered by a key and, among equal keys, by id has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "f")]
pub enum Keyset {
    /// Ordered by id alone: all records up to `id` are delivered.
    #[serde(rename = "i")]
    ById {
        /// The last id delivered; none at the start.
        id: Option<String>,
    },
    /// Among the records with a key: all before `key` are delivered (`None`: no record yet).
    #[serde(rename = "v")]
    Values {
        /// The last key whose records are all delivered.
        key: Option<String>,
    },
    /// Within the records of one key: all up to `id` are delivered.
    #[serde(rename = "t")]
    Ties {
        /// The key.
        key: String,
        /// The last id delivered; none if none is yet.
        id: Option<String>,
    },
    /// Among the records without a key, which come last: all up to `id` are delivered.
    #[serde(rename = "n")]
    Without {
        /// The last id delivered; none if none is yet.
        id: Option<String>,
    },
}
