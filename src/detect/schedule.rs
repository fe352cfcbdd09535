//! Learning rate over the run, and learning-rate time.
//!
//! Weights move in proportion to the learning rate. Measured against its sum over steps ("lr-time"),
//! warm-up, decay and planned restarts disappear from a run's speed, and what remains is the run itself.

use crate::terms::{History, LogPoint, Reading};

/// The interval between the checkpoint that a reading is compared with and the reading itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Step of the earlier end.
    pub from_step: Option<u64>,
    /// Step of the reading.
    pub step: u64,
    /// Sum of the learning rate over the steps of the interval; none where the trainer logs none.
    pub lr_time: Option<f64>,
    /// Learning rate logged last.
    pub learning_rate: Option<f64>,
    /// Largest learning rate logged up to the earlier end.
    pub peak_before: Option<f64>,
    /// Last planned step.
    pub max_steps: Option<u64>,
}

impl Schedule {
    /// Reads both ends and the log.
    pub fn new(history: &History, reading: &Reading) -> Self {
        let trainer = if reading.trainer.log.is_empty() { history.trainer() } else { &reading.trainer };
        let step = reading.key.step.0;
        let from_step = reading
            .previous
            .map(|step| step.0)
            .or_else(|| history.points().last().map(|point| point.key.step.0))
            .filter(|&from| from < step);
        let peak_before = trainer
            .log
            .iter()
            .filter(|point| from_step.is_some_and(|from| point.step <= from))
            .filter_map(|point| point.learning_rate)
            .reduce(f64::max);
        Self {
            from_step,
            step,
            lr_time: from_step.and_then(|from| lr_time(&trainer.log, from, step)),
            learning_rate: trainer.learning_rate(),
            peak_before,
            max_steps: trainer.max_steps,
        }
    }

    /// True when the weights must have moved: the learning rate was above 0 over the interval. A trainer
    /// that logs no learning rate is taken at its word that it trains.
    pub fn trains(&self) -> bool {
        self.lr_time.is_none_or(|time| time > 0.0)
    }
}

/// Sum of the learning rate over the steps `from + 1 ..= to`: the log's points joined by straight lines,
/// level beyond its ends, and 0 next to a rate of 0. None where no learning rate is logged.
pub fn lr_time(log: &[LogPoint], from: u64, to: u64) -> Option<f64> {
    let points: Vec<(f64, f64)> = log
        .iter()
        .filter_map(|point| {
            point.learning_rate.filter(|rate| rate.is_finite()).map(|rate| (point.step as f64, rate))
        })
        .collect();
    let (first, last) = (points.first()?, points.last()?);
    let (from, to) = (from as f64, to as f64);
    let mut sum = (first.0.min(to) - from).max(0.0) * first.1 + (to - last.0.max(from)).max(0.0) * last.1;
    for pair in points.windows(2) {
        let [(x0, y0), (x1, y1)] = pair else { continue };
        let (a, b) = (x0.max(from), x1.min(to));
        // Where one end is 0 it may have been 0 all the way: what must have moved is asked of this sum.
        if b > a && x1 > x0 && *y0 > 0.0 && *y1 > 0.0 {
            let at = |x: f64| y0 + (y1 - y0) * (x - x0) / (x1 - x0);
            sum += (b - a) * (at(a) + at(b)) / 2.0;
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(points: &[(u64, f64)]) -> Vec<LogPoint> {
        points
            .iter()
            .map(|&(step, rate)| LogPoint { step, learning_rate: Some(rate), ..LogPoint::default() })
            .collect()
    }

    #[test]
    fn joins_points_by_lines_and_is_level_beyond_them() {
        let log = points(&[(10, 1.0), (20, 3.0)]);
        assert_eq!(lr_time(&log, 10, 20), Some(20.0));
        assert_eq!(lr_time(&log, 0, 10), Some(10.0));
        assert_eq!(lr_time(&log, 15, 30), Some(12.5 + 30.0));
        assert_eq!(lr_time(&[], 0, 10), None);
        let cut = points(&[(10, 1.0), (20, 0.0)]);
        assert_eq!(lr_time(&cut, 10, 20), Some(0.0));
    }
}
