//! Rows and columns: do all neurons, channels and tokens have the same scale?
//!
//! A mixture of rows of different scale looks like heavy tails. So the shape metrics are had twice: of
//! the tensor as it is, and after each row is divided by its rms (`row_normalized_*`). Where both are
//! far from normal the elements have heavy tails; where only the first is, rows drift apart.

use super::cells::Ranked;
use super::elements::Moments;
use super::shape::{Shape, shape};
use super::sheet::Sheet;
use crate::terms::{Family, MetricDef, MetricName, Reason, SubjectKind, Tier, Unit};

const ROWS: MetricDef = MetricDef {
    name: "",
    family: Family::Rows,
    subject: SubjectKind::Tensor,
    unit: Unit::One,
    tier: Tier::One,
    help: "",
    formula: "",
    source: "",
    healthy: "",
    sick: "",
    cost: "two sums a row, one a column, in the one pass",
    since: "0.1.0",
};

const VARIANCE: MetricDef = MetricDef {
    unit: Unit::Weight,
    formula: "population variance of each row about the row's own mean; quantile over rows by linear interpolation",
    source: "the layer-wise spread plots of public GPT-2 weight walks",
    healthy: "the quartiles within a factor of 2 of each other; follows std squared",
    sick: "min near 0: dead rows; max leaving the quartiles: one row runs away",
    ..ROWS
};

const NORMALIZED: MetricDef = MetricDef {
    formula: "the metric of the same name, of w_ij / rms_i over the rows with rms_i > 0",
    source: "row scale mixtures: Andrews and Mallows 1974; reference values in the null tables of the tests",
    healthy: "as the metric without the prefix for a normal; closer to normal than it wherever rows differ in scale",
    sick: "leaves its trend together with the metric without the prefix: true element tails; stays while that one moves: rows drift apart",
    cost: "one more count an element, in the one pass",
    ..ROWS
};

/// This family's entries.
pub(super) const DEFS: &[MetricDef] = &[
    MetricDef { name: "row_variance_min", help: "Smallest variance of a row", ..VARIANCE },
    MetricDef { name: "row_variance_q25", help: "Lower quartile of the rows' variances", ..VARIANCE },
    MetricDef { name: "row_variance_median", help: "Median of the rows' variances", ..VARIANCE },
    MetricDef { name: "row_variance_q75", help: "Upper quartile of the rows' variances", ..VARIANCE },
    MetricDef { name: "row_variance_max", help: "Largest variance of a row", ..VARIANCE },
    MetricDef {
        name: "row_rms_max_over_median",
        help: "Largest rms of a row over the rows' median rms",
        formula: "max_i rms_i / median_i rms_i",
        source: "outlier features: Dettmers et al. 2022",
        healthy: "1.1-3 in small GPT-2, Llama and BERT runs; up to 5 in embeddings",
        sick: "one row leaves the pack: an outlier channel is born, or a row was corrupted",
        ..ROWS
    },
    MetricDef {
        name: "column_rms_max_over_median",
        help: "Largest rms of a column over the columns' median rms",
        formula: "max_j rms_j / median_j rms_j",
        source: "outlier features: Dettmers et al. 2022",
        healthy: "1.1-3; slowly growing columns in the inputs of output and down projections",
        sick: "one column leaves the pack: an outlier channel is born",
        ..ROWS
    },
    MetricDef {
        name: "zero_rows",
        unit: Unit::Count,
        help: "Rows that are zero throughout",
        formula: "count of rows with rms 0",
        source: "dead units: Voita et al. 2023",
        healthy: "0, or the padding token's row of an embedding",
        sick: "rising: units die or are pruned",
        ..ROWS
    },
    MetricDef {
        name: "row_normalized_ks_statistic",
        unit: Unit::Ratio,
        help: "ks_statistic after each row is divided by its rms",
        ..NORMALIZED
    },
    MetricDef {
        name: "row_normalized_excess_kurtosis",
        help: "excess_kurtosis after each row is divided by its rms",
        ..NORMALIZED
    },
    MetricDef {
        name: "row_normalized_moors_kurtosis",
        help: "moors_kurtosis after each row is divided by its rms",
        ..NORMALIZED
    },
    MetricDef {
        name: "row_normalized_bowley_skewness",
        help: "bowley_skewness after each row is divided by its rms",
        ..NORMALIZED
    },
    MetricDef {
        name: "row_normalized_l_skewness",
        help: "l_skewness after each row is divided by its rms",
        ..NORMALIZED
    },
    MetricDef {
        name: "row_normalized_l_kurtosis",
        help: "l_kurtosis after each row is divided by its rms",
        ..NORMALIZED
    },
    MetricDef {
        name: "row_normalized_std_over_mad",
        help: "std_over_mad after each row is divided by its rms",
        ..NORMALIZED
    },
    MetricDef {
        name: "row_normalized_weibull_shape",
        help: "weibull_shape after each row is divided by its rms",
        ..NORMALIZED
    },
    MetricDef {
        name: "row_normalized_hill_tail_index",
        help: "hill_tail_index after each row is divided by its rms",
        ..NORMALIZED
    },
];

