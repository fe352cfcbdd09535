//! The shape of the distribution: is it a normal, how heavy are its tails, is it drifting.
//!
//! With millions of elements a test of normality always says no, so there are no p-values here: the
//! distances themselves are had, and judged against the tensor's own past.

use super::cells::{Cell, Ranked};
use super::elements::Moments;
use super::ks::ks_statistic;
use super::lmoments::l_moments;
use super::sheet::Sheet;
use super::tails::{
    TAIL_ELEMENTS_MIN, hill_tail_index, magnitudes, median_absolute_deviation, weibull_shape,
};
use crate::terms::{Family, MetricDef, MetricName, Reason, SubjectKind, Tier, Unit};

const SHAPE: MetricDef = MetricDef {
    name: "",
    family: Family::Shape,
    subject: SubjectKind::Tensor,
    unit: Unit::One,
    tier: Tier::One,
    help: "",
    formula: "",
    source: "",
    healthy: "",
    sick: "",
    cost: "one count an element, in the one pass; few elements are looked at twice",
    since: "0.1.0",
};

const QUANTILE: MetricDef = MetricDef {
    unit: Unit::Weight,
    formula: "linear interpolation between order statistics",
    source: "Hyndman and Fan 1996, type 7 (numpy's default)",
    healthy: "follows std and the shape metrics; symmetric about 0 for matrices",
    sick: "moves while its mirror image does not: the distribution leans",
    ..SHAPE
};

