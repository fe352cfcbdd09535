//! What takes long to look up is looked up when a checkpoint is published, not when somebody waits for it.
//!
//! The first pictures of a run's view rest on all its checkpoints, its way through weight space even on the sketches
//! of many: a few tenths of a second on a long run of a large model, beside the many seconds that weighing the
//! checkpoint took. The past of a tensor lies in the same blocks as that of all others: whoever looked at one finds
//! the blocks in memory, where the disk would take half a second.

use std::collections::HashMap;
use std::sync::Arc;

use super::app::Site;
use super::past::AHEAD_MAX;
use super::routes::asked::Asked;
use super::routes::checkpoints::over_time;
use super::routes::runs::{PICTURES, picture};
use crate::terms::{RunId, RunStatus, Snapshot};

/// Checkpoints of each run when its pictures were drawn last.
type Drawn = HashMap<RunId, u64>;

/// A run with its checkpoints' number, and when the newest was written.
type Standing = (RunId, u64, f64);

/// Keeps the first pictures of the runs that moved last fresh, until the server is to end.
pub async fn look_ahead(site: Site) {
    let (mut snapshots, mut stopping) = (site.snapshots.clone(), site.stopping.clone());
    let mut drawn = Drawn::new();
    loop {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        // While a backlog is worked through, each picture would be old before anybody saw it.
        if snapshot.ready && snapshot.queue_checkpoints == 0 {
            let moved = moved(standings(&snapshot), &mut drawn);
            let site = site.clone();
            // What fails here fails again, and is told, when somebody asks.
            let _ = tokio::task::spawn_blocking(move || draw(&site, &moved)).await;
        }
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { return },
            _ = stopping.changed() => return,
        }
    }
}

fn draw(site: &Site, runs: &[RunId]) {
    let wanted = runs.iter().flat_map(|run| PICTURES.map(|id| (run, id)));
    for (run, id) in wanted.take_while(|_| !*site.stopping.borrow()) {
        let _ = picture(site, run, id, Asked::default());
    }
    for run in runs.iter().take_while(|_| !*site.stopping.borrow()) {
        let Ok(Some(reading)) = site.latest(run) else { continue };
        if let Some(tensor) = reading.tensors.first() {
            let _ = over_time(site, &reading.key, &tensor.facts.name);
        }
    }
}

fn standings(snapshot: &Snapshot) -> Vec<Standing> {
    let standing = |status: &Arc<RunStatus>| {
        let newest = status.latest.as_ref()?.checkpoint.timestamp_seconds;
        Some((status.run.clone(), status.checkpoints_total, newest))
    };
    snapshot.runs.iter().filter_map(standing).collect()
}

/// Runs whose number of checkpoints `drawn` does not know yet, newest first, as many as are kept; from now
/// on it knows them.
fn moved(mut runs: Vec<Standing>, drawn: &mut Drawn) -> Vec<RunId> {
    let known = runs.iter().map(|(run, total, _)| (run.clone(), *total)).collect();
    runs.retain(|(run, total, _)| drawn.get(run) != Some(total));
    runs.sort_by(|a, b| b.2.total_cmp(&a.2));
    runs.truncate(AHEAD_MAX);
    *drawn = known;
    runs.into_iter().map(|(run, ..)| run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_moved_is_drawn_again_and_the_newest_first() {
        let run = |number: u64, total: u64| (RunId::new(format!("run-{number}")), total, number as f64);
        let mut drawn = Drawn::new();
        let first = moved((0..20).map(|number| run(number, 3)).collect(), &mut drawn);
        let newest: Vec<RunId> = (12..20).rev().map(|number| run(number, 3).0).collect();
        assert_eq!(first, newest);
        let later: Vec<Standing> = (0..20).map(|number| run(number, 3 + u64::from(number == 7))).collect();
        assert_eq!(moved(later.clone(), &mut drawn), [run(7, 4).0]);
        assert!(moved(later, &mut drawn).is_empty());
        // A run that was forgotten and comes back with as many checkpoints is another one.
        assert!(moved(vec![run(1, 3)], &mut drawn).is_empty());
        assert_eq!(moved(vec![run(1, 3), run(2, 3)], &mut drawn), [run(2, 3).0]);
    }
}
