//! Statistics of a spectrum: functions of singular values or eigenvalues, largest first.

/// Singular values that `alpha_hill` needs at least: the Hill estimate over half of them has a
/// relative standard error of 1/√half, 35 % at 16.
pub const ALPHA_HILL_MIN: usize = 16;

/// Eigenvalues beyond the cut that a power-law fit needs at least; WeightWatcher's `min_evals`.
pub const POWER_LAW_TAIL_MIN: usize = 10;

/// exp of the entropy of s / Σs: how many directions carry the matrix. None where all are 0.
/// Source: Roy and Vetterli 2007.
pub fn effective_rank(singular: &[f64]) -> Option<f64> {
    let total: f64 = singular.iter().sum();
    (total > 0.0).then(|| {
        let entropy: f64 = singular.iter().map(|s| s / total).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
        entropy.exp()
    })
}

/// Singular values over their sum, as they are remembered: f32, so each is off by 2⁻²⁵ of itself at most, and a
/// [`total_variation`] of two by 6e-8. None where the sum is 0 or not finite.
pub fn shares(singular: &[f64]) -> Option<Vec<f32>> {
    let total: f64 = singular.iter().sum();
    (total > 0.0 && total.is_finite()).then(|| singular.iter().map(|s| (s / total) as f32).collect())
}

/// Half the sum of what two distributions over the same places differ by: 0 for equal ones, 1 for ones that share
/// nothing. None where they have not the same number of places.
pub fn total_variation(left: &[f32], right: &[f32]) -> Option<f64> {
    let apart = |(left, right): (&f32, &f32)| (f64::from(*left) - f64::from(*right)).abs();
    (left.len() == right.len()).then(|| 0.5 * left.iter().zip(right).map(apart).sum::<f64>())
}

/// Singular values below which a direction counts as rounding noise of f32: s₁ · max(m, n) · 2⁻²³.
pub fn rank_threshold(largest: f64, long_side: u64) -> f64 {
    largest * long_side as f64 * f64::from(f32::EPSILON)
}

/// How many singular values are above [`rank_threshold`].
pub fn numerical_rank(singular: &[f64], long_side: u64) -> usize {
    let threshold = singular.first().map_or(0.0, |&s| rank_threshold(s, long_side));
    singular.iter().filter(|&&s| s > threshold).count()
}

/// Hill estimate of the tail exponent of the eigenvalue density over the upper half:
/// 1 + k / Σ ln(λᵢ / λ_k), k = half the count. None for fewer than [`ALPHA_HILL_MIN`], where λ_k is 0,
/// or where all of them are equal.
pub fn alpha_hill(eigenvalues: &[f64]) -> Option<f64> {
    let half = eigenvalues.len() / 2;
    if eigenvalues.len() < ALPHA_HILL_MIN || eigenvalues[half - 1] <= 0.0 {
        return None;
    }
    let cut = eigenvalues[half - 1];
    let logs: f64 = eigenvalues[..half].iter().map(|value| (value / cut).ln()).sum();
    (logs > 0.0).then(|| 1.0 + half as f64 / logs)
}

/// How many of the largest are needed for a share `share` of the sum. None where the sum is 0.
pub fn components_for(eigenvalues: &[f64], share: f64) -> Option<usize> {
    let total: f64 = eigenvalues.iter().sum();
    if total.is_nan() || total <= 0.0 {
        return None;
    }
    let mut sum = 0.0;
    let reached = eigenvalues.iter().position(|value| {
        sum += value / total;
        sum >= share
    });
    Some(reached.map_or(eigenvalues.len(), |index| index + 1))
}

/// Distance of the running share nearest to `share`, in shares: how far [`components_for`] is from
/// another answer.
pub fn components_margin(eigenvalues: &[f64], share: f64) -> f64 {
    let total: f64 = eigenvalues.iter().sum();
    let mut sum = 0.0;
    eigenvalues.iter().fold(f64::INFINITY, |margin, value| {
        sum += value / total;
        margin.min((sum - share).abs())
    })
}

/// A power law fitted to the upper part of the eigenvalue density.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerLaw {
    /// Exponent of the density.
    pub alpha: f64,
    /// Kolmogorov-Smirnov distance of the tail to the fitted law; the fit means little above .08.
    pub ks: f64,
    /// Eigenvalues at and beyond the cut.
    pub tail: usize,
}

