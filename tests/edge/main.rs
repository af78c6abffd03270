//! The edge over real sockets: what any client, broken or hostile ones included, gets to see.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bodies;
mod drain;
mod gateway;
mod headers;
mod routes;
mod sockets;
mod tls;
