//! Where a checkpoint, or one of its tensors, was seen before: rollbacks, stale shards, layers that changed
//! places.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Distance, Products, ROUNDING, TensorDistance, distance};
use crate::terms::{ReadingKey, Sketch, Sketches, TensorFacts};

/// Two sketches are of the same tensor where their distance is no more than so many roundings: what is
/// stored is f32, and both were added up in the same order.
const SAME_ROUNDINGS: f64 = 4.0;

/// The earlier checkpoint that one is nearest to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nearest {
    /// The earlier checkpoint.
    pub key: ReadingKey,
    /// How far it is.
    pub distance: Distance,
    /// True when it is the same: every tensor that both have is equal as far as sketches tell.
    pub same: bool,
}

/// The earlier checkpoint nearest to `current`; of equally near ones the newest given. None where none
/// compares.
pub fn nearest(current: &Sketches, earlier: &[(ReadingKey, Arc<Sketches>)]) -> Option<Nearest> {
    let mut best: Option<Nearest> = None;
    for (key, sketches) in earlier {
        let distance = distance(sketches, current);
        let compares = !distance.tensors.is_empty();
        if compares && best.as_ref().is_none_or(|best| distance.distance <= best.distance.distance) {
            let same = current.iter().all(|(name, sketch)| {
                let other = sketches.get(name).and_then(|other| Products::of(other, sketch));
                other.is_none_or(|products| is_same(&products))
            });
            best = Some(Nearest { key: key.clone(), distance, same });
        }
    }
    best
}

fn is_same(products: &Products) -> bool {
    products.difference <= (SAME_ROUNDINGS * ROUNDING).powi(2) * (products.before + products.after)
}

/// Two tensors that stand in each other's place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Swap {
    /// The one.
    pub tensor: Arc<str>,
    /// The other.
    pub with: Arc<str>,
    /// Distance of each to what stood under its own name, over the distance to what stood under the other's;
    /// the smaller of the two.
    pub ratio: f64,
}

/// A tensor must be so many times nearer to another's place than to its own.
const SWAP_RATIO_MIN: f64 = 3.0;

/// Distances of one tensor to those of equal shape and type in the same checkpoint, the nearest first.
pub fn siblings(sketches: &Sketches, facts: &[TensorFacts], tensor: &str) -> Vec<TensorDistance> {
    let Some(own) = facts.iter().find(|facts| &*facts.name == tensor) else { return Vec::new() };
    let Some(sketch) = sketches.get(&own.name) else { return Vec::new() };
    let like =
        |other: &&TensorFacts| other.shape == own.shape && other.dtype == own.dtype && other.name != own.name;
    let to = |other: &TensorFacts| {
        Some(super::one(other.name.clone(), &Products::of(sketch, sketches.get(&other.name)?)?))
    };
    let mut siblings: Vec<_> = facts.iter().filter(like).filter_map(to).collect();
    siblings.sort_by(|left, right| left.distance.total_cmp(&right.distance));
    siblings
}

/// Pairs of tensors of equal shape and type, of which each is much nearer to what the other was at `before`
/// than to what it was itself, the clearest first.
pub fn swaps(before: &Sketches, after: &Sketches, facts: &[TensorFacts]) -> Vec<Swap> {
    let alike = alike(facts);
    let apart = |was: &Arc<str>, is: &Arc<str>| {
        Some(Products::of(before.get(was)?, after.get(is)?)?.difference.sqrt())
    };
    let mut swaps = Vec::new();
    for names in alike.values() {
        for (index, left) in names.iter().enumerate() {
            for right in &names[index + 1..] {
                let own = apart(left, left).zip(apart(right, right));
                let crossed = apart(right, left).zip(apart(left, right));
                let Some(((own_left, own_right), (left_as_right, right_as_left))) = own.zip(crossed) else {
                    continue;
                };
                let ratio = (own_left / left_as_right).min(own_right / right_as_left);
                if ratio >= SWAP_RATIO_MIN {
                    swaps.push(Swap { tensor: (*left).clone(), with: (*right).clone(), ratio });
                }
            }
        }
    }
    swaps.sort_by(|left, right| right.ratio.total_cmp(&left.ratio));
    swaps
}

