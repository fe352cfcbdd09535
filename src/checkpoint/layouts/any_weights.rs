//! A directory or file that the user named: no layout is asked for, only weights.

use std::path::PathBuf;

use super::naming::step_in_name;
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::checkpoint::trainer_state::{self, STATE_FILE};
use crate::checkpoint::weights::find_weights;
use crate::terms::StepSource;

/// Whatever holds weights. Never claims anything by itself.
pub(crate) struct AnyWeights;

impl Layout for AnyWeights {
    fn name(&self) -> &'static str {
        "weights"
    }
    fn on_disk(&self) -> &'static str {
        "any directory or file that is named on the command line"
    }
    fn complete_when(&self) -> &'static str {
        "files are as long as their headers say"
    }
    fn claim(&self, _directory: &Listing, _peek: Peek<'_>) -> Vec<Claim> {
        Vec::new()
    }
    fn examine(&self, found: &Found<'_>) -> Draft {
        let (weights, problems) = if found.claim.is_directory() {
            find_weights(found)
        } else {
            (found.claim.members.iter().map(PathBuf::from).collect(), Vec::new())
        };
        let entry = &found.claim.entry;
        let stem = if found.claim.is_directory() {
            entry
        } else {
            entry.rsplit_once('.').map_or(&**entry, |(stem, _)| stem)
        };
        let from_state = || {
            let state = found.has(STATE_FILE).then(|| trainer_state::read(found.root).0);
            state.and_then(|state| state.global_step).map(|step| (step, StepSource::StateFile))
        };
        let step = step_in_name(stem).map(|step| (step, StepSource::Name)).or_else(from_state);
        Draft { step, weights, written: Written::Complete, problems }
    }
}
