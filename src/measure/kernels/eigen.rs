//! Eigenvalues of Gram matrices and, where those are not enough, singular values themselves.
//!
//! A Gram matrix squares the condition: singular values below about 1e-7 of the largest drown in
//! rounding. [`Triangle`] keeps the R of a QR decomposition instead, row block by row block, and is
//! the way out for deficient matrices: its singular values are those of an f64 SVD.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{self, ComputeEigenvectors, tridiag};
use faer::linalg::qr::no_pivoting::factor as qr;
use faer::linalg::svd::{self, ComputeSvdVectors};
use faer::{Mat, MatRef, Par, Side};

use super::noise::Noise;
use super::tridiagonal;

/// All eigenvalues of the symmetric matrix whose lower triangle is given, which is spoilt; largest first, none below 0.
/// Each is off by some 24 roundings of the largest at most. None where the iteration does not converge.
pub fn eigenvalues(mut gram: Mat<f64>, par: Par) -> Option<Vec<f64>> {
    let order = gram.nrows();
    if order > 1 {
        // reflections one by one: nobody wants them in blocks, to be applied to vectors
        let mut reflections = Mat::zeros(1, order - 1);
        let scratch = tridiag::tridiag_in_place_scratch::<f64>(order, par, Default::default());
        let stack = &mut MemBuffer::new(scratch);
        let form = Default::default();
        tridiag::tridiag_in_place(gram.as_mut(), reflections.as_mut(), par, MemStack::new(stack), form);
    }
    let diagonal = (0..order).map(|i| gram[(i, i)]).collect();
    let off_diagonal = (1..order).map(|i| gram[(i, i - 1)]).collect();
    drop(gram);
    let mut values = tridiagonal::eigenvalues(diagonal, off_diagonal)?;
    values.reverse();
    values.iter_mut().for_each(|value| *value = value.max(0.0));
    Some(values)
}

