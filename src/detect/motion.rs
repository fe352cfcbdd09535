//! How each tensor moved since the checkpoint before, against the optimizer's bound and its own past.

use std::collections::BTreeMap;

use crate::terms::{Dtype, TensorReading};

use super::pace::{is_normalised, moving, reach, spacing};
use super::panel::{Habit, Panel, median};
use super::view::{View, value};

/// A change beyond this many times the bound was not made by the optimizer. The logged learning rate is a
/// line through few points, and Adam with b2 = 0.999 overshoots on rare gradients.
pub const BOUND_MARGIN: f64 = 1.5;
/// Speed over its usual, as a natural logarithm, that matters by itself: 2.5 times. Healthy tensors stay
/// within 2.1 times of what the median tensor does.
pub const SPEED_EFFECT: f64 = 0.92;
/// ... and beyond this many times the worst excursion of any matrix in the window.
pub const SPEED_MARGIN: f64 = 1.3;
/// Points with a usual speed before speeds are judged: the first checkpoints of a run are a transient.
const SPEED_POINTS_MIN: usize = 4;
/// Points of the past that tell an optimizer's reach.
const REACH_POINTS: usize = 32;
/// Points that are needed to trust them.
const REACH_POINTS_MIN: usize = 6;
/// Reach that is granted until then: the worst case of Adam at b1 = 0.9, b2 = 0.999; Adafactor's first
/// steps come near it.
const REACH_EARLY: f64 = 3.2;

/// A matrix with a larger cosine to the checkpoint before has kept its past.
const TURN_COSINE_MAX: f64 = 0.5;
/// Times the median turn (one less the cosine) of all matrices that is unusual. No healthy matrix of the
/// benchmark's runs with a normalising optimizer turned that far; re-initialised ones turned 47 to 330 times.
const TURN_MARGIN: f64 = 20.0;
/// Readings before it is judged: matrices that begin near 0 turn far in the first interval.
const TURN_READINGS_MIN: u64 = 3;

/// Intervals that tell how far a matrix turns where nothing bounds its steps.
const TURN_POINTS: usize = 8;
/// Rises of the speed in a row that show it; chance makes as many once in 120 times.
const LAG_RISES: usize = 4;
/// Checkpoints that an average of weights may lag behind.
const LAG_POINTS: usize = 8;

/// Share of unchanged elements above which a matrix of half precision is moved by rounding.
const ROUNDED_MIN: f64 = 0.9;

/// At a small learning rate most elements of half precision stand still, and the others jump by a whole spacing: the
/// size of such a change says nothing about the steps behind it.
fn is_rounding(tensor: &TensorReading) -> bool {
    spacing(tensor.facts.dtype) > spacing(Dtype::F32)
        && value(tensor, "identical_ratio").is_some_and(|ratio| ratio > ROUNDED_MIN)
}

/// Did the median matrix, over learning-rate time, move faster at each of the newest checkpoints than at the one before?
/// That is how an average that lags looks in a decay, and nothing that begins at once.
fn quickens(view: &View<'_>, matrices: &[&TensorReading]) -> bool {
    let speeds = Panel::of_tensors(view, matrices, "update_rms", true, |rms, interval| rms / interval);
    speeds.common_mode().rises(0) >= LAG_RISES
}

/// Times the bound that averaged weights may be beyond it, as an average that lags moves at the learning rate of a while ago:
/// the largest rate logged over the newest checkpoints, over the interval's own.
fn lag_most(view: &View<'_>) -> f64 {
    let points = view.history.points();
    let since = points.len().checked_sub(LAG_POINTS).map_or(0, |index| points[index].key.step.0);
    let step = view.schedule.step;
    let lately = view.trainer().log.iter().filter(|point| (since..=step).contains(&point.step));
    let rate =
        lately.filter_map(|point| point.learning_rate).filter(|rate| rate.is_finite()).fold(0.0, f64::max);
    rate * step.saturating_sub(view.schedule.from_step.unwrap_or(step)) as f64 / view.pace.now
}

