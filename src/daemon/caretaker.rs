//! Looks after the store in the background: takes away what retention does not keep, and gives the room back.
//! Weighing never waits for it; a commit waits for one journal file at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::store::Store;
use crate::telemetry::{self as events, Counters, Event};

/// How often it looks whether there is something to do, or whether to stop.
const GLANCE: Duration = Duration::from_millis(200);

/// The thread's part.
pub struct Caretaker {
    /// The store.
    pub store: Store,
    /// True when it is to end.
    pub stop: Arc<AtomicBool>,
    /// Our own counters.
    pub counters: Arc<Counters>,
}

impl Caretaker {
    /// Works until it is told to stop.
    pub fn run(self) {
        let interval = self.store.tend_interval();
        let mut looked = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            if self.store.is_tending_due() || looked.elapsed() >= interval {
                if let Err(error) = self.store.tend() {
                    events::StoreFailed { error: &error.to_string() }.emit(&self.counters);
                }
                looked = Instant::now();
            }
            std::thread::sleep(GLANCE.min(interval));
        }
    }
}
