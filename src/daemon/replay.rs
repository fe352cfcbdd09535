//! A finished directory, weighed in step order exactly as the daemon would have.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::Error;
use super::pipeline::{Outcome, Pipeline};
use crate::checkpoint::{self, Candidate, Verdict};
use crate::measure::Progress;
use crate::tensor;
use crate::terms::{Finding, Problem, ProblemKind, Reading, RunId};

/// What a replay did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replayed {
    /// Runs that were found.
    pub runs: usize,
    /// Checkpoints that have a new reading.
    pub weighed: usize,
    /// Checkpoints that had one already.
    pub known: usize,
    /// Checkpoints that changed or went away while they were read.
    pub lost: usize,
}

/// Replays all runs below `roots`, one after the other. `told` hears of each new reading.
pub fn replay(
    pipeline: &mut Pipeline,
    roots: &[PathBuf],
    settings: &checkpoint::Settings,
    progress: &dyn Progress,
    told: &mut dyn FnMut(&Reading, &[Finding]),
) -> Result<Replayed, Error> {
    let scan = checkpoint::scan(roots, settings);
    let mut by_run: BTreeMap<RunId, Vec<Arc<Candidate>>> = BTreeMap::new();
    for candidate in scan.candidates {
        by_run.entry(candidate.run.clone()).or_default().push(candidate);
    }
    let mut replayed = Replayed { runs: by_run.len(), ..Replayed::default() };
    for candidate in by_run.values().flatten() {
        match pipeline.take(candidate, problems(candidate), progress)? {
            Outcome::Weighed { reading, findings } => {
                replayed.weighed += 1;
                told(&reading, &findings);
                if pipeline.store().is_tending_due() {
                    pipeline.store().tend()?;
                }
            }
            Outcome::Known => replayed.known += 1,
            Outcome::Rotated | Outcome::Changed => replayed.lost += 1,
            Outcome::Stopped => break,
        }
    }
    Ok(replayed)
}

/// Nothing changes any more: what is not complete is broken.
fn problems(candidate: &Candidate) -> Vec<Problem> {
    match checkpoint::settle_now(candidate, &tensor::check_lengths) {
        Verdict::Settled => Vec::new(),
        Verdict::Broken(problems) => problems,
        Verdict::Pending { why } => vec![Problem {
            kind: ProblemKind::Missing,
            path: candidate.path.clone(),
            tensor: None,
            offset: None,
            detail: why,
            remedy: String::from("the trainer did not finish this checkpoint: resume from an earlier one"),
        }],
    }
}
