//! What kind of training a run is, as far as its newest reading shows. It is shown and decides nothing:
//! detectors ask a run's own numbers whether a tensor used to move and whether its optimizer has a bound.

use serde::Serialize;

use crate::terms::{Dtype, Reading, Role};

use super::panel::median;
use super::view::{is_matrix, value};

/// The kinds that can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Low-rank adapters beside weights that stand still.
    Adapters,
    /// As reinforcement learning moves weights: a tiny learning rate, and most elements of half precision
    /// round back to what they were.
    ReinforcementLike,
    /// Begun from weights that were trained before: the first loss is far below guessing.
    FineTuning,
    /// Begun from fresh weights: the first loss is that of guessing.
    Pretraining,
}

impl RunKind {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Adapters => "adapters",
            Self::ReinforcementLike => "like reinforcement learning",
            Self::FineTuning => "fine-tuning",
            Self::Pretraining => "pretraining",
        }
    }
}

/// First log lines later than this say nothing about the beginning: the loss may have fallen already.
const FIRST_STEP_MAX: u64 = 100;
/// First loss over that of guessing (ln of the vocabulary): fresh models lie at 0.9 to 1.1.
const FRESH_MIN: f64 = 0.8;
/// Trained models lie at 0.1 to 0.5.
const TRAINED_MAX: f64 = 0.6;
/// Fewer rows are no vocabulary.
const VOCABULARY_MIN: u64 = 100;
/// Learning rates of reinforcement learning on language models lie at 1e-7 to 5e-6.
const REINFORCEMENT_RATE_MAX: f64 = 5e-6;
/// Share of elements that kept their bits; supervised training of the same models changes most of them
/// (arXiv 2505.11711).
const REINFORCEMENT_IDENTICAL_MIN: f64 = 0.7;

/// The kind of the run that a reading belongs to; none where nothing tells.
pub fn run_kind(reading: &Reading) -> Option<RunKind> {
    let has_adapters =
        reading.tensors.iter().any(|tensor| matches!(tensor.facts.meaning.role, Role::LoraA | Role::LoraB));
    if has_adapters {
        return Some(RunKind::Adapters);
    }
    if is_reinforcement_like(reading) {
        return Some(RunKind::ReinforcementLike);
    }
    let first = reading.trainer.log.iter().find_map(|point| Some((point.step, point.loss?)));
    let (_, loss) = first.filter(|(step, loss)| *step <= FIRST_STEP_MAX && loss.is_finite())?;
    let embedding =
        reading.tensors.iter().find(|tensor| tensor.facts.meaning.role == Role::TokenEmbedding)?;
    let vocabulary = embedding.facts.shape.first().copied().filter(|rows| *rows >= VOCABULARY_MIN)?;
    match loss / (vocabulary as f64).ln() {
        share if share >= FRESH_MIN => Some(RunKind::Pretraining),
        share if share <= TRAINED_MAX => Some(RunKind::FineTuning),
        _ => None,
    }
}

fn is_reinforcement_like(reading: &Reading) -> bool {
    let rates = reading.trainer.log.iter().filter_map(|point| point.learning_rate);
    let peak = rates.filter(|rate| rate.is_finite()).reduce(f64::max);
    let half = reading
        .tensors
        .iter()
        .filter(|tensor| is_matrix(&tensor.facts) && matches!(tensor.facts.dtype, Dtype::BF16 | Dtype::F16));
    let identical = median(half.filter_map(|tensor| value(tensor, "identical_ratio")));
    peak.is_some_and(|peak| peak > 0.0 && peak <= REINFORCEMENT_RATE_MAX)
        && identical.is_some_and(|identical| (REINFORCEMENT_IDENTICAL_MIN..1.0).contains(&identical))
}
