//! S12: how the rows of a layer spread.

use super::matrix::read;
use crate::report::figures::statistics::{quantile, sorted};
use crate::report::figures::{
    Axis, Basis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Tone, role_words,
};

/// S12.
pub static FIGURE: FigureDef = FigureDef {
    id: "S12",
    title: "Spread inside a layer",
    question: "Do the rows of a matrix vary alike, or do a few rows do all the work?",
    series: &[
        "row_variance_min",
        "row_variance_q25",
        "row_variance_median",
        "row_variance_q75",
        "row_variance_max",
    ],
    draw,
};

const FIVE: [&str; 5] =
    ["row_variance_min", "row_variance_q25", "row_variance_median", "row_variance_q75", "row_variance_max"];
/// Points of a violin's outline.
const OUTLINE: usize = 40;

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let Some(role) = material.role(choice) else {
        return Err("not applicable: no matrix of this checkpoint names a layer".to_owned());
    };
    let mut x = Vec::new();
    let mut five = Vec::new();
    let mut outlines = Vec::new();
    for tensor in material.of_role(role) {
        let numbers = FIVE.map(|metric| tensor.samples.get(metric).copied().unwrap_or(f64::NAN));
        let Some(layer) = tensor.facts.meaning.layer.filter(|_| numbers.iter().all(|n| n.is_finite())) else {
            continue;
        };
        x.push(f64::from(layer));
        five.push(numbers);
        if material.weights.is_some() {
            let rows =
                read(material, &tensor.facts.name).map(|matrix| row_variances(&matrix)).unwrap_or_default();
            outlines.push(outline(&rows));
        }
    }
    let Some(worst) =
        (0..five.len()).max_by(|&a, &b| (five[a][4] / five[a][2]).total_cmp(&(five[b][4] / five[b][2])))
    else {
        return Err(format!("no {} of this checkpoint has row variances", role_words(role)));
    };
    let ratio = five[worst][4] / five[worst][2];
    let mut body = Body::stored(format!(
        "Over the layers of {}, the most uneven is layer {}: its widest row varies {ratio:.1} times as much as its median row.",
        role_words(role),
        x[worst]
    ));
    body.facts = vec![
        Fact::new("largest : median, worst layer", ratio),
        Fact::new("its layer", x[worst]),
        Fact::new("median of medians", quantile(&sorted(five.iter().map(|f| f[2])), 0.5)),
    ];
    body.basis = if outlines.is_empty() { Basis::Stored } else { Basis::Weights };
    body.panels =
        vec![Panel::new("", Axis::whole("layer"), Axis::linear("variance of a row")).with(Mark::Boxes {
            x: x.into_iter().collect(),
            five,
            outlines,
            tone: Tone::Main,
        })];
    Ok(body)
}

fn row_variances(matrix: &crate::report::weights::Matrix) -> Vec<f64> {
    let variance = |row: &[f32]| {
        let n = row.len().max(1) as f64;
        let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n
    };
    sorted((0..matrix.rows).map(|row| variance(matrix.row(row))))
}

/// Kernel density of ascending values (Gaussian, Silverman's width), scaled to a widest place of 1.
fn outline(sorted: &[f64]) -> Vec<[f64; 2]> {
    let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let n = sorted.len() as f64;
    let spread =
        super::super::statistics::std(sorted).min((quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 1.34);
    let width = 0.9 * spread * n.powf(-0.2);
    if width.is_nan() || width <= 0.0 {
        return Vec::new();
    }
    let density = |at: f64| sorted.iter().map(|v| (-0.5 * ((at - v) / width).powi(2)).exp()).sum::<f64>();
    let points: Vec<[f64; 2]> = (0..OUTLINE)
        .map(|i| low + (high - low) * i as f64 / (OUTLINE - 1) as f64)
        .map(|at| [at, density(at)])
        .collect();
    let top = points.iter().map(|p| p[1]).fold(0.0, f64::max);
    points.into_iter().map(|[at, d]| [at, d / top]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_peak_at_one() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i % 10) + f64::from(i) / 100.0).collect();
        let points = outline(&sorted(values));
        assert_eq!(points.len(), OUTLINE);
        assert_eq!(points.iter().map(|p| p[1]).fold(0.0, f64::max), 1.0);
        assert!(outline(&[]).is_empty() && outline(&[1.0, 1.0]).is_empty());
    }
}
