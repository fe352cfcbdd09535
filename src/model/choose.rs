//! Which family a checkpoint belongs to.

use std::collections::HashMap;

use super::families::FAMILIES;
use super::family::Family;
use super::names::{Leaf, Name, Patterns};
use crate::terms::{Role, TensorInfo};

/// Different names that are looked at: a mixture of many experts has more, and they say no more.
const NAMES_MAX: usize = 2000;
/// Share of the different names that a family must know to be taken.
const SHARE_MIN: f64 = 0.5;

/// The family that knows most of the names, and what there is to remark about the choice.
pub(super) fn choose<'f>(
    tensors: &[TensorInfo],
    names: &[Name<'_>],
    model_type: Option<&str>,
    extra: &'f [Family],
) -> (Option<Patterns<'f>>, Option<String>) {
    let mut different: HashMap<String, usize> = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        if different.len() == NAMES_MAX {
            break;
        }
        different.entry(name.key()).or_insert(at);
    }
    let is_named = |family: &Family| model_type.is_some_and(|name| family.model_types.contains(&name));
    let all = extra.iter().chain(FAMILIES.iter().copied());
    let mut best: Option<(Patterns<'f>, (usize, bool, usize))> = None;
    for (at, family) in all.clone().enumerate() {
        let patterns = Patterns::new(family);
        let known = different.values().map(|&at| patterns.specificity(&names[at])).filter(|&fit| fit > 0);
        let (known, fit) = known.fold((0, 0), |(known, all), fit| (known + 1, all + fit));
        if (known as f64) < SHARE_MIN * different.len() as f64
            || known == 0
            || is_contradicted(&patterns, tensors, names)
        {
            continue;
        }
        if is_named(family) {
            return (Some(patterns), None);
        }
        // Among those that know equally many names: the user's own, then the one whose patterns say more.
        let fit = (known, at < extra.len(), fit);
        if best.as_ref().is_none_or(|(_, most)| fit > *most) {
            best = Some((patterns, fit));
        }
    }
    let best = best.map(|(patterns, _)| patterns);
    let named = all.clone().find(|family| is_named(family));
    let remark = match (named, &best) {
        (Some(named), _) => {
            let found = best.as_ref().map_or("of no family that is known", |best| best.family.name);
            let model_type = model_type.unwrap_or(named.name);
            Some(format!(
                "the configuration says model_type {model_type}, but names and shapes of the tensors are {found}"
            ))
        }
        (None, Some(best)) => model_type.map(|model_type| {
            format!(
                "model_type {model_type} has no table of its own; most names are those of {}, and that table is used",
                best.family.name
            )
        }),
        (None, None) => None,
    };
    (best, remark)
}

/// True when shapes show that matrices are stored the other way round: the side that should be the
/// model's width is not, and the other is.
fn is_contradicted(patterns: &Patterns<'_>, tensors: &[TensorInfo], names: &[Name<'_>]) -> bool {
    let found: Vec<(&[u64], Role, Option<u32>)> = tensors
        .iter()
        .zip(names)
        .filter(|(_, name)| name.leaf == Leaf::Weight)
        .filter_map(|(tensor, name)| {
            patterns.find(name).map(|found| (&*tensor.shape, found.part.role, found.layer))
        })
        .collect();
    let norm =
        found.iter().find(|(shape, role, layer)| *role == Role::Norm && layer.is_some() && shape.len() == 1);
    let Some(width) = norm.map(|(shape, ..)| shape[0]) else { return false };
    found.iter().any(|(shape, role, _)| {
        let (&[first, second], Role::AttnQkv | Role::MlpUp) = (*shape, role) else { return false };
        let (inputs, outputs) = if patterns.family.inputs_first { (first, second) } else { (second, first) };
        inputs != width && outputs == width
    })
}
