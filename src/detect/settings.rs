//! What a user may change about judgement.

use std::collections::BTreeMap;

use crate::terms::{RunId, Severity};

use super::baseline::Baseline;

/// How judgement behaves. `Default` is the product's default: every detector at its entry's values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// By detector id; a detector that is not named here keeps its entry's values.
    pub detectors: BTreeMap<String, DetectorSettings>,
    /// Events that were planned and are no faults.
    pub expected: Vec<Expected>,
    /// A stored run to compare with.
    pub baseline: Option<Baseline>,
}

/// Choices for one detector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectorSettings {
    /// On or off; none keeps the entry's choice.
    pub enabled: Option<bool>,
    /// Severity instead of the entry's.
    pub severity: Option<Severity>,
    /// Parameters by name, within the entry's ranges.
    pub parameters: BTreeMap<String, f64>,
}

/// A planned event: what it explains opens no finding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    /// Glob on the run's name; none means every run.
    pub run: Option<String>,
    /// Detector that would speak up; none means every detector.
    pub detector: Option<String>,
    /// Globs on tensor names; empty means every tensor and findings without tensors.
    pub tensors: Vec<String>,
    /// First step of the event.
    pub from_step: Option<u64>,
    /// Last step of the event.
    pub until_step: Option<u64>,
    /// Why, for whoever reads it later.
    pub why: String,
}

/// Does `glob` match `text`? A glob that cannot be read matches only itself.
pub(super) fn matches(glob: &str, text: &str) -> bool {
    glob == text || globset::Glob::new(glob).is_ok_and(|glob| glob.compile_matcher().is_match(text))
}

impl Expected {
    /// True when it speaks of this run, detector and step.
    pub(super) fn covers(&self, run: &RunId, detector: &str, step: u64) -> bool {
        self.run.as_deref().is_none_or(|glob| matches(glob, run.as_str()))
            && self.detector.as_deref().is_none_or(|name| name == detector)
            && self.from_step.is_none_or(|from| step >= from)
            && self.until_step.is_none_or(|until| step <= until)
    }

    /// True when it speaks of this tensor.
    pub(super) fn covers_tensor(&self, tensor: &str) -> bool {
        self.tensors.is_empty() || self.tensors.iter().any(|glob| matches(glob, tensor))
    }
}
