//! The pipeline, and the only place where rooms meet.
//!
//! A scanner thread looks at the disk, at its own pace and whenever the watcher hints at a change; what
//! has settled and has no reading yet goes into the queue. A worker thread takes checkpoints from the
//! queue one by one, weighs, judges and commits each, and only then publishes it. The page, the scrape
//! and the alerts read nothing but the published snapshot and the store.
//!
//! Losing every event may cost time, never a checkpoint; dying at any moment loses nothing that was
//! published, because a reading, its findings and the judge's state are one flushed batch.

mod baseline;
mod book;
mod build;
mod caretaker;
mod carried;
mod damage;
mod dial;
mod inside;
mod keeper;
mod paced;
mod pipeline;
mod processors;
mod queue;
mod replay;
mod scanner;
mod single;
mod snapshot;
mod turns;
mod watch;
mod weights;
mod worker;

pub use baseline::with_baseline;
pub use book::{known, last_good};
pub use build::{Daemon, check_root, start};
pub use damage::{STORE_DAMAGED, tell_damage};
pub use dial::Tuning;
pub use keeper::Keeping;
pub use pipeline::{Outcome, Pipeline, Weighing};
pub use replay::{Replayed, replay};
pub use single::{judge_alone, single};
pub use watch::Mode;
pub use weights::weights;

use std::path::PathBuf;
use std::time::Duration;

/// What the daemon needs to know beside the rooms' own settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Watched directories, absolute.
    pub roots: Vec<PathBuf>,
    /// Events, polling, or whichever suits the file system.
    pub mode: Mode,
    /// Pause between two full scans while events work. Events are hints, so this bounds what a lost one costs.
    pub rescan_interval: Duration,
    /// Pause between two scans where events do not work.
    pub poll_interval: Duration,
    /// Pause between two looks at a checkpoint that has not settled.
    pub settle_interval: Duration,
    /// How long a drain may wait for the checkpoint in hand before it is left for the next start.
    pub drain_timeout: Duration,
    /// Most bytes a second that weighing may read; 0 for no limit.
    pub bytes_per_second: u64,
    /// Runs whose history stays in memory; the others are read from the store when their turn comes.
    pub runs_in_memory: usize,
    /// Whether the last good checkpoint outlives the trainer's rotation.
    pub keeping: Keeping,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            mode: Mode::Auto,
            rescan_interval: Duration::from_secs(30),
            poll_interval: Duration::from_secs(5),
            settle_interval: Duration::from_millis(500),
            drain_timeout: Duration::from_secs(20),
            bytes_per_second: 0,
            runs_in_memory: 16,
            keeping: Keeping::default(),
        }
    }
}

/// Why the daemon or a replay could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A watched directory is not there, or is not one, or may not be read.
    #[error("{path}: {message}", path = path.display())]
    Root {
        /// The directory.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// Good checkpoints cannot be kept where they should be.
    #[error("{0}")]
    Keeping(String),
    /// The run to compare with is not in the store.
    #[error("baseline {run}: no such run in the store; {known}")]
    Baseline {
        /// The name that was given.
        run: String,
        /// What may be given.
        known: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A thread or the runtime could not be started.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}
