//! Parts that stand in a relation: the gain of a norm to its own channels, the gate of a feed-forward
//! block to its up projection, the rows of a router to each other.

use faer::{Mat, MatRef, Par};

use super::panel::{Halt, Matrix, Scratch};
use super::tasks::{Context, Finished, Task, no_matrix, no_values, of_layer};
use crate::measure::kernels::{gram, null};
use crate::measure::sheet::Sheet;
use crate::terms::{Family, MetricDef, MetricName, Reason, Role, SubjectKind, Tier, Unit};

const PART: MetricDef = MetricDef {
    name: "",
    family: Family::Structure,
    subject: SubjectKind::Tensor,
    unit: Unit::One,
    tier: Tier::Two,
    help: "",
    formula: "",
    source: "",
    healthy: "",
    sick: "",
    cost: "one pass over the tensor",
    since: "0.1.0",
};

const GAIN: MetricDef = MetricDef {
    source: "outlier dimensions of LayerNorm: Kovaleva et al. 2021 (arXiv 2105.06990)",
    cost: "one pass over a vector",
    ..PART
};

const PAIR: MetricDef = MetricDef {
    subject: SubjectKind::Layer,
    source: "outliers of SwiGLU and divergence in low precision: Fishman et al. 2024 (arXiv 2409.12517)",
    cost: "one pass over both projections",
    ..PART
};

const ROUTER: MetricDef = MetricDef {
    source: "geometry of routers: arXiv 2605.12476; indicators of collapse: arXiv 2606.28116",
    cost: "one Gram product of experts x experts",
    ..PART
};

/// This family's entries.
pub(in crate::measure) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "gain_max_over_median",
        help: "Largest over median magnitude of a norm's gain",
        formula: "max |g| / median |g|",
        healthy: "1 to 3",
        sick: "above 10: one channel explodes",
        ..GAIN
    },
    MetricDef {
        name: "gain_outliers",
        unit: Unit::Count,
        help: "Channels whose gain is more than three deviations from the mean gain",
        formula: "count of |g - mean| > 3 std",
        healthy: "a few, the same ones in all layers",
        sick: "new ones late in training",
        ..GAIN
    },
    MetricDef {
        name: "gain_nonpositive",
        unit: Unit::Count,
        help: "Channels whose gain is zero or negative",
        formula: "count of g <= 0",
        healthy: "0 in most trained models",
        sick: "rising: channels are switched off",
        ..GAIN
    },
    MetricDef {
        name: "gate_up_cosine_max",
        unit: Unit::Ratio,
        help: "Largest alignment of a neuron's gate with its up projection",
        formula: "max_i |cos(gate_i, up_i)| over the neurons of the layer",
        healthy: "near its null: 0.16 for a width of 512, 0.06 for 4096",
        sick: "above 0.5 and rising: the neuron squares its input, outliers grow and low precision diverges",
        ..PAIR
    },
    MetricDef {
        name: "gate_up_cosine_max_excess_over_null",
        help: "gate_up_cosine_max minus that of independent vectors",
        formula: "gate_up_cosine_max minus the median of the largest |cosine| of as many independent normal pairs",
        healthy: "0 at initialisation, small after",
        sick: "rising: neurons align",
        ..PAIR
    },
    MetricDef {
        name: "gate_up_cosine_top1_mean",
        unit: Unit::Ratio,
        help: "Mean alignment of gate and up projection over the 1 % of neurons that align most",
        formula: "mean of the largest 1 % (at least one) of |cos(gate_i, up_i)|",
        healthy: "just below gate_up_cosine_max",
        sick: "rising: many neurons align",
        ..PAIR
    },
    MetricDef {
        name: "router_norm_max_over_median",
        help: "Largest over median norm of a router's rows",
        formula: "max_e ||r_e|| / median_e ||r_e||",
        healthy: "1 to 2",
        sick: "grows: one expert draws all tokens",
        ..ROUTER
    },
    MetricDef {
        name: "router_cosine_max",
        help: "Largest cosine between two rows of a router",
        formula: "max over pairs of cos(r_a, r_b)",
        healthy: "near 0 at initialisation, up to 0.5 with a balancing loss",
        sick: "near 1: two experts are chosen as one",
        ..ROUTER
    },
    MetricDef {
        name: "router_cosine_mean",
        help: "Mean cosine between two rows of a router",
        formula: "mean over pairs of cos(r_a, r_b)",
        healthy: "near 0",
        sick: "rises: the router stops telling tokens apart",
        ..ROUTER
    },
    MetricDef {
        name: "router_norm_entropy",
        unit: Unit::Ratio,
        help: "Evenness of the router's rows: entropy of the softmax of their norms",
        formula: "-sum p ln p / ln E, p = softmax(||r_e||)",
        healthy: "above 0.9",
        sick: "falls: few experts are preferred whatever the token",
        ..ROUTER
    },
];

