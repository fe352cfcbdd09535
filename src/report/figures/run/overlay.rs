//! Several runs on one axis.

use super::{Column, empty};
use crate::report::figures::statistics::{quantile, sorted};
use crate::report::figures::{Axis, Figure, Mark, Panel, Tone};

/// One line a run: the median of the metric over the given subjects.
pub fn overlay(metric: &str, runs: &[(String, Vec<Column>)]) -> Figure {
    let mut figure = empty("overlay", metric.replace('_', " "), "How does this run compare with the others?");
    let mut panel =
        Panel::new("", Axis::whole("step"), Axis::linear(format!("{}, median", metric.replace('_', " "))));
    for (index, (run, columns)) in runs.iter().enumerate() {
        let mut values: std::collections::BTreeMap<u64, Vec<f64>> = std::collections::BTreeMap::new();
        for (step, value) in columns.iter().flat_map(|column| &column.points) {
            values.entry(*step).or_default().push(*value);
        }
        if values.is_empty() {
            continue;
        }
        panel = panel.with(Mark::Line {
            name: run.clone(),
            x: values.keys().map(|step| *step as f64).collect(),
            y: values.into_values().map(|values| quantile(&sorted(values), 0.5)).collect(),
            tone: Tone::Nth(index as u32),
            dashed: false,
        });
    }
    match panel.marks.len() {
        0 => figure.absent = Some("none of these runs has a value of this metric".to_owned()),
        lines => {
            figure.says = format!("Median over the tensors of each of {lines} runs.");
            figure.panels = vec![panel];
        }
    }
    figure
}