/// Shortest side of what counts as a matrix.
pub(super) const SIDE_MIN: u64 = 2;

/// Most rows, or columns, whose sums are kept: 32 MB each. More than any vocabulary has; without a limit
/// a matrix of two columns would be held in memory whole.
pub(super) const SIDE_MAX: u64 = 1 << 22;

/// Rows and columns of a tensor that has them.
pub(super) fn sides(shape: &[u64]) -> Option<(u64, u64)> {
    match *shape {
        [rows, columns] if rows >= SIDE_MIN && columns >= SIDE_MIN => Some((rows, columns)),
        _ => None,
    }
}

/// Sums of the rows and columns of a matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    /// Population variance of each row.
    pub(crate) row_variance: Vec<f64>,
    /// Mean square of each row.
    pub(crate) row_square: Vec<f64>,
    /// Mean square of each column.
    pub(crate) column_square: Vec<f64>,
}

/// Why the family cannot be had of this tensor, if so.
pub(super) fn no_rows(shape: &[u64], finite: bool, zero: bool) -> Option<Reason> {
    match sides(shape) {
        None => Some(Reason::NotMatrix),
        Some(_) if !finite => Some(Reason::NotFinite),
        Some(_) if zero => Some(Reason::AllZero),
        Some((rows, columns)) if rows.max(columns) > SIDE_MAX => {
            Some(Reason::NotApplicable("more rows or columns than are kept apart"))
        }
        Some(_) => None,
    }
}

/// Writes that none of the family's metrics can be had.
pub(super) fn lack(reason: &Reason, sheet: &mut Sheet) {
    for def in DEFS {
        sheet.lack(def.name, reason.clone());
    }
}

/// Places of the row variances' five-number summary.
const SUMMARY: [(MetricName, f64); 5] = [
    ("row_variance_min", 0.0),
    ("row_variance_q25", 0.25),
    ("row_variance_median", 0.5),
    ("row_variance_q75", 0.75),
    ("row_variance_max", 1.0),
];

/// Writes the values that come from the sums.
pub(super) fn measure_sums(sums: &mut Sums, sheet: &mut Sheet) {
    sums.row_variance.sort_unstable_by(f64::total_cmp);
    for (name, p) in SUMMARY {
        sheet.put(name, quantile_of_sorted(&sums.row_variance, p));
    }
    sheet.put("zero_rows", sums.row_square.iter().filter(|&&square| square == 0.0).count() as f64);
    for (name, squares) in [
        ("row_rms_max_over_median", &mut sums.row_square),
        ("column_rms_max_over_median", &mut sums.column_square),
    ] {
        for square in squares.iter_mut() {
            *square = square.sqrt();
        }
        squares.sort_unstable_by(f64::total_cmp);
        let median = quantile_of_sorted(squares, 0.5);
        if median > 0.0 {
            sheet.put(name, quantile_of_sorted(squares, 1.0) / median);
        } else {
            sheet.lack(name, Reason::NotApplicable("more than half of them are zero"));
        }
    }
}

/// Quantile by linear interpolation of at least one sorted value.
fn quantile_of_sorted(sorted: &[f64], p: f64) -> f64 {
    let (rank, share) = super::cells::quantile_rank(p, sorted.len() as u64);
    let below = sorted[rank as usize];
    let above = sorted[(rank as usize + 1).min(sorted.len() - 1)];
    below + (above - below) * share
}

/// Writes the shape of the elements divided by their row's rms.
pub(super) fn measure_normalized(
    ranked: &Ranked<'_>,
    moments: &Moments,
    distance: Option<f64>,
    sheet: &mut Sheet,
) {
    if let Some(reason) = moments.no_shape() {
        for def in DEFS.iter().filter(|def| def.name.starts_with("row_normalized_")) {
            sheet.lack(def.name, reason.clone());
        }
        return;
    }
    let Shape {
        ks_statistic,
        moors_kurtosis,
        bowley_skewness,
        l_skewness,
        l_kurtosis,
        std_over_mad,
        weibull_shape,
        hill_tail_index,
        ..
    } = shape(ranked, moments.mean, moments.std, distance);
    sheet.put("row_normalized_ks_statistic", ks_statistic);
    sheet.put("row_normalized_excess_kurtosis", moments.excess_kurtosis);
    sheet.put_or("row_normalized_moors_kurtosis", moors_kurtosis);
    sheet.put_or("row_normalized_bowley_skewness", bowley_skewness);
    sheet.put_or("row_normalized_l_skewness", l_skewness);
    sheet.put_or("row_normalized_l_kurtosis", l_kurtosis);
    sheet.put_or("row_normalized_std_over_mad", std_over_mad);
    sheet.put_or("row_normalized_weibull_shape", weibull_shape);
    sheet.put_or("row_normalized_hill_tail_index", hill_tail_index);
}