const GAINS: [MetricName; 3] = ["gain_max_over_median", "gain_outliers", "gain_nonpositive"];
const GATES: [MetricName; 3] =
    ["gate_up_cosine_max", "gate_up_cosine_max_excess_over_null", "gate_up_cosine_top1_mean"];
const ROUTERS: [MetricName; 4] =
    ["router_norm_max_over_median", "router_cosine_max", "router_cosine_mean", "router_norm_entropy"];

fn lack_gains(reason: &Reason, sheet: &mut Sheet) {
    sheet.lack_all(&GAINS, reason);
}

fn lack_routers(reason: &Reason, sheet: &mut Sheet) {
    sheet.lack_all(&ROUTERS, reason);
}

/// One task a norm, a router, a feed-forward block with a gate.
pub(super) fn tasks<'a>(context: &'a Context<'a>) -> Vec<Task<'a>> {
    let mut tasks = Vec::new();
    for (index, reading) in context.of_role(Role::Norm).filter(|(_, r)| r.facts.shape.len() == 1) {
        match (no_values(reading), Matrix::flattened(context.source, index)) {
            (None, Some(vector)) => {
                tasks.push(Task::of_tensor(index, 0.0, lack_gains, move |s, _, sheet| {
                    gains(&vector, s, sheet)
                }))
            }
            (reason, _) => tasks.push(Task::lacking(index, lack_gains, reason.unwrap_or(Reason::NotMatrix))),
        }
    }
    for (index, reading) in context.of_role(Role::Router).filter(|(_, r)| r.facts.shape.len() == 2) {
        let inputs_first = reading.facts.meaning.inputs_first;
        match (no_matrix(reading), Matrix::of(context.source, index)) {
            (None, Some(matrix)) => {
                tasks.push(Task::of_tensor(index, 0.01, lack_routers, move |s, _, sheet| {
                    router(&matrix, inputs_first, s, sheet)
                }))
            }
            (reason, _) => {
                tasks.push(Task::lacking(index, lack_routers, reason.unwrap_or(Reason::NotMatrix)))
            }
        }
    }
    tasks.extend(gates(context));
    tasks
}

fn gains(vector: &Matrix<'_>, scratch: &mut Scratch, sheet: &mut Sheet) -> Result<(), Halt> {
    vector.read_rows(0, vector.rows, scratch)?;
    let gains = &scratch.values;
    let count = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / count;
    let deviation = (gains.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / count).sqrt();
    sheet.put("gain_outliers", gains.iter().filter(|g| (*g - mean).abs() > 3.0 * deviation).count() as f64);
    sheet.put("gain_nonpositive", gains.iter().filter(|g| **g <= 0.0).count() as f64);
    let mut sizes: Vec<f64> = gains.iter().map(|g| g.abs()).collect();
    sheet.put_or("gain_max_over_median", max_over_median(&mut sizes));
    Ok(())
}

/// Largest over median of sizes, which get sorted.
fn max_over_median(sizes: &mut [f64]) -> Result<f64, Reason> {
    sizes.sort_unstable_by(f64::total_cmp);
    let count = sizes.len();
    if count == 0 {
        return Err(Reason::TooFew { needs: 1 });
    }
    let median = 0.5 * (sizes[(count - 1) / 2] + sizes[count / 2]);
    if median > 0.0 { Ok(sizes[count - 1] / median) } else { Err(Reason::AllZero) }
}

