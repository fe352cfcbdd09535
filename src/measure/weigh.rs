//! Weighs all tensors of a checkpoint.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::change::Interval;
use super::job::{Before, Job, Outcome};
use super::matrices::tier_two_three;
use super::plan::{Plan, Previous, Progress};
use super::sketch::Recipe;
use super::small;
use super::stream::{Way, Worker, weigh_streamed};
use super::{equilibrium, together, totals, wide};
use crate::terms::{
    BlockSource, Category, Meaning, ModelMap, Problem, ProblemKind, Role, SourceError, SubjectReading,
    TensorReading, TrainerState,
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
        for result in weigh_all(&jobs) {
            match result {
                Ok(reading) => weighed.tensors.push(reading),
                Err(problem) => weighed.problems.push(problem),
            }
        }
        let interval = previous.as_ref().map(|previous| Interval::new(previous, trainer));
        equilibrium::measure(&mut weighed.tensors, interval.as_ref());
        let before = previous.as_ref().zip(interval.as_ref().map(|interval| interval.steps));
        tier_two_three(source, map, before, plan, progress, &mut weighed);
        totals::measure(source, map, plan.tier, &mut weighed);
        weighed
    };
    match rayon::ThreadPoolBuilder::new().num_threads(plan.threads.max(1)).build() {
        Ok(pool) => pool.install(all),
        // No threads to be had: the caller's own, or rayon's global ones, do the work.
        Err(_) => all(),
    }
}

type Result1 = Result<TensorReading, Problem>;

/// Smallest tensor, in bytes, that all threads look at together.
const TOGETHER_MIN: u64 = 16 << 20;

/// Weighs every job, in the pool that this is called in: first all threads look at the largest together, one tensor
/// after the other; then each thread takes one, the largest first, so that none is left with a large one at the end.
fn weigh_all(jobs: &[Job<'_>]) -> Vec<Result1> {
    let workers: Vec<Mutex<Worker>> =
        (0..rayon::current_num_threads()).map(|_| Mutex::new(Worker::new())).collect();
    let results: Vec<Mutex<Option<Result1>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let put = |index: usize, result: Result1| *locked(&results[index]) = Some(result);
    let (mut begun, mut alone) = (Vec::new(), Vec::new());
    let together_min = together_min(jobs, workers.len());
    for (index, job) in jobs.iter().enumerate() {
        if Way::of(job) == Way::Streamed && job.info.bytes() >= together_min {
            match guarded(job, || together::begin(job, &workers)) {
                Ok(first) => begun.push((index, Mutex::new(Some(first)))),
                Err(problem) => put(index, Err(problem)),
            }
        } else {
            alone.push(index);
        }
    }
    alone.sort_by_key(|&index| std::cmp::Reverse(jobs[index].info.bytes()));
    let next = AtomicUsize::new(0);
    rayon::broadcast(|context| {
        let mut worker = locked(&workers[context.index() % workers.len()]);
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let (index, outcome) = if let Some((index, first)) = begun.get(turn) {
                let Some(first) = locked(first).take() else { continue };
                (*index, guarded(&jobs[*index], || first.finish(&mut worker)))
            } else if let Some(&index) = alone.get(turn - begun.len()) {
                (index, guarded(&jobs[index], || weigh_alone(&jobs[index], &mut worker)))
            } else {
                break;
            };
            put(index, outcome.map(|outcome| outcome.into_reading(&jobs[index])));
        }
    });
    let lost = |job: &Job<'_>| Err(job.problem(ProblemKind::Bug, "was not weighed".to_owned(), REPORT));
    results
        .into_iter()
        .zip(jobs)
        .map(|(result, job)| {
            result.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(|| lost(job))
        })
        .collect()
}

/// Bytes from which all threads look at a tensor together: more than one thread's share of the whole, so that it would
/// be left with it.
fn together_min(jobs: &[Job<'_>], threads: usize) -> u64 {
    let total: u64 = jobs.iter().map(|job| job.info.bytes()).sum();
    if threads < 2 { u64::MAX } else { (total / threads as u64).max(TOGETHER_MIN) }
}

fn weigh_alone(job: &Job<'_>, worker: &mut Worker) -> Result<Outcome, SourceError> {
    match Way::of(job) {
        Way::Sorted => small::weigh(job),
        Way::Wide => wide::weigh(job),
        Way::Streamed => weigh_streamed(job, worker),
    }
}

/// A panic elsewhere has been told already; tables are cleared before use.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What to do about a fault of the program itself.
const REPORT: &str = "report this with the tensor's header";

/// Runs a part of one tensor's weighing; a panic costs that tensor and is told.
fn guarded<T>(job: &Job<'_>, weigh: impl FnOnce() -> Result<T, SourceError>) -> Result<T, Problem> {
    let outcome = catch_unwind(AssertUnwindSafe(weigh)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
        job.problem(ProblemKind::Bug, format!("weighing failed: {text}"), REPORT)
    });
    outcome?.map_err(|error| job.read_problem(&error))
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
    let learning_rate = trainer.log.iter().rev().find_map(|point| point.learning_rate);
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
            rows: plan.rows,
            quantiles: plan.quantiles,
            progress,
            learning_rate,
        })
        .collect()
}
