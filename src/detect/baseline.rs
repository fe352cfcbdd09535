//! A stored run to compare with: what its tensors were like at each point of its way.
//!
//! Two runs are at the same point when the same sum of learning rates has moved them; where either logs
//! none, at the same step. Between two checkpoints of the stored run its values are joined by lines.

use std::collections::HashMap;
use std::sync::Arc;

use crate::terms::{Dtype, History, Reading, RunId, Subject, TensorReading, TrainerState};

use super::schedule::lr_time;

/// Checkpoints of the stored run that are remembered, the newest ones: they are kept as two numbers a
/// tensor, but read as whole readings.
pub const BASELINE_POINTS_MAX: usize = 512;

/// The metrics that are compared. Both hold still from seed to seed: over labelled runs of one kind the
/// natural logarithm of either differed by 0.06 in the median tensor.
pub const COMPARED: [&str; 2] = ["rms", "effective_rank"];

/// How far beyond its own ends the stored run still says something, as a share of its length: the last
/// intervals of a decay are no time at all.
const BEYOND: f64 = 0.02;

/// A stored run, or only its name until it is read.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The run.
    pub run: RunId,
    points: Arc<Points>,
}

/// Settings are compared to tell whether they changed: the name says what was asked for.
impl PartialEq for Baseline {
    fn eq(&self, other: &Self) -> bool {
        self.run == other.run && self.points.steps == other.points.steps
    }
}

#[derive(Debug, Default)]
struct Points {
    steps: Vec<u64>,
    /// Sum of the learning rate since step 0 at each point; none where the run logged none.
    clock: Option<Vec<f64>>,
    tensors: HashMap<Arc<str>, Track>,
}

#[derive(Debug)]
struct Track {
    dtype: Dtype,
    shape: Vec<u64>,
    /// Content at each point.
    hashes: Vec<Option<u64>>,
    /// Natural logarithm of each compared metric at each point; NaN where there is none.
    logs: [Vec<f32>; COMPARED.len()],
}

/// Where a reading stands on the stored run's way.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Point at or before it.
    before: usize,
    /// Share of the way to the next point.
    part: f64,
}

impl Baseline {
    /// The name alone: compares nothing.
    pub fn named(run: &RunId) -> Self {
        Self { run: run.clone(), points: Arc::default() }
    }

    /// The run as it is stored.
    pub fn new(run: &RunId, history: &History) -> Self {
        let whole: Vec<usize> = (0..history.points().len())
            .filter(|&point| !history.points()[point].broken && !history.points()[point].tensors.is_empty())
            .collect();
        let steps: Vec<u64> = whole.iter().map(|&point| history.points()[point].key.step.0).collect();
        let log = &history.trainer().log;
        let clock = steps.iter().map(|&step| lr_time(log, 0, step)).collect();
        let mut tensors: HashMap<Arc<str>, Track> = HashMap::new();
        for (at, &point) in whole.iter().enumerate() {
            for facts in &history.points()[point].tensors {
                let track = tensors.entry(Arc::clone(&facts.name)).or_insert_with(|| Track {
                    dtype: facts.dtype,
                    shape: facts.shape.clone(),
                    hashes: vec![None; whole.len()],
                    logs: COMPARED.map(|metric| {
                        let column = history.column(&Subject::Tensor(Arc::clone(&facts.name)), metric);
                        let log = |point: &usize| column.get(*point).map_or(f32::NAN, |value| value.ln());
                        whole.iter().map(log).collect()
                    }),
                });
                track.hashes[at] = Some(facts.content_hash);
            }
        }
        Self { run: run.clone(), points: Arc::new(Points { steps, clock, tensors }) }
    }

    /// Where a run with that log stands at a step; none before the stored run's first point and after its
    /// last.
    pub fn place(&self, trainer: &TrainerState, step: u64) -> Option<Place> {
        let by_step = || (self.points.steps.iter().map(|&step| step as f64).collect(), step as f64);
        let by_time = |clock: &Vec<f64>| Some((clock.clone(), lr_time(&trainer.log, 0, step)?));
        let (clock, now): (Vec<f64>, f64) =
            self.points.clock.as_ref().and_then(by_time).unwrap_or_else(by_step);
        let (first, last) = (*clock.first()?, *clock.last()?);
        let slack = BEYOND * last;
        if now < first - slack || now > last + slack {
            return None;
        }
        let before = clock.partition_point(|&time| time <= now).saturating_sub(1);
        let (from, to) = (clock[before], *clock.get(before + 1).unwrap_or(&last));
        let part = if to > from { ((now - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 };
        Some(Place { before, part })
    }

    /// Is there a tensor of that name and these dimensions?
    pub fn has(&self, name: &str, shape: &[u64]) -> bool {
        self.points.tensors.get(name).is_some_and(|track| track.shape == shape)
    }

    /// Natural logarithm of a compared metric of a tensor at a place; none where it was not measured.
    pub fn log(&self, name: &str, metric: usize, place: Place) -> Option<f64> {
        let logs = &self.points.tensors.get(name)?.logs[metric];
        let at = |point: usize| logs.get(point).map(|&log| f64::from(log)).filter(|log| log.is_finite());
        let from = at(place.before)?;
        let to = if place.part > 0.0 { at(place.before + 1)? } else { from };
        Some(from + place.part * (to - from))
    }

    /// The reading's tensors whose content the stored run had at the very same step.
    pub fn equal<'a>(&self, reading: &'a Reading) -> Vec<&'a TensorReading> {
        let Ok(point) = self.points.steps.binary_search(&reading.key.step.0) else { return Vec::new() };
        let is_equal = |tensor: &&TensorReading| {
            let facts = &tensor.facts;
            self.points.tensors.get(&facts.name).is_some_and(|track| {
                track.dtype == facts.dtype
                    && track.shape == facts.shape
                    && track.hashes[point] == Some(facts.content_hash)
            })
        };
        reading.tensors.iter().filter(is_equal).collect()
    }
}
