//! Mixtures of experts: how alike the experts of a layer are, and whether one lags behind.
//!
//! Experts lie in one stacked tensor or in one tensor each. They are compared on a fixed sample of their
//! elements: the cosine of two of them is then off by 0.002, and a layer costs megabytes, not gigabytes.

use std::collections::BTreeMap;

use faer::{Mat, MatRef, Par};

use super::panel::{Halt, Matrix, Scratch};
use super::structure::{EXPERTS_MAX, pair_cosines};
use super::tasks::{Context, Finished, Task, no_values, of_layer};
use crate::measure::kernels::gram;
use crate::measure::sheet::Sheet;
use crate::terms::{Family, MetricDef, MetricName, Reason, Role, SubjectKind, Tier, Unit};

const EXPERT: MetricDef = MetricDef {
    name: "",
    family: Family::Structure,
    subject: SubjectKind::Layer,
    unit: Unit::One,
    tier: Tier::Two,
    help: "",
    formula: "",
    source: "upcycling and duplicate experts: Komatsuzaki et al. 2023 (arXiv 2212.05055)",
    healthy: "",
    sick: "",
    cost: "a sample of 262,144 elements an expert and projection",
    since: "0.1.0",
};

/// This family's entries.
pub(in crate::measure) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "expert_cosine_max",
        help: "Largest cosine between two experts of the layer, over all projections",
        formula: "max over projections and pairs of cos(W_a, W_b) on a sample of 64 x 4096 elements",
        healthy: "near 0 when trained from noise; near 1 after upcycling, and then falling",
        sick: "stays at 1 or rises: experts are copies",
        ..EXPERT
    },
    MetricDef {
        name: "expert_cosine_mean",
        help: "Mean cosine between two experts of the layer, over all projections",
        formula: "mean over projections and pairs of cos(W_a, W_b) on a sample of 64 x 4096 elements",
        healthy: "near 0 when trained from noise; near 1 after upcycling, and then falling",
        sick: "rises: experts become alike",
        ..EXPERT
    },
    MetricDef {
        name: "expert_duplicates",
        unit: Unit::Count,
        help: "Pairs of experts of the layer that are copies in some projection",
        formula: "count over projections and pairs of cos(W_a, W_b) > 1 - 1e-6",
        healthy: "0, except just after upcycling",
        sick: "above 0: an expert was copied over another",
        ..EXPERT
    },
    MetricDef {
        name: "expert_norm_min_over_median",
        unit: Unit::Ratio,
        help: "Smallest over median norm of the layer's experts, least over projections",
        formula: "min over projections of min_e ||W_e|| / median_e ||W_e||",
        healthy: "above 0.7",
        sick: "falls: an expert gets no tokens and decays",
        ..EXPERT
    },
];

const NAMES: [MetricName; 4] =
    ["expert_cosine_max", "expert_cosine_mean", "expert_duplicates", "expert_norm_min_over_median"];

/// The experts of one projection of one layer: (matrix that holds it, its first element) of each.
struct Group<'a> {
    experts: Vec<(Matrix<'a>, usize)>,
    /// Elements of an expert.
    elements: usize,
    /// Why they cannot be compared, if so.
    sick: Option<Reason>,
}

