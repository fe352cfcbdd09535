//! Debugger's AllZero.

use super::fired;
use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign};
use crate::detect::view::{View, elements, value};
use crate::terms::Severity;

/// A tensor that is zero to a share.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "all_zero",
        severity: Severity::Warning,
        proof: Proof::Compatibility,
        summary: "as AllZero of SageMaker Debugger: zeros make up a tensor",
        what: "`zero_elements` of any tensor is at least `threshold` percent of its elements, whatever it was before: fresh biases and adapters, which begin at zero, are told too. `all_zero_tensor` leaves those out.",
        cause: "A tensor that was never filled, pruned away or underflowed; or one that begins at zero by design.",
        remedy: "Look whether the tensor is meant to be zero; `all_zero_tensor` tells of those that became so.",
        evidence: "zero_elements",
        parameters: &[Parameter {
            name: "threshold",
            default: 100.0,
            min: 0.0,
            max: 100.0,
            doc: "percent of the elements that are zero",
        }],
        enabled: false,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("threshold");
    let percent = |zeros: f64, count: u64| 100.0 * zeros / count as f64;
    let tensors = view.reading.tensors.iter().filter(|tensor| elements(&tensor.facts) > 0);
    let hit: Vec<_> = tensors
        .filter_map(|tensor| Some((tensor, value(tensor, "zero_elements")?)))
        .filter(|(tensor, zeros)| percent(*zeros, elements(&tensor.facts)) >= limit)
        .collect();
    let expected = format!("below {limit} % of the elements");
    fired(&hit, "zero_elements", &expected, |tensor, zeros| {
        let (name, count) = (&tensor.facts.name, elements(&tensor.facts));
        format!("{zeros} of {count} elements of {name} are zero")
    })
}
