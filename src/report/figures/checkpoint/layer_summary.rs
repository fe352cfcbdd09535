//! S11: the same tensor in every layer.

use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Tone, role_words};

/// S11.
pub static FIGURE: FigureDef = FigureDef {
    id: "S11",
    title: "Layer by layer",
    question: "Do mean, spread and extremes change smoothly with depth, or does one layer stand out?",
    series: &["mean", "std", "max", "min"],
    draw,
};

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let Some(role) = material.role(choice) else {
        return Err("not applicable: no matrix of this checkpoint names a layer".to_owned());
    };
    let tensors: Vec<_> =
        material.of_role(role).into_iter().filter(|t| t.facts.meaning.layer.is_some()).collect();
    let x: Vec<f64> = tensors.iter().filter_map(|t| t.facts.meaning.layer.map(f64::from)).collect();
    let column = |metric: &str| -> Vec<f64> {
        tensors.iter().map(|t| t.samples.get(metric).copied().unwrap_or(f64::NAN)).collect()
    };
    let stds = column("std");
    let widest = stds.iter().enumerate().filter(|(_, v)| v.is_finite()).max_by(|a, b| a.1.total_cmp(b.1));
    let narrowest = stds.iter().enumerate().filter(|(_, v)| v.is_finite()).min_by(|a, b| a.1.total_cmp(b.1));
    let (Some((wide, high)), Some((narrow, low))) = (widest, narrowest) else {
        return Err(format!("no {} has a finite element", role_words(role)));
    };
    let mut body = Body::stored(format!(
        "Over {} layers of {}, σ runs from {low:.4} (layer {}) to {high:.4} (layer {}).",
        tensors.len(),
        role_words(role),
        x[narrow],
        x[wide]
    ));
    body.facts =
        vec![Fact::new("widest σ", *high), Fact::new("narrowest σ", *low), Fact::new("ratio", high / low)];
    for (title, metric) in [("mean", "mean"), ("std", "std"), ("largest", "max"), ("smallest", "min")] {
        body.panels.push(Panel::new(title, Axis::whole("layer"), Axis::linear("")).with(Mark::Line {
            name: String::new(),
            x: x.iter().copied().collect(),
            y: column(metric).into_iter().collect(),
            tone: Tone::Main,
            dashed: false,
        }));
    }
    body.tensor = tensors.first().map(|t| t.facts.name.to_string());
    Ok(body)
}
