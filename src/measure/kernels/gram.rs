//! Gram matrices of the short side, added up over panels so that no more than a panel of a tensor is
//! ever in memory.
//!
//! A panel is short side × some of the long side. The sums are f64: in f32 the small singular values,
//! and with them `numerical_rank` and `effective_rank`, are lost below about 3e-4 of the largest.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef, Par};

use super::eigen::top_eigenvalue;

/// Adds `panel` `panel`ᵀ to the lower triangle of `gram`.
///
/// `panel` is k × any, `gram` is k × k. Error: about 1e-16 × k relative to the largest eigenvalue.
pub fn accumulate(gram: &mut Mat<f64>, panel: MatRef<'_, f64>, par: Par) {
    matmul(
        gram.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        panel,
        BlockStructure::Rectangular,
        panel.transpose(),
        BlockStructure::Rectangular,
        1.0,
        par,
    );
}

/// Adds `rows`ᵀ `rows`, given row by row as a file has them, to the lower triangle of `gram`. `turned` is room that
/// is used again.
///
/// faer takes a third less time where what is summed over lies together, far more than turning the panel takes;
/// narrow panels do not gain.
pub fn accumulate_rows(gram: &mut Mat<f64>, rows: &[f64], turned: &mut Vec<f64>, par: Par) {
    /// Columns from which turning pays: it cost a tenth at 64, and saved a fifth at 256.
    const TURNED_MIN: usize = 128;
    let columns = gram.nrows();
    let count = rows.len() / columns;
    if columns < TURNED_MIN {
        accumulate(gram, MatRef::from_column_major_slice(rows, columns, count), par);
    } else {
        turn(rows, columns, turned);
        accumulate(gram, MatRef::from_row_major_slice(turned, columns, count), par);
    }
}

/// Rows × columns as columns × rows.
fn turn(rows: &[f64], columns: usize, turned: &mut Vec<f64>) {
    /// Rows at a time: as many as a cache line holds elements.
    const ROWS: usize = 8;
    let count = rows.len() / columns;
    turned.resize(rows.len(), 0.0);
    for (block, piece) in rows.chunks(ROWS * columns).enumerate() {
        for column in 0..columns {
            let line = turned[column * count + block * ROWS..].iter_mut();
            line.zip(piece[column..].iter().step_by(columns)).for_each(|(to, from)| *to = *from);
        }
    }
}

/// The sum of squares of all entries of the symmetric matrix whose lower triangle is given.
pub fn squared_norm(gram: &Mat<f64>) -> f64 {
    let k = gram.nrows();
    (0..k)
        .map(|column| {
            let lower = &gram.col(column).try_as_col_major().map_or(&[][..], |c| c.as_slice())[column..];
            2.0 * lower.iter().map(|g| g * g).sum::<f64>() - lower.first().map_or(0.0, |d| d * d)
        })
        .sum()
}

/// The trace: Σ λ, the squared Frobenius norm of the matrix behind the Gram.
pub fn trace(gram: &Mat<f64>) -> f64 {
    (0..gram.nrows()).map(|i| gram[(i, i)]).sum()
}

/// Mirrors the lower triangle, for kernels that read whole columns.
pub fn symmetrize(gram: &mut Mat<f64>) {
    for column in 0..gram.ncols() {
        for row in column + 1..gram.nrows() {
            gram[(column, row)] = gram[(row, column)];
        }
    }
}

/// Turns the Gram matrix WᵀW of m rows with the given column sums into the correlation matrix of the
/// columns times m, which is ZᵀZ of the standardised matrix Z; constant columns become zero.
///
/// Returns false, with the Gram spoilt, where the columns' means so outweigh their spread that the
/// difference would be left with less than about eight digits: then Z must be formed itself.
pub fn standardize(gram: &mut Mat<f64>, sums: &[f64], rows: f64) -> bool {
    /// Mean² over variance beyond which the subtraction loses too much.
    const MEAN_SQUARED_OVER_VARIANCE_MAX: f64 = 1e6;
    let k = gram.nrows();
    let mut inverse_sd = vec![0.0; k];
    for (column, scale) in inverse_sd.iter_mut().enumerate() {
        let mean = sums[column] / rows;
        let square = gram[(column, column)] / rows;
        let variance = square - mean * mean;
        if square == 0.0 {
            continue;
        }
        if variance.is_nan() || variance <= 0.0 || mean * mean > MEAN_SQUARED_OVER_VARIANCE_MAX * variance {
            return false;
        }
        *scale = 1.0 / variance.sqrt();
    }
    for column in 0..k {
        let mean = sums[column] / rows;
        for row in column..k {
            let covariance = gram[(row, column)] - sums[row] * mean;
            gram[(row, column)] = covariance * inverse_sd[row] * inverse_sd[column];
        }
    }
    true
}

