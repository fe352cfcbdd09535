//! Commands that need no store.

use super::*;
use crate::util::training::TrainingRun;

#[test]
fn diff_tells_what_changed_and_what_did_not() {
    let place = Place::new();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    let before = run.save(10);
    let still = "transformer.h.0.attn.c_attn.weight";
    let kept = run.weights[still].clone();
    run.train();
    run.weights.insert(still.to_owned(), kept);
    let lost = "transformer.h.1.mlp.c_fc.weight";
    run.weights.remove(lost);
    let after = run.save_as_is(20);
    let (code, out, said) = command(&["diff", text(&before), text(&after), "--format", "json"]);
    assert_eq!(code, 0, "{said}");
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    let all = told["tensors"].as_array().unwrap();
    assert_eq!((&all[0]["tensor"], &all[0]["change"]), (&lost.into(), &"gone".into()));
    let last = all.last().unwrap();
    assert_eq!((&last["tensor"], &last["change"]), (&still.into(), &"same".into()));
    let ratios: Vec<f64> = all.iter().filter_map(|tensor| tensor["update_ratio"].as_f64()).collect();
    assert_eq!(ratios.len(), all.len() - 2);
    assert!(ratios.is_sorted_by(|a, b| a >= b) && ratios.iter().all(|&ratio| ratio > 0.0), "{ratios:?}");
    let (code, out, said) = command(&["diff", text(&before), text(&after)]);
    assert_eq!(code, 0, "{said}");
    assert!(out.trim_end().ends_with(&format!("1 gone, {} moved, 1 same", ratios.len())), "{out}");
}
