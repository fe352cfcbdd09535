//! The text of a scrape, byte by byte, and what Prometheus' own linter says of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use prometheus::core::Collector;
use weighbridge::export::{Settings, SnapshotCollector, openmetrics_text, prometheus_text};
use weighbridge::telemetry::{Counters, Trouble};
use weighbridge::terms::{
    Attempt, Catalog, Category, CheckpointFacts, Dtype, Family, Finding, FindingId, LogPoint, Meaning,
    MetricDef, Reading, ReadingKey, Role, RunId, RunPhase, RunStatus, Samples, Severity, Snapshot, Step,
    StepSource, Subject, SubjectKind, SubjectReading, TensorFacts, TensorReading, Tier, TrainerState, Unit,
};

use crate::util::golden;
use crate::util::scrape::metric;
use crate::util::servers::check_metrics;

const fn def(name: &'static str, subject: SubjectKind, help: &'static str) -> MetricDef {
    MetricDef {
        name,
        family: Family::Elements,
        subject,
        unit: Unit::Weight,
        tier: Tier::One,
        help,
        formula: "",
        source: "",
        healthy: "",
        sick: "",
        cost: "",
        since: "0.1.0",
    }
}

static DEFS: [MetricDef; 4] = [
    def("rms", SubjectKind::Tensor, "Square root of the mean square"),
    def("nan_elements", SubjectKind::Tensor, "Elements that are NaN"),
    def("skewness", SubjectKind::Tensor, "Third standardised moment, \\ and\nall"),
    def("qk_norm", SubjectKind::Head, "Frobenius norm of the head's query-key product"),
];

fn catalog() -> Catalog {
    Catalog::new(DEFS.iter())
}

fn tensor(name: &str, role: Role, layer: Option<u32>, rms: f64, skewness: f64) -> TensorReading {
    TensorReading {
        facts: TensorFacts {
            name: Arc::from(name),
            dtype: Dtype::F32,
            shape: vec![4, 2],
            meaning: Meaning { role, category: Category::Other, layer, guessed: false, inputs_first: false },
            content_hash: 1,
        },
        samples: Samples::from([("rms", rms), ("skewness", skewness), ("nan_elements", 0.0)]),
        absent: BTreeMap::new(),
        sketch: None,
        quantiles: Vec::new(),
    }
}

fn reading(run: &str, tensors: Vec<TensorReading>) -> Reading {
    let head = |head| SubjectReading {
        subject: Subject::Head { layer: 0, head },
        samples: Samples::from([("qk_norm", 1.5 + f64::from(head))]),
        lists: BTreeMap::new(),
        absent: BTreeMap::new(),
    };
    let log = vec![LogPoint { step: 40, loss: Some(f64::NAN), learning_rate: Some(5e-4), grad_norm: None }];
    Reading {
        key: ReadingKey { run: RunId::new(run), attempt: Attempt(1), step: Step(40) },
        checkpoint: CheckpointFacts {
            path: PathBuf::from("checkpoint-40"),
            layout: "hf_trainer".into(),
            step_source: StepSource::Name,
            timestamp_seconds: 1_700_000_000.5,
            files: Vec::new(),
        },
        family: "gpt2".into(),
        trainer: TrainerState { global_step: Some(40), max_steps: Some(100), epoch: None, log },
        tensors,
        subjects: vec![head(0), head(1)],
        skipped: Vec::new(),
        tied: Vec::new(),
        remarks: Vec::new(),
        problems: Vec::new(),
        previous: None,
    }
}

fn finding(detector: &str, severity: Severity, tensors: &[&str]) -> Arc<Finding> {
    Arc::new(Finding {
        id: FindingId(format!("{detector}-1")),
        run: RunId::new("a"),
        attempt: Attempt(1),
        step: Step(40),
        severity,
        detector: detector.into(),
        tensors: tensors.iter().map(|&tensor| tensor.to_owned()).collect(),
        summary: String::new(),
        cause: String::new(),
        remedy: String::new(),
        evidence: Vec::new(),
        dissent: Vec::new(),
        confidence: 1.0,
        opened_at: 1_700_000_000.5,
        resolved_step: None,
        last_good_step: None,
    })
}

