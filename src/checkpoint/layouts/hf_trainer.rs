//! Hugging Face Trainer, and everything built on it (TRL, Axolotl, PEFT).
//!
//! The trainer makes `checkpoint-N/`, writes the weights, then optimizer, scheduler and random states,
//! and at last `trainer_state.json`, in place and not renamed. Some 4.3x versions wrote into
//! `tmp-checkpoint-N` and renamed; that name is passed over. Where the state file is missing for good
//! (only the weights were copied), nothing says when the copying ended: the checkpoint is taken once it
//! was quiet for a while.

use std::path::Path;

use super::naming::number_after;
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::checkpoint::json::problem;
use crate::checkpoint::trainer_state::{self, STATE_FILE};
use crate::checkpoint::weights::find_weights;
use crate::terms::{Problem, ProblemKind, StepSource};

/// `checkpoint-N/` directories.
pub(super) struct HfTrainer;

impl Layout for HfTrainer {
    fn name(&self) -> &'static str {
        "hf_trainer"
    }
    fn on_disk(&self) -> &'static str {
        "`checkpoint-N/` with `model.safetensors`, or shards and their index, or `adapter_model.safetensors`"
    }
    fn complete_when(&self) -> &'static str {
        "`trainer_state.json` parses and its `global_step` is N"
    }

    fn claim(&self, directory: &Listing, _peek: Peek<'_>) -> Vec<Claim> {
        let steps = directory.directories().filter(|name| number_after(name, "checkpoint-").is_some());
        steps.map(Claim::directory).collect()
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let step = number_after(&found.claim.entry, "checkpoint-").unwrap_or_default();
        let (weights, mut problems) = find_weights(found);
        let written = match state_file(found, step) {
            _ if weights.is_empty() && problems.is_empty() => {
                Written::NotYet("no weights are there yet".into())
            }
            Ok(()) => Written::Complete,
            Err(State::Absent) if !problems.is_empty() => {
                Written::NotYet("shards that the index names are not there yet".into())
            }
            Err(State::Absent) => Written::Unsure(format!("{STATE_FILE} is not there")),
            Err(State::Odd(problem)) => {
                let why = Written::Unsure(problem.to_string());
                problems.push(problem);
                why
            }
        };
        Draft { step: Some((step, StepSource::Name)), weights, written, problems }
    }
}

/// Why the last-written file does not say "done".
enum State {
    Absent,
    Odd(Problem),
}

fn state_file(found: &Found<'_>, step: u64) -> Result<(), State> {
    if !found.has(STATE_FILE) {
        return Err(State::Absent);
    }
    let (state, problems) = trainer_state::read(found.root);
    if let Some(problem) = problems.into_iter().next() {
        return Err(State::Odd(problem));
    }
    match state.global_step {
        Some(written) if written == step => Ok(()),
        written => {
            let found = written.map_or("no number".to_string(), |written| written.to_string());
            let detail = format!("global_step is {found}, the directory's name says {step}");
            let remedy = "give the directory its step's name again, or copy the state file again";
            Err(State::Odd(problem(ProblemKind::Malformed, Path::new(STATE_FILE), detail, remedy)))
        }
    }
}
