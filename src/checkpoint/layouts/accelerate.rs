//! Accelerate's `save_state`: a directory of the user's choice with models, optimizers, schedulers and,
//! at last, each rank's random states.

use super::naming::step_in_name;
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::checkpoint::weights::find_weights;
use crate::terms::StepSource;

/// Directories with Accelerate's files.
pub(super) struct Accelerate;

const RANDOM_STATES: &str = "random_states_";

impl Layout for Accelerate {
    fn name(&self) -> &'static str {
        "accelerate"
    }
    fn on_disk(&self) -> &'static str {
        "any directory with `model.safetensors`, `optimizer.bin`, `scheduler.bin`, `random_states_N.pkl`"
    }
    fn complete_when(&self) -> &'static str {
        "`random_states_0.pkl` is there: it is written after models and optimizers"
    }

    fn claim(&self, directory: &Listing, peek: Peek<'_>) -> Vec<Claim> {
        let marks = |name: &str| name.starts_with(RANDOM_STATES) || name == "optimizer.bin";
        let is_own = |listing: &Listing| listing.files().any(marks);
        let names = directory.directories().filter(|name| peek(name).is_some_and(|listing| is_own(&listing)));
        names.map(Claim::directory).collect()
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let (weights, problems) = find_weights(found);
        let is_random = |name: &str| name.starts_with(RANDOM_STATES);
        let done = found.files.iter().any(|file| file.path.to_str().is_some_and(is_random));
        let written = match done {
            _ if weights.is_empty() && problems.is_empty() => {
                Written::NotYet("no weights are there yet".into())
            }
            true => Written::Complete,
            false => Written::NotYet(format!("{RANDOM_STATES}0.pkl is not there yet")),
        };
        let step = step_in_name(&found.claim.entry).map(|step| (step, StepSource::Name));
        Draft { step, weights, written, problems }
    }
}
