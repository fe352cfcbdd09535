//! A matrix that changed in all respects, and no known fault fits.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::pace::moving;
use crate::detect::view::{View, subject};
use crate::detect::vote::gone_twice;
use crate::terms::{Severity, TensorReading};

/// Three families of measurements leave a matrix's past at once and stay away, in no sibling.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "unfamiliar_change",
        severity: Severity::Warning,
        proof: Proof::Temporal,
        summary: "a matrix changed in most respects at once and stayed so, and no known fault fits",
        what: "At the checkpoint before and at this one, at least three of four families of measurements (size: `rms`, `abs_max`; shape: `ks_statistic`, `l_kurtosis`; spectrum: `effective_rank`, `stable_rank`; movement: `update_rms`, `cosine_to_previous`) of a matrix are away from the checkpoint before both, in the same direction, by more than `margin` times the largest change that it or any matrix of its role and shape made in the 16 checkpoints before; and at most a tenth of the matrices do so. Judged while the run's own speed shows an optimizer that normalises its steps. It has the last word: where another detector knows the fault, this one is part of its finding.",
        cause: "Something wrote to the matrix that no detector has a name for: a hook, a merge, a conversion, a kernel that computes wrongly.",
        remedy: "Compare the matrix with the checkpoint before the change (`weighbridge diff`), and look at what the code does to it there.",
        evidence: "rms, abs_max, ks_statistic, l_kurtosis, effective_rank, stable_rank, update_rms, cosine_to_previous",
        parameters: &[Parameter {
            name: "margin",
            default: 3.0,
            min: 1.0,
            max: 1000.0,
            doc: "times the largest change of the past, in each family",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Families that must agree.
const FAMILIES_MIN: usize = 3;
/// Share of the matrices, as one over this, in which more is the run's doing.
const SHARE_MAX: usize = 10;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    // Plain steps go with the gradient, which may grow tenfold in one matrix while it finds its part.
    if !view.motion.normalised {
        return Vec::new();
    }
    let margin = parameters.get("margin");
    let matrices = moving(&view.reading.tensors);
    let mut hit: Vec<(&TensorReading, Vec<&str>)> = matrices
        .iter()
        .filter(|tensor| !view.previous_tainted(&tensor.facts.name))
        .map(|tensor| (*tensor, gone_twice(view, tensor, &matrices, margin)))
        .filter(|(_, families)| families.len() >= FAMILIES_MIN)
        .collect();
    hit.sort_by_key(|(_, families)| std::cmp::Reverse(families.len()));
    if hit.is_empty() || SHARE_MAX * hit.len() > matrices.len().max(SHARE_MAX) {
        return Vec::new();
    }
    let (first, families) = &hit[0];
    let families = families.join(", ");
    let summary = format!("{} left its own past in {families} at once, and stays away", first.facts.name);
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.8;
    sign.tensors = hit.iter().map(|(tensor, _)| tensor.facts.name.to_string()).collect();
    sign.evidence = hit
        .iter()
        .map(|(tensor, families)| {
            let expected =
                format!("0 of 4 families more than {margin} times as far as ever: {}", families.join(", "));
            evidence(subject(tensor), "metric_families", Some(families.len() as f64), expected)
        })
        .collect();
    vec![sign]
}
