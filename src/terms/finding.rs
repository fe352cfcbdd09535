//! What the judge says.

use std::fmt;

use serde::Serialize;

use super::{Attempt, RunId, Step, Subject};

/// How much it matters. `Info` is shown and never calls anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    /// The word in JSON, store and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    /// The severity of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical].into_iter().find(|severity| severity.name() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names a finding for good: the same run judged again gives the same ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FindingId(pub String);

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One measurement that a finding rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// What was measured.
    pub subject: Subject,
    /// Metric, or a word for what was looked at.
    pub metric: String,
    /// Value at this checkpoint; none where it is not a number.
    pub value: Option<f64>,
    /// What was expected, in words with figures: a bound, a forecast with its scale, the siblings' range.
    pub expected: String,
}

/// A detector's statement about a run, with its life from opening to resolution.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Its name for good.
    pub id: FindingId,
    /// The run.
    pub run: RunId,
    /// The attempt.
    pub attempt: Attempt,
    /// Step of the checkpoint at which it was opened.
    pub step: Step,
    /// How much it matters; only ever escalates while it is open.
    pub severity: Severity,
    /// Which detector says so: the name states the fault.
    pub detector: String,
    /// Tensors it touches, most suspect first; empty where it is about the whole model or a file.
    pub tensors: Vec<String>,
    /// One sentence: what, where, since when.
    pub summary: String,
    /// What usually causes this.
    pub cause: String,
    /// What to do.
    pub remedy: String,
    /// Measurements that agree, strongest first.
    pub evidence: Vec<Evidence>,
    /// Measurements or siblings that do not agree, in words.
    pub dissent: Vec<String>,
    /// How sure, 0 to 1: 1 for hard invariants.
    pub confidence: f64,
    /// Time of the checkpoint at which it was opened, seconds since 1970.
    pub opened_at: f64,
    /// Step of the checkpoint at which it was resolved.
    pub resolved_step: Option<Step>,
    /// Newest step before the opening with nothing at or above warning open.
    pub last_good_step: Option<Step>,
}

impl Finding {
    /// True until it is resolved.
    pub fn is_open(&self) -> bool {
        self.resolved_step.is_none()
    }
}
