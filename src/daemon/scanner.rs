//! Looks at the disk: on a hint after a moment of quiet, at a steady interval anyway, and again soon
//! while something has not settled.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Settings;
use super::dial::Dial;
use super::queue::{Job, Queue};
use super::watch::Hints;
use crate::checkpoint::{self, Candidate, Scan, Settler, Verdict};
use crate::telemetry::{self as events, Counters, Event, now_seconds};
use crate::tensor;
use crate::terms::{RunId, Step};

/// What the latest scan saw, for the snapshot.
#[derive(Default)]
pub struct Sight {
    /// Runs with their directories.
    pub runs: BTreeMap<RunId, PathBuf>,
    /// Checkpoints that are not complete, with the reason.
    pub pending: BTreeMap<RunId, Vec<(PathBuf, String)>>,
    /// Steps that were queued and went away before they could be weighed.
    pub missed: BTreeMap<RunId, Vec<Step>>,
    /// Counts up whenever any of this changes.
    pub version: u64,
}

/// Checkpoints that were queued by the last scan.
type Queued = BTreeMap<(RunId, PathBuf), Arc<Candidate>>;

/// Shared with the worker, which publishes it.
pub type SharedSight = Arc<Mutex<Sight>>;

/// Quiet time after a hint: a trainer writes many files at once, and one look is enough for all.
const QUIET: Duration = Duration::from_millis(200);

/// Everything the scanner's thread needs.
pub struct Scanner {
    /// The daemon's settings.
    pub settings: Settings,
    /// The checkpoint room's settings.
    pub checkpoint: checkpoint::Settings,
    /// Where new settings come from.
    pub dial: Arc<Dial>,
    /// Where settled checkpoints go.
    pub queue: Arc<Queue>,
    /// What was seen.
    pub sight: SharedSight,
    /// What events named; nothing where polling is in force.
    pub hints: Hints,
    /// Wakes the scanner when there are hints.
    pub woken: Receiver<()>,
    /// Polling is in force.
    pub polling: bool,
    /// Set when the daemon drains.
    pub stop: Arc<AtomicBool>,
    /// Our own counters.
    pub counters: Arc<Counters>,
}

impl Scanner {
    /// Scans until the daemon drains.
    pub fn run(mut self) {
        let mut eyes = self.fresh();
        let mut settler = Settler::new(&self.checkpoint);
        let mut queued = Queued::new();
        let mut first = true;
        let mut seen = 0;
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(tuning) = self.dial.changed(&mut seen) {
                self.settings = tuning.settings.clone();
                if self.checkpoint != tuning.weighing.checkpoint {
                    self.checkpoint = tuning.weighing.checkpoint.clone();
                    eyes = self.fresh();
                    settler = Settler::new(&self.checkpoint);
                }
            }
            let touched = self.hints.take();
            if touched.all {
                events::HintsLost { error: "too many or lost" }.emit(&self.counters);
                eyes = self.fresh();
            }
            touched.paths.iter().for_each(|path| eyes.touch(path));
            let unsettled = self.look(&eyes.scan(), &mut settler, &mut queued, first);
            first = false;
            self.rest(unsettled);
        }
    }

    fn fresh(&self) -> checkpoint::Scanner {
        checkpoint::Scanner::new(&self.settings.roots, &self.checkpoint)
    }

    /// One scan. True when something has not settled.
    fn look(&self, scan: &Scan, settler: &mut Settler, queued: &mut Queued, first: bool) -> bool {
        let verdicts = settler.observe(scan, now_seconds(), &tensor::check_lengths);
        for problem in &scan.problems {
            let error = format!("{}; {}", problem.detail, problem.remedy);
            events::ScanProblem { path: &problem.path, error: &error }.emit(&self.counters);
        }
        let mut jobs = Vec::new();
        let mut pending: BTreeMap<RunId, Vec<(PathBuf, String)>> = BTreeMap::new();
        for (candidate, verdict) in scan.candidates.iter().zip(verdicts) {
            let problems = match verdict {
                Verdict::Settled => Vec::new(),
                Verdict::Broken(problems) => problems,
                Verdict::Pending { why } => {
                    pending.entry(candidate.run.clone()).or_default().push((candidate.path.clone(), why));
                    continue;
                }
            };
            jobs.push(Job { candidate: Arc::clone(candidate), problems, backlog: first });
        }
        let unsettled = !pending.is_empty();
        self.note(scan, pending, &jobs, queued);
        self.queue.replace(jobs);
        unsettled
    }

    /// Tells what was seen, and which queued checkpoints went away unread.
    fn note(
        &self,
        scan: &Scan,
        pending: BTreeMap<RunId, Vec<(PathBuf, String)>>,
        jobs: &[Job],
        queued: &mut Queued,
    ) {
        let now: BTreeMap<_, _> = jobs
            .iter()
            .filter(|job| !self.queue.is_done(&job.candidate))
            .map(|job| ((job.candidate.run.clone(), job.candidate.path.clone()), Arc::clone(&job.candidate)))
            .collect();
        let mut sight = self.sight.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for (key, candidate) in queued.iter() {
            if !now.contains_key(key) && !self.queue.is_done(candidate) && !candidate.path.exists() {
                events::CheckpointMissed {
                    run: candidate.run.as_str(),
                    step: candidate.step,
                    path: &candidate.path,
                }
                .emit(&self.counters);
                sight.missed.entry(candidate.run.clone()).or_default().push(candidate.step);
                changed = true;
            }
        }
        *queued = now;
        let runs = scan.runs.iter().cloned().collect();
        changed |= sight.runs != runs || sight.pending != pending;
        sight.version += u64::from(changed);
        sight.runs = runs;
        sight.pending = pending;
    }

    /// Waits for the next reason to look.
    fn rest(&self, unsettled: bool) {
        let regular = if self.polling { self.settings.poll_interval } else { self.settings.rescan_interval };
        let pause = if unsettled { self.settings.settle_interval } else { regular };
        let until = Instant::now() + pause;
        while !self.stop.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            match self.woken.recv_timeout(left.min(STOP_LATENCY)) {
                Ok(()) => return self.quiet(),
                Err(RecvTimeoutError::Timeout) => {}
                // Polling: nobody holds the other end.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(left.min(STOP_LATENCY)),
            }
        }
    }

    /// Lets a burst of hints pass, for at most a few rounds: a trainer that never pauses is looked at too.
    fn quiet(&self) {
        for _ in 0..5 {
            if self.woken.recv_timeout(QUIET).is_err() {
                return;
            }
        }
    }
}

/// How soon a resting scanner notices that the daemon drains.
const STOP_LATENCY: Duration = Duration::from_millis(500);
