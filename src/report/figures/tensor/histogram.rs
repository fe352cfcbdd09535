//! The tensor's values with the fitted normal over them.

use crate::report::figures::checkpoint::{histogram_panel, tails};
use crate::report::figures::{Body, Choice, Fact, FigureDef, Material};
use crate::report::number::short;

/// Histogram.
pub static FIGURE: FigureDef = FigureDef {
    id: "histogram",
    title: "Values",
    question: "How are the values spread, and how far is that from a normal?",
    series: &["std", "ks_statistic", "excess_kurtosis"],
    draw,
};

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let tensor = material.tensor(choice)?;
    let sample = |metric: &str| tensor.samples.get(metric).copied();
    let (Some(mean), Some(std)) = (sample("mean"), sample("std")) else {
        return Err("no element is finite".to_owned());
    };
    let Some(panel) = histogram_panel(material, tensor, mean, std) else {
        return Err(format!("all elements are {mean}"));
    };
    let mut body = Body::stored(match sample("excess_kurtosis") {
        Some(kurtosis) => {
            format!("Centred at {} with σ {}; the tails are {}.", short(mean), short(std), tails(kurtosis))
        }
        None => format!("Centred at {} with σ {}.", short(mean), short(std)),
    });
    for (name, metric) in [
        ("mean μ", "mean"),
        ("std σ", "std"),
        ("smallest", "min"),
        ("largest", "max"),
        ("skewness", "skewness"),
        ("excess kurtosis", "excess_kurtosis"),
        ("KS distance D", "ks_statistic"),
        ("zeros", "zero_elements"),
    ] {
        body.facts.extend(sample(metric).map(|value| Fact::new(name, value)));
    }
    body.panels = vec![panel];
    body.tensor = Some(tensor.facts.name.to_string());
    Ok(body)
}
