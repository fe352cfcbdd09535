//! Learned position tables: smooth from row to row, and often periodic, where a model has learnt what a
//! position is. Each figure stands beside the value that white noise of the same size has.

use super::panel::{Halt, Matrix, Scratch};
use super::tasks::{Context, Task};
use crate::measure::kernels::fft::{
    Periodogram, WHITE_FLATNESS, white_peak_fraction, white_peak_fraction_above,
};
use crate::measure::sheet::Sheet;
use crate::terms::{Family, MetricDef, Reason, Role, SubjectKind, Tier, Unit};

const POSITION: MetricDef = MetricDef {
    name: "",
    family: Family::Positions,
    subject: SubjectKind::Tensor,
    unit: Unit::One,
    tier: Tier::Two,
    help: "",
    formula: "",
    source: "public GPT-2 weight walks",
    healthy: "",
    sick: "",
    cost: "one Fourier transform a dimension, and a dot product a position",
    since: "0.1.0",
};

const VARIANCE: MetricDef = MetricDef {
    unit: Unit::Weight,
    formula: "population variance of each column over positions",
    ..POSITION
};

/// This family's entries.
pub(in crate::measure) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "position_adjacent_pearson_mean",
        help: "Mean correlation of a position's vector with the next position's",
        formula: "mean_p corr(E_p, E_(p+1)) over pairs where both vary; noise has 0 with deviation 1 / sqrt(dims) a pair",
        healthy: "near 1 in trained tables (GPT-2 small, pretrained MiniLM); 0 at initialisation",
        sick: "falls: positions are lost",
        ..POSITION
    },
    MetricDef {
        name: "position_adjacent_pearson_min",
        help: "Smallest correlation of a position's vector with the next position's",
        formula: "min_p corr(E_p, E_(p+1)) over pairs where both vary",
        healthy: "lower at both ends of the table: the first position and those beyond the trained length differ",
        sick: "falls while the mean stays: one position was damaged",
        ..POSITION
    },
    MetricDef {
        name: "position_variance_min",
        help: "Smallest variance of a dimension over positions",
        healthy: "well below the median in trained tables: some dimensions carry no position",
        sick: "rises to the median: noise",
        ..VARIANCE
    },
    MetricDef {
        name: "position_variance_median",
        help: "Median variance of a dimension over positions",
        healthy: "std^2 of the initialisation, then growing",
        sick: "falls towards 0: positions fade",
        ..VARIANCE
    },
    MetricDef {
        name: "position_variance_max",
        help: "Largest variance of a dimension over positions",
        healthy: "tens of times the median in trained tables",
        sick: "falls to the median: noise; runs away: one dimension takes all",
        ..VARIANCE
    },
    MetricDef {
        name: "position_variance_max_over_median",
        help: "Largest over median variance of a dimension over positions",
        formula: "position_variance_max / position_variance_median",
        healthy: "1.2 at initialisation, tens in trained tables",
        sick: "back to 1.2: the table was initialised again",
        ..POSITION
    },
    MetricDef {
        name: "position_peak_fraction_mean",
        unit: Unit::Ratio,
        help: "Share of a dimension's power over positions in its strongest frequency, mean over dimensions",
        formula: "mean_j max_f |F_jf|^2 / sum_f |F_jf|^2 over frequencies above 0",
        healthy: "0.3 and more in trained tables; noise has 0.024 at 512 positions, 0.013 at 1024",
        sick: "returns towards the noise value: positions are lost",
        ..POSITION
    },
    MetricDef {
        name: "position_peak_fraction_mean_excess_over_null",
        help: "position_peak_fraction_mean minus that of white noise of as many positions",
        formula: "position_peak_fraction_mean - H_M / M, M = positions / 2, H the harmonic numbers",
        healthy: "0 at initialisation, above 0.2 in trained tables",
        sick: "back to 0: positions are lost",
        ..POSITION
    },
    MetricDef {
        name: "position_periodic_ratio",
        unit: Unit::Ratio,
        help: "Share of the dimensions whose strongest frequency is stronger than noise allows",
        formula: "share of dimensions with a peak fraction beyond the 99 % point of white noise, Fisher's g test",
        source: "Fisher 1929",
        healthy: "0.01 at initialisation, near 1 in trained tables",
        sick: "falls: positions are lost",
        ..POSITION
    },
    MetricDef {
        name: "position_flatness_mean",
        unit: Unit::Ratio,
        help: "Flatness of a dimension's spectrum over positions, mean over dimensions",
        formula: "mean_j of the geometric over the arithmetic mean of |F_jf|^2 over frequencies above 0",
        source: "spectral flatness: Gray and Markel 1974",
        healthy: "0.56 (e^-gamma) at initialisation, below 0.2 in trained tables",
        sick: "returns towards 0.56: positions are lost",
        ..POSITION
    },
    MetricDef {
        name: "position_flatness_mean_excess_over_null",
        help: "position_flatness_mean minus that of white noise",
        formula: "position_flatness_mean - e^-gamma",
        source: "spectral flatness: Gray and Markel 1974",
        healthy: "0 at initialisation, below -0.3 in trained tables",
        sick: "returns towards 0: positions are lost",
        ..POSITION
    },
];

