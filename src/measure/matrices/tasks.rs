//! Runs the tasks of tiers 2 and 3 on the room's threads.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use faer::Par;

use super::drift::Earlier;
use super::panel::{Halt, Matrix, Scratch};
use crate::measure::kernels::eigen::parallelism;
use crate::measure::sheet::Sheet;
use crate::measure::{Plan, job};
use crate::terms::{
    BlockSource, Meaning, ModelMap, Problem, ProblemKind, Reason, Role, Subject, SubjectReading,
    TensorReading,
};

/// What all tasks share.
pub(super) struct Context<'a> {
    pub(super) source: &'a dyn BlockSource,
    pub(super) map: &'a ModelMap,
    pub(super) plan: &'a Plan,
    /// What tier 1 found, by index in the source; none where the tensor could not be read.
    readings: Vec<Option<&'a TensorReading>>,
    /// The checkpoint before, its tensors by name, and the steps since, where its matrices are to be looked at too.
    before: Option<(&'a dyn BlockSource, HashMap<&'a str, usize>, u64)>,
}

impl<'a> Context<'a> {
    /// Brings what tier 1 found into the order of the source.
    pub(super) fn new(
        source: &'a dyn BlockSource,
        map: &'a ModelMap,
        plan: &'a Plan,
        tensors: &'a [TensorReading],
    ) -> Self {
        let by_name: HashMap<&str, &TensorReading> =
            tensors.iter().map(|reading| (&*reading.facts.name, reading)).collect();
        let readings = source.tensors().iter().map(|info| by_name.get(&*info.name).copied()).collect();
        Self { source, map, plan, readings, before: None }
    }

    /// Also looks at the matrices of the checkpoint before, so many steps ago.
    pub(super) fn with_before(mut self, source: &'a dyn BlockSource, steps: u64) -> Self {
        let by_name = source.tensors().iter().enumerate().map(|(index, info)| (&*info.name, index)).collect();
        self.before = Some((source, by_name, steps));
        self
    }

    /// The matrix of that index as it was in the checkpoint before.
    pub(super) fn earlier(&self, index: usize) -> Option<Earlier<'a>> {
        let (source, by_name, steps) = self.before.as_ref()?;
        let info = &self.source.tensors()[index];
        let before = *by_name.get(&*info.name)?;
        if source.tensors()[before].shape != info.shape {
            return None;
        }
        Some(Earlier { matrix: Matrix::of(*source, before)?, steps: *steps })
    }

    /// Tensors that tier 1 could read, with their meaning, in file order.
    pub(super) fn readable(&self) -> impl Iterator<Item = (usize, Meaning, &'a TensorReading)> + '_ {
        self.readings.iter().enumerate().filter_map(|(index, reading)| {
            let reading = (*reading)?;
            Some((index, reading.facts.meaning, reading))
        })
    }

    /// The same of one role.
    pub(super) fn of_role(&self, role: Role) -> impl Iterator<Item = (usize, &'a TensorReading)> + '_ {
        self.readable().filter(move |(_, meaning, _)| meaning.role == role).map(|(index, _, r)| (index, r))
    }

    /// True where tier 1 could read the tensor.
    pub(super) fn is_readable(&self, index: usize) -> bool {
        self.readings.get(index).is_some_and(Option::is_some)
    }
}

/// Why a tensor has no metrics of a matrix, if so, from what tier 1 saw.
pub(super) fn no_matrix(reading: &TensorReading) -> Option<Reason> {
    match *reading.facts.shape.as_slice() {
        [rows, columns] if rows.min(columns) < 2 => Some(Reason::TooFew { needs: 2 }),
        [_, _] => no_values(reading),
        _ => Some(Reason::NotMatrix),
    }
}

/// Why nothing can be said of a tensor's values, if so, from what tier 1 saw.
pub(super) fn no_values(reading: &TensorReading) -> Option<Reason> {
    let sample = |name: &str| reading.samples.get(name).copied().unwrap_or(0.0);
    if sample("nan_elements") + sample("inf_elements") > 0.0 {
        Some(Reason::NotFinite)
    } else if sample("abs_max") == 0.0 {
        Some(Reason::AllZero)
    } else {
        None
    }
}

/// What came out of a task.
#[derive(Default)]
pub(super) struct Finished {
    /// Values of tensors, by index in the source.
    pub(super) tensors: Vec<(usize, Sheet)>,
    /// Values of heads, layers and the model.
    pub(super) subjects: Vec<SubjectReading>,
    /// What went wrong.
    pub(super) problem: Option<Problem>,
}

/// The values of a layer that a task has found.
pub(super) fn of_layer(layer: u32, sheet: Sheet) -> SubjectReading {
    let Sheet { samples, absent, .. } = sheet;
    SubjectReading { subject: Subject::Layer(layer), samples, lists: Default::default(), absent }
}

type Work<'a> = Box<dyn Fn(&mut Scratch, Par) -> Result<Finished, Halt> + Send + Sync + 'a>;

/// One independent piece of work.
pub(super) struct Task<'a> {
    /// Index of the tensor to name where it goes wrong.
    pub(super) tensor: usize,
    /// Nominal seconds on one core.
    pub(super) cost: f64,
    /// The work; a [`Halt::Reason`] that it returns is forgotten, so tell it where it belongs.
    pub(super) work: Work<'a>,
}

