//! From books and the latest scan to what is published.

use std::path::PathBuf;
use std::sync::Arc;

use super::book::{Book, order};
use super::scanner::Sight;
use crate::terms::{RunId, RunPhase, RunStatus, Step, TrainerState};

/// Points of a run's loss line that are published: enough for a sparkline.
const LOSSES_MAX: usize = 200;

/// Every run that has a book or was seen, sorted by name.
pub fn runs<'a>(
    books: impl Iterator<Item = &'a Book>,
    sight: &Sight,
    weighing: Option<&RunId>,
) -> Vec<Arc<RunStatus>> {
    let mut runs: Vec<_> = books.map(|book| status(book, sight, weighing)).collect();
    for (run, directory) in &sight.runs {
        if !runs.iter().any(|status| status.run == *run) {
            runs.push(unseen(run, directory.clone(), sight, weighing));
        }
    }
    runs.sort_by(|a, b| a.run.cmp(&b.run));
    runs.into_iter().map(Arc::new).collect()
}

/// True when the last planned step was weighed.
pub fn is_finished(book: &Book) -> bool {
    book.latest
        .as_ref()
        .is_some_and(|latest| latest.trainer.max_steps.is_some_and(|max| max > 0 && latest.key.step.0 >= max))
}

fn status(book: &Book, sight: &Sight, weighing: Option<&RunId>) -> RunStatus {
    let preview = book
        .preview
        .as_ref()
        .filter(|preview| book.latest.as_ref().is_none_or(|latest| latest.key.step < preview.key.step));
    let latest = preview.or(book.latest.as_ref()).cloned();
    let phase = match () {
        () if weighing == Some(&book.run) => RunPhase::Weighing,
        () if is_finished(book) => RunPhase::Finished,
        () if latest.is_some() => RunPhase::Watching,
        () => RunPhase::Waiting,
    };
    let losses = latest.as_ref().map(|latest| losses(&latest.trainer)).unwrap_or_default();
    let mut missed = book.missed.clone();
    missed
        .extend(sight.missed.get(&book.run).into_iter().flatten().copied().filter(|step| !has(book, *step)));
    missed.sort();
    missed.dedup();
    RunStatus {
        run: book.run.clone(),
        directory: sight.runs.get(&book.run).cloned().unwrap_or_else(|| book.directory.clone()),
        attempt: book.attempt,
        phase,
        latest,
        open: book.open_findings(),
        findings_total: book.findings.len() as u64,
        last_good: book.last_good().map(|known| (known.key.step, known.checkpoint.path.clone())),
        checkpoints_total: book.known.len() as u64,
        checkpoint_failures_total: book.failures_total,
        publish_delay_seconds: book.publish_delay_seconds,
        duration_seconds: book.duration_seconds,
        losses,
        pending: sight.pending.get(&book.run).cloned().unwrap_or_default(),
        missed,
        // A preview is of tier 1: it lacks more than a budget would.
        carried: if preview.is_none() { Arc::clone(&book.carried) } else { Arc::default() },
        newest_values: preview.or(book.newest_values.as_ref()).cloned(),
    }
}

fn has(book: &Book, step: Step) -> bool {
    book.known.iter().any(|known| order(&known.key).1 == step)
}

fn unseen(run: &RunId, directory: PathBuf, sight: &Sight, weighing: Option<&RunId>) -> RunStatus {
    let phase = if weighing == Some(run) { RunPhase::Weighing } else { RunPhase::Waiting };
    RunStatus {
        run: run.clone(),
        directory,
        attempt: Default::default(),
        phase,
        latest: None,
        open: Vec::new(),
        findings_total: 0,
        last_good: None,
        checkpoints_total: 0,
        checkpoint_failures_total: 0,
        publish_delay_seconds: None,
        duration_seconds: 0.0,
        losses: Vec::new(),
        pending: sight.pending.get(run).cloned().unwrap_or_default(),
        missed: sight.missed.get(run).cloned().unwrap_or_default(),
        carried: Arc::default(),
        newest_values: None,
    }
}

/// Every n-th logged loss and the newest, at most [`LOSSES_MAX`].
fn losses(trainer: &TrainerState) -> Vec<(u64, f64)> {
    let all: Vec<_> = trainer.log.iter().filter_map(|point| Some((point.step, point.loss?))).collect();
    let stride = all.len().div_ceil(LOSSES_MAX).max(1);
    let newest = all.len().saturating_sub(1);
    let kept = all.iter().enumerate().filter(|(index, _)| index % stride == newest % stride);
    kept.map(|(_, &point)| point).collect()
}
