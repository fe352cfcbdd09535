//! Layer × step: any metric of every tensor over the run.

use std::collections::HashMap;

use super::{Column, empty, steps};
use crate::report::figures::statistics::{quantile, sorted};
use crate::report::figures::{Axis, Fact, Figure, Mark, Numbers, Panel, Ramp};
use crate::report::number::short;

/// Most columns: more than a wide screen has pixels for is waste.
const COLUMNS_MAX: usize = 600;

/// What the colours of a heat map compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compare {
    /// Each row with its own median over the run: shows when something changed, however large it is.
    #[default]
    Own,
    /// All rows with each other: shows what is large.
    All,
}

/// One row a subject, in the order given; steps across. Colours run over the middle 98 % of the values.
pub fn heat(metric: &str, columns: &[Column], compare: Compare) -> Figure {
    let words = metric.replace('_', " ");
    let mut figure = empty("heat", words.clone(), "When and where did it change?");
    let all = steps(columns);
    if all.is_empty() {
        figure.absent = Some("no checkpoint of this run has a value of this metric".to_owned());
        return figure;
    }
    let shown = thin(&all);
    let (mut cells, raw) =
        (cells(columns, &shown, compare), sorted(columns.iter().flat_map(|c| c.points.iter().map(|p| p.1))));
    let (low, high) = limits(&cells);
    let (least, most) = (raw.first().copied().unwrap_or(f64::NAN), raw.last().copied().unwrap_or(f64::NAN));
    figure.says = match compare {
        Compare::Own => format!(
            "{} rows, {} checkpoints; colours show by how much a value differs from its own row's median.",
            columns.len(),
            all.len()
        ),
        Compare::All => format!(
            "{} rows, {} checkpoints; values run from {} to {}, colours over the middle 98 % of them.",
            columns.len(),
            all.len(),
            short(least),
            short(most)
        ),
    };
    figure.facts = vec![
        Fact::new("smallest", least),
        Fact::new("median", quantile(&raw, 0.5)),
        Fact::new("largest", most),
    ];
    cells.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = f64::NAN);
    let labels = columns.iter().map(|column| column.name.clone()).collect();
    figure.panels = vec![Panel::new("", Axis::whole("step"), Axis::named("", labels)).with(Mark::Heat {
        rows: columns.len(),
        columns: shown.len(),
        values: Numbers(cells),
        ramp: if low < 0.0 { Ramp::Diverging } else { Ramp::Sequential },
        low,
        high,
        label: if compare == Compare::Own { format!("{words} against its own median") } else { words },
        y: [0.0, columns.len() as f64],
        x: [shown[0] as f64, shown[shown.len() - 1] as f64],
        at: Some(shown.iter().map(|step| *step as f64).collect()),
    })];
    figure
}

/// At most [`COLUMNS_MAX`] steps, the newest always among them.
fn thin(all: &[u64]) -> Vec<u64> {
    let stride = all.len().div_ceil(COLUMNS_MAX);
    let mut shown: Vec<u64> = all.iter().rev().copied().step_by(stride).collect();
    shown.reverse();
    shown
}

fn cells(columns: &[Column], shown: &[u64], compare: Compare) -> Vec<f64> {
    let place: HashMap<u64, usize> = shown.iter().enumerate().map(|(index, step)| (*step, index)).collect();
    let mut cells = vec![f64::NAN; columns.len() * shown.len()];
    for (row, column) in columns.iter().enumerate() {
        let middle = match compare {
            Compare::All => 0.0,
            Compare::Own => quantile(&sorted(column.points.iter().map(|point| point.1)), 0.5),
        };
        // Relative to the median, or, where that is nothing, as it is.
        let scale = if compare == Compare::Own && middle != 0.0 { middle.abs() } else { 1.0 };
        for (step, value) in &column.points {
            if let Some(index) = place.get(step) {
                cells[row * shown.len() + index] = (value - middle) / scale;
            }
        }
    }
    cells
}

/// Where the colours begin and end; around zero where there are values on both sides of it.
fn limits(cells: &[f64]) -> (f64, f64) {
    let ascending = sorted(cells.iter().copied());
    let (low, high) = (quantile(&ascending, 0.01), quantile(&ascending, 0.99));
    if low < 0.0 && high > 0.0 {
        let limit = high.max(-low);
        return (-limit, limit);
    }
    if high > low {
        return (low, high);
    }
    let (first, last) = (ascending.first().copied().unwrap_or(0.0), ascending.last().copied().unwrap_or(0.0));
    if last > first { (first, last) } else { (first, first + first.abs().max(1.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, values: &[f64]) -> Column {
        let points = values.iter().enumerate().map(|(step, value)| (step as u64, *value)).collect();
        Column { name: name.to_owned(), layer: None, role: None, points }
    }

    #[test]
    fn rows_are_compared_with_themselves() {
        let cells = cells(
            &[column("a", &[1.0, 1.0, 2.0]), column("b", &[100.0, 50.0, 100.0])],
            &[0, 1, 2],
            Compare::Own,
        );
        assert_eq!(cells, [0.0, 0.0, 1.0, 0.0, -0.5, 0.0]);
        assert_eq!(limits(&[-0.5, 0.2, 1.0]).0, -limits(&[-0.5, 0.2, 1.0]).1);
    }

    #[test]
    fn the_newest_step_is_always_shown() {
        let all: Vec<u64> = (0..1501).collect();
        let shown = thin(&all);
        assert!(shown.len() <= COLUMNS_MAX && shown.last() == Some(&1500));
    }

    #[test]
    fn constant_values_have_colours_too() {
        let figure = heat("rms", &[column("a", &[0.5, 0.5])], Compare::All);
        assert!(matches!(figure.panels[0].marks[0], Mark::Heat { low, high, .. } if high > low));
    }
}
