//! NeMo: as Lightning, with a marker that ends in `-unfinished` beside the checkpoint while it is written.

use super::lightning;
use super::naming::{is_unfinished, step_in_name};
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::terms::StepSource;

/// Checkpoints with a marker, or with NeMo's own names.
pub(super) struct Nemo;

const MARKER: &str = "-unfinished";
const SUFFIX: &str = ".ckpt";

impl Layout for Nemo {
    fn name(&self) -> &'static str {
        "nemo"
    }
    fn on_disk(&self) -> &'static str {
        "`NAME--metric=…-step=100.ckpt`, or a directory with `weights/` and `context/`"
    }
    fn complete_when(&self) -> &'static str {
        "no marker `NAME-unfinished` is beside it"
    }

    fn claim(&self, directory: &Listing, peek: Peek<'_>) -> Vec<Claim> {
        let marked: Vec<&str> =
            directory.entries.iter().filter_map(|entry| entry.name.strip_suffix(MARKER)).collect();
        let is_marked =
            |name: &str| marked.iter().any(|base| *base == name || Some(*base) == name.strip_suffix(SUFFIX));
        let has_own_name = |name: &str| name.contains("--") && name.contains("step=");
        let counts = |name: &str| !is_unfinished(name) && !name.ends_with(MARKER) && !name.contains("-last.");
        let files = directory.files().filter(|name| counts(name) && name.ends_with(SUFFIX));
        let files = files.filter(|name| has_own_name(name) || is_marked(name));
        let mut claims: Vec<Claim> = files.map(|name| Claim::files(vec![name.to_string()])).collect();
        for name in directory.directories().filter(|name| counts(name)) {
            let is_nemo = |listing: &Listing| {
                ["weights", "context"].iter().all(|part| listing.directories().any(|d| d == *part))
            };
            if is_marked(name) || has_own_name(name) || peek(name).is_some_and(|listing| is_nemo(&listing)) {
                claims.push(Claim::directory(name));
            }
        }
        for claim in &mut claims {
            let stem = claim.entry.trim_end_matches(SUFFIX);
            claim.witnesses = vec![format!("{stem}{MARKER}"), format!("{}{MARKER}", claim.entry)];
        }
        claims
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let stem = found.claim.entry.trim_end_matches(SUFFIX);
        let step = step_in_name(stem).map(|step| (step, StepSource::Name));
        let (weights, written) = if found.claim.is_directory() {
            lightning::sharded(found)
        } else {
            (vec![found.claim.entry.clone().into()], Written::Complete)
        };
        let marker = found.claim.witnesses.iter().find(|marker| found.directory.entry(marker).is_some());
        let written = match (marker, written) {
            (Some(marker), _) => Written::NotYet(format!("`{marker}` is beside it")),
            // The marker is gone: whatever commit file the strategy has, the trainer is done.
            (None, Written::Unsure(_)) => Written::Complete,
            (None, written) => written,
        };
        Draft { step, weights, written, problems: Vec::new() }
    }
}
