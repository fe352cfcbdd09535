//! Takes checkpoints from the queue one by one, all the way to the published snapshot.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::dial::Dial;
use super::keeper::Keeping;
use super::pipeline::{Outcome, Pipeline};
use super::queue::{Job, Queue};
use super::scanner::SharedSight;
use super::snapshot;
use super::turns::Turns;
use crate::store::{self, Store};
use crate::telemetry::{self as events, Counters, Event, now_seconds};
use crate::terms::{Reading, RunId, Said, Snapshot};

/// Everything the worker's thread needs.
pub struct Worker {
    /// The way of one checkpoint.
    pub pipeline: Pipeline,
    /// For its state of health.
    pub store: Store,
    /// What waits.
    pub queue: Arc<Queue>,
    /// What the scanner saw.
    pub sight: SharedSight,
    /// Where snapshots go.
    pub publisher: watch::Sender<Arc<Snapshot>>,
    /// Watched directories, for the snapshot.
    pub roots: Vec<std::path::PathBuf>,
    /// Where new settings come from.
    pub dial: Arc<Dial>,
    /// Whether good checkpoints are kept.
    pub keeping: Keeping,
    /// Set when the daemon drains.
    pub stop: Arc<AtomicBool>,
    /// Our own counters.
    pub counters: Arc<Counters>,
    /// Decides which of the threads that weigh work.
    pub turns: Turns,
    /// What the last snapshot was made in; none before the first.
    pub published: Option<Surroundings>,
}

/// Pause between two looks around when nothing is weighed: pending reasons and waiting runs change too.
const IDLE: Duration = Duration::from_secs(2);
/// Pause before the store is tried again after it refused a commit.
const STORE_RETRY: Duration = Duration::from_secs(5);

impl Worker {
    /// Works until the daemon drains.
    pub fn run(mut self) {
        let mut previewed = false;
        let mut seen = 0;
        self.keep_all();
        while !self.stop.load(Ordering::Relaxed) {
            let job = self.queue.next(IDLE);
            if let Some(tuning) = self.dial.changed(&mut seen) {
                self.pipeline.retune(tuning.weighing.clone(), tuning.settings.runs_in_memory);
                self.keeping = tuning.settings.keeping.clone();
                self.keep_all();
            }
            if self.queue.is_scanned() && !previewed {
                previewed = true;
                self.preview(job.as_ref());
            }
            match job {
                Some(job) => {
                    self.work(&job);
                    self.publish(None);
                }
                None => {
                    let told = self.wait();
                    self.publish_if(told);
                }
            }
        }
    }

    /// Shows the newest checkpoint of each run that has a backlog, before the backlog is worked through.
    fn preview(&mut self, first: Option<&Job>) {
        let mut newest: std::collections::BTreeMap<RunId, Job> = std::collections::BTreeMap::new();
        let mut waiting: std::collections::BTreeMap<RunId, usize> = std::collections::BTreeMap::new();
        for job in first.cloned().into_iter().chain(self.queue.jobs()) {
            *waiting.entry(job.candidate.run.clone()).or_default() += 1;
            if job.problems.is_empty() {
                newest.insert(job.candidate.run.clone(), job);
            }
        }
        for (run, job) in newest {
            let alone = waiting.get(&run).is_some_and(|&count| count < 2);
            if alone || self.stop.load(Ordering::Relaxed) {
                continue;
            }
            self.publish(Some(&run));
            if let Err(error) = self.pipeline.preview(&job.candidate, &self.turns) {
                events::StoreFailed { error: &error.to_string() }.emit(&self.counters);
            }
            self.publish(None);
        }
    }

    fn work(&mut self, job: &Job) {
        let candidate = &job.candidate;
        self.publish(Some(&candidate.run));
        let span = tracing::info_span!("checkpoint", run = %candidate.run, step = candidate.step.0);
        let _inside = span.enter();
        match self.pipeline.take(candidate, job.problems.clone(), &self.turns) {
            Ok(Outcome::Weighed { reading, findings }) => {
                self.queue.done(&candidate.run, &candidate.files);
                let delay = (!job.backlog).then(|| now_seconds() - candidate.timestamp_seconds);
                let elapsed = self.close_book(&candidate.run, delay);
                tell(&reading, elapsed, findings.len(), &self.counters);
                for finding in &findings {
                    events::FindingChanged { finding }.emit(&self.counters);
                }
                self.keep(&candidate.run);
            }
            Ok(Outcome::Known) => self.queue.done(&candidate.run, &candidate.files),
            Ok(Outcome::Rotated) => {
                events::CheckpointMissed {
                    run: candidate.run.as_str(),
                    step: candidate.step,
                    path: &candidate.path,
                }
                .emit(&self.counters);
            }
            Ok(Outcome::Changed | Outcome::Stopped) => {}
            Err(error) => self.store_failed(&error),
        }
    }

