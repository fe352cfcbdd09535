//! Debugger's ExplodingTensor.

use super::fired;
use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign};
use crate::detect::view::View;
use crate::terms::{Severity, TensorReading};

/// NaN or Inf anywhere.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "exploding_tensor",
        severity: Severity::Warning,
        proof: Proof::Compatibility,
        summary: "as ExplodingTensor of SageMaker Debugger: a tensor holds NaN or Inf",
        what: "`nan_elements` of any tensor is above 0, or `inf_elements` is, unless `only_nan` is 1. `not_a_number` and `infinite_value` tell the same, ranked by where it began.",
        cause: "Overflow in the forward or backward pass whose result was applied to the weights.",
        remedy: "Stop the run and resume from the last good checkpoint with a lower learning rate or gradient clipping.",
        evidence: "nan_elements, inf_elements",
        parameters: &[Parameter {
            name: "only_nan",
            default: 0.0,
            min: 0.0,
            max: 1.0,
            doc: "1: only NaN counts; 0: Inf counts too",
        }],
        enabled: false,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let only_nan = parameters.get("only_nan") >= 0.5;
    let count = |tensor: &TensorReading, metric| tensor.samples.get(metric).copied().unwrap_or(0.0);
    let of = |tensor: &TensorReading| {
        count(tensor, "nan_elements") + if only_nan { 0.0 } else { count(tensor, "inf_elements") }
    };
    let tensors = view.reading.tensors.iter().map(|tensor| (tensor, of(tensor)));
    let hit: Vec<_> = tensors.filter(|(_, elements)| *elements > 0.0).collect();
    let word = if only_nan { "NaN" } else { "NaN or Inf" };
    let metric = match hit.first() {
        Some((first, _)) if count(first, "nan_elements") == 0.0 => "inf_elements",
        _ => "nan_elements",
    };
    fired(&hit, metric, "0", |tensor, elements| {
        format!("{elements} elements of {} are {word}", tensor.facts.name)
    })
}
