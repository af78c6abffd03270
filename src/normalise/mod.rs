//! Room 6, normalise. In: downstream replies. Out: what they mean, and `_raw`. Never: sockets, clock, logs, files.
//!
//! [`classify`] turns a reply or its absence into a success or a row of the catalogue; records themselves are read by
//! [`crate::mapping::read_page`], record by record. [`raw`] keeps replies for callers who ask to see them.

pub mod classify;
pub mod raw;
