//! The Gram matrices of a tensor that lies in a file, and the way out where they are not enough.

use faer::{Mat, MatRef, Par};

use super::panel::{Halt, Matrix, Scratch};
use crate::measure::kernels::eigen::{Triangle, singular_values};
use crate::measure::kernels::gram;
use crate::terms::Reason;

/// Long side up to which a short matrix is decomposed as it is: it costs nothing, and the rounding of a
/// Gram matrix comes near the threshold of `numerical_rank` for such matrices alone.
const WHOLE_ELEMENTS_MAX: usize = 64 * 64;

/// What one look at the tensor gives.
pub(super) struct Products {
    /// Lower triangle of the Gram matrix of the short side.
    pub(super) gram: Mat<f64>,
    /// The same of the matrix with its columns standardised, where it was asked for; constant columns
    /// are zero in it.
    pub(super) standardized: Option<Mat<f64>>,
    /// Sums of the columns, where columns are the short side.
    pub(super) column_sums: Option<Vec<f64>>,
}

/// Reads the matrix once (a second time only where a column's mean drowns its spread).
pub(super) fn products(
    matrix: &Matrix<'_>,
    standardized: bool,
    scratch: &mut Scratch,
    par: Par,
) -> Result<Products, Halt> {
    let products = if matrix.columns <= matrix.rows {
        over_rows(matrix, standardized, scratch, par)?
    } else {
        over_columns(matrix, standardized, scratch, par)?
    };
    let trace = gram::trace(&products.gram);
    if !trace.is_finite() {
        return Err(Reason::NotFinite.into());
    }
    if trace == 0.0 {
        return Err(Reason::AllZero.into());
    }
    Ok(products)
}

