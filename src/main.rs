//! The `crosswalk` program.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use crosswalk::admin::{self, DemoConnection};
use crosswalk::app::{self, Services};
use crosswalk::config::{self, LogFormat, Settings};
use crosswalk::model::ServiceId;
use crosswalk::{check, contract, observe, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One API in front of many CRMs.
#[derive(Debug, Parser)]
#[command(name = "crosswalk", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    /// The settings file (TOML).
    #[arg(long, global = true, value_name = "FILE", env = "CROSSWALK_CONFIG")]
    config: Option<PathBuf>,
    /// Where the database and key file live.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve the API.
    Serve {
        #[command(flatten)]
        doors: Doors,
        /// Print a settings file with every setting explained, and end.
        #[arg(long)]
        print_config: bool,
    },
    /// Start mock CRMs and a gateway connected to them; nothing else is needed.
    Demo {
        #[command(flatten)]
        doors: Doors,
        /// Where the mock CRMs listen; port 0 takes a free one.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
        mock_listen: SocketAddr,
    },
    /// Bring the database's layout up to date.
    Migrate,
    /// Check connectors: files, laws and case folders.
    Check {
        /// One connector's folder, such as connectors/hubspot; all below connectors/ where none is named.
        folder: Option<PathBuf>,
    },
    /// Print the API's contract as JSON.
    Openapi,
    #[command(flatten)]
    Admin(admin::Command),
}

/// What comes in and where it goes.
#[derive(Debug, Args)]
struct Doors {
    /// Where calls are accepted; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Call a connector elsewhere; may be repeated.
    #[arg(long, value_name = "SERVICE=URL")]
    base_url: Vec<String>,
}

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("crosswalk: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crosswalk: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Outcome {
    let Arguments { verb, config, data } = arguments;
    let load = |doors: &Doors| settings(config.as_deref(), data.as_deref(), doors);
    let none = Doors { listen: None, base_url: Vec::new() };
    match verb {
        Verb::Serve { print_config: true, .. } => say(&config::commented()),
        Verb::Serve { doors, .. } => {
            let settings = load(&doors)?;
            observe::start(&settings.log);
            let store = serve::open(&settings).await?;
            let signals = serve::Signals::listen()?;
            let running = serve::start(settings, store).await?;
            tracing::info!(url = running.url, "ready");
            running.until_stopped(signals).await;
            Ok(())
        }
        Verb::Demo { doors, mock_listen } => demo(load, doors, mock_listen, data.is_none()).await,
        Verb::Migrate => {
            let settings = load(&none)?;
            serve::open(&settings).await?.close().await;
            say(&format!("{} is up to date\n", settings.database_path().display()))
        }
        Verb::Check { folder } => checked(folder.as_deref()),
        Verb::Openapi => say(&format!("{:#}\n", contract::document())),
        Verb::Admin(command) => {
            let settings = load(&none)?;
            let services = app::services(&settings).map_err(listed)?;
            let store = serve::open(&settings).await?;
            let connectors = |id: &str| required(&services, id);
            let done = admin::run(command, &store, &connectors, &mut io::stdin(), &mut io::stdout()).await;
            store.close().await;
            Ok(done?)
        }
    }
}

/// Runs the check, prints every fault, and fails if there is one.
fn checked(folder: Option<&Path>) -> Outcome {
    let report = check::check(folder, contract::document())?;
    for fault in &report.faults {
        say(&format!("{fault}\n"))?;
    }
    let check::Report { connectors, mappings, cases, faults } = &report;
    let many = |number: &usize, what: &str| format!("{number} {what}{}", if *number == 1 { "" } else { "s" });
    let counted =
        format!("{}, {}, {}", many(connectors, "connector"), many(mappings, "mapping"), many(cases, "case"));
    if faults.is_empty() {
        return say(&format!("{counted}: no faults\n"));
    }
    Err(format!("{counted}: {} faults", faults.len()).into())
}

