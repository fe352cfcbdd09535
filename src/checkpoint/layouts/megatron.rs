//! Megatron-LM and Megatron-core: `iter_0000100/`, then the number goes into a tracker beside it.

use std::path::PathBuf;

use super::naming::number_after;
use super::torch_dcp;
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::terms::StepSource;

/// `iter_N/` directories.
pub(super) struct Megatron;

const TRACKER: &str = "latest_checkpointed_iteration.txt";
const PREFIX: &str = "iter_";

impl Layout for Megatron {
    fn name(&self) -> &'static str {
        "megatron"
    }
    fn on_disk(&self) -> &'static str {
        "`iter_0000100/` with `mp_rank_XX[_YYY]/model_optim_rng.pt`, or `*.distcp` and `.metadata`; a tracker beside it"
    }
    fn complete_when(&self) -> &'static str {
        "`latest_checkpointed_iteration.txt` says this iteration or a later one"
    }

    fn claim(&self, directory: &Listing, _peek: Peek<'_>) -> Vec<Claim> {
        let names = directory.directories().filter(|name| number_after(name, PREFIX).is_some());
        names.map(|name| Claim { witnesses: vec![TRACKER.into()], ..Claim::directory(name) }).collect()
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let step = number_after(&found.claim.entry, PREFIX).unwrap_or_default();
        let (distributed, commit) = torch_dcp::parts(found, "");
        let weights = if distributed.is_empty() { rank_files(found) } else { distributed };
        let tracker = found.beside(TRACKER).and_then(|text| text.trim().parse::<u64>().ok());
        let written = match (tracker, commit) {
            _ if weights.is_empty() => Written::NotYet("no rank has written anything yet".into()),
            (Some(last), _) if last >= step => Written::Complete,
            (Some(last), _) => Written::NotYet(format!("`{TRACKER}` still says {last}")),
            // Copied without the tracker: a distributed checkpoint tells by itself.
            (None, Written::Complete) => Written::Complete,
            (None, _) => Written::Unsure(format!("`{TRACKER}` is not there")),
        };
        Draft { step: Some((step, StepSource::Name)), weights, written, problems: Vec::new() }
    }
}

/// One file of model states a tensor- and pipeline-parallel rank.
fn rank_files(found: &Found<'_>) -> Vec<PathBuf> {
    let is_states =
        |name: &str| ["/model_optim_rng.pt", "/model_rng.pt"].iter().any(|end| name.ends_with(end));
    let files = found.files.iter().map(|file| &file.path);
    files
        .filter(|path| path.to_str().is_some_and(|name| name.starts_with("mp_rank_") && is_states(name)))
        .cloned()
        .collect()
}
