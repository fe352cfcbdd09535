//! Complete, not yet, or broken.
//!
//! A checkpoint is settled when its layout says it is complete, every file is as long as its header
//! says, and two looks at least [`Settings::settle_seconds`] apart found everything unchanged. It is
//! broken when it is not whole and will not become so by itself: a later checkpoint of the run exists,
//! or the layout's last-written file is there and nothing changed for [`Settings::quiet_seconds`].
//! Anything else is *not yet*, however long it takes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::candidate::{Candidate, Written};
use super::json::problem;
use super::scan::Scan;
use super::settings::Settings;
use crate::terms::{Problem, ProblemKind, RunId, StepSource};

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

/// Says what is wrong with one file's length, if anything.
pub type Lengths<'a> = &'a dyn Fn(&Path) -> Option<Problem>;

/// Remembers what it saw at the last look.
#[derive(Debug)]
pub struct Settler {
    settings: Settings,
    seen: HashMap<PathBuf, Seen>,
}

/// One version of one checkpoint.
#[derive(Debug)]
struct Seen {
    identity: u64,
    since_seconds: f64,
    /// Asked once for each version.
    lengths: Option<Vec<Problem>>,
    settled: bool,
    round: bool,
}

impl Settler {
    /// Knows nothing yet.
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), seen: HashMap::new() }
    }

    /// One verdict a candidate, in the scan's order. `lengths` says what is wrong with one file's
    /// length, if anything; it is asked once for each version of a checkpoint. `now_seconds` may be any
    /// clock that only moves forward.
    pub fn observe(&mut self, scan: &Scan, now_seconds: f64, lengths: Lengths<'_>) -> Vec<Verdict> {
        let newest = newest_by_run(scan);
        let verdicts = scan.candidates.iter().map(|candidate| {
            let superseded = newest.get(&candidate.run).is_some_and(|later| is_superseded(candidate, later));
            self.observe_one(candidate, superseded, now_seconds, lengths)
        });
        let verdicts = verdicts.collect();
        self.seen.retain(|_, seen| std::mem::take(&mut seen.round));
        verdicts
    }

    fn observe_one(
        &mut self,
        candidate: &Candidate,
        superseded: bool,
        now: f64,
        lengths: Lengths<'_>,
    ) -> Verdict {
        let fresh = || Seen {
            identity: candidate.identity,
            since_seconds: now,
            lengths: None,
            settled: false,
            round: true,
        };
        let Some(seen) = self.seen.get_mut(&candidate.path) else {
            self.seen.insert(candidate.path.clone(), fresh());
            return pending("seen for the first time");
        };
        if seen.identity != candidate.identity {
            *seen = fresh();
            return pending("changed since the last look");
        }
        seen.round = true;
        if seen.settled {
            return Verdict::Settled;
        }
        let quiet = now - seen.since_seconds;
        if quiet < self.settings.settle_seconds {
            return pending("changed a moment ago");
        }
        let over = superseded || quiet >= self.settings.quiet_seconds;
        let why = match &candidate.written {
            Written::NotYet(why) if superseded => return broken(candidate, Some(why), lengths),
            Written::NotYet(why) => return pending(why),
            Written::Unsure(why) if !over => {
                let wait = self.settings.quiet_seconds;
                return pending(&format!("{why}; taken as it is once nothing changed for {wait} s"));
            }
            Written::Unsure(_) | Written::Complete => "not whole",
        };
        let faults = seen.lengths.get_or_insert_with(|| faults(candidate, lengths));
        match faults.first() {
            None => {
                seen.settled = true;
                Verdict::Settled
            }
            Some(_) if over => Verdict::Broken(faults.clone()),
            Some(fault) => pending(&format!("{why}: {fault}")),
        }
    }
}

/// Newest checkpoint of each run by time, and by step among equals.
fn newest_by_run(scan: &Scan) -> HashMap<&RunId, Vec<&Candidate>> {
    let mut runs: HashMap<&RunId, Vec<&Candidate>> = HashMap::new();
    for candidate in scan.candidates.iter().filter(|candidate| !candidate.files.is_empty()) {
        runs.entry(&candidate.run).or_default().push(candidate);
    }
    // Only those that no other one is later than, by time and step, can supersede anything: walking from
    // the newest down, each must have a higher step than all before it.
    for candidates in runs.values_mut() {
        candidates.sort_by(|a, b| b.timestamp_seconds.total_cmp(&a.timestamp_seconds));
        let mut highest = None;
        candidates.retain(|candidate| {
            let rises = highest.is_none_or(|highest| candidate.step > highest);
            highest = highest.max(Some(candidate.step));
            rises
        });
    }
    runs
}

/// True when a later checkpoint exists: one with a higher step that was also written after this one.
/// Older files with higher steps, which a restart has yet to overwrite, do not count.
fn is_superseded(candidate: &Candidate, newest: &[&Candidate]) -> bool {
    newest.iter().any(|later| {
        let after = later.timestamp_seconds > candidate.timestamp_seconds;
        after && (later.step > candidate.step || candidate.step_source == StepSource::Sequence)
    })
}

/// For replay and inspect, where nothing changes any more: what is not complete is broken at once.
pub fn settle_now(candidate: &Candidate, lengths: Lengths<'_>) -> Verdict {
    match &candidate.written {
        Written::NotYet(why) => broken(candidate, Some(why), lengths),
        Written::Complete | Written::Unsure(_) => match faults(candidate, lengths) {
            faults if faults.is_empty() => Verdict::Settled,
            faults => Verdict::Broken(faults),
        },
    }
}

fn broken(candidate: &Candidate, why: Option<&str>, lengths: Lengths<'_>) -> Verdict {
    let mut faults = faults(candidate, lengths);
    if let Some(why) = why.filter(|_| faults.is_empty()) {
        let detail = format!("was never completed: {why}");
        let remedy = "delete this checkpoint, and resume from an earlier one";
        faults.push(problem(ProblemKind::Missing, Path::new(""), detail, remedy));
    }
    Verdict::Broken(faults)
}

/// Everything that is wrong with the files, with paths relative to the checkpoint.
fn faults(candidate: &Candidate, lengths: Lengths<'_>) -> Vec<Problem> {
    let mut faults = candidate.problems.clone();
    for (weight, path) in candidate.weights.iter().zip(candidate.weight_paths()) {
        faults.extend(lengths(&path).map(|problem| Problem { path: weight.clone(), ..problem }));
    }
    faults
}

fn pending(why: &str) -> Verdict {
    Verdict::Pending { why: why.to_string() }
}
