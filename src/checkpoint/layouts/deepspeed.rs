//! DeepSpeed by itself: `global_stepN/` with one file of model states a model-parallel rank and one of
//! optimizer states a data-parallel rank; then `latest` beside it names the directory, in place.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::naming::number_after;
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::terms::StepSource;

/// `global_stepN/` directories.
pub(super) struct DeepSpeed;

/// The tracker beside the directories.
const LATEST: &str = "latest";
const PREFIX: &str = "global_step";

impl Layout for DeepSpeed {
    fn name(&self) -> &'static str {
        "deepspeed"
    }
    fn on_disk(&self) -> &'static str {
        "`global_stepN/` with `mp_rank_00_model_states.pt` and `*zero_pp_rank_*_optim_states.pt`, `latest` beside it"
    }
    fn complete_when(&self) -> &'static str {
        "`latest` names this directory or a later one, and no rank's number is left out"
    }

    fn claim(&self, directory: &Listing, _peek: Peek<'_>) -> Vec<Claim> {
        let names = directory.directories().filter(|name| number_after(name, PREFIX).is_some());
        names.map(|name| Claim { witnesses: vec![LATEST.into()], ..Claim::directory(name) }).collect()
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let step = number_after(&found.claim.entry, PREFIX).unwrap_or_default();
        let weights = states(found, "");
        let latest = found.beside(LATEST).and_then(|text| number_after(text.trim(), PREFIX));
        let written = match latest {
            _ if weights.is_empty() => Written::NotYet("no rank has written its model states yet".into()),
            Some(latest) if latest < step => Written::NotYet(format!("`{LATEST}` still names step {latest}")),
            None if found.directory.has_file(LATEST) => {
                Written::Unsure(format!("`{LATEST}` names no {PREFIX} directory"))
            }
            None => Written::NotYet(format!("`{LATEST}` is not there yet")),
            Some(_) => match missing_rank(&weights) {
                Some(rank) => Written::NotYet(format!("rank {rank} has not written its model states")),
                None => Written::Complete,
            },
        };
        Draft { step: Some((step, StepSource::Name)), weights, written, problems: Vec::new() }
    }
}

/// Files of weights in `below`: model states; at stage 3, where these hold no values, also the
/// partitions that the optimizer keeps.
pub(crate) fn states(found: &Found<'_>, below: &str) -> Vec<PathBuf> {
    let names = found.files.iter().filter_map(|file| file.path.to_str()?.strip_prefix(below));
    let names: Vec<&str> = names.filter(|name| !name.contains('/')).collect();
    let stage_3 =
        names.iter().any(|name| name.starts_with("zero_pp_rank_") && name.ends_with("_model_states.pt"));
    let counts =
        |name: &&&str| name.ends_with("model_states.pt") || stage_3 && name.ends_with("optim_states.pt");
    names.iter().filter(counts).map(|name| format!("{below}{name}").into()).collect()
}

/// A model-parallel rank below the highest that has no file.
fn missing_rank(weights: &[PathBuf]) -> Option<u64> {
    let rank = |path: &PathBuf| {
        let name = path.to_str()?;
        let digits = name.split("mp_rank_").nth(1)?;
        digits.split('_').next()?.parse::<u64>().ok()
    };
    let ranks: BTreeSet<u64> = weights.iter().filter_map(rank).collect();
    let last = *ranks.last()?;
    (0..last.min(ranks.len() as u64)).find(|rank| !ranks.contains(rank))
}
