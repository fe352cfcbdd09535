//! Tails and robust width: what needs the magnitudes, or the distances from the median, in order.

use super::cells::{Cell, Ranked};

/// Fewest non-zero values for the tail metrics.
pub(crate) const TAIL_ELEMENTS_MIN: u64 = 100;

/// Magnitudes of the non-zero values, ascending. What lies between the same ends on both sides of zero is one cell.
pub(crate) fn magnitudes(cells: &[Cell]) -> Vec<Cell> {
    let split = cells.partition_point(|cell| cell.mean < 0.0);
    let mirrored = |cell: &Cell| Cell { lo: -cell.hi, hi: -cell.lo, mean: -cell.mean, count: cell.count };
    let mut left = cells[..split].iter().rev().map(mirrored);
    let mut right = cells[split..].iter().copied().filter(|cell| cell.mean != 0.0);
    let mut merged = Vec::with_capacity(cells.len());
    let (mut a, mut b) = (left.next(), right.next());
    loop {
        match (a, b) {
            (Some(x), Some(y)) if x.lo == y.lo && x.hi == y.hi => {
                let count = x.count + y.count;
                let mean = x.mean + (y.mean - x.mean) * (y.count as f64 / count as f64);
                merged.push(Cell { mean: mean.clamp(x.lo, x.hi), count, ..x });
                (a, b) = (left.next(), right.next());
            }
            (Some(x), y) if y.is_none_or(|y| x.mean <= y.mean) => {
                merged.push(x);
                a = left.next();
            }
            (_, Some(y)) => {
                merged.push(y);
                b = right.next();
            }
            (_, None) => return merged,
        }
    }
}

/// A cell's distance from a centre, as the walk of [`nearest`] finds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Near {
    /// Distance of the cell's mean.
    pub(crate) distance: f64,
    /// Width of the cell.
    pub(crate) width: f64,
}

/// The value that is `rank`-th nearest to `centre`, counted from 0, and the one after it; a wide cell
/// counts as if all its values lay at its mean. `rank` must be below the number of values.
pub(crate) fn nearest(cells: &[Cell], centre: f64, rank: u64) -> [Near; 2] {
    let mut right = cells.partition_point(|cell| cell.mean < centre);
    let mut left = right;
    let mut seen = 0;
    let mut found = Near { distance: 0.0, width: 0.0 };
    loop {
        let below = left.checked_sub(1).map(|index| centre - cells[index].mean);
        let above = cells.get(right).map(|cell| cell.mean - centre);
        let goes_left = match (below, above) {
            (Some(below), Some(above)) => below <= above,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return [found; 2],
        };
        let cell = if goes_left { &cells[left - 1] } else { &cells[right] };
        let distance = (cell.mean - centre).abs();
        if goes_left {
            left -= 1
        } else {
            right += 1
        }
        let near = Near { distance, width: cell.width() };
        let before = seen;
        seen += cell.count;
        if before <= rank && rank < seen {
            found = near;
        }
        if rank + 1 < seen {
            return [found, near];
        }
    }
}

/// Median of the distances from the median, of at least one value.
pub(crate) fn median_absolute_deviation(cells: &[Cell], total: u64, median: f64) -> f64 {
    let [low, high] = nearest(cells, median, (total - 1) / 2);
    if total % 2 == 1 { low.distance } else { low.distance + (high.distance - low.distance) * 0.5 }
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
    let mut group = Group::default();
    for (index, cell) in magnitudes.cells().iter().enumerate().skip(magnitudes.cell_of(first)) {
        let from = magnitudes.before(index).max(first);
        let until = (magnitudes.before(index) + cell.count).min(end);
        if from >= end {
            break;
        }
        if !group.takes(cell, until - from, m) {
            group.plot(m, &mut plot);
            group = Group { from, until: from, lo: cell.lo, sum: 0.0 };
        }
        group.sum += cell.mean * (until - from) as f64;
        group.until = until;
    }
    group.plot(m, &mut plot);
    plot.slope()
}

/// Neighbouring cells that are plotted as one point, because logarithms are dear.
#[derive(Default)]
struct Group {
    from: u64,
    until: u64,
    lo: f64,
    sum: f64,
}

impl Group {
    /// A group spans at most 1/2048 of the values and a factor of 1 + 2^-8: the mean's logarithm stands
    /// for the mean logarithm up to 2^-16 / 24, and the slope loses less than 1e-5 of its value.
    fn takes(&self, cell: &Cell, count: u64, total: u64) -> bool {
        (self.until - self.from + count) * 2048 <= total && cell.hi <= self.lo * (1.0 + 1.0 / 256.0)
    }

    fn plot(&self, total: u64, plot: &mut Regression) {
        if self.until > self.from {
            let count = (self.until - self.from) as f64;
            plot.push((self.sum / count).ln(), mean_log_log(self.from, self.until, total), count);
        }
    }
}

/// Mean of `ln(-ln(1 - p))` over the plotting positions of the ranks `from..until` of `m`.
fn mean_log_log(from: u64, until: u64, m: u64) -> f64 {
    let value = |rank: f64| (-(-(rank + 0.5) / m as f64).ln_1p()).ln();
    let count = until - from;
    // So few neighbours lie on a straight line: the middle stands for all of them. The second derivative
    // is below 120 for p in 0.1..0.9, so this errs by less than 120 (count / m)^2 / 24.
    if count * 2048 <= m || count == 1 {
        return value(from as f64 + (count - 1) as f64 / 2.0);
    }
    if count <= 64 {
        return (from..until).map(|rank| value(rank as f64)).sum::<f64>() / count as f64;
    }
    // The sum over many equally spaced positions is the integral between the half ranks around them, up
    // to the midpoint rule's (1 / m)^2; Gauss-Legendre, five points on each piece.
    const NODES: [(f64, f64); 5] = [
        (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
        (-0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
        (0.0, 0.568_888_888_888_888_9),
        (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
        (0.906_179_845_938_664, 0.236_926_885_056_189_1),
    ];
    // So narrow a group, as a 16-bit value's is, is straight enough for five points: with both ends of the plot
    // 0.1 from where the function turns infinite, they err by less than 1e-15.
    let pieces = if count * 128 <= m { 1 } else { 8 };
    let half = count as f64 / f64::from(2 * pieces);
    (0..pieces)
        .map(|piece| {
            let middle = from as f64 - 0.5 + half * f64::from(2 * piece + 1);
            NODES.iter().map(|(node, weight)| weight / 2.0 * value(middle + half * node)).sum::<f64>()
        })
        .sum::<f64>()
        / f64::from(pieces)
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
