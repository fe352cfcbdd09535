//! Weights in bfloat16 whose updates are rounded away.
//!
//! A file in bfloat16 does not say whether the weights themselves are that coarse or only their export. Both show
//! most elements unchanged at a small learning rate. But where a finer copy trains, large elements move too: rarely,
//! and then by their whole spacing. Where nothing finer is kept, an element moves only if one step is half its
//! spacing: small ones move, and no large one ever does.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::panel::median;
use crate::detect::schedule::lr_time;
use crate::detect::view::{View, elements, is_matrix, subject, value};
use crate::terms::{Dtype, Severity, TensorReading};

/// No large element of the matrices moved, although many should have.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "updates_rounded_away",
        severity: Severity::Warning,
        proof: Proof::Physics,
        summary: "the weights are bfloat16 themselves, and most of their updates are rounded away",
        what: "At this checkpoint and the one before, in nine tenths of the bfloat16 matrices that move, the largest change (`update_abs_max`) is below the spacing of elements as large as the matrix's rms, or of twice that: no such element moved at all. By the least that Adam's steps add up to at the logged learning rate (0.07 times the sum of the rate over the root of the steps), and with a tenth of the elements as large as the rms (a hundredth as twice that), at least `moved_elements_min` of them should have crossed to a neighbouring number. The median `identical_ratio` and the median `bf16_stall_ratio` must be above one half too. Where a float32 copy trains and only the export is bfloat16, large elements do move. Over long intervals small elements drift further than a large one's spacing, and then nothing is said.",
        cause: "Parameters and optimizer in bfloat16 without a float32 copy and without stochastic rounding, at a learning rate whose steps are below half a spacing (1e-5 on weights of 0.02).",
        remedy: "Keep float32 weights in the optimizer (mixed precision), round stochastically or with Kahan's compensation, or raise the learning rate; what was trained so far hardly moved.",
        evidence: "update_abs_max, rms, identical_ratio, bf16_stall_ratio, learning rate",
        parameters: &[Parameter {
            name: "moved_elements_min",
            default: 50.0,
            min: 1.0,
            max: 1e9,
            doc: "large elements that should have moved before it is a fault that none did; 50 expected and 0 seen has a chance of e^-50",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Least displacement of Adam in learning rates, for one step: 0.3 times its usual 0.23; see `displacement_ratio`.
const STEP_MIN: f64 = 0.07;
/// Sizes from which an element is large, in powers of two below the rms, and the least share of elements that are.
const LARGE: [(f64, f64); 2] = [(1.0, 0.1), (2.0, 0.01)];
/// Fewer matrices than this are no model.
const MATRICES_MIN: usize = 4;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let points = view.history.points();
    let Some(from) = view.schedule.from_step.filter(|_| points.len() > 1) else { return Vec::new() };
    let matrices: Vec<&TensorReading> = view
        .reading
        .tensors
        .iter()
        .filter(|tensor| is_matrix(&tensor.facts) && tensor.facts.dtype == Dtype::BF16)
        .filter(|tensor| value(tensor, "identical_ratio").is_some_and(|ratio| ratio < 1.0))
        .collect();
    let middle = |metric| median(matrices.iter().filter_map(|tensor| value(tensor, metric))).unwrap_or(0.0);
    let (identical, lost) = (middle("identical_ratio"), middle("bf16_stall_ratio"));
    if matrices.len() < MATRICES_MIN || identical < 0.5 || lost < 0.5 {
        return Vec::new();
    }
    let changes = |tensor: &&TensorReading| Some((value(tensor, "update_abs_max")?, value(tensor, "rms")?));
    let before =
        |tensor: &&TensorReading| Some((view.last(tensor, "update_abs_max")?, view.last(tensor, "rms")?));
    let earlier = points[points.len() - 2].key.step.0;
    let now = missing(view, &matrices, (from, view.schedule.step), changes);
    let last = missing(view, &matrices, (earlier, points[points.len() - 1].key.step.0), before);
    let expected = now.min(last);
    let score = expected / parameters.get("moved_elements_min");
    if score.is_nan() || score < 1.0 {
        return Vec::new();
    }
    let summary = format!(
        "no large element of {} bfloat16 matrices moved, where about {expected:.0} should have; {:.0} % of all stand still",
        matrices.len(),
        100.0 * identical
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.97;
    sign.evidence = matrices
        .iter()
        .map(|tensor| {
            let expected = "at least the spacing of its large elements, where a finer copy trains";
            evidence(subject(tensor), "update_abs_max", value(tensor, "update_abs_max"), expected)
        })
        .collect();
    vec![sign]
}

/// Large elements that should have moved over an interval, of matrices in which none did; 0 where more than a tenth
/// of the matrices have one that did.
fn missing(
    view: &View<'_>,
    matrices: &[&TensorReading],
    (from, to): (u64, u64),
    change: impl Fn(&&TensorReading) -> Option<(f64, f64)>,
) -> f64 {
    let Some(time) = lr_time(&view.trainer().log, from, to).filter(|time| *time > 0.0) else { return 0.0 };
    let displacement = STEP_MIN * time / (to.saturating_sub(from).max(1) as f64).sqrt();
    let still = |(times, share): (f64, f64)| {
        let of_matrix = |tensor: &&TensorReading| {
            let (largest, rms) = change(tensor)?;
            let spacing = times * rms.log2().floor().exp2() * 0.5_f64.powi(7);
            (largest < spacing)
                .then_some(share * elements(&tensor.facts) as f64 * (displacement / spacing).min(1.0))
        };
        let each: Vec<f64> = matrices.iter().filter_map(of_matrix).collect();
        if 10 * each.len() < 9 * matrices.len() { 0.0 } else { each.iter().sum() }
    };
    LARGE.map(still).into_iter().fold(0.0, f64::max)
}
