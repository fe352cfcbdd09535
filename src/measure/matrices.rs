//! Tiers 2 and 3: what needs a whole matrix at once (spectra, heads, positions, structure).
//!
//! Work is cut into jobs that are independent of each other: one a matrix, an attention block, a table.
//! Each thread takes the dearest job that is left and reads its tensor in panels, so that memory is
//! bounded by the threads' Gram matrices. A job that fails costs its own metrics.

mod budget;
mod panel;
mod products;
mod spectrum;
mod spectrum_defs;
mod tasks;

use std::collections::HashMap;
use std::sync::Arc;

use self::spectrum::Depth;
use self::tasks::{Context, Finished, Task};
use super::{Plan, Previous, Progress, Weighed};
use crate::terms::{BlockSource, ModelMap, Reason, TensorReading, Tier};

pub(super) use self::spectrum_defs::DEFS as SPECTRUM;

/// Adds the metrics of tiers 2 and 3, up to `plan.tier`, to what tier 1 has found.
///
/// Runs inside the room's thread pool: `rayon` calls use `plan.threads` threads. `weighed.tensors` is in
/// file order but leaves out what could not be read, so look tensors up by name, not by index.
pub(super) fn tier_two_three(
    source: &dyn BlockSource,
    map: &ModelMap,
    _previous: Option<&Previous<'_>>,
    plan: &Plan,
    _progress: &dyn Progress,
    weighed: &mut Weighed,
) {
    if plan.tier < Tier::Two {
        return;
    }
    let tasks = plan_tasks(source, plan, weighed);
    let context = Context { source, map, threads: plan.threads.max(1) };
    let finished = tasks::run(&context, tasks);
    let by_name: HashMap<Arc<str>, usize> =
        weighed.tensors.iter().enumerate().map(|(at, tensor)| (Arc::clone(&tensor.facts.name), at)).collect();
    for Finished { tensors, subjects, problem } in finished {
        for (index, sheet) in tensors {
            let Some(&at) = by_name.get(&source.tensors()[index].name) else { continue };
            let reading = &mut weighed.tensors[at];
            reading.absent.extend(sheet.absent);
            reading.samples.extend(sheet.samples);
        }
        weighed.subjects.extend(subjects);
        weighed.problems.extend(problem);
    }
    weighed.subjects.sort_by(|a, b| a.subject.cmp(&b.subject));
}

/// Decides what is to be done, in file order.
fn plan_tasks(source: &dyn BlockSource, plan: &Plan, weighed: &mut Weighed) -> Vec<Task> {
    let index_of: HashMap<&str, usize> =
        source.tensors().iter().enumerate().map(|(index, info)| (&*info.name, index)).collect();
    let mut spectra: Vec<(usize, f64, f64)> = Vec::new();
    for reading in &mut weighed.tensors {
        let Some(&index) = index_of.get(&*reading.facts.name) else { continue };
        match no_matrix(reading) {
            Some(reason) => {
                let mut sheet = super::sheet::Sheet::default();
                spectrum::lack(&reason, &mut sheet);
                reading.absent.extend(sheet.absent);
            }
            None => {
                let shape = &reading.facts.shape;
                let cost = budget::seconds(shape[0] as usize, shape[1] as usize);
                spectra.push((index, cost, scale_of(reading)));
            }
        }
    }
    let may_be_full = |index: usize| {
        let shape = &source.tensors()[index].shape;
        shape.iter().copied().min().unwrap_or(0) <= spectrum::FULL_SIDE_MAX as u64
    };
    let turn = if plan.tier >= Tier::Three {
        let costs: Vec<f64> =
            spectra.iter().map(|(index, cost, _)| if may_be_full(*index) { *cost } else { 0.0 }).collect();
        budget::turns(&costs, plan.spectra_budget, plan.round)
    } else {
        vec![false; spectra.len()]
    };
    let mut tasks = Vec::new();
    for ((index, cost, scale), turn) in spectra.into_iter().zip(turn) {
        let (depth, lacking) = match (turn, may_be_full(index)) {
            (true, true) => (Depth::Full, None),
            (true, false) => (Depth::Top, Some(Reason::NotApplicable("the short side is beyond 8192"))),
            (false, _) if plan.tier >= Tier::Three => (Depth::Top, Some(Reason::OverBudget)),
            (false, _) => (Depth::Top, None),
        };
        tasks.push(Task::Spectrum { index, depth, scale, lacking, cost });
    }
    tasks
}

/// Why a tensor has no metrics of a matrix, if so, from what tier 1 saw.
fn no_matrix(reading: &TensorReading) -> Option<Reason> {
    let sample = |name: &str| reading.samples.get(name).copied().unwrap_or(0.0);
    match *reading.facts.shape.as_slice() {
        [rows, columns] if rows.min(columns) < 2 => Some(Reason::TooFew { needs: 2 }),
        [_, _] if sample("nan_elements") + sample("inf_elements") > 0.0 => Some(Reason::NotFinite),
        [_, _] if sample("abs_max") == 0.0 => Some(Reason::AllZero),
        [_, _] => None,
        _ => Some(Reason::NotMatrix),
    }
}

/// What to divide the elements by: 1, unless their squares would leave the range of f64.
fn scale_of(reading: &TensorReading) -> f64 {
    /// Fourth powers of elements between these, summed, stay finite and normal.
    const SAFE: std::ops::RangeInclusive<f64> = 1e-60..=1e60;
    let largest = reading.samples.get("abs_max").copied().unwrap_or(1.0);
    if SAFE.contains(&largest) { 1.0 } else { largest }
}
