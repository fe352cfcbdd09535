//! A matrix that loses its directions.

use crate::detect::drift::SUM_MIN;
use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign};
use crate::detect::marks::{has_past, log_step, marked, pace_to_limit, unusual};
use crate::detect::panel::{Habit, Panel};
use crate::detect::view::{View, is_matrix, value};
use crate::terms::{Severity, TensorReading};

/// Effective rank falls as it falls in no sibling.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "rank_collapse",
        severity: Severity::Critical,
        proof: Proof::Structure,
        summary: "a matrix loses the directions it works in",
        what: "Either the natural logarithm of `effective_rank` fell by more than `fall_min` beyond its own pace, and by more than one and a half times the worst excursion of any matrix of the run; or the matrix moved as training does not move it while effective rank, participation ratio and stable rank fell together; or falls that are each too small for that added up: a CUSUM of its pace against the 16 intervals before the newest eight, after what all matrices share is taken away and with the scale pooled over them, is beyond 12 scales (of matrices whose short side is at least 16: in smaller ones, such as a low-rank adapter's factors, one direction that grows while it learns takes as much; see `adapter_collapse`), both this fall and that of the natural logarithm of `participation_ratio` are beyond `fall_min`, and what lies beside the strongest direction (rms times the root of 1 less one over `stable_rank`) shrank: where it kept its size, one direction grew and none was lost. Where the newest eight checkpoints have a trend, the finding says when the rank reaches 1 at that pace.",
        cause: "A low-rank factor written over the full matrix, a penalty that drives weights to few directions, an exploding direction that drowns the others, gradients that pass through a bottleneck.",
        remedy: "Compare the matrix's spectrum with its siblings' (`weighbridge inspect --tier 3`); resume from the last good checkpoint.",
        evidence: "effective_rank, participation_ratio, stable_rank, rms, update_rms",
        parameters: &[Parameter {
            name: "fall_min",
            default: 0.22,
            min: 0.01,
            max: 10.0,
            doc: "fall of the natural logarithm of effective_rank, in one interval or added up; healthy matrices stay within 0.12",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Points with a usual pace before a fall is judged without other proof.
const POINTS_MIN: usize = 5;
/// Fewer matrices than this share no common change.
const SIBLINGS_MIN: usize = 4;
/// A short side below this holds too few directions for slow falls: the factor of a healthy adapter of rank 4 went
/// from 3.4 to 2.6 of them.
const DIRECTIONS_MIN: u64 = 16;
/// Falls of the logarithms that confirm each other in a matrix that moved unusually: effective rank,
/// participation ratio, stable rank.
const TOGETHER: [(&str, f64); 3] =
    [("effective_rank", -0.02), ("participation_ratio", -0.1), ("stable_rank", -0.05)];

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let matrices: Vec<&TensorReading> = view
        .reading
        .tensors
        .iter()
        .filter(|tensor| is_matrix(&tensor.facts) && value(tensor, "effective_rank").is_some())
        .collect();
    let panel = Panel::of_tensors(view, &matrices, "effective_rank", false, |rank, _| rank.ln());
    let deviations = panel.deviations(Habit::Rate);
    let effect = parameters.get("fall_min");
    let mut hit: Vec<(&TensorReading, f64)> = Vec::new();
    if deviations.points >= POINTS_MIN {
        for (series, tensor) in matrices.iter().enumerate() {
            let fall = -deviations.score(series, effect, 1.5);
            if fall >= 1.0 && panel.step(series) < 0.0 && !view.previous_tainted(&tensor.facts.name) {
                hit.push((tensor, fall));
            }
        }
    }
    // A fall that all matrices share is the run's, not one matrix's.
    let panel = panel.without_common_mode_if(matrices.len() >= SIBLINGS_MIN);
    for (series, drift) in panel.drifts(-1.0).iter().enumerate() {
        let known = hit.iter().any(|(tensor, _)| tensor.facts.name == matrices[series].facts.name);
        let few = short_side(&matrices[series].facts.shape) < DIRECTIONS_MIN;
        let energy = fall_over(view, matrices[series], "participation_ratio", drift.intervals);
        if drift.sum >= SUM_MIN
            && -drift.change >= effect
            && energy.is_none_or(|fall| fall >= effect)
            && !known
            && !few
            && !is_outgrown(view, matrices[series], drift.intervals)
        {
            hit.push((matrices[series], -drift.change / effect));
        }
    }
    hit.retain(|(tensor, _)| has_past(view, tensor));
    hit.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut hit: Vec<&TensorReading> = hit.into_iter().map(|(tensor, _)| tensor).collect();
    for tensor in unusual(view) {
        let together = TOGETHER
            .iter()
            .all(|&(metric, limit)| log_step(view, tensor, metric).is_none_or(|step| step < limit));
        let known = TOGETHER.iter().any(|&(metric, _)| log_step(view, tensor, metric).is_some());
        let size = log_step(view, tensor, "rms").is_some_and(|step| step < 0.05);
        if together && known && size && !hit.iter().any(|other| other.facts.name == tensor.facts.name) {
            hit.push(tensor);
        }
    }
    let Some(&first) = hit.first() else { return Vec::new() };
    let rank = value(first, "effective_rank").or(value(first, "stable_rank")).unwrap_or_default();
    let mut signs = marked(&hit, RULE.entry.severity, "effective_rank", |tensor| {
        format!(
            "near {:.2}, as in the checkpoint before",
            view.last(tensor, "effective_rank").unwrap_or_default()
        )
    });
    for sign in &mut signs {
        let shape = &first.facts.shape;
        sign.summary = format!("{} works in {rank:.1} directions of {shape:?}", first.facts.name);
        sign.confidence = 0.97;
        if let Some(pace) = pace_to_limit(view, first, "effective_rank", 1.0) {
            sign.evidence.insert(1, pace);
        }
        sign.dissent.push(format!("{} other matrices keep theirs", matrices.len().saturating_sub(hit.len())));
    }
    signs
}

/// The shorter side of a matrix; of a stack of matrices or a kernel the second longest.
fn short_side(shape: &[u64]) -> u64 {
    let mut sides = shape.to_vec();
    sides.sort_unstable();
    sides.iter().rev().nth(1).copied().unwrap_or(1)
}

/// Did what lies beside the strongest direction keep its size over so many checkpoints? Then no direction is lost:
/// one grew while the matrix learned, and only the shares of the others fell.
fn is_outgrown(view: &View<'_>, tensor: &TensorReading, intervals: usize) -> bool {
    let beside = |rms: f64, stable_rank: f64| rms * (1.0 - 1.0 / stable_rank).max(0.0).sqrt();
    let before = |metric| {
        let past = view.past(tensor, metric).iter().rev();
        past.clone().nth(intervals.saturating_sub(1)).map(|&value| f64::from(value))
    };
    let now = value(tensor, "rms").zip(value(tensor, "stable_rank"));
    let then = before("rms").zip(before("stable_rank"));
    now.zip(then)
        .is_some_and(|((rms, rank), (old_rms, old_rank))| beside(rms, rank) >= beside(old_rms, old_rank))
}

/// Fall of the natural logarithm of a metric over so many checkpoints.
fn fall_over(view: &View<'_>, tensor: &TensorReading, metric: &'static str, intervals: usize) -> Option<f64> {
    let before = view.past(tensor, metric).iter().rev().nth(intervals.checked_sub(1)?)?;
    Some((f64::from(*before) / value(tensor, metric)?).ln()).filter(|fall| fall.is_finite())
}
