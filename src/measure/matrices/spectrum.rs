//! Spectra: how many directions carry a matrix, how strong the strongest is, and how far all of it is
//! from the noise that it was initialised with.
//!
//! Everything comes from the Gram matrix of the short side, in f64. A Gram squares the singular values:
//! those below about 1e-7 of the largest are lost. Where that could move a metric by more than a tenth of
//! its bound, singular values are had again from a QR decomposition.

use faer::Par;

use super::budget;
use super::drift;
use super::embeddings;
use super::panel::{Halt, Matrix, Scratch};
use super::products::{self, Products};
use super::tasks::{Context, Task, no_matrix};
use crate::measure::kernels::marchenko_pastur::{MarchenkoPastur, fit_bulk};
use crate::measure::kernels::null::SpectrumNull;
use crate::measure::kernels::{eigen, gram, spectrum as shape};
use crate::measure::sheet::Sheet;
use crate::terms::{MetricName, Reason, Role, TensorReading, Tier};

pub(in crate::measure) use super::spectrum_defs::DEFS;

/// How much of the spectrum is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// Norms and the largest singular value.
    Top,
    /// All singular values.
    Singular,
    /// The same and the principal components.
    Full,
    /// All of that of a token table, and its spread.
    FullOfTable,
}

/// Short side up to which the top of the spectrum comes from the Gram matrix; beyond, reading the tensor
/// once for each step of a Lanczos iteration is cheaper.
const GRAM_SIDE_MAX: usize = 1536;

/// Short side up to which full spectra are had: its Gram matrix takes 512 MB, and a minute of two cores.
const FULL_SIDE_MAX: u64 = 8192;

/// Relative movement below which the largest eigenvalue stands still, where each step costs a pass over
/// the tensor.
const TOP_TOLERANCE: f64 = 1e-7;

/// One task a matrix; tier 3 for those whose turn it is.
pub(super) fn tasks<'a>(context: &'a Context<'a>) -> Vec<Task<'a>> {
    let deep = context.plan.tier >= Tier::Three;
    let readable: Vec<_> = context.readable().collect();
    let costs: Vec<f64> = readable
        .iter()
        .map(|(_, _, reading)| match *reading.facts.shape.as_slice() {
            [rows, columns] if no_matrix(reading).is_none() => {
                if is_beyond(rows, columns) {
                    0.0
                } else {
                    budget::seconds(rows as usize, columns as usize)
                }
            }
            _ => 0.0,
        })
        .collect();
    let turns = budget::turns(&costs, context.plan.spectra_budget, context.plan.round);
    let mut tasks = Vec::new();
    for (((index, meaning, reading), cost), turn) in readable.into_iter().zip(costs).zip(turns) {
        let is_table = deep
            && !context.plan.spectra_alone
            && matches!(meaning.role, Role::TokenEmbedding | Role::LmHead);
        let Some(mut matrix) = Matrix::of(context.source, index) else {
            tasks.push(Task::lacking(index, lack_wanted(deep, is_table), Reason::NotMatrix));
            continue;
        };
        if let Some(reason) = no_matrix(reading) {
            tasks.push(Task::lacking(index, lack_wanted(deep, is_table), reason));
            continue;
        }
        matrix.scale = scale_of(reading);
        let beyond = is_beyond(matrix.rows as u64, matrix.columns as u64);
        let lacking = match (deep, turn, beyond) {
            (true, _, true) => Some(Reason::NotApplicable("the short side is beyond 8192")),
            (true, false, _) => Some(Reason::OverBudget),
            _ => None,
        };
        let depth = match (deep && lacking.is_none(), is_table) {
            (true, true) => Depth::FullOfTable,
            (true, false) if context.plan.spectra_alone => Depth::Singular,
            (true, false) => Depth::Full,
            (false, _) => Depth::Top,
        };
        let earlier = context.earlier(index).filter(|_| depth != Depth::Top);
        let earlier = earlier.map(|mut earlier| {
            earlier.matrix.scale = matrix.scale;
            earlier
        });
        let cost = match (depth, earlier) {
            (Depth::Top, _) => 0.5 * cost,
            (_, None) => cost,
            (_, Some(_)) => 2.0 * cost,
        };
        tasks.push(Task::of_tensor(index, cost, lack_wanted(deep, is_table), move |scratch, par, sheet| {
            if let Some(reason) = &lacking {
                full_only().for_each(|name| sheet.lack(name, reason.clone()));
                if is_table {
                    embeddings::lack_spread(reason, sheet);
                }
            }
            measure(&matrix, depth, scratch, par, sheet)?;
            if let Some(earlier) = earlier.as_ref().filter(|_| !sheet.spectrum.is_empty()) {
                drift::put_against(earlier, scratch, par, sheet);
            }
            Ok(())
        }));
    }
    tasks
}

