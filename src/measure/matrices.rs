//! Tiers 2 and 3: what needs a whole matrix at once (spectra, heads, positions, structure).
//!
//! Work is cut into tasks that are independent of each other: one a matrix, an attention block, a table,
//! a pair of projections. Each thread takes the dearest task that is left and reads its tensors in
//! panels, so that memory is bounded by the threads' Gram matrices. A task that fails costs its own
//! metrics. A new family is one file, one line in [`PLANNERS`] and its entries in the room's list.

pub(super) mod adapters;
mod budget;
pub(super) mod drift;
#[cfg(test)]
mod drift_tests;
pub(super) mod embeddings;
pub(super) mod experts;
pub(super) mod heads;
mod heads_defs;
mod panel;
pub(super) mod positions;
mod products;
pub(super) mod spectrum;
mod spectrum_defs;
pub(super) mod structure;
#[cfg(test)]
mod structure_tests;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use self::tasks::{Context, Finished, Task};
use super::{Plan, Previous, Progress, Weighed};
use crate::terms::{BlockSource, ModelMap, Samples, Subject, SubjectReading, Tier};

/// What each family has to do for a checkpoint; [`Plan::spectra_alone`] stops after the first.
const PLANNERS: &[for<'a> fn(&'a Context<'a>) -> Vec<Task<'a>>] = &[
    spectrum::tasks,
    heads::tasks,
    positions::tasks,
    embeddings::tasks,
    structure::tasks,
    adapters::tasks,
    experts::tasks,
];

/// Adds the metrics of tiers 2 and 3, up to `plan.tier`, to what tier 1 has found.
///
/// `previous` comes with the steps since.
///
/// Runs inside the room's thread pool: `rayon` calls use `plan.threads` threads. `weighed.tensors` is in
/// file order but leaves out what could not be read, so look tensors up by name, not by index.
pub(super) fn tier_two_three(
    source: &dyn BlockSource,
    map: &ModelMap,
    previous: Option<(&Previous<'_>, u64)>,
    plan: &Plan,
    progress: &dyn Progress,
    weighed: &mut Weighed,
) {
    if plan.tier < Tier::Two {
        return;
    }
    rayon::broadcast(|_| progress.leisure());
    let finished = {
        let context = Context::new(source, map, plan, &weighed.tensors);
        let context = match previous.filter(|_| plan.spectra_of_previous) {
            Some((previous, steps)) => context.with_before(previous.source, steps),
            None => context,
        };
        let planners = if plan.spectra_alone { &PLANNERS[..1] } else { PLANNERS };
        let tasks = planners.iter().flat_map(|planner| planner(&context)).collect();
        tasks::run(&context, tasks)
    };
    let by_name: HashMap<Arc<str>, usize> =
        weighed.tensors.iter().enumerate().map(|(at, tensor)| (Arc::clone(&tensor.facts.name), at)).collect();
    // several families speak of the same layer
    let mut subjects_by_name: BTreeMap<Subject, SubjectReading> = BTreeMap::new();
    for Finished { tensors, subjects, problem } in finished {
        for (index, sheet) in tensors {
            let Some(&at) = by_name.get(&source.tensors()[index].name) else { continue };
            let reading = &mut weighed.tensors[at];
            reading.absent.extend(sheet.absent);
            reading.samples.extend(sheet.samples);
            if !sheet.spectrum.is_empty() {
                reading.spectrum = sheet.spectrum;
            }
        }
        for found in subjects {
            let have = subjects_by_name.entry(found.subject.clone()).or_insert_with(|| SubjectReading {
                samples: Samples::new(),
                lists: BTreeMap::new(),
                absent: BTreeMap::new(),
                subject: found.subject,
            });
            have.samples.extend(found.samples);
            have.lists.extend(found.lists);
            have.absent.extend(found.absent);
        }
        weighed.problems.extend(problem);
    }
    weighed.subjects.extend(subjects_by_name.into_values());
}
