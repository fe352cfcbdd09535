//! States of the optimizer: Adam's moments and their kin, looked at for what breaks a resume.
//!
//! They are no weights: no role, no metric of a tensor, no share in the coverage. One pass over each
//! counts what cannot be (NaN, Inf, negative squares) and sums its size; the model gets the totals, and a
//! remark names the first states that are broken.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;

use super::decode::to_f64;
use super::plan::{Plan, Progress};
use super::sheet::Sheet;
use super::totals::MODEL;
use crate::terms::{
    BlockSource, Dtype, MetricDef, MetricName, Problem, ProblemKind, Reason, SourceError, Subject,
    SubjectReading, TensorInfo, Unit,
};

/// Bytes that are read at once; the decoded values take up to eight times that.
const BLOCK_BYTES: usize = 256 << 10;
/// Broken states that are named.
const NAMED_MAX: usize = 8;

const OPTIMIZER: MetricDef = MetricDef {
    source: "Adam: Kingma and Ba 2015 (arXiv 1412.6980)",
    healthy: "0 in every run seen",
    sick: "anything else: the next step writes it into the weights",
    cost: "one more pass over the optimizer's files, two to three times the weights",
    ..MODEL
};

/// This family's entries.
pub(super) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "optimizer_tensors",
        help: "States of the optimizer beside the weights",
        formula: "count of tensors of optimizer states, all ranks' files together",
        healthy: "constant during a run",
        sick: "a change: the state was lost in part, or parameters changed groups",
        cost: "none",
        ..OPTIMIZER
    },
    MetricDef {
        name: "optimizer_elements",
        help: "Elements of the optimizer's states",
        formula: "sum of elements over the optimizer's states",
        healthy: "constant during a run; twice the model's for Adam",
        sick: "a change: the state was lost in part, or parameters changed groups",
        cost: "none",
        ..OPTIMIZER
    },
    MetricDef {
        name: "optimizer_nan_elements",
        help: "NaN in the optimizer's states",
        formula: "count of NaN over the optimizer's states",
        ..OPTIMIZER
    },
    MetricDef {
        name: "optimizer_inf_elements",
        help: "Inf in the optimizer's states",
        formula: "count of Inf over the optimizer's states",
        ..OPTIMIZER
    },
    MetricDef {
        name: "optimizer_negative_elements",
        help: "Negative elements of second moments, which are means of squares",
        formula: "count of elements below zero over the second moments",
        ..OPTIMIZER
    },
    MetricDef {
        name: "optimizer_zero_tensors",
        help: "First and second moments that are zero in every element",
        formula: "count of moments without an element other than zero",
        healthy: "the moments of frozen parameters; constant during a run",
        sick: "all of them after the first step: the moments were not saved, or are not updated",
        ..OPTIMIZER
    },
    MetricDef {
        name: "optimizer_steps",
        help: "Steps that the optimizer has counted",
        formula: "largest of the optimizer's own step counts",
        healthy: "grows by the steps between two checkpoints, less those that a gradient scaler skipped",
        sick: "smaller than at the checkpoint before: the state was lost on a resume",
        ..OPTIMIZER
    },
    MetricDef {
        name: "optimizer_first_moment_rms",
        unit: Unit::One,
        help: "Root mean square of the first moments, in units of the gradient",
        formula: "sqrt of the mean of squares over all finite elements of the first moments",
        healthy: "falls slowly, to a plateau",
        sick: "a jump by orders of magnitude: exploding gradients",
        ..OPTIMIZER
    },
    MetricDef {
        name: "optimizer_second_moment_rms",
        unit: Unit::One,
        help: "Root of the mean of the second moments: the size of recent gradients",
        formula: "sqrt of the mean over all finite elements of the second moments, those below zero taken as zero",
        healthy: "falls slowly, to a plateau",
        sick: "a jump by orders of magnitude: exploding gradients; zero: the moments were lost",
        ..OPTIMIZER
    },
    MetricDef {
        name: "optimizer_second_moment_max",
        unit: Unit::One,
        help: "Largest element of the second moments",
        formula: "largest finite element over the second moments",
        healthy: "within a factor of a hundred of its own past",
        sick: "a jump by orders of magnitude: an outlying gradient, near overflow in fp16",
        ..OPTIMIZER
    },
];

