//! Log lines and traces. In: tracing events, `traceparent`. Out: lines on standard error, the trace that goes on to
//! the CRM. Never: exporters on the path of a call.

mod json;
mod trace;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

pub use json::JsonLines;
pub use trace::accept;

/// Starts logging to standard error. A second call changes nothing.
pub fn start(log: &Log) {
    let targets: Targets =
        log.level.parse().unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let registry = tracing_subscriber::registry().with(targets);
    let started = match log.format {
        LogFormat::Json => registry.with(JsonLines::new(io::stderr)).try_init(),
        LogFormat::Text => {
            let lines = tracing_subscriber::fmt::layer();
            let lines = lines.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
            registry.with(lines).try_init()
        }
    };
    drop(started);
}
