//! Token embeddings that draw together.

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign};
use crate::detect::marks::{log_step, marked, unusual};
use crate::detect::view::{View, value};
use crate::terms::{Role, Severity, TensorReading};

/// The spread of the token embedding shrinks as training does not shrink it.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "embedding_collapse",
        severity: Severity::Warning,
        proof: Proof::Structure,
        summary: "token embeddings draw together",
        what: "The token embedding moved as training does not move it, its `std` fell by more than 1 %, and its direction stayed (cosine above 0.5): the rows shrink towards their mean.",
        cause: "A penalty or weight decay that acts on embeddings alone, a loss term that pulls representations together, an optimizer group with the wrong settings.",
        remedy: "Check weight decay and auxiliary losses on the embedding; resume from the last good checkpoint.",
        evidence: "update_abs_max, std, effective_rank, participation_ratio",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    let hit: Vec<&TensorReading> = unusual(view)
        .into_iter()
        .filter(|tensor| tensor.facts.meaning.role == Role::TokenEmbedding)
        .filter(|tensor| log_step(view, tensor, "std").is_some_and(|step| step < -0.01))
        .filter(|tensor| value(tensor, "cosine_to_previous").is_none_or(|cosine| cosine > 0.5))
        .collect();
    let Some(&table) = hit.first() else { return Vec::new() };
    let shrunk = log_step(view, table, "std").unwrap_or_default().exp();
    let mut signs = marked(&hit, RULE.entry.severity, "std", |tensor| {
        format!("near {:.4e}, as in the checkpoint before", view.last(tensor, "std").unwrap_or_default())
    });
    for sign in &mut signs {
        sign.summary =
            format!("the rows of {} draw together: std is {shrunk:.2} times what it was", table.facts.name);
        sign.confidence = 0.95;
    }
    signs
}
