//! `weighbridge watch`: the daemon.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::reload::{self, Reloader, Running};
use super::service::Service;
use super::source::state_directory;
use super::{Exit, Run, output};
use crate::config::{self, Config};
use crate::daemon::{self, Daemon};
use crate::store::Store;
use crate::telemetry::{self, Counters, Event, LogFormat};
use crate::terms::{Catalog, Snapshot};
use crate::{export, measure, web};

/// Watches directories, weighs every new checkpoint, serves page and metrics.
#[derive(Debug, Args)]
pub struct Watch {
    /// Directories that hold checkpoints: one run each, or many
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the store
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Run in the store to compare the others with: its name, as `weighbridge findings` shows it
    #[arg(long, value_name = "RUN")]
    baseline: Option<String>,
    /// Address of page, metrics and API [default: 127.0.0.1:10190]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Form of the log lines: text or json
    #[arg(long, value_name = "FORM")]
    log_format: Option<LogFormat>,
    /// Prometheus' web configuration file: TLS, users with bcrypt hashes, headers
    #[arg(long, alias = "web.config.file", value_name = "FILE")]
    web_config: Option<PathBuf>,
}

impl Run for Watch {
    const NAME: &'static str = "watch";
    const ABOUT: &'static str = "Watch training runs: weigh every new checkpoint, serve page and metrics";

    fn run(self) -> anyhow::Result<Exit> {
        let filed = self.config.as_deref().map_or_else(|| Ok(Config::default()), config::load)?;
        let mut config = filed.clone();
        config.listen = self.listen.unwrap_or(config.listen);
        config.log_format = self.log_format.unwrap_or(config.log_format);
        config.daemon.roots =
            self.dirs.iter().map(|dir| daemon::check_root(dir)).collect::<Result<_, _>>()?;
        let directory = self.store.or_else(|| config.store_directory.clone());
        let directory = directory.map_or_else(|| default_store(&config.daemon.roots), Ok)?;
        telemetry::init_logging(config.log_format, &config.log_level)?;
        config.access.web_config = self.web_config.clone().or(config.access.web_config);
        let reload =
            reload::Source { filed, file: self.config, web_config: self.web_config, baseline: self.baseline };
        serve(config, reload, &directory, |_, _| {})
    }
}

/// What is published, for whoever wants to follow it.
pub type Snapshots = tokio::sync::watch::Receiver<Arc<Snapshot>>;

/// Runs the daemon until a signal. `started` gets the address once it listens.
pub fn serve(
    config: Config,
    source: reload::Source,
    directory: &Path,
    started: impl FnOnce(SocketAddr, Snapshots),
) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let counters = Arc::new(Counters::default());
    let baseline = source.baseline.clone();
    let mut reloader = Reloader::open(source, &config, Arc::clone(&counters))?;
    let listener = runtime.block_on(listen(config.listen))?;
    let address = listener.local_addr()?;
    let store = Store::open(directory, &measure::catalog(), &config.store)?;
    store.announce(&address.to_string())?;
    daemon::tell_damage(&store)?.iter().for_each(|line| output::remark(&format!("weighbridge: {line}")));
    let weighing = daemon::with_baseline(&store, config.weighing.clone(), baseline.as_deref())?;
    let daemon = daemon::start(config.daemon.clone(), weighing, store.clone(), Arc::clone(&counters))?;
    if let Some(reason) = &daemon.polling_because {
        output::remark(&format!("weighbridge: {reason}"));
    }
    let catalog = Arc::new(measure::catalog());
    let senders = export::start_senders(&config.export, &store, &catalog, &counters)?;
    let mut parts = Parts {
        daemon: &daemon,
        senders,
        export: config.export,
        store: store.clone(),
        catalog: Arc::clone(&catalog),
        counters: Arc::clone(&counters),
        baseline,
    };
    telemetry::Started { listen: &address.to_string(), store: directory }.emit(&counters);
    let app = web::App {
        snapshots: daemon.snapshots.clone(),
        store,
        catalog,
        counters: Arc::clone(&counters),
        live: reloader.live(),
        weights: Arc::new(daemon::weights),
        settings: config.web,
    };
    reloader.warn_where_exposed(address);
    started(address, daemon.snapshots.clone());
    runtime.block_on(run(listener, app, &mut parts, &mut reloader))?;
    drop(parts);
    let begun = Instant::now();
    let drained = daemon.drain();
    runtime.shutdown_timeout(HTTP_DRAIN);
    telemetry::Stopped { elapsed: begun.elapsed() }.emit(&counters);
    if !drained {
        output::remark("weighbridge: the checkpoint in hand is left for the next start");
    }
    Ok(Exit::Done)
}