/// Columns are the short side: the standardised Gram follows from the plain one and the columns' sums.
fn over_rows(
    matrix: &Matrix<'_>,
    standardized: bool,
    scratch: &mut Scratch,
    par: Par,
) -> Result<Products, Halt> {
    let columns = matrix.columns;
    let mut sum = Mat::zeros(columns, columns);
    let (mut column_sums, mut turned) = (vec![0.0; columns], Vec::new());
    matrix.each_row_panel(scratch, |_, values| {
        gram::accumulate_rows(&mut sum, values, &mut turned, par);
        if standardized {
            for row in values.chunks_exact(columns) {
                column_sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
        }
        Ok(())
    })?;
    if !standardized || !gram::trace(&sum).is_finite() {
        return Ok(Products { gram: sum, standardized: None, column_sums: None });
    }
    let mut correlation = sum.clone();
    if !gram::standardize(&mut correlation, &column_sums, matrix.rows as f64) {
        correlation = standardized_by_columns(matrix, scratch, par)?;
    }
    Ok(Products { gram: sum, standardized: Some(correlation), column_sums: Some(column_sums) })
}

/// Rows are the short side: panels hold whole columns, so each is standardised where it stands.
fn over_columns(
    matrix: &Matrix<'_>,
    standardized: bool,
    scratch: &mut Scratch,
    par: Par,
) -> Result<Products, Halt> {
    let rows = matrix.rows;
    let mut sum = Mat::zeros(rows, rows);
    let mut second = standardized.then(|| Mat::zeros(rows, rows));
    matrix.each_column_panel(matrix.columns_of_panel(), scratch, |count, values| {
        gram::accumulate(&mut sum, MatRef::from_row_major_slice(values, rows, count), par);
        if let Some(second) = &mut second {
            standardize_columns(values, count);
            gram::accumulate(second, MatRef::from_row_major_slice(values, rows, count), par);
        }
        Ok(())
    })?;
    Ok(Products { gram: sum, standardized: second, column_sums: None })
}

/// The Gram of the columns, standardised one by one before anything is multiplied: slow and exact.
fn standardized_by_columns(matrix: &Matrix<'_>, scratch: &mut Scratch, par: Par) -> Result<Mat<f64>, Halt> {
    let (rows, columns) = (matrix.rows as f64, matrix.columns);
    let mut means = vec![0.0; columns];
    let mut bounds = vec![(f64::INFINITY, f64::NEG_INFINITY); columns];
    matrix.each_row_panel(scratch, |_, values| {
        for (index, x) in values.iter().enumerate() {
            means[index % columns] += x / rows;
            let (low, high) = &mut bounds[index % columns];
            (*low, *high) = (low.min(*x), high.max(*x));
        }
        Ok(())
    })?;
    let mut variances = vec![0.0; columns];
    matrix.each_row_panel(scratch, |_, values| {
        for (index, x) in values.iter().enumerate() {
            variances[index % columns] += (x - means[index % columns]).powi(2) / rows;
        }
        Ok(())
    })?;
    let inverse: Vec<f64> = variances
        .iter()
        .zip(&bounds)
        .map(|(variance, (low, high))| if low == high { 0.0 } else { 1.0 / variance.sqrt() })
        .collect();
    let (mut sum, mut turned) = (Mat::zeros(columns, columns), Vec::new());
    matrix.each_row_panel(scratch, |_, values| {
        for (index, x) in values.iter_mut().enumerate() {
            let column = index % columns;
            *x = (*x - means[column]) * inverse[column];
        }
        gram::accumulate_rows(&mut sum, values, &mut turned, par);
        Ok(())
    })?;
    Ok(sum)
}

/// Standardises each of `count` columns of a row-major panel: mean 0, population deviation 1; constant
/// columns become 0.
fn standardize_columns(values: &mut [f64], count: usize) {
    let rows = (values.len() / count.max(1)) as f64;
    let mut means = vec![0.0; count];
    for row in values.chunks_exact(count) {
        means.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
    }
    means.iter_mut().for_each(|mean| *mean /= rows);
    let mut scales = vec![0.0; count];
    let first: Vec<f64> = values[..count].to_vec();
    let mut varies = vec![false; count];
    for row in values.chunks_exact_mut(count) {
        for (column, x) in row.iter_mut().enumerate() {
            varies[column] |= *x != first[column];
            *x -= means[column];
            scales[column] += *x * *x;
        }
    }
    for (scale, varies) in scales.iter_mut().zip(varies) {
        *scale = if varies { (rows / *scale).sqrt() } else { 0.0 };
    }
    for row in values.chunks_exact_mut(count) {
        row.iter_mut().zip(&scales).for_each(|(x, scale)| *x *= scale);
    }
}

/// True where the matrix is so small that its own decomposition is the quickest and most exact way.
pub(super) fn is_small(matrix: &Matrix<'_>) -> bool {
    matrix.rows * matrix.columns <= WHOLE_ELEMENTS_MAX
}

/// All singular values without squaring anything: for small and for deficient matrices.
pub(super) fn exact_singular_values(
    matrix: &Matrix<'_>,
    scratch: &mut Scratch,
    par: Par,
) -> Result<Vec<f64>, Halt> {
    let unsolved = || Halt::Reason(Reason::NotApplicable("the singular values did not converge"));
    if is_small(matrix) {
        matrix.read_rows(0, matrix.rows, scratch)?;
        let whole = MatRef::from_row_major_slice(&scratch.values, matrix.rows, matrix.columns);
        return singular_values(whole, par).ok_or_else(unsolved);
    }
    let short = matrix.short();
    let mut triangle = Triangle::new(short);
    // each factorisation redoes the triangle: blocks as long as it cost at most twice the least work
    if matrix.columns <= matrix.rows {
        let panel = matrix.rows_of_panel().max(short).min(matrix.rows);
        matrix.each_row_panel_of(panel, scratch, |_, values| {
            triangle.push(MatRef::from_row_major_slice(values, values.len() / short, short), par);
            Ok(())
        })?;
    } else {
        let panel = matrix.columns_of_panel().max(short).min(matrix.columns);
        matrix.each_column_panel(panel, scratch, |count, values| {
            triangle.push(MatRef::from_column_major_slice(values, count, short), par);
            Ok(())
        })?;
    }
    triangle.singular_values(par).ok_or_else(unsolved)
}
