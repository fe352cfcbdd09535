//! Where a reading command gets its answer: from the store at rest, or from the daemon that holds it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::measure;
use crate::store::{self, Store};

/// `--store DIR`, as every reading command takes it.
#[derive(Clone, Debug, clap::Args)]
pub struct StoreArg {
    /// Directory of the store, as `watch` printed it
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
}

/// The store, or the daemon that has it.
pub enum Source {
    /// At rest: read it here.
    Store(Box<Store>),
    /// Held by a daemon that can be asked.
    Daemon(Remote),
}

/// A daemon that can be asked over HTTP.
pub struct Remote {
    address: String,
}

/// How long an answer may take: a reading command never waits silently.
const ANSWER_MAX: Duration = Duration::from_secs(30);

impl Source {
    /// Opens the store, or finds out whom to ask. Never makes a store where there is none.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        if !dir.is_dir() {
            bail!("{}: no store here; `watch` and `replay` make one", dir.display());
        }
        match Store::open(dir, &measure::catalog(), &store::Settings::default()) {
            Ok(store) => Ok(Self::Store(Box::new(store))),
            Err(store::Error::Held { address: Some(address), .. }) => Ok(Self::Daemon(Remote { address })),
            Err(error) => Err(error.into()),
        }
    }

    /// The store at rest; for what only works so.
    pub fn at_rest(dir: &Path) -> anyhow::Result<Store> {
        match Self::open(dir)? {
            Self::Store(store) => Ok(*store),
            Self::Daemon(remote) => {
                bail!(
                    "{}: held by a running daemon at http://{}; stop it first",
                    dir.display(),
                    remote.address
                )
            }
        }
    }
}

impl Remote {
    /// The text that the daemon answers at `path`, with its query.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<String> {
        let url = format!("http://{}{path}", self.address);
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_MAX)).build();
        let mut request = ureq::Agent::new_with_config(config).get(&url);
        for (name, value) in query {
            request = request.query(name, value);
        }
        let mut response = request.call().with_context(|| format!("the daemon at {url} does not answer"))?;
        let limit = 1 << 30;
        Ok(response.body_mut().with_config().limit(limit).read_to_string()?)
    }
}
