//! The tensor's histogram over the checkpoints of its run.

use std::collections::BTreeMap;

use crate::report::figures::checkpoint::spread;
use crate::report::figures::{Axis, Basis, Fact, Figure, Mark, Numbers, Panel, Ramp, Tone};
use crate::report::number::short;
use crate::terms::Step;

/// Bins between the smallest and the largest value that any checkpoint had.
const BINS: usize = 96;

/// Metrics of a [`Moment`] that the picture shows.
pub const METRICS: [&str; 6] = ["min", "max", "std", "q05", "q50", "q95"];

/// The tensor at one checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
    /// Step.
    pub step: Step,
    /// Stored quantiles.
    pub quantiles: Vec<f32>,
    /// Values of [`METRICS`].
    pub samples: BTreeMap<&'static str, f64>,
}

/// Density of the values, step by step, with the extremes as lines.
pub fn over_time(name: &str, past: &[Moment]) -> Figure {
    let mut figure = Figure {
        id: "over-time",
        title: "Values over the run".to_owned(),
        question: "Does the distribution widen, shift or grow tails as training goes on?",
        says: String::new(),
        facts: Vec::new(),
        panels: Vec::new(),
        table: None,
        absent: None,
        basis: Basis::Stored,
        tensor: Some(name.to_owned()),
        choices: Vec::new(),
    };
    let known: Vec<_> = past
        .iter()
        .filter(|moment| moment.quantiles.len() > 1)
        .filter_map(|moment| {
            Some((moment.step, moment, *moment.samples.get("min")?, *moment.samples.get("max")?))
        })
        .collect();
    // The middle of the distribution gives the frame: one outlier of one checkpoint would flatten all.
    let low = known.iter().map(|k| f64::from(k.1.quantiles[0])).fold(f64::INFINITY, f64::min);
    let high = known
        .iter()
        .map(|k| f64::from(k.1.quantiles[k.1.quantiles.len() - 1]))
        .fold(f64::NEG_INFINITY, f64::max);
    if known.len() < 2 || high <= low {
        figure.absent = Some("two checkpoints with values that differ are needed".to_owned());
        return figure;
    }
    let margin = 0.08 * (high - low);
    let (low, high) = (low - margin, high + margin);
    let edges: Vec<f64> = (0..=BINS).map(|i| low + (high - low) * i as f64 / BINS as f64).collect();
    let mut cells = vec![0.0; BINS * known.len()];
    for (column, (_, tensor, min, max)) in known.iter().enumerate() {
        let mass = spread(&tensor.quantiles, &edges, min.min(low), max.max(high)).unwrap_or_default();
        for (bin, share) in mass.into_iter().enumerate() {
            // Row 0 is at the top: the largest values. The square root keeps thin tails visible.
            cells[(BINS - 1 - bin) * known.len() + column] = share.max(0.0).sqrt();
        }
    }
    let top = cells.iter().copied().fold(0.0, f64::max);
    let steps: Vec<f64> = known.iter().map(|k| k.0.0 as f64).collect();
    let stds: Vec<f64> = known.iter().filter_map(|k| k.1.samples.get("std").copied()).collect();
    if let (Some(first), Some(last)) = (stds.first(), stds.last()) {
        figure.says = format!(
            "From step {} to {}, σ went from {} to {} ({:+.1} %).",
            steps[0],
            steps[steps.len() - 1],
            short(*first),
            short(*last),
            (last / first - 1.0) * 100.0
        );
        figure.facts = vec![Fact::new("σ at first", *first), Fact::new("σ at last", *last)];
    }
    let line = |name: &str, metric: &str, tone: Tone| Mark::Line {
        name: name.to_owned(),
        x: Numbers(steps.clone()),
        y: known
            .iter()
            .map(|k| {
                k.1.samples.get(metric).copied().filter(|v| (low..=high).contains(v)).unwrap_or(f64::NAN)
            })
            .collect(),
        tone,
        dashed: true,
    };
    let heat = Mark::Heat {
        rows: BINS,
        columns: known.len(),
        values: Numbers(cells),
        ramp: Ramp::Sequential,
        low: 0.0,
        high: top,
        label: "√ of the share of weights".to_owned(),
        y: [high, low],
        x: [steps[0], steps[steps.len() - 1]],
        at: Some(Numbers(steps.clone())),
    };
    figure.panels = vec![
        Panel::new("", Axis::whole("step"), Axis::linear("weight").from(low).to(high))
            .with(heat)
            .with(line("5 %", "q05", Tone::Reference))
            .with(line("median", "q50", Tone::Reference))
            .with(line("95 %", "q95", Tone::Reference)),
    ];
    figure
}