/// The furthest that a matrix turned (one less the cosine) in one of the newest trusted intervals, at the length of this
/// one: a turn grows with the square of the way.
fn usual_turn(view: &View<'_>, tensor: &TensorReading) -> Option<f64> {
    let name = Some(&*tensor.facts.name);
    let past = view.past(tensor, "cosine_to_previous").iter().enumerate().rev();
    let turns: Vec<f64> = past
        .filter(|(point, cosine)| {
            cosine.is_finite() && view.trusted(*point, name) && (*point == 0 || view.trusted(point - 1, name))
        })
        .take(TURN_POINTS)
        .map(|(point, cosine)| {
            (1.0 - f64::from(*cosine)) * (view.pace.now / view.pace.intervals[point]).max(1.0).powi(2)
        })
        .collect();
    (turns.len() as u64 >= TURN_READINGS_MIN).then(|| turns.into_iter().fold(0.0, f64::max))
}

/// What is unusual about the movement of the tensors; 1 and above is beyond the limit.
#[derive(Clone, Debug, Default)]
pub struct Motion {
    /// By tensor index: largest change of an element over what the optimizer can do.
    pub impossible: BTreeMap<usize, f64>,
    /// By tensor index: speed against its own past and the other matrices'.
    pub speed: BTreeMap<usize, f64>,
    /// By tensor index: how much further than the others a matrix turned away from its past. Needs no past of
    /// its own, so that it holds from the first intervals on.
    pub turn: BTreeMap<usize, f64>,
    /// True where the run's optimizer bounds its steps by the learning rate.
    pub normalised: bool,
}

impl Motion {
    /// Measures the reading's movement.
    pub(super) fn new(view: &View<'_>) -> Self {
        let mut motion = Self::default();
        if view.schedule.from_step.is_none() || view.reading.tensors.is_empty() {
            return motion;
        }
        motion.judge_reach(view);
        motion.judge_speed(view);
        motion.judge_turn(view);
        motion
    }

    /// True for a tensor that moved as training does not move it.
    pub fn is_unusual(&self, tensor: usize) -> bool {
        self.score(tensor) >= 1.0
    }

    /// The greatest of the scores; 0 where none could be had.
    pub fn score(&self, tensor: usize) -> f64 {
        let of = |scores: &BTreeMap<usize, f64>| scores.get(&tensor).copied().unwrap_or(0.0);
        of(&self.impossible).max(of(&self.speed)).max(of(&self.turn))
    }

    fn judge_reach(&mut self, view: &View<'_>) {
        if !view.pace.is_lr_time {
            return;
        }
        let points = view.history.points().len();
        let window = points.saturating_sub(REACH_POINTS)..points;
        let tensors = &view.reading.tensors;
        // Largest reach of any tensor at each point, and of each tensor at any point.
        let mut by_point = vec![f64::NAN; points];
        let mut by_tensor = vec![f64::NAN; tensors.len()];
        for (tensor, most) in tensors.iter().zip(&mut by_tensor) {
            let (changes, maxima) = (view.past(tensor, "update_abs_max"), view.past(tensor, "abs_max"));
            for index in window.clone() {
                let (Some(&change), Some(&abs_max)) = (changes.get(index), maxima.get(index)) else { break };
                let name = Some(&*tensor.facts.name);
                if !view.trusted(index, name) || index > 0 && !view.trusted(index - 1, name) {
                    continue;
                }
                let past = reach(
                    f64::from(change),
                    f64::from(abs_max),
                    tensor.facts.dtype,
                    view.pace.intervals[index],
                );
                if past.is_finite() {
                    by_point[index] = past.max(by_point[index]);
                    *most = past.max(*most);
                }
            }
        }
        let matrices = moving(tensors);
        let speeds = matrices.iter().flat_map(|tensor| {
            view.past(tensor, "update_rms")
                .iter()
                .zip(&view.pace.intervals)
                .map(|(&rms, &interval)| f64::from(rms) / interval)
        });
        self.normalised = is_normalised(speeds, &by_point);
        if !self.normalised {
            return;
        }
        let seen = by_point.iter().copied().filter(|reach| reach.is_finite());
        let known = seen.clone().count() >= REACH_POINTS_MIN;
        let limit = BOUND_MARGIN * seen.fold(if known { 1.0 } else { REACH_EARLY }, f64::max);
        let mut reaches = BTreeMap::new();
        for (index, tensor) in tensors.iter().enumerate() {
            let (Some(change), Some(abs_max)) = (value(tensor, "update_abs_max"), value(tensor, "abs_max"))
            else {
                continue;
            };
            if view.previous_tainted(&tensor.facts.name) {
                continue;
            }
            let now = reach(
                change,
                abs_max.max(view.last(tensor, "abs_max").unwrap_or(0.0)).min(1e3 * abs_max),
                tensor.facts.dtype,
                view.pace.now,
            );
            reaches.insert(index, now);
        }
        let beyond = median(reaches.iter().map(|(&index, now)| now / by_tensor[index])).unwrap_or(1.0);
        let lag = if quickens(view, &matrices) { beyond.min(lag_most(view)).max(1.0) } else { 1.0 };
        self.impossible = reaches.into_iter().map(|(index, now)| (index, now / (lag * limit))).collect();
    }

