//! S3: the learnt position table.

use super::matrix::{heat, read};
use crate::report::figures::{Body, Choice, Fact, FigureDef, Material};

/// S3.
pub static FIGURE: FigureDef = FigureDef {
    id: "S3",
    title: "Position table",
    question: "Did the model learn an order of positions, and do stripes stand out?",
    series: &[],
    draw,
};

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let table = material.positions()?;
    let matrix = read(material, &table.facts.name)?;
    let (panel, limit) = heat(&matrix, choice, "position", "dimension");
    let mut body = Body::from_weights(format!(
        "{} positions × {} dimensions; colours end at ±{limit:.3}, zero is in the middle.",
        matrix.rows, matrix.columns
    ));
    body.facts =
        vec![Fact::new("positions", matrix.rows as f64), Fact::new("dimensions", matrix.columns as f64)];
    for metric in ["std", "abs_max"] {
        if let Some(&value) = table.samples.get(metric) {
            body.facts.push(Fact::new(metric, value));
        }
    }
    body.panels = vec![panel];
    body.tensor = Some(table.facts.name.to_string());
    Ok(body)
}