fn is_beyond(rows: u64, columns: u64) -> bool {
    rows.min(columns) > FULL_SIDE_MAX
}

/// What to divide the elements by: 1, unless their squares would leave the range of f64.
fn scale_of(reading: &TensorReading) -> f64 {
    /// Fourth powers of elements between these, summed, stay finite and normal.
    const SAFE: std::ops::RangeInclusive<f64> = 1e-60..=1e60;
    let largest = reading.samples.get("abs_max").copied().unwrap_or(1.0);
    if SAFE.contains(&largest) { 1.0 } else { largest }
}

/// Metrics of [`Depth::Full`] alone.
fn full_only() -> impl Iterator<Item = MetricName> {
    DEFS.iter().filter(|def| def.tier == Tier::Three).map(|def| def.name)
}

fn lack_wanted(deep: bool, is_table: bool) -> fn(&Reason, &mut Sheet) {
    match (deep, is_table) {
        (true, true) => lack_table,
        (true, false) => lack,
        (false, _) => lack_top,
    }
}

fn lack_table(reason: &Reason, sheet: &mut Sheet) {
    lack(reason, sheet);
    embeddings::lack_spread(reason, sheet);
}

fn lack_top(reason: &Reason, sheet: &mut Sheet) {
    DEFS.iter().filter(|def| def.tier == Tier::Two).for_each(|def| sheet.lack(def.name, reason.clone()));
}

/// Writes that none of the family's metrics can be had.
fn lack(reason: &Reason, sheet: &mut Sheet) {
    for def in DEFS {
        sheet.lack(def.name, reason.clone());
    }
}

/// Writes the family's values down to `depth`. What is asked for and cannot be had, and what is not
/// asked for, is left for the caller to explain.
fn measure(
    matrix: &Matrix<'_>,
    depth: Depth,
    scratch: &mut Scratch,
    par: Par,
    sheet: &mut Sheet,
) -> Result<(), Halt> {
    match depth {
        Depth::Top if matrix.short() > GRAM_SIDE_MAX => top_by_passes(matrix, scratch, sheet),
        Depth::Top => {
            let Products { gram, .. } = products::products(matrix, false, scratch, par)?;
            let (trace, square) = (gram::trace(&gram), gram::squared_norm(&gram));
            let largest = gram::largest_eigenvalue(gram).ok_or(Reason::Overflow)?;
            put_top(matrix, trace, largest, sheet);
            put_participation(matrix, trace, square, sheet);
            Ok(())
        }
        Depth::Singular | Depth::Full | Depth::FullOfTable => full(matrix, depth, scratch, par, sheet),
    }
}

fn full(
    matrix: &Matrix<'_>,
    depth: Depth,
    scratch: &mut Scratch,
    par: Par,
    sheet: &mut Sheet,
) -> Result<(), Halt> {
    let (is_table, with_components) = (depth == Depth::FullOfTable, depth != Depth::Singular);
    let Products { gram, standardized, column_sums } =
        products::products(matrix, with_components, scratch, par)?;
    let unsolved = unsolved();
    let square = gram::squared_norm(&gram);
    let trace = gram::trace(&gram);
    match (is_table, column_sums) {
        (true, Some(sums)) => embeddings::put_spread(gram.clone(), &sums, matrix.rows as f64, sheet),
        (true, None) => {
            embeddings::lack_spread(&Reason::NotApplicable("fewer tokens than dimensions"), sheet)
        }
        (false, _) => {}
    }
    let eigenvalues = eigen::eigenvalues(gram, par).ok_or(unsolved.clone())?;
    let eigenvalues = exact_where_lossy(matrix, eigenvalues, scratch, par)?;
    put_top(matrix, trace, eigenvalues[0], sheet);
    put_participation(matrix, trace, square, sheet);
    put_spectrum(matrix, &eigenvalues, sheet);
    if !with_components {
        return Ok(());
    }
    let components = standardized.ok_or(unsolved.clone())?;
    if gram::trace(&components) > 0.0 {
        put_components(matrix, &eigen::eigenvalues(components, par).ok_or(unsolved)?, sheet);
    } else {
        lack_components(&Reason::Constant, sheet);
    }
    Ok(())
}

fn unsolved() -> Reason {
    Reason::NotApplicable("the eigenvalues did not converge")
}

/// All singular values and nothing else, as exact as where more is asked for.
pub(super) fn singular_values(
    matrix: &Matrix<'_>,
    scratch: &mut Scratch,
    par: Par,
) -> Result<Vec<f64>, Halt> {
    let Products { gram, .. } = products::products(matrix, false, scratch, par)?;
    let eigenvalues = eigen::eigenvalues(gram, par).ok_or(unsolved())?;
    let eigenvalues = exact_where_lossy(matrix, eigenvalues, scratch, par)?;
    Ok(eigenvalues.iter().map(|value| value.sqrt()).collect())
}

