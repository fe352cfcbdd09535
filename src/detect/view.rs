//! What a detector may look at: the past, the new reading, and what both mean together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::terms::{History, Memory, Reading, Role, Subject, TensorFacts, TensorReading, TrainerState};

use super::baseline::Baseline;
use super::motion::Motion;
use super::pace::Pace;
use super::schedule::Schedule;
use super::state::State;

/// A reading in the light of its past. Made once a checkpoint and shared by all detectors.
pub struct View<'a> {
    /// The past, without this reading.
    pub history: &'a History,
    /// The new reading.
    pub reading: &'a Reading,
    /// Sketches of earlier readings.
    pub memory: &'a dyn Memory,
    /// Learning rate and step of both ends of the interval.
    pub schedule: Schedule,
    /// Length of every interval of the past.
    pub pace: Pace,
    /// How each tensor moved since the checkpoint before.
    pub motion: Motion,
    /// A stored run to compare with, where one is named and this is not it.
    pub baseline: Option<&'a Baseline>,
    /// What the judge remembers.
    pub(super) state: &'a State,
    /// Index in `reading.tensors` by name.
    by_name: HashMap<&'a str, usize>,
    /// Facts of each tensor in the newest whole point of the past.
    before: HashMap<&'a str, &'a TensorFacts>,
    /// Index in the history of the newest whole point.
    newest_whole: Option<usize>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        history: &'a History,
        reading: &'a Reading,
        memory: &'a dyn Memory,
        state: &'a State,
        baseline: Option<&'a Baseline>,
    ) -> Self {
        let by_name =
            reading.tensors.iter().enumerate().map(|(index, tensor)| (&*tensor.facts.name, index)).collect();
        let newest_whole =
            history.points().iter().rposition(|point| !point.broken && !point.tensors.is_empty());
        let before = newest_whole
            .map(|index| history.points()[index].tensors.iter().map(|facts| (&*facts.name, facts)).collect())
            .unwrap_or_default();
        let schedule = Schedule::new(history, reading);
        let pace = Pace::new(history, reading, &schedule);
        let motion = Motion::default();
        let baseline = baseline.filter(|baseline| baseline.run != reading.key.run);
        let mut view = Self {
            history,
            reading,
            memory,
            schedule,
            pace,
            motion,
            baseline,
            state,
            by_name,
            before,
            newest_whole,
        };
        view.motion = Motion::new(&view);
        view
    }

    /// True where a point of the history had no known fault in that tensor, and no broken file.
    pub fn trusted(&self, point: usize, tensor: Option<&str>) -> bool {
        let points = self.history.points();
        let Some(point) = points.get(point).filter(|point| !point.broken) else { return false };
        let tainted = &self.state.tainted;
        tainted.is_empty()
            || ["*"]
                .into_iter()
                .chain(tensor)
                .all(|name| tainted.get(name).is_none_or(|steps| !steps.contains(&point.key.step.0)))
    }

    /// The trainer's log as it stands now.
    pub fn trainer(&self) -> &TrainerState {
        if self.reading.trainer.log.is_empty() { self.history.trainer() } else { &self.reading.trainer }
    }

    /// The reading's tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&'a TensorReading> {
        self.by_name.get(name).map(|&index| &self.reading.tensors[index])
    }

    /// The index in the reading of the tensor of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Facts of the tensors in the newest whole checkpoint before this one, by name; empty for the first.
    pub fn before(&self) -> &HashMap<&'a str, &'a TensorFacts> {
        &self.before
    }

    /// Index in the history's points of the newest whole checkpoint.
    pub fn newest_whole(&self) -> Option<usize> {
        self.newest_whole
    }

    /// Past values of a tensor's metric, aligned to the history's points; NaN where there is none.
    pub fn past(&self, tensor: &TensorReading, metric: &'static str) -> &'a [f32] {
        self.history.column(&Subject::Tensor(tensor.facts.name.clone()), metric)
    }

    /// The reading's value of one of the model's own metrics.
    pub fn model(&self, metric: &'static str) -> Option<f64> {
        let model = self.reading.subjects.iter().find(|subject| subject.subject == Subject::Model)?;
        model.samples.get(metric).copied()
    }

    /// Newest past value of a tensor's metric.
    pub fn last(&self, tensor: &TensorReading, metric: &'static str) -> Option<f64> {
        self.past(tensor, metric).iter().rev().find(|value| value.is_finite()).map(|&value| f64::from(value))
    }

    /// True where the checkpoint that this reading is compared with had a fault in that tensor: then the
    /// change says nothing about the new one.
    pub fn previous_tainted(&self, tensor: &str) -> bool {
        let Some(previous) = self.reading.previous else { return false };
        [tensor, "*"]
            .iter()
            .any(|name| self.state.tainted.get(*name).is_some_and(|steps| steps.contains(&previous.0)))
    }

    /// Readings judged before this one in this attempt.
    pub fn readings(&self) -> u64 {
        self.state.readings
    }

    /// Tensors of the reading by role, in file order.
    pub fn roles(&self) -> BTreeMap<Role, Vec<&'a TensorReading>> {
        let mut roles: BTreeMap<Role, Vec<&TensorReading>> = BTreeMap::new();
        for tensor in &self.reading.tensors {
            roles.entry(tensor.facts.meaning.role).or_default().push(tensor);
        }
        roles
    }
}

/// A tensor's value of a metric.
pub fn value(tensor: &TensorReading, metric: &'static str) -> Option<f64> {
    tensor.samples.get(metric).copied().filter(|value| value.is_finite())
}

/// True for tensors of two or more dimensions that are no vectors in disguise.
pub fn is_matrix(facts: &TensorFacts) -> bool {
    facts.shape.iter().filter(|&&length| length > 1).count() >= 2
}

/// Elements of a tensor.
pub fn elements(facts: &TensorFacts) -> u64 {
    facts.shape.iter().product()
}

/// The subject of a tensor.
pub fn subject(tensor: &TensorReading) -> Subject {
    Subject::Tensor(Arc::clone(&tensor.facts.name))
}
