//! Kolmogorov-Smirnov distance to the normal of the same mean and standard deviation.

use super::cells::Cell;
use super::normal::Normal;

/// `D = sup |F_n(x) - Phi((x - mean) / std)|`, from cells whose exact ones include every cell that can
/// hold the supremum (see [`suspects`]); for other cells the value at their ends is used, which never
/// exceeds D.
pub(crate) fn ks_statistic(cells: &[Cell], mean: f64, std: f64) -> f64 {
    let normal = Normal::new();
    let total: u64 = cells.iter().map(|cell| cell.count).sum();
    let (mut before, mut distance) = (0u64, 0f64);
    for cell in cells {
        let after = before + cell.count;
        let low = normal.cdf((cell.lo - mean) / std);
        let high = if cell.lo == cell.hi { low } else { normal.cdf((cell.hi - mean) / std) };
        distance = distance.max(low - before as f64 / total as f64).max(after as f64 / total as f64 - high);
        before = after;
    }
    distance
}
