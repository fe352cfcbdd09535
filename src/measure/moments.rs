//! Moments of values that are held in memory.

use super::elements::Moments;

/// Moments of `values`, all finite, in two passes about the mean.
///
/// Values so large or small that their fourth powers leave the range of f64 are scaled by a power of two
/// meanwhile; what then does not fit back comes out infinite.
pub(crate) fn of_values(values: &[f64]) -> Moments {
    if values.is_empty() {
        return Moments::default();
    }
    let (min, max) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    let scale = scale_of(max.max(-min));
    let n = values.len() as f64;
    let scaled = || values.iter().map(|&x| x * scale);
    let mean = if min == max { min * scale } else { scaled().sum::<f64>() / n };
    // What rounding has left out: it matters where values lie far from 0 and close together.
    let mean = mean + scaled().map(|x| x - mean).sum::<f64>() / n;
    let rms = (scaled().map(|x| x * x).sum::<f64>() / n).sqrt() / scale;
    let [m2, m3, m4] = scaled().fold([0f64; 3], |[a, b, c], x| {
        let d = x - mean;
        [a + d * d, b + d * d * d, c + (d * d) * (d * d)]
    });
    from_central(values.len() as u64, [mean, m2 / n, m3 / n, m4 / n], scale, rms, (min, max))
}

/// A power of two that brings a magnitude near 1 if its fourth power is out of reach; 1 otherwise.
pub(crate) fn scale_of(abs_max: f64) -> f64 {
    const SAFE: std::ops::RangeInclusive<f64> = 1e-60..=1e60;
    if abs_max == 0.0 || !abs_max.is_finite() || SAFE.contains(&abs_max) {
        return 1.0;
    }
    // Two steps away from the ends, so that scale and 1 / scale are both normal numbers.
    2f64.powi((-abs_max.log2()).clamp(-1000.0, 1000.0) as i32)
}

/// Assembles moments from the mean and the central moments 2 to 4 of scaled values, and the rms and
/// range of the values themselves.
pub(crate) fn from_central(
    count: u64,
    [mean, m2, m3, m4]: [f64; 4],
    scale: f64,
    rms: f64,
    (min, max): (f64, f64),
) -> Moments {
    let m2 = if min == max { 0.0 } else { m2.max(0.0) };
    let std = m2.sqrt();
    let (skewness, excess_kurtosis) =
        if m2 > 0.0 { (m3 / (m2 * std), m4 / (m2 * m2) - 3.0) } else { (0.0, 0.0) };
    Moments { count, mean: mean / scale, std: std / scale, rms, min, max, skewness, excess_kurtosis }
}