/// The eigenvalues, had again without squaring anything where a Gram's rounding could show.
fn exact_where_lossy(
    matrix: &Matrix<'_>,
    eigenvalues: Vec<f64>,
    scratch: &mut Scratch,
    par: Par,
) -> Result<Vec<f64>, Halt> {
    if !products::is_small(matrix) && !is_lossy(&eigenvalues, matrix.long() as u64) {
        return Ok(eigenvalues);
    }
    let singular = products::exact_singular_values(matrix, scratch, par)?;
    Ok(singular.iter().map(|s| s * s).collect())
}

/// Whether the rounding of a Gram matrix could show in a metric.
///
/// Eigenvalues of a Gram are off by a few ε λ₁, so a singular value s is off by that over 2 s.
fn is_lossy(eigenvalues: &[f64], long_side: u64) -> bool {
    /// Error of an eigenvalue over the largest: well above what was seen, at any size.
    const ERROR: f64 = 32.0 * f64::EPSILON;
    /// A tenth of the relative bound of `effective_rank`.
    const ENTROPY_ERROR_MAX: f64 = 1e-5;
    /// A tenth of the relative bound of `alpha_hill`.
    const CUT_ERROR_MAX: f64 = 1e-4;
    let error = ERROR * eigenvalues[0];
    let total: f64 = eigenvalues.iter().map(|value| value.sqrt()).sum();
    let threshold = shape::rank_threshold(eigenvalues[0].sqrt(), long_side);
    let mut entropy_error = 0.0;
    for &value in eigenvalues {
        let s = value.sqrt();
        let s_error = if value > error { error / (2.0 * s) } else { error.sqrt() };
        let p = (s.max(s_error) / total).max(f64::MIN_POSITIVE);
        entropy_error += s_error / total * (1.0 - p.ln());
        if (s - threshold).abs() <= s_error + 1e-9 * threshold {
            return true;
        }
    }
    let cut = eigenvalues[(eigenvalues.len() / 2).max(1) - 1];
    entropy_error > ENTROPY_ERROR_MAX || error > CUT_ERROR_MAX * cut
}

/// Norms of a matrix that is read once for each step of the iteration.
fn top_by_passes(matrix: &Matrix<'_>, scratch: &mut Scratch, sheet: &mut Sheet) -> Result<(), Halt> {
    let mut trace = 0.0;
    let mut failed = None;
    let top = eigen::top_eigenvalue(matrix.columns, TOP_TOLERANCE, gram::TOP_STEPS_MAX, |x, y| {
        trace = 0.0;
        let pass = matrix.each_row_panel(scratch, |_, values| {
            for row in values.chunks_exact(matrix.columns) {
                let along: f64 = row.iter().zip(x).map(|(w, x)| w * x).sum();
                trace += row.iter().map(|w| w * w).sum::<f64>();
                y.iter_mut().zip(row).for_each(|(y, w)| *y += along * w);
            }
            if trace.is_finite() { Ok(()) } else { Err(Reason::NotFinite.into()) }
        });
        pass.map_err(|halt| failed = Some(halt)).ok()
    });
    if let Some(halt) = failed {
        return Err(halt);
    }
    put_top(matrix, trace, top.ok_or(Reason::AllZero)?, sheet);
    sheet.lack("participation_ratio", Reason::OverBudget);
    sheet.lack("participation_ratio_excess_over_null", Reason::OverBudget);
    Ok(())
}

fn null_of(matrix: &Matrix<'_>) -> (MarchenkoPastur, SpectrumNull) {
    let (rows, columns) = (matrix.rows as u64, matrix.columns as u64);
    let law = MarchenkoPastur::new(rows, columns);
    let null = SpectrumNull::new(rows, columns, &law);
    (law, null)
}

fn put_top(matrix: &Matrix<'_>, trace: f64, largest: f64, sheet: &mut Sheet) {
    let (m, n) = (matrix.rows as f64, matrix.columns as f64);
    let edge = m.sqrt() + n.sqrt();
    let rms = (trace / (m * n)).sqrt();
    sheet.put("frobenius_norm", trace.sqrt() * matrix.scale);
    sheet.put("spectral_norm", largest.sqrt() * matrix.scale);
    sheet.put("spectral_norm_excess_over_null", (largest.sqrt() - rms * edge) * matrix.scale);
    sheet.put("stable_rank", trace / largest);
    sheet.put("stable_rank_excess_over_null", trace / largest - m * n / (edge * edge));
}

