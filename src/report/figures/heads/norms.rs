//! Query-key and output-value circuits of one layer, head by head.

use crate::report::figures::statistics::{mean, std};
use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, NO_HEADS, Panel, Tone};

/// Norms of one layer's heads.
pub static FIGURE: FigureDef = FigureDef {
    id: "circuits",
    title: "Circuits head by head",
    question: "Which heads match and move the most, and do logits grow too large?",
    series: &["qk_norm", "ov_norm", "qk_logit_std"],
    draw,
};

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let all = material.head_metric("qk_norm");
    let layer = choice.layer.or(all.first().map(|head| head.0)).ok_or(NO_HEADS)?;
    let mut body = Body::stored(String::new());
    for (title, metric, label) in [
        ("matching: ‖W_Q W_Kᵀ‖", "qk_norm", "norm"),
        ("moving: ‖W_V W_O‖", "ov_norm", "norm"),
        ("scale of the logits: ‖W_Q W_Kᵀ‖ / √d", "qk_logit_std", "std of a logit"),
        ("spread of matching directions", "qk_spectral_entropy", "entropy, 0 to 1"),
    ] {
        let heads: Vec<_> = material.head_metric(metric).into_iter().filter(|head| head.0 == layer).collect();
        if heads.is_empty() {
            continue;
        }
        let values: Vec<f64> = heads.iter().map(|head| head.2).collect();
        body.facts.push(Fact::new(format!("{}, mean", metric.replace('_', " ")), mean(&values)));
        body.facts.push(Fact::new(
            format!("{}, std : mean", metric.replace('_', " ")),
            std(&values) / mean(&values),
        ));
        body.panels.push(Panel::new(title, Axis::whole("head"), Axis::linear(label).from(0.0)).with(
            Mark::Bars {
                name: String::new(),
                x: heads.iter().map(|head| f64::from(head.1)).collect(),
                y: values.into_iter().collect(),
                tone: Tone::Main,
            },
        ));
    }
    let of_layer: Vec<_> = all.iter().filter(|head| head.0 == layer).collect();
    let Some(loudest) = of_layer.iter().max_by(|a, b| a.2.total_cmp(&b.2)) else {
        return Err(format!("layer {layer} has no heads that could be told apart"));
    };
    let average = mean(&of_layer.iter().map(|head| head.2).collect::<Vec<_>>());
    body.says = format!(
        "In layer {layer}, head {} matches loudest: {:.1} times the layer's mean.",
        loudest.1,
        loudest.2 / average
    );
    Ok(body)
}
