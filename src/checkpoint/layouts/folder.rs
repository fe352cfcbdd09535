//! A directory that is named after a step and holds a model: what `save_pretrained` leaves in a loop of
//! one's own. No file says that it is done, so that it counts once it was quiet for a while.

use super::naming::{is_unfinished, step_in_name};
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::checkpoint::weights::find_weights;
use crate::terms::StepSource;

/// Directories named after a step.
pub(super) struct Folder;

impl Layout for Folder {
    fn name(&self) -> &'static str {
        "model_folder"
    }
    fn on_disk(&self) -> &'static str {
        "`step_100/`, `epoch-3/`, `100/` and the like with `model.safetensors`, shards, an adapter or `pytorch_model.bin`"
    }
    fn complete_when(&self) -> &'static str {
        "all shards are as long as their headers say, and nothing changed for a while or a later one exists"
    }

    fn claim(&self, directory: &Listing, peek: Peek<'_>) -> Vec<Claim> {
        let names = directory.directories().filter(|name| !is_unfinished(name) && is_named_after_step(name));
        let names = names.filter(|name| peek(name).is_some_and(|listing| listing.files().any(is_weights)));
        names.map(Claim::directory).collect()
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let (weights, problems) = find_weights(found);
        let written = if problems.is_empty() {
            Written::Unsure("nothing says that the trainer is done".into())
        } else {
            Written::NotYet("shards that the index names are not there yet".into())
        };
        let step = step_in_name(&found.claim.entry).map(|step| (step, StepSource::Name));
        Draft { step, weights, written, problems }
    }
}

/// A number alone, or one that a word for steps announces. `run-1` and `seed_2` are runs.
fn is_named_after_step(name: &str) -> bool {
    let head = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let word = head.trim_end_matches(['-', '_', '=']).rsplit(['-', '_']).next().unwrap_or_default();
    let words =
        ["", "step", "steps", "epoch", "ep", "iter", "iteration", "ckpt", "checkpoint", "batch", "ba"];
    head.len() < name.len() && words.contains(&word.to_ascii_lowercase().as_str())
}

fn is_weights(name: &str) -> bool {
    name.ends_with(".safetensors")
        || name.ends_with(".safetensors.index.json")
        || name.starts_with("pytorch_model")
}
