//! Two experts of a layer that became one.

use super::dead_expert::{expert_of, is_expert};
use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, value};
use crate::terms::{Severity, Sketch, Subject, TensorReading};

/// Experts that were different are alike from one checkpoint to the next.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "duplicate_expert",
        severity: Severity::Critical,
        proof: Proof::Structure,
        summary: "one expert of a mixture was overwritten with another one",
        what: "`expert_cosine_max` of a layer is at least `cosine_min` and was below 0.6 in the checkpoint before: training does not make two experts alike in one interval. A second measurement must agree: exact copies are counted (`expert_duplicates`), or one of the layer's expert matrices lost its own past (`cosine_to_previous` below 0.9 and below that of the other experts). Experts that begin as copies, as after upcycling, are alike from the first checkpoint on and no fault. Copies that are equal bit for bit in tensors of their own are `duplicate_layer`'s.",
        cause: "An expert loaded or saved under another one's name, a wrong index in the expert-parallel group's gather, a re-balancing that copies weights.",
        remedy: "Compare the experts of that layer with the checkpoint before (`weighbridge diff`); resume from there, and check how experts are mapped to ranks and names.",
        evidence: "expert_cosine_max, expert_duplicates, cosine_to_previous",
        parameters: &[Parameter {
            name: "cosine_min",
            default: 0.9,
            min: 0.6,
            max: 1.0,
            doc: "cosine of two experts from which they are alike; those trained from noise stay near 0",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Largest cosine of two experts that are surely different.
const APART_MAX: f64 = 0.6;
/// Cosine to the checkpoint before below which a matrix may have been replaced.
const KEPT_MIN: f64 = 0.9;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("cosine_min");
    let mut signs = Vec::new();
    for reading in &view.reading.subjects {
        let Subject::Layer(layer) = reading.subject else { continue };
        let Some(&now) = reading.samples.get("expert_cosine_max") else { continue };
        let past = view.history.column(&reading.subject, "expert_cosine_max");
        let before = past.iter().rev().find(|cosine| cosine.is_finite()).map(|&cosine| f64::from(cosine));
        let Some(before) = before.filter(|before| *before < APART_MAX && now >= limit) else { continue };
        let copies = reading.samples.get("expert_duplicates").copied().unwrap_or(0.0);
        let replaced = replaced(view, layer);
        if copies == 0.0 && replaced.is_empty() {
            continue;
        }
        let summary = format!(
            "two experts of layer {layer} are alike: cosine {now:.3}, {before:.2} in the checkpoint before"
        );
        let mut sign = Sign::sure(RULE.entry.severity, summary);
        sign.confidence = 0.97;
        sign.evidence = vec![
            evidence(
                reading.subject.clone(),
                "expert_cosine_max",
                Some(now),
                format!("near {before:.2}, as before"),
            ),
            evidence(reading.subject.clone(), "expert_duplicates", Some(copies), "0"),
        ];
        sign.tensors = replaced.iter().map(|tensor| tensor.facts.name.to_string()).collect();
        signs.push(sign);
    }
    signs
}

/// The layer's expert matrices that lost their past, alone of their role; the copies among them first.
fn replaced<'a>(view: &View<'a>, layer: u32) -> Vec<&'a TensorReading> {
    let experts: Vec<&TensorReading> = view
        .reading
        .tensors
        .iter()
        .filter(|tensor| tensor.facts.meaning.layer == Some(layer) && is_expert(tensor.facts.meaning.role))
        .collect();
    let kept = |tensor: &TensorReading| value(tensor, "cosine_to_previous").unwrap_or(1.0);
    let best = |role| {
        let mates = experts.iter().filter(|tensor| tensor.facts.meaning.role == role);
        mates.map(|tensor| kept(tensor)).fold(0.0, f64::max)
    };
    let mut lost: Vec<&TensorReading> = experts
        .iter()
        .copied()
        .filter(|tensor| kept(tensor) < KEPT_MIN && !view.previous_tainted(&tensor.facts.name))
        .filter(|tensor| expert_of(tensor).is_none() || best(tensor.facts.meaning.role) > KEPT_MIN)
        .collect();
    let has_twin = |tensor: &TensorReading| {
        experts.iter().any(|other| {
            other.facts.name != tensor.facts.name
                && other.facts.shape == tensor.facts.shape
                && cosine(tensor.sketch.as_ref(), other.sketch.as_ref())
                    .is_some_and(|cosine| cosine > APART_MAX)
        })
    };
    lost.sort_by_key(|tensor| !has_twin(tensor));
    lost
}

fn cosine(a: Option<&Sketch>, b: Option<&Sketch>) -> Option<f64> {
    let (a, b) = (&a?.values, &b?.values);
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    Some(dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).filter(|cosine| a.len() == b.len() && cosine.is_finite())
}
