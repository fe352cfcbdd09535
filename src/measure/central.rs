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

impl Central {
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
