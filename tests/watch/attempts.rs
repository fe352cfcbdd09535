//! Runs that are resumed, restarted or begun again in their directory, and bare files.

use std::fs;

use super::*;
use crate::util::training::{TrainingRun, encode};

fn attempts(place: &Place, run: &str) -> Vec<(u32, u64)> {
    let (_, csv, _) = command(&[
        "history",
        "--store",
        text(&place.store),
        "--metric",
        "rms",
        "--run",
        run,
        "--tensor",
        "*wte*",
    ]);
    let number = |line: &str, column: usize| line.split(',').nth(column).unwrap().parse::<u64>().unwrap();
    csv.lines().skip(1).map(|line| (number(line, 1) as u32, number(line, 2))).collect()
}

#[test]
fn restarted_from_an_older_step_is_a_new_attempt() {
    let place = Place::new();
    let daemon = place.watch();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    for step in [10, 20, 30] {
        run.save(step);
        wait_for_step(&daemon, "a", step);
    }
    // The trainer begins again at step 10: its steps 20 and 30 are other ones, written over the old.
    let mut again = TrainingRun::new(&place.runs, "a", 99);
    for (step, total) in [(20, 4), (30, 5)] {
        again.save(step);
        wait_for_total(&daemon, "a", total);
    }
    assert_eq!(active(&daemon.scrape(), "a", "rollback"), 0.0, "a planned rollback is no fault");
    daemon.terminate();
    assert_eq!(attempts(&place, "a"), [(0, 10), (0, 20), (0, 30), (1, 20), (1, 30)]);
}

#[test]
fn resumed_after_a_pause_is_the_same_attempt() {
    let place = Place::new();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    run.save(10);
    let daemon = place.watch();
    wait_for_step(&daemon, "a", 10);
    daemon.kill();
    run.save(20);
    let daemon = place.watch();
    wait_for_step(&daemon, "a", 20);
    run.save(30);
    wait_for_step(&daemon, "a", 30);
    daemon.terminate();
    assert_eq!(attempts(&place, "a"), [(0, 10), (0, 20), (0, 30)]);
}

#[test]
fn bare_file_overwritten_in_place_is_weighed_at_every_version() {
    let place = Place::new();
    let daemon = place.watch();
    let mut run = TrainingRun::new(&place.store.with_extension("elsewhere"), "x", 1);
    let file = place.runs.join("model.safetensors");
    for version in 1..=3 {
        run.train();
        let written = place.runs.join("model.part");
        fs::write(&written, encode(&run.weights)).unwrap();
        fs::rename(&written, &file).unwrap();
        daemon.wait_for(&format!("version {version}; it said:\n{}", daemon.said()), |scrape| {
            let all: f64 = metric("checkpoints_total").all(scrape).iter().sum();
            (all == f64::from(version)).then_some(())
        });
    }
}

#[test]
fn shards_and_runs_that_appear_later_are_found() {
    let place = Place::new();
    let daemon = place.watch();
    let mut run = TrainingRun::new(&place.runs, "team/b", 3);
    let path = run.save(10);
    wait_for_step(&daemon, "team/b", 10);
    // The next one in two shards, with their index.
    run.train();
    let half = run.begin(20);
    fs::remove_file(half.path.join("model.safetensors")).unwrap();
    let mut index = serde_json::Map::new();
    let (first, second): (Vec<_>, Vec<_>) =
        run.weights.clone().into_iter().partition(|(name, _)| name.contains(".h.0."));
    for (name, part) in
        [("model-00001-of-00002.safetensors", first), ("model-00002-of-00002.safetensors", second)]
    {
        part.iter().for_each(|(tensor, _)| drop(index.insert(tensor.clone(), name.into())));
        fs::write(half.path.join(name), encode(&part.into_iter().collect())).unwrap();
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": index});
    fs::write(half.path.join("model.safetensors.index.json"), index.to_string()).unwrap();
    let state = fs::read_to_string(path.join("trainer_state.json"))
        .unwrap()
        .replace("\"global_step\":10", "\"global_step\":20");
    fs::write(half.path.join("trainer_state.json"), state).unwrap();
    wait_for_step(&daemon, "team/b", 20);
    let scrape = daemon.scrape();
    assert_eq!(metric("checkpoint_failures_total").label("run", "team/b").of(&scrape), Some(0.0));
    assert_eq!(metric("tensor_rms").label("run", "team/b").all(&scrape).len(), run.weights.len());
}
