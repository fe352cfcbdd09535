//! Readings from the store, the newest from the snapshot, the last looked at from memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::app::Site;
use crate::report::figures::run::Column;
use crate::report::gather;
use crate::store::{Error, Series};
use crate::terms::{Attempt, Reading, ReadingKey, RunId, RunStatus, Step};

/// Readings that were looked at last. One of a 150-tensor model takes about 0.7 MB with its sketches.
#[derive(Debug, Default)]
pub struct Readings {
    kept: Mutex<VecDeque<Arc<Reading>>>,
}

impl Readings {
    /// Enough for two checkpoints side by side with their neighbours on the slider.
    const KEPT_MAX: usize = 8;

    fn find(&self, key: &ReadingKey) -> Option<Arc<Reading>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|reading| &reading.key == key).cloned()
    }

    fn keep(&self, reading: Arc<Reading>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= Self::KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(reading);
    }
}

impl Site {
    /// The run as it stands.
    pub fn status(&self, run: &RunId) -> Option<Arc<RunStatus>> {
        self.snapshots.borrow().runs.iter().find(|status| &status.run == run).cloned()
    }

    /// The key of a step: of the given attempt, else of the newest attempt that has it.
    pub fn key(&self, run: &RunId, step: Step, attempt: Option<u32>) -> Option<ReadingKey> {
        // Looking a key up is far cheaper than listing all of them.
        let newest = self.status(run).map(|status| status.attempt.0);
        let attempts =
            attempt.map_or(0..newest.map_or(0, |newest| newest + 1), |attempt| attempt..attempt + 1);
        let named = |attempt| ReadingKey { run: run.clone(), attempt: Attempt(attempt), step };
        if let Some(key) = attempts.rev().map(named).find(|key| self.store.contains(key)) {
            return Some(key);
        }
        let wanted =
            |key: &ReadingKey| key.step == step && attempt.is_none_or(|attempt| key.attempt.0 == attempt);
        self.store.keys(run).into_iter().rev().find(wanted)
    }

    /// A reading by its key.
    pub fn reading(&self, key: &ReadingKey) -> Result<Option<Arc<Reading>>, Error> {
        let live = self.status(&key.run).and_then(|status| status.latest.clone()).filter(|r| &r.key == key);
        if let Some(reading) = live.or_else(|| self.readings.find(key)) {
            return Ok(Some(reading));
        }
        let reading = self.store.reading(key)?.map(Arc::new);
        if let Some(reading) = &reading {
            self.readings.keep(reading.clone());
        }
        Ok(reading)
    }

    /// The newest reading of the run.
    pub fn latest(&self, run: &RunId) -> Result<Option<Arc<Reading>>, Error> {
        match self.status(run).and_then(|status| status.latest.clone()) {
            Some(reading) => Ok(Some(reading)),
            None => Ok(self.store.latest(run)?.map(Arc::new)),
        }
    }

    /// Series as columns, with the meaning that the newest reading gives them.
    pub fn columns(&self, run: &RunId, series: Vec<Series>) -> Result<Vec<Column>, Error> {
        Ok(gather::columns(series, self.latest(run)?.as_deref()))
    }
}
