//! Between scanner and worker: what has settled and waits for the scales.
//!
//! The scanner replaces the whole queue with what its latest scan found, so nothing in it is ever
//! stale and nothing can pile up: a checkpoint that was rotated away unread simply is not in it any more,
//! and the scanner says so.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::checkpoint::Candidate;
use crate::terms::{FileStamp, Problem, RunId};

/// A checkpoint for the worker.
#[derive(Clone, Debug)]
pub struct Job {
    /// The checkpoint.
    pub candidate: Arc<Candidate>,
    /// Why it is broken; empty when it is whole.
    pub problems: Vec<Problem>,
    /// True when it was there before the daemon started.
    pub backlog: bool,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    /// Versions that have a reading, by run and stamps.
    done: HashSet<u64>,
    /// The first scan is over.
    scanned: bool,
    stopped: bool,
}

/// Settled checkpoints without a reading.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Queue {
    /// Replaces what waits; what already has a reading is left out.
    pub fn replace(&self, jobs: impl IntoIterator<Item = Job>) {
        let mut inner = self.lock();
        let done = std::mem::take(&mut inner.done);
        inner.jobs = in_turn(jobs.into_iter().filter(|job| !done.contains(&version(&job.candidate))));
        inner.done = done;
        inner.scanned = true;
        self.changed.notify_all();
    }

    /// Marks a version as having a reading.
    pub fn done(&self, run: &RunId, files: &[FileStamp]) {
        self.lock().done.insert(hash(run, files));
    }

    /// True when this version has a reading.
    pub fn is_done(&self, candidate: &Candidate) -> bool {
        self.lock().done.contains(&version(candidate))
    }

    /// Waits for the next checkpoint, at most `timeout`.
    pub fn next(&self, timeout: Duration) -> Option<Job> {
        let inner = self.lock();
        let waited =
            self.changed.wait_timeout_while(inner, timeout, |inner| inner.jobs.is_empty() && !inner.stopped);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if inner.stopped {
            return None;
        }
        inner.jobs.pop_front()
    }

    /// Checkpoints that wait.
    pub fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Paths that wait, newest step of each run last.
    pub fn jobs(&self) -> Vec<Job> {
        self.lock().jobs.iter().cloned().collect()
    }

    /// True once the first scan is over.
    pub fn is_scanned(&self) -> bool {
        self.lock().scanned
    }

    /// Lets the worker go.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each run in step order, the runs taking turns, so that one long backlog does not starve the others.
fn in_turn(jobs: impl Iterator<Item = Job>) -> VecDeque<Job> {
    let mut jobs: Vec<Job> = jobs.collect();
    jobs.sort_by(|a, b| (&a.candidate.run, a.candidate.step).cmp(&(&b.candidate.run, b.candidate.step)));
    let mut turn = 0;
    let mut turns: Vec<(usize, Job)> = Vec::with_capacity(jobs.len());
    for job in jobs {
        let same = turns.last().is_some_and(|(_, last)| last.candidate.run == job.candidate.run);
        turn = if same { turn + 1 } else { 0 };
        turns.push((turn, job));
    }
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, job)| job).collect()
}

fn version(candidate: &Candidate) -> u64 {
    hash(&candidate.run, &candidate.files)
}

fn hash(run: &RunId, files: &[FileStamp]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (run, files).hash(&mut hasher);
    hasher.finish()
}