fn put_participation(matrix: &Matrix<'_>, trace: f64, square: f64, sheet: &mut Sheet) {
    let (m, n) = (matrix.rows as f64, matrix.columns as f64);
    let ratio = trace * trace / square;
    sheet.put("participation_ratio", ratio);
    sheet.put("participation_ratio_excess_over_null", ratio - (m * n + 2.0) / (m + n + 1.0));
}

fn put_spectrum(matrix: &Matrix<'_>, eigenvalues: &[f64], sheet: &mut Sheet) {
    let (law, null) = null_of(matrix);
    let long = matrix.long() as u64;
    let singular: Vec<f64> = eigenvalues.iter().map(|value| value.sqrt()).collect();
    let rank = shape::effective_rank(&singular).ok_or(Reason::AllZero);
    sheet.put_or("effective_rank", rank.clone());
    sheet.put_or("effective_rank_excess_over_null", rank.map(|rank| rank - null.effective_rank));
    drift::put_spectrum(&singular, sheet);
    sheet.put("numerical_rank", shape::numerical_rank(&singular, long) as f64);
    // what lies below f64's own rounding is zero, whatever was computed for it
    let floor = singular[0] * long as f64 * f64::EPSILON;
    let real: Vec<f64> =
        singular.iter().zip(eigenvalues).map(|(s, value)| if *s > floor { *value } else { 0.0 }).collect();
    let too_few = Reason::TooFew { needs: shape::ALPHA_HILL_MIN as u64 };
    let alpha = shape::alpha_hill(&real).ok_or(too_few);
    sheet.put_or("alpha_hill", alpha.clone());
    let excess = alpha.and_then(|alpha| null.alpha_hill.map(|null| alpha - null).ok_or(Reason::Constant));
    sheet.put_or("alpha_hill_excess_over_null", excess);
    put_power_law(&real, matrix.scale, sheet);
    put_bulk(&law, &real, matrix, sheet);
}

fn put_power_law(eigenvalues: &[f64], scale: f64, sheet: &mut Sheet) {
    let fit =
        shape::fit_power_law(eigenvalues).ok_or(Reason::TooFew { needs: shape::POWER_LAW_TAIL_MIN as u64 });
    sheet.put_or("alpha_fit", fit.clone().map(|fit| fit.alpha));
    sheet.put_or("alpha_fit_ks_statistic", fit.clone().map(|fit| fit.ks));
    sheet.put_or("alpha_fit_tail_values", fit.clone().map(|fit| fit.tail as f64));
    let largest = eigenvalues[0] * scale * scale;
    sheet.put_or("alpha_weighted", fit.map(|fit| fit.alpha * largest.log10()));
}

fn put_bulk(law: &MarchenkoPastur, eigenvalues: &[f64], matrix: &Matrix<'_>, sheet: &mut Sheet) {
    let singular = |index: usize| eigenvalues[index].sqrt();
    sheet.put("smallest_singular_value", singular(eigenvalues.len() - 1) * matrix.scale);
    let deficient = Reason::NotApplicable("half of the singular values are zero");
    let middle = singular(eigenvalues.len() / 2);
    let to_median = if middle > 0.0 { Ok(singular(0) / middle) } else { Err(deficient.clone()) };
    sheet.put_or("condition_to_median", to_median);
    let fit = fit_bulk(law, eigenvalues, matrix.long() as u64).ok_or(deficient);
    sheet.put_or("mp_edge", fit.clone().map(|fit| fit.edge * matrix.scale));
    sheet.put_or("mp_sigma", fit.clone().map(|fit| fit.sigma * matrix.scale));
    sheet.put_or("mp_spikes", fit.clone().map(|fit| fit.spikes as f64));
    sheet.put_or("mp_bulk_ks_statistic", fit.map(|fit| fit.ks));
}

const COMPONENTS: [MetricName; 4] = [
    "pca_first_component_ratio",
    "pca_first_component_ratio_excess_over_null",
    "pca_components_90",
    "pca_components_90_excess_over_null",
];

fn lack_components(reason: &Reason, sheet: &mut Sheet) {
    sheet.lack_all(&COMPONENTS, reason);
}

fn put_components(matrix: &Matrix<'_>, eigenvalues: &[f64], sheet: &mut Sheet) {
    /// Share of the variance that the components are counted for.
    const SHARE: f64 = 0.9;
    let (_, null) = null_of(matrix);
    let total: f64 = eigenvalues.iter().sum();
    let first = eigenvalues[0] / total;
    let Some(count) = shape::components_for(eigenvalues, SHARE) else {
        return lack_components(&Reason::Constant, sheet);
    };
    sheet.put("pca_first_component_ratio", first);
    sheet.put("pca_first_component_ratio_excess_over_null", first - null.first_component_ratio);
    sheet.put("pca_components_90", count as f64);
    sheet.put("pca_components_90_excess_over_null", count as f64 - null.components_90);
}
