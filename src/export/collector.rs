//! Makes the samples of one scrape from the published snapshot.
//!
//! Order is priority: what comes first is inside the budget. Within one class all runs are served
//! before the next class begins, so that a large run cannot push the findings of a small one out.

use std::collections::BTreeMap;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::Settings;
use super::families::{Families, Label};
use super::weights::Weights;
use crate::telemetry::{Counters, Event, SeriesDropped, now_seconds, process_use};
use crate::terms::{Catalog, Reading, RunPhase, RunStatus, Severity, Snapshot};

/// A view of the snapshot that Prometheus' encoders can read.
pub struct SnapshotCollector<'a> {
    snapshot: &'a Snapshot,
    catalog: &'a Catalog,
    own: &'a Counters,
    settings: &'a Settings,
    now_seconds: f64,
}

impl<'a> SnapshotCollector<'a> {
    /// Looks at the snapshot as of now.
    pub fn new(
        snapshot: &'a Snapshot,
        catalog: &'a Catalog,
        own: &'a Counters,
        settings: &'a Settings,
    ) -> Self {
        Self { snapshot, catalog, own, settings, now_seconds: now_seconds() }
    }

    /// Looks at it as of another time, in seconds since 1970.
    pub fn at(self, now_seconds: f64) -> Self {
        Self { now_seconds, ..self }
    }

    fn is_over(&self, run: &RunStatus) -> bool {
        let written = run.latest.as_ref().map(|reading| reading.checkpoint.timestamp_seconds);
        let idle = |written: f64| self.now_seconds - written > self.settings.idle_max.as_secs_f64();
        run.phase == RunPhase::Finished && written.is_some_and(idle)
    }
}

impl Collector for SnapshotCollector<'_> {
    /// None ahead of the scrape: which families there are depends on the runs.
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.families().to_proto()
    }
}

impl SnapshotCollector<'_> {
    /// The samples, as our formats read them.
    pub fn families(&self) -> Families {
        let runs: Vec<&RunStatus> =
            self.snapshot.runs.iter().map(AsRef::as_ref).filter(|run| !self.is_over(run)).collect();
        let mut out = Families::new(&self.settings.labels, self.settings.series_max);
        self.daemon(&mut out);
        for run in &runs {
            run_families(&mut out, run);
            self.findings(&mut out, run);
        }
        let mut weights = Weights::new(&mut out, self.catalog, self.settings);
        for class in [Weights::offenders, Weights::model, Weights::roles, Weights::tensors, Weights::heads] {
            for run in &runs {
                if let Some(reading) = &run.newest_values {
                    class(&mut weights, &run.open, reading);
                }
            }
        }
        for run in &runs {
            weights.ages(run);
        }
        let dropped = out.dropped();
        if dropped > 0 {
            SeriesDropped { series: dropped, series_max: self.settings.series_max as u64 }.emit(self.own);
        }
        self.own_counters(&mut out);
        out
    }

    fn daemon(&self, out: &mut Families) {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        out.gauge("build_info", "Version of the running daemon; always 1", &version, 1.0);
        let queue = self.snapshot.queue_checkpoints as f64;
        out.gauge("queue_checkpoints", "Settled checkpoints that wait to be weighed", &[], queue);
        let ready = f64::from(u8::from(self.snapshot.ready));
        out.gauge("ready", "1 once everything found by the first scan is weighed or queued", &[], ready);
        let trouble = f64::from(u8::from(self.snapshot.store_trouble.is_some()));
        out.gauge("store_trouble", "1 while nothing new can be stored; /readyz says why", &[], trouble);
        let reload = &self.own.reload;
        let good = f64::from(u8::from(reload.is_good()));
        let help = "1 unless the last configuration read was refused and the old one stays";
        out.gauge("config_last_reload_successful", help, &[], good);
        let help = "When a configuration was last taken over, seconds since 1970";
        if let Some(seconds) = reload.taken_seconds() {
            out.gauge("config_last_reload_success_timestamp_seconds", help, &[], seconds as f64);
        }
    }

    /// Open findings, each in one of three families: what is silenced or acknowledged calls nobody, so it is
    /// not counted as active, and alerts on that end.
    fn findings(&self, out: &mut Families, status: &RunStatus) {
        let mut open: BTreeMap<(&str, &str, Severity), u64> = BTreeMap::new();
        for finding in &status.open {
            let quiet = self.snapshot.said.of(finding, self.now_seconds);
            let name = match (quiet.silence, quiet.acknowledgement) {
                (Some(_), _) => "findings_silenced",
                (None, Some(_)) => "findings_acknowledged",
                (None, None) => "findings_active",
            };
            *open.entry((name, &finding.detector, finding.severity)).or_default() += 1;
        }
        for ((name, detector, severity), count) in open {
            let labels =
                [("run", status.run.as_str()), ("detector", detector), ("severity", severity.name())];
            let help = match name {
                "findings_silenced" => {
                    "Findings that are open and that a silence covers: not counted as active"
                }
                "findings_acknowledged" => {
                    "Findings that are open and that somebody knows of: not counted as active"
                }
                _ => "Findings that are open, and neither silenced nor acknowledged",
            };
            out.gauge(name, help, &labels, count as f64);
        }
    }

    fn own_counters(&self, out: &mut Families) {
        for sample in self.own.samples() {
            let label: Vec<Label<'_>> = sample.label.into_iter().collect();
            out.counter(sample.name, sample.help, &label, sample.value as f64);
        }
        let used = process_use();
        let mut gauge = |name, help, value: Option<f64>| {
            if let Some(value) = value {
                out.gauge(name, help, &[], value);
            }
        };
        gauge(
            "process_resident_memory_bytes",
            "Resident memory",
            used.resident_bytes.map(|bytes| bytes as f64),
        );
        gauge("process_open_fds", "Open file descriptors", used.open_descriptors.map(|open| open as f64));
        gauge(
            "process_start_time_seconds",
            "Start of the process, seconds since 1970",
            used.start_time_seconds,
        );
        if let Some(seconds) = used.cpu_seconds {
            out.counter("process_cpu_seconds_total", "User and system time of the process", &[], seconds);
        }
    }
}