/// A gate and an up projection of one layer: two tensors of equal shape, or two halves of one.
struct Gate<'a> {
    layer: u32,
    gate: Matrix<'a>,
    up: Matrix<'a>,
    /// Rows of the up projection begin here.
    up_start: usize,
    neurons: usize,
    /// Neurons are columns.
    inputs_first: bool,
}

fn gates<'a>(context: &'a Context<'a>) -> Vec<Task<'a>> {
    let mut tasks = Vec::new();
    for (index, gate) in context.of_role(Role::MlpGate) {
        let facts = &gate.facts;
        // a layer with several such blocks has them in file order, as has its list of up projections
        let nth = context.of_role(Role::MlpGate).filter(|(i, r)| *i < index && same_place(r, gate)).count();
        let up = context.of_role(Role::MlpUp).filter(|(_, r)| same_place(r, gate)).nth(nth);
        let (Some(layer), Some((up_index, up))) = (facts.meaning.layer, up) else { continue };
        let (Some(gate_matrix), Some(up_matrix)) =
            (Matrix::of(context.source, index), Matrix::of(context.source, up_index))
        else {
            continue;
        };
        let inputs_first = facts.meaning.inputs_first;
        let neurons = if inputs_first { gate_matrix.columns } else { gate_matrix.rows };
        let pair = Gate { layer, gate: gate_matrix, up: up_matrix, up_start: 0, neurons, inputs_first };
        tasks.push(gate_task(index, pair, no_matrix(gate).or_else(|| no_matrix(up))));
    }
    for (index, both) in context.of_role(Role::MlpGateUp) {
        let facts = &both.facts;
        let (Some(layer), Some(matrix)) = (facts.meaning.layer, Matrix::of(context.source, index)) else {
            continue;
        };
        if facts.meaning.inputs_first || matrix.rows % 2 != 0 {
            continue;
        }
        let half = matrix.rows / 2;
        let pair =
            Gate { layer, gate: matrix, up: matrix, up_start: half, neurons: half, inputs_first: false };
        tasks.push(gate_task(index, pair, no_matrix(both)));
    }
    tasks
}

fn same_place(a: &crate::terms::TensorReading, b: &crate::terms::TensorReading) -> bool {
    a.facts.meaning.layer == b.facts.meaning.layer && a.facts.shape == b.facts.shape
}