/// What a state is to its optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    First,
    Second,
    Step,
    /// Master weights, quantised codes, preconditioners.
    Other,
}

/// Names of first moments in torch's optimizers, apex, bitsandbytes, optax and their kin.
const FIRST: [&str; 5] = ["exp_avg", "momentum_buffer", "mu", "m", "momentum"];
/// Names of second ones, Adafactor's rows and columns among them.
const SECOND: [&str; 10] = [
    "exp_avg_sq",
    "max_exp_avg_sq",
    "max_exp_avg_sqs",
    "exp_avg_sq_row",
    "exp_avg_sq_col",
    "square_avg",
    "sum",
    "nu",
    "v",
    "exp_inf",
];

impl Kind {
    /// By the path: torch names the state last, Megatron before the parameter.
    fn of(info: &TensorInfo) -> Self {
        let of_word = |word: &str| match word {
            "step" | "steps" => Some(Kind::Step),
            word if SECOND.contains(&word) => Some(Kind::Second),
            word if FIRST.contains(&word) => Some(Kind::First),
            _ => None,
        };
        let mut words = info.name.rsplit('.');
        let last = words.next().and_then(of_word);
        let long = |word: &&str| word.starts_with("exp_avg");
        let kind = last.or_else(|| words.find(long).and_then(of_word)).unwrap_or(Kind::Other);
        // Codes of 8-bit optimizers are no values.
        let real = matches!(
            info.dtype,
            Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F8_E4M3 | Dtype::F8_E5M2
        );
        if real || kind == Kind::Step { kind } else { Kind::Other }
    }
}

/// Counts and sums of one state.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    elements: u64,
    nan: u64,
    inf: u64,
    negative: u64,
    zeros: u64,
    /// Of the elements above zero: a mean of squares is not made small by what cannot be.
    sum: f64,
    squares: f64,
    max: f64,
}