/// This family's entries.
pub(super) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "ks_statistic",
        unit: Unit::Ratio,
        help: "Kolmogorov-Smirnov distance to the normal of the same mean and std, 0 for a perfect normal",
        formula: "D = sup |F_n(x) - Phi((x - mean) / std)|",
        source: "Kolmogorov 1933; Lilliefors 1967 for fitted parameters",
        healthy: "0.62 / sqrt(n) for normal noise (95 %: 0.9 / sqrt(n)); 0.00-0.02 in feed forward, 0.03 to above 0.1 in Q and K of trained models (0.0908 in GPT-2 small's first c_attn)",
        sick: "a step against the tensor's own trend; back to the noise value: the tensor was initialised again",
        ..SHAPE
    },
    MetricDef { name: "q001", help: "0.1 % quantile of the finite elements", ..QUANTILE },
    MetricDef { name: "q01", help: "1 % quantile of the finite elements", ..QUANTILE },
    MetricDef { name: "q05", help: "5 % quantile of the finite elements", ..QUANTILE },
    MetricDef { name: "q25", help: "Lower quartile of the finite elements", ..QUANTILE },
    MetricDef { name: "q50", help: "Median of the finite elements", ..QUANTILE },
    MetricDef { name: "q75", help: "Upper quartile of the finite elements", ..QUANTILE },
    MetricDef { name: "q95", help: "95 % quantile of the finite elements", ..QUANTILE },
    MetricDef { name: "q99", help: "99 % quantile of the finite elements", ..QUANTILE },
    MetricDef { name: "q999", help: "99.9 % quantile of the finite elements", ..QUANTILE },
    MetricDef {
        name: "moors_kurtosis",
        help: "Moors' quantile kurtosis, 1.233 for a normal",
        formula: "((E7 - E5) + (E3 - E1)) / (E6 - E2) with octiles E",
        source: "Moors 1988; Kim and White 2004",
        healthy: "1.23 (normal) to 1.35; 1.30 for t with 7 degrees of freedom, 1.59 for Laplace",
        sick: "drift by more than 6 pooled median deviations; does not feel single spikes",
        ..SHAPE
    },
    MetricDef {
        name: "bowley_skewness",
        help: "Bowley's quartile skewness, 0 for a symmetric distribution",
        formula: "(q75 + q25 - 2 q50) / (q75 - q25)",
        source: "Bowley 1920; Kim and White 2004",
        healthy: "0 within 0.02 for matrices",
        sick: "the body of the distribution leans to one side",
        ..SHAPE
    },
    MetricDef {
        name: "l_skewness",
        help: "L-skewness, 0 for a symmetric distribution",
        formula: "tau3 = l3 / l2 from unbiased probability-weighted moments",
        source: "Hosking 1990",
        healthy: "0 within 0.02 for matrices",
        sick: "as skewness, with far less noise",
        ..SHAPE
    },
    MetricDef {
        name: "l_kurtosis",
        help: "L-kurtosis, 0.1226 for a normal",
        formula: "tau4 = l4 / l2 from unbiased probability-weighted moments",
        source: "Hosking 1990",
        healthy: "0.12 (normal) to 0.20; 0.170 for t with 7 degrees of freedom, 0.237 for Laplace",
        sick: "leaves its own trend: heavy tails grow, or rows of different scale appear (then row_normalized_l_kurtosis stays)",
        ..SHAPE
    },
    MetricDef {
        name: "std_over_mad",
        help: "Standard deviation over the normal-consistent median absolute deviation, 1 for a normal",
        formula: "std / (1.4826 median |w - q50|)",
        source: "Hampel 1974; Rousseeuw and Croux 1993",
        healthy: "1.00 (normal) to 1.3; 1.12 for t with 7 degrees of freedom, 1.38 for Laplace",
        sick: "rising: scale is made by few elements",
        ..SHAPE
    },
    MetricDef {
        name: "weibull_shape",
        help: "Weibull shape of the magnitudes, 1.205 for a normal",
        formula: "slope of ln(-ln(1 - p)) on ln |w| over p in 0.1..0.9, zeros dropped",
        source: "arXiv 2605.18898",
        healthy: "1.186-1.204 in feed forward and attention output, 0.76-0.99 in separate Q and K, 1.10-1.16 with grouped heads (12 models of 7 families)",
        sick: "feed forward outside 1.15-1.22; a change of class",
        ..SHAPE
    },
    MetricDef {
        name: "hill_tail_index",
        help: "Hill's tail index of the magnitudes; the higher, the thinner the tail",
        formula: "k / sum ln(a_i / a_(k+1)) over the k = max(10, m / 1000) largest of m non-zero |w|",
        source: "Hill 1975",
        healthy: "above 5 in feed forward; about 11 for a normal",
        sick: "below 3, or down by more than 1 in one checkpoint",
        ..SHAPE
    },
    MetricDef {
        name: "outlier_elements",
        unit: Unit::Count,
        help: "Elements further than 12 robust standard deviations from the median",
        formula: "count of |w - q50| > 12 * 1.4826 median |w - q50|",
        source: "Hampel 1974 for the scale; flipped bits: arXiv 2605.04213",
        healthy: "0 to a few in a million, the same ones at every checkpoint",
        sick: "a new one that was not there at the last checkpoint: a flipped bit or an outlier channel",
        ..SHAPE
    },
];

/// Names and places of the exported quantiles.
pub(crate) const QUANTILES: [(MetricName, f64); 9] = [
    ("q001", 0.001),
    ("q01", 0.01),
    ("q05", 0.05),
    ("q25", 0.25),
    ("q50", 0.5),
    ("q75", 0.75),
    ("q95", 0.95),
    ("q99", 0.99),
    ("q999", 0.999),
];

/// Median absolute deviations, as standard deviations of a normal, beyond which a value is an outlier.
pub(crate) const OUTLIER_MADS: f64 = 12.0;

/// Scales the median absolute deviation to the standard deviation of a normal: 1 / Phi^-1(3/4).
pub(crate) const MAD_TO_STD: f64 = 1.482_602_218_505_601_8;

/// The shape metrics proper, without the quantiles.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) ks_statistic: f64,
    pub(super) moors_kurtosis: Result<f64, Reason>,
    pub(super) bowley_skewness: Result<f64, Reason>,
    pub(super) l_skewness: Result<f64, Reason>,
    pub(super) l_kurtosis: Result<f64, Reason>,
    pub(super) std_over_mad: Result<f64, Reason>,
    pub(super) weibull_shape: Result<f64, Reason>,
    pub(super) hill_tail_index: Result<f64, Reason>,
    pub(super) outlier_elements: Result<f64, Reason>,
}

