//! What the store remembers of checkpoints that are gone, asked while the daemon holds it.

use serde_json::Value;

use super::*;
use crate::util::training::{Tensors, TrainingRun};
use crate::util::{agent, wait_for};

/// Checkpoints that stay on disk, as a trainer with `save_total_limit=2` leaves them.
const ON_DISK: usize = 2;

/// Writes a run of eight checkpoints while the daemon watches; `spoil` may change the weights that a
/// step writes, from those of all steps before it. What is not among the newest two is deleted.
fn play(daemon: &Daemon, run: &mut TrainingRun, spoil: &dyn Fn(u64, &mut TrainingRun, &[Tensors])) {
    let name = run.name();
    let mut honest: Vec<Tensors> = Vec::new();
    for step in (10..=80).step_by(10) {
        run.train();
        honest.push(run.weights.clone());
        spoil(step, run, &honest);
        run.save_as_is(step);
        wait_for_total(daemon, &name, honest.len() as u64);
        if honest.len() > ON_DISK {
            run.rotate_away(step - 10 * ON_DISK as u64);
        }
    }
    assert_eq!(std::fs::read_dir(&run.directory).unwrap().count(), ON_DISK);
}

fn exchange(weights: &mut Tensors, left: &str, right: &str) {
    let first = weights[left].clone();
    let second = weights.insert(right.to_owned(), first).unwrap();
    weights.insert(left.to_owned(), second);
}

fn layer(weights: &Tensors, layer: usize) -> Vec<String> {
    weights.keys().filter(|name| name.contains(&format!("h.{layer}."))).cloned().collect()
}

