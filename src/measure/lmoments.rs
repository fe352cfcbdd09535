//! L-moments: linear combinations of order statistics (Hosking 1990).

use super::cells::Cell;

/// Second, third and fourth L-moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LMoments {
    /// Scale; above 0 unless all values are equal.
    pub(crate) l2: f64,
    /// Third.
    pub(crate) l3: f64,
    /// Fourth.
    pub(crate) l4: f64,
}

/// Unbiased probability-weighted moments b0..b3 of at least 4 values, combined.
///
/// A value's weight is a falling factorial of its rank. A wide cell's values count as if they lay at equal distances
/// about their mean: how they vary together with their weights is between nothing and three times that.
pub(crate) fn l_moments(cells: &[Cell], mean: f64) -> LMoments {
    let n: u64 = cells.iter().map(|cell| cell.count).sum();
    let n = n as f64;
    // A division a cell less for each.
    let scale = [n, n - 1.0, (n - 1.0) * (n - 2.0), (n - 1.0) * (n - 2.0) * (n - 3.0)].map(f64::recip);
    let mut b = [0f64; 4];
    let mut before = 0u64;
    for cell in cells {
        let count = cell.count as f64;
        // Mean and variance of the ranks (from 0), then the mean falling factorials.
        let m = before as f64 + (count - 1.0) / 2.0;
        let v = (count * count - 1.0) / 12.0;
        let square = m * m + v;
        let cube = m * (m * m + 3.0 * v);
        // Of the weights and values that are `k` apart: the covariance with the rank, then with its third power.
        let k = cell.width() / count;
        let (linear, cubic) = (k * v, k * (3.0 * m * m * v + v * (3.0 * count * count - 7.0) / 20.0));
        // Centred, so that a mean far from 0 costs no digits: L-moments from the second on do not feel it.
        let (x, share) = (cell.mean - mean, count * scale[0]);
        b[0] += share * x;
        b[1] += share * (x * m + linear) * scale[1];
        b[2] += share * (x * (square - m) + linear * (2.0 * m - 1.0)) * scale[2];
        b[3] += share * (x * (cube - 3.0 * square + 2.0 * m) + cubic - linear * (6.0 * m - 2.0)) * scale[3];
        before += cell.count;
    }
    LMoments {
        l2: 2.0 * b[1] - b[0],
        l3: 6.0 * b[2] - 6.0 * b[1] + b[0],
        l4: 20.0 * b[3] - 30.0 * b[2] + 12.0 * b[1] - b[0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_wide_cell_lie_at_equal_distances() {
        let ends = [(-1.0, 7), (0.5, 1000), (4.0, 2), (4.5, 40)];
        let cell = |&(lo, count): &(f64, u64)| Cell { lo, hi: lo + 0.5, mean: lo + 0.25, count };
        let wide: Vec<Cell> = ends.iter().map(cell).collect();
        let each = |cell: &Cell| {
            let Cell { lo, hi, count, .. } = *cell;
            (0..count).map(move |i| Cell::exact(lo + (hi - lo) * (i as f64 + 0.5) / count as f64, 1))
        };
        let narrow: Vec<Cell> = wide.iter().flat_map(each).collect();
        let [wide, narrow] = [wide, narrow].map(|cells| l_moments(&cells, 0.7));
        for (wide, narrow) in [(wide.l2, narrow.l2), (wide.l3, narrow.l3), (wide.l4, narrow.l4)] {
            assert!((wide - narrow).abs() < 1e-12, "{wide} {narrow}");
        }
    }
}
