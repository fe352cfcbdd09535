//! The spectrum of pure noise: the Marchenko-Pastur law, and what each spectral statistic is for a
//! matrix of independent entries of the same shape.
//!
//! Without this reference a spectral number says more about the shape of the matrix than about
//! training: on noise `alpha_hill` is 2.1 for a square matrix and 5.9 for 16:1.
//!
//! Source: Marchenko and Pastur 1967. Eigenvalues are scaled so that their mean is 1: x = λ / (σ² max).
//! With x = 1 + b − 2√b cos θ, b = min/max, the density becomes 2 sin²θ / (π x) on 0..π, which is
//! smooth even for b = 1; everything here is integrated over θ.

use std::f64::consts::PI;

/// Points of the grid over θ: cumulative trapezoids err below 1e-6 in the distribution function.
const GRID: usize = 2048;

/// The law for one aspect ratio, tabulated once.
#[derive(Clone, Debug)]
pub struct MarchenkoPastur {
    /// min / max of the two sides, in (0, 1].
    ratio: f64,
    /// x at each grid point, ascending.
    x: Vec<f64>,
    /// Distribution function at each grid point.
    cdf: Vec<f64>,
}

impl MarchenkoPastur {
    /// The law for a matrix of that shape. Both sides must be at least 1.
    pub fn new(rows: u64, columns: u64) -> Self {
        let ratio = rows.min(columns) as f64 / rows.max(columns) as f64;
        let root = ratio.sqrt();
        let at = |i: usize| {
            let theta = PI * i as f64 / GRID as f64;
            let x = 1.0 + ratio - 2.0 * root * theta.cos();
            // at θ = 0 of a square matrix both sin² and x vanish; their quotient tends to 1
            let density = if x > 1e-12 { 2.0 * theta.sin().powi(2) / (PI * x) } else { 2.0 / PI };
            (x, density)
        };
        let (mut x, mut cdf, mut total, mut before) = (Vec::new(), Vec::new(), 0.0, None);
        for i in 0..=GRID {
            let (value, density) = at(i);
            total += before.map_or(0.0, |b: f64| 0.5 * (b + density) * PI / GRID as f64);
            before = Some(density);
            x.push(value);
            cdf.push(total);
        }
        cdf.iter_mut().for_each(|c| *c /= total);
        Self { ratio, x, cdf }
    }

    /// Upper edge of the bulk: (1 + √b)².
    pub fn edge(&self) -> f64 {
        (1.0 + self.ratio.sqrt()).powi(2)
    }

    /// Share of eigenvalues at or below `x`.
    pub fn cdf(&self, x: f64) -> f64 {
        interpolate(&self.x, &self.cdf, x)
    }

    /// The value below which a share `p` of the eigenvalues lies.
    pub fn quantile(&self, p: f64) -> f64 {
        interpolate(&self.cdf, &self.x, p)
    }

    /// `count` eigenvalues as evenly spread quantiles, largest first.
    pub fn spread(&self, count: usize) -> Vec<f64> {
        (0..count).rev().map(|i| self.quantile((i as f64 + 0.5) / count as f64)).collect()
    }
}

/// y at `x` on a polyline whose `xs` ascend; held flat beyond its ends.
fn interpolate(xs: &[f64], ys: &[f64], x: f64) -> f64 {
    let after = xs.partition_point(|&have| have < x);
    if after == 0 {
        return ys[0];
    }
    if after == xs.len() {
        return ys[ys.len() - 1];
    }
    let (x0, x1) = (xs[after - 1], xs[after]);
    let share = if x1 > x0 { (x - x0) / (x1 - x0) } else { 1.0 };
    ys[after - 1] + share * (ys[after] - ys[after - 1])
}

/// How well a spectrum fits noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BulkFit {
    /// Upper edge of the bulk as a singular value, in the weights' scale.
    pub edge: f64,
    /// Eigenvalues beyond 1.05 of the edge.
    pub spikes: usize,
    /// Kolmogorov-Smirnov distance of the eigenvalues within the edge to the law.
    pub ks: f64,
    /// Standard deviation of the entries of the noise that the bulk looks like.
    pub sigma: f64,
}

/// Fits the law to eigenvalues of the Gram matrix, largest first: σ² from their median.
/// None where the median is 0.
pub fn fit_bulk(law: &MarchenkoPastur, eigenvalues: &[f64], long_side: u64) -> Option<BulkFit> {
    /// Room above the edge for the fluctuation of the largest noise eigenvalue.
    const EDGE_ROOM: f64 = 1.05;
    let count = eigenvalues.len();
    let median = 0.5 * (eigenvalues[(count - 1) / 2] + eigenvalues[count / 2]);
    let unit = median / law.quantile(0.5);
    if unit.is_nan() || unit <= 0.0 {
        return None;
    }
    let limit = EDGE_ROOM * law.edge() * unit;
    let spikes = eigenvalues.partition_point(|&value| value > limit);
    let bulk = &eigenvalues[spikes..];
    let ks = bulk.iter().rev().enumerate().fold(0.0_f64, |ks, (i, &value)| {
        let want = law.cdf(value / unit);
        let (below, upto) = (i as f64 / bulk.len() as f64, (i + 1) as f64 / bulk.len() as f64);
        ks.max((want - below).abs()).max((upto - want).abs())
    });
    let sigma = (unit / long_side as f64).sqrt();
    Some(BulkFit { edge: (law.edge() * unit).sqrt(), spikes, ks, sigma })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::kernels::eigen::eigenvalues;
    use crate::measure::kernels::gram::accumulate;
    use crate::measure::kernels::noise::gaussian;
    use faer::{Mat, MatRef, Par};

    #[test]
    fn the_law_has_mean_one_and_ends_at_its_edges() {
        for (rows, columns) in [(100, 100), (100, 300), (1600, 100)] {
            let law = MarchenkoPastur::new(rows, columns);
            let spread = law.spread(4000);
            let mean = spread.iter().sum::<f64>() / 4000.0;
            assert!((mean - 1.0).abs() < 1e-3, "{mean}");
            assert_eq!(law.cdf(law.edge() + 1.0), 1.0);
            assert_eq!(law.cdf(-1.0), 0.0);
            // second moment of the law is 1 + b
            let second = spread.iter().map(|x| x * x).sum::<f64>() / 4000.0;
            let b = rows.min(columns) as f64 / rows.max(columns) as f64;
            assert!((second - 1.0 - b).abs() < 5e-3, "{second}");
        }
    }

    fn noise_spectrum(rows: usize, columns: usize, seed: u64) -> Vec<f64> {
        let values = gaussian(rows * columns, seed);
        let mut gram = Mat::zeros(rows, rows);
        accumulate(&mut gram, MatRef::from_column_major_slice(&values, rows, columns), Par::Seq);
        eigenvalues(gram, Par::Seq).unwrap()
    }

    #[test]
    fn noise_has_no_spikes_and_fits_the_law() {
        let law = MarchenkoPastur::new(200, 600);
        let fit = fit_bulk(&law, &noise_spectrum(200, 600, 11), 600).unwrap();
        assert_eq!(fit.spikes, 0);
        assert!(fit.ks < 0.02, "{fit:?}");
        assert!((fit.sigma - 1.0).abs() < 0.02, "{fit:?}");
    }

    #[test]
    fn planted_directions_are_counted() {
        let mut spectrum = noise_spectrum(200, 600, 12);
        spectrum[0] = 20_000.0;
        spectrum[1] = 10_000.0;
        let fit = fit_bulk(&MarchenkoPastur::new(200, 600), &spectrum, 600).unwrap();
        assert_eq!(fit.spikes, 2);
    }
}
