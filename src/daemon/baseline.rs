//! The stored run that the others are compared with, read once.

use super::{Error, Weighing};
use crate::detect::{BASELINE_POINTS_MAX, Baseline};
use crate::store::Store;
use crate::terms::RunId;

/// Runs named in a refusal.
const NAMED_MAX: usize = 10;

/// The weighing with the baseline that it names read from the store: the run's newest attempt, as it is now.
/// `asked` goes before the configuration. A run that the store does not know is refused: nothing would ever
/// be compared with it.
pub fn with_baseline(store: &Store, mut weighing: Weighing, asked: Option<&str>) -> Result<Weighing, Error> {
    let named = weighing.detect.baseline.as_ref().map(|baseline| baseline.run.clone());
    let Some(run) = asked.map(RunId::new).or(named) else { return Ok(weighing) };
    let attempts = store.keys(&run).into_iter().map(|key| key.attempt);
    let attempt = attempts.max().ok_or_else(|| unknown(store, &run))?;
    let history = store.history(&run, attempt, BASELINE_POINTS_MAX)?;
    weighing.detect.baseline = Some(Baseline::new(&run, &history));
    Ok(weighing)
}

fn unknown(store: &Store, run: &RunId) -> Error {
    let runs = store.runs();
    let names: Vec<&str> = runs.iter().take(NAMED_MAX).map(|summary| summary.run.as_str()).collect();
    let known = match names.len() {
        0 => String::from("it has none yet: `weighbridge replay` puts a finished run there"),
        _ => format!("it has {}", names.join(", ")),
    };
    Error::Baseline { run: run.as_str().to_owned(), known }
}
