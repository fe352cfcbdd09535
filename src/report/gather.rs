//! What pictures over a run are made from, looked up in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::figures::run::{Column, Onset, Trail};
use super::history::subject_words;
use crate::store::{Error, Series, Store};
use crate::terms::{
    Catalog, CheckpointFacts, Finding, LogPoint, Meaning, Reading, ReadingKey, RunId, Severity, Sketch,
    Sketches, Subject, SubjectKind,
};

/// Series as columns, with the meaning that `latest` gives them, by role and layer. Where several attempts
/// have a step, the newest one's value counts.
pub fn columns(series: Vec<Series>, latest: Option<&Reading>) -> Vec<Column> {
    let meanings: BTreeMap<&str, Meaning> =
        latest.iter().flat_map(|r| &r.tensors).map(|t| (&*t.facts.name, t.facts.meaning)).collect();
    let mut columns: Vec<Column> = series
        .into_iter()
        .map(|series| {
            let meaning =
                if let Subject::Tensor(name) = &series.subject { meanings.get(&**name) } else { None };
            column(&series, meaning)
        })
        .collect();
    columns.sort_by(|a, b| {
        let order = |column: &Column| (column.role.is_none(), column.role, column.layer);
        order(a).cmp(&order(b)).then_with(|| a.name.cmp(&b.name))
    });
    columns
}

fn column(series: &Series, meaning: Option<&Meaning>) -> Column {
    // Points come by attempt and step; of equal steps the last attempt's must come first to be kept.
    let mut points: Vec<(u64, f64)> =
        series.points.iter().rev().map(|(key, _, value)| (key.step.0, *value)).collect();
    points.sort_by_key(|point| point.0);
    points.dedup_by_key(|point| point.0);
    let layer = match &series.subject {
        Subject::Tensor(_) => meaning.and_then(|meaning| meaning.layer),
        Subject::Head { layer, .. } | Subject::Layer(layer) => Some(*layer),
        Subject::Model => None,
    };
    Column { name: subject_words(&series.subject), layer, role: meaning.map(|meaning| meaning.role), points }
}

/// Openings of findings at or above warning, for the step axis.
pub fn onsets(findings: &[Finding]) -> Vec<Onset> {
    let grave = findings.iter().filter(|finding| finding.severity >= Severity::Warning);
    grave.map(|f| Onset { step: f.step.0, label: f.detector.replace('_', " ") }).collect()
}

/// The trainer's log of the whole run, by step.
pub fn log(facts: &[(ReadingKey, CheckpointFacts, Vec<LogPoint>)]) -> Vec<LogPoint> {
    let mut log: Vec<LogPoint> = facts.iter().flat_map(|(_, _, tail)| tail).cloned().collect();
    log.sort_by_key(|point| point.step);
    log.dedup_by_key(|point| point.step);
    log
}

/// Checkpoints whose sketches are compared for a trajectory: each costs reading all its sketches.
const TRAJECTORY_MAX: usize = 48;

/// (step, sketch of the whole model) at evenly thinned checkpoints, of the tensors that all of them have.
pub fn sketches(store: &Store, run: &RunId) -> Vec<(u64, Vec<f32>)> {
    let keys = store.keys(run);
    let stride = keys.len().div_ceil(TRAJECTORY_MAX).max(1);
    let thinned: Vec<&ReadingKey> = keys.iter().rev().step_by(stride).collect();
    let memory = store.memory();
    let found: Vec<(u64, Arc<Sketches>)> =
        thinned.into_iter().rev().filter_map(|key| Some((key.step.0, memory.sketches(key)?))).collect();
    let Some((_, newest)) = found.last() else { return Vec::new() };
    let in_all = |name: &Arc<str>, sketch: &Sketch| {
        let alike =
            |other: &Sketch| other.version == sketch.version && other.values.len() == sketch.values.len();
        found.iter().all(|(_, sketches)| sketches.get(name).is_some_and(alike))
    };
    let shared: Vec<Arc<str>> =
        newest.iter().filter(|(name, sketch)| in_all(name, sketch)).map(|(name, _)| name.clone()).collect();
    let flat = |sketches: &Sketches| {
        shared.iter().filter_map(|name| sketches.get(name)).flat_map(|s| s.values.iter().copied()).collect()
    };
    found.iter().map(|(step, sketches)| (*step, flat(sketches))).collect()
}

/// Pieces of evidence that are plotted: the strongest come first.
const TRAILS_MAX: usize = 4;

/// Series of a finding's evidence and of its siblings; `columns` looks a metric up.
pub fn trails(
    catalog: &Catalog,
    finding: &Finding,
    columns: impl Fn(&str, SubjectKind) -> Result<Arc<Vec<Column>>, Error>,
) -> Result<Vec<Trail>, Error> {
    let mut trails: Vec<Trail> = Vec::new();
    for piece in finding.evidence.iter().filter(|piece| catalog.get(&piece.metric).is_some()) {
        if trails.len() >= TRAILS_MAX {
            break;
        }
        let columns = columns(&piece.metric, piece.subject.kind())?;
        let name = subject_words(&piece.subject);
        let Some(subject) = columns.iter().find(|column| column.name == name).cloned() else { continue };
        let sibling = |column: &&Column| column.role == subject.role && column.name != name;
        let siblings = columns.iter().filter(sibling).cloned().collect();
        trails.push(Trail {
            metric: piece.metric.clone(),
            subject,
            siblings,
            expected: piece.expected.clone(),
            value: piece.value,
        });
    }
    Ok(trails)
}
