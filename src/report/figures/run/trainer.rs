//! What the trainer logged.

use super::{Onset, empty, marked};
use crate::detect::regimes;
use crate::report::figures::{Axis, Fact, Figure, Mark, Panel, Side, Tone};
use crate::terms::LogPoint;

/// Points that a line is thinned to: a wide screen has no more pixels.
const POINTS_MAX: usize = 1500;
/// Changes of the schedule that are marked: more would hide the line.
const REGIMES_MAX: usize = 8;

/// Loss, learning rate and gradient norm over steps, with the openings of findings and what the schedule did.
pub fn trainer(log: &[LogPoint], onsets: &[Onset]) -> Figure {
    let mut figure = empty("trainer", "Training", "How does the training itself go?");
    let announced = regimes(log);
    type Value = fn(&LogPoint) -> Option<f64>;
    let lines: [(&str, Value); 3] =
        [("loss", |p| p.loss), ("learning rate", |p| p.learning_rate), ("gradient norm", |p| p.grad_norm)];
    for (title, value) in lines {
        let points: Vec<(f64, f64)> = log.iter().filter_map(|p| Some((p.step as f64, value(p)?))).collect();
        let Some(&(step, last)) = points.last() else { continue };
        figure.facts.push(Fact::new(title, last));
        if title == "loss" {
            figure.says =
                format!("Loss {last:.4} at step {step}, from {:.4} at step {}.", points[0].1, points[0].0);
        }
        let stride = points.len().div_ceil(POINTS_MAX).max(1);
        let mut panel = Panel::new(title, Axis::whole("step"), Axis::linear("")).with(Mark::Line {
            name: String::new(),
            x: points.iter().step_by(stride).map(|p| p.0).collect(),
            y: points.iter().step_by(stride).map(|p| p.1).collect(),
            tone: Tone::Main,
            dashed: false,
        });
        for regime in announced.iter().take(REGIMES_MAX) {
            panel = panel.with(Mark::Rule {
                axis: Side::X,
                at: regime.step as f64,
                label: regime.change.words().to_owned(),
                tone: Tone::Quiet,
            });
        }
        figure.panels.push(marked(panel, onsets));
    }
    if figure.panels.is_empty() {
        figure.absent = Some("the trainer left no log beside the checkpoints".to_owned());
    }
    figure
}
