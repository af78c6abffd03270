//! The gateway as callers see it: over real sockets, in front of mock CRMs, every reply held against the contract.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod access;
mod bulk;
mod crud;
mod custom;
mod dry_run;
mod errors;
mod explain;
mod faults;
mod harness;
mod isolation;
mod killed_writes;
mod kills;
mod lists;
mod oauth;
mod once;
mod paging;
mod resources;
mod scan;
mod steps;
mod table;
mod tokens;
mod vault_connections;
mod vault_consumers;
mod vault_logs;
mod vault_scopes;
