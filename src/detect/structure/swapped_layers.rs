//! Two layers that changed places.

use super::dead_expert::is_expert;
use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::marks::unusual;
use crate::detect::view::{View, subject, value};
use crate::terms::{ReadingKey, Severity, Sketch, TensorReading};

/// Tensors that hold what another one held in the checkpoint before.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "swapped_layers",
        severity: Severity::Critical,
        proof: Proof::Structure,
        summary: "tensors hold the weights that another layer had in the checkpoint before",
        what: "A matrix moved as training does not move it (see `impossible_update`), its cosine to its own past is below 0.7, and the cosine of its sketch to the sketch that another tensor of the same role and shape had in the checkpoint before is at least `cosine_min`. Needs the sketch memory of the store.",
        cause: "Layers renamed or reordered by a conversion or by code that builds the state dict; tensor or pipeline parallel ranks mapped to the wrong stage on a resume.",
        remedy: "Do not resume from this checkpoint: its layers are in the wrong place. Compare the names with the checkpoint before and check the mapping of ranks to layers.",
        evidence: "cosine_to_previous, sketches of the checkpoint before",
        parameters: &[Parameter {
            name: "cosine_min",
            default: 0.8,
            min: 0.3,
            max: 1.0,
            doc: "cosine to the other tensor's past from which it counts as that tensor",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Cosine to its own past below which a tensor is looked for elsewhere.
const OWN_COSINE_MAX: f64 = 0.7;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let lost: Vec<&TensorReading> = unusual(view)
        .into_iter()
        .filter(|tensor| value(tensor, "cosine_to_previous").is_some_and(|cosine| cosine < OWN_COSINE_MAX))
        .collect();
    let Some(step) = view.reading.previous.filter(|_| !lost.is_empty()) else { return Vec::new() };
    let key = ReadingKey { step, ..view.reading.key.clone() };
    let Some(before) = view.memory.sketches(&key) else { return Vec::new() };
    let limit = parameters.get("cosine_min");
    let found: Vec<(&TensorReading, &TensorReading, f64)> = lost
        .iter()
        .filter_map(|tensor| {
            let sketch = tensor.sketch.as_ref()?;
            let same_part = |other: &&TensorReading| {
                other.facts.name != tensor.facts.name
                    && other.facts.shape == tensor.facts.shape
                    && other.facts.meaning.role == tensor.facts.meaning.role
            };
            let others = view.reading.tensors.iter().filter(same_part);
            let nearest = others
                .filter_map(|other| Some((other, cosine(sketch, before.get(&other.facts.name)?)?)))
                .max_by(|a, b| a.1.total_cmp(&b.1))?;
            (nearest.1 >= limit).then_some((*tensor, nearest.0, nearest.1))
        })
        // An expert whose weights are where they were, and in another one's place too, is `duplicate_expert`'s.
        .filter(|(tensor, origin, _)| {
            let kept = value(origin, "cosine_to_previous").is_some_and(|cosine| cosine >= OWN_COSINE_MAX);
            !(kept && is_expert(tensor.facts.meaning.role))
        })
        .collect();
    let Some((first, origin, _)) = found.first() else { return Vec::new() };
    let summary = format!(
        "{} holds what {} was at step {step}, and {} other tensors likewise hold another's weights",
        first.facts.name,
        origin.facts.name,
        found.len() - 1
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.99;
    sign.tensors = found.iter().map(|(tensor, ..)| tensor.facts.name.to_string()).collect();
    sign.evidence = found
        .iter()
        .map(|(tensor, origin, cosine)| {
            let own = value(tensor, "cosine_to_previous").unwrap_or_default();
            let expected = format!("{own:.2} to its own past, {cosine:.2} to that of {}", origin.facts.name);
            evidence(subject(tensor), "cosine_to_previous", Some(own), expected)
        })
        .collect();
    vec![sign]
}

/// Cosine of the tensors behind two sketches; none where they do not compare.
fn cosine(a: &Sketch, b: &Sketch) -> Option<f64> {
    if a.version != b.version || a.exact != b.exact || a.values.len() != b.values.len() {
        return None;
    }
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    let length = (dot(&a.values, &a.values) * dot(&b.values, &b.values)).sqrt();
    let cosine = dot(&a.values, &b.values) / length;
    cosine.is_finite().then_some(cosine)
}
