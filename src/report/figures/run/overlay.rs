//! Several runs on one axis.

use super::{Column, by_step, empty, steps};
use crate::report::figures::statistics::quantile;
use crate::report::figures::{Axis, Figure, Mark, Panel, Tone};
use crate::terms::LogPoint;

/// Takes one of the values out of a line of the log.
type Logged = fn(&LogPoint) -> Option<f64>;

/// What a trainer logs, by the name under which it can be laid over other runs.
pub const LOGGED: [(&str, Logged); 3] =
    [("loss", |p| p.loss), ("learning_rate", |p| p.learning_rate), ("grad_norm", |p| p.grad_norm)];

/// Runs that can still be told apart on one axis.
pub const OVERLAY_RUNS_MAX: usize = 8;

/// A line of the trainer's log as the only subject of a run; none where `metric` is not one.
pub fn logged(metric: &str, log: &[LogPoint]) -> Option<Vec<Column>> {
    let (_, value) = LOGGED.iter().find(|(name, _)| *name == metric)?;
    let points = log.iter().filter_map(|point| Some((point.step, value(point)?))).collect();
    Some(vec![Column { name: metric.to_owned(), layer: None, role: None, points }])
}

/// One line a run: the median of the metric over the given subjects.
pub fn overlay(metric: &str, runs: &[(String, Vec<Column>)]) -> Figure {
    let mut figure = empty("overlay", metric.replace('_', " "), "How does this run compare with the others?");
    let words = metric.replace('_', " ");
    let subjects = runs.iter().map(|(_, columns)| columns.len()).max().unwrap_or(0);
    let label = if subjects > 1 { format!("{words}, median") } else { words };
    let mut panel = Panel::new("", Axis::whole("step"), Axis::linear(label));
    for (index, (run, columns)) in runs.iter().enumerate() {
        let steps = steps(columns);
        if steps.is_empty() {
            continue;
        }
        let values = by_step(columns, &steps);
        panel = panel.with(Mark::Line {
            name: run.clone(),
            x: steps.iter().map(|step| *step as f64).collect(),
            y: values.iter().map(|values| quantile(values, 0.5)).collect(),
            tone: Tone::Nth(index as u32),
            dashed: false,
        });
    }
    match panel.marks.len() {
        0 => figure.absent = Some("none of these runs has a value of this metric".to_owned()),
        lines => {
            figure.says = if subjects > 1 {
                format!("Median over up to {subjects} subjects of each of {lines} runs.")
            } else {
                format!("One line for each of {lines} runs.")
            };
            figure.panels = vec![panel];
        }
    }
    figure
}
