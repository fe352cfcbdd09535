//! Settings that may change while the daemon runs, and who has seen the change.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Settings, Weighing};

/// What a reload may turn: pauses, what is measured and judged, what is kept.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The daemon's own settings.
    pub settings: Settings,
    /// Everything a checkpoint's way needs.
    pub weighing: Weighing,
}

/// The tuning in force, with a number that grows with every change.
#[derive(Debug)]
pub struct Dial(RwLock<(u64, Arc<Tuning>)>);

impl Dial {
    /// A dial that stands at these.
    pub fn new(tuning: Tuning) -> Self {
        Self(RwLock::new((0, Arc::new(tuning))))
    }

    /// Turns it.
    pub fn turn(&self, tuning: Tuning) {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *inner = (inner.0 + 1, Arc::new(tuning));
    }

    /// The new tuning, once for each change, for whoever keeps `seen`.
    pub fn changed(&self, seen: &mut u64) -> Option<Arc<Tuning>> {
        let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (inner.0 != *seen).then(|| {
            *seen = inner.0;
            Arc::clone(&inner.1)
        })
    }
}
