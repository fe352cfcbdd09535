//! Layer × step: any metric of every tensor over the run.

use std::collections::HashMap;

use super::{Column, empty, steps};
use crate::report::figures::statistics::{quantile, sorted};
use crate::report::figures::{Axis, Fact, Figure, Mark, Numbers, Panel, Ramp};

/// Most columns: more than a wide screen has pixels for is waste.
const COLUMNS_MAX: usize = 600;

/// One row a subject, in the order given; steps across. Colours run over the middle 98 % of the values.
pub fn heat(metric: &str, columns: &[Column]) -> Figure {
    let mut figure = empty("heat", metric.replace('_', " "), "When and where did it change?");
    let all = steps(columns);
    if all.is_empty() {
        figure.absent = Some("no checkpoint of this run has a value of this metric".to_owned());
        return figure;
    }
    // The newest step is always among those shown.
    let stride = all.len().div_ceil(COLUMNS_MAX);
    let shown: Vec<u64> =
        all.iter().rev().copied().step_by(stride).collect::<Vec<_>>().into_iter().rev().collect();
    let place: HashMap<u64, usize> = shown.iter().enumerate().map(|(index, step)| (*step, index)).collect();
    let mut cells = vec![f64::NAN; columns.len() * shown.len()];
    for (row, column) in columns.iter().enumerate() {
        for (step, value) in &column.points {
            if let Some(index) = place.get(step) {
                cells[row * shown.len() + index] = *value;
            }
        }
    }
    let ascending = sorted(cells.iter().copied());
    let (mut low, mut high) = (quantile(&ascending, 0.01), quantile(&ascending, 0.99));
    let signed = low < 0.0 && high > 0.0;
    if signed {
        high = high.max(-low);
        low = -high;
    }
    let flattest = ascending.first().copied().unwrap_or(0.0);
    if high <= low {
        (low, high) = (flattest, ascending.last().copied().unwrap_or(0.0).max(flattest + f64::MIN_POSITIVE));
    }
    figure.says = format!(
        "{} × {} checkpoints; values run from {:.3e} to {:.3e}, colours over the middle 98 % of them.",
        columns.len(),
        all.len(),
        flattest,
        ascending.last().copied().unwrap_or(f64::NAN)
    );
    figure.facts = vec![
        Fact::new("smallest", flattest),
        Fact::new("median", quantile(&ascending, 0.5)),
        Fact::new("largest", ascending.last().copied().unwrap_or(f64::NAN)),
    ];
    let labels = columns.iter().map(|column| column.name.clone()).collect();
    figure.panels = vec![Panel::new("", Axis::whole("step"), Axis::named("", labels)).with(Mark::Heat {
        rows: columns.len(),
        columns: shown.len(),
        values: Numbers(cells),
        ramp: if signed { Ramp::Diverging } else { Ramp::Sequential },
        low,
        high,
        label: metric.replace('_', " "),
        y: [0.0, columns.len() as f64],
        x: [shown[0] as f64, shown[shown.len() - 1] as f64],
        at: Some(shown.iter().map(|step| *step as f64).collect()),
    })];
    figure
}
