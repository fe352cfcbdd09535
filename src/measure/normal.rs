//! The normal distribution function, fast enough to be asked at every cell edge.
//!
//! A Taylor series of order 5 about the nearest point of a grid of 1/128: the remainder is below
//! `(1/256)^6 / 720 * max |phi^(5)|` < 1e-17, so what is left is the rounding of the table (1e-16).

use std::sync::LazyLock;

/// Grid points per standard deviation.
const PER_SIGMA: f64 = 128.0;
/// Beyond so many standard deviations the distribution function is 0 or 1 to 1e-16.
const REACH: f64 = 8.5;

/// (Phi, phi) at the grid points from -REACH on.
static GRID: LazyLock<Vec<(f64, f64)>> = LazyLock::new(|| {
    let points = (2.0 * REACH * PER_SIGMA) as usize;
    (0..=points)
        .map(|index| {
            let z = index as f64 / PER_SIGMA - REACH;
            let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
            (0.5 * libm::erfc(-z / std::f64::consts::SQRT_2), density)
        })
        .collect()
});

/// The grid, to be fetched once before a loop over [`Normal::cdf`].
#[derive(Clone, Copy)]
pub(crate) struct Normal(&'static [(f64, f64)]);

impl Normal {
    /// Makes the grid at the first call.
    pub(crate) fn new() -> Self {
        Self(&GRID)
    }

    /// Share of a standard normal below `z`; absolute error below 1e-15.
    pub(crate) fn cdf(self, z: f64) -> f64 {
        if z <= -REACH {
            return 0.0;
        }
        if z >= REACH {
            return 1.0;
        }
        let index = ((z + REACH) * PER_SIGMA + 0.5) as usize;
        let at = index as f64 / PER_SIGMA - REACH;
        let (value, density) = self.0[index];
        let d = z - at;
        let q = at * at;
        // Derivatives of phi: Hermite polynomials of the grid point.
        let series = 1.0
            + d / 2.0
                * (-at
                    + d / 3.0 * (q - 1.0 + d / 4.0 * (at * (3.0 - q) + d / 5.0 * (q * q - 6.0 * q + 3.0))));
        value + density * d * series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_error_function() {
        let normal = Normal::new();
        for step in -100_000..=100_000 {
            let z = f64::from(step) * 1.001e-4;
            let want = 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
            assert!((normal.cdf(z) - want).abs() < 1e-15, "{z}: {want} {}", normal.cdf(z));
        }
        assert_eq!(normal.cdf(f64::NEG_INFINITY), 0.0);
        assert_eq!(normal.cdf(f64::INFINITY), 1.0);
    }
}
