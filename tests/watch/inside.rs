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
