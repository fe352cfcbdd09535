//! `kill -9` at random points: each commit is there once and whole, or not at all.
//!
//! The child is this test binary, started again for one test that commits until it is killed. How often is
//! set by `WEIGHBRIDGE_KILLS`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::make::{Numbers, finding, model_reading, open, with_spectra};

const CHILD: &str = "WEIGHBRIDGE_CRASH_CHILD";
const KILLS: u64 = 50;
const METRICS: [&str; 3] = ["mean", "std", "ks_statistic"];

fn reading(step: u64) -> weighbridge::terms::Reading {
    with_spectra(model_reading("r", step, 6, &METRICS, 64))
}

/// Not a test of its own: what the child does. Commits step after step and says so on standard output.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let store = open(dir.as_ref());
    let first = store.keys(&weighbridge::terms::RunId::new("r")).last().map_or(1, |key| key.step.0 + 1);
    for step in first.. {
        // A finding a step, and an update of the first one with each.
        let mut update = finding("r", 1, "f1");
        update.confidence = step as f64;
        let findings = [update, finding("r", step, &format!("f{step}"))];
        let findings = if step == 1 { &findings[..1] } else { &findings[..] };
        store.commit(&reading(step), findings, step.to_string().as_bytes()).unwrap();
        println!("\ncommitted {step}");
    }
}

#[test]
fn a_killed_store_has_each_commit_once_and_whole() {
    let kills = std::env::var("WEIGHBRIDGE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let dir = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(1);
    let mut acknowledged = 0;
    for _ in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::crash::child_that_commits", "--nocapture", "--test-threads=1"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // A few commits, and then a moment within the next: the kill, not the clock, is what is tested.
        let commits = numbers.next() % 4;
        let mut seen = 0;
        while seen < commits {
            let Some(line) = lines.next() else { break };
            if let Some(step) = line.strip_prefix("committed ") {
                acknowledged = step.parse().unwrap();
                seen += 1;
            }
        }
        std::thread::sleep(Duration::from_micros(numbers.next() % 20_000));
        child.kill().unwrap();
        let rest: Vec<String> = lines.collect();
        for line in rest {
            if let Some(step) = line.strip_prefix("committed ") {
                acknowledged = step.parse().unwrap_or(acknowledged);
            }
        }
        child.wait().unwrap();
        acknowledged = check(dir.path(), acknowledged);
    }
    assert!(acknowledged > kills, "{acknowledged} commits under {kills} kills are too few to mean anything");
}

/// All that was acknowledged is there, at most one more, and nothing twice; gives the newest step.
fn check(dir: &std::path::Path, acknowledged: u64) -> u64 {
    let store = open(dir);
    let run = weighbridge::terms::RunId::new("r");
    let steps: Vec<u64> = store.keys(&run).iter().map(|key| key.step.0).collect();
    let newest = steps.last().copied().unwrap_or(0);
    assert!(newest == acknowledged || newest == acknowledged + 1, "{newest} after {acknowledged}");
    assert_eq!(steps, (1..=newest).collect::<Vec<_>>());
    assert!(store.damage().is_empty(), "{:?}", store.damage());
    if newest > 0 {
        // The newest ones, and the first: all of them would make the test quadratic.
        for step in (newest.saturating_sub(2).max(1)..=newest).chain([1]) {
            assert_eq!(store.reading(&reading(step).key).unwrap(), Some(reading(step)));
        }
        let findings = store.findings(None).unwrap();
        let ids: Vec<String> = findings.iter().map(|finding| finding.id.0.clone()).collect();
        assert_eq!(ids, (1..=newest).map(|step| format!("f{step}")).collect::<Vec<_>>());
        assert_eq!(findings[0].confidence, newest as f64);
        let state = store.judge_state(&run, weighbridge::terms::Attempt(0)).unwrap();
        assert_eq!(state, Some(newest.to_string().into_bytes()));
    }
    newest
}
