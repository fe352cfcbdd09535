//! What may change while the daemon runs: the configuration on SIGHUP, and the files that hold keys and
//! certificates whenever they are replaced. What cannot be used is refused, and the old stays in force.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::{self, AccessFiles, Config, Stamp};
use crate::telemetry::{ConfigRefused, ConfigReloaded, Counters, Event, Exposed};
use crate::web::{Access, Live};

/// How often it is looked whether a file with keys was replaced, as renewed certificates are.
pub const KEYS_INTERVAL: Duration = Duration::from_secs(5);

/// Where the configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// What the file said, before the command line had its say.
    pub filed: Config,
    /// The file; none where all is at its default.
    pub file: Option<PathBuf>,
    /// Web configuration from the command line, which goes before the file's.
    pub web_config: Option<PathBuf>,
    /// Run to compare with from the command line, which goes before the file's.
    pub baseline: Option<String>,
}

/// Keeps what is in force.
pub struct Reloader {
    source: Source,
    access: AccessFiles,
    keys: Vec<Stamp>,
    live: watch::Sender<Arc<Live>>,
    counters: Arc<Counters>,
}

impl Reloader {
    /// Reads the keys; at the start a refusal ends the program.
    pub fn open(source: Source, config: &Config, counters: Arc<Counters>) -> Result<Self, config::Error> {
        let (live, keys) = live(config)?;
        counters.reload.good();
        Ok(Self {
            source,
            access: config.access.clone(),
            keys,
            live: watch::Sender::new(Arc::new(live)),
            counters,
        })
    }

    /// What is in force, now and later.
    pub fn live(&self) -> watch::Receiver<Arc<Live>> {
        self.live.subscribe()
    }

    /// Says so where others can reach an address without a password, or listen to it.
    pub fn warn_where_exposed(&self, address: SocketAddr) {
        let access = &self.live.borrow().access;
        let error = match (access.is_guarded(), access.tls().is_some()) {
            _ if address.ip().is_loopback() => return,
            (true, true) => return,
            (true, false) => {
                "passwords and tokens cross the network in the clear; give tls_server_config in web.config_file"
            }
            (false, _) => {
                "everybody who reaches this address can read everything; give web.config_file or web.read_token_file, \
                 or listen on 127.0.0.1"
            }
        };
        Exposed { listen: &address.to_string(), error }.emit(&self.counters);
    }

    /// Reads the configuration again.
    pub fn reload(&mut self, running: &mut dyn Running) {
        let loaded = match &self.source.file {
            Some(file) => config::load(file),
            None => Ok(self.source.filed.clone()),
        };
        self.take(loaded, running);
    }

    /// Takes over keys whose files were replaced.
    pub fn look_at_keys(&mut self, running: &mut dyn Running) {
        let files: Vec<PathBuf> = self.keys.iter().map(|(file, _)| file.clone()).collect();
        let now = config::stamps(&files);
        if now != self.keys {
            // A file that is being replaced may be gone for a moment: the next look sees what became of it.
            if now.iter().any(|(_, stamp)| stamp.is_none()) {
                return;
            }
            // Whatever comes of it: the same files are not tried again.
            self.keys = now;
            self.take(Ok(self.source.filed.clone()), running);
        }
    }

    fn take(&mut self, loaded: Result<Config, config::Error>, running: &mut dyn Running) {
        let path = self.source.file.clone().or_else(|| self.access.web_config.clone());
        let path = path.as_deref().unwrap_or(Path::new(""));
        match self.try_take(loaded, running) {
            Ok(at_restart) => ConfigReloaded { path, at_restart: &at_restart }.emit(&self.counters),
            Err(error) => ConfigRefused { path, error: &format!("{error:#}") }.emit(&self.counters),
        }
    }

    /// All or nothing. Gives the keys that only a restart takes over.
    fn try_take(
        &mut self,
        loaded: Result<Config, config::Error>,
        running: &mut dyn Running,
    ) -> anyhow::Result<String> {
        let filed = loaded?;
        let mut config = filed.clone();
        config.access.web_config = self.source.web_config.clone().or(config.access.web_config);
        let (live, keys) = live(&config)?;
        running.take_over(&config)?;
        let at_restart = at_restart(&self.source.filed, &filed);
        (self.source.filed, self.access, self.keys) = (filed, config.access, keys);
        self.live.send_replace(Arc::new(live));
        Ok(at_restart)
    }
}

/// The parts that go on with new settings.
pub trait Running {
    /// Takes them over, or refuses and changes nothing.
    fn take_over(&mut self, config: &Config) -> anyhow::Result<()>;
}

/// Keys that changed and that nothing can take over while it runs.
fn at_restart(old: &Config, new: &Config) -> String {
    let changed = [
        ("listen", old.listen != new.listen),
        ("store", old.store_directory != new.store_directory),
        ("keep", old.store != new.store),
        ("watch.mode", old.daemon.mode != new.daemon.mode),
        ("watch.drain_timeout_seconds", old.daemon.drain_timeout != new.daemon.drain_timeout),
        ("web.request_timeout_seconds", old.web.request_timeout != new.web.request_timeout),
        ("web.connections_max", old.web.connections_max != new.web.connections_max),
        ("log.format", old.log_format != new.log_format),
    ];
    let names: Vec<_> = changed.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name).collect();
    names.join(" ")
}

fn live(config: &Config) -> Result<(Live, Vec<Stamp>), config::Error> {
    let (keys, files) = config.access.keys()?;
    let stamps = config::stamps(&files);
    let live =
        Live { export: config.export.clone(), hosts: config.web.hosts.clone(), access: Access::new(keys) };
    Ok((live, stamps))
}
