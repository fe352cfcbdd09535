//! Runs the jobs of tiers 2 and 3 on the room's threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::panel::{Halt, Matrix, Scratch};
use super::spectrum::{self, Depth};
use crate::measure::job;
use crate::measure::kernels::eigen::parallelism;
use crate::measure::sheet::Sheet;
use crate::terms::{BlockSource, ModelMap, Problem, ProblemKind, Reason, SubjectReading};

/// What all jobs share.
pub(super) struct Context<'a> {
    pub(super) source: &'a dyn BlockSource,
    pub(super) map: &'a ModelMap,
    pub(super) threads: usize,
}

/// One independent piece of work.
pub(super) enum Task {
    /// The spectrum of a matrix.
    Spectrum {
        index: usize,
        depth: Depth,
        scale: f64,
        /// Why the metrics of the full spectrum are not asked for, where that is to be told.
        lacking: Option<Reason>,
        /// Nominal seconds.
        cost: f64,
    },
}

/// What came out of one.
#[derive(Default)]
pub(super) struct Finished {
    /// Values of tensors, by index in the source.
    pub(super) tensors: Vec<(usize, Sheet)>,
    /// Values of heads, layers and the model.
    pub(super) subjects: Vec<SubjectReading>,
    /// What went wrong.
    pub(super) problem: Option<Problem>,
}

/// Nominal seconds from which a job gets all threads to itself: its Gram matrix is too large to have one
/// a thread, and its products are large enough to be shared.
const ALONE_SECONDS: f64 = 4.0;

impl Task {
    fn cost(&self) -> f64 {
        match self {
            Task::Spectrum { cost, depth: Depth::Full, .. } => *cost,
            Task::Spectrum { cost, .. } => 0.5 * cost,
        }
    }

    /// Index of the tensor to name where it goes wrong.
    fn tensor(&self) -> usize {
        match self {
            Task::Spectrum { index, .. } => *index,
        }
    }
}

/// Runs all tasks; results in the order of the tasks, whatever the number of threads.
pub(super) fn run(context: &Context<'_>, tasks: Vec<Task>) -> Vec<Finished> {
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    // the dearest first: a long job that begins last would leave the other threads idle
    order.sort_by(|a, b| tasks[*b].cost().total_cmp(&tasks[*a].cost()).then(a.cmp(b)));
    let alone = order.partition_point(|at| tasks[*at].cost() > ALONE_SECONDS);
    let mut done: Vec<(usize, Finished)> = order[..alone]
        .iter()
        .map(|&at| (at, one(context, &tasks[at], context.threads, &mut Scratch::default())))
        .collect();
    let shared = Mutex::new(Vec::with_capacity(tasks.len()));
    let next = AtomicUsize::new(alone);
    rayon::scope(|scope| {
        for _ in 0..context.threads {
            scope.spawn(|_| {
                let mut scratch = Scratch::default();
                while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let finished = one(context, &tasks[at], 1, &mut scratch);
                    if let Ok(mut shared) = shared.lock() {
                        shared.push((at, finished));
                    }
                }
            });
        }
    });
    done.extend(shared.into_inner().unwrap_or_default());
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, finished)| finished).collect()
}

fn one(context: &Context<'_>, task: &Task, threads: usize, scratch: &mut Scratch) -> Finished {
    let result = catch_unwind(AssertUnwindSafe(|| perform(context, task, threads, scratch)));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
        let info = &context.source.tensors()[task.tensor()];
        let problem = job::problem(
            info,
            ProblemKind::Bug,
            format!("weighing the matrix failed: {text}"),
            "report this with the tensor's header",
        );
        Finished { problem: Some(problem), ..Finished::default() }
    })
}

fn perform(context: &Context<'_>, task: &Task, threads: usize, scratch: &mut Scratch) -> Finished {
    match task {
        Task::Spectrum { index, depth, scale, lacking, .. } => {
            let mut sheet = Sheet::default();
            if let Some(reason) = lacking {
                spectrum::full_only().for_each(|name| sheet.lack(name, reason.clone()));
            }
            let Some(mut matrix) = Matrix::of(context.source, *index) else { return Finished::default() };
            matrix.scale = *scale;
            let result = spectrum::measure(&matrix, *depth, scratch, parallelism(threads), &mut sheet);
            settle(context, *index, result, sheet, spectrum::lack)
        }
    }
}

/// Turns what stopped a job into reasons or a problem.
fn settle(
    context: &Context<'_>,
    index: usize,
    result: Result<(), Halt>,
    mut sheet: Sheet,
    lack: fn(&Reason, &mut Sheet),
) -> Finished {
    let problem = match result {
        Ok(()) => None,
        Err(Halt::Reason(reason)) => {
            let mut all = Sheet::default();
            lack(&reason, &mut all);
            all.absent.retain(|name, _| !sheet.samples.contains_key(name));
            sheet.absent.extend(all.absent);
            None
        }
        Err(Halt::Source(error)) => Some(job::read_problem(&context.source.tensors()[index], &error)),
    };
    Finished { tensors: vec![(index, sheet)], subjects: Vec::new(), problem }
}
