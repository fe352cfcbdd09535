//! Feed-forward units that are pushed out of reach.

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign};
use crate::detect::marks::{marked, unusual};
use crate::detect::view::{View, elements, value};
use crate::terms::{Category, Role, Severity, TensorReading};

/// A share of a feed-forward bias jumped far below where it was.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "dying_units",
        severity: Severity::Critical,
        proof: Proof::Structure,
        summary: "a share of a feed-forward block's units was pushed where they never fire",
        what: "A bias of a feed-forward block moved as training does not move it, downwards, in at least two of its elements: rms rises with the largest element, so that it is not one outlier.",
        cause: "A huge gradient step on the bias, a learning rate that is too high for one group, code that writes to the bias; units this far below zero get no gradient and never come back.",
        remedy: "Resume from the checkpoint before; if it comes again, lower the learning rate of biases or clip gradients by value.",
        evidence: "update_abs_max, min, rms",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    let hit: Vec<&TensorReading> = unusual(view)
        .into_iter()
        .filter(|tensor| {
            tensor.facts.meaning.role == Role::Bias && tensor.facts.meaning.category == Category::FeedForward
        })
        .filter(|tensor| fell_together(view, tensor))
        .collect();
    let Some(&first) = hit.first() else { return Vec::new() };
    let lowest = value(first, "min").unwrap_or_default();
    let summary = format!("a share of the units of {} fell to {lowest:.3}", first.facts.name);
    let mut signs = marked(&hit, RULE.entry.severity, "min", |tensor| {
        format!("near {:.3}, as in the checkpoint before", view.last(tensor, "min").unwrap_or_default())
    });
    // The units' weights fade with them.
    for sign in &mut signs {
        sign.summary.clone_from(&summary);
        let mates = view.reading.tensors.iter().filter(|tensor| {
            tensor.facts.meaning.layer == first.facts.meaning.layer
                && matches!(tensor.facts.meaning.role, Role::MlpUp | Role::MlpDown)
        });
        sign.tensors.extend(mates.map(|tensor| tensor.facts.name.to_string()));
    }
    signs
}

/// Downwards, and in more than one element.
fn fell_together(view: &View<'_>, tensor: &TensorReading) -> bool {
    let (Some(min), Some(max)) = (value(tensor, "min"), value(tensor, "max")) else { return false };
    let (Some(rms), Some(before)) = (value(tensor, "rms"), view.last(tensor, "min")) else { return false };
    min < before && min.abs() > max.abs() && (rms / min).powi(2) * elements(&tensor.facts) as f64 >= 1.8
}
