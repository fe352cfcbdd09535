//! The text of a scrape, byte by byte, and what Prometheus' own linter says of it.

use std::sync::Arc;

use prometheus::core::Collector;
use weighbridge::export::{Settings, SnapshotCollector, openmetrics_text, prometheus_text};
use weighbridge::measure;
use weighbridge::telemetry::{Counters, Trouble};
use weighbridge::terms::{
    Acknowledgement, Carried, Catalog, Family, MetricDef, Reason, Role, RunPhase, Said, Samples, Severity,
    Silence, Snapshot, Step, Subject, SubjectKind, Tier, Unit,
};

use crate::util::golden;
use crate::util::scrape::metric;
use crate::util::servers::check_metrics;
use crate::util::snapshot::{self, finding, reading, status, subject};

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

fn two_runs() -> Snapshot {
    let tensor = |name, role, layer, rms, skewness| {
        let samples = Samples::from([("rms", rms), ("skewness", skewness), ("nan_elements", 0.0)]);
        snapshot::tensor(name, role, layer, samples)
    };
    let tensors = vec![
        tensor("wte", Role::TokenEmbedding, None, 0.02, 0.0),
        tensor("h.0.\"odd\\name\n", Role::AttnQ, Some(0), 0.5, 1.0),
        tensor("h.1.q", Role::AttnQ, Some(1), 0.25, 3.0),
    ];
    let head =
        |head| subject(Subject::Head { layer: 0, head }, Samples::from([("qk_norm", 1.5 + f64::from(head))]));
    let open = vec![
        finding("non_finite", Severity::Critical, &["h.1.q"]),
        finding("frozen_tensor", Severity::Warning, &[]),
        finding("frozen_tensor", Severity::Warning, &["wte"]),
        finding("silenced_fault", Severity::Critical, &[]),
        finding("known_fault", Severity::Warning, &[]),
    ];
    Snapshot {
        runs: vec![
            status("a", Some(reading("a", tensors, vec![head(0), head(1)])), open),
            status("b/waiting", None, Vec::new()),
        ],
        queue_checkpoints: 2,
        ready: true,
        said: said().into(),
        ..Snapshot::default()
    }
}

/// What calls nobody is counted apart.
fn said() -> Said {
    let silence = Silence {
        id: "1".into(),
        run: "a".into(),
        detector: Some("silenced_fault".into()),
        tensor: None,
        at_seconds: 0.0,
        until_seconds: f64::INFINITY,
        why: "planned".into(),
    };
    let known = finding("known_fault", Severity::Warning, &[]);
    let known = Acknowledgement {
        run: known.run.clone(),
        finding: known.id.clone(),
        severity: known.severity,
        at_seconds: 0.0,
        why: String::new(),
        withdrawn: false,
    };
    Said::new(vec![silence], vec![known])
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

/// What is not in a checkpoint's budget stays as it was at the tensor's last turn, and says how old it is.
#[test]
fn values_that_are_had_in_turns_say_their_age() {
    let mut waiting = snapshot::tensor("h.0.q", Role::AttnQ, Some(0), Samples::from([("rms", 0.5)]));
    waiting.absent.insert("skewness", Reason::OverBudget);
    let samples = Samples::from([("rms", 0.5), ("skewness", 3.0)]);
    let served = snapshot::tensor("h.1.q", Role::AttnQ, Some(1), samples.clone());
    let turn =
        |step, skewness| Carried { step: Step(step), samples: Samples::from([("skewness", skewness)]) };
    let mut run = (*status("a", Some(reading("a", vec![waiting, served], Vec::new())), Vec::new())).clone();
    run.carried = Arc::new([("h.0.q".into(), turn(10, 1.0)), ("h.1.q".into(), turn(40, 3.0))].into());
    run.newest_values = run.latest.as_ref().map(|latest| latest.with_carried(&run.carried));
    let snapshot = Snapshot { runs: vec![Arc::new(run)], ..Snapshot::default() };
    let scrape = prometheus_text(&snapshot, &catalog(), &Counters::default(), &Settings::default());
    for (tensor, age) in [("h.0.q", 30.0), ("h.1.q", 0.0)] {
        let series = metric("tensor_spectrum_age_steps").label("tensor", tensor).value(age);
        assert!(series.is_in(&scrape), "{scrape}");
    }
    // The carried value counts.
    assert!(metric("role_skewness").label("role", "attn_q").label("q", "0.5").value(2.0).is_in(&scrape));
    check_metrics(&scrape);
}

/// Names and HELP lines of every metric there is, not of three.
#[test]
fn every_metric_of_the_registry_passes_the_linter() {
    let catalog = measure::catalog();
    let snapshot = snapshot::with_every_metric(&catalog, 3);
    let settings = Settings::default();
    let scrape = prometheus_text(&snapshot, &catalog, &Counters::default(), &settings);
    for def in catalog.iter() {
        let words = ["tensor", "role", "head", "layer", "model"];
        let exported = words.iter().any(|word| metric(&format!("{word}_{}", def.name)).is_in(&scrape));
        let chosen = settings.head_metrics.iter().any(|name| name == def.name);
        assert!(exported || (def.subject == SubjectKind::Head && !chosen), "{} is not exported", def.name);
    }
    check_metrics(&scrape);
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

/// Our writer is there for its speed alone: the `prometheus` crate's own says what is right.
#[test]
fn the_text_is_what_the_prometheus_crate_writes() {
    let (counters, registry) = (Counters::default(), measure::catalog());
    let settings = Settings { labels: [("odd".into(), "a\"b\\c\nd".into())].into(), ..Settings::default() };
    let mut hostile = two_runs();
    let mut run = (*hostile.runs[0]).clone();
    let mut latest = (**run.latest.as_ref().unwrap()).clone();
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX, 1e21, 0.1, -1234567.5];
    latest.tensors = values
        .iter()
        .enumerate()
        .map(|(at, &value)| {
            snapshot::tensor(
                &format!("tensor {at} \\ \" \n ä"),
                Role::AttnQ,
                None,
                Samples::from([("rms", value)]),
            )
        })
        .collect();
    run.latest = Some(latest.into());
    hostile.runs.push(Arc::new(run));
    for (snapshot, catalog) in [(hostile, &catalog()), (snapshot::with_every_metric(&registry, 3), &registry)]
    {
        let collector = SnapshotCollector::new(&snapshot, catalog, &counters, &settings);
        let ours = prometheus_text(&snapshot, catalog, &counters, &settings);
        let theirs = prometheus::TextEncoder::new().encode_to_string(&collector.collect()).unwrap();
        assert_eq!(stable(&ours), stable(&theirs));
        assert!(ours.lines().count() > 50);
    }
}
