//! S1: where the parameters are.

use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Table, Tone};
use crate::report::json::Inventory;
use crate::report::number::{bytes, count};

/// S1.
pub static FIGURE: FigureDef = FigureDef {
    id: "S1",
    title: "Parameters by category",
    question: "What is in this checkpoint, and where do its parameters lie?",
    series: &[],
    draw,
};

fn draw(material: Material<'_>, _: &Choice) -> Result<Body, String> {
    let reading = material.reading;
    let inventory = Inventory::of(reading);
    let Some((largest, share)) = inventory.categories.iter().max_by_key(|(_, share)| share.elements) else {
        return Err("this checkpoint has no tensor that could be weighed".to_owned());
    };
    let percent = 100.0 * share.elements as f64 / inventory.elements.max(1) as f64;
    let tied = match reading.tied.len() {
        0 => String::new(),
        1 => "; one tied tensor is counted once".to_owned(),
        pairs => format!("; {pairs} tied tensors are counted once"),
    };
    let words = |category: crate::terms::Category| category.name().replace('_', " ");
    let mut body = Body::stored(format!(
        "{} parameters in {} tensors, {}; {} holds {percent:.1} % of them{tied}.",
        count(inventory.elements),
        reading.tensors.len(),
        bytes(inventory.bytes),
        words(*largest),
    ));
    body.facts = vec![
        Fact::worded("parameters", inventory.elements as f64, count(inventory.elements)),
        Fact::worded("size", inventory.bytes as f64, bytes(inventory.bytes)),
        Fact::worded("tensors", reading.tensors.len() as f64, reading.tensors.len().to_string()),
        Fact::worded("tied", reading.tied.len() as f64, reading.tied.len().to_string()),
        Fact::worded(
            "weighed",
            reading.coverage_ratio(),
            format!("{:.1} %", reading.coverage_ratio() * 100.0),
        ),
    ];
    body.panels = vec![Panel::new("", Axis::default(), Axis::default()).with(Mark::Shares {
        labels: inventory.categories.iter().map(|(category, _)| words(*category)).collect(),
        values: inventory.categories.iter().map(|(_, share)| share.elements as f64).collect(),
        tones: inventory.categories.iter().map(|(category, _)| Tone::Nth(*category as u32)).collect(),
    })];
    body.table = Some(table(material, &inventory));
    Ok(body)
}

fn table(material: Material<'_>, inventory: &Inventory) -> Table {
    let row = |tensor: &crate::terms::TensorReading| {
        let facts = &tensor.facts;
        let elements = facts.shape.iter().product::<u64>();
        let tied = if inventory.repeats.contains(&*facts.name) { "tied" } else { "" };
        vec![
            facts.name.to_string(),
            facts.meaning.category.name().replace('_', " "),
            facts.dtype.to_string(),
            facts.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" × "),
            count(elements),
            bytes(elements * facts.dtype.bytes() as u64),
            tied.to_owned(),
        ]
    };
    Table {
        columns: ["tensor", "category", "dtype", "shape", "elements", "size", ""].map(str::to_owned).to_vec(),
        numeric: vec![false, false, false, true, true, true, false],
        rows: material.reading.tensors.iter().map(row).collect(),
    }
}
