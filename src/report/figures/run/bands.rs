//! A metric over the run, with the band of the same role's siblings.

use std::collections::BTreeMap;

use super::{Column, Onset, by_step, empty, marked, steps};
use crate::report::figures::statistics::quantile;
use crate::report::figures::{Axis, Figure, Mark, Numbers, Panel, Tone, role_words};
use crate::terms::Role;

/// One panel a role: median of its tensors, the band between the 5 % and the 95 % quantile, and the one
/// that lies farthest from the median at the end.
pub fn bands(metric: &str, columns: &[Column], onsets: &[Onset]) -> Figure {
    let mut figure =
        empty("bands", format!("{} by group", metric.replace('_', " ")), "Does a tensor leave its siblings?");
    let mut roles: BTreeMap<Option<Role>, Vec<&Column>> = BTreeMap::new();
    for column in columns.iter().filter(|column| !column.points.is_empty()) {
        roles.entry(column.role).or_default().push(column);
    }
    for (role, siblings) in &roles {
        figure.panels.push(panel(role.map_or_else(|| "all".to_owned(), role_words), siblings, onsets));
    }
    if figure.panels.is_empty() {
        figure.absent = Some("no checkpoint of this run has a value of this metric".to_owned());
    } else {
        figure.says = format!(
            "{} subjects in {} groups; bands hold the middle 90 % of each.",
            columns.len(),
            roles.len()
        );
    }
    figure
}

fn panel(title: String, siblings: &[&Column], onsets: &[Onset]) -> Panel {
    let all = steps(siblings.iter().copied());
    let at = by_step(siblings.iter().copied(), &all);
    let line = |p: f64| Numbers(at.iter().map(|values| quantile(values, p)).collect());
    let x: Numbers = all.iter().map(|step| *step as f64).collect();
    let mut panel = Panel::new(title, Axis::whole("step"), Axis::linear(""));
    if siblings.len() > 1 {
        let band = Mark::Band {
            name: "middle 90 %".to_owned(),
            x: x.clone(),
            low: line(0.05),
            high: line(0.95),
            tone: Tone::Quiet,
        };
        panel = panel.with(band);
    }
    panel = panel.with(Mark::Line {
        name: "median".to_owned(),
        x,
        y: line(0.5),
        tone: Tone::Main,
        dashed: false,
    });
    let median = at.last().map_or(f64::NAN, |values| quantile(values, 0.5));
    let farthest = siblings.iter().max_by(|a, b| {
        let off = |column: &Column| column.points.last().map_or(0.0, |point| (point.1 - median).abs());
        off(a).total_cmp(&off(b))
    });
    if let Some(column) = farthest.filter(|_| siblings.len() > 2) {
        panel = panel.with(Mark::Line {
            name: column.name.clone(),
            x: column.points.iter().map(|point| point.0 as f64).collect(),
            y: column.points.iter().map(|point| point.1).collect(),
            tone: Tone::Reference,
            dashed: false,
        });
    }
    marked(panel, onsets)
}
