//! Which files of a checkpoint hold its weights.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::json::problem;
use super::layouts::{Found, deepspeed, torch_dcp};
use crate::terms::{Problem, ProblemKind};

/// What the index of a sharded checkpoint is called after its shards' common name.
pub(super) const INDEX_SUFFIX: &str = ".safetensors.index.json";

/// Names in the order in which transformers itself looks for them: the first that is there counts.
const WHOLE: &[&str] =
    &["model.safetensors", "adapter_model.safetensors", "diffusion_pytorch_model.safetensors"];
const INDEXED: &[&str] = &["model.safetensors.index.json", "diffusion_pytorch_model.safetensors.index.json"];
const PICKLED: &[&str] = &["pytorch_model.bin", "adapter_model.bin"];
const PICKLED_INDEX: &str = "pytorch_model.bin.index.json";

/// Tensors of a missing shard that are named one by one; more would bury the rest of the finding.
const MISSING_NAMED_MAX: usize = 16;

/// The weights of a directory in Hugging Face's naming, relative to its root.
pub(super) fn find_weights(found: &Found<'_>) -> (Vec<PathBuf>, Vec<Problem>) {
    let first = |names: &[&str]| names.iter().find(|name| found.has(name)).map(|name| name.to_string());
    if let Some(name) = first(WHOLE) {
        return (vec![name.into()], Vec::new());
    }
    if let Some(index) = first(INDEXED) {
        return from_index(found, &index);
    }
    if let Some(name) = first(PICKLED) {
        return (vec![name.into()], Vec::new());
    }
    if found.has(PICKLED_INDEX) {
        return from_index(found, PICKLED_INDEX);
    }
    // The Trainer leaves these to FSDP and DeepSpeed, each in a directory of its own.
    let (parts, _) = torch_dcp::parts(found, "pytorch_model_fsdp_0/");
    if !parts.is_empty() {
        return (parts, Vec::new());
    }
    let nested = found.files.iter().filter_map(|file| file.path.to_str()?.split_once('/'));
    let nested = nested.map(|(below, _)| below).filter(|below| below.starts_with("global_step")).max();
    if let Some(below) = nested {
        return (deepspeed::states(found, &format!("{below}/")), Vec::new());
    }
    let loose = found.files.iter().map(|file| &file.path);
    let loose = loose.filter(|path| path.components().count() == 1);
    (
        loose.filter(|path| path.extension().is_some_and(|end| end == "safetensors")).cloned().collect(),
        Vec::new(),
    )
}

/// The shards that an index names and that are there; those that are not are problems.
pub(super) fn from_index(found: &Found<'_>, index: &str) -> (Vec<PathBuf>, Vec<Problem>) {
    let value = match found.json(index) {
        Ok(value) => value,
        Err(problem) => return (Vec::new(), vec![problem]),
    };
    let Some(map) = value.get("weight_map").and_then(|map| map.as_object()) else {
        let detail = "has no weight_map".to_string();
        let remedy = "copy the index again, or load and save the model again";
        return (Vec::new(), vec![problem(ProblemKind::Malformed, Path::new(index), detail, remedy)]);
    };
    let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tensor, shard) in map {
        shards.entry(shard.as_str().unwrap_or_default()).or_default().push(tensor);
    }
    let parent = Path::new(index).parent().unwrap_or(Path::new(""));
    let (mut weights, mut problems) = (Vec::new(), Vec::new());
    for (shard, tensors) in shards {
        let path = parent.join(shard);
        if !is_inside(Path::new(shard)) {
            let detail = format!("names a shard outside the checkpoint: {shard:?}");
            problems.push(problem(
                ProblemKind::Hostile,
                Path::new(index),
                detail,
                "do not trust this checkpoint",
            ));
        } else if path.to_str().is_some_and(|path| found.has(path)) {
            weights.push(path);
        } else {
            problems.extend(missing_shard(&path, index, &tensors));
        }
    }
    (weights, problems)
}

/// True for a relative path that stays below where it starts.
fn is_inside(path: &Path) -> bool {
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// One problem for each of the first tensors that the missing shard held.
fn missing_shard(path: &Path, index: &str, tensors: &[&str]) -> Vec<Problem> {
    let more = tensors.len().saturating_sub(MISSING_NAMED_MAX);
    let named = tensors.iter().take(MISSING_NAMED_MAX);
    let problems = named.map(|tensor| Problem {
        kind: ProblemKind::Missing,
        path: path.to_path_buf(),
        tensor: Some(tensor.to_string()),
        offset: None,
        detail: match more {
            0 => format!("{index} names this file for {} tensors, and it is not there", tensors.len()),
            _ => format!(
                "{index} names this file for {} tensors ({more} not listed), and it is not there",
                tensors.len()
            ),
        },
        remedy: "copy the shard again, or resume from an earlier checkpoint".to_string(),
    });
    problems.collect()
}
