//! Changes of regime that the trainer's own log announces: where the warm-up ends, where the schedule begins
//! again, where the learning rate is cut. They are no faults, and explain what the weights do from there on.

use serde::Serialize;

use crate::terms::LogPoint;

use super::panel::median;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The learning rate reached its first peak after a rise.
    WarmupEnd,
    /// It rose again after it had fallen: a restart, a second stage, a resume with another schedule.
    Restart,
    /// It was cut in one step, far more than from line to line before.
    Cut,
}

/// One change, and the log line at which it shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Regime {
    /// Step of that line.
    pub step: u64,
    /// What changed.
    pub change: Change,
    /// Learning rate at that line.
    pub learning_rate: f64,
}

impl Change {
    /// In words, for a chart.
    pub const fn words(self) -> &'static str {
        match self {
            Self::WarmupEnd => "warm-up ends",
            Self::Restart => "learning rate rises again",
            Self::Cut => "learning rate is cut",
        }
    }
}

/// A rise to less than this many times the first rate is no warm-up.
const WARMUP_RISE: f64 = 2.0;
/// A rise of this share of the peak from the lowest rate since the last peak is a restart.
const RESTART_RISE: f64 = 0.3;
/// A fall of this share of the peak from one line to the next may be a cut ...
const CUT_FALL: f64 = 0.2;
/// ... where it is this many times the usual change from line to line.
const CUT_MARGIN: f64 = 5.0;

/// The changes in a log, by step.
pub fn regimes(log: &[LogPoint]) -> Vec<Regime> {
    let rates: Vec<(u64, f64)> = log
        .iter()
        .filter_map(|point| Some((point.step, point.learning_rate.filter(|rate| rate.is_finite())?)))
        .collect();
    let Some(&(_, first)) = rates.first() else { return Vec::new() };
    let usual = median(rates.windows(2).map(|pair| (pair[1].1 - pair[0].1).abs())).unwrap_or(0.0);
    let (mut found, mut peak, mut trough) = (Vec::new(), first, first);
    // What rises until the first fall is the warm-up; a run that begins at its peak has none.
    let (mut rising, mut warming) = (true, true);
    let mut at_peak = rates[0];
    let mut tell = |(step, learning_rate): (u64, f64), change| {
        found.push(Regime { step, change, learning_rate });
    };
    for pair in rates.windows(2) {
        let (before, now) = (pair[0], pair[1]);
        if rising && now.1 > before.1 {
            at_peak = now;
        } else if rising {
            // Level or falling: the rise is over.
            if warming && at_peak.1 > first && at_peak.1 >= WARMUP_RISE * first {
                tell(at_peak, Change::WarmupEnd);
            }
            (rising, warming, trough) = (false, false, now.1);
        }
        peak = peak.max(at_peak.1);
        if rising {
            continue;
        }
        let fall = before.1 - now.1;
        if fall >= CUT_FALL * peak && fall > CUT_MARGIN * usual {
            tell(now, Change::Cut);
        }
        trough = trough.min(now.1);
        if now.1 - trough >= RESTART_RISE * peak {
            tell(now, Change::Restart);
            (rising, at_peak) = (true, now);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rate: impl Fn(u64) -> f64) -> Vec<(u64, Change)> {
        let log: Vec<LogPoint> = (1..=100)
            .map(|line| LogPoint {
                step: line * 10,
                learning_rate: Some(rate(line * 10)),
                ..LogPoint::default()
            })
            .collect();
        regimes(&log).iter().map(|regime| (regime.step, regime.change)).collect()
    }

    fn warm(step: u64) -> f64 {
        (step as f64 / 100.0).min(1.0)
    }

    #[test]
    fn the_end_of_the_warm_up_is_told_and_a_decay_is_nothing() {
        let cosine = |step: u64| 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / 1000.0).cos());
        assert_eq!(told(|step| warm(step) * cosine(step).max(0.1)), [(100, Change::WarmupEnd)]);
        assert_eq!(told(warm), [(100, Change::WarmupEnd)]);
        assert_eq!(told(cosine), []);
        assert_eq!(told(|step| 1.0 - step as f64 / 1000.0), []);
        assert_eq!(told(|_| 0.1), []);
        assert_eq!(regimes(&[]), []);
    }

    #[test]
    fn a_restart_is_told_once_where_the_rate_rises_again() {
        let saw = |step: u64| 1.0 - (step % 500) as f64 / 500.0;
        assert_eq!(told(saw), [(500, Change::Restart), (1000, Change::Restart)]);
        // A second warm-up is told where it has risen by three tenths, and not at its end.
        let twice = |step: u64| if step <= 500 { 1.0 - step as f64 / 500.0 } else { warm(step - 500) };
        assert_eq!(told(twice), [(530, Change::Restart)]);
    }

    #[test]
    fn a_cut_is_told_and_steep_lines_are_none() {
        assert_eq!(told(|step| if step < 600 { 1.0 } else { 0.1 }), [(600, Change::Cut)]);
        // A cut from a tenth to a hundredth is small against the peak: the weights hardly feel it.
        let twice = |step: u64| [1.0, 0.1, 0.01][(step / 400).min(2) as usize];
        assert_eq!(told(twice), [(400, Change::Cut)]);
    }
}
