//! One torch file that is a whole checkpoint: nanoGPT's `ckpt.pt`, overwritten in place, and files that
//! carry a step in their name. Every settled version counts; while it is being written its archive does
//! not close. The step of a nameless one stands inside.

use super::naming::{is_unfinished, step_in_name};
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::terms::StepSource;

/// `*.pt` and `*.pth` files.
pub(super) struct TorchFile;

const SUFFIXES: [&str; 2] = [".pt", ".pth"];
/// Names without a step that are a checkpoint all the same.
const WHOLE: [&str; 8] =
    ["ckpt", "checkpoint", "model", "weights", "state_dict", "pytorch_model", "last", "latest"];
/// What trainers keep beside the weights.
const BESIDE: [&str; 9] =
    ["optim", "sched", "rng", "random", "scaler", "args", "config", "tokenizer", "dataloader"];

impl Layout for TorchFile {
    fn name(&self) -> &'static str {
        "torch_file"
    }
    fn on_disk(&self) -> &'static str {
        "`ckpt.pt` (nanoGPT), `model_step100.pt` and the like, `consolidated.NN.pth`"
    }
    fn complete_when(&self) -> &'static str {
        "its archive closes and nothing changes; each version of a file counts"
    }

    fn yields(&self) -> bool {
        true
    }

    fn claim(&self, directory: &Listing, _peek: Peek<'_>) -> Vec<Claim> {
        let consolidated = |name: &&str| name.starts_with("consolidated.") && name.ends_with(".pth");
        let parts: Vec<String> = directory.files().filter(consolidated).map(str::to_string).collect();
        let whole = directory.files().filter(|name| !consolidated(name) && is_checkpoint(name));
        let (named, nameless): (Vec<&str>, Vec<&str>) =
            whole.partition(|name| stem(name).and_then(step_in_name).is_some());
        // `last.pt` beside numbered ones is a copy of the newest.
        let whole = if named.is_empty() { nameless } else { named };
        let mut claims: Vec<Claim> =
            whole.into_iter().map(|name| Claim::files(vec![name.to_string()])).collect();
        if !parts.is_empty() {
            claims.push(Claim::files(parts));
        }
        claims
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let entry = &found.claim.entry;
        let step = stem(entry).filter(|_| !entry.starts_with("consolidated.")).and_then(step_in_name);
        Draft {
            step: step.map(|step| (step, StepSource::Name)),
            weights: found.claim.members.iter().map(Into::into).collect(),
            written: Written::Complete,
            problems: Vec::new(),
        }
    }
}

fn stem(name: &str) -> Option<&str> {
    SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix))
}

fn is_checkpoint(name: &str) -> bool {
    let Some(stem) = stem(name).filter(|_| !is_unfinished(name)) else { return false };
    let lower = stem.to_ascii_lowercase();
    let beside = BESIDE.iter().any(|word| lower.contains(word));
    !beside && (WHOLE.contains(&lower.as_str()) || step_in_name(stem).is_some())
}
