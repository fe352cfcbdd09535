//! S6: periodic dimensions of the position table.

use super::matrix::read;
use crate::report::figures::statistics::{mean, peak_fraction, peak_fraction_of_noise};
use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Side, Tone};

/// S6.
pub static FIGURE: FigureDef = FigureDef {
    id: "S6",
    title: "Periodicity",
    question: "Is there a periodic position pattern?",
    series: &["position_peak_fraction_mean"],
    draw,
};

fn draw(material: Material<'_>, _: &Choice) -> Result<Body, String> {
    let table = material.positions()?;
    let matrix = read(material, &table.facts.name)?;
    let shares: Vec<f64> = (0..matrix.columns)
        .map(|d| peak_fraction(&matrix.column(d).into_iter().map(f64::from).collect::<Vec<_>>()))
        .collect();
    let (noise, exceeded) = peak_fraction_of_noise(matrix.rows);
    let beyond = shares.iter().filter(|share| **share > exceeded).count();
    let known: Vec<f64> = shares.iter().copied().filter(|share| share.is_finite()).collect();
    let average = mean(&known);
    let percent = 100.0 * beyond as f64 / shares.len().max(1) as f64;
    let mut body = Body::from_weights(format!(
        "{beyond} of {} dimensions ({percent:.0} %) have more power in one frequency than one noise series in a hundred; on average {:.0} % against {:.0} % for noise.",
        shares.len(),
        average * 100.0,
        noise * 100.0
    ));
    body.facts = vec![
        Fact::new("mean share", average),
        Fact::new("mean share of noise", noise),
        Fact::new("noise, one in a hundred", exceeded),
        Fact::worded("beyond it", beyond as f64 / shares.len().max(1) as f64, format!("{percent:.1} %")),
    ];
    body.panels = vec![
        Panel::new(
            "",
            Axis::whole("dimension"),
            Axis::linear("share of power in the strongest frequency").from(0.0).to(1.0),
        )
        .with(Mark::Points {
            name: String::new(),
            x: (0..shares.len() as u32).collect(),
            y: shares.into_iter().collect(),
            labels: Vec::new(),
            tone: Tone::Main,
        })
        .with(Mark::Rule { axis: Side::Y, at: noise, label: "noise, mean".to_owned(), tone: Tone::Reference })
        .with(Mark::Rule {
            axis: Side::Y,
            at: exceeded,
            label: "noise, 1 in 100".to_owned(),
            tone: Tone::Alarm,
        }),
    ];
    body.tensor = Some(table.facts.name.to_string());
    Ok(body)
}
