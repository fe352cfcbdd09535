//! Every event: its fields, its level, its counter. Field names are fixed: `run step path tensor metric
//! detector error elapsed_ms bytes`.

use std::path::Path;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::{Counters, Trouble};
use crate::terms::{Finding, ReadingKey, Severity, Step};

/// Something worth telling: [`Event::emit`] logs it and moves its counter.
pub trait Event {
    /// Logs and counts.
    fn emit(self, counters: &Counters);
}

/// One row of `docs/telemetry.md`.
#[derive(Clone, Copy, Debug)]
pub struct EventEntry {
    /// The log line's message.
    pub message: &'static str,
    /// Level, or levels.
    pub level: &'static str,
    /// Fields.
    pub fields: &'static str,
    /// Counter that it moves, without prefix.
    pub counter: Option<&'static str>,
    /// When it is told.
    pub when: &'static str,
}

macro_rules! entries {
    ($($message:literal $level:literal [$fields:literal] $counter:expr, $when:literal;)*) => {
        /// Every event, in the order of a daemon's life.
        pub static EVENTS: &[EventEntry] = &[$(EventEntry {
            message: $message, level: $level, fields: $fields, counter: $counter, when: $when,
        }),*];
    };
}

entries! {
    "watching" "info" ["listen store"] None, "the daemon listens and the first scan begins";
    "open to the network" "warn" ["listen error"] None, "the address can be reached from elsewhere, and no password or no encryption protects it";
    "checkpoint weighed" "info" ["run step attempt bytes elapsed_ms findings"] None, "a reading is committed and published";
    "checkpoint pending" "debug" ["run step path error"] None, "a checkpoint may still be written";
    "checkpoint broken" "warn" ["run step path tensor error remedy"] Some("errors_total"), "its files are at fault: also a finding";
    "checkpoint missed" "warn" ["run step path"] Some("checkpoints_missed_total"), "it was deleted before it could be weighed";
    "checkpoint kept" "info" ["run step path"] Some("checkpoints_kept_total"), "the last good checkpoint got hard links that rotation does not delete";
    "checkpoint not kept" "warn" ["run step error"] Some("errors_total"), "the last good checkpoint could not be linked";
    "finding opened" "warn, info" ["run step detector severity error tensors"] None, "the judge opened or raised a finding; info where its severity is info";
    "finding resolved" "info" ["run step detector severity"] None, "the judge closed a finding";
    "scan problem" "warn" ["path error"] Some("errors_total"), "a directory or file could not be looked at";
    "file events lost" "warn" ["error"] Some("hints_lost_total"), "the kernel or the watcher dropped hints; a scan follows";
    "queue full" "warn" ["run step"] Some("queue_dropped_total"), "a settled checkpoint is left to the next scan";
    "store failed" "error" ["error"] Some("errors_total"), "a reading or finding could not be committed";
    "worker panicked" "error" ["run step error"] Some("errors_total"), "a bug: it cost this checkpoint only";
    "series dropped" "warn" ["series series_max"] Some("series_dropped_total"), "a scrape met the hard cap on series";
    "delivered" "debug" ["target finding"] Some("deliveries_total"), "a receiver took a notification";
    "delivery failed" "warn" ["target error attempts"] Some("delivery_failures_total"), "a receiver refused or could not be reached; it is tried again";
    "request refused" "warn" ["path error"] Some("requests_refused_total"), "wrong host, no token, too large, too slow";
    "configuration reloaded" "info" ["path at_restart"] Some("config_reloads_total"), "after SIGHUP, or when a file with keys was replaced; `at_restart` names what only a restart takes over";
    "configuration refused" "error" ["path error"] Some("errors_total"), "after SIGHUP, or when a file with keys was replaced; the old one stays";
    "draining" "info" ["error"] None, "a signal asked for the end";
    "stopped" "info" ["elapsed_ms"] None, "all is stored and closed";
}

