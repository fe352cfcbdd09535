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

use super::{Basis, Figure};
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
fn steps(columns: &[Column]) -> Vec<u64> {
    let mut steps: Vec<u64> =
        columns.iter().flat_map(|column| column.points.iter().map(|point| point.0)).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}
