//! A daemon that has nothing to weigh does nothing.

use std::sync::Arc;
use std::time::Duration;

use weighbridge::store::Store;
use weighbridge::telemetry::Counters;
use weighbridge::{daemon, measure};

use super::Place;
use crate::util::{TrainingRun, wait_for};

/// More than stay in memory: the judges of most rest in the store.
const RUNS: usize = 6;
const IN_MEMORY: usize = 1;

#[test]
fn an_idle_daemon_with_many_runs_reads_nothing_and_publishes_nothing() {
    let place = Place::new();
    for index in 0..RUNS {
        let mut run = TrainingRun::new(&place.runs, &format!("run-{index}"), index as u64);
        (1..=3).for_each(|step| drop(run.save(step * 10)));
    }
    let store = Store::open(&place.store, &measure::catalog(), &Default::default()).unwrap();
    let settings = daemon::Settings {
        roots: vec![place.runs.clone()],
        runs_in_memory: IN_MEMORY,
        rescan_interval: Duration::from_millis(500),
        settle_interval: Duration::from_millis(50),
        ..daemon::Settings::default()
    };
    let weighing = daemon::Weighing {
        checkpoint: weighbridge::checkpoint::Settings { settle_seconds: 0.05, ..Default::default() },
        plan: measure::Plan { tier: weighbridge::terms::Tier::One, ..measure::Plan::default() },
        ..daemon::Weighing::default()
    };
    let counters = Arc::new(Counters::default());
    let mut daemon = daemon::start(settings, weighing, store.clone(), counters).unwrap();
    wait_for("all checkpoints to be weighed", || {
        let snapshot = daemon.snapshots.borrow().clone();
        let weighed: u64 = snapshot.runs.iter().map(|run| run.checkpoints_total).sum();
        (weighed == 3 * RUNS as u64 && snapshot.queue_checkpoints == 0).then_some(())
    });
    // Two looks around, at least: what the last job left behind is published by then.
    std::thread::sleep(Duration::from_secs(5));
    daemon.snapshots.borrow_and_update();
    let before = store.reads();
    assert!(before > 0, "the count works");
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(store.reads(), before, "looks around without a reason read the store");
    assert!(!daemon.snapshots.has_changed().unwrap(), "nothing changed, and it was published");
    assert!(daemon.drain());
}
