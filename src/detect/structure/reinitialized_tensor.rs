//! A matrix that began anew.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign};
use crate::detect::marks::{log_step, marked, unusual};
use crate::detect::view::{View, is_matrix, value};
use crate::terms::{Severity, TensorReading};

/// Cosine to its own past near 0 at the old size.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "reinitialized_tensor",
        severity: Severity::Critical,
        proof: Proof::Structure,
        summary: "a matrix lost its past: it points elsewhere at the old size",
        what: "A matrix moved as training does not move it (see `impossible_update` and `abnormal_speed`; or turned away from its past 20 times as far as the median matrix) and its cosine to the checkpoint before is below `cosine_max`, and it did not merely lose directions (see `rank_collapse`). A matrix that turns like that again and again has no past to lose. When most matrices do so at once the whole checkpoint belongs to another run: see `foreign_checkpoint`.",
        cause: "A layer that was not found in the file on a resume and was initialised anew (a renamed module, strict=False), or code that resets a layer.",
        remedy: "Look for `newly initialized` or `missing keys` in the trainer's log; resume from the checkpoint before with the right names.",
        evidence: "cosine_to_previous, update_rms",
        parameters: &[Parameter {
            name: "cosine_max",
            default: 0.5,
            min: 0.0,
            max: 0.9,
            doc: "cosine to the checkpoint before below which the past is lost",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("cosine_max");
    let matrices = view.reading.tensors.iter().filter(|tensor| is_matrix(&tensor.facts)).count();
    let hit: Vec<&TensorReading> = unusual(view)
        .into_iter()
        .filter(|tensor| is_matrix(&tensor.facts))
        .filter(|tensor| value(tensor, "cosine_to_previous").is_some_and(|cosine| cosine < limit))
        .filter(|tensor| !kept_a_few_directions(view, tensor))
        .collect();
    if 2 * hit.len() > matrices {
        return Vec::new();
    }
    let name = hit.first().map(|tensor| tensor.facts.name.to_string()).unwrap_or_default();
    marked(&hit, RULE.entry.severity, "cosine_to_previous", |tensor| {
        let scale =
            view.last(tensor, "rms").zip(value(tensor, "rms")).map_or(1.0, |(before, now)| now / before);
        format!("near 1, as in every checkpoint before; its size is {scale:.2} times what it was")
    })
    .into_iter()
    .map(|sign| Sign { summary: format!("{name} has nothing in common with its own past"), ..sign })
    .collect()
}

/// A matrix that lost most of its directions and points the old way in the others is `rank_collapse`'s: new
/// random weights have more directions than trained ones, not fewer.
fn kept_a_few_directions(view: &View<'_>, tensor: &TensorReading) -> bool {
    let fell = log_step(view, tensor, "effective_rank").is_some_and(|step| step < HALVED);
    fell && value(tensor, "cosine_to_previous").is_some_and(|cosine| cosine > CHANCE_MAX)
}

/// Natural logarithm of one half.
const HALVED: f64 = -std::f64::consts::LN_2;
/// Two unrelated matrices have a smaller cosine: it is about one over the root of their elements.
const CHANCE_MAX: f64 = 0.1;