/// Names of tensors by shape and type: only these can stand for each other.
fn alike(facts: &[TensorFacts]) -> BTreeMap<(&[u64], &str), Vec<&Arc<str>>> {
    let mut alike: BTreeMap<(&[u64], &str), Vec<&Arc<str>>> = BTreeMap::new();
    for facts in facts {
        alike.entry((&facts.shape, facts.dtype.name())).or_default().push(&facts.name);
    }
    alike
}

/// Pairs of tensors of equal shape and type that are equal now and were not at `before`, in file order. Tensors
/// that are zero tell nothing.
pub fn copies(before: &Sketches, after: &Sketches, facts: &[TensorFacts]) -> Vec<(Arc<str>, Arc<str>)> {
    let same = |of: &Sketches, left: &Arc<str>, right: &Arc<str>| {
        let products = Products::of(of.get(left)?, of.get(right)?)?;
        Some(is_same(&products) && products.before > 0.0)
    };
    let mut copies = Vec::new();
    for names in alike(facts).values() {
        for (index, left) in names.iter().enumerate() {
            let copied = names[index + 1..].iter().filter(|right| {
                same(after, left, right) == Some(true) && same(before, left, right) == Some(false)
            });
            copies.extend(copied.map(|right| ((*left).clone(), (*right).clone())));
        }
    }
    copies
}

/// Which earlier checkpoint a tensor is as of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorAge {
    /// The tensor.
    pub tensor: Arc<str>,
    /// The oldest earlier checkpoint from which on it has been the same; none where it changed since the last.
    pub same_as: Option<ReadingKey>,
    /// True when it was another in between: it went back, rather than stood still.
    pub went_back: bool,
    /// True when what was in between differs in more than a few elements. In 16 bits a gain of 64 elements may well
    /// take one step and take it back.
    pub clearly: bool,
}

/// Elements, and their share, that must have gone back for a tensor to have done so clearly.
const BACK_ELEMENTS_MIN: usize = 4;
const BACK_SHARE_MIN: f64 = 0.125;

/// True where more than a few elements differ; a tensor that is larger than its sketch is never the same by chance.
fn differs_clearly(left: &Sketch, right: &Sketch) -> bool {
    let differing = left.values.iter().zip(&right.values).filter(|(left, right)| left != right).count();
    let few = differing < BACK_ELEMENTS_MIN || (differing as f64) < BACK_SHARE_MIN * left.values.len() as f64;
    !(left.exact && right.exact && few)
}

/// For each tensor, the earlier checkpoint that it is the same as. `earlier` is oldest first. In a whole
/// checkpoint of a run that trains, none is the same as any; a stale shard's tensors all go back to one.
pub fn ages(current: &Sketches, earlier: &[(ReadingKey, Arc<Sketches>)]) -> Vec<TensorAge> {
    let age = |(name, sketch): (&Arc<str>, &Sketch)| {
        let same: Vec<Option<bool>> = earlier
            .iter()
            .map(|(_, sketches)| Some(is_same(&Products::of(sketches.get(name)?, sketch)?)))
            .collect();
        let newest = same.iter().rposition(|same| *same == Some(true));
        let between = newest.and_then(|at| (at + 1..same.len()).find(|at| same[*at] == Some(false)));
        let clearly =
            between.and_then(|at| earlier[at].1.get(name)).is_some_and(|of| differs_clearly(of, sketch));
        // From the newest that is the same, back as long as nothing else was in between.
        let oldest =
            newest.map(|at| same[..=at].iter().rposition(|same| *same == Some(false)).map_or(0, |at| at + 1));
        let oldest = oldest.and_then(|from| (from..same.len()).find(|at| same[*at] == Some(true)));
        let same_as = oldest.map(|at| earlier[at].0.clone());
        TensorAge { tensor: name.clone(), same_as, went_back: between.is_some(), clearly }
    };
    current.iter().map(age).collect()
}
