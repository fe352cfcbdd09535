//! All heads of the model at once.

use crate::report::figures::checkpoint::layer_head_map;
use crate::report::figures::{Body, Choice, Fact, FigureDef, Material, NO_HEADS};

/// Layer × head maps.
pub static FIGURE: FigureDef = FigureDef {
    id: "maps",
    title: "All heads",
    question: "Where in the model are the loud and the silent heads?",
    series: &["qk_norm", "ov_norm", "qk_logit_std", "qk_spectral_entropy"],
    draw,
};

fn draw(material: Material<'_>, _: &Choice) -> Result<Body, String> {
    let mut body = Body::stored(String::new());
    for (title, metric) in [
        ("matching ‖W_Q W_Kᵀ‖", "qk_norm"),
        ("moving ‖W_V W_O‖", "ov_norm"),
        ("logit scale", "qk_logit_std"),
        ("spread of directions", "qk_spectral_entropy"),
    ] {
        body.panels.extend(layer_head_map(material, metric, title));
    }
    let heads = material.head_metric("qk_logit_std");
    let Some(sharpest) = heads.iter().max_by(|a, b| a.2.total_cmp(&b.2)) else {
        return Err(NO_HEADS.to_owned());
    };
    body.says = format!(
        "Of {} heads, layer {} head {} has the widest logits ({:.3}).",
        heads.len(),
        sharpest.0,
        sharpest.1,
        sharpest.2
    );
    body.facts = vec![Fact::new("heads", heads.len() as f64), Fact::new("widest logits", sharpest.2)];
    Ok(body)
}
