//! A run's checkpoints one after the other, and what sketches alone tell to be odd about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Swap, ages, copies, nearest, swaps};
use crate::terms::{ReadingKey, Sketches, TensorFacts};

/// A checkpoint, with its sketches and its tensors.
pub type Point = (ReadingKey, Arc<Sketches>, Vec<TensorFacts>);

/// Something that an honest step of training does not do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Oddity {
    /// This is the checkpoint of that step again.
    Again(ReadingKey),
    /// These tensors stand in each other's place.
    Swapped(Vec<Swap>),
    /// The second of each pair became a copy of the first.
    Copied(Vec<(Arc<str>, Arc<str>)>),
    /// These tensors are as they were at that step, and others are not.
    WentBack {
        /// The earlier checkpoint.
        to: ReadingKey,
        /// The tensors.
        tensors: Vec<Arc<str>>,
    },
}

/// An oddity and the checkpoint that shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// The checkpoint.
    pub key: ReadingKey,
    /// What is odd.
    pub oddity: Oddity,
}

/// Walks over the checkpoints, oldest first.
pub fn events(points: &[Point]) -> Vec<Event> {
    let earlier: Vec<(ReadingKey, Arc<Sketches>)> =
        points.iter().map(|(key, sketches, _)| (key.clone(), sketches.clone())).collect();
    let mut events = Vec::new();
    for at in 1..points.len() {
        let (key, sketches, facts) = &points[at];
        let before = &earlier[at - 1].1;
        let mut tell = |oddity| events.push(Event { key: key.clone(), oddity });
        let near = nearest(sketches, &earlier[..at]).filter(|near| near.same);
        if let Some(near) = near {
            // Equal to the one just before is standing still, which is another matter.
            if near.key != earlier[at - 1].0 {
                tell(Oddity::Again(near.key));
            }
            continue;
        }
        let swapped = swaps(before, sketches, facts);
        if !swapped.is_empty() {
            tell(Oddity::Swapped(swapped));
        }
        let copied = copies(before, sketches, facts);
        if !copied.is_empty() {
            tell(Oddity::Copied(copied));
        }
        let mut back: BTreeMap<ReadingKey, (bool, Vec<Arc<str>>)> = BTreeMap::new();
        for age in ages(sketches, &earlier[..at]).into_iter().filter(|age| age.went_back) {
            if let Some(to) = age.same_as {
                let (clearly, tensors) = back.entry(to).or_default();
                *clearly |= age.clearly;
                tensors.push(age.tensor);
            }
        }
        let told = back.into_iter().filter(|(_, (clearly, _))| *clearly);
        told.for_each(|(to, (_, tensors))| tell(Oddity::WentBack { to, tensors }));
    }
    events
}
