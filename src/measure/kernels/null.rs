//! What each spectral statistic is for a matrix of independent entries of the same shape: the reference
//! behind every `*_excess_over_null`.
//!
//! Closed forms where they exist, else the statistic of evenly spread quantiles of the Marchenko-Pastur
//! law. Both are limits for large matrices; at a short side of 64 they err by a few percent.

use super::marchenko_pastur::MarchenkoPastur;
use super::spectrum;

/// Null values for one shape. Norms are in units of the rms of the entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpectrumNull {
    /// √m + √n: the upper edge of the bulk, times rms.
    pub spectral_norm_over_rms: f64,
    /// min / (1 + √b)², b = min/max.
    pub stable_rank: f64,
    /// (mn + 2) / (m + n + 1): exact in expectation of both moments for normal entries.
    pub participation_ratio: f64,
    /// exp of the entropy of the square roots of the law's quantiles.
    pub effective_rank: f64,
    /// The Hill estimate over the upper half of the law's quantiles; none below 16.
    pub alpha_hill: Option<f64>,
    /// (√m + √n)² / mn: the law's edge over the trace of a standardised matrix.
    pub first_component_ratio: f64,
    /// Quantiles of the law needed for 90 % of their sum.
    pub components_90: f64,
}

impl SpectrumNull {
    /// For a matrix of that shape.
    pub fn new(rows: u64, columns: u64, law: &MarchenkoPastur) -> Self {
        let (m, n) = (rows as f64, columns as f64);
        let edge = m.sqrt() + n.sqrt();
        let eigenvalues = law.spread(rows.min(columns) as usize);
        let singular: Vec<f64> = eigenvalues.iter().map(|x| x.sqrt()).collect();
        Self {
            spectral_norm_over_rms: edge,
            stable_rank: m * n / (edge * edge),
            participation_ratio: (m * n + 2.0) / (m + n + 1.0),
            effective_rank: spectrum::effective_rank(&singular).unwrap_or(1.0),
            alpha_hill: spectrum::alpha_hill(&eigenvalues),
            first_component_ratio: edge * edge / (m * n),
            components_90: spectrum::components_for(&eigenvalues, 0.9).unwrap_or(1) as f64,
        }
    }
}

/// Median over seeds of the largest |cosine| among `pairs` pairs of independent normal vectors of that
/// length: the point that the largest of so many normal variables of variance 1/length exceeds half the
/// time.
pub fn largest_cosine(pairs: u64, length: u64) -> f64 {
    // P(|z| > x) = ln 2 / pairs; bisection on erfc, which is monotone
    let target = (std::f64::consts::LN_2 / pairs.max(1) as f64).min(1.0);
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if libm::erfc(middle / std::f64::consts::SQRT_2) > target { low = middle } else { high = middle }
    }
    (low / (length as f64).sqrt()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::kernels::eigen::eigenvalues;
    use crate::measure::kernels::gram::{accumulate, squared_norm, trace};
    use crate::measure::kernels::noise::gaussian;
    use faer::{Mat, MatRef, Par};

    /// stable rank, participation ratio, effective rank (each over min) and alpha_hill of random
    /// matrices as tabulated from simulations of large matrices.
    const TABLE: [(u64, [f64; 4]); 4] = [
        (1, [0.250, 0.499, 0.805, 2.13]),
        (3, [0.404, 0.749, 0.953, 3.12]),
        (4, [0.449, 0.800, 0.966, 3.45]),
        (16, [0.636, 0.940, 0.992, 5.91]),
    ];

    #[test]
    fn nulls_are_as_tabulated() {
        for (aspect, want) in TABLE {
            let null = SpectrumNull::new(768, 768 * aspect, &MarchenkoPastur::new(768, 768 * aspect));
            let got = [
                null.stable_rank / 768.0,
                null.participation_ratio / 768.0,
                null.effective_rank / 768.0,
                null.alpha_hill.unwrap(),
            ];
            for (got, want) in got.iter().zip(want) {
                assert!((got / want - 1.0).abs() < 0.015, "1:{aspect}: {got} {want}");
            }
        }
    }

    #[test]
    fn simulated_noise_is_at_its_null() {
        for (rows, columns) in [(256, 256), (192, 576), (128, 512), (64, 1024)] {
            let values = gaussian(rows * columns, 21);
            let mut gram = Mat::zeros(rows, rows);
            accumulate(&mut gram, MatRef::from_column_major_slice(&values, rows, columns), Par::Seq);
            let null = SpectrumNull::new(
                rows as u64,
                columns as u64,
                &MarchenkoPastur::new(rows as u64, columns as u64),
            );
            let ratio = trace(&gram).powi(2) / squared_norm(&gram);
            assert!((ratio / null.participation_ratio - 1.0).abs() < 0.02, "{rows} {ratio}");
            let trace = trace(&gram);
            let spectrum = eigenvalues(gram, Par::Seq).unwrap();
            let stable = trace / spectrum[0];
            assert!((stable / null.stable_rank - 1.0).abs() < 0.05, "{rows} {stable}");
            let singular: Vec<f64> = spectrum.iter().map(|x| x.sqrt()).collect();
            let effective = spectrum::effective_rank(&singular).unwrap();
            assert!((effective / null.effective_rank - 1.0).abs() < 0.01, "{rows} {effective}");
            let alpha = spectrum::alpha_hill(&spectrum).unwrap();
            assert!((alpha / null.alpha_hill.unwrap() - 1.0).abs() < 0.05, "{rows} {alpha}");
        }
    }

    #[test]
    fn largest_cosines_are_as_tabulated() {
        for (width, want) in [(512, 0.158), (768, 0.135), (4096, 0.063)] {
            let got = largest_cosine(4 * width, width);
            assert!((got / want - 1.0).abs() < 0.06, "{width}: {got}");
        }
    }
}
