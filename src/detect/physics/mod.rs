//! Bounds of the optimizer, and speed against one's own past.

pub mod abnormal_speed;
pub mod impossible_update;
pub mod optimizer_state_blowup;
pub mod optimizer_state_lost;
pub mod unfamiliar_change;
pub mod updates_rounded_away;
pub mod updates_vanished;

use std::collections::BTreeMap;

use super::view::View;
use crate::terms::TensorReading;

/// Tensors by their score, most suspect first: those beyond their limit, or where there is none those near
/// it (from one half on), which open nothing and only show that an open case is not over.
fn ranked<'a>(view: &View<'a>, scores: &BTreeMap<usize, f64>) -> Vec<(&'a TensorReading, f64)> {
    let near = scores.iter().filter(|(_, score)| **score >= 0.5);
    let mut hit: Vec<_> = near.map(|(&index, &score)| (&view.reading.tensors[index], score)).collect();
    hit.sort_by(|a, b| b.1.total_cmp(&a.1));
    if hit.first().is_some_and(|(_, score)| *score >= 1.0) {
        hit.retain(|(_, score)| *score >= 1.0);
    }
    hit
}
