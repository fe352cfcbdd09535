//! Weights without a trainer's layout: `*.safetensors` files dropped into a directory, or one that is
//! overwritten in place. Every settled version of a file is a checkpoint.
//!
//! Where the directory also holds a trainer's checkpoints, the files beside them are its exported final
//! model, a copy of a checkpoint that is weighed anyway: they are left alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::naming::{is_unfinished, shard_of, step_in_name};
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::checkpoint::trainer_state::{self, STATE_FILE};
use crate::checkpoint::weights::{INDEX_SUFFIX, from_index};
use crate::terms::StepSource;

/// Bare files.
pub(super) struct Bare;

const SUFFIX: &str = ".safetensors";

impl Layout for Bare {
    fn name(&self) -> &'static str {
        "bare_file"
    }
    fn on_disk(&self) -> &'static str {
        "`*.safetensors`, or shards `*-00001-of-0000N.safetensors` with or without an index, in any directory"
    }
    fn complete_when(&self) -> &'static str {
        "the file is as long as its header says and all shards are there; each version of a file counts"
    }

    fn yields(&self) -> bool {
        true
    }

    fn claim(&self, directory: &Listing, _peek: Peek<'_>) -> Vec<Claim> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in directory.files().filter(|name| !is_unfinished(name)) {
            if let Some(stem) = name.strip_suffix(SUFFIX) {
                let group = shard_of(stem).map_or(stem, |(base, ..)| base);
                groups.entry(group.to_string()).or_default().push(name.to_string());
            }
        }
        for name in directory.files() {
            if let Some(members) = name.strip_suffix(INDEX_SUFFIX).and_then(|stem| groups.get_mut(stem)) {
                members.push(name.to_string());
            }
        }
        let state = if groups.len() == 1 && directory.has_file(STATE_FILE) { Some(STATE_FILE) } else { None };
        let claims = groups.into_values().map(Claim::files);
        claims
            .map(|claim| Claim { witnesses: state.map(String::from).into_iter().collect(), ..claim })
            .collect()
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let members = &found.claim.members;
        let index = members.iter().find(|name| name.ends_with(INDEX_SUFFIX));
        let (weights, problems) = match index {
            Some(index) => from_index(found, index),
            None => (members.iter().map(PathBuf::from).collect(), Vec::new()),
        };
        let written = match missing_shards(&weights) {
            _ if !problems.is_empty() => Written::NotYet(problems[0].to_string()),
            0 => Written::Complete,
            missing => Written::NotYet(format!("{missing} shards are not there yet")),
        };
        Draft { step: self::step(found), weights, written, problems }
    }
}

/// How many shards the names promise that are not there.
fn missing_shards(weights: &[PathBuf]) -> u64 {
    let stem = |path: &PathBuf| path.to_str().and_then(|name| name.strip_suffix(SUFFIX)).map(String::from);
    let count = weights.first().and_then(stem).and_then(|stem| shard_of(&stem).map(|(.., count)| count));
    count.map_or(0, |count| count.saturating_sub(weights.len() as u64))
}

fn step(found: &Found<'_>) -> Option<(u64, StepSource)> {
    let stem = found.claim.entry.strip_suffix(SUFFIX)?;
    let stem = shard_of(stem).map_or(stem, |(base, ..)| base);
    let from_state = || {
        let has_state = found.claim.witnesses.iter().any(|name| name == STATE_FILE);
        let step = has_state.then(|| trainer_state::read(found.root).0.global_step)??;
        Some((step, StepSource::StateFile))
    };
    step_in_name(stem).map(|step| (step, StepSource::Name)).or_else(from_state)
}
