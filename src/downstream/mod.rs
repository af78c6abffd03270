//! Room 5, downstream. In: signed requests, the connector's policy, whose connection and until when.
//! Out: for each request a reply or why there is none, and every attempt. Never: JSON, mappings, the database, logs.
//!
//! The only place that names `reqwest`. [`settings`] limits and addresses · [`client`] the corridor of one request:
//! wait for the connection's turn, for the host's turn, attempt, decide · [`attempt`] one exchange on the wire ·
//! [`guard`] which addresses may be called · [`retry`] the table of what is repeated and when ·
//! [`pauses`] what rate-limited connections were told · [`hosts`] how many requests a host gets at once ·
//! [`shown()`] a request without its secrets.

mod attempt;
mod client;
mod guard;
mod hosts;
mod pauses;
mod retry;
mod settings;
mod shown;

pub use client::{Client, Scope};
pub use settings::Settings;
pub use shown::shown;
