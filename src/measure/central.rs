//! Moments about the mean that can be had piece by piece (Pébay 2008, Sandia report 2008-6212).

use super::elements::Moments;

/// Count, mean, and sums of powers of the distances from the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Central {
    /// How many values.
    pub(crate) count: u64,
    /// Their mean.
    pub(crate) mean: f64,
    /// Sums of the second, third and fourth powers of the distances from the mean.
    pub(crate) powers: [f64; 3],
}

/// Largest square of the mean, of the variance, at which sums of powers of the values themselves still tell those of
/// the distances from the mean: the fourth power loses 4 bits of 53 by it.
const MEAN_SQUARE_MAX: f64 = 1.0;

impl Central {
    /// Of `count` values, from the sums of their first to fourth powers. None where the mean is so far from 0 that
    /// the differences would lose digits.
    #[inline(always)]
    pub(crate) fn from_powers(count: u64, [s1, s2, s3, s4]: [f64; 4]) -> Option<Self> {
        let n = count as f64;
        let mean = s1 / n;
        let square = mean * mean;
        let p2 = s2 - mean * s1;
        let powers = [
            p2,
            s3 - 3.0 * mean * s2 + 2.0 * square * s1,
            s4 - 4.0 * mean * s3 + 6.0 * square * s2 - 3.0 * square * mean * s1,
        ];
        (square * n <= MEAN_SQUARE_MAX * p2).then_some(Self { count, mean, powers })
    }

    /// Adds the values of another piece.
    pub(crate) fn merge(&mut self, other: &Central) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let n = a + b;
        let d = other.mean - self.mean;
        let r = d / n;
        let [p2, p3, p4] = self.powers;
        let [q2, q3, q4] = other.powers;
        let ab = a * b;
        self.powers = [
            p2 + q2 + d * r * ab,
            p3 + q3 + d * r * r * ab * (a - b) + 3.0 * r * (a * q2 - b * p2),
            p4 + q4
                + d * r * r * r * ab * (a * a - ab + b * b)
                + 6.0 * r * r * (a * a * q2 + b * b * p2)
                + 4.0 * r * (a * q3 - b * p3),
        ];
        self.mean += r * b;
        self.count += other.count;
    }

    /// The values divided by `scale`.
    pub(crate) fn divided(&self, scale: f64) -> Self {
        let [p2, p3, p4] = self.powers;
        let square = scale * scale;
        Self {
            mean: self.mean / scale,
            powers: [p2 / square, p3 / square / scale, p4 / square / square],
            ..*self
        }
    }

    /// The moments, for values between `min` and `max`.
    pub(crate) fn moments(&self, min: f64, max: f64) -> Moments {
        if self.count == 0 {
            return Moments::default();
        }
        let n = self.count as f64;
        let [m2, m3, m4] = self.powers.map(|power| power / n);
        let m2 = if min == max { 0.0 } else { m2.max(0.0) };
        let mean = if min == max { min } else { self.mean };
        let std = m2.sqrt();
        let (skewness, excess_kurtosis) =
            if m2 > 0.0 { (m3 / (m2 * std), m4 / (m2 * m2) - 3.0) } else { (0.0, 0.0) };
        let rms = (m2 + mean * mean).sqrt();
        Moments { count: self.count, mean, std, rms, min, max, skewness, excess_kurtosis }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;

    /// The oracle is the sum over the distances themselves.
    #[test]
    fn powers_about_zero_tell_those_about_the_mean_or_nothing() {
        for mean in [0.0, 0.3, -0.9, 1.5, 1e6] {
            let values: Vec<f64> =
                Random(3).normals(3000, 1.0).iter().map(|&x| f64::from(x) + mean).collect();
            let sum = |power: i32| values.iter().map(|x| x.powi(power)).sum::<f64>();
            let got = Central::from_powers(3000, [1, 2, 3, 4].map(sum));
            assert_eq!(got.is_some(), mean.abs() < 1.0, "{mean}");
            let centre = sum(1) / 3000.0;
            for (power, got) in (2..5).zip(got.iter().flat_map(|central| central.powers)) {
                let each = values.iter().map(|x| (x - centre).powi(power));
                let size: f64 = each.clone().map(f64::abs).sum();
                assert!((got - each.sum::<f64>()).abs() <= 1e-12 * size, "{mean} {power}");
            }
        }
    }

    #[test]
    fn what_is_constant_has_no_distances_to_tell() {
        assert_eq!(Central::from_powers(3, [0.0; 4]).map(|central| central.powers), Some([0.0; 3]));
        assert_eq!(Central::from_powers(2, [0.2, 0.02, 0.002, 0.0002]), None);
    }
}