/// The daemon listens.
#[derive(Debug)]
pub struct Started<'a> {
    /// Address that it listens on.
    pub listen: &'a str,
    /// Directory of the store.
    pub store: &'a Path,
}

impl Event for Started<'_> {
    fn emit(self, _counters: &Counters) {
        info!(listen = self.listen, store = %self.store.display(), "watching");
    }
}

/// Others than this machine's users can reach the server.
#[derive(Debug)]
pub struct Exposed<'a> {
    /// Address that it listens on.
    pub listen: &'a str,
    /// What is missing, and what to do.
    pub error: &'a str,
}

impl Event for Exposed<'_> {
    fn emit(self, _counters: &Counters) {
        warn!(listen = self.listen, error = self.error, "open to the network");
    }
}

/// A reading is committed and published.
#[derive(Debug)]
pub struct ReadingCommitted<'a> {
    /// Its name.
    pub key: &'a ReadingKey,
    /// Bytes of tensors that were read.
    pub bytes: u64,
    /// From opening to publishing.
    pub elapsed: Duration,
    /// Findings that it opened, changed or resolved.
    pub findings: usize,
}

impl Event for ReadingCommitted<'_> {
    fn emit(self, counters: &Counters) {
        counters.bytes_read.add(self.bytes);
        info!(run = %self.key.run, step = self.key.step.0, attempt = self.key.attempt.0, bytes = self.bytes,
            elapsed_ms = self.elapsed.as_millis() as u64, findings = self.findings, "checkpoint weighed");
    }
}

/// A checkpoint may still be written.
#[derive(Debug)]
pub struct CheckpointPending<'a> {
    /// Its run.
    pub run: &'a str,
    /// Its step.
    pub step: Step,
    /// Where it lies.
    pub path: &'a Path,
    /// What is missing.
    pub why: &'a str,
}

impl Event for CheckpointPending<'_> {
    fn emit(self, counters: &Counters) {
        let subject = self.path.to_string_lossy();
        if counters.repeats.admit("checkpoint pending", &subject, Instant::now()).is_some() {
            debug!(run = self.run, step = self.step.0, path = %subject, error = self.why, "checkpoint pending");
        }
    }
}

/// A checkpoint's files are at fault.
#[derive(Debug)]
pub struct CheckpointBroken<'a> {
    /// Its run.
    pub run: &'a str,
    /// Its step.
    pub step: Step,
    /// One of its problems.
    pub problem: &'a crate::terms::Problem,
}

impl Event for CheckpointBroken<'_> {
    fn emit(self, counters: &Counters) {
        counters.error(Trouble::Checkpoint);
        let problem = self.problem;
        warn!(run = self.run, step = self.step.0, path = %problem.path.display(),
            tensor = problem.tensor.as_deref(), error = %problem, remedy = %problem.remedy, "checkpoint broken");
    }
}

/// A checkpoint went away before it could be weighed.
#[derive(Debug)]
pub struct CheckpointMissed<'a> {
    /// Its run.
    pub run: &'a str,
    /// Its step.
    pub step: Step,
    /// Where it lay.
    pub path: &'a Path,
}

impl Event for CheckpointMissed<'_> {
    fn emit(self, counters: &Counters) {
        counters.checkpoints_missed.increment();
        warn!(run = self.run, step = self.step.0, path = %self.path.display(), "checkpoint missed");
    }
}

/// The last good checkpoint is safe from rotation.
#[derive(Debug)]
pub struct CheckpointKept<'a> {
    /// Its run.
    pub run: &'a str,
    /// Its step.
    pub step: Step,
    /// Where it lay when it was kept.
    pub path: &'a Path,
}

impl Event for CheckpointKept<'_> {
    fn emit(self, counters: &Counters) {
        counters.checkpoints_kept.increment();
        info!(run = self.run, step = self.step.0, path = %self.path.display(), "checkpoint kept");
    }
}

