//! Starting and stopping: the store, what calls share, and the edge before it, put together once.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::access::{Admitted, Knock};
use crate::app::App;
use crate::config::Settings;
use crate::contract::Contract;
use crate::downstream;
use crate::edge::{Arriving, Drained, Gate, Handler, PortalArriving, Server};
use crate::error::{Kind, Result};
use crate::logs::Recorder;
use crate::model::{Answer, Context, Secret, ServiceId, Trail, Visitor};
use crate::portal;
use crate::storage::{CallsApi, Location, Store, keyfile};
use crate::unify;

/// How often the last use of API keys and counted calls are written down.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// Why the gateway cannot start.
pub type StartError = Box<dyn Error + Send + Sync>;

/// A gateway at work.
pub struct Running {
    /// Where it listens.
    pub url: String,
    /// What its calls share.
    pub app: Arc<App>,
    store: Store,
    stop: CancellationToken,
    served: JoinHandle<Drained>,
}

/// Opens the database; its folder and the master key are made at the first start.
///
/// # Errors
/// If a folder, the key file or the database cannot be used.
pub async fn open(settings: &Settings) -> std::result::Result<Store, StartError> {
    for file in [settings.database_path(), settings.master_key_path()] {
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
    }
    let variable = std::env::var(keyfile::VARIABLE).ok();
    let master = keyfile::master_key(variable.as_deref(), &settings.master_key_path())?;
    Ok(Store::open(Location::File(&settings.database_path()), master).await?)
}

/// Starts a gateway; when this returns, it answers.
///
/// # Errors
/// If a connector or mapping file is at fault (all faults are listed), or the address cannot be listened on.
pub async fn start(settings: Settings, store: Store) -> std::result::Result<Running, StartError> {
    let settings = Arc::new(settings);
    let contract = Arc::new(Contract::load()?);
    let warming = Arc::clone(&contract);
    tokio::task::spawn_blocking(move || warming.warm()).await??;
    let http = downstream::Client::new(downstream::Settings {
        connect_timeout: settings.timeouts.downstream_connect,
        attempt_timeout: settings.timeouts.downstream_total,
        allow: settings.private_ranges.clone(),
        ..downstream::Settings::default()
    });
    if let Some(fault) = http.tls_fault() {
        tracing::warn!(fault, "CRMs cannot be called over TLS");
    }
    let app = App::new(Arc::clone(&settings), store.clone(), http)
        .map_err(|faults| faults.iter().map(|fault| format!("\n  {fault}")).collect::<String>())?;
    let app = Arc::new(app);
    let gate = Gate::open(&settings).await?;
    let url = gate.url();
    let server = Server::new(&gate, settings, Arc::clone(&contract), Doors(Arc::clone(&app), contract))?;
    let stop = app.stopping.clone();
    let served = tokio::spawn(gate.serve(server, stop.clone()));
    Ok(Running { url, app, store, stop, served })
}

/// Which room answers what.
struct Doors(Arc<App>, Arc<Contract>);

impl Handler for Doors {
    fn recorder(&self) -> Option<&Arc<Recorder>> {
        Some(&self.0.logs).filter(|logs| logs.is_on())
    }

    async fn answer(&self, context: Context, key: Secret, call: Arriving) -> Result<Answer> {
        let Doors(app, _) = self;
        let (app_id, consumer) = (context.app.clone(), context.consumer.clone());
        let admitted = {
            let (method, path) = call.route();
            let (key, remote) = (key.expose(), context.remote);
            let knock = Knock { key, app: &app_id, consumer: Some(&consumer), remote, method, path: &path };
            noting(&context.trail, app.access.admit(knock).await)?
        };
        let result = unify::answer(Arc::clone(app), context, call.call()).await;
        app.access.count(&app_id, &consumer, CallsApi::Unify, service_of(&result));
        admitted.stamp(result)
    }

