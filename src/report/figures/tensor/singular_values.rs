//! Singular values against the edge of a random matrix.

use faer::{Mat, Side as Triangle};

use crate::report::figures::checkpoint::read;
use crate::report::figures::{
    Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Side, Tone, is_matrix,
};

/// Singular values.
pub static FIGURE: FigureDef = FigureDef {
    id: "singular-values",
    title: "Singular values",
    question: "Which directions are learnt, and which could be noise?",
    series: &["spectral_norm", "stable_rank", "effective_rank"],
    draw,
};

/// Longest short side that is decomposed for a picture: about two seconds on one core.
const SIDE_MAX: usize = 1536;

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let tensor = material.tensor(choice)?;
    if !is_matrix(tensor) {
        return Err("not a matrix".to_owned());
    }
    let matrix = read(material, &tensor.facts.name)?;
    let (rows, columns) = (matrix.rows, matrix.columns);
    if rows.min(columns) > SIDE_MAX {
        return Err(format!(
            "too large to be decomposed for a picture: both sides are longer than {SIDE_MAX}"
        ));
    }
    if matrix.values.iter().any(|value| !value.is_finite()) {
        return Err("the matrix holds NaN or Inf".to_owned());
    }
    let w = Mat::<f64>::from_fn(rows, columns, |i, j| f64::from(matrix.values[i * columns + j]));
    let gram = if columns <= rows { w.transpose() * &w } else { &w * w.transpose() };
    let values =
        gram.self_adjoint_eigenvalues(Triangle::Lower).map_err(|_| "the decomposition did not converge")?;
    let values: Vec<f64> = values.iter().rev().map(|value| value.max(0.0).sqrt()).collect();
    let std = tensor.samples.get("std").copied().unwrap_or(f64::NAN);
    let edge = std * ((rows as f64).sqrt() + (columns as f64).sqrt());
    let beyond = values.iter().filter(|value| **value > edge).count();
    let mut body = Body::from_weights(format!(
        "{beyond} of {} singular values lie beyond the edge of a random matrix with the same σ; the largest is {:.1} times the edge.",
        values.len(),
        values[0] / edge
    ));
    body.facts = vec![
        Fact::new("largest", values[0]),
        Fact::new("random-matrix edge σ(√m + √n)", edge),
        Fact::new("beyond the edge", beyond as f64),
    ];
    for metric in ["stable_rank", "effective_rank", "participation_ratio", "alpha_hill"] {
        body.facts
            .extend(tensor.samples.get(metric).map(|value| Fact::new(metric.replace('_', " "), *value)));
    }
    body.panels = vec![
        Panel::new("", Axis::whole("singular value, by size"), Axis::log("value"))
            .with(Mark::Line {
                name: String::new(),
                x: (1..=values.len() as u32).collect(),
                y: values.into_iter().collect(),
                tone: Tone::Main,
                dashed: false,
            })
            .with(Mark::Rule {
                axis: Side::Y,
                at: edge,
                label: "random-matrix edge".to_owned(),
                tone: Tone::Reference,
            }),
    ];
    body.tensor = Some(tensor.facts.name.to_string());
    Ok(body)
}