/// One task a position table.
pub(super) fn tasks<'a>(context: &'a Context<'a>) -> Vec<Task<'a>> {
    let tables = context.of_role(Role::PositionEmbedding);
    tables
        .map(|(index, _)| match Matrix::of(context.source, index) {
            Some(matrix) if matrix.short() >= 2 => {
                Task::of_tensor(index, COST, lack, move |scratch, _, sheet| measure(&matrix, scratch, sheet))
            }
            Some(_) => Task::lacking(index, lack, Reason::TooFew { needs: 2 }),
            None => Task::lacking(index, lack, Reason::NotMatrix),
        })
        .collect()
}

/// Nominal seconds of a table: a GPT-2 one takes about that.
const COST: f64 = 0.02;

/// Writes that none of the family's metrics can be had.
fn lack(reason: &Reason, sheet: &mut Sheet) {
    for def in DEFS {
        sheet.lack(def.name, reason.clone());
    }
}

/// Writes the family's values for a table of positions × dimensions.
fn measure(matrix: &Matrix<'_>, scratch: &mut Scratch, sheet: &mut Sheet) -> Result<(), Halt> {
    neighbours(matrix, scratch, sheet)?;
    let periodogram = Periodogram::new(matrix.rows);
    let (mut variances, mut waves) = (Vec::new(), Vec::new());
    matrix.each_column_panel(matrix.columns_of_panel(), scratch, |count, values| {
        for column in 0..count {
            let series: Vec<f64> = values.iter().skip(column).step_by(count).copied().collect();
            let mean = series.iter().sum::<f64>() / series.len() as f64;
            variances.push(series.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / series.len() as f64);
            waves.extend(periodogram.of(&series));
        }
        Ok(())
    })?;
    if variances.iter().any(|variance| !variance.is_finite()) {
        return Err(Reason::NotFinite.into());
    }
    put_variances(variances, sheet);
    let count = waves.len() as f64;
    if waves.is_empty() {
        for def in DEFS.iter().filter(|def| def.name.contains("_peak_") || def.name.contains("_flatness_")) {
            sheet.lack(def.name, Reason::Constant);
        }
        sheet.lack("position_periodic_ratio", Reason::Constant);
        return Ok(());
    }
    let peak = waves.iter().map(|wave| wave.peak_fraction).sum::<f64>() / count;
    sheet.put("position_peak_fraction_mean", peak);
    sheet.put("position_peak_fraction_mean_excess_over_null", peak - white_peak_fraction(matrix.rows));
    let limit = white_peak_fraction_above(matrix.rows, 0.01);
    let beyond = waves.iter().filter(|wave| wave.peak_fraction > limit).count() as f64;
    sheet.put("position_periodic_ratio", beyond / count);
    let flatness = waves.iter().map(|wave| wave.flatness).sum::<f64>() / count;
    sheet.put("position_flatness_mean", flatness);
    sheet.put("position_flatness_mean_excess_over_null", flatness - WHITE_FLATNESS);
    Ok(())
}

fn put_variances(mut variances: Vec<f64>, sheet: &mut Sheet) {
    variances.sort_by(f64::total_cmp);
    let count = variances.len();
    let median = 0.5 * (variances[(count - 1) / 2] + variances[count / 2]);
    sheet.put("position_variance_min", variances[0]);
    sheet.put("position_variance_median", median);
    sheet.put("position_variance_max", variances[count - 1]);
    let ratio = if median > 0.0 { Ok(variances[count - 1] / median) } else { Err(Reason::Constant) };
    sheet.put_or("position_variance_max_over_median", ratio);
}

/// Correlation of each row with the next.
fn neighbours(matrix: &Matrix<'_>, scratch: &mut Scratch, sheet: &mut Sheet) -> Result<(), Halt> {
    let mut before: Vec<f64> = Vec::new();
    let (mut sum, mut least, mut count) = (0.0, f64::INFINITY, 0u64);
    matrix.each_row_panel(scratch, |_, values| {
        for row in values.chunks_exact_mut(matrix.columns) {
            let mean = row.iter().sum::<f64>() / row.len() as f64;
            row.iter_mut().for_each(|x| *x -= mean);
            let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            if !norm.is_finite() {
                return Err(Reason::NotFinite.into());
            }
            row.iter_mut().for_each(|x| *x = if norm > 0.0 { *x / norm } else { 0.0 });
            if norm > 0.0 && before.iter().any(|x| *x != 0.0) {
                let r: f64 = before.iter().zip(&*row).map(|(a, b)| a * b).sum();
                (sum, least, count) = (sum + r, least.min(r), count + 1);
            }
            before.clear();
            before.extend_from_slice(row);
        }
        Ok(())
    })?;
    let any = |value: f64| if count > 0 { Ok(value) } else { Err(Reason::Constant) };
    sheet.put_or("position_adjacent_pearson_mean", any(sum / count as f64));
    sheet.put_or("position_adjacent_pearson_min", any(least));
    Ok(())
}
