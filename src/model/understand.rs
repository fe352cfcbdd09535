//! From names and shapes to meanings.

use serde_json::Value;

use super::choose::choose;
use super::config::Config;
use super::families::COMMON;
use super::family::{Family, Stack};
use super::guess::guess;
use super::heads::attention_parts;
use super::names::{Leaf, Match, Name, Patterns, find_common, role_of};
use super::tied::tied_pairs;
use crate::terms::{Category, Meaning, ModelMap, Role, TensorInfo};

/// A tensor with its name taken apart and its place in the family's table.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) info: &'a TensorInfo,
    pub(super) name: Name<'a>,
    pub(super) found: Option<Match<'a>>,
    /// Index of its stack; 0 in a family without stacks.
    pub(super) stack: usize,
    /// Layer, counted on through the stacks.
    pub(super) layer: Option<u32>,
}

/// What every tensor is, given the model's configuration where there is one.
pub fn understand(tensors: &[TensorInfo], config: Option<&Value>) -> ModelMap {
    understand_with(tensors, config, &[])
}

/// As [`understand`], with families of the user's own that are tried first.
pub fn understand_with(tensors: &[TensorInfo], config: Option<&Value>, extra: &[Family]) -> ModelMap {
    let names: Vec<Name<'_>> = tensors.iter().map(|tensor| Name::parse(&tensor.name)).collect();
    let model_type = Config::new(config, None).model_type();
    let (patterns, remark) = choose(tensors, &names, model_type, extra);
    let family = patterns.as_ref().map(|patterns| patterns.family);
    let stacks: &[Stack] = family.map_or(&[], |family| family.stacks);
    let mut known: Vec<Known<'_>> = tensors
        .iter()
        .zip(names)
        .map(|(info, name)| {
            let found = patterns.as_ref().and_then(|patterns: &Patterns<'_>| patterns.find(&name));
            let found = found.or_else(|| find_common(&name, COMMON));
            let stack = stacks.iter().rposition(|stack| name.module.contains(&stack.path));
            Known { info, layer: found.and_then(|found| found.layer), found, name, stack: stack.unwrap_or(0) }
        })
        .collect();
    count_layers_on(&mut known, stacks.len());
    let meanings: Vec<Meaning> =
        known.iter().map(|known| meaning(known, family.is_some_and(|family| family.inputs_first))).collect();
    let mut remarks: Vec<String> = remark.into_iter().collect();
    let attention = attention_parts(&known, family, config, &mut remarks);
    let (tied, tied_absent) = tied_pairs(&known, family, config, &mut remarks);
    remark_on_shapes(&known, &meanings, stacks, config, &mut remarks);
    let name = family.map(|family| {
        let named = model_type.filter(|name| family.model_types.contains(name));
        named.map_or(family.name.to_string(), str::to_string)
    });
    let family = name.unwrap_or("unknown".to_string());
    ModelMap { family, meanings, attention, tied, tied_absent, remarks }
}

/// Lets the layers of each stack follow those of the stack before.
fn count_layers_on(known: &mut [Known<'_>], stacks: usize) {
    let mut offset = 0;
    for stack in 0..stacks {
        let of_stack = |known: &&mut Known<'_>| known.stack == stack && known.layer.is_some();
        let layers = known.iter().filter(|known| known.stack == stack).filter_map(|known| known.layer).max();
        for known in known.iter_mut().filter(of_stack) {
            known.layer = known.layer.map(|layer| layer.saturating_add(offset));
        }
        offset = offset.saturating_add(layers.map_or(0, |last| last.saturating_add(1)));
    }
}

fn meaning(known: &Known<'_>, inputs_first: bool) -> Meaning {
    let Some(found) = known.found else {
        return guess(known.info, &known.name);
    };
    let role = role_of(found.part.role, known.name.leaf, known.info.shape.len());
    let in_layer = matches!(
        role,
        Role::AttnQ | Role::AttnK | Role::AttnV | Role::AttnQkv | Role::AttnOut | Role::MlpUp | Role::MlpDown
    );
    Meaning {
        role,
        category: category(found.part.role),
        layer: known.layer,
        guessed: false,
        inputs_first: inputs_first && in_layer && known.info.shape.len() == 2,
    }
}

/// The inventory's group of a module by its role.
pub(super) fn category(role: Role) -> Category {
    match role {
        Role::TokenEmbedding => Category::TokenEmbedding,
        Role::PositionEmbedding => Category::PositionalEmbedding,
        Role::AttnQ | Role::AttnK | Role::AttnV | Role::AttnQkv | Role::AttnOut => Category::Attention,
        Role::MlpUp | Role::MlpGate | Role::MlpDown | Role::MlpGateUp => Category::FeedForward,
        Role::Router | Role::ExpertUp | Role::ExpertGate | Role::ExpertDown => Category::FeedForward,
        Role::Norm => Category::LayerNorm,
        Role::Bias | Role::LmHead | Role::LoraA | Role::LoraB | Role::Conv | Role::Other => Category::Other,
    }
}

/// Widths, counts and ranks that the configuration states and the shapes deny.
fn remark_on_shapes(
    known: &[Known<'_>],
    meanings: &[Meaning],
    stacks: &[Stack],
    config: Option<&Value>,
    remarks: &mut Vec<String>,
) {
    let top = Config::new(config, None);
    let embedding = known.iter().zip(meanings).find(|(known, meaning)| {
        let whole = known.name.leaf == Leaf::Weight && known.info.shape.len() == 2;
        whole && meaning.role == Role::TokenEmbedding && !known.info.name.contains("token_type")
    });
    if let Some((known, _)) = embedding.filter(|_| stacks.iter().all(|stack| stack.section.is_empty())) {
        let (rows, columns) = (known.info.shape[0], known.info.shape[1]);
        if let Some(width) = top.embedding_width().filter(|&width| width != columns) {
            remarks.push(format!(
                "{} has {columns} columns, the configuration's width is {width}",
                known.info.name
            ));
        }
        if let Some(tokens) = top.vocabulary().filter(|&tokens| tokens > rows) {
            remarks.push(format!(
                "{} has {rows} rows, the configuration's vocabulary {tokens}",
                known.info.name
            ));
        }
    }
    let is_adapter = known.iter().any(|known| matches!(known.name.leaf, Leaf::LoraA | Leaf::LoraB));
    let layers = known.iter().filter_map(|known| known.layer).max().map(|last| u64::from(last) + 1);
    if let (Some(found), Some(stated), true, false) = (layers, top.layers(), stacks.is_empty(), is_adapter)
        && found != stated
    {
        remarks.push(format!("{found} layers are in the files, the configuration says {stated}"));
    }
    let rank = top.adapter_rank();
    let odd = known.iter().find(|known| {
        let rows = known.info.shape.first().copied();
        known.name.leaf == Leaf::LoraA && known.info.shape.len() == 2 && rank.is_some() && rows != rank
    });
    if let (Some(known), Some(rank)) = (odd, rank) {
        remarks.push(format!(
            "{} has {} rows, the adapter's rank is {rank}",
            known.info.name, known.info.shape[0]
        ));
    }
}