/// Maximum-likelihood power law with the cut chosen where the Kolmogorov-Smirnov distance is least.
/// None for fewer than [`POWER_LAW_TAIL_MIN`] positive eigenvalues or where they are all equal.
/// Source: Clauset, Shalizi and Newman 2009; used on weights by Martin and Mahoney 2021.
pub fn fit_power_law(eigenvalues: &[f64]) -> Option<PowerLaw> {
    let logs: Vec<f64> = eigenvalues.iter().take_while(|v| **v > 0.0).map(|v| v.ln()).collect();
    let mut best: Option<PowerLaw> = None;
    let mut sum: f64 = logs.iter().take(POWER_LAW_TAIL_MIN - 1).sum();
    for tail in POWER_LAW_TAIL_MIN..=logs.len() {
        let cut = logs[tail - 1];
        sum += cut;
        let excess = sum - tail as f64 * cut;
        if excess <= 0.0 {
            continue;
        }
        let exponent = tail as f64 / excess;
        let ks = tail_distance(&logs[..tail], exponent, best.map_or(f64::INFINITY, |b| b.ks));
        if best.is_none_or(|b| ks < b.ks) {
            best = Some(PowerLaw { alpha: 1.0 + exponent, ks, tail });
        }
    }
    best
}

/// Distance between the empirical and the fitted distribution of the logs, largest first; gives up, with
/// what it has, once that is beyond `enough`.
fn tail_distance(logs: &[f64], exponent: f64, enough: f64) -> f64 {
    let count = logs.len() as f64;
    let cut = logs[logs.len() - 1];
    let mut ks = 0.0_f64;
    for (above, log) in logs.iter().enumerate() {
        let survivors = (-exponent * (log - cut)).exp();
        ks = ks
            .max((survivors - above as f64 / count).abs())
            .max((survivors - (above + 1) as f64 / count).abs());
        if ks > enough {
            break;
        }
    }
    ks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::kernels::noise::Noise;

    #[test]
    fn equal_singular_values_have_full_effective_rank() {
        assert!((effective_rank(&[2.0; 7]).unwrap() - 7.0).abs() < 1e-12);
        assert!((effective_rank(&[3.0, 0.0, 0.0]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(effective_rank(&[0.0; 3]), None);
    }

    #[test]
    fn the_distance_of_distributions_has_its_bounds() {
        let of = |singular: &[f64]| shares(singular).unwrap();
        let (identity, rank_one) = (of(&[1.0; 8]), of(&[3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
        assert_eq!(total_variation(&identity, &rank_one), Some(1.0 - 1.0 / 8.0));
        assert_eq!(total_variation(&identity, &identity), Some(0.0));
        // by hand: 1/2 (|3/6 - 1/2| + |2/6 - 1/2| + |1/6 - 0|)
        let apart = total_variation(&of(&[3.0, 2.0, 1.0]), &of(&[1.0, 1.0, 0.0])).unwrap();
        assert!((apart - 1.0 / 6.0).abs() < 6e-8);
        assert_eq!(total_variation(&identity, &of(&[1.0])), None);
        assert_eq!(shares(&[0.0; 4]), None);
        assert_eq!(shares(&[f64::INFINITY, 1.0]), None);
        assert_eq!(shares(&[f64::MAX, f64::MAX]), None, "a sum beyond what a float can hold");
    }

    #[test]
    fn rank_counts_what_f32_can_tell_from_zero() {
        assert_eq!(numerical_rank(&[1.0, 1e-3, 1e-6, 0.0], 100), 2);
    }

    #[test]
    fn hill_needs_a_spread() {
        assert_eq!(alpha_hill(&[1.0; 20]), None);
        assert_eq!(alpha_hill(&[2.0; 10]), None);
        let spectrum: Vec<f64> = (0..20).map(|i| f64::from(20 - i).exp()).collect();
        // ln ratios over the upper ten are 9, 8, … 0
        assert!((alpha_hill(&spectrum).unwrap() - (1.0 + 10.0 / 45.0)).abs() < 1e-12);
    }

    #[test]
    fn components_count_like_a_cumulative_sum() {
        assert_eq!(components_for(&[5.0, 4.0, 1.0], 0.9), Some(2));
        assert_eq!(components_for(&[5.0, 3.0, 2.0], 0.9), Some(3));
        assert!((components_margin(&[5.0, 3.0, 2.0], 0.9) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn a_drawn_power_law_is_found_again() {
        let mut noise = Noise::new(9);
        let mut draws: Vec<f64> = (0..3000).map(|_| noise.uniform().powf(-1.0 / 2.5)).collect();
        draws.sort_by(|a, b| b.total_cmp(a));
        let fit = fit_power_law(&draws).unwrap();
        assert!((fit.alpha - 3.5).abs() < 0.2, "{fit:?}");
        assert!(fit.ks < 0.03, "{fit:?}");
    }
}
