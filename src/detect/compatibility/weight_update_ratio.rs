//! Debugger's WeightUpdateRatio.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fired;
use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign};
use crate::detect::view::{View, value};
use crate::terms::distance;
use crate::terms::{Severity, Sketches, TensorReading};

/// Updates that are large or small beside the weights.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "weight_update_ratio",
        severity: Severity::Warning,
        proof: Proof::Compatibility,
        summary: "as WeightUpdateRatio of SageMaker Debugger: updates are too large or too small beside the weights",
        what: "The norm of a tensor's change over its norm before (plus `epsilon`) is above `large_threshold` or below `small_threshold`. With `num_steps` = 0 the change is that since the checkpoint before; else that since the newest checkpoint so many steps or more earlier, from the sketches of both. It knows no learning rate, and frozen tensors have a ratio of 0.",
        cause: "A learning rate far too high; a tensor that stands still, by fault or on purpose.",
        remedy: "Compare the ratio with that of the tensors beside it; `abnormal_speed` and `frozen_tensor` do so by themselves.",
        evidence: "update_rms, rms, sketches",
        parameters: &[
            Parameter {
                name: "num_steps",
                default: 0.0,
                min: 0.0,
                max: 1e9,
                doc: "steps over which the change is taken; 0 for the checkpoint before",
            },
            Parameter {
                name: "large_threshold",
                default: 10.0,
                min: 0.0,
                max: 1e12,
                doc: "largest ratio that is not told",
            },
            Parameter {
                name: "small_threshold",
                default: 1e-8,
                min: 0.0,
                max: 1.0,
                doc: "smallest ratio that is not told",
            },
            Parameter {
                name: "epsilon",
                default: 1e-9,
                min: 0.0,
                max: 1.0,
                doc: "added to the norm, so that nothing is divided by 0",
            },
        ],
        enabled: false,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let (large, small) = (parameters.get("large_threshold"), parameters.get("small_threshold"));
    let steps = parameters.get("num_steps") as u64;
    let ratios = if steps == 0 {
        since_the_one_before(view, parameters.get("epsilon"))
    } else {
        since_steps_ago(view, steps).unwrap_or_default()
    };
    let hit: Vec<_> = ratios.into_iter().filter(|(_, ratio)| *ratio > large || *ratio < small).collect();
    let expected = format!("between {small:e} and {large}");
    fired(&hit, "update_ratio", &expected, |tensor, ratio| {
        format!("the update of {} is {ratio:.2e} of its weights", tensor.facts.name)
    })
}

fn since_the_one_before<'a>(view: &View<'a>, epsilon: f64) -> Vec<(&'a TensorReading, f64)> {
    let ratio = |tensor: &TensorReading| {
        let before = view.last(tensor, "rms").or_else(|| value(tensor, "rms"))?;
        Some(value(tensor, "update_rms")? / (before + epsilon))
    };
    view.reading.tensors.iter().filter_map(|tensor| Some((tensor, ratio(tensor)?))).collect()
}

fn since_steps_ago<'a>(view: &View<'a>, steps: u64) -> Option<Vec<(&'a TensorReading, f64)>> {
    let latest = view.reading.key.step.0.checked_sub(steps)?;
    let point = view.history.points().iter().rev().find(|point| point.key.step.0 <= latest)?;
    let before = view.memory.sketches(&point.key)?;
    let after: Sketches = view
        .reading
        .tensors
        .iter()
        .filter_map(|tensor| Some((Arc::clone(&tensor.facts.name), tensor.sketch.clone()?)))
        .collect();
    let apart = distance::distance(&before, &after);
    let relative: BTreeMap<&str, f64> =
        apart.tensors.iter().map(|tensor| (&*tensor.tensor, tensor.relative)).collect();
    let ratio = |tensor: &TensorReading| relative.get(&*tensor.facts.name).copied();
    Some(view.reading.tensors.iter().filter_map(|tensor| Some((tensor, ratio(tensor)?))).collect())
}
