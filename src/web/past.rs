//! The past as the routes see it: from the store, and what was looked at last from memory.
//!
//! Readings are written once, and a run's past changes only when a reading comes: so whatever was looked
//! up for a run holds as long as the run has the same number of readings.

use std::sync::Arc;

use super::app::Site;
use super::kept::Kept;
use super::routes::asked::Asked;
use super::routes::runs::PICTURES;
use super::sent::Sent;
use crate::report::figures::run::{Column, Onset};
use crate::report::figures::{Choice, Material};
use crate::report::gather;
use crate::store::Error;
use crate::terms::{
    Attempt, CheckpointFacts, LogPoint, Reading, ReadingKey, RunId, RunStatus, Said, Step, Subject,
    SubjectKind,
};

/// What is known of each checkpoint of a run.
pub type Facts = Vec<(ReadingKey, CheckpointFacts, Vec<LogPoint>)>;

/// A run's past at one number of readings.
type Version = (RunId, usize);

/// What was looked at last.
#[derive(Debug, Default)]
pub struct Looked {
    /// Two checkpoints side by side with their neighbours on the slider. One of a 150-tensor model takes
    /// about 1 MB.
    readings: Kept<ReadingKey, Option<Arc<Reading>>, 24>,
    /// A metric of 150 tensors over 1000 checkpoints takes 2.4 MB; a view draws up to four.
    columns: Kept<(Version, String, SubjectKind), Arc<Vec<Column>>, 8>,
    facts: Kept<Version, Arc<Facts>, AHEAD_MAX>,
    drawn: Kept<(Version, Drawn), Sent, DRAWN_MAX>,
}

/// What tells one picture of a run from another, as long as the run has as many readings.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Which picture.
    pub id: String,
    /// Of what.
    pub asked: Asked,
    /// What is marked in it: findings come and go without a reading too.
    pub onsets: Vec<Onset>,
}

/// Runs whose first pictures are drawn ahead.
pub const AHEAD_MAX: usize = 8;
/// Pictures that are kept as they are sent: those that are drawn ahead, and what was looked at last. A heat map of
/// 150 tensors has 1.1 MB.
const DRAWN_MAX: usize = AHEAD_MAX * PICTURES.len() + 16;
/// Larger pictures are drawn each time.
const DRAWN_BYTES_MAX: usize = 3 << 20;

/// Most values of one metric that are kept: 16 MB. What is larger is looked up each time.
const POINTS_MAX: usize = 1 << 20;

/// Readings of more tensors, 10 MB and more, are kept one at a time.
const TENSORS_MAX: usize = 2000;

impl Site {
    /// What people said about findings, as it is published.
    pub fn said(&self) -> Arc<Said> {
        Arc::clone(&self.snapshots.borrow().said)
    }

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

    /// A reading by its key, without sketches, and without quantiles unless it is the newest one: see
    /// [`Site::with_quantiles`].
    pub fn reading(&self, key: &ReadingKey) -> Result<Option<Arc<Reading>>, Error> {
        let live = self.status(&key.run).and_then(|status| status.latest.clone()).filter(|r| &r.key == key);
        if live.is_some() {
            return Ok(live);
        }
        let look = || Ok(self.store.reading_without_bulk(key)?.map(Arc::new));
        let reading = self.looked.readings.get(key.clone(), look)?;
        if reading.as_ref().is_some_and(|reading| reading.tensors.len() > TENSORS_MAX) {
            self.looked.readings.forget(|other| other != key);
        }
        Ok(reading)
    }

    /// The reading with the quantiles of the tensor that is chosen, for pictures of its distribution.
    pub fn with_quantiles(&self, reading: Arc<Reading>, choice: &Choice) -> Result<Arc<Reading>, Error> {
        let material = Material { reading: &reading, weights: None };
        let Ok(tensor) = material.tensor(choice) else { return Ok(reading) };
        if !tensor.quantiles.is_empty() {
            return Ok(reading);
        }
        let name = tensor.facts.name.clone();
        let Some(quantiles) = self.store.quantiles_of(&reading.key, &name)? else { return Ok(reading) };
        let mut whole = Reading::clone(&reading);
        if let Some(tensor) = whole.tensors.iter_mut().find(|tensor| tensor.facts.name == name) {
            tensor.quantiles = quantiles;
        }
        Ok(Arc::new(whole))
    }

    /// The newest reading of the run.
    pub fn latest(&self, run: &RunId) -> Result<Option<Arc<Reading>>, Error> {
        match self.status(run).and_then(|status| status.latest.clone()) {
            Some(reading) => Ok(Some(reading)),
            None => match self.store.keys(run).last() {
                Some(key) => self.reading(key),
                None => Ok(None),
            },
        }
    }

    fn version(&self, run: &RunId) -> Version {
        (run.clone(), self.store.keys(run).len())
    }

    /// A metric of every subject of a kind over the run, with the meaning that the newest reading gives.
    pub fn columns(&self, run: &RunId, metric: &str, kind: SubjectKind) -> Result<Arc<Vec<Column>>, Error> {
        let look = || {
            let series = self.store.series(run, metric, &|subject| subject.kind() == kind)?;
            Ok(Arc::new(gather::columns(series, self.latest(run)?.as_deref())))
        };
        let columns = self.looked.columns.get((self.version(run), metric.to_owned(), kind), look)?;
        if columns.iter().map(|column| column.points.len()).sum::<usize>() > POINTS_MAX {
            self.looked.columns.forget(|(version, _, _)| &version.0 == run);
        }
        Ok(columns)
    }

    /// One tensor's values of one metric: (step, value).
    pub fn points(&self, run: &RunId, metric: &str, tensor: &str) -> Result<Vec<(u64, f64)>, Error> {
        let wanted = |subject: &Subject| matches!(subject, Subject::Tensor(name) if **name == *tensor);
        let found = gather::columns(self.store.series(run, metric, &wanted)?, None);
        Ok(found.into_iter().next().map(|column| column.points).unwrap_or_default())
    }

    /// What each checkpoint of the run was made from.
    pub fn facts(&self, run: &RunId) -> Result<Arc<Facts>, Error> {
        self.looked.facts.get(self.version(run), || Ok(Arc::new(self.store.checkpoint_facts(run)?)))
    }

    /// A picture of the run as it is sent: made where it is not there.
    pub fn drawn<E>(
        &self,
        run: &RunId,
        drawn: Drawn,
        make: impl FnOnce() -> Result<Sent, E>,
    ) -> Result<Sent, E> {
        let key = (self.version(run), drawn);
        let sent = self.looked.drawn.get(key.clone(), make)?;
        if sent.size_bytes() > DRAWN_BYTES_MAX {
            self.looked.drawn.forget(|other| *other == key);
        }
        Ok(sent)
    }
}