/// Steps of a Lanczos iteration after which the estimate is taken as it is.
pub const TOP_STEPS_MAX: usize = 200;

/// Largest eigenvalue of the symmetric positive semidefinite matrix whose lower triangle is given, to a
/// relative error of about 1e-8; none where it is zero.
pub fn largest_eigenvalue(mut matrix: Mat<f64>) -> Option<f64> {
    /// Relative movement below which the estimate stands still.
    const TOLERANCE: f64 = 1e-9;
    symmetrize(&mut matrix);
    top_eigenvalue(matrix.nrows(), TOLERANCE, TOP_STEPS_MAX, |x, y| {
        for (column, weight) in x.iter().enumerate() {
            y.iter_mut().zip(matrix.col_as_slice(column)).for_each(|(y, g)| *y += weight * g);
        }
        Some(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::kernels::noise::gaussian;

    fn naive(values: &[f64], rows: usize, columns: usize) -> Mat<f64> {
        Mat::from_fn(columns, columns, |i, j| {
            (0..rows).map(|r| values[r * columns + i] * values[r * columns + j]).sum()
        })
    }

    #[test]
    fn panels_add_up_to_the_whole_product() {
        let (rows, columns) = (37, 11);
        let values = gaussian(rows * columns, 1);
        let mut gram = Mat::zeros(columns, columns);
        for block in values.chunks(5 * columns) {
            let panel = MatRef::from_column_major_slice(block, columns, block.len() / columns);
            accumulate(&mut gram, panel, Par::Seq);
        }
        let want = naive(&values, rows, columns);
        for (i, j) in (0..columns).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            assert!((gram[(i, j)] - want[(i, j)]).abs() < 1e-12);
        }
        assert!((squared_norm(&gram) - want.squared_norm_l2()).abs() < 1e-9);
    }

    /// On both sides of the width from which panels are turned, and with a last block that is not full.
    #[test]
    fn rows_add_up_like_the_whole_product() {
        for (rows, columns) in [(37, 11), (37, 130), (8, 128), (3, 200)] {
            let values = gaussian(rows * columns, 4);
            let (mut gram, mut turned) = (Mat::zeros(columns, columns), Vec::new());
            for block in values.chunks(30 * columns) {
                accumulate_rows(&mut gram, block, &mut turned, Par::Seq);
            }
            let want = naive(&values, rows, columns);
            for (i, j) in (0..columns).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                assert!((gram[(i, j)] - want[(i, j)]).abs() < 1e-12, "{rows} {columns}");
            }
        }
    }

    #[test]
    fn standardized_gram_is_the_gram_of_standardized_columns() {
        let (rows, columns) = (50, 6);
        let values: Vec<f64> = gaussian(rows * columns, 2)
            .iter()
            .enumerate()
            .map(|(i, x)| x * (1.0 + (i % columns) as f64) + 3.0)
            .collect();
        let mut gram = naive(&values, rows, columns);
        let sums: Vec<f64> = (0..columns).map(|c| values.iter().skip(c).step_by(columns).sum()).collect();
        assert!(standardize(&mut gram, &sums, rows as f64));
        assert!((gram[(2, 2)] - rows as f64).abs() < 1e-9);
        let mean = |c: usize| sums[c] / rows as f64;
        let cell = |r: usize, c: usize| values[r * columns + c] - mean(c);
        let dot = |a: usize, b: usize| (0..rows).map(|r| cell(r, a) * cell(r, b)).sum::<f64>();
        let want = dot(3, 1) / (dot(3, 3) * dot(1, 1)).sqrt() * rows as f64;
        assert!((gram[(3, 1)] - want).abs() < 1e-9);
    }

    #[test]
    fn a_mean_that_drowns_the_spread_is_refused() {
        let values: Vec<f64> = gaussian(40, 3).iter().map(|x| 1.0 + 1e-6 * x).collect();
        let mut gram = naive(&values, 20, 2);
        let sums = [values.iter().step_by(2).sum(), values.iter().skip(1).step_by(2).sum()];
        assert!(!standardize(&mut gram, &sums, 20.0));
    }
}
