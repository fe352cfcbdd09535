//! Complete or not yet.

use std::fs;

use super::*;
use crate::util::training::{TrainingRun, encode};

#[test]
fn half_written_is_not_weighed_until_it_is_whole() {
    let place = Place::new();
    let daemon = place.watch();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    let half = run.begin(10);
    a_while();
    assert_eq!(total(&daemon, "a"), 0.0, "weighed half a file");
    half.finish_weights();
    a_while();
    assert_eq!(total(&daemon, "a"), 0.0, "weighed before the state file was there");
    half.finish();
    wait_for_step(&daemon, "a", 10);
    let scrape = daemon.scrape();
    assert_eq!(metric("checkpoint_failures_total").label("run", "a").of(&scrape), Some(0.0));
    assert_eq!(metric("coverage_ratio").label("run", "a").of(&scrape), Some(1.0));
    assert!(metric("run_loss").label("run", "a").of(&scrape).unwrap() > 2.0);
}

#[test]
fn growing_file_is_left_alone() {
    let place = Place::new();
    let daemon = place.watch();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    run.train();
    let bytes = encode(&run.weights);
    let path = run.save_as_is(10).join("model.safetensors");
    // The state file is there already; the weights grow under it, as over a slow network.
    for part in 1..8 {
        fs::write(&path, &bytes[..bytes.len() * part / 8]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(total(&daemon, "a"), 0.0, "weighed a growing file");
    }
    fs::write(&path, &bytes).unwrap();
    wait_for_step(&daemon, "a", 10);
    assert_eq!(metric("checkpoint_failures_total").label("run", "a").of(&daemon.scrape()), Some(0.0));
}

#[test]
fn renamed_into_place_is_weighed_once() {
    let place = Place::new();
    let daemon = place.watch();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    let path = run.save(10);
    wait_for_step(&daemon, "a", 10);
    let other = place.runs.join("a/tmp-checkpoint-20");
    fs::create_dir_all(&other).unwrap();
    run.train();
    let written = run.save(20);
    fs::remove_dir_all(&other).unwrap();
    fs::rename(&written, &other).unwrap();
    a_while();
    fs::rename(&other, &written).unwrap();
    wait_for_step(&daemon, "a", 20);
    wait_for_total(&daemon, "a", 2);
    a_while();
    assert_eq!(total(&daemon, "a"), 2.0);
    assert!(path.exists(), "the daemon never touches a checkpoint");
}

#[test]
fn rotated_away_costs_nothing_stored() {
    let place = Place::new();
    let daemon = place.watch();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    for step in [10, 20, 30, 40] {
        run.save(step);
        wait_for_step(&daemon, "a", step);
        if step > 10 {
            run.rotate_away(step - 10);
        }
    }
    a_while();
    let scrape = daemon.scrape();
    assert_eq!(metric("checkpoints_total").label("run", "a").of(&scrape), Some(4.0));
    assert_eq!(metric("checkpoint_failures_total").label("run", "a").of(&scrape), Some(0.0));
    daemon.terminate();
    let (code, csv, _) = command(&["history", "--store", text(&place.store), "--metric", "rms"]);
    assert_eq!(code, 0);
    for step in ["10", "20", "30", "40"] {
        assert!(csv.lines().any(|line| line.split(',').nth(2) == Some(step)), "no step {step} in\n{csv}");
    }
}

#[test]
fn vanishing_while_it_is_read_is_rotation_and_no_fault() {
    let place = Place::new();
    // So slow that the checkpoint is still being read when it goes.
    let daemon = place.watch_with("weigh: {bytes_per_second: 40000}\n");
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    run.save(10);
    crate::util::wait_for("the weighing to begin", || {
        crate::util::get(&format!("{}/api/v1/state", daemon.url))
            .is_some_and(|state| state.contains("\"weighing\""))
            .then_some(())
    });
    run.rotate_away(10);
    a_while();
    run.save(20);
    wait_for_step(&daemon, "a", 20);
    let scrape = daemon.scrape();
    assert_eq!(metric("checkpoints_total").label("run", "a").of(&scrape), Some(1.0));
    assert_eq!(metric("checkpoint_failures_total").label("run", "a").of(&scrape), Some(0.0));
    assert!(daemon.said().contains("checkpoint missed"), "silent about it:\n{}", daemon.said());
}

#[test]
fn arriving_out_of_order_belongs_to_the_same_attempt() {
    let place = Place::new();
    let daemon = place.watch();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    let late = run.save(10);
    let hidden = place.runs.join(".late");
    fs::rename(&late, &hidden).unwrap();
    for step in [20, 30] {
        run.save(step);
        wait_for_step(&daemon, "a", step);
    }
    fs::rename(&hidden, &late).unwrap();
    wait_for_total(&daemon, "a", 3);
    wait_for_step(&daemon, "a", 30);
    daemon.terminate();
    let (_, csv, _) = command(&["history", "--store", text(&place.store), "--metric", "rms"]);
    assert!(csv.lines().skip(1).all(|line| line.split(',').nth(1) == Some("0")), "another attempt in\n{csv}");
}

#[test]
fn truncated_for_good_is_a_finding_and_the_daemon_goes_on() {
    let place = Place::new();
    let daemon = place.watch();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    run.save(10);
    wait_for_step(&daemon, "a", 10);
    let path = run.save(20).join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
    // The next checkpoint says that this one will not get whole any more; file times are a few
    // milliseconds coarse.
    std::thread::sleep(std::time::Duration::from_millis(50));
    run.save(30);
    wait_for_step(&daemon, "a", 30);
    wait_for_total(&daemon, "a", 3);
    assert_eq!(metric("checkpoint_failures_total").label("run", "a").of(&daemon.scrape()), Some(1.0));
    daemon.terminate();
    let (_, jsonl, _) = command(&["findings", "--store", text(&place.store), "--format", "jsonl"]);
    let finding: serde_json::Value = jsonl
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|finding: &serde_json::Value| finding["step"] == 20)
        .unwrap();
    let told = finding.to_string();
    assert!(told.contains("model.safetensors") && told.contains("byte"), "names no file and offset: {told}");
}

#[test]
fn polling_does_the_same_job() {
    let place = Place::new();
    let daemon = place.watch_with("watch: {mode: poll, poll_interval_seconds: 0.3}\n");
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    for step in [10, 20] {
        run.save(step);
        wait_for_step(&daemon, "a", step);
    }
    let mut later = TrainingRun::new(&place.runs, "deep/below/b", 2);
    later.save(5);
    wait_for_step(&daemon, "deep/below/b", 5);
}

#[test]
fn what_is_there_at_start_is_weighed_in_step_order_and_none_is_skipped() {
    let place = Place::new();
    for (name, seed) in [("a", 1), ("b", 2)] {
        let mut run = TrainingRun::new(&place.runs, name, seed);
        (1..=12).for_each(|step| drop(run.save(step * 10)));
    }
    let daemon = place.watch();
    for run in ["a", "b"] {
        wait_for_total(&daemon, run, 12);
        wait_for_step(&daemon, run, 120);
    }
    assert_eq!(daemon.terminate().code(), Some(0));
    let (_, csv, _) = command(&[
        "history",
        "--store",
        text(&place.store),
        "--metric",
        "update_ratio",
        "--run",
        "a",
        "--tensor",
        "*wte*",
    ]);
    let steps: Vec<u64> =
        csv.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    let wanted: Vec<u64> = (2..=12).map(|step| step * 10).collect();
    assert_eq!(steps, wanted, "each is compared with the one before it");
}