/// The settings that a connector's connections must have; none where there is no such connector.
fn required<'s>(services: &'s Services, id: &str) -> Option<&'s [String]> {
    services.get(&ServiceId::new(id)).map(|service| service.required_settings.as_slice())
}

fn listed<F: std::fmt::Display>(faults: Vec<F>) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}

fn say(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn settings(file: Option<&Path>, data: Option<&Path>, doors: &Doors) -> Result<Settings, config::Faults> {
    let mut flags: Vec<(&str, String)> = Vec::new();
    flags.extend(data.map(|data| ("data_dir", data.display().to_string())));
    flags.extend(doors.listen.map(|listen| ("listen", listen.to_string())));
    flags.extend(doors.base_url.iter().map(|pair| ("base_urls", pair.clone())));
    let loaded = config::load(file, std::env::vars(), &flags)?;
    for warning in loaded.warnings {
        eprintln!("crosswalk: {warning}");
    }
    Ok(loaded.settings)
}

/// Mock CRMs, and a gateway connected to them.
async fn demo(
    load: impl Fn(&Doors) -> Result<Settings, config::Faults>,
    doors: Doors,
    mock_listen: SocketAddr,
    temporary: bool,
) -> Outcome {
    let mut settings = load(&doors)?;
    settings.log.format = LogFormat::Text;
    observe::start(&settings.log);
    let folder = temporary.then(Folder::new).transpose()?;
    if let Some(Folder(path)) = &folder {
        settings.data_dir.clone_from(path);
    }
    let mock = mock_server::start(mock_listen, mock_server::Options::default())
        .await
        .map_err(|error| format!("mock CRMs on {mock_listen}: {error}"))?;
    for service in SERVICES {
        let url = format!("{}/{service}", mock.base_url()).parse()?;
        settings.base_urls.entry(service.to_owned()).or_insert(url);
    }
    settings.private_ranges.push("127.0.0.0/8".parse()?);
    let services = app::services(&settings).map_err(listed)?;
    let connectors = |id: &str| required(&services, id);
    let store = serve::open(&settings).await?;
    let connections = SERVICES.map(|service| {
        let named = |what: &str| format!("demo-{service}-{what}");
        let mut connection =
            DemoConnection::oauth(service, &named("refresh"), &named("client"), &named("secret"));
        // Amounts whose record names no currency are in the account's own.
        connection.settings.insert("currency".to_owned(), "USD".to_owned());
        connection
    });
    admin::seed_demo(&store, &connectors, &connections).await?;
    let signals = serve::Signals::listen()?;
    let running = serve::start(settings, store).await?;
    say(&tour(&running.url, mock.base_url()))?;
    running.until_stopped(signals).await;
    mock.stop().await;
    Ok(())
}

/// The demo's connectors.
const SERVICES: [&str; 2] = ["hubspot", "pipedrive"];

fn tour(gateway: &str, mock: &str) -> String {
    let headers = format!(
        "-H 'Authorization: Bearer {}' -H 'x-apideck-app-id: {}' -H 'x-apideck-consumer-id: {}'",
        admin::demo::KEY,
        admin::demo::APP,
        admin::demo::CONSUMER
    );
    format!(
        "\nCall it, for example:\n\n\
         curl -s {headers} -H 'x-apideck-service-id: hubspot' '{gateway}/crm/contacts?limit=2'\n\n\
         curl -s {headers} -H 'x-apideck-service-id: pipedrive' '{gateway}/crm/opportunities?limit=2&sort[by]=updated_at&sort[direction]=desc' -g\n\n\
         curl -s {headers} -H 'x-apideck-service-id: hubspot' -H 'Content-Type: application/json' \
         -d '{{\"first_name\":\"Ada\",\"last_name\":\"Lovelace\",\"emails\":[{{\"email\":\"ada@example.com\"}}]}}' '{gateway}/crm/contacts'\n\n\
         The API's contract is at {gateway}/openapi/crm.json. Ctrl-C ends the demo.\n\n\
         ready gateway={gateway} mock={mock}\n"
    )
}

/// A folder that is gone with its holder.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("crosswalk-demo-{}", uuid::Uuid::now_v7()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
