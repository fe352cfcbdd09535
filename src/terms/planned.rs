//! What was planned, and is therefore no fault: announced in the configuration or by command.

use serde::{Deserialize, Serialize};

/// A planned event, as it is written. What it means is the judge's: see `detect::Expected::of`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Planned {
    /// Glob on the run's name; none means every run.
    pub run: Option<String>,
    /// Detector that would speak up; none means every detector.
    pub detector: Option<String>,
    /// Globs on tensor names; empty means every tensor and findings without tensors.
    pub tensors: Vec<String>,
    /// Short for every detector that tells of standing still, with these tensors.
    pub frozen: Vec<String>,
    /// First step of the event.
    pub from_step: Option<u64>,
    /// Last step of the event.
    pub until_step: Option<u64>,
    /// Why, for whoever reads it later.
    pub why: String,
}

/// A planned event that somebody announced by command. Unlike what else is said it changes judgement: of
/// the checkpoints that are judged from then on, never of those that were.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Announcement {
    /// Its name for good.
    pub id: String,
    /// What was planned.
    #[serde(flatten)]
    pub planned: Planned,
    /// When it was said, seconds since 1970.
    pub at_seconds: f64,
    /// True once it was taken back.
    pub withdrawn: bool,
}
