//! Eigenvalues of Gram matrices and, where those are not enough, singular values themselves.
//!
//! A Gram matrix squares the condition: singular values below about 1e-7 of the largest drown in
//! rounding. [`Triangle`] keeps the R of a QR decomposition instead, row block by row block, and is
//! the way out for deficient matrices: its singular values are those of an f64 SVD.

use faer::linalg::solvers::Qr;
use faer::{Mat, MatRef, Par, Side};

use super::noise::Noise;

/// All eigenvalues of the symmetric matrix whose lower triangle is given, largest first, none below 0.
/// None where the iteration does not converge.
pub fn eigenvalues(gram: &Mat<f64>) -> Option<Vec<f64>> {
    let mut values = gram.self_adjoint_eigenvalues(Side::Lower).ok()?;
    values.reverse();
    values.iter_mut().for_each(|value| *value = value.max(0.0));
    Some(values)
}

/// All singular values, largest first. None where the iteration does not converge.
pub fn singular_values(matrix: MatRef<'_, f64>) -> Option<Vec<f64>> {
    matrix.singular_values().ok()
}

/// Eigenvalues of the product of two symmetric positive semidefinite matrices (both triangles given),
/// largest first: the squared singular values of A Bᵀ where the two are AᵀA and BᵀB.
pub fn product_eigenvalues(left: &Mat<f64>, right: &Mat<f64>) -> Option<Vec<f64>> {
    let eigen = left.self_adjoint_eigen(Side::Lower).ok()?;
    let mut half = eigen.U().to_owned();
    for column in 0..half.ncols() {
        let root = eigen.S()[column].max(0.0).sqrt();
        half.col_mut(column).iter_mut().for_each(|x| *x *= root);
    }
    eigenvalues(&(half.transpose() * right * &half))
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
    pub fn push(&mut self, rows: MatRef<'_, f64>) {
        let above = self.r.nrows();
        let stacked = Mat::from_fn(above + rows.nrows(), self.columns, |i, j| {
            if i < above { self.r[(i, j)] } else { rows[(i - above, j)] }
        });
        if stacked.nrows() <= self.columns {
            self.r = stacked;
        } else {
            self.r = Qr::new(stacked.as_ref()).thin_R().to_owned();
            for column in 0..self.columns {
                self.r.col_mut(column).iter_mut().skip(column + 1).for_each(|x| *x = 0.0);
            }
        }
    }

    /// Singular values of everything that was pushed, largest first: at most `columns` of them.
    pub fn singular_values(&self) -> Option<Vec<f64>> {
        singular_values(self.r.as_ref())
    }
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
        let value = largest_of_tridiagonal(&diagonal, &off_diagonal)?;
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

fn largest_of_tridiagonal(diagonal: &[f64], off_diagonal: &[f64]) -> Option<f64> {
    let n = diagonal.len();
    let small = Mat::from_fn(n, n, |i, j| match i.abs_diff(j) {
        0 => diagonal[i],
        1 => off_diagonal[i.min(j)],
        _ => 0.0,
    });
    small.self_adjoint_eigenvalues(Side::Lower).ok()?.last().copied()
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
        let got = eigenvalues(&matrix).unwrap();
        assert!((got[0] - 3.0).abs() < 1e-14 && (got[1] - 1.0).abs() < 1e-14);
    }

    #[test]
    fn triangle_keeps_singular_values_that_a_gram_loses() {
        // two columns that differ by 1e-10: s_2 / s_1 is about 1e-10, its square below f64's rounding
        let values = gaussian(60, 5);
        let tall = Mat::from_fn(60, 2, |i, j| values[i] + if j == 1 { 1e-10 * values[59 - i] } else { 0.0 });
        let mut triangle = Triangle::new(2);
        for start in (0..60).step_by(7) {
            triangle.push(tall.get(start..(start + 7).min(60), ..));
        }
        let want = tall.singular_values().unwrap();
        let got = triangle.singular_values().unwrap();
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
        let want = eigenvalues(&matrix).unwrap()[0];
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