    fn keep_all(&mut self) {
        let runs: Vec<RunId> = self.pipeline.books().map(|book| book.run.clone()).collect();
        runs.iter().for_each(|run| self.keep(run));
    }

    /// Keeps the run's last good checkpoint from rotation, where that is asked for and it still lies there.
    fn keep(&mut self, run: &RunId) {
        if self.keeping.directory.is_none() {
            return;
        }
        let Ok(book) = self.pipeline.book(run) else { return };
        let Some(good) = book.last_good().filter(|good| good.checkpoint.path.exists()) else { return };
        let (step, path) = (good.key.step, good.checkpoint.path.as_path());
        match self.keeping.keep(run, &book.directory, good) {
            Ok(true) => events::CheckpointKept { run: run.as_str(), step, path }.emit(&self.counters),
            Ok(false) => {}
            Err(error) => {
                events::CheckpointNotKept { run: run.as_str(), step, error: &error }.emit(&self.counters);
            }
        }
    }

    /// Notes how long it took from the complete checkpoint to here; gives the time on the scales.
    fn close_book(&mut self, run: &RunId, delay: Option<f64>) -> Duration {
        let Ok(book) = self.pipeline.book(run) else { return Duration::ZERO };
        book.publish_delay_seconds = delay.or(book.publish_delay_seconds);
        Duration::try_from_secs_f64(book.duration_seconds).unwrap_or_default()
    }

    /// Looks for runs that wait for long. True when something was found.
    fn wait(&mut self) -> bool {
        let mut told = false;
        for run in self.pipeline.late(now_seconds()) {
            match self.pipeline.overdue(&run, now_seconds()) {
                Ok(findings) => {
                    for finding in &findings {
                        events::FindingChanged { finding }.emit(&self.counters);
                        told = true;
                    }
                }
                Err(error) => self.store_failed(&error),
            }
        }
        told
    }

    /// The checkpoint stays in the queue's next scan: it is tried again, and nothing is lost.
    fn store_failed(&self, error: &store::Error) {
        events::StoreFailed { error: &error.to_string() }.emit(&self.counters);
        std::thread::sleep(STORE_RETRY);
    }

    /// Publishes when anything outside the books changed, or `changed` says that something inside did: an
    /// idle daemon with hundreds of runs does nothing.
    fn publish_if(&mut self, changed: bool) {
        let sight = self.sight.lock().unwrap_or_else(PoisonError::into_inner).version;
        if changed || self.published != Some(self.surroundings(sight)) {
            self.publish(None);
        }
    }

    fn publish(&mut self, weighing: Option<&RunId>) {
        let sight = self.sight.lock().unwrap_or_else(PoisonError::into_inner);
        let around = self.surroundings(sight.version);
        let snapshot = Snapshot {
            runs: snapshot::runs(self.pipeline.books(), &sight, weighing),
            queue_checkpoints: around.queued,
            ready: around.ready,
            store_trouble: around.trouble.clone(),
            roots: self.roots.clone(),
            said: Arc::clone(&around.said),
        };
        drop(sight);
        self.published = Some(around);
        self.publisher.send_replace(Arc::new(snapshot));
    }

    fn surroundings(&self, sight: u64) -> Surroundings {
        Surroundings {
            sight,
            queued: self.queue.len() as u64,
            ready: self.queue.is_scanned(),
            trouble: self.store.trouble(),
            said: self.said(),
        }
    }

    /// What people said, kept by the store in memory; as it was last read where it cannot be.
    fn said(&self) -> Arc<Said> {
        self.store.said().unwrap_or_else(|error| {
            events::StoreFailed { error: &error.to_string() }.emit(&self.counters);
            self.published.as_ref().map(|last| Arc::clone(&last.said)).unwrap_or_default()
        })
    }
}

/// What a snapshot shows beside the books.
pub struct Surroundings {
    sight: u64,
    queued: u64,
    ready: bool,
    trouble: Option<String>,
    said: Arc<Said>,
}

impl PartialEq for Surroundings {
    fn eq(&self, other: &Self) -> bool {
        (self.sight, self.queued, self.ready, &self.trouble)
            == (other.sight, other.queued, other.ready, &other.trouble)
            && Arc::ptr_eq(&self.said, &other.said)
    }
}

fn tell(reading: &Reading, elapsed: Duration, findings: usize, counters: &Counters) {
    let bytes = reading.checkpoint.bytes();
    events::ReadingCommitted { key: &reading.key, bytes, elapsed, findings }.emit(counters);
    for problem in &reading.problems {
        let (run, step) = (reading.key.run.as_str(), reading.key.step);
        events::CheckpointBroken { run, step, problem }.emit(counters);
    }
}
