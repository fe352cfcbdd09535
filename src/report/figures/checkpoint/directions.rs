//! S10: how many directions matter.

use faer::{Mat, Side as Triangle};

use super::matrix::read;
use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Side, Tone};
use crate::report::weights::Matrix;

/// S10.
pub static FIGURE: FigureDef = FigureDef {
    id: "S10",
    title: "Directions that matter",
    question: "How many directions does the matrix use, and do its rows fall into groups?",
    series: &["pca_first_component_ratio", "pca_components_90", "stable_rank", "effective_rank"],
    draw,
};

/// Longest short side that is decomposed for a picture: about two seconds on one core.
const SIDE_MAX: usize = 1536;
/// Most points of the scatter: more only overlap.
const POINTS_MAX: usize = 1024;

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let tensor = material.tensor(choice)?;
    let matrix = read(material, &tensor.facts.name)?;
    if matrix.rows.min(matrix.columns) > SIDE_MAX {
        return Err(format!(
            "too large to be decomposed for a picture: both sides are longer than {SIDE_MAX}"
        ));
    }
    let Some(components) = principal(&matrix) else {
        return Err("the matrix holds NaN or Inf, or is constant".to_owned());
    };
    let total: f64 = components.variances.iter().sum();
    let ratios: Vec<f64> = components.variances.iter().map(|v| v / total).collect();
    let cumulative: Vec<f64> = ratios
        .iter()
        .scan(0.0, |sum, r| {
            *sum += r;
            Some(*sum)
        })
        .collect();
    let for_90 = cumulative.iter().position(|share| *share >= 0.9).map_or(cumulative.len(), |i| i + 1);
    let mut body = Body::from_weights(format!(
        "The first component holds {:.1} % of the variance; 90 % need {for_90} of {} components.",
        ratios[0] * 100.0,
        ratios.len()
    ));
    body.facts =
        vec![Fact::new("first component", ratios[0]), Fact::new("components for 90 %", for_90 as f64)];
    for metric in ["stable_rank", "effective_rank", "participation_ratio"] {
        if let Some(&value) = tensor.samples.get(metric) {
            body.facts.push(Fact::new(metric.replace('_', " "), value));
        }
    }
    let curve = Panel::new(
        "variance explained",
        Axis::whole("components"),
        Axis::linear("cumulative share").from(0.0).to(1.0),
    )
    .with(Mark::Line {
        name: String::new(),
        x: (1..=cumulative.len() as u32).collect(),
        y: cumulative.into_iter().collect(),
        tone: Tone::Main,
        dashed: false,
    })
    .with(Mark::Rule {
        axis: Side::X,
        at: for_90 as f64,
        label: format!("90 %: {for_90}"),
        tone: Tone::Reference,
    });
    let stride = matrix.rows.div_ceil(POINTS_MAX);
    let rows: Vec<usize> = (0..matrix.rows).step_by(stride).collect();
    let scatter = Panel::new(
        "rows along the first two",
        Axis::linear("first component"),
        Axis::linear("second component"),
    )
    .with(Mark::Points {
        name: String::new(),
        x: rows.iter().map(|r| components.scores[*r].0).collect(),
        y: rows.iter().map(|r| components.scores[*r].1).collect(),
        labels: rows.iter().map(|r| format!("row {r}")).collect(),
        tone: Tone::Main,
    });
    body.panels = vec![curve, scatter];
    body.tensor = Some(tensor.facts.name.to_string());
    body.choices = material.matrix_names();
    Ok(body)
}

struct Components {
    /// Descending, as large as the shorter side.
    variances: Vec<f64>,
    /// First two scores of every row.
    scores: Vec<(f64, f64)>,
}

/// Principal components of rows as samples, columns standardised; none where an element is not finite or
/// nothing varies. Works on the Gram matrix of the shorter side.
fn principal(matrix: &Matrix) -> Option<Components> {
    let (rows, columns) = (matrix.rows, matrix.columns);
    let mut z = Mat::<f64>::from_fn(rows, columns, |i, j| f64::from(matrix.values[i * columns + j]));
    for j in 0..columns {
        let mean = (0..rows).map(|i| z[(i, j)]).sum::<f64>() / rows as f64;
        let variance = (0..rows).map(|i| (z[(i, j)] - mean).powi(2)).sum::<f64>() / rows as f64;
        let scale = if variance > 0.0 { variance.sqrt().recip() } else { 1.0 };
        for i in 0..rows {
            z[(i, j)] = (z[(i, j)] - mean) * scale;
        }
    }
    if (0..columns).any(|j| (0..rows).any(|i| !z[(i, j)].is_finite())) {
        return None;
    }
    let tall = columns <= rows;
    let gram = if tall { z.transpose() * &z } else { &z * z.transpose() };
    let eigen = gram.self_adjoint_eigen(Triangle::Lower).ok()?;
    let side = rows.min(columns);
    let values: Vec<f64> = (0..side).rev().map(|k| eigen.S().column_vector()[k].max(0.0)).collect();
    if values[0] <= 0.0 {
        return None;
    }
    let vectors = eigen.U();
    let score = |row: usize, k: usize| {
        let column = side - 1 - k;
        if k >= side {
            return 0.0;
        }
        if tall {
            (0..columns).map(|j| z[(row, j)] * vectors[(j, column)]).sum()
        } else {
            vectors[(row, column)] * values[k].sqrt()
        }
    };
    Some(Components {
        scores: (0..rows).map(|row| (score(row, 0), if side > 1 { score(row, 1) } else { 0.0 })).collect(),
        variances: values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_direction_is_found_from_both_sides() {
        for (rows, columns) in [(6, 3), (3, 6)] {
            let values =
                (0..rows * columns).map(|i| (i / columns) as f32 * (1 + i % columns) as f32).collect();
            let components = principal(&Matrix { rows, columns, values }).unwrap();
            let total: f64 = components.variances.iter().sum();
            assert!((components.variances[0] / total - 1.0).abs() < 1e-9);
            assert!((total - (rows * columns) as f64).abs() < 1e-9, "standardised columns have variance 1");
            assert!(components.scores[0].0.abs() > 0.1);
        }
        assert!(principal(&Matrix { rows: 2, columns: 2, values: vec![f32::NAN; 4] }).is_none());
    }
}
