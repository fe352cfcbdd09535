//! Debugger's UnchangedTensor.

use super::fired;
use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign};
use crate::detect::view::{View, value};
use crate::terms::{Severity, TensorReading};

/// A tensor that is all close to what it was, several saves in a row.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "unchanged_tensor",
        severity: Severity::Warning,
        proof: Proof::Compatibility,
        summary: "as UnchangedTensor of SageMaker Debugger: a tensor does not change from save to save",
        what: "In each of the newest `num_steps` saves a tensor was close to the save before: `update_abs_max` at most `atol` plus `rtol` times `abs_max`, and `update_rms` at most `atol` plus `rtol` times `rms`. Whatever `numpy.allclose` calls close passes both; they are measured in place of comparing element by element. What stands still on purpose, or at the end of a decay, is told too; `frozen_tensor` leaves that out.",
        cause: "A tensor that is frozen, by fault or on purpose; a learning rate near 0.",
        remedy: "Look whether the tensor is meant to train; `frozen_tensor` asks that by the tensor's own pace.",
        evidence: "update_abs_max, update_rms, abs_max, rms, nan_elements, identical_ratio",
        parameters: &[
            Parameter {
                name: "num_steps",
                default: 3.0,
                min: 2.0,
                max: 100.0,
                doc: "saves that are compared, this one among them",
            },
            Parameter { name: "rtol", default: 1e-5, min: 0.0, max: 1.0, doc: "relative tolerance" },
            Parameter { name: "atol", default: 1e-8, min: 0.0, max: 1.0, doc: "absolute tolerance" },
            Parameter {
                name: "equal_nan",
                default: 0.0,
                min: 0.0,
                max: 1.0,
                doc: "1: NaN equals NaN; 0: a tensor with NaN is never unchanged",
            },
        ],
        enabled: false,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    // `n` saves have `n - 1` changes between them; the newest is the reading's own.
    let earlier = (parameters.get("num_steps") as usize).saturating_sub(2);
    let points = view.history.points().len();
    let Some(from) = points.checked_sub(earlier) else { return Vec::new() };
    let still = |tensor: &TensorReading| {
        let now = |metric| tensor.samples.get(metric).copied().unwrap_or(f64::NAN);
        let then = |point: usize| {
            move |metric| view.past(tensor, metric).get(point).map_or(f64::NAN, |&value| f64::from(value))
        };
        is_close(now, parameters) && (from..points).all(|point| is_close(then(point), parameters))
    };
    let hit: Vec<_> = view
        .reading
        .tensors
        .iter()
        .filter(|tensor| still(tensor))
        .map(|tensor| (tensor, value(tensor, "update_abs_max").unwrap_or(0.0)))
        .collect();
    let saves = earlier + 2;
    fired(&hit, "update_abs_max", "more than the tolerance", |tensor, _| {
        format!("{} is unchanged over {saves} saves", tensor.facts.name)
    })
}

/// Was the change to the save before within the tolerance? Not where it was not measured.
fn is_close(of: impl Fn(&'static str) -> f64, parameters: &Parameters<'_>) -> bool {
    if of("nan_elements") > 0.0 {
        return parameters.get("equal_nan") >= 0.5 && of("identical_ratio") == 1.0;
    }
    let within = |change, size| of(change) <= parameters.get("atol") + parameters.get("rtol") * of(size);
    within("update_abs_max", "abs_max") && within("update_rms", "rms")
}
