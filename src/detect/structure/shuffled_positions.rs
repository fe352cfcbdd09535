//! A position table in another order.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::marks::{log_step, marked, unusual};
use crate::detect::view::{View, subject, value};
use crate::terms::{Role, Severity, TensorReading};

/// The position table lost its past at the old size.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "shuffled_positions",
        severity: Severity::Critical,
        proof: Proof::Structure,
        summary: "the rows of the position table are in another order or were overwritten",
        what: "A learned position table moved as training does not move it while its size stayed (rms within 20 %) and its cosine to the checkpoint before fell below `cosine_max`. The correlation of neighbouring positions, where there was one, is gone.",
        cause: "Positions permuted or offset by a conversion, a table resized by interpolation, a table loaded from another model.",
        remedy: "Resume from the checkpoint before; check the code that resizes or converts position embeddings.",
        evidence: "cosine_to_previous, position_adjacent_pearson_mean, position_peak_fraction_mean",
        parameters: &[Parameter {
            name: "cosine_max",
            default: 0.7,
            min: 0.0,
            max: 0.95,
            doc: "cosine to the checkpoint before below which the order is lost",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("cosine_max");
    let hit: Vec<&TensorReading> = unusual(view)
        .into_iter()
        .filter(|tensor| tensor.facts.meaning.role == Role::PositionEmbedding)
        .filter(|tensor| value(tensor, "cosine_to_previous").is_some_and(|cosine| cosine < limit))
        .filter(|tensor| log_step(view, tensor, "rms").is_some_and(|step| step.abs() < 0.2))
        .collect();
    let Some(&table) = hit.first() else { return Vec::new() };
    let summary = format!("{} has its old size and lost its order", table.facts.name);
    let mut signs = marked(&hit, RULE.entry.severity, "cosine_to_previous", |_| "near 1".to_owned());
    for sign in &mut signs {
        sign.summary.clone_from(&summary);
        for metric in ["position_adjacent_pearson_mean", "position_peak_fraction_mean"] {
            if let (Some(now), Some(before)) = (value(table, metric), view.last(table, metric)) {
                let expected = format!("{before:.3}, as in the checkpoint before");
                sign.evidence.push(evidence(subject(table), metric, Some(now), expected));
            }
        }
    }
    signs
}
