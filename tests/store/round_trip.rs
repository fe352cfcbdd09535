//! What is committed comes back equal, from the same store and after it was opened again.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weighbridge::store::{Error, LOG_TAIL};
use weighbridge::terms::{Attempt, History, Reading, RunId, Severity, Step, Subject};

use super::make::{any_reading, finding, key, model_reading, open};

/// Text that differs where any value differs; unlike `==` it holds NaN equal to itself.
fn text(reading: &Reading) -> String {
    format!("{reading:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn readings_come_back_equal(readings in proptest::collection::vec(any_reading(), 1..5)) {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = BTreeMap::new();
        let store = open(dir.path());
        for reading in &readings {
            let committed = store.commit(reading, &[], b"state");
            if kept.contains_key(&reading.key) {
                prop_assert!(matches!(committed, Err(Error::Exists(_))));
            } else {
                committed.unwrap();
                kept.insert(reading.key.clone(), reading.clone());
            }
        }
        drop(store);
        let store = open(dir.path());
        for (key, reading) in &kept {
            prop_assert_eq!(text(&store.reading(key).unwrap().unwrap()), text(reading));
        }
        let runs: Vec<RunId> = store.runs().into_iter().map(|summary| summary.run).collect();
        let keys: Vec<_> = runs.iter().flat_map(|run| store.keys(run)).collect();
        prop_assert_eq!(keys, kept.keys().cloned().collect::<Vec<_>>());
        for run in &runs {
            let newest = kept.values().rfind(|reading| &reading.key.run == run).unwrap();
            prop_assert_eq!(text(&store.latest(run).unwrap().unwrap()), text(newest));
            for (key, facts, log) in store.checkpoint_facts(run).unwrap() {
                let whole = &kept[&key].trainer.log;
                let expected = (&kept[&key].checkpoint, &whole[whole.len().saturating_sub(LOG_TAIL as usize)..]);
                prop_assert_eq!(format!("{facts:?} {log:?}"), format!("{:?} {:?}", expected.0, expected.1));
            }
        }
        prop_assert!(store.verify().unwrap().damage.is_empty());
    }
}

#[test]
fn findings_keep_their_order_of_opening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let steps = [(10, "z"), (20, "a"), (30, "m")];
    for (step, id) in steps {
        store.commit(&model_reading("r", step, 2, &["mean"], 0), &[finding("r", step, id)], b"").unwrap();
    }
    let mut newer = finding("r", 10, "z");
    newer.severity = Severity::Critical;
    newer.resolved_step = Some(Step(40));
    store
        .record_findings(&RunId::new("r"), Attempt(0), &[newer.clone(), finding("r", 40, "b")], b"later")
        .unwrap();
    drop(store);
    let store = open(dir.path());
    let findings = store.findings(None).unwrap();
    let ids: Vec<_> = findings.iter().map(|finding| finding.id.0.as_str()).collect();
    assert_eq!(ids, ["z", "a", "m", "b"]);
    assert_eq!(findings[0], newer);
    assert_eq!(store.finding(&RunId::new("r"), &newer.id).unwrap(), Some(newer));
    assert_eq!(store.judge_state(&RunId::new("r"), Attempt(0)).unwrap().as_deref(), Some(&b"later"[..]));
    assert_eq!(store.judge_state(&RunId::new("r"), Attempt(1)).unwrap(), None);
    assert_eq!(store.runs()[0].findings, 4);
}

#[test]
fn a_stored_reading_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = model_reading("r", 10, 3, &["mean", "std"], 16);
    store.commit(&first, &[], b"first").unwrap();
    let mut second = first.clone();
    second.family = "other".into();
    let refused = store.commit(&second, &[finding("r", 10, "x")], b"second");
    assert!(matches!(refused, Err(Error::Exists(key)) if key == first.key));
    assert_eq!(store.reading(&first.key).unwrap(), Some(first));
    assert!(store.findings(None).unwrap().is_empty());
    assert_eq!(store.judge_state(&RunId::new("r"), Attempt(0)).unwrap().as_deref(), Some(&b"first"[..]));
}

#[test]
fn series_and_history_are_those_of_the_readings() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let metrics = ["mean", "std", "ks_statistic"];
    let mut pushed = History::new(4);
    for step in [10, 20, 40, 30, 50, 60] {
        let reading = model_reading("r", step, 5, &metrics, 8);
        store.commit(&reading, &[], b"").unwrap();
        pushed.push(&reading);
    }
    let series =
        store.series(&RunId::new("r"), "std", &|subject| matches!(subject, Subject::Tensor(_))).unwrap();
    assert_eq!(series.len(), 5);
    let steps: Vec<u64> = series[0].points.iter().map(|(key, _, _)| key.step.0).collect();
    assert_eq!(steps, [10, 20, 30, 40, 50, 60]);
    let reading = store.reading(&key("r", 0, 40)).unwrap().unwrap();
    let (at, seconds, value) = &series[2].points[3];
    assert_eq!((at, *seconds), (&reading.key, reading.checkpoint.timestamp_seconds));
    assert_eq!(Some(value), reading.tensors[2].samples.get("std"));
    let history = store.history(&RunId::new("r"), Attempt(0), 4).unwrap();
    // Pushed six into four: the store gives the same four, in the order of commits.
    let steps = |history: &History| history.points().iter().map(|point| point.key.step.0).collect::<Vec<_>>();
    assert_eq!(steps(&history), steps(&pushed));
    let subject = Subject::Tensor("transformer.h.0.part.3.weight".into());
    assert_eq!(history.column(&subject, "std"), pushed.column(&subject, "std"));
    assert_eq!(history.trainer(), pushed.trainer());
}

#[test]
fn a_log_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // 4,000 lines of some 25 bytes, 40 times over: whole logs would take 4 MB and more.
    for step in 0..40 {
        store.commit(&model_reading("r", 20_000 + step * 5, 1, &["mean"], 0), &[], b"").unwrap();
    }
    drop(store);
    let store = open(dir.path());
    let reading = store.reading(&key("r", 0, 20_195)).unwrap().unwrap();
    assert_eq!(reading, model_reading("r", 20_195, 1, &["mean"], 0));
    assert!(store.stats().unwrap().disk_bytes < 2_500_000, "{:?}", store.stats());
}

#[test]
fn the_second_process_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.announce("127.0.0.1:4242").unwrap();
    let refused = weighbridge::store::Store::open(
        dir.path(),
        &weighbridge::terms::Catalog::new([]),
        &super::make::settings(),
    );
    let told = refused.unwrap_err();
    assert!(matches!(told, Error::Held { .. }));
    assert!(told.to_string().contains("127.0.0.1:4242"), "{told}");
}