/// What every run always has, whatever the budget.
fn run_families(out: &mut Families, status: &RunStatus) {
    let run = [("run", status.run.as_str())];
    let whole = |number: u64| number as f64;
    out.counter("checkpoints_total", "Checkpoints weighed and stored", &run, whole(status.checkpoints_total));
    let failures = whole(status.checkpoint_failures_total);
    out.counter("checkpoint_failures_total", "Checkpoints whose files were at fault", &run, failures);
    out.counter("findings_opened_total", "Findings opened so far", &run, whole(status.findings_total));
    out.gauge("run_attempt", "Which go at the run, from 0", &run, f64::from(status.attempt.0));
    let finished = f64::from(u8::from(status.phase == RunPhase::Finished));
    out.gauge("run_finished", "1 once the last planned step was weighed", &run, finished);
    let pending = status.pending.len() as f64;
    out.gauge("checkpoints_pending", "Checkpoints that may still be written", &run, pending);
    if let Some((step, _)) = &status.last_good {
        let help = "Newest step with no finding at or above warning";
        out.gauge("run_last_good_step", help, &run, whole(step.0));
    }
    if let Some(seconds) = status.publish_delay_seconds {
        let help = "From the latest checkpoint being complete to its gauges being published";
        out.gauge("publish_delay_seconds", help, &run, seconds);
    }
    if let Some(reading) = &status.latest {
        let help = "Time to weigh, judge and store the latest checkpoint";
        out.gauge("checkpoint_duration_seconds", help, &run, status.duration_seconds);
        reading_families(out, reading);
    }
}

pub(super) fn reading_families(out: &mut Families, reading: &Reading) {
    let run = [("run", reading.key.run.as_str())];
    let mut gauge = |name, help, value: f64| out.gauge(name, help, &run, value);
    gauge("run_step", "Step of the latest checkpoint", reading.key.step.0 as f64);
    let written = reading.checkpoint.timestamp_seconds;
    gauge(
        "checkpoint_timestamp_seconds",
        "When the latest checkpoint was written, seconds since 1970",
        written,
    );
    let bytes = reading.checkpoint.bytes() as f64;
    gauge("checkpoint_bytes", "Size of all files of the latest checkpoint", bytes);
    let coverage = reading.coverage_ratio();
    gauge("coverage_ratio", "Share of the latest checkpoint's elements that were weighed", coverage);
    if let Some(steps) = reading.trainer.max_steps {
        gauge("run_steps_planned", "Steps that the trainer plans", steps as f64);
    }
    let logged = [
        ("run_loss", "Newest training loss that the trainer logged; may be NaN", reading.trainer.loss()),
        (
            "run_learning_rate",
            "Newest learning rate that the trainer logged",
            reading.trainer.learning_rate(),
        ),
        ("run_grad_norm", "Newest gradient norm that the trainer logged", reading.trainer.grad_norm()),
    ];
    for (name, help, value) in logged {
        if let Some(value) = value {
            gauge(name, help, value);
        }
    }
}
