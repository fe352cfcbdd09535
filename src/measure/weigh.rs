//! Weighs all tensors of a checkpoint.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;

use super::change::Interval;
use super::job::{Before, Job, Outcome};
use super::matrices::tier_two_three;
use super::plan::{Plan, Previous, Progress};
use super::sketch::Recipe;
use super::small;
use crate::terms::{
    BlockSource, Category, Meaning, ModelMap, Problem, ProblemKind, Role, SubjectReading, TensorReading,
    TrainerState,
};

/// What came out for a checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weighed {
    /// Every tensor that could be read, in file order.
    pub tensors: Vec<TensorReading>,
    /// Heads, layers and the model.
    pub subjects: Vec<SubjectReading>,
    /// Tensors that could not be read, each with its place.
    pub problems: Vec<Problem>,
}

/// Measures every tensor of `source` and, up to `plan.tier`, its heads, layers and the model.
///
/// Never fails as a whole and never panics: a tensor that cannot be read, or whose weighing fails, costs
/// that tensor and leaves a problem. The same bytes give the same values, whatever `plan.threads` is.
pub fn weigh(
    source: &dyn BlockSource,
    map: &ModelMap,
    previous: Option<Previous<'_>>,
    trainer: &TrainerState,
    plan: &Plan,
    progress: &dyn Progress,
) -> Weighed {
    let recipe = Recipe::new(plan.sketch_len.max(1));
    let jobs = jobs(source, map, previous.as_ref(), trainer, plan, &recipe, progress);
    let all = || {
        let mut weighed = Weighed::default();
        for result in jobs.par_iter().map(weigh_one).collect::<Vec<_>>() {
            match result {
                Ok(reading) => weighed.tensors.push(reading),
                Err(problem) => weighed.problems.push(problem),
            }
        }
        tier_two_three(source, map, previous.as_ref(), plan, progress, &mut weighed);
        weighed
    };
    match rayon::ThreadPoolBuilder::new().num_threads(plan.threads.max(1)).build() {
        Ok(pool) => pool.install(all),
        // No threads to be had: the caller's own, or rayon's global ones, do the work.
        Err(_) => all(),
    }
}

fn weigh_one(job: &Job<'_>) -> Result<TensorReading, Problem> {
    let outcome: Result<Outcome, Problem> = catch_unwind(AssertUnwindSafe(|| small::weigh(job)))
        .map_err(|panic| {
            let detail = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("unknown");
            job.problem(
                ProblemKind::Bug,
                format!("weighing failed: {detail}"),
                "report this with the tensor's header",
            )
        })
        .and_then(|read| read.map_err(|error| job.read_problem(&error)));
    outcome.map(|outcome| outcome.into_reading(job))
}

fn jobs<'a>(
    source: &'a dyn BlockSource,
    map: &ModelMap,
    previous: Option<&Previous<'a>>,
    trainer: &TrainerState,
    plan: &Plan,
    recipe: &'a Recipe,
    progress: &'a dyn Progress,
) -> Vec<Job<'a>> {
    let interval = previous.map_or_else(Interval::default, |previous| Interval::new(previous, trainer));
    let old: HashMap<&str, usize> = previous
        .map(|previous| {
            previous.source.tensors().iter().enumerate().map(|(i, info)| (&*info.name, i)).collect()
        })
        .unwrap_or_default();
    let unknown = Meaning {
        role: Role::Other,
        category: Category::Other,
        layer: None,
        guessed: true,
        inputs_first: false,
    };
    let tensors = source.tensors().iter().enumerate();
    tensors
        .map(|(index, info)| Job {
            source,
            index,
            info,
            meaning: map.meanings.get(index).copied().unwrap_or(unknown),
            previous: previous.and_then(|previous| {
                let index = *old.get(&*info.name)?;
                let before = &previous.source.tensors()[index];
                (before.shape == info.shape).then_some(Before {
                    source: previous.source,
                    index,
                    info: before,
                    interval,
                })
            }),
            sketch_len: plan.sketch_len,
            recipe,
            quantiles: plan.quantiles,
            progress,
        })
        .collect()
}