/// The last good checkpoint may be deleted by rotation.
#[derive(Debug)]
pub struct CheckpointNotKept<'a> {
    /// Its run.
    pub run: &'a str,
    /// Its step.
    pub step: Step,
    /// Why.
    pub error: &'a str,
}

impl Event for CheckpointNotKept<'_> {
    fn emit(self, counters: &Counters) {
        counters.error(Trouble::Keep);
        if let Some(held_back) = counters.repeats.admit("checkpoint not kept", self.run, Instant::now()) {
            warn!(run = self.run, step = self.step.0, error = self.error, held_back, "checkpoint not kept");
        }
    }
}

/// The judge opened, raised or closed a finding.
#[derive(Debug)]
pub struct FindingChanged<'a> {
    /// Its new version.
    pub finding: &'a Finding,
}

impl Event for FindingChanged<'_> {
    fn emit(self, _counters: &Counters) {
        let finding = self.finding;
        let (run, step) = (finding.run.as_str(), finding.step.0);
        let (detector, severity) = (finding.detector.as_str(), finding.severity.name());
        if let Some(step) = finding.resolved_step {
            info!(run, step = step.0, detector, severity, "finding resolved");
        } else if finding.severity == Severity::Info {
            info!(run, step, detector, severity, error = %finding.summary, "finding opened");
        } else {
            let tensors = finding.tensors.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" ");
            warn!(run, step, detector, severity, error = %finding.summary, tensors, "finding opened");
        }
    }
}

/// A directory or file could not be looked at.
#[derive(Debug)]
pub struct ScanProblem<'a> {
    /// Which.
    pub path: &'a Path,
    /// Why, and what to do.
    pub error: &'a str,
}

impl Event for ScanProblem<'_> {
    fn emit(self, counters: &Counters) {
        counters.error(Trouble::Scan);
        let path = self.path.to_string_lossy();
        if let Some(held_back) = counters.repeats.admit("scan problem", &path, Instant::now()) {
            warn!(%path, error = self.error, held_back, "scan problem");
        }
    }
}

/// The kernel or the watcher dropped hints.
#[derive(Debug)]
pub struct HintsLost<'a> {
    /// What it said.
    pub error: &'a str,
}

impl Event for HintsLost<'_> {
    fn emit(self, counters: &Counters) {
        counters.hints_lost.increment();
        if let Some(held_back) = counters.repeats.admit("file events lost", "", Instant::now()) {
            warn!(error = self.error, held_back, "file events lost");
        }
    }
}

/// A settled checkpoint is left to the next scan.
#[derive(Debug)]
pub struct QueueFull<'a> {
    /// Its run.
    pub run: &'a str,
    /// Its step.
    pub step: Step,
}

impl Event for QueueFull<'_> {
    fn emit(self, counters: &Counters) {
        counters.queue_dropped.increment();
        if let Some(held_back) = counters.repeats.admit("queue full", self.run, Instant::now()) {
            warn!(run = self.run, step = self.step.0, held_back, "queue full");
        }
    }
}

/// Something could not be committed.
#[derive(Debug)]
pub struct StoreFailed<'a> {
    /// What the store said.
    pub error: &'a str,
}

impl Event for StoreFailed<'_> {
    fn emit(self, counters: &Counters) {
        counters.error(Trouble::Store);
        if let Some(held_back) = counters.repeats.admit("store failed", self.error, Instant::now()) {
            error!(error = self.error, held_back, "store failed");
        }
    }
}

/// A bug: the panic was caught.
#[derive(Debug)]
pub struct WorkerPanicked<'a> {
    /// Run of the checkpoint that was being weighed.
    pub run: &'a str,
    /// Its step.
    pub step: Step,
    /// What the panic said.
    pub error: &'a str,
}

impl Event for WorkerPanicked<'_> {
    fn emit(self, counters: &Counters) {
        counters.error(Trouble::Bug);
        error!(run = self.run, step = self.step.0, error = self.error, "worker panicked");
    }
}