/// How long open requests may take to end.
const HTTP_DRAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether both threads live.
const HEARTBEAT: Duration = Duration::from_secs(1);

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another address with --listen"))
}

/// What goes on with new settings after a reload.
struct Parts<'a> {
    daemon: &'a Daemon,
    senders: export::Senders,
    export: export::Settings,
    store: Store,
    catalog: Arc<Catalog>,
    counters: Arc<Counters>,
    /// From the command line, which goes before the file's.
    baseline: Option<String>,
}

impl Running for Parts<'_> {
    fn take_over(&mut self, config: &Config) -> anyhow::Result<()> {
        telemetry::check_level(&config.log_level)?;
        let weighing = daemon::with_baseline(&self.store, config.weighing.clone(), self.baseline.as_deref())?;
        self.daemon.tune(config.daemon.clone(), weighing)?;
        if config.export != self.export {
            // The old senders end by themselves; what both deliver has one id.
            self.senders = export::start_senders(&config.export, &self.store, &self.catalog, &self.counters)?;
            self.export = config.export.clone();
        }
        telemetry::set_log_level(&config.log_level)?;
        Ok(())
    }
}

/// Serves until SIGTERM or SIGINT, or until one of the daemon's threads is gone.
async fn run(
    listener: TcpListener,
    app: web::App,
    parts: &mut Parts<'_>,
    reloader: &mut Reloader,
) -> anyhow::Result<()> {
    let counters = Arc::clone(&app.counters);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(web::serve(listener, app, async move {
        let _ = stopped.await;
    }));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut keys = tokio::time::interval(reload::KEYS_INTERVAL);
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    let mut snapshots = parts.daemon.snapshots.clone();
    let mut service = Service::default();
    service.ready();
    let name = loop {
        tokio::select! {
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = hangup.recv() => {
                service.reloading();
                reloader.reload(parts);
                service.ready();
            }
            _ = keys.tick() => reloader.look_at_keys(parts),
            Ok(()) = snapshots.changed() => {
                parts.senders.nudge();
                service.status(&snapshots.borrow_and_update());
            }
            _ = heartbeat.tick() => {
                anyhow::ensure!(parts.daemon.is_alive(), "a thread of the daemon died: this is a bug");
                service.alive();
            }
        }
    };
    service.stopping(parts.daemon.drain_timeout() + HTTP_DRAIN);
    telemetry::Draining { signal: name }.emit(&counters);
    let _ = stop.send(());
    // Streams to open pages never end by themselves.
    let _ = tokio::time::timeout(HTTP_DRAIN, server).await;
    Ok(())
}

/// A directory of its own for these watched directories, below the user's state directory.
fn default_store(roots: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let mut names: Vec<String> = roots.iter().map(|root| root.to_string_lossy().into_owned()).collect();
    names.sort();
    let hash = xxhash_rust::xxh3::xxh3_64(names.join("\n").as_bytes());
    let name =
        roots.first().and_then(|root| root.file_name()).map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| String::from("root"));
    Ok(state_directory()?.join(format!("{name}-{hash:016x}")))
}
