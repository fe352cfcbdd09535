//! Tails and robust width: what needs the magnitudes, or the distances from the median, in order.

use super::cells::{Cell, Ranked};

/// Fewest non-zero values for the tail metrics.
pub(crate) const TAIL_ELEMENTS_MIN: u64 = 100;

/// Magnitudes of the non-zero values, ascending.
pub(crate) fn magnitudes(cells: &[Cell]) -> Vec<Cell> {
    let split = cells.partition_point(|cell| cell.mean < 0.0);
    let mut left = cells[..split].iter().rev().map(|cell| Cell {
        lo: -cell.hi,
        hi: -cell.lo,
        mean: -cell.mean,
        count: cell.count,
    });
    let mut right = cells[split..].iter().copied().filter(|cell| cell.mean != 0.0);
    merge(&mut left, &mut right)
}

/// Distances from `centre`, ascending.
pub(crate) fn distances(cells: &[Cell], centre: f64) -> Vec<Cell> {
    let split = cells.partition_point(|cell| cell.mean < centre);
    let mut left = cells[..split].iter().rev().map(|cell| Cell {
        lo: (centre - cell.hi).max(0.0),
        hi: centre - cell.lo,
        mean: centre - cell.mean,
        count: cell.count,
    });
    let mut right = cells[split..].iter().map(|cell| Cell {
        lo: (cell.lo - centre).max(0.0),
        hi: cell.hi - centre,
        mean: cell.mean - centre,
        count: cell.count,
    });
    merge(&mut left, &mut right)
}

/// Merges two ascending lists by the cells' means.
fn merge(left: &mut dyn Iterator<Item = Cell>, right: &mut dyn Iterator<Item = Cell>) -> Vec<Cell> {
    let mut merged = Vec::new();
    let (mut a, mut b) = (left.next(), right.next());
    loop {
        match (a, b) {
            (Some(x), Some(y)) if x.mean <= y.mean => {
                merged.push(x);
                a = left.next();
            }
            (Some(x), None) => {
                merged.push(x);
                a = left.next();
            }
            (_, Some(y)) => {
                merged.push(y);
                b = right.next();
            }
            (None, None) => return merged,
        }
    }
}

/// Median of the distances from the median.
pub(crate) fn median_absolute_deviation(cells: &[Cell], median: f64) -> f64 {
    Ranked::new(&distances(cells, median)).quantile(0.5)
}

/// How many of `total` magnitudes the Hill estimator takes.
pub(crate) fn hill_count(total: u64) -> u64 {
    (total / 1000).max(10)
}

/// Hill's estimator over the `k` largest magnitudes: `k / sum ln(a_i / a_(k+1))`. None where they are
/// all equal.
pub(crate) fn hill_tail_index(magnitudes: &Ranked<'_>) -> Option<f64> {
    let k = hill_count(magnitudes.total());
    let threshold_rank = magnitudes.total().checked_sub(k + 1)?;
    let threshold = magnitudes.value(threshold_rank);
    let from = magnitudes.cell_of(threshold_rank);
    let mut tail = 0.0;
    for (index, cell) in magnitudes.cells().iter().enumerate().skip(from) {
        // The threshold's own cell counts with the values above the threshold only.
        let above =
            (magnitudes.before(index) + cell.count).saturating_sub(threshold_rank + 1).min(cell.count);
        tail += above as f64 * (cell.mean / threshold).ln();
    }
    (tail > 0.0).then(|| k as f64 / tail)
}

/// Share of the values to which the probability plot is cut: its middle 80 %.
const PLOT: (f64, f64) = (0.1, 0.9);

/// Slope of the Weibull probability plot: least squares of `ln(-ln(1 - p_i))` on `ln a_i` over the
/// plotting positions `p_i = (i - 1/2) / m` from 0.1 to 0.9. None where all of those are equal.
pub(crate) fn weibull_shape(magnitudes: &Ranked<'_>) -> Option<f64> {
    let m = magnitudes.total();
    let position = |rank: u64| (rank as f64 + 0.5) / m as f64;
    // Rounding may put a position just on the other side of a cut: ask it, as numpy does.
    let mut first = (PLOT.0 * m as f64 - 0.5).floor().max(0.0) as u64;
    while position(first) < PLOT.0 {
        first += 1;
    }
    let mut end = ((PLOT.1 * m as f64).ceil() as u64 + 1).min(m);
    while end > first && position(end - 1) > PLOT.1 {
        end -= 1;
    }
    let mut plot = Regression::default();
    for (index, cell) in magnitudes.cells().iter().enumerate().skip(magnitudes.cell_of(first)) {
        let from = magnitudes.before(index).max(first);
        let until = (magnitudes.before(index) + cell.count).min(end);
        if from >= end {
            break;
        }
        let weight = (until - from) as f64;
        plot.push(cell.mean.ln(), mean_log_log(from, until, m), weight);
    }
    plot.slope()
}

/// Mean of `ln(-ln(1 - p))` over the plotting positions of the ranks `from..until` of `m`.
fn mean_log_log(from: u64, until: u64, m: u64) -> f64 {
    let value = |rank: f64| (-(-(rank + 0.5) / m as f64).ln_1p()).ln();
    let count = until - from;
    // So few neighbours lie on a straight line: the middle stands for all of them. The second derivative
    // is below 120 for p in 0.1..0.9, so this errs by less than 120 (count / m)^2 / 24.
    if count as f64 <= 1e-4 * m as f64 || count == 1 {
        return value(from as f64 + (count - 1) as f64 / 2.0);
    }
    if count <= 64 {
        return (from..until).map(|rank| value(rank as f64)).sum::<f64>() / count as f64;
    }
    // The sum over many equally spaced positions is the integral between the half ranks around them, up
    // to the midpoint rule's (1 / m)^2; Gauss-Legendre, five points on each of eight pieces.
    const NODES: [(f64, f64); 5] = [
        (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
        (-0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
        (0.0, 0.568_888_888_888_888_9),
        (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
        (0.906_179_845_938_664, 0.236_926_885_056_189_1),
    ];
    const PIECES: u32 = 8;
    let half = count as f64 / f64::from(2 * PIECES);
    (0..PIECES)
        .map(|piece| {
            let middle = from as f64 - 0.5 + half * f64::from(2 * piece + 1);
            NODES.iter().map(|(node, weight)| weight / 2.0 * value(middle + half * node)).sum::<f64>()
        })
        .sum::<f64>()
        / f64::from(PIECES)
}

/// Weighted least squares of y on x, updated point by point (West 1979).
#[derive(Default)]
struct Regression {
    weight: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl Regression {
    fn push(&mut self, x: f64, y: f64, weight: f64) {
        self.weight += weight;
        let (dx, dy) = (x - self.x, y - self.y);
        self.x += dx * weight / self.weight;
        self.y += dy * weight / self.weight;
        self.xx += weight * dx * (x - self.x);
        self.xy += weight * dx * (y - self.y);
    }

    fn slope(&self) -> Option<f64> {
        (self.xx > 0.0).then(|| self.xy / self.xx)
    }
}