/// A scrape met the hard cap.
#[derive(Debug)]
pub struct SeriesDropped {
    /// Series left out of this scrape.
    pub series: u64,
    /// The cap.
    pub series_max: u64,
}

impl Event for SeriesDropped {
    fn emit(self, counters: &Counters) {
        counters.series_dropped.add(self.series);
        if let Some(held_back) = counters.repeats.admit("series dropped", "", Instant::now()) {
            warn!(series = self.series, series_max = self.series_max, held_back, "series dropped");
        }
    }
}

/// A receiver took a notification.
#[derive(Debug)]
pub struct Delivered<'a> {
    /// Name of the target in the configuration.
    pub target: &'a str,
    /// Id of the finding.
    pub finding: &'a str,
}

impl Event for Delivered<'_> {
    fn emit(self, counters: &Counters) {
        counters.deliveries.increment();
        debug!(target_name = self.target, finding = self.finding, "delivered");
    }
}

/// A receiver refused or could not be reached.
#[derive(Debug)]
pub struct DeliveryFailed<'a> {
    /// Name of the target in the configuration; never its address, which may hold a secret.
    pub target: &'a str,
    /// What went wrong, without addresses and secrets.
    pub error: &'a str,
    /// Attempts so far.
    pub attempts: u32,
}

impl Event for DeliveryFailed<'_> {
    fn emit(self, counters: &Counters) {
        counters.error(Trouble::Delivery);
        counters.delivery_failures.increment();
        if let Some(held_back) = counters.repeats.admit("delivery failed", self.target, Instant::now()) {
            warn!(
                target_name = self.target,
                error = self.error,
                attempts = self.attempts,
                held_back,
                "delivery failed"
            );
        }
    }
}

/// A request was turned away.
#[derive(Debug)]
pub struct RequestRefused<'a> {
    /// Path of the request, without its query.
    pub path: &'a str,
    /// Why.
    pub error: &'a str,
}

impl Event for RequestRefused<'_> {
    fn emit(self, counters: &Counters) {
        counters.requests_refused.increment();
        if let Some(held_back) = counters.repeats.admit("request refused", self.error, Instant::now()) {
            warn!(path = self.path, error = self.error, held_back, "request refused");
        }
    }
}

/// A new configuration is in force.
#[derive(Debug)]
pub struct ConfigReloaded<'a> {
    /// Its file.
    pub path: &'a Path,
    /// Keys that changed and are taken over at the next start only.
    pub at_restart: &'a str,
}

impl Event for ConfigReloaded<'_> {
    fn emit(self, counters: &Counters) {
        counters.config_reloads.increment();
        counters.reload.good();
        info!(path = %self.path.display(), at_restart = self.at_restart, "configuration reloaded");
    }
}

/// A new configuration is not taken; the old one stays.
#[derive(Debug)]
pub struct ConfigRefused<'a> {
    /// Its file.
    pub path: &'a Path,
    /// Line, key, value and allowed range.
    pub error: &'a str,
}

impl Event for ConfigRefused<'_> {
    fn emit(self, counters: &Counters) {
        counters.error(Trouble::Config);
        counters.reload.refused();
        error!(path = %self.path.display(), error = self.error, "configuration refused");
    }
}

/// A signal asked for the end.
#[derive(Debug)]
pub struct Draining<'a> {
    /// The signal.
    pub signal: &'a str,
}

impl Event for Draining<'_> {
    fn emit(self, _counters: &Counters) {
        info!(signal = self.signal, "draining");
    }
}

/// All is stored and closed.
#[derive(Debug)]
pub struct Stopped {
    /// From the signal to here.
    pub elapsed: Duration,
}

impl Event for Stopped {
    fn emit(self, _counters: &Counters) {
        info!(elapsed_ms = self.elapsed.as_millis() as u64, "stopped");
    }
}
