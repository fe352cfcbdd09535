//! Quantiles against those of a normal.

use crate::report::figures::statistics::normal_quantile;
use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Tone};

/// Q-Q plot.
pub static FIGURE: FigureDef = FigureDef {
    id: "qq",
    title: "Quantiles against a normal",
    question: "Where does the distribution leave the normal: in the middle or in the tails?",
    series: &[],
    draw,
};

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let tensor = material.tensor(choice)?;
    let (Some(&mean), Some(&std)) = (tensor.samples.get("mean"), tensor.samples.get("std")) else {
        return Err("no element is finite".to_owned());
    };
    if tensor.quantiles.is_empty() || std <= 0.0 {
        return Err("no quantiles were stored, or all elements are equal".to_owned());
    }
    let n = tensor.quantiles.len() as f64;
    let x: Vec<f64> = (0..tensor.quantiles.len()).map(|i| normal_quantile((i as f64 + 0.5) / n)).collect();
    let y: Vec<f64> = tensor.quantiles.iter().map(|q| (f64::from(*q) - mean) / std).collect();
    let (ends, last) = ([x[0], x[x.len() - 1]], y.len() - 1);
    let say = |side: &str, by: f64| match by {
        by if by > 0.15 => format!("{side} tail is longer than normal"),
        by if by < -0.15 => format!("{side} tail is shorter than normal"),
        _ => format!("{side} tail is normal"),
    };
    let mut body =
        Body::stored(format!("{}, {}.", say("The left", x[0] - y[0]), say("the right", y[last] - x[last])));
    body.facts = vec![
        Fact::new("lowest quantile, in σ", y[0]),
        Fact::new("of a normal", x[0]),
        Fact::new("highest quantile, in σ", y[last]),
        Fact::new("of a normal", x[last]),
    ];
    body.panels = vec![
        Panel::new(
            "",
            Axis::linear("quantile of a normal, in σ"),
            Axis::linear("quantile of the weights, in σ"),
        )
        .with(Mark::Line {
            name: "normal".to_owned(),
            x: ends.into_iter().collect(),
            y: ends.into_iter().collect(),
            tone: Tone::Reference,
            dashed: true,
        })
        .with(Mark::Points {
            name: "weights".to_owned(),
            x: x.into_iter().collect(),
            y: y.into_iter().collect(),
            labels: Vec::new(),
            tone: Tone::Main,
        }),
    ];
    body.tensor = Some(tensor.facts.name.to_string());
    Ok(body)
}
