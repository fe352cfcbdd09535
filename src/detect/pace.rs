//! Learning-rate time of every interval of the past, and what an optimizer can do in it.
//!
//! Adam and its kin move an element by about the learning rate at most, whatever the gradient: over an
//! interval no further than the sum of the learning rate (times `(1 - b1) / sqrt(1 - b2)` in the worst
//! case; Kingma and Ba, 2015, section 2.1). A run shows by its own speed whether its optimizer is of that
//! kind. Where it is, a larger change was not made by the optimizer.

use crate::terms::{Dtype, History, LogPoint, Reading, TensorReading};

use super::panel::median;
use super::schedule::Schedule;
use super::view::{is_matrix, value};

/// rms of the change over learning-rate time, median over matrices, of optimizers that normalise their
/// steps: Adam measured 0.1 to 0.9 at intervals of 25 steps and falls as one over the square root of the
/// interval; plain SGD lies far below or above.
const NORMALISED_SPEED: std::ops::Range<f64> = 0.004..2.0;
/// Largest change of any element over learning-rate time that such an optimizer was seen to make.
const NORMALISED_REACH_MAX: f64 = 4.0;

/// Lengths of the history's intervals.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Length of the interval that ends at each point of the history: learning-rate time, or steps where no
    /// learning rate is logged.
    pub intervals: Vec<f64>,
    /// Time of each point since the first.
    pub clock: Vec<f64>,
    /// Length of the reading's own interval.
    pub now: f64,
    /// Time of the reading.
    pub clock_now: f64,
    /// True where the lengths are learning-rate time.
    pub is_lr_time: bool,
}

impl Pace {
    pub(super) fn new(history: &History, reading: &Reading, schedule: &Schedule) -> Self {
        let trainer = if reading.trainer.log.is_empty() { history.trainer() } else { &reading.trainer };
        let rates = Rates::new(&trainer.log);
        let length = |from: u64, to: u64| {
            rates.as_ref().map_or(to.saturating_sub(from) as f64, |rates| rates.sum(from, to))
        };
        let (mut intervals, mut clock, mut time, mut before) = (Vec::new(), Vec::new(), 0.0, None);
        for point in history.points() {
            let step = point.key.step.0;
            let interval = length(before.unwrap_or(0), step);
            time += if before.is_some() { interval } else { 0.0 };
            intervals.push(interval);
            clock.push(time);
            if !point.tensors.is_empty() {
                before = Some(step);
            }
        }
        let newest = history.points().last().map_or(0, |point| point.key.step.0);
        // Rounding and the log's own coarseness set a floor: the last interval of a decay is no time at all.
        let longest = intervals.iter().copied().fold(0.0, f64::max);
        let floor = 0.01 * longest;
        intervals.iter_mut().for_each(|interval| *interval = interval.max(floor));
        let now = length(schedule.from_step.unwrap_or(newest), schedule.step).max(floor);
        let clock_now = time + length(newest, schedule.step);
        Self { intervals, clock, now, clock_now, is_lr_time: rates.is_some() }
    }
}

/// The logged learning rates as an upper envelope: between two points that differ much it jumped at an
/// unknown step, and the larger one is assumed.
struct Rates {
    points: Vec<(f64, f64)>,
}

impl Rates {
    fn new(log: &[LogPoint]) -> Option<Self> {
        let points: Vec<(f64, f64)> = log
            .iter()
            .filter_map(|point| {
                point.learning_rate.filter(|rate| rate.is_finite()).map(|rate| (point.step as f64, rate))
            })
            .collect();
        (!points.is_empty()).then_some(Self { points })
    }

    fn sum(&self, from: u64, to: u64) -> f64 {
        let (from, to) = (from as f64, to as f64);
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return 0.0 };
        let mut sum = (first.0.min(to) - from).max(0.0) * first.1 + (to - last.0.max(from)).max(0.0) * last.1;
        let begin = self.points.partition_point(|point| point.0 <= from).saturating_sub(1);
        for pair in self.points[begin..].windows(2) {
            let [(x0, y0), (x1, y1)] = pair else { continue };
            if *x0 >= to {
                break;
            }
            let (a, b) = (x0.max(from), x1.min(to));
            if b > a && x1 > x0 {
                let at = |x: f64| y0 + (y1 - y0) * (x - x0) / (x1 - x0);
                let jumped = y1.max(*y0) > 2.0 * y1.min(*y0);
                let mean = if jumped { y1.max(*y0) } else { (at(a) + at(b)) / 2.0 };
                sum += (b - a) * mean;
            }
        }
        sum
    }
}

/// Spacing of a dtype's numbers relative to their size, at its widest.
pub fn spacing(dtype: Dtype) -> f64 {
    let mantissa_bits = match dtype {
        Dtype::F8_E5M2 => 2,
        Dtype::F8_E4M3 => 3,
        Dtype::BF16 => 7,
        Dtype::F16 => 10,
        Dtype::F64 => 52,
        _ => 23,
    };
    0.5_f64.powi(mantissa_bits)
}

/// Largest change of an element beyond what rounding at both ends can do, over learning-rate time.
pub fn reach(change: f64, abs_max: f64, dtype: Dtype, interval: f64) -> f64 {
    (change - spacing(dtype) * abs_max).max(0.0) / interval
}

/// Does the run's optimizer normalise its steps, by the speed of its matrices so far? `speeds` are
/// `update_rms` over learning-rate time and `reaches` the largest [`reach`] at each past point.
pub fn is_normalised(speeds: impl Iterator<Item = f64>, reaches: &[f64]) -> bool {
    let Some(speed) = median(speeds) else { return false };
    let Some(typical) = median(reaches.iter().copied()) else { return false };
    NORMALISED_SPEED.contains(&speed) && (0.2..NORMALISED_REACH_MAX).contains(&typical)
}

/// Matrices that have a speed at this checkpoint.
pub fn moving(tensors: &[TensorReading]) -> Vec<&TensorReading> {
    tensors
        .iter()
        .filter(|tensor| is_matrix(&tensor.facts) && value(tensor, "update_rms").is_some())
        .collect()
}
