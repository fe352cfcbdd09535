//! Attention scores that run away.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::marks::{log_step, marked, steps_at_pace, unusual};
use crate::detect::panel::median;
use crate::detect::view::{View, is_matrix, value};
use crate::terms::{Evidence, Role, Severity, Subject, SubjectReading, TensorReading};

/// Spread of attention scores beyond which the softmax saturates; healthy models lie between 0.1 and 5.
const SATURATED: f64 = 8.0;

/// Query and key weights of a layer grow as training does not make them grow.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "logit_growth",
        severity: Severity::Warning,
        proof: Proof::Structure,
        summary: "the attention scores of a layer grow as training does not make them grow",
        what: "A query or key projection moved as training does not move it while its rms rose, or nine tenths of its movement began to lead straight outwards along the matrix itself (which a factor does, and neither updates nor a decay) while the median one of all layers moves sideways or inwards; and the median `qk_logit_std` over the layer's heads rose by more than `growth_min` in one interval. Where the widest head's newest eight checkpoints have a trend, the finding says when it reaches 8, where softmax saturates.",
        cause: "Missing query-key normalisation at a high learning rate, weight decay that is off for attention, low-precision attention; the softmax saturates and training diverges later.",
        remedy: "Lower the learning rate or add QK normalisation or clipping; resume from the last good checkpoint.",
        evidence: "qk_logit_std, rms, cosine_to_previous, update_rms, update_abs_max",
        parameters: &[Parameter {
            name: "growth_min",
            default: 0.03,
            min: 0.0,
            max: 10.0,
            doc: "growth of the natural logarithm of qk_logit_std in one interval",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Share of its movement from which a matrix moves straight outwards; query and key matrices of healthy runs whose past was
/// below the other limit reached 0.82.
const OUTWARD_MIN: f64 = 0.9;
/// Share up to which it moves sideways or inwards.
const SIDEWAYS_MAX: f64 = 0.5;
/// Intervals of the past that tell it; half of them must be known.
const OUTWARD_POINTS: usize = 8;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("growth_min");
    let mut suspects: Vec<&TensorReading> =
        unusual(view).into_iter().filter(|tensor| makes_scores(tensor)).collect();
    for tensor in scaled(view) {
        if !suspects.iter().any(|other| other.facts.name == tensor.facts.name) {
            suspects.push(tensor);
        }
    }
    let hit: Vec<&TensorReading> = suspects
        .into_iter()
        .filter(|tensor| log_step(view, tensor, "rms").is_some_and(|step| step > 0.01))
        .filter(|tensor| {
            tensor
                .facts
                .meaning
                .layer
                .is_some_and(|layer| growth(view, layer).is_some_and(|growth| growth > limit))
        })
        .collect();
    let Some(&first) = hit.first() else { return Vec::new() };
    let layer = first.facts.meaning.layer.unwrap_or_default();
    let grown = growth(view, layer).unwrap_or_default().exp();
    let mut signs = marked(&hit, RULE.entry.severity, "rms", |tensor| {
        format!("near {:.4e}, as in the checkpoint before", view.last(tensor, "rms").unwrap_or_default())
    });
    for sign in &mut signs {
        sign.summary = format!("attention scores of layer {layer} grew {grown:.2} times in one interval");
        sign.confidence = 0.95;
        let expected = "near 1, as in the layers beside it";
        sign.evidence.push(evidence(Subject::Layer(layer), "qk_logit_std", Some(grown), expected));
        sign.evidence.extend(saturation(view, layer));
    }
    signs
}

fn makes_scores(tensor: &TensorReading) -> bool {
    matches!(tensor.facts.meaning.role, Role::AttnQ | Role::AttnK | Role::AttnQkv)
}

/// Query and key matrices that began to move straight outwards while those of the other layers do not. Updates move a
/// matrix mostly sideways and a decay moves it inwards: only a factor moves it outwards.
fn scaled<'a>(view: &View<'a>) -> Vec<&'a TensorReading> {
    let matrices =
        view.reading.tensors.iter().filter(|tensor| makes_scores(tensor) && is_matrix(&tensor.facts));
    let outwards: Vec<(&TensorReading, f64, f64)> = matrices
        .filter(|tensor| !view.previous_tainted(&tensor.facts.name))
        .filter_map(|tensor| {
            let change = (value(tensor, "cosine_to_previous")?, value(tensor, "update_rms")?);
            let now = outward(view.last(tensor, "rms")?, value(tensor, "rms")?, change)?;
            Some((tensor, now, most_outward(view, tensor)?))
        })
        .collect();
    let all = median(outwards.iter().map(|(_, now, _)| *now));
    if all.is_none_or(|all| all > SIDEWAYS_MAX) {
        return Vec::new();
    }
    let begun = outwards.into_iter().filter(|(_, now, most)| *now >= OUTWARD_MIN && *most <= SIDEWAYS_MAX);
    begun.map(|(tensor, ..)| tensor).collect()
}

