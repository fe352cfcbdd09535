//! Which go at a run a checkpoint belongs to.
//!
//! A run that continues keeps its attempt; one that is restarted from an older step, or begun again in
//! the same directory, starts a new one. The trainer's own log decides where there is one: it is
//! cumulative, so that two checkpoints of one attempt agree on every step that both have logged, to the
//! last bit. Where no log tells, times do: within an attempt, later steps are written later.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::candidate::Candidate;
use crate::terms::{
    Attempt, CheckpointFacts, FileStamp, LogPoint, ReadingKey, Step, StepSource, TrainerState,
};

/// Files that were unpacked or copied together may have their times in any order within this span.
const COPIED_TOGETHER_SECONDS: f64 = 5.0;

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
pub fn recognise(known: &[Known], candidate: &Candidate, trainer: &TrainerState) -> Recognition {
    if known.iter().any(|known| is_same_version(known, candidate)) {
        return Recognition::Weighed;
    }
    if candidate.step_source == StepSource::Sequence {
        let last = known.iter().map(|known| known.key.step.0).max().unwrap_or(0);
        let attempt = known.iter().map(|known| known.key.attempt).max().unwrap_or_default();
        return Recognition::New { attempt, step: Step(last + 1) };
    }
    let mut attempts: BTreeMap<Attempt, Vec<&Known>> = BTreeMap::new();
    for known in known {
        attempts.entry(known.key.attempt).or_default().push(known);
    }
    let log: HashMap<u64, &LogPoint> = trainer.log.iter().map(|point| (point.step, point)).collect();
    let attempt = choose(&attempts, candidate, &log);
    Recognition::New { attempt, step: candidate.step }
}

/// True when that reading is of these very bytes: every file of weights is as it was. Other files may
/// have come or gone since; people delete optimizer states to save space.
fn is_same_version(known: &Known, candidate: &Candidate) -> bool {
    if candidate.step_source != StepSource::Sequence && known.key.step != candidate.step {
        return false;
    }
    let then: HashSet<&FileStamp> = known.checkpoint.files.iter().collect();
    let mut weights = candidate.weight_stamps().peekable();
    if weights.peek().is_none() {
        return known.checkpoint.path == candidate.path && known.checkpoint.files == candidate.files;
    }
    weights.all(|stamp| then.contains(stamp))
}

/// The newest attempt whose log agrees; else the newest that its times fit and no log denies; else a new
/// one.
fn choose(
    attempts: &BTreeMap<Attempt, Vec<&Known>>,
    candidate: &Candidate,
    log: &HashMap<u64, &LogPoint>,
) -> Attempt {
    let mut by_log = Vec::new();
    let mut by_time = Vec::new();
    for (&attempt, readings) in attempts.iter().rev() {
        if readings.iter().any(|known| known.key.step == candidate.step) {
            continue;
        }
        let fits = fits_in_time(readings, candidate);
        match agreement(readings, log) {
            Agreement::Denied => {}
            Agreement::Shared => by_log.push((attempt, fits)),
            Agreement::Unknown if fits => by_time.push(attempt),
            Agreement::Unknown => {}
        }
    }
    // Attempts that started from one checkpoint share its log: among several, times decide.
    let fitting = by_log.iter().find(|(_, fits)| *fits).or(by_log.first()).map(|(attempt, _)| *attempt);
    let newest = attempts.keys().next_back();
    fitting
        .or(by_time.first().copied())
        .unwrap_or_else(|| newest.map_or(Attempt(0), |last| Attempt(last.0 + 1)))
}

enum Agreement {
    /// Some step was logged by both, with a loss or a gradient norm, and all of them agree.
    Shared,
    /// Some step was logged by both, and differs.
    Denied,
    /// No step was logged by both, or only learning rates, which any go at the run repeats.
    Unknown,
}

fn agreement(readings: &[&Known], log: &HashMap<u64, &LogPoint>) -> Agreement {
    let mut shared = false;
    for point in readings.iter().flat_map(|known| &known.log_tail) {
        let Some(other) = log.get(&point.step) else { continue };
        let pairs = [
            (point.loss, other.loss),
            (point.grad_norm, other.grad_norm),
            (point.learning_rate, other.learning_rate),
        ];
        for (place, pair) in pairs.into_iter().enumerate() {
            if let (Some(a), Some(b)) = pair {
                if a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan()) {
                    return Agreement::Denied;
                }
                shared |= place < 2;
            }
        }
    }
    if shared { Agreement::Shared } else { Agreement::Unknown }
}

/// True when all smaller steps of the attempt were written before the candidate, and all greater ones after.
fn fits_in_time(readings: &[&Known], candidate: &Candidate) -> bool {
    readings.iter().all(|known| {
        let later_by = candidate.timestamp_seconds - known.checkpoint.timestamp_seconds;
        let later_by = if known.key.step < candidate.step { later_by } else { -later_by };
        later_by >= -COPIED_TOGETHER_SECONDS
    })
}
