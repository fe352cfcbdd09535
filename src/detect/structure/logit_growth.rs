//! Attention scores that run away.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::marks::{log_step, marked, steps_at_pace, unusual};
use crate::detect::panel::median;
use crate::detect::view::View;
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
        what: "A query or key projection moved as training does not move it while its rms rose, and the median `qk_logit_std` over the layer's heads rose by more than `growth_min` in one interval. Where the widest head's newest eight checkpoints have a trend, the finding says when it reaches 8, where softmax saturates.",
        cause: "Missing query-key normalisation at a high learning rate, weight decay that is off for attention, low-precision attention; the softmax saturates and training diverges later.",
        remedy: "Lower the learning rate or add QK normalisation or clipping; resume from the last good checkpoint.",
        evidence: "qk_logit_std, rms, update_abs_max",
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

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("growth_min");
    let hit: Vec<&TensorReading> = unusual(view)
        .into_iter()
        .filter(|tensor| {
            matches!(tensor.facts.meaning.role, Role::AttnQ | Role::AttnK | Role::AttnQkv)
                && log_step(view, tensor, "rms").is_some_and(|step| step > 0.01)
        })
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
