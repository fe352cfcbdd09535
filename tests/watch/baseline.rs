//! A stored run to compare with, as the commands take it.

use super::*;
use crate::util::training::TrainingRun;

#[test]
fn another_seed_is_like_the_baseline_and_another_initialisation_is_not() {
    let place = Place::new();
    let store = text(&place.store);
    TrainingRun::new(&place.runs, "a", 1).save(10);
    assert_eq!(command(&["replay", text(&place.runs), "--store", store]).0, 0);

    let others = place.runs.with_file_name("others");
    let alike = TrainingRun::new(&others, "b", 2).save(10);
    let mut run = TrainingRun::new(&others, "c", 3);
    for (_, values) in run.weights.values_mut() {
        values.iter_mut().for_each(|value| *value *= 3.0);
    }
    let unlike = run.save(10);
    let against = |path: &Path, baseline| {
        command(&["check", text(path), "--store", store, "--baseline", baseline, "--fail-on", "warning"])
    };
    let (code, out, said) = against(&alike, "a");
    assert_eq!(code, 0, "{out}{said}");
    let (code, out, _) = against(&unlike, "a");
    assert!(code == 1 && out.contains("unlike_baseline") && out.contains("out of the band of a"), "{out}");
    // Without a baseline it is a healthy checkpoint like any other.
    assert_eq!(command(&["check", text(&unlike)]).0, 0);

    let (code, _, said) = against(&alike, "nobody");
    assert!(code == 2 && said.contains("baseline nobody: no such run in the store; it has a"), "{said}");
    assert_eq!(command(&["check", text(&alike), "--baseline", "a"]).0, 64, "it needs a store");

    let compared = ["replay", text(&others), "--store", store, "--baseline", "a", "--format", "jsonl"];
    let (code, out, said) = command(&compared);
    assert_eq!(code, 0, "{said}");
    assert!(out.lines().count() == 1 && out.contains("unlike_baseline"), "{out}");
    let (code, _, said) = command(&["replay", text(&others), "--store", store, "--baseline", "nobody"]);
    assert!(code == 2 && said.contains("it has a, b, c"), "{said}");
}
