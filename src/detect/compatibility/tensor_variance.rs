//! Debugger's TensorVariance.

use super::fired;
use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign};
use crate::detect::view::{View, value};
use crate::terms::Severity;

/// A variance outside fixed bounds.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "tensor_variance",
        severity: Severity::Warning,
        proof: Proof::Compatibility,
        summary: "as TensorVariance of SageMaker Debugger: the variance of a tensor is out of bounds",
        what: "The square of `std` of any tensor is above `max_threshold` or below `min_threshold`. As in Debugger neither has a default: 0 is no bound, and without one nothing is told.",
        cause: "Exploding or vanishing weights; or bounds that do not suit the model: constant tensors have a variance of 0.",
        remedy: "Look at the tensor's rms over the run, and whether the bounds suit it.",
        evidence: "std",
        parameters: &[
            Parameter {
                name: "max_threshold",
                default: 0.0,
                min: 0.0,
                max: 1e12,
                doc: "largest variance; 0 for no bound",
            },
            Parameter {
                name: "min_threshold",
                default: 0.0,
                min: 0.0,
                max: 1e12,
                doc: "smallest variance; 0 for no bound",
            },
        ],
        enabled: false,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let (most, least) = (parameters.get("max_threshold"), parameters.get("min_threshold"));
    let is_out = |variance: f64| most > 0.0 && variance > most || variance < least;
    let tensors = view.reading.tensors.iter();
    let hit: Vec<_> = tensors
        .filter_map(|tensor| Some((tensor, value(tensor, "std")?)))
        .filter(|(_, std)| is_out(std * std))
        .collect();
    let expected = match (least > 0.0, most > 0.0) {
        (true, true) => format!("a square between {least:e} and {most:e}"),
        (true, false) => format!("a square of at least {least:e}"),
        _ => format!("a square of at most {most:e}"),
    };
    fired(&hit, "std", &expected, |tensor, std| {
        format!("the variance of {} is {:.3e}", tensor.facts.name, std * std)
    })
}
