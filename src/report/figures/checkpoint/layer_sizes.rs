//! S2: how large the tensors are over depth.

use std::collections::BTreeMap;

use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Tone};
use crate::report::number::bytes;
use crate::terms::Category;

/// S2.
pub static FIGURE: FigureDef = FigureDef {
    id: "S2",
    title: "Layer sizes over depth",
    question: "Are the layers built alike, and which tensors are the large ones?",
    series: &[],
    draw,
};

const MIB: f64 = (1u64 << 20) as f64;

fn draw(material: Material<'_>, _: &Choice) -> Result<Body, String> {
    let mut groups: BTreeMap<Category, Vec<(f64, f64, String)>> = BTreeMap::new();
    let mut layers: BTreeMap<u32, u64> = BTreeMap::new();
    for tensor in &material.reading.tensors {
        let facts = &tensor.facts;
        let size = facts.shape.iter().product::<u64>() * facts.dtype.bytes() as u64;
        let layer = facts.meaning.layer.map_or(-1.0, f64::from);
        if let Some(layer) = facts.meaning.layer {
            *layers.entry(layer).or_default() += size;
        }
        let label = format!("{} · {}", facts.name, bytes(size));
        groups.entry(facts.meaning.category).or_default().push((layer, size as f64 / MIB, label));
    }
    if groups.is_empty() {
        return Err("this checkpoint has no tensor that could be weighed".to_owned());
    }
    let sizes: Vec<u64> = layers.values().copied().collect();
    let alike = sizes.windows(2).all(|pair| pair[0] == pair[1]);
    let mut body = Body::stored(match sizes.as_slice() {
        [] => "No tensor names a layer.".to_owned(),
        [size, ..] if alike => format!("All {} layers hold {} each.", sizes.len(), bytes(*size)),
        _ => format!(
            "The {} layers differ in size, from {} to {}.",
            sizes.len(),
            bytes(sizes.iter().copied().min().unwrap_or(0)),
            bytes(sizes.iter().copied().max().unwrap_or(0))
        ),
    });
    body.facts = vec![
        Fact::worded("layers", sizes.len() as f64, sizes.len().to_string()),
        Fact::worded("in layers", sizes.iter().sum::<u64>() as f64, bytes(sizes.iter().sum())),
    ];
    let mut panel = Panel::new("", Axis::whole("layer (–1: outside the layers)"), Axis::log("MiB"));
    for (category, points) in groups {
        panel.marks.push(Mark::Points {
            name: category.name().replace('_', " "),
            x: points.iter().map(|point| point.0).collect(),
            y: points.iter().map(|point| point.1).collect(),
            labels: points.into_iter().map(|point| point.2).collect(),
            tone: Tone::Nth(category as u32),
        });
    }
    body.panels = vec![panel];
    Ok(body)
}
