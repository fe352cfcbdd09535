//! Puts the parts together and takes them apart again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::caretaker::Caretaker;
use super::dial::{Dial, Tuning};
use super::pipeline::{Pipeline, Weighing};
use super::queue::Queue;
use super::scanner::{Scanner, SharedSight};
use super::turns::Turns;
use super::watch::{self as hints, Hints, Watch};
use super::worker::Worker;
use super::{Error, Settings};
use crate::store::Store;
use crate::telemetry::Counters;
use crate::terms::Snapshot;

/// A running daemon. Dropping it without [`Daemon::drain`] leaves its threads to the process's end.
pub struct Daemon {
    /// The published state.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Why events are not used although they were not refused, if so.
    pub polling_because: Option<String>,
    settings: Settings,
    dial: Arc<Dial>,
    stop: Arc<AtomicBool>,
    queue: Arc<Queue>,
    scanner: JoinHandle<()>,
    worker: JoinHandle<()>,
    caretaker: JoinHandle<()>,
    _watch: Option<Watch>,
}

/// Starts watching, scanning and weighing. Watching begins before the first scan, so that nothing that
/// happens in between is missed.
pub fn start(
    mut settings: Settings,
    weighing: Weighing,
    store: Store,
    counters: Arc<Counters>,
) -> Result<Daemon, Error> {
    settings.roots = settings.roots.iter().map(|root| check_root(root)).collect::<Result<_, _>>()?;
    settings.keeping.check(&settings.roots).map_err(Error::Keeping)?;
    let dial = Arc::new(Dial::new(Tuning { settings: settings.clone(), weighing: weighing.clone() }));
    let stop = Arc::new(AtomicBool::new(false));
    let queue = Arc::new(Queue::default());
    let sight = SharedSight::default();
    let (publisher, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let (hints, woken) = Hints::new();
    let (watch, polling_because) = hints::start(&settings.roots, settings.mode, &hints);
    let checkpoint = weighing.checkpoint.clone();
    let pipeline = Pipeline::open(store.clone(), weighing, Arc::clone(&stop), settings.runs_in_memory)?;
    for book in pipeline.books() {
        book.known.iter().for_each(|known| queue.done(&book.run, &known.checkpoint.files));
    }
    let scanner = Scanner {
        settings: settings.clone(),
        checkpoint,
        dial: Arc::clone(&dial),
        queue: Arc::clone(&queue),
        sight: Arc::clone(&sight),
        hints,
        woken,
        polling: watch.is_none(),
        stop: Arc::clone(&stop),
        counters: Arc::clone(&counters),
    };
    let caretaker =
        Caretaker { store: store.clone(), stop: Arc::clone(&stop), counters: Arc::clone(&counters) };
    let worker = Worker {
        pipeline,
        store,
        queue: Arc::clone(&queue),
        sight,
        publisher,
        roots: settings.roots.clone(),
        dial: Arc::clone(&dial),
        keeping: settings.keeping.clone(),
        stop: Arc::clone(&stop),
        counters,
        turns: Turns::new(),
        published: None,
    };
    Ok(Daemon {
        snapshots,
        polling_because,
        settings,
        dial,
        stop,
        queue,
        scanner: named("scanner", move || scanner.run())?,
        worker: named("worker", move || worker.run())?,
        caretaker: named("caretaker", move || caretaker.run())?,
        _watch: watch,
    })
}

impl Daemon {
    /// True while all threads live. A dead one is a bug; the process should end and be started again.
    pub fn is_alive(&self) -> bool {
        ![&self.scanner, &self.worker, &self.caretaker].iter().any(|thread| thread.is_finished())
    }

    /// How long [`Daemon::drain`] waits.
    pub fn drain_timeout(&self) -> Duration {
        self.settings.drain_timeout
    }

    /// Goes on with these settings from the next scan and the next checkpoint on; what is watched and
    /// whether events are used stays. Refused where the settings do not fit what is watched.
    pub fn tune(&self, mut settings: Settings, weighing: Weighing) -> Result<(), Error> {
        settings.roots.clone_from(&self.settings.roots);
        settings.keeping.check(&settings.roots).map_err(Error::Keeping)?;
        self.dial.turn(Tuning { settings, weighing });
        Ok(())
    }

    /// Stops: the checkpoint in hand is put down, what was committed is on disk. True when all threads
    /// ended within the set time.
    pub fn drain(self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.queue.stop();
        let until = Instant::now() + self.settings.drain_timeout;
        let threads = [&self.scanner, &self.worker, &self.caretaker];
        while !threads.iter().all(|thread| thread.is_finished()) {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

/// The absolute path of a watched directory, or one clear line on why it cannot be watched.
pub fn check_root(root: &Path) -> Result<PathBuf, Error> {
    let refuse = |message: String| Error::Root { path: root.to_owned(), message };
    let path = root.canonicalize().map_err(|error| {
        refuse(format!("cannot watch this directory: {error}; make it first or check the path"))
    })?;
    if !path.is_dir() {
        return Err(refuse(String::from("not a directory; name the directory that holds the checkpoints")));
    }
    match std::fs::read_dir(&path) {
        Ok(_) => Ok(path),
        Err(error) => {
            Err(refuse(format!("cannot list this directory: {error}; give this user the right to")))
        }
    }
}

fn named(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    Ok(std::thread::Builder::new().name(name.to_owned()).spawn(work)?)
}