/// More than half of the elements share one value, so quantile ranges are 0.
const NO_SPREAD: Reason = Reason::NotApplicable("the middle of the distribution has no spread");
/// The tail metrics divide by logarithms of ratios, which are 0.
const EQUAL_MAGNITUDES: Reason = Reason::NotApplicable("the magnitudes that it compares are all equal");

/// Computes the shape of at least 8 values that are not all equal. `distance` is D where that was found
/// already, as it must be where cells are wide.
pub(super) fn shape(ranked: &Ranked<'_>, mean: f64, std: f64, distance: Option<f64>) -> Shape {
    let cells = ranked.cells();
    let octile = |k: u32| ranked.quantile(f64::from(k) / 8.0);
    let middle = octile(6) - octile(2);
    let spread = |value: f64| if middle > 0.0 { Ok(value / middle) } else { Err(NO_SPREAD) };
    let l = l_moments(cells, mean);
    let l_ratio = |value: f64| if l.l2 > 0.0 { Ok(value / l.l2) } else { Err(Reason::Constant) };
    let mad = median_absolute_deviation(cells, ranked.total(), octile(4));
    let magnitudes = magnitudes(cells);
    let magnitudes = Ranked::new(&magnitudes);
    let tail = |kernel: fn(&Ranked<'_>) -> Option<f64>| {
        if magnitudes.total() < TAIL_ELEMENTS_MIN {
            Err(Reason::TooFew { needs: TAIL_ELEMENTS_MIN })
        } else {
            kernel(&magnitudes).ok_or(EQUAL_MAGNITUDES)
        }
    };
    Shape {
        ks_statistic: distance.unwrap_or_else(|| ks_statistic(ranked, mean, std)),
        moors_kurtosis: spread((octile(7) - octile(5)) + (octile(3) - octile(1))),
        bowley_skewness: spread(octile(6) + octile(2) - 2.0 * octile(4)),
        l_skewness: l_ratio(l.l3),
        l_kurtosis: l_ratio(l.l4),
        std_over_mad: if mad > 0.0 { Ok(std / (MAD_TO_STD * mad)) } else { Err(NO_SPREAD) },
        weibull_shape: tail(weibull_shape),
        hill_tail_index: tail(hill_tail_index),
        outlier_elements: if mad > 0.0 { Ok(outliers(cells, octile(4), mad) as f64) } else { Err(NO_SPREAD) },
    }
}

/// Values too far from the median for anything but an outlier.
fn outliers(cells: &[Cell], median: f64, mad: f64) -> u64 {
    let limit = OUTLIER_MADS * MAD_TO_STD * mad;
    let low = cells.partition_point(|cell| cell.mean < median - limit);
    let high = cells.partition_point(|cell| cell.mean <= median + limit);
    cells[..low].iter().chain(&cells[high..]).map(|cell| cell.count).sum()
}

/// Writes the family's values.
pub(super) fn measure(ranked: &Ranked<'_>, moments: &Moments, distance: Option<f64>, sheet: &mut Sheet) {
    if let Some(reason) = moments.no_shape() {
        for def in DEFS {
            sheet.lack(def.name, reason.clone());
        }
        return;
    }
    for (name, p) in QUANTILES {
        sheet.put(name, ranked.quantile(p));
    }
    let shape = shape(ranked, moments.mean, moments.std, distance);
    sheet.put("ks_statistic", shape.ks_statistic);
    sheet.put_or("moors_kurtosis", shape.moors_kurtosis);
    sheet.put_or("bowley_skewness", shape.bowley_skewness);
    sheet.put_or("l_skewness", shape.l_skewness);
    sheet.put_or("l_kurtosis", shape.l_kurtosis);
    sheet.put_or("std_over_mad", shape.std_over_mad);
    sheet.put_or("weibull_shape", shape.weibull_shape);
    sheet.put_or("hill_tail_index", shape.hill_tail_index);
    sheet.put_or("outlier_elements", shape.outlier_elements);
}
