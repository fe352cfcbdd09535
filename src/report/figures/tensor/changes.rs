//! What changed since the checkpoint before, over the run.

use crate::report::figures::{Axis, Basis, Fact, Figure, Mark, Panel, Tone};

/// Size and direction of the steps that the tensor took: one line a metric, as (metric, [(step, value)]).
pub fn changes(name: &str, series: &[(&str, Vec<(u64, f64)>)]) -> Figure {
    let mut figure = Figure {
        id: "changes",
        title: "Changes since the checkpoint before".to_owned(),
        question: "Does the tensor still learn, and does it move steadily?",
        says: String::new(),
        facts: Vec::new(),
        panels: Vec::new(),
        table: None,
        absent: None,
        basis: Basis::Stored,
        tensor: Some(name.to_owned()),
        choices: Vec::new(),
    };
    for (metric, points) in series.iter().filter(|(_, points)| !points.is_empty()) {
        let axis = if *metric == "update_ratio" { Axis::log("") } else { Axis::linear("") };
        figure.facts.extend(points.last().map(|(_, value)| Fact::new(metric.replace('_', " "), *value)));
        figure.panels.push(Panel::new(metric.replace('_', " "), Axis::whole("step"), axis).with(
            Mark::Line {
                name: String::new(),
                x: points.iter().map(|(step, _)| *step as f64).collect(),
                y: points.iter().map(|(_, value)| *value).collect(),
                tone: Tone::Main,
                dashed: false,
            },
        ));
    }
    match series.iter().find(|(metric, points)| *metric == "update_ratio" && !points.is_empty()) {
        Some((_, points)) => {
            let (step, value) = points[points.len() - 1];
            figure.says =
                format!("Up to step {step} it last moved by {:.3} % of its own size.", value * 100.0);
        }
        None => figure.absent = Some("no earlier checkpoint to compare with".to_owned()),
    }
    figure
}
