//! One checkpoint by itself, without a store: for `inspect`, `check` and `diff`.

use std::path::Path;

use super::pipeline::{Weighing, weigh_alone};
use crate::checkpoint::{self, Verdict};
use crate::measure::Progress;
use crate::terms::{Finding, History, NoMemory, Reading};
use crate::{detect, tensor};

/// Weighs the checkpoint at `path`; changes are against the one at `previous`, where it is named.
pub fn single(
    path: &Path,
    previous: Option<&Path>,
    weighing: &Weighing,
    progress: &dyn Progress,
) -> Result<Reading, checkpoint::Error> {
    let candidate = checkpoint::candidate_at(path, &weighing.checkpoint)?;
    let previous = previous.map(|path| checkpoint::candidate_at(path, &weighing.checkpoint)).transpose()?;
    let problems = match checkpoint::settle_now(&candidate, &tensor::check_lengths) {
        Verdict::Broken(problems) => problems,
        Verdict::Settled | Verdict::Pending { .. } => Vec::new(),
    };
    Ok(weigh_alone(&candidate, previous, problems, weighing, progress))
}

/// What the judge says about a reading without a past: the invariants, and changes against `before`.
pub fn judge_alone(before: Option<&Reading>, reading: &Reading, settings: &detect::Settings) -> Vec<Finding> {
    let mut history = History::new(1);
    let mut state = detect::State::default();
    if let Some(before) = before {
        detect::judge(&history, before, &NoMemory, &mut state, settings);
        history.push(before);
    }
    detect::judge(&history, reading, &NoMemory, &mut state, settings)
}
