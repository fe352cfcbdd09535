//! Which heads of a layer point the same way.

use crate::report::figures::checkpoint::head_clusters;
use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, NO_HEADS, Panel, Ramp};

/// Similarity map.
pub static FIGURE: FigureDef = FigureDef {
    id: "similarity",
    title: "Similarity of heads",
    question: "Do two heads of the layer do the same?",
    series: &[],
    draw,
};

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let layer = choice.layer.or(material.head_metric("q_norm").first().map(|head| head.0)).ok_or(NO_HEADS)?;
    let clusters = head_clusters(material, layer)?;
    let heads = clusters.heads;
    let pairs = (0..heads).flat_map(|a| (a + 1..heads).map(move |b| (a, b)));
    let closest = pairs
        .map(|(a, b)| (a, b, clusters.similarity[a * heads + b]))
        .filter(|pair| pair.2.is_finite())
        .max_by(|a, b| a.2.total_cmp(&b.2));
    let mut body = Body::from_weights(match closest {
        Some((a, b, cosine)) => format!("Heads {a} and {b} are the most alike: cosine {cosine:.3}."),
        None => "There is one head.".to_owned(),
    });
    body.facts = closest.iter().map(|pair| Fact::new("largest cosine", pair.2)).collect();
    let end = heads as f64;
    let axis = || Axis::whole("head").from(0.0).to(end);
    body.panels = vec![Panel::new(format!("layer {layer}"), axis(), axis()).with(Mark::Heat {
        rows: heads,
        columns: heads,
        values: clusters.similarity.into_iter().collect(),
        ramp: Ramp::Diverging,
        low: -1.0,
        high: 1.0,
        label: "cosine of the mean query vectors".to_owned(),
        y: [0.0, end],
        x: [0.0, end],
        at: None,
    })];
    Ok(body)
}
