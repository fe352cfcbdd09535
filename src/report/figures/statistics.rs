//! Small statistics that pictures need beside what was measured.

/// Density of the standard normal.
pub fn normal_density(x: f64, mean: f64, std: f64) -> f64 {
    let z = (x - mean) / std;
    (-0.5 * z * z).exp() / (std * (2.0 * std::f64::consts::PI).sqrt())
}

/// Quantile of the standard normal, by Acklam's rational approximation (relative error below 1.2e-9).
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let polynomial = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, &c| sum * x + c);
    if p <= 0.0 || p >= 1.0 {
        return if p <= 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    if p < 0.024_25 {
        let q = (-2.0 * p.ln()).sqrt();
        return polynomial(&C, q) / (polynomial(&D, q) * q + 1.0);
    }
    if p > 1.0 - 0.024_25 {
        return -normal_quantile(1.0 - p);
    }
    let q = p - 0.5;
    let r = q * q;
    polynomial(&A, r) * q / (polynomial(&B, r) * r + 1.0)
}

/// Arithmetic mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Population standard deviation; NaN of nothing.
pub fn std(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// Quantile of ascending values by linear interpolation; NaN of nothing.
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let place = p.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, rest) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * rest
}

/// Quantile of values in any order, as [`quantile`] of the sorted ones gives it, at a tenth of the work; it moves
/// them about. They must be finite.
pub fn quantile_of(values: &mut [f64], p: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let place = p.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let (_, below, above) = values.select_nth_unstable_by(place.floor() as usize, f64::total_cmp);
    let above = above.iter().copied().min_by(f64::total_cmp).unwrap_or(*below);
    *below + (above - *below) * place.fract()
}

/// Finite values in ascending order.
pub fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Slope of the least-squares line through (x, y); NaN for fewer than two different x.
pub fn slope(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (mean(x), mean(y));
    let over: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    let under: f64 = x.iter().map(|x| (x - mx).powi(2)).sum();
    if under == 0.0 { f64::NAN } else { over / under }
}

/// Pearson correlation; NaN where one side is constant.
pub fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (mean(x), mean(y));
    let over: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    let under: f64 =
        x.iter().map(|x| (x - mx).powi(2)).sum::<f64>() * y.iter().map(|y| (y - my).powi(2)).sum::<f64>();
    if under > 0.0 { over / under.sqrt() } else { f64::NAN }
}

/// Rank correlation (Spearman), ties at their mean rank.
pub fn rank_correlation(x: &[f64], y: &[f64]) -> f64 {
    pearson(&ranks(x), &ranks(y))
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = order[start..].iter().take_while(|&&i| values[i] == values[order[start]]).count();
        for &index in &order[start..start + equal] {
            ranks[index] = start as f64 + (equal - 1) as f64 / 2.0;
        }
        start += equal;
    }
    ranks
}

/// Share of the (mean-free) power spectrum in its strongest bin, constant term left out; NaN where there
/// is no power.
pub fn peak_fraction(values: &[f64]) -> f64 {
    let mean = mean(values);
    let mut input: Vec<f64> = values.iter().map(|v| v - mean).collect();
    let transform = realfft::RealFftPlanner::<f64>::new().plan_fft_forward(input.len());
    let mut spectrum = transform.make_output_vec();
    if transform.process(&mut input, &mut spectrum).is_err() {
        return f64::NAN;
    }
    let power: Vec<f64> = spectrum.iter().skip(1).map(|c| c.norm_sqr()).collect();
    power.iter().copied().fold(0.0, f64::max) / power.iter().sum::<f64>()
}

/// What [`peak_fraction`] is on white noise of that length: its mean, and the value that one series in a
/// hundred exceeds (Fisher's test for a hidden period).
pub fn peak_fraction_of_noise(length: usize) -> (f64, f64) {
    let bins = (length / 2).max(1) as f64;
    let harmonic: f64 = (1..=bins as usize).map(|k| 1.0 / k as f64).sum();
    let exceeded = if bins > 1.0 { 1.0 - (0.01 / bins).powf(1.0 / (bins - 1.0)) } else { 1.0 };
    (harmonic / bins, exceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_normal() {
        for (p, z) in [(0.5, 0.0), (0.975, 1.959_963_984_540_054), (0.001, -3.090_232_306_167_813)] {
            assert!((normal_quantile(p) - z).abs() < 1e-7, "{p}");
        }
    }

    #[test]
    fn correlations() {
        let x = [1.0, 2.0, 3.0, 4.0];
        assert!((slope(&x, &[2.0, 4.0, 6.0, 8.0]) - 2.0).abs() < 1e-12);
        assert!((rank_correlation(&x, &[1.0, 8.0, 27.0, 64.0]) - 1.0).abs() < 1e-12);
        assert!((rank_correlation(&x, &[4.0, 3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        assert!(pearson(&x, &[1.0; 4]).is_nan());
    }

    #[test]
    fn a_pure_wave_has_all_its_power_in_one_bin() {
        let wave: Vec<f64> = (0..64).map(|i| (i as f64 * std::f64::consts::TAU * 4.0 / 64.0).sin()).collect();
        assert!((peak_fraction(&wave) - 1.0).abs() < 1e-9);
        let (mean, exceeded) = peak_fraction_of_noise(64);
        assert!(mean > 1.0 / 32.0 && mean < exceeded && exceeded < 0.5);
    }

    #[test]
    fn quantile_interpolates() {
        assert_eq!(quantile(&[0.0, 1.0, 2.0], 0.25), 0.5);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn quantiles_need_no_order() {
        let mut values: Vec<f64> = (0..101).map(|i| f64::from(i * 37 % 101).sqrt()).collect();
        let ascending = sorted(values.iter().copied());
        for p in [0.0, 0.01, 0.333, 0.5, 0.99, 1.0] {
            assert_eq!(quantile_of(&mut values, p), quantile(&ascending, p), "{p}");
        }
        assert!(quantile_of(&mut [], 0.5).is_nan());
    }
}
