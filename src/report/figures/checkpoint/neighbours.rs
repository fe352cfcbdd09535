//! S7: how alike neighbouring positions are.

use super::matrix::read;
use crate::report::figures::statistics::{mean, pearson};
use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Side, Tone};

/// S7.
pub static FIGURE: FigureDef = FigureDef {
    id: "S7",
    title: "Smooth neighbourhood",
    question: "Do neighbouring positions have similar vectors?",
    series: &["position_adjacent_pearson_mean", "position_adjacent_pearson_min"],
    draw,
};

fn draw(material: Material<'_>, _: &Choice) -> Result<Body, String> {
    let table = material.positions()?;
    let matrix = read(material, &table.facts.name)?;
    let row = |row: usize| matrix.row(row).iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let correlations: Vec<f64> = (1..matrix.rows).map(|i| pearson(&row(i - 1), &row(i))).collect();
    let known: Vec<f64> = correlations.iter().copied().filter(|r| r.is_finite()).collect();
    let least = known.iter().copied().fold(f64::INFINITY, f64::min);
    let place = correlations.iter().position(|r| *r == least).unwrap_or(0);
    let mut body = Body::from_weights(format!(
        "Neighbours correlate at {:.3} on average; least alike are positions {place} and {} ({least:.3}).",
        mean(&known),
        place + 1
    ));
    body.facts = vec![Fact::new("mean", mean(&known)), Fact::new("least", least)];
    body.panels = vec![
        Panel::new("", Axis::whole("position"), Axis::linear("correlation with the next position").to(1.0))
            .with(Mark::Line {
                name: String::new(),
                x: (0..correlations.len() as u32).collect(),
                y: correlations.into_iter().collect(),
                tone: Tone::Main,
                dashed: false,
            })
            .with(Mark::Rule {
                axis: Side::Y,
                at: 0.0,
                label: "unrelated".to_owned(),
                tone: Tone::Reference,
            }),
    ];
    body.tensor = Some(table.facts.name.to_string());
    Ok(body)
}
