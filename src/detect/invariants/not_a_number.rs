//! NaN in a tensor.

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, elements, subject};
use crate::terms::{Severity, TensorReading};

/// Any NaN in any tensor.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "not_a_number",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "a tensor holds NaN",
        what: "`nan_elements` is above 0 in at least one tensor. Tensors are ranked by their share of NaN, \
               fewest first where all of them are NaN last: a single poisoned tensor is the origin, a model \
               that is NaN throughout has lost it.",
        cause: "An overflow in the forward or backward pass (fp16 without loss scaling, a division by zero, \
                log of 0) whose NaN gradient was applied; memory or disk corruption when only one element is hit.",
        remedy: "Stop the run and resume from the last good checkpoint with a lower learning rate or gradient \
                 clipping; when a single element of one file is hit, save again and check the machine's memory.",
        evidence: "nan_elements",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    counted(view, "nan_elements", "NaN")
}

/// One sign for all tensors with a count above 0 of what no weight may hold.
pub(super) fn counted(view: &View<'_>, metric: &'static str, word: &str) -> Vec<Sign> {
    let count = |tensor: &TensorReading| tensor.samples.get(metric).copied().unwrap_or(0.0);
    let mut hit: Vec<_> = view.reading.tensors.iter().filter(|tensor| count(tensor) > 0.0).collect();
    if hit.is_empty() {
        return Vec::new();
    }
    hit.sort_by(|a, b| {
        let share = |tensor: &TensorReading| count(tensor) / elements(&tensor.facts).max(1) as f64;
        share(a).total_cmp(&share(b)).then(count(a).total_cmp(&count(b)))
    });
    let first = hit[0];
    let total = view.reading.tensors.len();
    let summary = if hit.len() == 1 {
        format!("{} of {} elements of {} are {word}", count(first), elements(&first.facts), first.facts.name)
    } else {
        format!("{} of {total} tensors hold {word}, {} among them", hit.len(), first.facts.name)
    };
    let mut sign = Sign::sure(Severity::Critical, summary);
    sign.tensors = hit.iter().map(|tensor| tensor.facts.name.to_string()).collect();
    sign.evidence = hit
        .iter()
        .map(|tensor| evidence(subject(tensor), metric, Some(count(tensor)), "0 in every checkpoint"))
        .collect();
    if hit.len() < total {
        sign.dissent.push(format!("{} tensors are free of {word}", total - hit.len()));
    }
    vec![sign]
}