/// What `weighbridge trajectory` says of a run, by step.
fn events(place: &Place, run: &str) -> Vec<(u64, Value)> {
    let (code, json, error) =
        command(&["trajectory", run, "--store", text(&place.store), "--format", "json"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let answer: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(answer["keys"].as_array().unwrap().len(), 8, "{answer}");
    assert!(answer["diffusion_standard_error"].is_number(), "{answer}");
    let events = answer["events"].as_array().unwrap().iter();
    events.map(|event| (event["key"]["step"].as_u64().unwrap(), event["oddity"].clone())).collect()
}

#[test]
fn faults_are_told_from_the_store_alone_while_checkpoints_rotate_away() {
    let place = Place::new();
    let daemon = place.watch_with("weigh:\n  tier: 1\n");
    let run = |name: &str, seed| TrainingRun::new(&place.runs, name, seed);
    play(&daemon, &mut run("honest", 1), &|_, _, _| {});
    play(&daemon, &mut run("swapped", 2), &|step, run, _| {
        if step == 40 {
            for name in layer(&run.weights.clone(), 0) {
                exchange(&mut run.weights, &name, &name.replace("h.0.", "h.1."));
            }
        }
    });
    play(&daemon, &mut run("duplicated", 3), &|step, run, _| {
        if step == 40 {
            for name in layer(&run.weights.clone(), 1) {
                let copy = run.weights[&name.replace("h.1.", "h.0.")].clone();
                run.weights.insert(name, copy);
            }
        }
    });
    play(&daemon, &mut run("rolled", 4), &|step, run, honest| {
        if step == 60 {
            run.weights = honest[2].clone();
        }
    });
    play(&daemon, &mut run("stale", 5), &|step, run, honest| {
        run.weights = honest.last().unwrap().clone();
        if step == 60 {
            for name in layer(&run.weights.clone(), 1) {
                run.weights.insert(name.clone(), honest[2][&name].clone());
            }
        }
        if step == 70 {
            // The shard is written again from the weights in memory.
            run.train();
            for name in layer(&run.weights.clone(), 1) {
                run.weights.insert(name.clone(), honest[6][&name].clone());
            }
        }
    });
    let told = |run: &str| events(&place, run);
    let live: Vec<_> = ["honest", "swapped", "duplicated", "rolled", "stale"].map(told).into();
    assert_eq!(live[0], []);
    assert_eq!(live[1].iter().map(|(step, _)| *step).collect::<Vec<_>>(), [40]);
    // Norms of one layer are hardly other than those of the next, so they may go unnamed.
    let swapped = live[1][0].1["swapped"].as_array().unwrap();
    let matrices = layer(&run("x", 1).weights, 0).into_iter().filter(|name| !name.contains("ln_"));
    for name in matrices {
        let names =
            |swap: &Value| [swap["tensor"].clone(), swap["with"].clone()].contains(&name.as_str().into());
        assert!(swapped.iter().any(names), "{name}: {swapped:?}");
    }
    assert_eq!(live[2].iter().map(|(step, _)| *step).collect::<Vec<_>>(), [40]);
    assert_eq!(live[2][0].1["copied"].as_array().unwrap().len(), layer(&run("x", 1).weights, 0).len());
    assert_eq!(live[3].iter().map(|(step, _)| *step).collect::<Vec<_>>(), [60]);
    assert_eq!(live[3][0].1["again"]["step"], 30);
    let stale = live[4].iter().find(|(step, _)| *step == 60).unwrap_or_else(|| panic!("{:?}", live[4]));
    assert_eq!(stale.1["went_back"]["to"]["step"], 30, "{stale:?}");
    assert_eq!(
        stale.1["went_back"]["tensors"].as_array().unwrap().len(),
        layer(&run("x", 1).weights, 0).len()
    );
    // Steps that are long gone from the disk have a distance, with its error; so have two runs and siblings.
    let ask = |arguments: &[&str]| -> Value {
        let all = [&["distance"], arguments, &["--store", text(&place.store), "--format", "json"]].concat();
        let (code, json, error) = command(&all);
        assert_eq!((code, error.as_str()), (0, ""), "{all:?}");
        serde_json::from_str(&json).unwrap()
    };
    let apart = ask(&["honest", "10", "80"]);
    assert!(apart["distance"].as_f64().unwrap() > 0.0 && apart["standard_error"].is_number());
    assert_eq!(ask(&["rolled", "30", "60"])["distance"], 0.0);
    let across = ask(&["honest", "10", "10", "--with", "stale"]);
    assert!(across["not_compared"].as_array().unwrap().is_empty());
    let tensors = across["tensors"].as_array().unwrap();
    let embedding = tensors.iter().find(|tensor| tensor["tensor"] == "transformer.wte.weight").unwrap();
    // Two seeds have nothing in common but the gains of their norms.
    assert!(embedding["cosine"].as_f64().unwrap().abs() < 0.3, "{embedding}");
    let siblings = ask(&["duplicated", "40", "--siblings", "transformer.h.0.attn.c_attn.weight"]);
    assert_eq!(
        (&siblings[0]["tensor"], siblings[0]["distance"].as_f64()),
        (&"transformer.h.1.attn.c_attn.weight".into(), Some(0.0))
    );
    let words = command(&["distance", "honest", "10", "80", "--store", text(&place.store)]).1;
    assert!(words.contains(" ± "), "{words}");
    let refused = command(&["distance", "honest", "10", "81", "--store", text(&place.store)]);
    assert_eq!(refused.0, 2);
    assert!(refused.2.contains("no checkpoint of step 81"), "{}", refused.2);
    // A backup is taken while the daemon goes on, and is the same store.
    let file = place.store.with_extension("backup");
    let (code, json, error) = command(&["store", "backup", text(&file), "--store", text(&place.store)]);
    assert_eq!((code, error.as_str()), (0, ""));
    let commits = serde_json::from_str::<Value>(&json).unwrap()["commits"].as_u64().unwrap();
    assert!(commits >= 40, "{json}");
    assert_eq!(
        command(&["store", "backup", text(&file), "--store", text(&place.store)]).0,
        2,
        "never overwritten"
    );
    assert_eq!(command(&["store", "stats", "--store", text(&place.store)]).0, 0);
    daemon.terminate();
    // At rest the same is told.
    assert_eq!(["honest", "swapped", "duplicated", "rolled", "stale"].map(told).to_vec(), live);
    let restored = place.store.with_extension("restored");
    assert_eq!(command(&["store", "restore", text(&file), "--store", text(&restored)]).0, 0);
    let history = |store: &Path| command(&["history", "--metric", "rms", "--store", text(store)]);
    assert_eq!(history(&restored), history(&place.store));
    assert_eq!(ask(&["rolled", "30", "60"])["distance"], 0.0);
}

#[test]
fn retention_of_the_configuration_works_while_the_daemon_runs() {
    let place = Place::new();
    let config = "keep:\n  retention:\n    interval_seconds: 0.2\n    sketches: {newest: 2, older: 1}\n    quantiles: {newest: 1, older: 0}\n    tier_two: {newest: 3, older: 0}\n";
    let daemon = place.watch_with(config);
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    for (count, step) in (10..=80).step_by(10).enumerate() {
        run.save(step);
        wait_for_total(&daemon, "a", count as u64 + 1);
    }
    let stats = || -> Option<Value> {
        let url = format!("{}/api/v1/store", daemon.url);
        serde_json::from_str(&agent().get(url).call().ok()?.body_mut().read_to_string().ok()?).ok()
    };
    wait_for("sketches of three checkpoints", || (stats()?["runs"][0]["with_sketches"] == 3).then_some(()));
    daemon.terminate();
    let steps = |metric: &str, tensor: &str| {
        let arguments = ["history", "--store", text(&place.store), "--metric", metric, "--tensor", tensor];
        let (_, csv, _) = command(&arguments);
        csv.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect::<Vec<u64>>()
    };
    let tensor = "transformer.h.0.attn.c_attn.weight";
    assert_eq!(steps("rms", tensor), [10, 20, 30, 40, 50, 60, 70, 80]);
    assert_eq!(steps("stable_rank", tensor), [60, 70, 80]);
    let gone = command(&["distance", "a", "20", "80", "--store", text(&place.store)]);
    assert!(gone.0 == 2 && gone.2.contains("its sketches were not kept"), "{gone:?}");
    assert_eq!(command(&["distance", "a", "10", "80", "--store", text(&place.store)]).0, 0);
    let refused = command(&["check-config", text(&place.store.with_extension("yaml"))]);
    assert_eq!(refused.0, 0, "{refused:?}");
}
