//! Complete, not yet, or broken.

use std::path::Path;

use super::{Candidate, Scan, Settings, Written};
use crate::terms::Problem;

/// What is to be done with a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Complete and at rest: weigh it.
    Settled,
    /// It may still change: look again.
    Pending {
        /// What is being waited for.
        why: String,
    },
    /// It will not get whole by itself. What can be opened of it may still be weighed.
    Broken(Vec<Problem>),
}

/// Remembers what it saw at the last look.
#[derive(Debug)]
pub struct Settler {
    _settings: Settings,
}

impl Settler {
    /// Knows nothing yet.
    pub fn new(settings: &Settings) -> Self {
        Self { _settings: settings.clone() }
    }

    /// One verdict a candidate, in the scan's order. `lengths` says what is wrong with one file's
    /// length, if anything; it is asked once for each version of a file.
    pub fn observe(
        &mut self,
        scan: &Scan,
        _now_seconds: f64,
        lengths: &dyn Fn(&Path) -> Option<Problem>,
    ) -> Vec<Verdict> {
        scan.candidates.iter().map(|candidate| settle_now(candidate, lengths)).collect()
    }
}

/// For replay and inspect, where nothing changes any more: what is not complete is broken at once.
pub fn settle_now(candidate: &Candidate, lengths: &dyn Fn(&Path) -> Option<Problem>) -> Verdict {
    let mut problems = candidate.problems.clone();
    problems.extend(candidate.weight_paths().filter_map(|path| lengths(&path)));
    match &candidate.written {
        _ if !problems.is_empty() => Verdict::Broken(problems),
        Written::NotYet(why) => Verdict::Pending { why: why.clone() },
        Written::Complete | Written::Unsure(_) => Verdict::Settled,
    }
}
