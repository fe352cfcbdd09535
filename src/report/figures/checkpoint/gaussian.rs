//! S8: are the weights normally distributed.

use crate::report::figures::statistics::normal_density;
use crate::report::figures::{
    Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Side, Tone, role_words,
};
use crate::terms::TensorReading;

/// S8.
pub static FIGURE: FigureDef = FigureDef {
    id: "S8",
    title: "Gaussian-like weights",
    question: "How far are the weights from a normal distribution?",
    series: &["mean", "std", "skewness", "excess_kurtosis", "ks_statistic", "l_kurtosis"],
    draw,
};

/// Bins of the histogram.
pub const BINS: usize = 50;

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let tensor = material.tensor(choice)?;
    let sample = |metric: &str| tensor.samples.get(metric).copied();
    let (Some(mean), Some(std)) = (sample("mean"), sample("std")) else {
        return Err(format!("{} has no finite element", tensor.facts.name));
    };
    let distance = sample("ks_statistic");
    let mut body = Body::stored(match (distance, sample("excess_kurtosis")) {
        (Some(d), Some(k)) => {
            format!(
                "{} lies D = {d:.4} from a normal with the same mean and spread; its tails are {}.",
                tensor.facts.name,
                tails(k)
            )
        }
        _ => format!("{} is constant or too small to be held against a normal.", tensor.facts.name),
    });
    for (name, metric) in [
        ("mean μ", "mean"),
        ("std σ", "std"),
        ("skewness", "skewness"),
        ("excess kurtosis", "excess_kurtosis"),
        ("KS distance D", "ks_statistic"),
        ("L-kurtosis", "l_kurtosis"),
    ] {
        if let Some(value) = sample(metric) {
            body.facts.push(Fact::new(name, value));
        }
    }
    body.panels = histogram_panel(material, tensor, mean, std).into_iter().collect();
    body.panels.extend(distances(material, tensor));
    body.tensor = Some(tensor.facts.name.to_string());
    body.choices = material.matrix_names();
    Ok(body)
}

/// What the fourth moment says, in words. A normal has 0, a uniform -1.2, a Laplace 3.
pub fn tails(excess_kurtosis: f64) -> &'static str {
    match excess_kurtosis {
        k if k < -0.5 => "lighter than normal",
        k if k < 0.5 => "those of a normal",
        k if k < 3.0 => "heavier than normal",
        _ => "much heavier than normal",
    }
}

/// Histogram with the fitted normal over it.
pub fn histogram_panel(material: Material<'_>, tensor: &TensorReading, mean: f64, std: f64) -> Option<Panel> {
    let (edges, heights) = histogram(material, tensor, BINS)?;
    let (low, high) = (edges[0], edges[edges.len() - 1]);
    let mut panel =
        Panel::new("", Axis::linear("weight"), Axis::linear("density").from(0.0)).with(Mark::Histogram {
            name: "weights".to_owned(),
            edges: edges.into_iter().collect(),
            heights: heights.into_iter().collect(),
            tone: Tone::Main,
        });
    if std > 0.0 {
        let x: Vec<f64> = (0..=120).map(|i| low + (high - low) * f64::from(i) / 120.0).collect();
        panel.marks.push(Mark::Line {
            name: "normal with the same μ and σ".to_owned(),
            y: x.iter().map(|x| normal_density(*x, mean, std)).collect(),
            x: x.into_iter().collect(),
            tone: Tone::Reference,
            dashed: false,
        });
    }
    Some(panel)
}

/// Edges and density of the weights: counted while the files exist, else from the stored quantiles.
pub fn histogram(
    material: Material<'_>,
    tensor: &TensorReading,
    bins: usize,
) -> Option<(Vec<f64>, Vec<f64>)> {
    let sample = |metric: &str| tensor.samples.get(metric).copied();
    let (low, high) = (sample("min")?, sample("max")?);
    if high <= low || !(high - low).is_finite() {
        return None;
    }
    let edges: Vec<f64> = (0..=bins).map(|i| low + (high - low) * i as f64 / bins as f64).collect();
    let read = material.weights.and_then(|_| super::matrix::read(material, &tensor.facts.name).ok());
    let mass = match read {
        Some(matrix) => counted(&matrix.values, low, high, bins),
        None => spread(&tensor.quantiles, &edges, low, high)?,
    };
    let width = (high - low) / bins as f64;
    Some((edges, mass.into_iter().map(|share| share / width).collect()))
}

