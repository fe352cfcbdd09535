//! Slow change that adds up: small steps in one direction, each too small to be told by itself.
//!
//! Three tools, one for each question. CUSUM (Page, 1954) asks whether a series keeps leaving its own pace;
//! Mann and Kendall's test asks whether it has a trend at all, whatever its shape; the median of all slopes
//! (Theil and Sen) says when it will reach a limit if it goes on like this.

use super::panel::median;

/// Newest intervals in which a drift may add up.
const RECENT: usize = 8;
/// Intervals before them that tell the usual pace.
const REFERENCE: usize = 16;
/// Fewer intervals than this tell no pace.
const REFERENCE_MIN: usize = 6;
/// One interval counts no more than this many scales: a single jump is another detector's matter, and heavy
/// tails must not add up to an alarm.
const CLIP: f64 = 4.0;
/// Scales an interval that are forgiven: half of the drift that is looked for.
const SLACK: f64 = 0.5;
/// Sum from which a drift is no chance. With these three numbers a series of independent normal noise raises
/// an alarm once in some ten thousand intervals, and a drift of four scales an interval within four.
pub const SUM_MIN: f64 = 12.0;

/// What has added up in a series, in the direction that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    /// CUSUM in units of the scale; see [`SUM_MIN`].
    pub sum: f64,
    /// Change beyond the usual pace since the sum was last 0, in the series' own unit.
    pub change: f64,
    /// Intervals since then.
    pub intervals: usize,
}

/// Drift of each row against its own pace, with a scale that is pooled over all rows: a row's own where that
/// is larger. `direction` is 1 for a rise and -1 for a fall. The newest value is the last; NaN is skipped.
pub fn cusum(rows: &[Vec<f64>], clock: &[f64], direction: f64) -> Vec<Drift> {
    let intervals = clock.len().saturating_sub(1);
    let from = intervals.saturating_sub(RECENT);
    let first = from.saturating_sub(REFERENCE);
    if from - first < REFERENCE_MIN {
        return vec![Drift::default(); rows.len()];
    }
    let lengths: Vec<f64> = clock.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let shortest = 0.1 * median(lengths.iter().copied()).unwrap_or(0.0);
    let beyond: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            let step = |at: usize| row[at + 1] - row[at];
            let pace = median((first..from).map(|at| step(at) / lengths[at].max(shortest)));
            let pace = pace.filter(|pace| pace.is_finite()).unwrap_or(f64::NAN);
            (first..intervals).map(|at| step(at) - pace * lengths[at]).collect()
        })
        .collect();
    let usual = from - first;
    let scale_of =
        |residuals: &mut dyn Iterator<Item = f64>| 1.4826 * median(residuals.map(f64::abs)).unwrap_or(0.0);
    let pooled = scale_of(&mut beyond.iter().flat_map(|row| row[..usual].iter().copied()));
    beyond
        .iter()
        .map(|row| {
            let scale = scale_of(&mut row[..usual].iter().copied()).max(pooled);
            add_up(&row[usual..], scale, direction)
        })
        .collect()
}

fn add_up(residuals: &[f64], scale: f64, direction: f64) -> Drift {
    let mut drift = Drift::default();
    if scale.is_nan() || scale <= 0.0 {
        return drift;
    }
    for residual in residuals.iter().filter(|residual| residual.is_finite()) {
        drift.sum += (direction * residual / scale).clamp(-CLIP, CLIP) - SLACK;
        drift.change += residual;
        drift.intervals += 1;
        if drift.sum <= 0.0 {
            drift = Drift::default();
        }
    }
    drift
}

/// Mann and Kendall's statistic in standard deviations, with their correction for ties: above 3 a series has
/// a trend. NaN is skipped; 0 for fewer than eight values.
pub fn trend(values: &[f64]) -> f64 {
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let count = values.len();
    if count < 8 {
        return 0.0;
    }
    let signs = values
        .iter()
        .enumerate()
        .flat_map(|(at, early)| values[at + 1..].iter().map(move |late| (late, early)));
    let score: i64 = signs.map(|(late, early)| i64::from(late > early) - i64::from(late < early)).sum();
    let mut sorted = values;
    sorted.sort_by(f64::total_cmp);
    let terms = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|equal| terms(equal.len() as f64)).sum();
    let variance = (terms(count as f64) - ties) / 18.0;
    if variance <= 0.0 {
        return 0.0;
    }
    (score - score.signum()) as f64 / variance.sqrt()
}

