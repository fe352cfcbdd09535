//! A checkpoint of another run in this run's place.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::marks::unusual;
use crate::detect::view::{View, is_matrix, value};
use crate::terms::{Severity, Subject};

/// Most matrices have nothing in common with their past.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "foreign_checkpoint",
        severity: Severity::Critical,
        proof: Proof::Structure,
        summary: "the checkpoint has nothing in common with the one before it",
        what: "More than half of the matrices moved as training does not move them and have a cosine to the checkpoint before below `cosine_max`.",
        cause: "A checkpoint of another seed or run was copied here, or training began anew from random weights in the same directory without the trainer saying so.",
        remedy: "Find out which job wrote it; resume from the checkpoint before.",
        evidence: "cosine_to_previous of all matrices",
        parameters: &[Parameter {
            name: "cosine_max",
            default: 0.5,
            min: 0.0,
            max: 0.9,
            doc: "cosine to the checkpoint before below which a matrix has lost its past",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("cosine_max");
    let matrices = view.reading.tensors.iter().filter(|tensor| is_matrix(&tensor.facts)).count();
    let lost = unusual(view)
        .into_iter()
        .filter(|tensor| is_matrix(&tensor.facts))
        .filter(|tensor| value(tensor, "cosine_to_previous").is_some_and(|cosine| cosine < limit))
        .count();
    if lost == 0 || 2 * lost <= matrices {
        return Vec::new();
    }
    let summary = format!("{lost} of {matrices} matrices have nothing in common with the checkpoint before");
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    let expected = format!("at least {limit} in every matrix");
    sign.evidence = vec![evidence(Subject::Model, "cosine_to_previous", None, expected)];
    vec![sign]
}