    async fn portal(&self, visitor: Visitor, key: Option<Secret>, call: PortalArriving) -> Result<Answer> {
        let Doors(app, contract) = self;
        let (app_id, consumer) = (visitor.app.clone(), visitor.consumer.clone());
        let Some((key, app_id)) = key.as_ref().zip(app_id.as_ref()) else {
            return portal::answer(app, contract, visitor, call.call()).await;
        };
        let admitted = {
            let (method, path) = call.route();
            let (key, consumer, remote) = (key.expose(), consumer.as_ref(), visitor.remote);
            let knock = Knock { key, app: app_id, consumer, remote, method, path: &path };
            noting(&visitor.trail, app.access.admit(knock).await)?
        };
        let result = portal::answer(app, contract, visitor, call.call()).await;
        if let Some(consumer) = &consumer {
            app.access.count(app_id, consumer, CallsApi::Vault, service_of(&result));
        }
        admitted.stamp(result)
    }
}

/// Notes whether the key is the application's, whatever else kept the call out.
fn noting(trail: &Trail, admitted: Result<Admitted>) -> Result<Admitted> {
    if admitted.as_ref().err().is_none_or(|error| error.kind() != Kind::UnauthorizedError) {
        trail.admit();
    }
    admitted
}

/// The connector that a call reached.
fn service_of(result: &Result<Answer>) -> Option<&ServiceId> {
    match result {
        Ok(answer) => answer.service.as_ref(),
        Err(error) => error.which_service(),
    }
}

/// The signals that a gateway listens to: from when this is made, none of them ends the process by itself.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Begins to listen; to be called before anyone is told that the gateway is ready.
    ///
    /// # Errors
    /// If the system does not let this process listen.
    pub fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

impl Running {
    /// Stops accepting, lets calls at work finish, and closes the store.
    pub async fn stop(self) {
        self.stop.cancel();
        let drained = self.served.await.ok();
        settle(&self.app, &self.store, drained).await;
    }

    /// Serves until SIGTERM or SIGINT, then drains. SIGHUP reads connector and mapping files anew. A second signal to
    /// stop ends the process at once.
    pub async fn until_stopped(self, signals: Signals) {
        let Running { app, store, stop, mut served, .. } = self;
        let Signals { mut terminate, mut interrupt, mut hangup } = signals;
        let mut note = tokio::time::interval(NOTE_EVERY);
        let drained = loop {
            tokio::select! {
                drained = &mut served => break drained.ok(),
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {
                    reload(&app);
                    continue;
                }
                _ = note.tick() => {
                    noted(app.access.flush().await);
                    purged(app.idempotency.purge().await);
                    forgotten(app.logs.purge().await);
                    continue;
                }
            }
            if stop.is_cancelled() {
                tracing::warn!("stopped at once");
                std::process::exit(130);
            }
            tracing::info!("stopping: calls at work finish");
            stop.cancel();
        };
        settle(&app, &store, drained).await;
    }
}

fn reload(app: &App) {
    match app.reload() {
        Ok(count) => tracing::info!(connectors = count, "connectors and mappings were read anew"),
        Err(faults) => {
            for fault in &faults {
                tracing::error!(%fault, "not reloaded: the files before stay in use");
            }
        }
    }
}

async fn settle(app: &App, store: &Store, drained: Option<Drained>) {
    noted(app.access.flush().await);
    app.logs.written().await;
    app.vault.settle().await;
    store.close().await;
    if let Some(drained) = drained.filter(|drained| drained.unfinished_calls > 0) {
        tracing::warn!(calls = drained.unfinished_calls, "stopped with calls still at work");
    }
}

fn purged(purged: Result<()>) {
    if let Err(error) = purged {
        tracing::warn!(
            source = error.log_source(),
            "idempotency keys that have had their time could not be purged"
        );
    }
}

fn forgotten(purged: Result<()>) {
    if let Err(error) = purged {
        tracing::warn!(source = error.log_source(), "old calls could not be taken out of the request log");
    }
}

fn noted(flushed: Result<()>) {
    if let Err(error) = flushed {
        tracing::warn!(
            source = error.log_source(),
            "the last use of API keys and counted calls could not be written down"
        );
    }
}