/// One task a layer.
pub(super) fn tasks<'a>(context: &'a Context<'a>) -> Vec<Task<'a>> {
    let mut layers: BTreeMap<u32, (usize, Vec<Group<'a>>)> = BTreeMap::new();
    let mut single: BTreeMap<(u32, Role, Vec<u64>), Group<'a>> = BTreeMap::new();
    let roles = [Role::ExpertUp, Role::ExpertGate, Role::ExpertDown];
    for (index, meaning, reading) in context.readable().filter(|(_, m, _)| roles.contains(&m.role)) {
        let (Some(layer), Some(matrix)) = (meaning.layer, Matrix::flattened(context.source, index)) else {
            continue;
        };
        let sick = no_values(reading).filter(|reason| *reason == Reason::NotFinite);
        match reading.facts.shape.len() {
            3 => {
                let elements = matrix.columns;
                let experts = (0..matrix.rows).map(|expert| (matrix, expert * elements)).collect();
                let (_, groups) = layers.entry(layer).or_insert((index, Vec::new()));
                groups.push(Group { experts, elements, sick });
            }
            2 => {
                layers.entry(layer).or_insert((index, Vec::new()));
                let elements = matrix.rows * matrix.columns;
                let key = (layer, meaning.role, reading.facts.shape.clone());
                let group = single.entry(key).or_insert(Group { experts: Vec::new(), elements, sick: None });
                group.experts.push((matrix, 0));
                group.sick = group.sick.take().or(sick);
            }
            _ => {}
        }
    }
    for ((layer, ..), group) in single {
        layers.entry(layer).and_modify(|(_, groups)| groups.push(group));
    }
    layers.into_iter().map(|(layer, (tensor, groups))| task(layer, tensor, groups)).collect()
}

fn task(layer: u32, tensor: usize, groups: Vec<Group<'_>>) -> Task<'_> {
    let work = move |scratch: &mut Scratch, _: Par| {
        let mut sheet = Sheet::default();
        match measure(&groups, scratch, &mut sheet) {
            Ok(()) => {}
            Err(Halt::Reason(reason)) => sheet.lack_all(&NAMES, &reason),
            Err(source) => return Err(source),
        }
        Ok(Finished { subjects: vec![of_layer(layer, sheet)], ..Finished::default() })
    };
    Task { tensor, cost: 0.2, work: Box::new(work) }
}

fn measure(groups: &[Group<'_>], scratch: &mut Scratch, sheet: &mut Sheet) -> Result<(), Halt> {
    let (mut max, mut means, mut duplicates, mut least) = (f64::NEG_INFINITY, Vec::new(), 0, f64::INFINITY);
    for group in groups.iter().filter(|group| group.experts.len() > 1) {
        if let Some(reason) = &group.sick {
            return Err(reason.clone().into());
        }
        if group.experts.len() > EXPERTS_MAX {
            return Err(Reason::NotApplicable("more experts than are compared in pairs").into());
        }
        let sum = sample_gram(group, scratch)?;
        let pairs = pair_cosines(&sum)?;
        max = max.max(pairs.max);
        means.push(pairs.mean);
        duplicates += pairs.duplicates;
        let mut norms: Vec<f64> = (0..sum.nrows()).map(|e| sum[(e, e)].sqrt()).collect();
        norms.sort_unstable_by(f64::total_cmp);
        least = least.min(norms[0] / norms[norms.len() / 2]);
    }
    if means.is_empty() {
        return Err(Reason::TooFew { needs: 2 }.into());
    }
    sheet.put("expert_cosine_max", max);
    sheet.put("expert_cosine_mean", means.iter().sum::<f64>() / means.len() as f64);
    sheet.put("expert_duplicates", duplicates as f64);
    sheet.put("expert_norm_min_over_median", least);
    Ok(())
}

/// Gram matrix of the experts over the same sample of each one's elements.
fn sample_gram(group: &Group<'_>, scratch: &mut Scratch) -> Result<Mat<f64>, Halt> {
    /// Pieces of an expert, evenly spread, and elements in each.
    const PIECES: usize = 64;
    const PIECE: usize = 4096;
    let count = group.experts.len();
    let mut sum = Mat::zeros(count, count);
    let stride = (group.elements / PIECES).max(PIECE);
    for start in (0..group.elements).step_by(stride) {
        let piece = PIECE.min(group.elements - start);
        let mut panel = Vec::with_capacity(count * piece);
        for (matrix, first) in &group.experts {
            matrix.read_elements(first + start, piece, scratch)?;
            panel.extend_from_slice(&scratch.values);
        }
        gram::accumulate(&mut sum, MatRef::from_row_major_slice(&panel, count, piece), Par::Seq);
    }
    Ok(sum)
}
