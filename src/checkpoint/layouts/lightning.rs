//! PyTorch Lightning: one `.ckpt` that appears whole, through a transaction, under its last name. Sharded
//! strategies make a directory of that name, with a DeepSpeed or a distributed checkpoint in it.
//! `last.ckpt` is a copy of the newest and counts only where it is the only one.

use super::naming::{is_unfinished, step_in_name};
use super::{Claim, Draft, Found, Layout, Peek};
use super::{deepspeed, torch_dcp};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::terms::StepSource;

/// `*.ckpt` files and directories.
pub(super) struct Lightning;

const SUFFIX: &str = ".ckpt";

impl Layout for Lightning {
    fn name(&self) -> &'static str {
        "lightning"
    }
    fn on_disk(&self) -> &'static str {
        "`epoch=1-step=100.ckpt`, a file, or a directory from a sharded strategy"
    }
    fn complete_when(&self) -> &'static str {
        "the file is there (it appears whole); in a directory, its own commit file"
    }

    fn claim(&self, directory: &Listing, _peek: Peek<'_>) -> Vec<Claim> {
        let files = directory.files().map(|name| Claim::files(vec![name.to_string()]));
        let claims = files.chain(directory.directories().map(Claim::directory));
        let claims = claims.filter(|claim| claim.entry.ends_with(SUFFIX) && !is_unfinished(&claim.entry));
        let (last, named): (Vec<Claim>, Vec<Claim>) =
            claims.partition(|claim| claim.entry.starts_with("last"));
        if named.is_empty() { last } else { named }
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let stem = found.claim.entry.trim_end_matches(SUFFIX);
        let step = step_in_name(stem).map(|step| (step, StepSource::Name));
        let (weights, written) = if found.claim.is_directory() {
            sharded(found)
        } else {
            (vec![found.claim.entry.clone().into()], Written::Complete)
        };
        Draft { step, weights, written, problems: Vec::new() }
    }
}

/// What a sharded strategy leaves in the directory.
pub(super) fn sharded(found: &Found<'_>) -> (Vec<std::path::PathBuf>, Written) {
    for below in ["", "weights/", "model_weights/"] {
        let (parts, written) = torch_dcp::parts(found, below);
        if !parts.is_empty() {
            return (parts, written);
        }
    }
    let states = deepspeed::states(found, "checkpoint/");
    let written = match (states.is_empty(), found.has("latest")) {
        (true, _) => Written::NotYet("no rank has written its states yet".into()),
        (false, true) => Written::Complete,
        (false, false) => Written::Unsure("`latest` is not there".into()),
    };
    (states, written)
}
