//! A low-rank adapter that is not trained.

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, elements, subject, value};
use crate::terms::{Role, Severity, TensorReading};

/// One factor of every adapter is still exactly zero.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "adapter_stays_zero",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "the adapters are still zero after several checkpoints: nothing is learnt",
        what: "Every LoRA pair has a factor whose elements are all exactly 0 (`zero_elements`), in this checkpoint and in every earlier one, three checkpoints at least, although the learning rate was above 0. B begins at 0 and has a gradient from the first step on, while A has none until B has moved: a product that stays 0 is not trained, and the saved adapter does nothing. The checkpoint of step 0 is no fault. Where only some adapters stay zero (a module that the data never reaches) it is told as information. `frozen_tensor` says nothing of it: what never moved is taken as frozen on purpose.",
        cause: "B has `requires_grad` off or is missing in the optimizer, adapters that were switched off or wrapped after the optimizer was built, a target module that the forward pass does not use.",
        remedy: "Stop the run: it burns compute without learning. Check that lora_B is among the trainable parameters and in the optimizer, and that the adapter is active.",
        evidence: "zero_elements, learning rate",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Checkpoints of the past, beside this one, that must show it.
const PAST_MIN: usize = 2;

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    let factors = view.reading.tensors.iter();
    let factors: Vec<&TensorReading> =
        factors.filter(|tensor| matches!(tensor.facts.meaning.role, Role::LoraA | Role::LoraB)).collect();
    let still: Vec<&TensorReading> =
        factors.iter().copied().filter(|factor| stayed_zero(view, factor)).collect();
    let Some(first) = still.first() else { return Vec::new() };
    let pairs = factors.len() / 2;
    if view.history.points().len() < PAST_MIN || !view.schedule.trains() || view.schedule.from_step.is_none()
    {
        return Vec::new();
    }
    let all = still.len() >= pairs;
    let severity = if all { RULE.entry.severity } else { Severity::Info };
    let count = view.history.points().len() + 1;
    let summary = format!(
        "{} of {pairs} adapters are still exactly zero after {count} checkpoints, {} among them",
        still.len(),
        first.facts.name
    );
    let mut sign = Sign::sure(severity, summary);
    sign.tensors = still.iter().map(|factor| factor.facts.name.to_string()).collect();
    sign.evidence = still
        .iter()
        .map(|factor| {
            let zeros = value(factor, "zero_elements");
            evidence(subject(factor), "zero_elements", zeros, "0 after the first step")
        })
        .collect();
    if !all {
        sign.dissent.push(format!("{} adapters are trained", pairs - still.len()));
    }
    vec![sign]
}

/// All zero now and ever.
fn stayed_zero(view: &View<'_>, factor: &TensorReading) -> bool {
    let count = elements(&factor.facts) as f64;
    let past = view.past(factor, "zero_elements");
    value(factor, "zero_elements") == Some(count)
        && past.len() >= PAST_MIN
        && past.iter().all(|&zeros| zeros.is_nan() || f64::from(zeros) == count)
}
