//! Readings from the store, the newest from the snapshot, the last looked at from memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::app::Site;
use crate::report::figures::run::{Column, Onset};
use crate::store::{Error, Series};
use crate::terms::{Finding, Meaning, Reading, ReadingKey, RunId, RunStatus, Severity, Step, Subject};

/// Readings that were looked at last. One of a 150-tensor model takes about 0.7 MB with its sketches.
#[derive(Debug, Default)]
pub struct Readings {
    kept: Mutex<VecDeque<Arc<Reading>>>,
}

impl Readings {
    /// Enough for two checkpoints side by side with their neighbours on the slider.
    const KEPT_MAX: usize = 8;

    fn find(&self, key: &ReadingKey) -> Option<Arc<Reading>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|reading| &reading.key == key).cloned()
    }

    fn keep(&self, reading: Arc<Reading>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= Self::KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(reading);
    }
}

impl Site {
    /// The run as it stands.
    pub fn status(&self, run: &RunId) -> Option<Arc<RunStatus>> {
        self.snapshots.borrow().runs.iter().find(|status| &status.run == run).cloned()
    }

    /// The key of a step: of the given attempt, else of the newest attempt that has it.
    pub fn key(&self, run: &RunId, step: Step, attempt: Option<u32>) -> Option<ReadingKey> {
        let wanted =
            |key: &ReadingKey| key.step == step && attempt.is_none_or(|attempt| key.attempt.0 == attempt);
        self.store.keys(run).into_iter().rev().find(wanted)
    }

    /// A reading by its key.
    pub fn reading(&self, key: &ReadingKey) -> Result<Option<Arc<Reading>>, Error> {
        let live = self.status(&key.run).and_then(|status| status.latest.clone()).filter(|r| &r.key == key);
        if let Some(reading) = live.or_else(|| self.readings.find(key)) {
            return Ok(Some(reading));
        }
        let reading = self.store.reading(key)?.map(Arc::new);
        if let Some(reading) = &reading {
            self.readings.keep(reading.clone());
        }
        Ok(reading)
    }

    /// The newest reading of the run.
    pub fn latest(&self, run: &RunId) -> Result<Option<Arc<Reading>>, Error> {
        match self.status(run).and_then(|status| status.latest.clone()) {
            Some(reading) => Ok(Some(reading)),
            None => Ok(self.store.latest(run)?.map(Arc::new)),
        }
    }

    /// Openings of a run's findings at or above warning, for the step axis.
    pub fn onsets(&self, run: &RunId) -> Result<Vec<Onset>, Error> {
        let findings = self.store.findings(Some(run))?;
        let onset =
            |finding: &Finding| Onset { step: finding.step.0, label: finding.detector.replace('_', " ") };
        Ok(findings.iter().filter(|finding| finding.severity >= Severity::Warning).map(onset).collect())
    }

    /// Series as columns of the newest attempt that has each step, with the meaning that the newest
    /// reading gives them; by role and layer.
    pub fn columns(&self, run: &RunId, series: Vec<Series>) -> Result<Vec<Column>, Error> {
        let latest = self.latest(run)?;
        let meaning = |name: &str| latest.as_ref().and_then(|r| r.tensor(name)).map(|t| t.facts.meaning);
        let mut columns: Vec<(Option<Meaning>, Column)> = series
            .into_iter()
            .map(|series| {
                let meaning = if let Subject::Tensor(name) = &series.subject { meaning(name) } else { None };
                (meaning, column(series, meaning))
            })
            .collect();
        columns.sort_by(|(_, a), (_, b)| {
            (a.role.is_none(), a.role, a.layer, &a.name).cmp(&(b.role.is_none(), b.role, b.layer, &b.name))
        });
        Ok(columns.into_iter().map(|(_, column)| column).collect())
    }
}

fn column(series: Series, meaning: Option<Meaning>) -> Column {
    // Points come by attempt and step: a later attempt's value of a step replaces the earlier one's.
    let mut points: Vec<(u64, f64)> = Vec::with_capacity(series.points.len());
    for (key, _, value) in &series.points {
        points.push((key.step.0, *value));
    }
    points.reverse();
    points.sort_by_key(|point| point.0);
    points.dedup_by_key(|point| point.0);
    let (name, layer) = match &series.subject {
        Subject::Tensor(name) => (name.to_string(), meaning.and_then(|meaning| meaning.layer)),
        Subject::Head { layer, head } => (format!("layer {layer} head {head}"), Some(*layer)),
        Subject::Layer(layer) => (format!("layer {layer}"), Some(*layer)),
        Subject::Model => ("model".to_owned(), None),
    };
    Column { name, layer, role: meaning.map(|meaning| meaning.role), points }
}