/// Eigenvalues in ascending order, and their vectors. faer's methods would take the process-wide parallelism
/// instead of the caller's.
fn decompose(gram: &Mat<f64>, vectors: &mut Mat<f64>, par: Par) -> Option<Vec<f64>> {
    let order = gram.nrows();
    let wanted = ComputeEigenvectors::Yes;
    let mut values = Diag::<f64>::zeros(order);
    let scratch = evd::self_adjoint_evd_scratch::<f64>(order, wanted, par, Default::default());
    evd::self_adjoint_evd(
        gram.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        par,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    Some(values.column_vector().iter().copied().collect())
}

/// All singular values, largest first. None where the iteration does not converge.
pub fn singular_values(matrix: MatRef<'_, f64>, par: Par) -> Option<Vec<f64>> {
    let (rows, columns) = matrix.shape();
    let no = ComputeSvdVectors::No;
    let mut values = Diag::<f64>::zeros(rows.min(columns));
    let scratch = svd::svd_scratch::<f64>(rows, columns, no, no, par, Default::default());
    let stack = &mut MemBuffer::new(scratch);
    svd::svd(matrix, values.as_mut(), None, None, par, MemStack::new(stack), Default::default()).ok()?;
    Some(values.column_vector().iter().copied().collect())
}

/// Eigenvalues of the product of two symmetric positive semidefinite matrices (both triangles given),
/// largest first: the squared singular values of A Bᵀ where the two are AᵀA and BᵀB.
pub fn product_eigenvalues(left: &Mat<f64>, right: &Mat<f64>) -> Option<Vec<f64>> {
    // left = H Hᵀ; Cholesky's H is ten times cheaper and there unless the matrix is deficient
    let half = match left.llt(Side::Lower) {
        Ok(factor) => factor.L().to_owned(),
        Err(_) => square_root(left)?,
    };
    eigenvalues(half.transpose() * right * &half, Par::Seq)
}

/// H with H Hᵀ = `matrix`, for one that may be deficient.
fn square_root(matrix: &Mat<f64>) -> Option<Mat<f64>> {
    let order = matrix.nrows();
    let mut half = Mat::zeros(order, order);
    let values = decompose(matrix, &mut half, Par::Seq)?;
    for (column, value) in values.iter().enumerate() {
        let root = value.max(0.0).sqrt();
        half.col_mut(column).iter_mut().for_each(|x| *x *= root);
    }
    Some(half)
}

/// The R of a QR decomposition of rows that come in blocks: RᵀR = WᵀW without ever squaring.
#[derive(Debug)]
pub struct Triangle {
    columns: usize,
    r: Mat<f64>,
}

impl Triangle {
    /// An empty one for rows of that length.
    pub fn new(columns: usize) -> Self {
        Self { columns, r: Mat::zeros(0, columns) }
    }

    /// Takes in `rows`, any × columns.
    pub fn push(&mut self, rows: MatRef<'_, f64>, par: Par) {
        let above = self.r.nrows();
        let mut stacked = Mat::from_fn(above + rows.nrows(), self.columns, |i, j| {
            if i < above { self.r[(i, j)] } else { rows[(i - above, j)] }
        });
        if stacked.nrows() > self.columns {
            factor_in_place(&mut stacked, par);
            stacked =
                Mat::from_fn(self.columns, self.columns, |i, j| if i <= j { stacked[(i, j)] } else { 0.0 });
        }
        self.r = stacked;
    }

    /// Singular values of everything that was pushed, largest first: at most `columns` of them.
    pub fn singular_values(&self, par: Par) -> Option<Vec<f64>> {
        singular_values(self.r.as_ref(), par)
    }
}

/// Leaves R in the upper triangle of a matrix with more rows than columns.
fn factor_in_place(matrix: &mut Mat<f64>, par: Par) {
    let (rows, columns) = matrix.shape();
    let block = qr::recommended_block_size::<f64>(rows, columns);
    let mut coefficients = Mat::zeros(block, columns);
    let scratch = qr::qr_in_place_scratch::<f64>(rows, columns, block, par, Default::default());
    let stack = &mut MemBuffer::new(scratch);
    qr::qr_in_place(matrix.as_mut(), coefficients.as_mut(), par, MemStack::new(stack), Default::default());
}

/// Largest eigenvalue by Lanczos iteration with full reorthogonalisation.
///
/// `apply(x, y)` sets y = A x for a symmetric positive semidefinite A of order `order`. Stops when
/// three steps in a row move the estimate by less than `tolerance` relatively, or after `steps_max`
/// steps; the estimate never exceeds the true value by more than rounding. None where `apply` fails
/// or A is zero.
pub fn top_eigenvalue(
    order: usize,
    tolerance: f64,
    steps_max: usize,
    mut apply: impl FnMut(&[f64], &mut [f64]) -> Option<()>,
) -> Option<f64> {
    let mut noise = Noise::new(0x5eed);
    let mut basis: Vec<Vec<f64>> = vec![(0..order).map(|_| noise.normal()).collect()];
    scale_to_unit(&mut basis[0])?;
    let (mut diagonal, mut off_diagonal) = (Vec::new(), Vec::new());
    let (mut estimate, mut quiet) = (0.0_f64, 0);
    for step in 0..steps_max.min(order) {
        let mut next = vec![0.0; order];
        apply(&basis[step], &mut next)?;
        diagonal.push(dot(&basis[step], &next));
        // twice: once loses orthogonality exactly where the estimate converges
        for _ in 0..2 {
            for vector in &basis {
                let along = dot(vector, &next);
                next.iter_mut().zip(vector).for_each(|(x, v)| *x -= along * v);
            }
        }
        let value = *tridiagonal::eigenvalues(diagonal.clone(), off_diagonal.clone())?.last()?;
        quiet = if (value - estimate).abs() <= tolerance * value.abs() { quiet + 1 } else { 0 };
        estimate = value;
        let norm = dot(&next, &next).sqrt();
        if quiet >= 3 || norm <= 1e-14 * value.abs() {
            break;
        }
        next.iter_mut().for_each(|x| *x /= norm);
        off_diagonal.push(norm);
        basis.push(next);
    }
    (estimate > 0.0 && estimate.is_finite()).then_some(estimate)
}

fn scale_to_unit(vector: &mut [f64]) -> Option<()> {
    let norm = dot(vector, vector).sqrt();
    (norm > 0.0).then(|| vector.iter_mut().for_each(|x| *x /= norm))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// How faer is to share the work of one product: over `threads` threads, or on this thread alone.
pub fn parallelism(threads: usize) -> Par {
    if threads > 1 { Par::rayon(threads) } else { Par::Seq }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::kernels::gram;
    use crate::measure::kernels::noise::gaussian;

    fn random(rows: usize, columns: usize, seed: u64) -> Mat<f64> {
        let values = gaussian(rows * columns, seed);
        Mat::from_fn(rows, columns, |i, j| values[i * columns + j])
    }

    #[test]
    fn known_eigenvalues_come_largest_first() {
        // 2 × 2 with eigenvalues 3 and 1
        let matrix = faer::mat![[2.0, 1.0], [1.0, 2.0]];
        let got = eigenvalues(matrix, Par::Seq).unwrap();
        assert!((got[0] - 3.0).abs() < 1e-14 && (got[1] - 1.0).abs() < 1e-14);
    }

    #[test]
    fn triangle_keeps_singular_values_that_a_gram_loses() {
        // two columns that differ by 1e-10: s_2 / s_1 is about 1e-10, its square below f64's rounding
        let values = gaussian(60, 5);
        let tall = Mat::from_fn(60, 2, |i, j| values[i] + if j == 1 { 1e-10 * values[59 - i] } else { 0.0 });
        let mut triangle = Triangle::new(2);
        for start in (0..60).step_by(7) {
            triangle.push(tall.get(start..(start + 7).min(60), ..), Par::Seq);
        }
        let want = tall.singular_values().unwrap();
        let got = triangle.singular_values(Par::Seq).unwrap();
        assert!((got[0] / want[0] - 1.0).abs() < 1e-13);
        assert!((got[1] / want[1] - 1.0).abs() < 1e-5, "{got:?} {want:?}");
    }

    #[test]
    fn lanczos_finds_the_top_of_a_noise_spectrum() {
        let tall = random(300, 120, 6);
        let mut matrix = Mat::zeros(120, 120);
        gram::accumulate(&mut matrix, tall.transpose(), Par::Seq);
        gram::symmetrize(&mut matrix);
        let got = top_eigenvalue(120, 1e-10, 120, |x, y| {
            for (j, &xj) in x.iter().enumerate() {
                y.iter_mut().zip(matrix.col(j).iter()).for_each(|(y, g)| *y += xj * g);
            }
            Some(())
        });
        let want = eigenvalues(matrix, Par::Seq).unwrap()[0];
        assert!((got.unwrap() / want - 1.0).abs() < 1e-9);
    }

    #[test]
    fn lanczos_of_zero_has_no_top() {
        assert_eq!(top_eigenvalue(5, 1e-9, 10, |_, _| Some(())), None);
    }

    #[test]
    fn product_of_grams_has_the_spectrum_of_the_product() {
        let (a, b) = (random(40, 8, 7), random(40, 8, 8));
        let got = product_eigenvalues(&(a.transpose() * &a), &(b.transpose() * &b)).unwrap();
        let want = (&a * b.transpose()).singular_values().unwrap();
        for i in 0..8 {
            assert!((got[i].sqrt() / want[i] - 1.0).abs() < 1e-10);
        }
    }
}
