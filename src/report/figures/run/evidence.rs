//! What a finding rests on, before and after.

use super::{Column, by_step, empty, steps};
use crate::report::figures::statistics::quantile;
use crate::report::figures::{Axis, Fact, Figure, Mark, Numbers, Panel, Side, Tone};
use crate::terms::Finding;

/// One piece of evidence with its series and those of its siblings.
pub struct Trail {
    /// Metric.
    pub metric: String,
    /// What was measured.
    pub subject: Column,
    /// The same metric of the same role's other tensors.
    pub siblings: Vec<Column>,
    /// What was expected, in words.
    pub expected: String,
    /// Value at the opening.
    pub value: Option<f64>,
}

/// One panel a trail: the subject's line over its siblings' band, with opening and resolution marked.
pub fn evidence(finding: &Finding, trails: &[Trail]) -> Figure {
    let mut figure = empty("evidence", "Evidence", "What was measured before and after it began?");
    for trail in trails.iter().filter(|trail| !trail.subject.points.is_empty()) {
        if let Some(value) = trail.value {
            figure.facts.push(Fact::new(
                format!("{} of {}", trail.metric.replace('_', " "), trail.subject.name),
                value,
            ));
        }
        figure.panels.push(panel(finding, trail));
    }
    if figure.panels.is_empty() {
        figure.absent =
            Some("this finding rests on the files themselves: there is no series to plot".to_owned());
    } else {
        figure.says =
            "Lines are the suspects, bands the middle 90 % of their siblings; the red rule is the opening."
                .to_owned();
    }
    figure
}

fn panel(finding: &Finding, trail: &Trail) -> Panel {
    let title = format!("{} · {}", trail.metric.replace('_', " "), trail.subject.name);
    let mut panel = Panel::new(title, Axis::whole("step"), Axis::linear(""));
    if trail.siblings.len() > 1 {
        let all = steps(&trail.siblings);
        let at = by_step(&trail.siblings, &all);
        panel = panel.with(Mark::Band {
            name: "siblings, middle 90 %".to_owned(),
            x: all.iter().map(|step| *step as f64).collect(),
            low: Numbers(at.iter().map(|values| quantile(values, 0.05)).collect()),
            high: Numbers(at.iter().map(|values| quantile(values, 0.95)).collect()),
            tone: Tone::Quiet,
        });
    }
    panel = panel
        .with(Mark::Line {
            name: "this one".to_owned(),
            x: trail.subject.points.iter().map(|point| point.0 as f64).collect(),
            y: trail.subject.points.iter().map(|point| point.1).collect(),
            tone: Tone::Main,
            dashed: false,
        })
        .with(Mark::Rule {
            axis: Side::X,
            at: finding.step.0 as f64,
            label: "opened".to_owned(),
            tone: Tone::Alarm,
        });
    if let Some(step) = finding.resolved_step {
        panel = panel.with(Mark::Rule {
            axis: Side::X,
            at: step.0 as f64,
            label: "resolved".to_owned(),
            tone: Tone::Reference,
        });
    }
    panel
}