impl<'a> Task<'a> {
    /// A task about one tensor. Where `measure` stops with a reason, `lack` writes it for every metric of
    /// the family that has no value yet.
    pub(super) fn of_tensor(
        tensor: usize,
        cost: f64,
        lack: fn(&Reason, &mut Sheet),
        measure: impl Fn(&mut Scratch, Par, &mut Sheet) -> Result<(), Halt> + Send + Sync + 'a,
    ) -> Self {
        let work = move |scratch: &mut Scratch, par: Par| {
            let mut sheet = Sheet::default();
            match measure(scratch, par, &mut sheet) {
                Ok(()) => {}
                Err(Halt::Reason(reason)) => lack_rest(&reason, lack, &mut sheet),
                Err(source) => return Err(source),
            }
            Ok(Finished { tensors: vec![(tensor, sheet)], ..Finished::default() })
        };
        Self { tensor, cost, work: Box::new(work) }
    }

    /// A task that only tells why a tensor has none of a family's metrics.
    pub(super) fn lacking(tensor: usize, lack: fn(&Reason, &mut Sheet), reason: Reason) -> Self {
        Self::of_tensor(tensor, 0.0, lack, move |_, _, _| Err(reason.clone().into()))
    }
}

fn lack_rest(reason: &Reason, lack: fn(&Reason, &mut Sheet), sheet: &mut Sheet) {
    let mut all = Sheet::default();
    lack(reason, &mut all);
    all.absent.retain(|name, _| !sheet.samples.contains_key(name) && !sheet.absent.contains_key(name));
    sheet.absent.extend(all.absent);
}

/// Nominal seconds from which a task gets all threads to itself: its Gram matrix is too large to have one
/// a thread, and its products are large enough to be shared.
const ALONE_SECONDS: f64 = 4.0;

/// Runs all tasks; results in the order of the tasks, whatever the number of threads.
pub(super) fn run(context: &Context<'_>, tasks: Vec<Task<'_>>) -> Vec<Finished> {
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    // the dearest first: a long task that begins last would leave the other threads idle
    order.sort_by(|a, b| tasks[*b].cost.total_cmp(&tasks[*a].cost).then(a.cmp(b)));
    let alone = order.partition_point(|at| tasks[*at].cost > ALONE_SECONDS);
    let threads = context.plan.threads.max(1);
    let mut done: Vec<(usize, Finished)> = order[..alone]
        .iter()
        .map(|&at| (at, one(context, &tasks[at], parallelism(threads), &mut Scratch::default())))
        .collect();
    let shared = Mutex::new(Vec::with_capacity(tasks.len()));
    let next = AtomicUsize::new(alone);
    rayon::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|_| {
                let mut scratch = Scratch::default();
                while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let finished = one(context, &tasks[at], Par::Seq, &mut scratch);
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

/// Runs one task; a panic or a failed read costs this task alone.
fn one(context: &Context<'_>, task: &Task<'_>, par: Par, scratch: &mut Scratch) -> Finished {
    let info = &context.source.tensors()[task.tensor];
    let problem = match catch_unwind(AssertUnwindSafe(|| (task.work)(scratch, par))) {
        Ok(Ok(finished)) => return finished,
        Ok(Err(Halt::Reason(_))) => None,
        Ok(Err(Halt::Source(error))) => Some(job::read_problem(info, &error)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
            let detail = format!("weighing the matrix failed: {text}");
            Some(job::problem(info, ProblemKind::Bug, detail, "report this with the tensor's header"))
        }
    };
    Finished { problem, ..Finished::default() }
}
