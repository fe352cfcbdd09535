//! Debugger's PoorWeightInitialization, as far as weights and log show it.

use super::fired;
use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, is_matrix, value};
use crate::terms::{Severity, Subject, TensorReading};

/// Layers of unequal variance, or a loss that does not begin to fall.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "poor_weight_initialization",
        severity: Severity::Warning,
        proof: Proof::Compatibility,
        summary: "as PoorWeightInitialization of SageMaker Debugger: the first weights have unequal variances, or the loss stays where it began",
        what: "In the first `steps` checkpoints the largest variance (square of `std`) of any matrix is more than `threshold` times the smallest, or the newest `patience` logged losses brought no new minimum. Debugger's `distribution_range` asks for gradients, which no checkpoint holds, and is not there. Residual projections that are scaled down by depth exceed the default in healthy models of more than five layers.",
        cause: "A wrong scale of initialisation in one layer; or a model whose layers begin unequal by design.",
        remedy: "Compare the initialisation with the model's paper.",
        evidence: "std, loss of the trainer's log",
        parameters: &[
            Parameter {
                name: "threshold",
                default: 10.0,
                min: 1.0,
                max: 1e12,
                doc: "largest variance over the smallest",
            },
            Parameter {
                name: "patience",
                default: 5.0,
                min: 1.0,
                max: 1e6,
                doc: "logged losses without a new minimum",
            },
            Parameter {
                name: "steps",
                default: 10.0,
                min: 1.0,
                max: 1e6,
                doc: "checkpoints of the run that are looked at, the first ones",
            },
        ],
        enabled: false,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    if view.readings() as f64 >= parameters.get("steps") {
        return Vec::new();
    }
    let unequal = unequal(view, parameters.get("threshold"));
    if unequal.is_empty() { flat(view, parameters.get("patience") as usize) } else { unequal }
}

fn unequal(view: &View<'_>, limit: f64) -> Vec<Sign> {
    let std = |tensor: &TensorReading| value(tensor, "std").filter(|std| *std > 0.0);
    let matrices = view.reading.tensors.iter().filter(|tensor| is_matrix(&tensor.facts));
    let by_std = matrices.filter_map(|tensor| Some((tensor, std(tensor)?)));
    let mut sorted: Vec<_> = by_std.collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (Some(&most), Some(&least)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let ratio = (most.1 / least.1).powi(2);
    if ratio <= limit {
        return Vec::new();
    }
    let expected = format!("variances within {limit} times each other");
    let mut signs = fired(&[most, least], "std", &expected, |_, _| String::new());
    for sign in &mut signs {
        let (wide, narrow) = (&most.0.facts.name, &least.0.facts.name);
        sign.summary = format!("the variance of {wide} is {ratio:.0} times that of {narrow}");
    }
    signs
}

fn flat(view: &View<'_>, patience: usize) -> Vec<Sign> {
    let log = view.trainer().log.iter().filter(|point| point.step <= view.schedule.step);
    let losses: Vec<f64> = log.filter_map(|point| point.loss).collect();
    let Some(before) = losses.len().checked_sub(patience).filter(|before| *before > 0) else {
        return Vec::new();
    };
    let least = |losses: &[f64]| losses.iter().copied().fold(f64::INFINITY, f64::min);
    let (early, late) = (least(&losses[..before]), least(&losses[before..]));
    if late < early {
        return Vec::new();
    }
    let mut sign = Sign::sure(
        RULE.entry.severity,
        format!("the newest {patience} logged losses are not below the {early:.4} of before"),
    );
    sign.confidence = 0.5;
    sign.evidence = vec![evidence(Subject::Model, "loss", Some(late), format!("below {early:.4}"))];
    vec![sign]
}
