//! Spectra are had in turns and compared with the turn before, from the store: files rotate away, the daemon is killed.

use std::collections::BTreeMap;

use super::*;
use crate::util::training::{Tensors, TrainingRun};

/// So little that the toy model's matrices take several turns.
const CONFIG: &str = "weigh:\n  tier: 3\n  spectra_budget_seconds: 0.00005\n";

/// By tensor and step, what `weighbridge history` has of a metric.
fn history(place: &Place, metric: &str) -> BTreeMap<(String, u64), f64> {
    let (code, csv, error) = command(&["history", "--metric", metric, "--store", text(&place.store)]);
    assert_eq!((code, error.as_str()), (0, ""));
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        ((fields[4].to_owned(), fields[2].parse().unwrap()), fields[6].parse().unwrap())
    };
    csv.lines().skip(1).map(row).collect()
}

/// Singular values over their sum, by a decomposition of the matrix itself.
fn shares(weights: &Tensors, name: &str) -> Vec<f64> {
    let (shape, values) = &weights[name];
    let matrix = faer::Mat::from_fn(shape[0], shape[1], |i, j| f64::from(values[i * shape[1] + j]));
    let singular = matrix.singular_values().unwrap();
    let total: f64 = singular.iter().sum();
    singular.iter().map(|s| s / total).collect()
}

#[test]
fn each_spectrum_is_compared_with_the_turn_before_though_its_file_is_gone_and_the_daemon_was_killed() {
    let place = Place::new();
    let mut run = TrainingRun::new(&place.runs, "turns", 3);
    let mut weights: BTreeMap<u64, Tensors> = BTreeMap::new();
    for steps in [10..=50u64, 60..=110, 120..=150] {
        let daemon = place.watch_with(CONFIG);
        for step in steps.step_by(10) {
            run.save(step);
            weights.insert(step, run.weights.clone());
            wait_for_total(&daemon, "turns", step / 10);
            run.rotate_away(step);
        }
        daemon.kill();
    }
    let turns = history(&place, "effective_rank");
    let drifts = history(&place, "singular_distribution_drift");
    let steps = history(&place, "singular_distribution_drift_steps");
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut compared = 0;
    let mut in_order: Vec<_> = turns.keys().collect();
    in_order.sort_by_key(|(_, step)| *step);
    for at in in_order {
        let (name, step) = (at.0.as_str(), at.1);
        let Some(before) = last.insert(name, step) else {
            assert!(!drifts.contains_key(at) && !steps.contains_key(at), "{at:?} has nothing before it");
            continue;
        };
        let (now, then) = (shares(&weights[&step], name), shares(&weights[&before], name));
        let want = 0.5 * now.iter().zip(then).map(|(now, then)| (now - then).abs()).sum::<f64>();
        assert!((drifts[at] - want).abs() < 1e-7, "{at:?}: {} and not {want}", drifts[at]);
        assert_eq!(steps[at], (step - before) as f64, "{at:?}");
        assert!(step - before > 10, "{at:?}: no turn was waited for, so nothing was remembered");
        compared += 1;
    }
    assert!(compared >= 20 && drifts.len() == compared && steps.len() == compared, "{compared}");
}
