//! What the trainer wrote about the run, and the model's configuration.

use super::Candidate;
use crate::terms::{Problem, TrainerState};

/// The trainer's state at this checkpoint; empty where it left nothing. Anything odd is a problem.
pub fn trainer_state(_candidate: &Candidate) -> (TrainerState, Vec<Problem>) {
    (TrainerState::default(), Vec::new())
}

/// `config.json` (or `params.json`) beside the weights; an adapter's `adapter_config.json` stands in it
/// under the key `adapter_config`.
pub fn model_config(_candidate: &Candidate) -> (Option<serde_json::Value>, Vec<Problem>) {
    (None, Vec::new())
}
