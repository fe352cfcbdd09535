//! Layer × step: any metric of every tensor over the run.

use super::{Column, Onset, empty, marked, steps};
use crate::report::figures::statistics::quantile_of;
use crate::report::figures::{Axis, Fact, Figure, Mark, Numbers, Panel, Ramp};
use crate::report::number::short;

/// Most columns: more than a wide screen has pixels for is waste.
const COLUMNS_MAX: usize = 600;
/// Most cells, so that a model of thousands of tensors is still a few megabytes and not a hundred; and the columns
/// that such a model has at least.
const CELLS_MAX: usize = 300_000;
const COLUMNS_MIN: usize = 40;

/// What the colours of a heat map compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compare {
    /// Each row with its own median over the run: shows when something changed, however large it is.
    #[default]
    Own,
    /// All rows with each other: shows what is large.
    All,
}

/// One row a subject, in the order given; steps across, the openings of findings marked. Colours run over the middle 98 % of the values.
pub fn heat(metric: &str, columns: &[Column], compare: Compare, onsets: &[Onset]) -> Figure {
    let words = metric.replace('_', " ");
    let mut figure = empty("heat", format!("{words} over the run"), "When and where did it change?");
    let all = steps(columns);
    if all.is_empty() {
        figure.absent = Some("no checkpoint of this run has a value of this metric".to_owned());
        return figure;
    }
    let shown = thin(&all, columns);
    let mut cells = cells(columns, &shown, compare);
    let (low, high) = limits(&cells);
    let mut raw: Vec<f64> = finite(columns.iter().flat_map(|column| &column.points).map(|point| point.1));
    let (least, median, most) =
        (quantile_of(&mut raw, 0.0), quantile_of(&mut raw, 0.5), quantile_of(&mut raw, 1.0));
    let (rows, checkpoints) = (columns.len(), all.len());
    let thinned = match checkpoints.div_ceil(shown.len()) {
        1 => String::new(),
        stride => format!(" (of {stride} neighbours the one that stands out most, and the newest)"),
    };
    let colours = match compare {
        Compare::Own => "colours show by how much a value differs from its own row's median".to_owned(),
        Compare::All => format!(
            "values run from {} to {}, colours over the middle 98 % of them",
            short(least),
            short(most)
        ),
    };
    figure.says = format!("{rows} rows, {checkpoints} checkpoints{thinned}; {colours}.");
    figure.facts =
        vec![Fact::new("smallest", least), Fact::new("median", median), Fact::new("largest", most)];
    cells.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = f64::NAN);
    let labels = columns.iter().map(|column| column.name.clone()).collect();
    let panel = Panel::new("", Axis::whole("step"), Axis::named("", labels)).with(Mark::Heat {
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
    });
    figure.panels = vec![marked(panel, onsets)];
    figure
}

/// As many steps as so many rows bear: of each few neighbours the one at which a row is farthest from its own
/// median, so that no spike is lost, and the newest.
fn thin(all: &[u64], columns: &[Column]) -> Vec<u64> {
    let most = (CELLS_MAX / columns.len().max(1)).clamp(COLUMNS_MIN, COLUMNS_MAX);
    let stride = all.len().div_ceil(most);
    if stride < 2 {
        return all.to_vec();
    }
    let mut far = farthest(all, columns);
    far.last_mut().into_iter().for_each(|newest| *newest = f64::INFINITY);
    let groups = all.rchunks(stride).zip(far.rchunks(stride));
    // The last of equals.
    let most = |(steps, far): (&[u64], &[f64])| {
        let pairs = steps.iter().zip(far);
        pairs.max_by(|left, right| left.1.total_cmp(right.1)).map(|(step, _)| *step)
    };
    let mut shown: Vec<u64> = groups.filter_map(most).collect();
    shown.reverse();
    shown
}

/// How far the farthest row is from its own median at each step, in that row's median distances. What is not a
/// number is farther than anything.
fn farthest(all: &[u64], columns: &[Column]) -> Vec<f64> {
    let mut far = vec![0.0_f64; all.len()];
    for column in columns {
        let mut known = finite(column.points.iter().map(|point| point.1));
        let middle = quantile_of(&mut known, 0.5);
        known.iter_mut().for_each(|value| *value = (*value - middle).abs());
        let usual = quantile_of(&mut known, 0.5).max(f64::MIN_POSITIVE);
        let mut place = 0;
        for (step, value) in &column.points {
            place += all[place..].iter().take_while(|other| *other < step).count();
            let distance = if value.is_finite() { (value - middle).abs() / usual } else { f64::INFINITY };
            far[place] = far[place].max(distance);
        }
    }
    far
}

fn cells(columns: &[Column], shown: &[u64], compare: Compare) -> Vec<f64> {
    let mut cells = vec![f64::NAN; columns.len() * shown.len()];
    for (row, column) in columns.iter().enumerate() {
        let middle = match compare {
            Compare::All => 0.0,
            Compare::Own => quantile_of(&mut finite(column.points.iter().map(|point| point.1)), 0.5),
        };
        // Relative to the median, or, where that is nothing, as it is.
        let scale = if compare == Compare::Own && middle != 0.0 { middle.abs() } else { 1.0 };
        // Both go by step.
        let mut points = column.points.iter().peekable();
        for (cell, step) in cells[row * shown.len()..].iter_mut().zip(shown) {
            while points.next_if(|point| point.0 < *step).is_some() {}
            if let Some((_, value)) = points.next_if(|point| point.0 == *step) {
                *cell = (value - middle) / scale;
            }
        }
    }
    cells
}

/// Where the colours begin and end; around zero where there are values on both sides of it.
fn limits(cells: &[f64]) -> (f64, f64) {
    let mut known = finite(cells.iter().copied());
    let (low, high) = (quantile_of(&mut known, 0.01), quantile_of(&mut known, 0.99));
    if low < 0.0 && high > 0.0 {
        let limit = high.max(-low);
        return (-limit, limit);
    }
    if high > low {
        return (low, high);
    }
    if known.is_empty() {
        return (0.0, 1.0);
    }
    let (first, last) = (quantile_of(&mut known, 0.0), quantile_of(&mut known, 1.0));
    if last > first { (first, last) } else { (first, first + first.abs().max(1.0)) }
}

fn finite(values: impl Iterator<Item = f64>) -> Vec<f64> {
    values.filter(|value| value.is_finite()).collect()
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
    fn the_newest_step_and_every_spike_are_shown() {
        let all: Vec<u64> = (0..1501).collect();
        for (rows, most) in [(148, COLUMNS_MAX), (3000, 100), (10_000, COLUMNS_MIN)] {
            let shown = thin(&all, &vec![column("flat", &[]); rows]);
            assert!(shown.len() <= most && shown.len() > most / 2 && shown.last() == Some(&1500));
        }
        let noise = |step: usize| ((step * 7919) % 101) as f64 / 100.0;
        for spike in [3.0, f64::NAN, f64::NEG_INFINITY] {
            let mut values: Vec<f64> = (0..1501).map(noise).collect();
            (values[700], values[1039]) = (spike, spike);
            let shown = thin(&all, &[column("loud", &[1000.0, 0.0]), column("spiky", &values)]);
            assert!(shown.contains(&700) && shown.contains(&1039), "{spike}");
        }
    }

    #[test]
    fn constant_values_have_colours_too() {
        let figure = heat("rms", &[column("a", &[0.5, 0.5])], Compare::All, &[]);
        assert!(matches!(figure.panels[0].marks[0], Mark::Heat { low, high, .. } if high > low));
    }
}
