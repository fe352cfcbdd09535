//! S15: does specialisation grow with depth.

use crate::report::figures::statistics::{rank_correlation, slope};
use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Tone, role_words};

/// S15.
pub static FIGURE: FigureDef = FigureDef {
    id: "S15",
    title: "Progression over depth",
    question: "Is a later layer more specialised than an early one?",
    series: &[],
    draw,
};

/// Rank correlations beyond this are called a trend; with twelve layers chance alone exceeds it once in
/// forty times.
const TREND: f64 = 0.6;

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let Some(role) = material.role(choice) else {
        return Err("not applicable: no matrix of this checkpoint names a layer".to_owned());
    };
    let spread: Vec<(f64, f64)> = material.layer_metric("head_distance_spread");
    let of_tensors = |metric: &str| -> Vec<(f64, f64)> {
        material
            .of_role(role)
            .into_iter()
            .filter_map(|t| Some((f64::from(t.facts.meaning.layer?), *t.samples.get(metric)?)))
            .collect()
    };
    let mut body = Body::stored(String::new());
    let mut words = Vec::new();
    for (title, points) in [
        ("spread of head distances", spread),
        ("share of the first component", of_tensors("pca_first_component_ratio")),
        ("σ", of_tensors("std")),
    ] {
        if points.len() < 3 {
            continue;
        }
        let (x, y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
        let (slope, rank) = (slope(&x, &y), rank_correlation(&x, &y));
        words.push(match rank {
            r if r > TREND => format!("{title} grows with depth"),
            r if r < -TREND => format!("{title} falls with depth"),
            _ => format!("{title} has no trend"),
        });
        body.facts.push(Fact::new(format!("{title}: slope a layer"), slope));
        body.facts.push(Fact::new(format!("{title}: rank correlation with depth"), rank));
        body.panels.push(Panel::new(title, Axis::whole("layer"), Axis::linear("")).with(Mark::Line {
            name: String::new(),
            x: x.into_iter().collect(),
            y: y.into_iter().collect(),
            tone: Tone::Main,
            dashed: false,
        }));
    }
    if body.panels.is_empty() {
        return Err("not applicable: fewer than three layers can be compared".to_owned());
    }
    body.says = format!("For {}: {}.", role_words(role), words.join(", "));
    Ok(body)
}
