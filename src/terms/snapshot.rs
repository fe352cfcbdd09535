//! What the daemon publishes after each commit. Prometheus, page and alerts read only this.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::{Attempt, Finding, Reading, Reason, RunId, Said, Samples, Severity, Step, TensorReading};

/// The whole published state: replaced, never changed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// One entry a run, sorted by name.
    pub runs: Vec<Arc<RunStatus>>,
    /// Checkpoints that are settled and wait to be weighed.
    pub queue_checkpoints: u64,
    /// True once the first scan is done and everything it found was weighed or queued.
    pub ready: bool,
    /// Why nothing new can be stored, if so (disk nearly full, store damaged).
    pub store_trouble: Option<String>,
    /// Watched directories.
    pub roots: Vec<PathBuf>,
    /// What people said about findings.
    pub said: Arc<Said>,
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPhase {
    /// No complete checkpoint was seen yet.
    #[default]
    Waiting,
    /// A checkpoint is being weighed.
    Weighing,
    /// Everything found is weighed; more is expected.
    Watching,
    /// The last planned step was weighed.
    Finished,
}

/// A run as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct RunStatus {
    /// Its name.
    pub run: RunId,
    /// Its directory.
    pub directory: PathBuf,
    /// Attempt that is going on.
    pub attempt: Attempt,
    /// What it is doing.
    pub phase: RunPhase,
    /// Newest reading by step of the current attempt.
    pub latest: Option<Arc<Reading>>,
    /// Findings that are open, gravest first.
    pub open: Vec<Arc<Finding>>,
    /// Findings opened since the daemon's store began for this run.
    pub findings_total: u64,
    /// Newest step with nothing at or above warning, and its path.
    pub last_good: Option<(Step, PathBuf)>,
    /// Checkpoints weighed and stored, of all attempts.
    pub checkpoints_total: u64,
    /// Checkpoints that were broken, of all attempts.
    pub checkpoint_failures_total: u64,
    /// From a complete checkpoint to its published gauges, for the latest one; none for checkpoints
    /// that were there before the daemon started.
    pub publish_delay_seconds: Option<f64>,
    /// Time that weighing, judging and committing the latest one took.
    pub duration_seconds: f64,
    /// (step, loss) of the logged losses, thinned to at most 200 points: for sparklines.
    pub losses: Vec<(u64, f64)>,
    /// Checkpoints that are not complete yet, with the reason.
    pub pending: Vec<(PathBuf, String)>,
    /// Checkpoints that went away before they could be weighed.
    pub missed: Vec<Step>,
    /// What was not in the latest checkpoint's budget, by tensor; empty where everything was.
    #[serde(skip)]
    pub carried: Arc<BTreeMap<Arc<str>, Carried>>,
    /// What is exported of `latest`: see [`Reading::with_carried`].
    #[serde(skip)]
    pub newest_values: Option<Arc<Reading>>,
}

/// A tensor's values from the last checkpoint in whose budget they were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Carried {
    /// Step of that checkpoint.
    pub step: Step,
    /// The values.
    pub samples: Samples,
}

impl Reading {
    /// The same reading with carried values where its own were not in the budget, and then without sketches,
    /// quantiles and spectra: of these nobody needs a second copy.
    pub fn with_carried(self: &Arc<Self>, carried: &BTreeMap<Arc<str>, Carried>) -> Arc<Self> {
        if carried.is_empty() {
            return Arc::clone(self);
        }
        let fill = |tensor: &TensorReading| {
            let turn = carried.get(&tensor.facts.name);
            let lacking = tensor.absent.iter().filter(|(_, reason)| **reason == Reason::OverBudget);
            let found = lacking.filter_map(|(name, _)| Some((*name, *turn?.samples.get(name)?)));
            TensorReading {
                facts: tensor.facts.clone(),
                samples: tensor.samples.iter().map(|(name, value)| (*name, *value)).chain(found).collect(),
                absent: tensor.absent.clone(),
                sketch: None,
                quantiles: Vec::new(),
                spectrum: Vec::new(),
            }
        };
        Arc::new(Self {
            key: self.key.clone(),
            checkpoint: self.checkpoint.clone(),
            family: self.family.clone(),
            trainer: self.trainer.clone(),
            tensors: self.tensors.iter().map(fill).collect(),
            subjects: self.subjects.clone(),
            skipped: self.skipped.clone(),
            tied: self.tied.clone(),
            remarks: self.remarks.clone(),
            problems: self.problems.clone(),
            previous: self.previous,
        })
    }
}

impl RunStatus {
    /// The gravest open severity.
    pub fn worst(&self) -> Option<Severity> {
        self.open.iter().map(|finding| finding.severity).max()
    }
}