impl Tally {
    fn add(&mut self, values: &[f64]) {
        self.elements += values.len() as u64;
        for &value in values {
            if value.is_finite() {
                self.negative += u64::from(value < 0.0);
                self.zeros += u64::from(value == 0.0);
                self.sum += value.max(0.0);
                self.squares += value * value;
                self.max = self.max.max(value);
            } else if value.is_nan() {
                self.nan += 1;
            } else {
                self.inf += 1;
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.elements += other.elements;
        self.nan += other.nan;
        self.inf += other.inf;
        self.negative += other.negative;
        self.zeros += other.zeros;
        self.sum += other.sum;
        self.squares += other.squares;
        self.max = self.max.max(other.max);
    }

    fn finite(&self) -> f64 {
        (self.elements - self.nan - self.inf) as f64
    }
}

/// Adds the totals of the optimizer's states to the model's own values. Faults are returned as remarks for the user and as problems of files.
pub fn weigh_optimizer(
    states: &dyn BlockSource,
    plan: &Plan,
    progress: &dyn Progress,
    subjects: &mut Vec<SubjectReading>,
) -> (Vec<String>, Vec<Problem>) {
    let all =
        || (0..states.tensors().len()).into_par_iter().map(|index| tally(states, index, progress)).collect();
    let tallies: Vec<Result<Tally, Problem>> =
        match rayon::ThreadPoolBuilder::new().num_threads(plan.threads.max(1)).build() {
            Ok(pool) => pool.install(all),
            Err(_) => all(),
        };
    let mut sheet = Sheet::default();
    let (mut remarks, mut problems) = (Vec::new(), Vec::new());
    put(states, &tallies, &mut sheet, &mut remarks);
    problems.extend(tallies.into_iter().filter_map(Result::err));
    let model = subjects.iter_mut().find(|subject| subject.subject == Subject::Model);
    match model {
        Some(model) => {
            model.samples.extend(sheet.samples);
            model.absent.extend(sheet.absent);
        }
        None if states.tensors().is_empty() => {}
        None => subjects.push(SubjectReading {
            subject: Subject::Model,
            samples: sheet.samples,
            lists: BTreeMap::new(),
            absent: sheet.absent,
        }),
    }
    (remarks, problems)
}

fn put(
    states: &dyn BlockSource,
    tallies: &[Result<Tally, Problem>],
    sheet: &mut Sheet,
    remarks: &mut Vec<String>,
) {
    if tallies.is_empty() {
        let names: Vec<MetricName> = DEFS.iter().map(|def| def.name).collect();
        return sheet.lack_all(&names, &Reason::NotApplicable("no optimizer state lies beside the weights"));
    }
    let (mut all, mut first, mut second) = (Tally::default(), Tally::default(), Tally::default());
    let (mut steps, mut zero_tensors, mut negative, mut broken) = (None::<f64>, 0, 0, 0_usize);
    for (info, tally) in states.tensors().iter().zip(tallies) {
        let Ok(tally) = *tally else { continue };
        let kind = Kind::of(info);
        match kind {
            Kind::First => first.merge(tally),
            Kind::Second => second.merge(tally),
            Kind::Step if tally.finite() > 0.0 => steps = Some(steps.unwrap_or(0.0).max(tally.max)),
            Kind::Step | Kind::Other => {}
        }
        let moment = matches!(kind, Kind::First | Kind::Second);
        zero_tensors += u64::from(moment && tally.elements > 0 && tally.zeros == tally.elements);
        let below = if kind == Kind::Second { tally.negative } else { 0 };
        negative += below;
        all.merge(tally);
        if tally.nan + tally.inf + below > 0 {
            broken += 1;
            if broken <= NAMED_MAX {
                remarks.push(format!(
                    "optimizer state {} has {} NaN, {} Inf{}",
                    info.name,
                    tally.nan,
                    tally.inf,
                    if below > 0 { format!(", {below} squares below zero") } else { String::new() }
                ));
            }
        }
    }
    if broken > NAMED_MAX {
        remarks.push(format!("{} more optimizer states hold such elements", broken - NAMED_MAX));
    }
    sheet.put("optimizer_tensors", tallies.len() as f64);
    sheet.put("optimizer_elements", states.tensors().iter().map(TensorInfo::elements).sum::<u64>() as f64);
    sheet.put("optimizer_nan_elements", all.nan as f64);
    sheet.put("optimizer_inf_elements", all.inf as f64);
    sheet.put("optimizer_negative_elements", negative as f64);
    sheet.put("optimizer_zero_tensors", zero_tensors as f64);
    let none = Reason::NotApplicable("this optimizer keeps none");
    sheet.put_or("optimizer_steps", steps.ok_or(none.clone()));
    let mean = |tally: &Tally, sum: f64| {
        if tally.finite() > 0.0 { Ok((sum / tally.finite()).sqrt()) } else { Err(none.clone()) }
    };
    sheet.put_or("optimizer_first_moment_rms", mean(&first, first.squares));
    sheet.put_or("optimizer_second_moment_rms", mean(&second, second.sum));
    sheet.put_or("optimizer_second_moment_max", mean(&second, 0.0).map(|_| second.max));
}

fn tally(states: &dyn BlockSource, index: usize, progress: &dyn Progress) -> Result<Tally, Problem> {
    let info = &states.tensors()[index];
    let problem = |kind, detail: String| Problem {
        kind,
        path: info.file.clone(),
        tensor: Some(info.name.to_string()),
        offset: None,
        detail,
        remedy: "resume from an earlier checkpoint".to_owned(),
    };
    let look = AssertUnwindSafe(|| read(states, index, info, progress));
    match catch_unwind(look) {
        Ok(Ok(tally)) => Ok(tally),
        Ok(Err(error)) => Err(problem(ProblemKind::Unreadable, error.to_string())),
        Err(_) => Err(problem(ProblemKind::Bug, "looking at an optimizer state failed inside".to_owned())),
    }
}

fn read(
    states: &dyn BlockSource,
    index: usize,
    info: &TensorInfo,
    progress: &dyn Progress,
) -> Result<Tally, SourceError> {
    let (mut tally, mut offset, bytes) = (Tally::default(), 0, info.bytes());
    let mut block = vec![0; (BLOCK_BYTES as u64).min(bytes) as usize];
    let mut values = Vec::new();
    while offset < bytes {
        let length = (bytes - offset).min(block.len() as u64) as usize;
        states.read(index, offset, &mut block[..length])?;
        progress.bytes(length as u64);
        values.clear();
        to_f64(info.dtype, &block[..length], &mut values);
        tally.add(&values);
        offset += length as u64;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::InMemory;

    fn held(states: &[(&str, &[f32])]) -> InMemory {
        let mut held = InMemory::default();
        for (name, values) in states {
            let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            held.add(name, Dtype::F32, &[values.len() as u64], bytes);
        }
        held
    }

    fn weighed(states: &[(&str, &[f32])]) -> (SubjectReading, Vec<String>) {
        let held = held(states);
        let mut subjects = Vec::new();
        let (remarks, problems) = weigh_optimizer(&held, &Plan::default(), &(), &mut subjects);
        assert!(problems.is_empty());
        (subjects.remove(0), remarks)
    }

    #[test]
    fn moments_are_summed_by_kind_and_steps_counted() {
        let (model, remarks) = weighed(&[
            ("state.0.step", &[7.0]),
            ("state.0.exp_avg", &[3.0, -4.0]),
            ("state.0.exp_avg_sq", &[1.0, 7.0]),
            ("optimizer.state.exp_avg_sq.decoder.layers.0.weight", &[0.0, 0.0]),
            ("state.0.master_param", &[-5.0]),
        ]);
        assert!(remarks.is_empty());
        let value = |name: &str| model.samples[name];
        assert_eq!((value("optimizer_tensors"), value("optimizer_elements")), (5.0, 8.0));
        assert_eq!((value("optimizer_steps"), value("optimizer_zero_tensors")), (7.0, 1.0));
        assert_eq!(value("optimizer_first_moment_rms"), 12.5_f64.sqrt());
        assert_eq!(value("optimizer_second_moment_rms"), 2.0_f64.sqrt());
        assert_eq!((value("optimizer_second_moment_max"), value("optimizer_negative_elements")), (7.0, 0.0));
    }

    #[test]
    fn what_cannot_be_is_counted_and_named() {
        let states: &[(&str, &[f32])] =
            &[("a.exp_avg", &[f32::NAN, 1.0]), ("a.exp_avg_sq", &[-1.0, f32::INFINITY, 4.0])];
        let (model, remarks) = weighed(states);
        let value = |name: &str| model.samples[name];
        assert_eq!((value("optimizer_nan_elements"), value("optimizer_inf_elements")), (1.0, 1.0));
        assert_eq!(value("optimizer_negative_elements"), 1.0);
        assert!(remarks[0].contains("a.exp_avg has 1 NaN"), "{remarks:?}");
        assert!(remarks[1].contains("1 squares below zero"), "{remarks:?}");
        assert!(model.absent.contains_key("optimizer_steps"));
    }

    #[test]
    fn without_states_there_is_a_reason() {
        let mut sheet = Sheet::default();
        put(&held(&[]), &[], &mut sheet, &mut Vec::new());
        assert_eq!(sheet.absent.len(), DEFS.len());
    }
}
