//! S5: how much each dimension of the position table varies.

use super::matrix::read;
use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Side, Tone};
use crate::report::number::short;
use crate::report::weights::Matrix;

/// S5.
pub static FIGURE: FigureDef = FigureDef {
    id: "S5",
    title: "Variance per dimension",
    question: "Do a few dimensions carry the position, or all of them?",
    series: &["position_variance_min", "position_variance_median", "position_variance_max"],
    draw,
};

fn draw(material: Material<'_>, _: &Choice) -> Result<Body, String> {
    let table = material.positions()?;
    let matrix = read(material, &table.facts.name)?;
    let order = ordered(&matrix);
    let (Some(low), Some(high)) = (order.first(), order.last()) else {
        return Err("the table is empty".to_owned());
    };
    let median = order[order.len() / 2];
    let ratio = high.1 / median.1;
    let mut body = Body::from_weights(format!(
        "Dimension {} varies most, {ratio:.1} times the median; {} varies least.",
        high.0, low.0
    ));
    body.facts = vec![
        Fact::new(format!("lowest (dimension {})", low.0), low.1),
        Fact::new(format!("median (dimension {})", median.0), median.1),
        Fact::new(format!("highest (dimension {})", high.0), high.1),
        Fact::new("highest : median", ratio),
    ];
    let line = Mark::Points {
        name: "variance over positions".to_owned(),
        x: (0..order.len() as u32).collect(),
        y: order.iter().map(|(_, variance)| *variance).collect(),
        labels: order
            .iter()
            .map(|(dimension, variance)| format!("dimension {dimension}: {}", short(*variance)))
            .collect(),
        tone: Tone::Main,
    };
    body.panels =
        vec![Panel::new("", Axis::whole("dimensions, by variance"), Axis::log("variance")).with(line).with(
            Mark::Rule { axis: Side::Y, at: median.1, label: "median".to_owned(), tone: Tone::Reference },
        )];
    body.tensor = Some(table.facts.name.to_string());
    Ok(body)
}

/// (dimension, variance over positions), by variance.
pub fn ordered(matrix: &Matrix) -> Vec<(usize, f64)> {
    let mut sums = vec![(0f64, 0f64); matrix.columns];
    for row in 0..matrix.rows {
        for (sum, &value) in sums.iter_mut().zip(matrix.row(row)) {
            sum.0 += f64::from(value);
            sum.1 += f64::from(value).powi(2);
        }
    }
    let rows = matrix.rows.max(1) as f64;
    let variance = |(sum, squares): &(f64, f64)| (squares / rows - (sum / rows).powi(2)).max(0.0);
    let mut order: Vec<_> = sums.iter().map(variance).enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    order
}
