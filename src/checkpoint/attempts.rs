//! Which go at a run a checkpoint belongs to.

use super::Candidate;
use crate::terms::{Attempt, CheckpointFacts, LogPoint, ReadingKey, Step, TrainerState};

/// One reading of the run, as far as telling attempts apart needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its name.
    pub key: ReadingKey,
    /// The checkpoint as it lay on disk when it was weighed.
    pub checkpoint: CheckpointFacts,
    /// The newest lines of the trainer's log at that checkpoint.
    pub log_tail: Vec<LogPoint>,
}

/// What a settled candidate is to its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// This very version has a reading.
    Weighed,
    /// It has none: its reading is to be named by this attempt and step. The step differs from the
    /// candidate's only where that was a mere sequence number.
    New {
        /// Which go at the run.
        attempt: Attempt,
        /// Its step.
        step: Step,
    },
}

/// Which attempt a settled candidate belongs to, given everything known of its run.
pub fn recognise(known: &[Known], candidate: &Candidate, _trainer: &TrainerState) -> Recognition {
    if known.iter().any(|known| known.key.step == candidate.step) {
        return Recognition::Weighed;
    }
    Recognition::New { attempt: Attempt(0), step: candidate.step }
}