/// Steps until the series reaches `limit` at the median of its slopes; none where it does not go there.
/// `points` are (step, value), oldest first.
pub fn steps_to_limit(points: &[(f64, f64)], limit: f64) -> Option<f64> {
    let (_, newest) = points.last()?;
    let slopes = points.iter().enumerate().flat_map(|(at, (x0, y0))| {
        points[at + 1..].iter().filter(move |(x1, _)| x1 > x0).map(move |(x1, y1)| (y1 - y0) / (x1 - x0))
    });
    let steps = (limit - newest) / median(slopes)?;
    (steps.is_finite() && steps >= 0.0).then_some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise without a trend, the same at every run of the test.
    fn noise(seed: u64, count: usize) -> Vec<f64> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0).collect()
    }

    fn walk(seed: u64, count: usize, pace: f64) -> Vec<f64> {
        let mut at = 0.0;
        noise(seed, count)
            .iter()
            .map(|step| {
                at += pace + step;
                at
            })
            .collect()
    }

    #[test]
    fn a_drift_of_five_scales_is_told_and_its_own_pace_is_none() {
        let clock: Vec<f64> = (0..30).map(f64::from).collect();
        let mut rows: Vec<Vec<f64>> = (1..13).map(|seed| walk(seed, 30, 2.0)).collect();
        for (turn, value) in rows[4].iter_mut().skip(23).enumerate() {
            *value -= 5.0 * (turn + 1) as f64;
        }
        let drifts = cusum(&rows, &clock, -1.0);
        let told: Vec<usize> = (0..12).filter(|&row| drifts[row].sum >= SUM_MIN).collect();
        assert_eq!(told, [4]);
        assert!((drifts[4].change + 35.0).abs() < 12.0, "{:?}", drifts[4]);
        assert!(cusum(&rows, &clock, 1.0).iter().all(|drift| drift.sum < SUM_MIN));
    }

    #[test]
    fn one_jump_is_no_drift() {
        let clock: Vec<f64> = (0..30).map(f64::from).collect();
        let mut rows: Vec<Vec<f64>> = (1..9).map(|seed| walk(seed, 30, 0.0)).collect();
        rows[0].iter_mut().skip(26).for_each(|value| *value += 1e6);
        assert!(cusum(&rows, &clock, 1.0).iter().all(|drift| drift.sum < SUM_MIN));
    }

    #[test]
    fn a_short_past_tells_nothing() {
        let clock: Vec<f64> = (0..12).map(f64::from).collect();
        let row: Vec<f64> = clock.iter().map(|x| x * x * x).collect();
        assert_eq!(cusum(&[row], &clock, 1.0), [Drift::default()]);
    }

    #[test]
    fn the_trend_of_a_line_noise_and_equal_values() {
        let line: Vec<f64> = (0..20).map(f64::from).collect();
        // All 190 pairs rise: (190 - 1) / sqrt(20 · 19 · 45 / 18).
        assert!((trend(&line) - 189.0 / 950.0_f64.sqrt()).abs() < 1e-12);
        assert!(trend(&noise(3, 20)).abs() < 3.0);
        assert_eq!(trend(&[1.0; 20]), 0.0);
        assert_eq!(trend(&line[..7]), 0.0);
    }

    #[test]
    fn a_limit_ahead_is_reached_and_one_behind_is_not() {
        let points: Vec<(f64, f64)> = (0..10).map(|x| (f64::from(x) * 100.0, 1.0 + f64::from(x))).collect();
        assert_eq!(steps_to_limit(&points, 15.0), Some(500.0));
        assert_eq!(steps_to_limit(&points, 5.0), None);
        assert_eq!(steps_to_limit(&points[..1], 5.0), None);
    }
}
