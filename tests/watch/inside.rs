//! Files without a step in their name: the step stands inside, and families that only the configuration
//! knows.

use std::fs;

use serde_json::Value;

use super::{Place, command, text, wait_for_step, wait_for_total};
use crate::util::golden::fixture;
use crate::util::{get, metric};

fn inspected(arguments: &[&str]) -> Value {
    let (code, out, error) = command(&[&["inspect", "--format", "json"], arguments].concat());
    assert_eq!(code, 0, "{error}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn the_step_of_a_nameless_file_stands_inside() {
    let place = Place::new();
    let run = place.runs.join("nano");
    fs::create_dir_all(&run).unwrap();
    fs::copy(fixture("tensor/torch_zip/nanogpt.pt"), run.join("ckpt.pt")).unwrap();
    let daemon = place.watch();
    wait_for_step(&daemon, "nano", 250);
    let shown = get(&format!("http://{}/api/v1/runs/nano/checkpoints/250", daemon.address())).unwrap();
    assert!(shown.contains("\"inside\""), "{shown}");
    // Overwritten in place, as nanoGPT does: another version, with a step of its own.
    fs::copy(fixture("tensor/torch_zip/fairseq.pt"), run.join("ckpt.pt")).unwrap();
    wait_for_total(&daemon, "nano", 2);
    assert!(metric("run_step").label("run", "nano").of(&daemon.scrape()).is_some());
    drop(daemon);
    // Nothing is weighed twice by the next start.
    let daemon = place.watch();
    wait_for_total(&daemon, "nano", 2);
    let value = inspected(&[text(&run.join("ckpt.pt"))]);
    let checkpoint = &value["checkpoint"];
    assert_eq!((checkpoint["step"].as_u64(), checkpoint["step_source"].as_str()), (Some(77), Some("inside")));
}

#[test]
fn broken_moments_are_a_finding_and_no_weights() {
    let place = Place::new();
    let file = fixture("tensor/optimizer/poisoned.pt");
    let value = inspected(&[text(&file)]);
    let (model, metrics) = (&value["model"], &value["model"]["metrics"]);
    assert_eq!(
        (model["coverage_ratio"].as_f64(), model["skipped"].as_array().map(Vec::len)),
        (Some(1.0), Some(0))
    );
    assert_eq!(metrics["optimizer_nan_elements"].as_f64(), Some(1.0), "{metrics}");
    assert_eq!(metrics["optimizer_negative_elements"].as_f64(), Some(4.0), "{metrics}");
    assert_eq!(metrics["optimizer_steps"].as_f64(), Some(1.0), "{metrics}");
    assert!(model["remarks"].to_string().contains("state.0.exp_avg has 1 NaN"), "{}", model["remarks"]);
    let (code, out, _) = command(&["check", text(&file)]);
    assert!(code == 1 && out.contains("optimizer_state_broken"), "{out}");
    let config = place.store.with_extension("yaml");
    fs::write(&config, "weigh:\n  optimizer_states: false\n").unwrap();
    let alone = inspected(&[text(&file), "--config", text(&config)]);
    let metrics = &alone["model"]["metrics"];
    assert!(metrics.get("optimizer_nan_elements").is_none(), "{metrics}");
    assert_eq!(alone["model"]["coverage_ratio"].as_f64(), Some(1.0));
    let (code, out, _) = command(&["check", text(&file), "--config", text(&config)]);
    assert!(code == 0, "{out}");
}

#[test]
fn a_family_of_the_configuration_names_roles() {
    let place = Place::new();
    let file = place.store.with_extension("yaml");
    let families = "families:\n  - name: ours\n    parts:\n      - {names: rows, role: lm_head}\n      \
                    - {names: columns, role: attn_out}\n      - {names: norm, role: router}\n";
    fs::write(&file, families).unwrap();
    let shard = fixture("tensor/dcp/safetensors_two_ranks");
    let role = |value: &Value| {
        let tensors = value["tensors"].as_array().unwrap();
        tensors.iter().find(|tensor| tensor["name"] == "rows.weight").unwrap()["role"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let plain = inspected(&[text(&shard)]);
    let ours = inspected(&[text(&shard), "--config", text(&file)]);
    assert_eq!((ours["model"]["family"].as_str(), role(&ours).as_str()), (Some("ours"), "lm_head"));
    assert_ne!(role(&plain), "lm_head");
    fs::write(&file, "families:\n  - name: ours\n    parts: [{names: rows.weight, role: lm_head}]\n")
        .unwrap();
    let (code, _, error) = command(&["check-config", text(&file)]);
    assert!(code != 0 && error.contains("rows.weight") && error.contains(":1: families"), "{error}");
}
