//! Every value of `inspect` against an independent float64 reference (numpy, scipy, scikit-learn), on
//! small checkpoints of four families in three dtypes. The bounds are the reference's own.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::util::daemon::binary;

const KINDS: [&str; 4] = ["gpt2_f32", "llama_bf16", "gpt_neox_f16", "bert_f32"];

#[test]
fn every_value_agrees_with_the_reference() {
    for kind in KINDS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/measure");
        let want: Value =
            serde_json::from_str(&std::fs::read_to_string(directory.join(format!("{kind}.json"))).unwrap())
                .unwrap();
        let got = inspect(&directory.join(kind));
        let mut compared = 0;
        for tensor in want["tensors"].as_array().unwrap() {
            let name = tensor["name"].as_str().unwrap();
            let mine = list(&got["tensors"]).find(|mine| mine["name"] == name);
            let mine = mine.unwrap_or_else(|| panic!("{kind}: no tensor {name}"));
            compared += compare(&format!("{kind} {name}"), &tensor["metrics"], &mine["metrics"]);
        }
        for layer in list(&want["layers"]) {
            let mine = list(&got["layers"]).find(|mine| mine["layer"] == layer["layer"]).unwrap();
            for head in list(&layer["heads"]) {
                let same = list(&mine["heads"]).find(|mine| mine["head"] == head["head"]).unwrap();
                compared +=
                    compare(&format!("{kind} layer {} head {}", layer["layer"], head["head"]), head, same);
            }
            let heights = list(&layer["ward_heights"]).zip(list(&mine["ward_heights"]));
            for (want, got) in heights {
                agree(&format!("{kind} ward_heights"), "ward", want.as_f64().unwrap(), got.as_f64().unwrap());
                compared += 1;
            }
            assert_eq!(list(&layer["ward_heights"]).count(), list(&mine["ward_heights"]).count());
        }
        assert!(compared > 500, "{kind}: only {compared} values were compared");
    }
}

fn inspect(kind: &Path) -> Value {
    let output = Command::new(binary())
        .arg("inspect")
        .arg(kind.join("after"))
        .arg("--previous")
        .arg(kind.join("before"))
        .args(["--format", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn compare(place: &str, want: &Value, got: &Value) -> usize {
    let mut compared = 0;
    for (metric, value) in want.as_object().unwrap().iter().filter(|(metric, _)| *metric != "head") {
        let mine = got[metric].as_f64().unwrap_or_else(|| panic!("{place}: no {metric}"));
        agree(place, metric, value.as_f64().unwrap(), mine);
        compared += 1;
    }
    compared
}

/// The reference's bounds: relative and absolute.
fn agree(place: &str, metric: &str, want: f64, got: f64) {
    let (relative, absolute) = match metric {
        "elements" | "nan_elements" | "inf_elements" | "zero_elements" => (0.0, 0.0),
        "pca_components_90" | "numerical_rank" => (0.0, 0.0),
        "ks_statistic" => (0.0, 1e-6),
        "mean" => (1e-6, 1e-9),
        "skewness" | "excess_kurtosis" => (1e-5, 1e-6),
        "l_skewness" => (1e-4, 1e-5),
        "bowley_skewness" => (1e-3, 1e-4),
        "weibull_shape" | "hill_tail_index" | "alpha_hill" => (1e-3, 1e-12),
        "identical_ratio" => (0.0, 1e-12),
        "cosine_to_previous" => (1e-6, 1e-6),
        "singular_distribution_drift" => (0.0, 6e-8),
        _ => (1e-4, 1e-12),
    };
    assert!((want - got).abs() <= absolute + relative * want.abs(), "{place}: {metric} is {got}, not {want}");
}
