//! Weights that do not move although the optimizer is said to step.
//!
//! Bit-identical is not enough: at a tiny learning rate healthy bf16 weights round back to what they were,
//! and norms and biases of SGD runs stand still for long. So a matrix is stuck only when its own earlier
//! pace, scaled by learning-rate time, says that many of its elements should have changed.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::schedule::lr_time;
use crate::detect::view::{View, elements, is_matrix, subject, value};
use crate::terms::{Severity, Subject, TensorReading};

const CHANGED_MIN: Parameter = Parameter {
    name: "changed_elements_min",
    default: 50.0,
    min: 1.0,
    max: 1e9,
    doc: "elements that should have changed by the tensor's own pace before standing still is a fault; \
          50 expected and 0 seen has a chance of e^-50",
};

/// Score of standing still where nothing is expected to move.
const HOLDS: f64 = 0.5;

/// Some matrices stand still.
pub static FROZEN_TENSOR: Rule = Rule {
    entry: Entry {
        id: "frozen_tensor",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "a matrix that used to train is bit for bit what it was, while others move",
        what: "`identical_ratio` of a matrix is 1 although the learning rate was above 0, other matrices moved, \
               and its own last pace times learning-rate time says that at least `changed_elements_min` of its \
               elements should have changed. Matrices that never moved in this run (adapter bases, frozen \
               embeddings) are taken as frozen on purpose.",
        cause: "`requires_grad` switched off, a parameter missing from the optimizer after a change of the \
                model, a layer cut off from the loss, gradients that underflow to 0.",
        remedy: "Check requires_grad and the optimizer's parameter groups for these tensors; if they were frozen \
                 on purpose, announce it under `expected`.",
        evidence: "identical_ratio, learning rate",
        parameters: &[CHANGED_MIN],
        enabled: true,
        since: "0.1.0",
    },
    look: |view, parameters| standing_still(view, parameters, false),
};

/// Nothing moves.
pub static OPTIMIZER_NOT_STEPPING: Rule = Rule {
    entry: Entry {
        id: "optimizer_not_stepping",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "steps are counted but no weight changes",
        what: "Every matrix that used to train is bit for bit what it was in the checkpoint before, although \
               the learning rate was above 0 and their own pace says that they should have moved.",
        cause: "optimizer.step() is skipped (a gradient scaler that finds Inf at every step, an accumulation \
                counter that never comes round), every parameter lost its gradient, or an old file is saved \
                again and again.",
        remedy: "Stop the run: it burns compute without training. Check the scaler's skipped steps and the \
                 saving code.",
        evidence: "identical_ratio of all matrices, learning rate",
        parameters: &[CHANGED_MIN],
        enabled: true,
        since: "0.1.0",
    },
    look: |view, parameters| standing_still(view, parameters, true),
};

fn standing_still(view: &View<'_>, parameters: &Parameters<'_>, all: bool) -> Vec<Sign> {
    if !view.schedule.trains() || view.schedule.from_step.is_none() {
        return Vec::new();
    }
    let matrices = view.reading.tensors.iter().filter(|tensor| is_matrix(&tensor.facts));
    let (mut stuck, mut moving) = (Vec::new(), 0_usize);
    for tensor in matrices {
        match value(tensor, "identical_ratio") {
            // NaN equals itself bit for bit: that is another detector's matter.
            Some(1.0) if value(tensor, "nan_elements") == Some(0.0) => {
                if let Some(expected) = expected_changes(view, tensor) {
                    stuck.push((tensor, expected));
                }
            }
            Some(1.0) | None => {}
            Some(_) => moving += 1,
        }
    }
    let limit = parameters.get("changed_elements_min");
    if stuck.is_empty() || all != (moving == 0) {
        return Vec::new();
    }
    // Near the end of a decay nothing is expected to move: that ends no finding, and begins none.
    let surest = stuck.iter().map(|(_, expected)| *expected).fold(0.0, f64::max);
    let score = (surest / limit).clamp(HOLDS, 1.0);
    stuck.retain(|(_, expected)| *expected >= limit || score < 1.0);
    if all {
        let evidence_model = evidence(
            Subject::Model,
            "identical_ratio",
            Some(1.0),
            "below 1 in every matrix: the learning rate is above 0",
        );
        let steps = view.schedule.step - view.schedule.from_step.unwrap_or(view.schedule.step);
        let summary = format!("no matrix changed a single bit in {steps} steps at a learning rate above 0");
        let mut sign = Sign::sure(OPTIMIZER_NOT_STEPPING.entry.severity, summary);
        sign.score = score;
        sign.evidence = vec![evidence_model];
        return vec![sign];
    }
    vec![Sign { score, ..frozen(view, &stuck, moving) }]
}

fn frozen(view: &View<'_>, stuck: &[(&TensorReading, f64)], moving: usize) -> Sign {
    let layers: std::collections::BTreeSet<_> =
        stuck.iter().filter_map(|(tensor, _)| tensor.facts.meaning.layer).collect();
    let place = match (layers.len(), stuck.len()) {
        (_, 1) => stuck[0].0.facts.name.to_string(),
        (1, count) => format!("{count} matrices of layer {}", layers.first().copied().unwrap_or_default()),
        (_, count) => format!("{count} matrices, {} among them,", stuck[0].0.facts.name),
    };
    let summary =
        format!("{place} did not change a single bit since step {}", view.schedule.from_step.unwrap_or(0));
    let mut sign = Sign::sure(FROZEN_TENSOR.entry.severity, summary);
    sign.tensors = stuck.iter().map(|(tensor, _)| tensor.facts.name.to_string()).collect();
    sign.evidence = stuck
        .iter()
        .map(|(tensor, expected)| {
            let expected = format!("about {expected:.0} changed elements, by its own pace");
            evidence(subject(tensor), "identical_ratio", Some(1.0), expected)
        })
        .collect();
    sign.dissent.push(format!("{moving} matrices moved"));
    sign
}

/// How many of its elements should have changed: its share at its last movement, scaled by learning-rate
/// time (by steps where none is logged). None for a tensor that was never seen to move.
fn expected_changes(view: &View<'_>, tensor: &TensorReading) -> Option<f64> {
    let column = view.past(tensor, "identical_ratio");
    let index = column.iter().rposition(|&ratio| ratio < 1.0)?;
    let points = view.history.points();
    let moved = 1.0 - f64::from(column[index]);
    let to = points.get(index)?.key.step.0;
    let from = index.checked_sub(1).and_then(|before| points.get(before)).map_or(0, |point| point.key.step.0);
    let log = &view.trainer().log;
    let (now_from, now_to) = (view.schedule.from_step?, view.schedule.step);
    let pace = match (lr_time(log, from, to), lr_time(log, now_from, now_to)) {
        (Some(then), Some(now)) if then > 0.0 => now / then,
        _ => (now_to - now_from) as f64 / to.saturating_sub(from).max(1) as f64,
    };
    Some(moved * pace.min(1.0) * elements(&tensor.facts) as f64)
}
