//! All eigenvalues of a symmetric tridiagonal matrix, without vectors: the root-free QL iteration of Pal, Walker and
//! Kahan, as in LAPACK's `dsterf` (Parlett 1980, section 8.15). Half the time of a QR iteration by rotations, and
//! its error stays within a few roundings of the largest eigenvalue where that of rotations adds up.

/// Sweeps that an eigenvalue may take; two are usual.
const SWEEPS_MAX: usize = 30;

/// Eigenvalues in ascending order. `off_diagonal` is one shorter than `diagonal`. None where the iteration does not
/// converge, as where a number is not finite.
pub fn eigenvalues(mut diagonal: Vec<f64>, mut off_diagonal: Vec<f64>) -> Option<Vec<f64>> {
    let size = diagonal.iter().chain(&off_diagonal).fold(0.0, |size: f64, x| size.max(x.abs()));
    if size == 0.0 {
        return Some(diagonal);
    }
    // squares of the off-diagonal must neither overflow nor vanish
    diagonal.iter_mut().for_each(|d| *d /= size);
    off_diagonal.iter_mut().for_each(|e| *e = (*e / size).powi(2));
    let mut sweeps = SWEEPS_MAX * diagonal.len();
    for first in 0..diagonal.len() {
        loop {
            let last = split(&diagonal, &mut off_diagonal, first);
            if last == first {
                break;
            }
            sweeps = sweeps.checked_sub(1)?;
            sweep(&mut diagonal[first..=last], &mut off_diagonal[first..last]);
        }
    }
    if diagonal.iter().any(|d| !d.is_finite()) {
        return None;
    }
    diagonal.iter_mut().for_each(|d| *d *= size);
    diagonal.sort_unstable_by(f64::total_cmp);
    Some(diagonal)
}

/// Last place of the block that begins at `first`: behind it the squared off-diagonal is nothing beside its
/// neighbours.
fn split(diagonal: &[f64], squares: &mut [f64], first: usize) -> usize {
    const TINY: f64 = f64::EPSILON * f64::EPSILON / 4.0;
    for at in first..squares.len() {
        if squares[at] <= TINY * (diagonal[at] * diagonal[at + 1]).abs() + f64::MIN_POSITIVE {
            squares[at] = 0.0;
            return at;
        }
    }
    squares.len()
}

/// One QL sweep over a block of two or more, shifted by the eigenvalue of its first two rows that is nearer to the
/// first.
fn sweep(diagonal: &mut [f64], squares: &mut [f64]) {
    let root = squares[0].sqrt();
    let half = (diagonal[1] - diagonal[0]) / (2.0 * root);
    let shift = diagonal[0] - root / (half + half.hypot(1.0).copysign(half));
    let last = squares.len();
    let (mut cosine, mut sine) = (1.0, 0.0);
    let mut gamma = diagonal[last] - shift;
    let mut p = gamma * gamma;
    for at in (0..last).rev() {
        let square = squares[at];
        let r = p + square;
        if at + 1 < last {
            squares[at + 1] = sine * r;
        }
        // Both quotients at once: each waits for the step before, and that is all the time a sweep takes.
        let (up, before) = (r / p, cosine);
        (cosine, sine) = (p / r, square / r);
        let (old, alpha) = (gamma, diagonal[at]);
        gamma = cosine * (alpha - shift) - sine * old;
        diagonal[at + 1] = old + (alpha - gamma);
        p = if cosine >= f64::MIN_POSITIVE { gamma * gamma * up } else { before * square };
    }
    squares[0] = sine * p;
    diagonal[0] = shift + gamma;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::kernels::noise::gaussian;
    use faer::{Mat, Side};

    fn worst(got: &[f64], want: &[f64]) -> f64 {
        let size = want.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
        got.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f64::max) / size
    }

    #[test]
    fn those_of_the_second_difference_are_known() {
        for n in [2usize, 3, 50, 768] {
            let got = eigenvalues(vec![2.0; n], vec![-1.0; n - 1]).unwrap();
            let angle = |k: usize| k as f64 * std::f64::consts::PI / (n as f64 + 1.0);
            let want: Vec<f64> = (1..=n).map(|k| 4.0 * (angle(k) / 2.0).sin().powi(2)).collect();
            // What the Gram's user reckons with: 32 roundings of the largest.
            assert!(worst(&got, &want) < 32.0 * f64::EPSILON, "{n}: {:e}", worst(&got, &want));
        }
    }

    /// Wilkinson's W₂₁⁺: pairs of eigenvalues that agree to fourteen digits; and blocks that do not touch.
    #[test]
    fn close_and_separate_eigenvalues_are_found() {
        let diagonal: Vec<f64> = (-10i32..=10).map(|i| f64::from(i.abs())).collect();
        let got = eigenvalues(diagonal, vec![1.0; 20]).unwrap();
        assert!((got[20] - 10.746_194_182_903_393).abs() < 1e-13, "{}", got[20]);
        assert!((got[19] - 10.746_194_182_903_322).abs() < 1e-13, "{}", got[19]);
        assert!((got[0] + 1.125_441_522_119_984_5).abs() < 1e-13, "{}", got[0]);
        let got = eigenvalues(vec![2.0, 2.0, 7.0, 5.0, 5.0], vec![1.0, 0.0, 0.0, 3.0]).unwrap();
        assert!(worst(&got, &[1.0, 2.0, 3.0, 7.0, 8.0]) < 1e-15, "{got:?}");
    }

    #[test]
    fn any_scale_goes_and_zero_stays_zero() {
        let (diagonal, off_diagonal) = (gaussian(40, 3), gaussian(39, 4));
        let whole = Mat::from_fn(40, 40, |i, j| match i.abs_diff(j) {
            0 => diagonal[i],
            1 => off_diagonal[i.min(j)],
            _ => 0.0,
        });
        let want = whole.self_adjoint_eigenvalues(Side::Lower).unwrap();
        for scale in [1.0, 1e-290, 1e290] {
            let scaled = |values: &[f64]| values.iter().map(|x| x * scale).collect::<Vec<_>>();
            let got = eigenvalues(scaled(&diagonal), scaled(&off_diagonal)).unwrap();
            let got: Vec<f64> = got.iter().map(|x| x / scale).collect();
            assert!(worst(&got, &want) < 1e-13, "{scale:e}");
        }
        assert_eq!(eigenvalues(vec![0.0; 3], vec![0.0; 2]), Some(vec![0.0; 3]));
        assert_eq!(eigenvalues(vec![4.0], Vec::new()), Some(vec![4.0]));
        assert_eq!(eigenvalues(Vec::new(), Vec::new()), Some(Vec::new()));
        // Of rank one, and half of zeros.
        let got = eigenvalues(vec![1.0, 1.0, 0.0, 0.0], vec![1.0, 0.0, 0.0]).unwrap();
        assert!(worst(&got, &[0.0, 0.0, 0.0, 2.0]) < 1e-15, "{got:?}");
    }

    #[test]
    fn what_is_not_finite_has_no_eigenvalues() {
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(eigenvalues(vec![1.0, bad, 2.0], vec![1.0, 1.0]), None);
            assert_eq!(eigenvalues(vec![1.0, 3.0, 2.0], vec![1.0, bad]), None);
        }
    }
}
