//! A change that the optimizer cannot have made.

use super::ranked;
use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::motion::BOUND_MARGIN;
use crate::detect::view::{View, subject, value};
use crate::terms::Severity;

/// An element moved further than the learning rate allows.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "impossible_update",
        severity: Severity::Warning,
        proof: Proof::Physics,
        summary: "a tensor changed by more than the optimizer can change it at the logged learning rate",
        what: "Optimizers that normalise their steps (Adam, AdamW, Adafactor, Lion) move an element by about the learning rate at most. `update_abs_max`, less what rounding to the dtype can do, over the sum of the learning rate since the checkpoint before exceeds one and a half times the largest value that any tensor of the run has shown (and never less than 1; 3.2 in the first six checkpoints). Weights that are saved as an average lag behind the learning rate and go beyond the bound at the end of a decay, all alike and ever more: where the median speed rose four times in a row, what the median tensor is beyond its own past is forgiven, up to the largest rate logged over the newest eight checkpoints. Judged only while the run's own speed shows that its optimizer is of that kind and the trainer logs a learning rate.",
        cause: "Something other than the optimizer wrote to the tensor: corruption, a swap, a re-initialisation, a penalty or projection in the training code, a merged or restored part, another optimizer or a hidden learning rate.",
        remedy: "Look at the first tensor in the list and at what writes to it; compare it with the checkpoint before (`weighbridge diff`). Resume from the last good checkpoint if nothing explains it.",
        evidence: "update_abs_max, abs_max, learning rate",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    let hit = ranked(view, &view.motion.impossible);
    let Some(&(first, score)) = hit.first() else { return Vec::new() };
    let times = score * BOUND_MARGIN;
    let times = if times < 1e4 { format!("{times:.1}") } else { format!("{times:.1e}") };
    let summary = format!("{} changed by {times} times what the optimizer can do", first.facts.name);
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.score = score;
    sign.confidence = 0.95;
    sign.tensors = hit.iter().map(|(tensor, _)| tensor.facts.name.to_string()).collect();
    sign.evidence = hit
        .iter()
        .map(|(tensor, score)| {
            let change = value(tensor, "update_abs_max").unwrap_or_default();
            let expected = format!("at most {:.3e} at this learning rate", change / (score * BOUND_MARGIN));
            evidence(subject(tensor), "update_abs_max", Some(change), expected)
        })
        .collect();
    sign.dissent.push(format!("{} tensors stayed within the bound", view.reading.tensors.len() - hit.len()));
    vec![sign]
}
