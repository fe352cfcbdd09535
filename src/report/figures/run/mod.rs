//! A run over its steps, and runs beside each other.

mod bands;
mod evidence;
mod heat;
mod overlay;
mod trainer;
mod trajectory;

pub use bands::bands;
pub use evidence::{Trail, evidence};
pub use heat::{Compare, heat};
pub use overlay::{LOGGED, OVERLAY_RUNS_MAX, logged, overlay};
pub use trainer::trainer;
pub use trajectory::trajectory;

use super::{Basis, Figure, Mark, Panel, Side, Tone};
use crate::terms::Role;

/// One subject's values of one metric over steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Tensor name, or words for a head, layer or model.
    pub name: String,
    /// Depth, where it has one.
    pub layer: Option<u32>,
    /// Part in the model, where it is a tensor.
    pub role: Option<Role>,
    /// (step, value), by step.
    pub points: Vec<(u64, f64)>,
}

/// A finding's place on the step axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Onset {
    /// Step of its opening.
    pub step: u64,
    /// Detector.
    pub label: String,
}

/// Onsets that are marked: more would hide the lines.
const ONSETS_MAX: usize = 6;

/// The panel with a rule where each finding opened.
fn marked(mut panel: Panel, onsets: &[Onset]) -> Panel {
    for onset in onsets.iter().take(ONSETS_MAX) {
        let (at, label) = (onset.step as f64, onset.label.clone());
        panel = panel.with(Mark::Rule { axis: Side::X, at, label, tone: Tone::Alarm });
    }
    panel
}

fn empty(id: &'static str, title: impl Into<String>, question: &'static str) -> Figure {
    Figure {
        id,
        title: title.into(),
        question,
        says: String::new(),
        facts: Vec::new(),
        panels: Vec::new(),
        table: None,
        absent: None,
        basis: Basis::Stored,
        tensor: None,
        choices: Vec::new(),
    }
}

/// All steps of all columns, ascending.
fn steps<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Vec<u64> {
    let mut steps: Vec<u64> =
        columns.into_iter().flat_map(|column| column.points.iter().map(|point| point.0)).collect();
    // The stable sort sees that each column ascends already.
    steps.sort();
    steps.dedup();
    steps
}

/// The finite values at each of all steps, ascending.
fn by_step<'a>(columns: impl IntoIterator<Item = &'a Column>, all: &[u64]) -> Vec<Vec<f64>> {
    let mut at = vec![Vec::new(); all.len()];
    for column in columns {
        // Both go by step.
        let mut places = all.iter().zip(&mut at);
        for (step, value) in &column.points {
            let place = places.find(|(other, _)| *other == step);
            if let Some((_, values)) = place.filter(|_| value.is_finite()) {
                values.push(*value);
            }
        }
    }
    at.iter_mut().for_each(|values| values.sort_unstable_by(f64::total_cmp));
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_at_their_steps() {
        let column = |points: &[(u64, f64)]| Column {
            name: String::new(),
            layer: None,
            role: None,
            points: points.to_vec(),
        };
        let columns = [column(&[(1, 5.0), (3, f64::NAN), (4, 2.0)]), column(&[(1, 1.0), (2, 7.0), (4, 9.0)])];
        let all = steps(&columns);
        assert_eq!(all, [1, 2, 3, 4]);
        assert_eq!(by_step(&columns, &all), [vec![1.0, 5.0], vec![7.0], vec![], vec![2.0, 9.0]]);
    }
}