fn gate_task(index: usize, pair: Gate<'_>, reason: Option<Reason>) -> Task<'_> {
    let cost = (pair.gate.rows * pair.gate.columns) as f64 / 5e8;
    let work = move |scratch: &mut Scratch, _: Par| {
        let mut sheet = Sheet::default();
        let cosines = match &reason {
            Some(reason) => Err(Halt::Reason(reason.clone())),
            None => cosines(&pair, scratch),
        };
        match cosines {
            Ok(cosines) => {
                put_cosines(cosines, pair.gate.rows * pair.gate.columns / pair.neurons, &mut sheet)
            }
            Err(Halt::Reason(reason)) => sheet.lack_all(&GATES, &reason),
            Err(source) => return Err(source),
        }
        Ok(Finished { subjects: vec![of_layer(pair.layer, sheet)], ..Finished::default() })
    };
    Task { tensor: index, cost, work: Box::new(work) }
}

/// |cosine| of each neuron's two vectors; neurons with a zero vector are left out.
fn cosines(pair: &Gate<'_>, scratch: &mut Scratch) -> Result<Vec<f64>, Halt> {
    let mut sums = vec![[0.0f64; 3]; pair.neurons];
    let mut other = Scratch::default();
    let rows = if pair.inputs_first { pair.gate.rows } else { pair.neurons };
    let columns = pair.gate.columns;
    let panel = pair.gate.rows_of_panel();
    for start in (0..rows).step_by(panel) {
        let count = panel.min(rows - start);
        pair.gate.read_rows(start, count, scratch)?;
        pair.up.read_rows(pair.up_start + start, count, &mut other)?;
        for (at, (g, u)) in scratch.values.iter().zip(&other.values).enumerate() {
            let neuron = if pair.inputs_first { at % columns } else { start + at / columns };
            let [gg, uu, gu] = &mut sums[neuron];
            *gg += g * g;
            *uu += u * u;
            *gu += g * u;
        }
    }
    let live = sums.into_iter().filter(|[gg, uu, _]| *gg > 0.0 && *uu > 0.0);
    let cosines: Vec<f64> = live.map(|[gg, uu, gu]| (gu / (gg.sqrt() * uu.sqrt())).abs()).collect();
    if cosines.is_empty() { Err(Reason::AllZero.into()) } else { Ok(cosines) }
}

fn put_cosines(mut cosines: Vec<f64>, width: usize, sheet: &mut Sheet) {
    cosines.sort_unstable_by(|a, b| b.total_cmp(a));
    let top = (cosines.len() / 100).max(1);
    let largest = cosines[0];
    sheet.put("gate_up_cosine_max", largest);
    let noise = null::largest_cosine(cosines.len() as u64, width as u64);
    sheet.put("gate_up_cosine_max_excess_over_null", largest - noise);
    sheet.put("gate_up_cosine_top1_mean", cosines[..top].iter().sum::<f64>() / top as f64);
}

/// Rows of a router, one an expert; columns where it is stored (inputs, outputs).
fn router(
    matrix: &Matrix<'_>,
    inputs_first: bool,
    scratch: &mut Scratch,
    sheet: &mut Sheet,
) -> Result<(), Halt> {
    let experts = if inputs_first { matrix.columns } else { matrix.rows };
    if experts > EXPERTS_MAX {
        return Err(Reason::NotApplicable("more experts than are compared in pairs").into());
    }
    let mut sum = Mat::zeros(experts, experts);
    if inputs_first {
        matrix.each_row_panel(scratch, |_, values| {
            let rows = values.len() / experts;
            gram::accumulate(&mut sum, MatRef::from_column_major_slice(values, experts, rows), Par::Seq);
            Ok(())
        })?;
    } else {
        matrix.each_column_panel(matrix.columns_of_panel(), scratch, |count, values| {
            gram::accumulate(&mut sum, MatRef::from_row_major_slice(values, experts, count), Par::Seq);
            Ok(())
        })?;
    }
    let mut norms: Vec<f64> = (0..experts).map(|e| sum[(e, e)].sqrt()).collect();
    if norms.iter().any(|norm| !norm.is_finite()) {
        return Err(Reason::Overflow.into());
    }
    let pairs = pair_cosines(&sum)?;
    sheet.put("router_cosine_max", pairs.max);
    sheet.put("router_cosine_mean", pairs.mean);
    sheet.put("router_norm_entropy", softmax_entropy(&norms));
    sheet.put_or("router_norm_max_over_median", max_over_median(&mut norms));
    Ok(())
}

/// Most experts that are compared in pairs: twice what the largest public models have.
pub(super) const EXPERTS_MAX: usize = 1024;

/// Cosines over the pairs of vectors behind a Gram matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PairCosines {
    pub(super) max: f64,
    pub(super) mean: f64,
    /// Pairs that point the same way to within rounding.
    pub(super) duplicates: usize,
}

/// From the lower triangle of a Gram matrix; pairs with a zero vector are left out.
pub(super) fn pair_cosines(gram: &Mat<f64>) -> Result<PairCosines, Reason> {
    /// 1 - cosine of vectors that are copies of each other.
    const COPY: f64 = 1e-6;
    let (mut max, mut sum, mut count, mut duplicates) = (f64::NEG_INFINITY, 0.0, 0u64, 0);
    for column in 0..gram.ncols() {
        for row in column + 1..gram.nrows() {
            let norms = gram[(row, row)].sqrt() * gram[(column, column)].sqrt();
            if norms > 0.0 {
                let cosine = gram[(row, column)] / norms;
                max = max.max(cosine);
                sum += cosine;
                count += 1;
                duplicates += usize::from(cosine > 1.0 - COPY);
            }
        }
    }
    if count == 0 {
        Err(Reason::AllZero)
    } else {
        Ok(PairCosines { max, mean: sum / count as f64, duplicates })
    }
}

/// Entropy of softmax(x) over ln n, for at least two values.
fn softmax_entropy(values: &[f64]) -> f64 {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = values.iter().map(|x| (x - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    let entropy: f64 = weights.iter().map(|w| w / total).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
    entropy / (values.len() as f64).ln()
}
