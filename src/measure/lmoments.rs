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
/// A value's weight is a falling factorial of its rank; a cell's values share the mean of their weights.
/// What that leaves out of a wide cell is bounded by its blur.
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
        // Centred, so that a mean far from 0 costs no digits: L-moments from the second on do not feel it.
        let sum = (cell.mean - mean) * (count * scale[0]);
        b[0] += sum;
        b[1] += sum * (m * scale[1]);
        b[2] += sum * ((square - m) * scale[2]);
        b[3] += sum * ((cube - 3.0 * square + 2.0 * m) * scale[3]);
        before += cell.count;
    }
    LMoments {
        l2: 2.0 * b[1] - b[0],
        l3: 6.0 * b[2] - 6.0 * b[1] + b[0],
        l4: 20.0 * b[3] - 30.0 * b[2] + 12.0 * b[1] - b[0],
    }
}
