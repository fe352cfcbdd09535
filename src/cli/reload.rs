//! What may change while the daemon runs: the configuration on SIGHUP, and the files that hold keys and
//! certificates whenever they are replaced. What cannot be used is refused, and the old stays in force.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::{self, Config, Stamp};
use crate::telemetry::{ConfigRefused, ConfigReloaded, Counters, Event, Exposed};
use crate::web::{Access, Live};

/// How often it is looked whether a file with keys was replaced, as renewed certificates are.
pub const KEYS_INTERVAL: Duration = Duration::from_secs(5);

/// Where the configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file; none where all is at its default.
    pub file: Option<PathBuf>,
    /// Web configuration from the command line, which goes before the file's.
    pub web_config: Option<PathBuf>,
}

/// Keeps what is in force.
pub struct Reloader {
    source: Source,
    config: Config,
    keys: Vec<Stamp>,
    live: watch::Sender<Arc<Live>>,
    counters: Arc<Counters>,
}

impl Reloader {
    /// Reads the keys; at the start a refusal ends the program.
    pub fn open(source: Source, config: Config, counters: Arc<Counters>) -> Result<Self, config::Error> {
        let (live, keys) = live(&config)?;
        Ok(Self { source, config, keys, live: watch::Sender::new(Arc::new(live)), counters })
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
    pub fn reload(&mut self) {
        let loaded = match &self.source.file {
            Some(file) => config::load(file),
            None => Ok(self.config.clone()),
        };
        self.take(loaded);
    }

    /// Takes over keys whose files were replaced.
    pub fn look_at_keys(&mut self) {
        let files: Vec<PathBuf> = self.keys.iter().map(|(file, _)| file.clone()).collect();
        let now = config::stamps(&files);
        if now != self.keys {
            // Whatever comes of it: the same files are not tried again.
            self.keys = now;
            self.take(Ok(self.config.clone()));
        }
    }

    fn take(&mut self, loaded: Result<Config, config::Error>) {
        let taken = loaded.and_then(|mut config| {
            if let Some(file) = &self.source.web_config {
                config.access.web_config = Some(file.clone());
            }
            let (live, keys) = live(&config)?;
            Ok((config, live, keys))
        });
        let path = self.source.file.clone().or_else(|| self.config.access.web_config.clone());
        let path = path.as_deref().unwrap_or(Path::new(""));
        match taken {
            Ok((config, live, keys)) => {
                (self.config, self.keys) = (config, keys);
                self.live.send_replace(Arc::new(live));
                ConfigReloaded { path }.emit(&self.counters);
            }
            Err(error) => ConfigRefused { path, error: &error.to_string() }.emit(&self.counters),
        }
    }
}

fn live(config: &Config) -> Result<(Live, Vec<Stamp>), config::Error> {
    let (keys, files) = config.access.keys()?;
    // Before the files are read again, so that a change in between is seen.
    let stamps = config::stamps(&files);
    let live =
        Live { export: config.export.clone(), hosts: config.web.hosts.clone(), access: Access::new(keys) };
    Ok((live, stamps))
}