/// Share of a movement that leads away from 0 along the matrix itself: 1 for a factor above 1, -1 for a decay.
fn outward(before: f64, now: f64, (cosine, update): (f64, f64)) -> Option<f64> {
    Some((now * cosine - before) / update).filter(|share| share.is_finite())
}

/// The largest of the newest trusted intervals of the past; none where too few are known.
fn most_outward(view: &View<'_>, tensor: &TensorReading) -> Option<f64> {
    let [sizes, cosines, updates] =
        ["rms", "cosine_to_previous", "update_rms"].map(|metric| view.past(tensor, metric));
    let points = sizes.len().min(cosines.len()).min(updates.len());
    let name = Some(&*tensor.facts.name);
    let shares: Vec<f64> = (1..points)
        .rev()
        .filter(|&point| view.trusted(point, name) && view.trusted(point - 1, name))
        .filter_map(|point| {
            let change = (f64::from(cosines[point]), f64::from(updates[point]));
            outward(f64::from(sizes[point - 1]), f64::from(sizes[point]), change)
        })
        .take(OUTWARD_POINTS)
        .collect();
    (2 * shares.len() >= OUTWARD_POINTS).then(|| shares.into_iter().fold(-1.0, f64::max))
}

/// When the head with the widest scores of a layer saturates at its pace, as evidence.
fn saturation(view: &View<'_>, layer: u32) -> Option<Evidence> {
    let heads = view.reading.subjects.iter();
    let of_layer =
        heads.filter(|reading| matches!(reading.subject, Subject::Head { layer: l, .. } if l == layer));
    let spread = |reading: &&SubjectReading| reading.samples.get("qk_logit_std").copied().unwrap_or(0.0);
    let widest = of_layer.max_by(|a, b| spread(a).total_cmp(&spread(b)))?;
    let now = spread(&widest);
    let points = view.history.points().iter().map(|point| point.key.step.0 as f64);
    let column = view.history.column(&widest.subject, "qk_logit_std").iter().map(|&value| f64::from(value));
    let past: Vec<(f64, f64)> = points.zip(column).collect();
    let words = steps_at_pace(past.into_iter(), (view.schedule.step as f64, now), SATURATED)?;
    Some(evidence(widest.subject.clone(), "qk_logit_std", Some(now), words))
}

/// Median growth of the natural logarithm of the scores' spread over a layer's heads.
fn growth(view: &View<'_>, layer: u32) -> Option<f64> {
    let heads = view.reading.subjects.iter();
    let of_layer =
        heads.filter(|reading| matches!(reading.subject, Subject::Head { layer: l, .. } if l == layer));
    median(of_layer.filter_map(|head| {
        let now = head.samples.get("qk_logit_std").copied()?;
        let past = view.history.column(&head.subject, "qk_logit_std");
        let before = past.iter().rev().find(|value| value.is_finite())?;
        Some((now / f64::from(*before)).ln())
    }))
}
