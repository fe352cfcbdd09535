//! The past of one attempt of one run, as the judge needs it: columns, not readings.

use std::collections::HashMap;
use std::sync::Arc;

use super::{MetricName, Reading, ReadingKey, Subject, TensorFacts, TrainerState};

/// One checkpoint of the past.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its name.
    pub key: ReadingKey,
    /// When it was written, seconds since 1970.
    pub timestamp_seconds: f64,
    /// Facts of every tensor that it had.
    pub tensors: Vec<TensorFacts>,
    /// True when the files had problems.
    pub broken: bool,
}

/// Points oldest first, with one column of values per subject and metric, aligned to the points: NaN
/// where a point has no value. Holds at most `points_max` points.
#[derive(Clone, Debug)]
pub struct History {
    points_max: usize,
    points: Vec<Point>,
    columns: HashMap<(Subject, MetricName), Vec<f32>>,
    /// The newest trainer state: its log reaches over all points.
    trainer: Arc<TrainerState>,
}

impl History {
    /// Points kept by default. Judgement looks back over at most 20; the rest serves slow drift.
    pub const POINTS_MAX: usize = 128;

    /// An empty past.
    pub fn new(points_max: usize) -> Self {
        Self { points_max, points: Vec::new(), columns: HashMap::new(), trainer: Arc::default() }
    }

    /// Appends a reading and forgets the oldest point where there are too many.
    pub fn push(&mut self, reading: &Reading) {
        let before = self.points.len();
        self.points.push(Point {
            key: reading.key.clone(),
            timestamp_seconds: reading.checkpoint.timestamp_seconds,
            tensors: reading.tensors.iter().map(|tensor| tensor.facts.clone()).collect(),
            broken: !reading.problems.is_empty(),
        });
        if !reading.trainer.log.is_empty() {
            self.trainer = Arc::new(reading.trainer.clone());
        }
        let tensors = reading
            .tensors
            .iter()
            .map(|tensor| (Subject::Tensor(tensor.facts.name.clone()), &tensor.samples));
        let others = reading.subjects.iter().map(|subject| (subject.subject.clone(), &subject.samples));
        for (subject, samples) in tensors.chain(others) {
            for (&metric, &value) in samples {
                let column = self.columns.entry((subject.clone(), metric)).or_default();
                column.resize(before, f32::NAN);
                column.push(value as f32);
            }
        }
        if self.points.len() > self.points_max {
            self.points.remove(0);
            for column in self.columns.values_mut() {
                column.remove(0);
            }
            self.columns.retain(|_, column| column.iter().any(|value| !value.is_nan()));
        }
    }

    /// The past as it was before `step`: for a checkpoint that arrived after later ones.
    pub fn before(&self, step: super::Step) -> Self {
        let mut past = self.clone();
        let kept = past.points.iter().position(|point| point.key.step >= step).unwrap_or(past.points.len());
        past.points.truncate(kept);
        for column in past.columns.values_mut() {
            column.truncate(kept);
        }
        past
    }

    /// The points, oldest first.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Values of a metric, oldest first; may be shorter than [`History::points`] where the newest
    /// points have no value.
    pub fn column(&self, subject: &Subject, metric: MetricName) -> &[f32] {
        self.columns.get(&(subject.clone(), metric)).map_or(&[], Vec::as_slice)
    }

    /// The newest trainer state.
    pub fn trainer(&self) -> &TrainerState {
        &self.trainer
    }
}