fn counted(values: &[f32], low: f64, high: f64, bins: usize) -> Vec<f64> {
    let mut counts = vec![0u64; bins];
    let mut all = 0u64;
    for value in values.iter().map(|v| f64::from(*v)).filter(|v| v.is_finite()) {
        let bin = ((value - low) / (high - low) * bins as f64) as usize;
        counts[bin.min(bins - 1)] += 1;
        all += 1;
    }
    counts.into_iter().map(|count| count as f64 / all.max(1) as f64).collect()
}

/// Share of the mass in each bin, from quantiles at (i + 1/2)/n: between two of them lies 1/n, spread
/// evenly; before the first and after the last lies half as much, spread to the extremes.
pub fn spread(quantiles: &[f32], edges: &[f64], low: f64, high: f64) -> Option<Vec<f64>> {
    if quantiles.len() < 2 {
        return None;
    }
    let n = quantiles.len() as f64;
    let mut knots = vec![(low, 0.0)];
    knots.extend(
        quantiles.iter().enumerate().map(|(i, q)| (f64::from(*q).clamp(low, high), (i as f64 + 0.5) / n)),
    );
    knots.push((high, 1.0));
    // Share of the mass at or below x; at a jump, all of it.
    let below = |x: f64| {
        let after = knots.partition_point(|knot| knot.0 <= x);
        match (knots.get(after.wrapping_sub(1)), knots.get(after)) {
            (Some(&(x0, p0)), Some(&(x1, p1))) => p0 + (p1 - p0) * (x - x0) / (x1 - x0),
            (None, _) => 0.0,
            (_, None) => 1.0,
        }
    };
    Some(
        edges
            .windows(2)
            .enumerate()
            .map(|(i, edge)| below(edge[1]) - if i == 0 { 0.0 } else { below(edge[0]) })
            .collect(),
    )
}

/// D of the same role in every layer, with the shown tensor marked.
fn distances(material: Material<'_>, tensor: &TensorReading) -> Option<Panel> {
    let role = tensor.facts.meaning.role;
    let points: Vec<(f64, f64, String)> = material
        .of_role(role)
        .into_iter()
        .filter_map(|t| {
            let layer = f64::from(t.facts.meaning.layer?);
            let d = *t.samples.get("ks_statistic")?;
            Some((layer, d, format!("{}: D {d:.4}", t.facts.name)))
        })
        .collect();
    if points.len() < 2 {
        return None;
    }
    let panel = Panel::new(
        format!("D of every {}", role_words(role)),
        Axis::whole("layer"),
        Axis::linear("KS distance D").from(0.0),
    );
    let panel = panel.with(Mark::Points {
        name: String::new(),
        x: points.iter().map(|p| p.0).collect(),
        y: points.iter().map(|p| p.1).collect(),
        labels: points.into_iter().map(|p| p.2).collect(),
        tone: Tone::Main,
    });
    Some(match tensor.facts.meaning.layer {
        Some(layer) => panel.with(Mark::Rule {
            axis: Side::X,
            at: f64::from(layer),
            label: "shown".to_owned(),
            tone: Tone::Reference,
        }),
        None => panel,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_give_their_density_back() {
        let quantiles: Vec<f32> = (0..128).map(|i| (i as f32 + 0.5) / 128.0).collect();
        let edges: Vec<f64> = (0..=10).map(|i| f64::from(i) / 10.0).collect();
        let mass = spread(&quantiles, &edges, 0.0, 1.0).unwrap();
        assert!((mass.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(mass.iter().all(|share| (share - 0.1).abs() < 1e-6), "{mass:?}");
    }

    #[test]
    fn a_spike_keeps_its_mass() {
        let quantiles = vec![0.5f32; 64];
        let edges: Vec<f64> = (0..=4).map(|i| f64::from(i) / 4.0).collect();
        let mass = spread(&quantiles, &edges, 0.0, 1.0).unwrap();
        assert!((mass.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(mass[1] + mass[2] > 0.98, "{mass:?}");
    }

    #[test]
    fn counting_puts_the_largest_into_the_last_bin() {
        assert_eq!(counted(&[0.0, 1.0, f32::NAN, 0.49], 0.0, 1.0, 2), [2.0 / 3.0, 1.0 / 3.0]);
    }
}
