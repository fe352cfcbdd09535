//! S13: heads side by side.

use super::head_clusters::head_vectors;
use crate::report::figures::statistics::{mean, quantile, sorted, std};
use crate::report::figures::{
    Axis, Basis, Body, Choice, Fact, FigureDef, Mark, Material, NO_HEADS, Panel, Ramp,
};

/// S13.
pub static FIGURE: FigureDef = FigureDef {
    id: "S13",
    title: "Heads side by side",
    question: "Are the heads different from each other, and is one silent or far too loud?",
    series: &["q_norm", "k_norm", "v_norm", "o_norm"],
    draw,
};

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let mut body = Body::stored(String::new());
    for (title, metric) in
        [("queries", "q_norm"), ("keys", "k_norm"), ("values", "v_norm"), ("output", "o_norm")]
    {
        body.panels.extend(layer_head_map(material, metric, title));
    }
    let norms = material.head_metric("q_norm");
    let values: Vec<f64> = norms.iter().map(|n| n.2).collect();
    let (Some(low), Some(high)) =
        (norms.iter().min_by(|a, b| a.2.total_cmp(&b.2)), norms.iter().max_by(|a, b| a.2.total_cmp(&b.2)))
    else {
        return Err(NO_HEADS.to_owned());
    };
    body.says = format!(
        "Query norms run from {:.2} (layer {} head {}) to {:.2} (layer {} head {}).",
        low.2, low.0, low.1, high.2, high.0, high.1
    );
    body.facts = vec![
        Fact::new("heads", norms.len() as f64),
        Fact::new("mean query norm", mean(&values)),
        Fact::new("spread (std : mean)", std(&values) / mean(&values)),
    ];
    let layer = choice.layer.unwrap_or(norms[0].0);
    if let Ok((heads, width, vectors)) = head_vectors(material, layer) {
        body.basis = Basis::Weights;
        body.panels.insert(0, vector_map(layer, heads, width, vectors));
    }
    Ok(body)
}

/// The mean query vector of each head of a layer, one row a head.
fn vector_map(layer: u32, heads: usize, width: usize, vectors: Vec<f64>) -> Panel {
    let limit = quantile(&sorted(vectors.iter().map(|v| v.abs())), 0.995);
    Panel::new(
        format!("mean query vectors, layer {layer}"),
        Axis::whole("dimension of the head").from(0.0).to(width as f64),
        Axis::whole("head").from(0.0).to(heads as f64),
    )
    .with(Mark::Heat {
        rows: heads,
        columns: width,
        values: vectors.into_iter().collect(),
        ramp: Ramp::Diverging,
        low: -limit,
        high: limit,
        label: "mean weight".to_owned(),
        y: [0.0, heads as f64],
        x: [0.0, width as f64],
        at: None,
    })
}

/// A metric of every head: layers down, heads across. None where no head has it.
pub fn layer_head_map(material: Material<'_>, metric: &str, title: &str) -> Option<Panel> {
    let found = material.head_metric(metric);
    let layers = found.iter().map(|f| f.0 + 1).max()? as usize;
    let heads = found.iter().map(|f| f.1 + 1).max()? as usize;
    let mut cells = vec![f64::NAN; layers * heads];
    for (layer, head, value) in &found {
        cells[*layer as usize * heads + *head as usize] = *value;
    }
    let finite = sorted(cells.iter().copied());
    let (low, high) = (finite.first().copied()?, finite.last().copied()?);
    let x = Axis::whole("head").from(0.0).to(heads as f64);
    let y = Axis::whole("layer").from(0.0).to(layers as f64);
    Some(Panel::new(title, x, y).with(Mark::Heat {
        rows: layers,
        columns: heads,
        values: cells.into_iter().collect(),
        ramp: Ramp::Sequential,
        low,
        high,
        label: metric.replace('_', " "),
        y: [0.0, layers as f64],
        x: [0.0, heads as f64],
        at: None,
    }))
}