fn status(run: &str, reading: Option<Reading>, open: Vec<Arc<Finding>>) -> Arc<RunStatus> {
    Arc::new(RunStatus {
        run: RunId::new(run),
        directory: PathBuf::from(run),
        attempt: Attempt(1),
        phase: RunPhase::Watching,
        latest: reading.map(Arc::new),
        findings_total: open.len() as u64,
        open,
        last_good: Some((Step(30), PathBuf::from("checkpoint-30"))),
        checkpoints_total: 4,
        checkpoint_failures_total: 1,
        publish_delay_seconds: Some(0.25),
        duration_seconds: 0.125,
        losses: Vec::new(),
        pending: Vec::new(),
        missed: Vec::new(),
    })
}

fn two_runs() -> Snapshot {
    let tensors = vec![
        tensor("wte", Role::TokenEmbedding, None, 0.02, 0.0),
        tensor("h.0.\"odd\\name\n", Role::AttnQ, Some(0), 0.5, 1.0),
        tensor("h.1.q", Role::AttnQ, Some(1), 0.25, 3.0),
    ];
    let open = vec![
        finding("non_finite", Severity::Critical, &["h.1.q"]),
        finding("frozen_tensor", Severity::Warning, &[]),
        finding("frozen_tensor", Severity::Warning, &["wte"]),
    ];
    Snapshot {
        runs: vec![status("a", Some(reading("a", tensors)), open), status("b/waiting", None, Vec::new())],
        queue_checkpoints: 2,
        ready: true,
        store_trouble: None,
        roots: Vec::new(),
    }
}

/// The process' own figures differ from run to run, and the version from release to release.
fn stable(scrape: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let lines = scrape.lines().filter(|line| !line.contains("process_"));
    lines.map(|line| line.replace(version, "VERSION") + "\n").collect()
}

#[test]
fn text_is_as_it_was() {
    let counters = Counters::default();
    counters.error(Trouble::Store);
    let settings = Settings { labels: [("cluster".into(), "c1".into())].into(), ..Settings::default() };
    let scrape = prometheus_text(&two_runs(), &catalog(), &counters, &settings);
    golden::check("scrape.prom", &stable(&scrape));
    check_metrics(&scrape);
    golden::check(
        "scrape.openmetrics",
        &stable(&openmetrics_text(&two_runs(), &catalog(), &counters, &settings)),
    );
}

#[test]
fn the_cap_drops_heads_first_and_offenders_never() {
    let counters = Counters::default();
    let all = Settings::default();
    let full = prometheus_text(&two_runs(), &catalog(), &counters, &all);
    assert_eq!(metric("series_dropped_total").of(&full), Some(0.0));
    let weights = |scrape: &str| {
        scrape
            .lines()
            .filter(|line| {
                ["tensor_", "head_", "role_"].iter().any(|p| line.starts_with(&format!("weighbridge_{p}")))
            })
            .count()
    };
    let total = weights(&full);

    let tight = Settings { series_max: total - 2, ..Settings::default() };
    let scrape = prometheus_text(&two_runs(), &catalog(), &counters, &tight);
    assert_eq!(weights(&scrape), total - 2);
    assert!(!metric("head_qk_norm").is_in(&scrape), "heads go first");
    assert_eq!(metric("tensor_rms").all(&scrape).len(), 3);
    assert_eq!(metric("series_dropped_total").of(&scrape), Some(2.0));

    let tightest = Settings { series_max: 4, ..Settings::default() };
    let scrape = prometheus_text(&two_runs(), &catalog(), &counters, &tightest);
    assert!(metric("tensor_rms").label("tensor", "h.1.q").value(0.25).is_in(&scrape), "named by a finding");
    assert!(metric("findings_active").label("detector", "frozen_tensor").value(2.0).is_in(&scrape));
    assert!(!metric("tensor_rms").label("tensor", "h.0.\"odd\\name\n").is_in(&scrape));
    assert_eq!(metric("series_dropped_total").of(&scrape), Some(2.0 + (total - 4) as f64));
}

#[test]
fn a_run_that_ended_long_ago_has_no_series() {
    let (catalog, counters, settings) = (catalog(), Counters::default(), Settings::default());
    let mut snapshot = two_runs();
    let mut ended = (*snapshot.runs[0]).clone();
    ended.phase = RunPhase::Finished;
    snapshot.runs[0] = Arc::new(ended);
    let series_at = |now| {
        let families = SnapshotCollector::new(&snapshot, &catalog, &counters, &settings).at(now).collect();
        let labels = families.iter().flat_map(|f| f.get_metric()).flat_map(|m| m.get_label());
        labels.filter(|label| label.name() == "run" && label.value() == "a").count()
    };
    assert!(series_at(1_700_000_000.5 + 86_399.0) > 0);
    assert_eq!(series_at(1_700_000_000.5 + 86_401.0), 0);
}
