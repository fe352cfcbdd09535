//! A matrix that moves at a speed of its own.

use super::ranked;
use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, subject, value};
use crate::terms::Severity;

/// A matrix moved much faster than its past and all others.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "abnormal_speed",
        severity: Severity::Warning,
        proof: Proof::Temporal,
        summary: "a matrix moved much faster than it used to, and than the others do",
        what: "The natural logarithm of `update_rms` over learning-rate time, less the median of all matrices, exceeds its own level by more than 0.92 (2.5 times) and by more than 1.3 times the worst excursion that any matrix had in the window. What speeds up all matrices alike (a restart, a domain shift) does not count, and neither does a matrix of half precision in which nine tenths of the elements stand still: what moves there is rounding.",
        cause: "A part of the model is overwritten or trained by something else, a parameter group with another learning rate, a layer that becomes unstable.",
        remedy: "Look at the first tensor; compare it with the checkpoint before (`weighbridge diff`) and check parameter groups.",
        evidence: "update_rms, identical_ratio, learning rate",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    let hit = ranked(view, &view.motion.speed);
    let Some(&(first, score)) = hit.first() else { return Vec::new() };
    let summary = format!("{} moved far faster than it used to and than the others do", first.facts.name);
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.score = score;
    sign.confidence = 0.9;
    sign.tensors = hit.iter().map(|(tensor, _)| tensor.facts.name.to_string()).collect();
    sign.evidence = hit
        .iter()
        .map(|(tensor, score)| {
            let expected = format!(
                "near its usual speed; the logarithm is {score:.1} times as far from it as any matrix may go"
            );
            evidence(subject(tensor), "update_rms", value(tensor, "update_rms"), expected)
        })
        .collect();
    vec![sign]
}
