//! What `scripts/bench-gateway` measures with. Each verb is one single-threaded process: `load` drives a fixed number of
//! calls, `proxy` passes bytes on as the floor of what a gateway can cost, `replay` stands for a CRM that answers at once.

mod load;
mod proxy;
mod replay;
mod usage;

use std::net::SocketAddr;

use clap::{Parser, Subcommand};

/// Anything that ends a process.
type Fault = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
#[command(version, about = "Measures a gateway beside a bare proxy")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Sends calls and prints what they cost.
    Load(load::Options),
    /// Passes requests on as they are.
    Proxy {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// The server that answers.
        #[arg(long, value_parser = address)]
        upstream: SocketAddr,
    },
    /// Asks once, and repeats the answer from then on.
    Replay {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// The server that is asked once.
        #[arg(long, value_parser = address)]
        upstream: SocketAddr,
    },
}

/// An address, with or without `http://` before it.
fn address(text: &str) -> Result<SocketAddr, std::net::AddrParseError> {
    text.trim_start_matches("http://").trim_end_matches('/').parse()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fault> {
    match Arguments::parse().verb {
        Verb::Load(options) => load::run(options).await,
        Verb::Proxy { listen, upstream } => proxy::run(listen, upstream).await,
        Verb::Replay { listen, upstream } => replay::run(listen, upstream).await,
    }
}
