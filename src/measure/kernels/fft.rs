//! Periodicity of a series: its strongest frequency and how flat its spectrum is, with the values that
//! white noise of the same length has.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

/// Flatness of the periodogram of white noise: e^−γ.
pub const WHITE_FLATNESS: f64 = 0.561_459_483_566_885_2;

/// Reusable transform of series of one length.
pub struct Periodogram {
    transform: Arc<dyn RealToComplex<f64>>,
    length: usize,
}

/// What the periodogram of one series shows; the mean is taken out first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Periodicity {
    /// Share of the power in the strongest frequency.
    pub peak_fraction: f64,
    /// Geometric over arithmetic mean of the power: 1 for equal power everywhere, 0 for a pure tone.
    pub flatness: f64,
}

impl Periodogram {
    /// For series of that length, at least 2.
    pub fn new(length: usize) -> Self {
        Self { transform: RealFftPlanner::new().plan_fft_forward(length), length }
    }

    /// The periodicity of `series`; None where it is constant or of another length.
    pub fn of(&self, series: &[f64]) -> Option<Periodicity> {
        let mean = series.iter().sum::<f64>() / self.length as f64;
        let mut input: Vec<f64> = series.iter().map(|x| x - mean).collect();
        if input.iter().all(|x| *x == 0.0) {
            return None;
        }
        let mut output = self.transform.make_output_vec();
        self.transform.process(&mut input, &mut output).ok()?;
        let power: Vec<f64> = output.iter().skip(1).map(|c| c.norm_sqr()).collect();
        let total: f64 = power.iter().sum();
        (total > 0.0 && total.is_finite()).then(|| {
            let logs: f64 = power.iter().map(|p| p.ln()).sum();
            let count = power.len() as f64;
            Periodicity {
                peak_fraction: power.iter().copied().fold(0.0, f64::max) / total,
                flatness: (logs / count).exp() / (total / count),
            }
        })
    }
}

/// Mean peak fraction of white noise of that length: H_M / M over M = length/2 frequencies, since the
/// shares are those of exponential variables.
pub fn white_peak_fraction(length: usize) -> f64 {
    let bins = (length / 2).max(1);
    (1..=bins).map(|i| 1.0 / i as f64).sum::<f64>() / bins as f64
}

/// Peak fraction that white noise of that length exceeds with probability `p`, to first order in `p`.
/// Source: Fisher 1929, test of the largest periodogram ordinate.
pub fn white_peak_fraction_above(length: usize, p: f64) -> f64 {
    let bins = (length / 2).max(2) as f64;
    1.0 - (p / bins).powf(1.0 / (bins - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::kernels::noise::gaussian;

    #[test]
    fn a_pure_tone_has_one_peak() {
        let tone: Vec<f64> =
            (0..64).map(|i| 5.0 + (f64::from(i) * std::f64::consts::TAU * 3.0 / 64.0).sin()).collect();
        let got = Periodogram::new(64).of(&tone).unwrap();
        assert!((got.peak_fraction - 1.0).abs() < 1e-12);
        assert!(got.flatness < 1e-6);
        assert_eq!(Periodogram::new(8).of(&[2.0; 8]), None);
    }

    /// The null table for white noise: mean and 99 % point of the peak fraction, mean flatness.
    #[test]
    fn white_noise_is_as_the_null_table_says() {
        for (length, mean, high) in [(512, 0.024, 0.039), (1024, 0.0133, 0.0210)] {
            assert!((white_peak_fraction(length) / mean - 1.0).abs() < 0.01);
            assert!((white_peak_fraction_above(length, 0.01) / high - 1.0).abs() < 0.02);
            let periodogram = Periodogram::new(length);
            let got: Vec<_> = (0..200).map(|seed| periodogram.of(&gaussian(length, seed)).unwrap()).collect();
            let average = |f: fn(&Periodicity) -> f64| got.iter().map(f).sum::<f64>() / 200.0;
            assert!((average(|p| p.peak_fraction) / mean - 1.0).abs() < 0.03);
            assert!((average(|p| p.flatness) - WHITE_FLATNESS).abs() < 0.01);
            let beyond =
                got.iter().filter(|p| p.peak_fraction > white_peak_fraction_above(length, 0.01)).count();
            assert!(beyond <= 8, "{beyond} of 200 beyond the 1 % point");
        }
    }
}