    fn judge_speed(&mut self, view: &View<'_>) {
        let matrices = moving(&view.reading.tensors);
        let panel =
            Panel::of_tensors(view, &matrices, "update_rms", true, |rms, interval| (rms / interval).ln());
        let deviations = panel.without_common_mode().deviations(Habit::Level);
        if deviations.points < SPEED_POINTS_MIN {
            return;
        }
        for (series, tensor) in matrices.iter().enumerate().filter(|(_, tensor)| !is_rounding(tensor)) {
            let score = deviations.score(series, SPEED_EFFECT, SPEED_MARGIN);
            if let Some(index) = view.position(&tensor.facts.name).filter(|_| score.is_finite()) {
                self.speed.insert(index, score);
            }
        }
    }

    /// Steps of one size everywhere turn matrices at like paces; under plain SGD a matrix may fade to nothing
    /// and turn at will.
    fn judge_turn(&mut self, view: &View<'_>) {
        if view.readings() < TURN_READINGS_MIN {
            return;
        }
        if !self.normalised {
            return self.judge_replacement(view);
        }
        let cosine = |tensor: &TensorReading| value(tensor, "cosine_to_previous");
        let matrices = moving(&view.reading.tensors);
        let Some(usual) = median(matrices.iter().filter_map(|tensor| Some(1.0 - cosine(tensor)?))) else {
            return;
        };
        for tensor in matrices {
            let lost = cosine(tensor).filter(|cosine| *cosine < TURN_COSINE_MAX);
            let trusted = !view.previous_tainted(&tensor.facts.name);
            if let (Some(cosine), Some(index)) = (lost.filter(|_| trusted), view.position(&tensor.facts.name))
            {
                self.turn.insert(index, (1.0 - cosine) / (TURN_MARGIN * usual).max(1e-9));
            }
        }
    }

    /// Where steps have no common size, a matrix is held against its own past, and only the whole model: what all
    /// matrices share is no measure for one when most of them lost their past at once, as in a model of two layers
    /// that changed places.
    fn judge_replacement(&mut self, view: &View<'_>) {
        let matrices = moving(&view.reading.tensors);
        let turned: BTreeMap<usize, f64> = matrices
            .iter()
            .filter_map(|tensor| {
                let cosine =
                    value(tensor, "cosine_to_previous").filter(|cosine| *cosine < TURN_COSINE_MAX)?;
                let trusted = !view.previous_tainted(&tensor.facts.name);
                let usual = usual_turn(view, tensor).filter(|_| trusted)?;
                let score = (1.0 - cosine) / (TURN_MARGIN * usual).max(1e-9);
                (score >= 1.0).then_some((view.position(&tensor.facts.name)?, score))
            })
            .collect();
        if 2 * turned.len() >= matrices.len() {
            self.turn = turned;
        }
    }

    /// Tensors that moved unusually, most unusual first.
    pub fn unusual<'a>(&self, tensors: &'a [TensorReading]) -> Vec<(usize, &'a TensorReading)> {
        let mut unusual: Vec<(usize, &TensorReading)> =
            tensors.iter().enumerate().filter(|(index, _)| self.is_unusual(*index)).collect();
        unusual.sort_by(|a, b| self.score(b.0).total_cmp(&self.score(a.0)).then(a.0.cmp(&b.0)));
        unusual
    }
}
