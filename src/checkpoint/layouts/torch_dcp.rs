//! torch's distributed checkpoints: torchtitan, and anything that calls `torch.distributed.checkpoint`.
//!
//! Every rank writes its `__RANK_N.distcp`; then the coordinator writes `.metadata.tmp` and renames it to
//! `.metadata`. The rename is the commit.

use std::path::PathBuf;

use super::naming::step_in_name;
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::checkpoint::weights::find_weights;
use crate::terms::StepSource;

/// Directories with `.metadata` and `*.distcp`.
pub(super) struct TorchDcp;

impl Layout for TorchDcp {
    fn name(&self) -> &'static str {
        "torch_dcp"
    }
    fn on_disk(&self) -> &'static str {
        "`step-N/` (any name) with `__RANK_N.distcp` of every rank and `.metadata` (torchtitan, FSDP)"
    }
    fn complete_when(&self) -> &'static str {
        "`.metadata` is there: it is renamed into place last"
    }

    fn claim(&self, directory: &Listing, peek: Peek<'_>) -> Vec<Claim> {
        let has_parts = |listing: &Listing| listing.files().any(is_part);
        let names =
            directory.directories().filter(|name| peek(name).is_some_and(|listing| has_parts(&listing)));
        names.map(Claim::directory).collect()
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let (weights, written) = parts(found, "");
        let step = step_in_name(&found.claim.entry).map(|step| (step, StepSource::Name));
        if weights.is_empty() {
            // torchtitan can also write safetensors through the same storage.
            let (weights, problems) = find_weights(found);
            return Draft { step, weights, written, problems };
        }
        Draft { step, weights, written, problems: Vec::new() }
    }
}

/// True for the name of a rank's file or of the metadata.
pub(super) fn is_part(name: &str) -> bool {
    name == ".metadata" || name.ends_with(".distcp")
}

/// The metadata and the ranks' files directly in `below` (empty, or a directory with its slash), the
/// metadata first.
pub(crate) fn parts(found: &Found<'_>, below: &str) -> (Vec<PathBuf>, Written) {
    let names = found.files.iter().filter_map(|file| file.path.to_str()?.strip_prefix(below));
    let parts: Vec<PathBuf> = names
        .filter(|name| !name.contains('/') && is_part(name))
        .map(|name| format!("{below}{name}").into())
        .collect();
    let has_metadata = found.has(&format!("{below}.metadata"));
    // Sorted by name, `.metadata` stands before `__0_0.distcp`.
    let written = match (parts.is_empty(), has_metadata) {
        (true, _) => Written::NotYet("no rank has written anything yet".into()),
        (false, false) => {
            Written::NotYet(format!("{below}.metadata is not there: some ranks are still writing"))
        }
        (false, true) => Written::Complete,
    };
    (parts, written)
}
