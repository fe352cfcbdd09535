//! S4: single dimensions of the position table.

use super::matrix::read;
use super::variance::ordered;
use crate::report::figures::statistics::{mean, std};
use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Tone};

/// S4.
pub static FIGURE: FigureDef = FigureDef {
    id: "S4",
    title: "Single dimensions over position",
    question: "Do dimensions swing with position, as waves do?",
    series: &[],
    draw,
};

/// Lines that can still be told apart.
const LINES_MAX: usize = 8;

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let table = material.positions()?;
    let matrix = read(material, &table.facts.name)?;
    let mut chosen: Vec<usize> = choice.dimensions.iter().copied().filter(|d| *d < matrix.columns).collect();
    if chosen.is_empty() {
        let order = ordered(&matrix);
        chosen =
            [1.0, 0.9, 0.5, 0.0].iter().map(|p| order[((order.len() - 1) as f64 * p) as usize].0).collect();
    }
    chosen.dedup();
    chosen.truncate(LINES_MAX);
    let mut panel = Panel::new("", Axis::whole("position"), Axis::linear("weight"));
    let mut facts = Vec::new();
    for (index, &dimension) in chosen.iter().enumerate() {
        let column: Vec<f64> = matrix.column(dimension).into_iter().map(f64::from).collect();
        facts.push(Fact::new(format!("std of {dimension}"), std(&column)));
        facts.push(Fact::new(format!("mean of {dimension}"), mean(&column)));
        panel.marks.push(Mark::Line {
            name: format!("dimension {dimension}"),
            x: (0..matrix.rows as u32).collect(),
            y: column.into_iter().collect(),
            tone: Tone::Nth(index as u32),
            dashed: false,
        });
    }
    let mut body = Body::from_weights(match choice.dimensions.is_empty() {
        true => "The dimension with the highest variance, one near the top, the median one and the lowest."
            .to_owned(),
        false => format!("{} chosen dimensions of {}.", chosen.len(), matrix.columns),
    });
    body.facts = facts;
    body.panels = vec![panel];
    body.tensor = Some(table.facts.name.to_string());
    Ok(body)
}
