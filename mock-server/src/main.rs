//! The mock CRMs as a program of their own.

use std::io::Write;
use std::net::SocketAddr;

use clap::Parser;
use mock_server::Options;

/// Vendor-shaped, stateful mock CRMs on one port: /hubspot, /pipedrive, and /__mock to steer them.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Records of each object in the demo accounts.
    #[arg(long, default_value_t = 2000)]
    records: usize,
    /// An object of HubSpot's demo account whose list shows so many records, made whenever they are read, such as
    /// contacts=1000000; may be repeated.
    #[arg(long, value_name = "OBJECT=COUNT", value_parser = order)]
    generate: Vec<(String, u64)>,
    /// What the demo records are generated from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests kept in the journal; 0 keeps none.
    #[arg(long, default_value_t = 10_000)]
    journal: usize,
    /// The address that clients reach this server by, where it differs from the one it listens on.
    #[arg(long)]
    public_url: Option<String>,
}

fn order(text: &str) -> Result<(String, u64), String> {
    let order =
        text.split_once('=').and_then(|(object, count)| Some((object.to_owned(), count.parse().ok()?)));
    order.ok_or_else(|| "OBJECT=COUNT, such as contacts=1000000".to_owned())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let options = Options {
        records_per_object: arguments.records,
        seed: arguments.seed,
        journal_capacity: arguments.journal,
        generate: arguments.generate,
        public_url: arguments.public_url,
        ..Options::default()
    };
    let server = mock_server::start(arguments.listen, options).await?;
    let mut out = std::io::stdout();
    writeln!(out, "ready mock={}", server.base_url())?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    server.stop().await;
    Ok(())
}
