//! A model that is worse than guessing.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::panel::median;
use crate::detect::view::View;
use crate::terms::{Role, Severity, Subject};

/// The loss is back at what guessing gives, after it was far below.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "loss_worse_than_chance",
        severity: Severity::Critical,
        proof: Proof::Log,
        summary: "the loss is back at what guessing gives",
        what: "The median logged loss since the checkpoint before is at least `share_min` of the natural logarithm of the vocabulary (what guessing every token with equal chance costs), after it had been below eight tenths of that. A harder kind of text raises the loss, but a model that has learnt anything stays below guessing.",
        cause: "The data is garbage (a tokenizer mismatch, a corrupt shard, random or shifted labels), or the model has collapsed.",
        remedy: "Look at a batch of the data now; check the tokenizer and the shard; resume from the last good checkpoint.",
        evidence: "loss of the trainer's log, vocabulary from the token embedding",
        parameters: &[Parameter {
            name: "share_min",
            default: 0.97,
            min: 0.5,
            max: 10.0,
            doc: "share of the loss of guessing",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let Some(chance) = vocabulary(view).map(|tokens| (tokens as f64).ln()) else { return Vec::new() };
    let since = view.schedule.from_step.unwrap_or(0);
    let losses = || view.trainer().log.iter().filter(|point| point.step <= view.schedule.step);
    let best = losses().filter(|point| point.step <= since).filter_map(|point| point.loss).reduce(f64::min);
    let now = median(losses().filter(|point| point.step > since).filter_map(|point| point.loss));
    let (Some(best), Some(now)) = (best, now) else { return Vec::new() };
    if best > 0.8 * chance || now < parameters.get("share_min") * chance {
        return Vec::new();
    }
    let summary = format!("the loss is {now:.2}, guessing costs {chance:.2}; it had been {best:.2}");
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.97;
    let expected = format!("below {chance:.2}, the natural logarithm of the vocabulary");
    sign.evidence = vec![evidence(Subject::Model, "loss", Some(now), expected)];
    vec![sign]
}

/// Tokens of the vocabulary: rows of the token embedding, or of the output head.
fn vocabulary(view: &View<'_>) -> Option<u64> {
    let of = |role: Role| {
        let tensors = view.reading.tensors.iter().filter(move |tensor| tensor.facts.meaning.role == role);
        tensors.filter_map(|tensor| tensor.facts.shape.iter().copied().max()).max()
    };
    of(Role::TokenEmbedding).or_else(|| of(Role::LmHead)).filter(|&tokens| tokens > 1)
}
