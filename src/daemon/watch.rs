//! Events as hints: they say *when* to look, never what is there. The only user of `notify`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::checkpoint;

/// How changes are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Events on local file systems, polling on network file systems.
    #[default]
    Auto,
    /// Events, wherever it is.
    Events,
    /// Polling, wherever it is.
    Poll,
}

/// What changed, coalesced: any number of events is at most one wake-up and a set of paths.
#[derive(Clone)]
pub struct Hints {
    touched: Arc<Mutex<Touched>>,
    wake: SyncSender<()>,
}

/// Paths that events named since the last look.
#[derive(Default)]
pub struct Touched {
    /// The paths; empty when `all` is set.
    pub paths: HashSet<PathBuf>,
    /// Events were lost or too many: look at everything afresh.
    pub all: bool,
}

/// Paths kept between two looks; beyond it everything is looked at afresh.
const TOUCHED_MAX: usize = 10_000;

impl Hints {
    /// The hints, and the receiver of their wake-ups.
    pub fn new() -> (Self, Receiver<()>) {
        let (wake, woken) = std::sync::mpsc::sync_channel(1);
        (Self { touched: Arc::default(), wake }, woken)
    }

    /// Takes what was touched since the last call.
    pub fn take(&self) -> Touched {
        std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn touch(&self, event: notify::Result<notify::Event>) {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            // Our own reads are no change.
            Ok(event) if event.kind.is_access() => return,
            Ok(event) if !event.need_rescan() => touched.paths.extend(event.paths),
            _ => touched.all = true,
        }
        if touched.paths.len() > TOUCHED_MAX {
            *touched = Touched { paths: HashSet::new(), all: true };
        }
        drop(touched);
        // A full channel already holds a wake-up; one is as good as many.
        let _ = self.wake.try_send(());
    }
}

/// Holds the watch; dropping it ends the hints.
pub struct Watch {
    _watcher: RecommendedWatcher,
}

/// Starts watching. None means polling: by choice, by file system, or because the system has no more
/// watches to give; where it was not by choice, the reason comes with it.
pub fn start(roots: &[PathBuf], mode: Mode, hints: &Hints) -> (Option<Watch>, Option<String>) {
    let network = roots.iter().find(|root| checkpoint::is_network_file_system(root));
    match (mode, network) {
        (Mode::Poll, _) => (None, None),
        (Mode::Auto, Some(root)) => {
            (None, Some(format!("{} is on a network file system: polling", root.display())))
        }
        _ => match events(roots, hints.clone()) {
            Ok(watch) => (Some(watch), None),
            Err(error) => (None, Some(format!("no file events ({error}): polling"))),
        },
    }
}

fn events(roots: &[PathBuf], hints: Hints) -> notify::Result<Watch> {
    let mut watcher = notify::recommended_watcher(move |event| hints.touch(event))?;
    for root in roots {
        watcher.watch(root, RecursiveMode::Recursive)?;
    }
    Ok(Watch { _watcher: watcher })
}
