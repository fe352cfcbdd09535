//! Killed at any moment, the daemon's store has each checkpoint once and each finding once.
//!
//! `WEIGHBRIDGE_KILLS` says how often it is killed; 50 in the usual run.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::util::TrainingRun;
use crate::util::daemon::binary;

#[test]
fn killed_while_it_replays_nothing_is_lost_and_nothing_is_twice() {
    let kills: u32 = std::env::var("WEIGHBRIDGE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let place = tempfile::tempdir().unwrap();
    let runs = place.path().join("runs");
    let mut run = TrainingRun::new(&runs, "a", 1);
    for step in 1..=40 {
        let sick = (20..23).contains(&step);
        run.train();
        let clean = run.weights.clone();
        if sick {
            run.poison("transformer.h.1.mlp.c_fc.weight", 7, f32::NAN);
        }
        run.save_as_is(step * 10);
        run.weights = clean;
    }
    let expected = replayed(&runs, &place.path().join("undisturbed"));
    assert_eq!(expected.0.len(), 40);
    assert!(!expected.1.is_empty());
    let mut killed = 0;
    let mut round = 0;
    while killed < kills {
        let store = place.path().join(format!("store{round}"));
        round += 1;
        // Kill it again and again until one replay gets to its end.
        while killed < kills {
            let mut child = start(&runs, &store);
            std::thread::sleep(Duration::from_millis(20 + u64::from(killed.wrapping_mul(7919) % 600)));
            let done = child.try_wait().unwrap().is_some();
            child.kill().ok();
            child.wait().unwrap();
            if done {
                break;
            }
            killed += 1;
        }
        assert_eq!(replayed(&runs, &store), expected, "after {killed} kills");
        std::fs::remove_dir_all(&store).unwrap();
    }
}

fn start(runs: &std::path::Path, store: &std::path::Path) -> std::process::Child {
    Command::new(binary())
        .arg("replay")
        .arg(runs)
        .arg("--store")
        .arg(store)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

type Readings = BTreeMap<(String, String), String>;

/// Replays to the end; gives every value of a metric by attempt and step, and the findings.
fn replayed(runs: &std::path::Path, store: &std::path::Path) -> (Readings, Vec<String>) {
    let status = start(runs, store).wait().unwrap();
    assert!(status.success(), "replay ended with {status}");
    let ask = |arguments: &[&str]| {
        let output = Command::new(binary()).args(arguments).arg("--store").arg(store).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let csv = ask(&["history", "--metric", "rms", "--tensor", "transformer.wte.weight"]);
    let mut readings = Readings::new();
    for line in csv.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let before = readings.insert((fields[1].into(), fields[2].into()), fields[fields.len() - 1].into());
        assert!(before.is_none(), "step {} has two readings", fields[2]);
    }
    let findings = ask(&["findings", "--format", "jsonl"]);
    (readings, findings.lines().map(String::from).collect())
}
