//! What sketches tell of checkpoints that may be gone: distances, a run's way, and its oddities.

use serde::Serialize;

use crate::store::{self, Store};
use crate::terms::distance::{self, Event, Oddity, TensorDistance};
use crate::terms::{Attempt, ReadingKey, RunId, Sketches, Step};

/// Checkpoints that are laid out at most; of more, evenly many. Each takes about 0.7 MB of memory.
const POINTS_MAX: usize = 128;
/// Tensors that moved most, as text shows them; JSON has all.
const TENSORS_SHOWN: usize = 12;
/// Tensors or pairs that one oddity names in text; JSON has all.
const ODD_SHOWN: usize = 4;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// There is no such thing, in words.
    #[error("{0}")]
    Missing(String),
}

fn missing<T>(what: impl Into<String>) -> Result<T, Error> {
    Err(Error::Missing(what.into()))
}

/// One checkpoint as people name it.
#[derive(Clone, Debug)]
pub struct Named {
    /// The run.
    pub run: RunId,
    /// The attempt; none is the newest that has the step.
    pub attempt: Option<u32>,
    /// The step.
    pub step: u64,
}

impl Named {
    fn key(&self, store: &Store) -> Result<ReadingKey, Error> {
        let (run, step) = (&self.run, self.step);
        let keys = store.keys(run);
        if keys.is_empty() {
            return missing(format!("run {run} is not in this store"));
        }
        let wanted = |key: &&ReadingKey| {
            key.step == Step(step) && self.attempt.is_none_or(|attempt| key.attempt == Attempt(attempt))
        };
        let found = keys.iter().rfind(wanted).cloned();
        found.map_or_else(|| missing(format!("run {run} has no checkpoint of step {step} in this store")), Ok)
    }

    fn sketches(&self, store: &Store) -> Result<(ReadingKey, std::sync::Arc<Sketches>), Error> {
        let key = self.key(store)?;
        match store.sketches_of(&key)? {
            Some(sketches) => Ok((key, sketches)),
            None => missing(format!("{key}: its sketches were not kept")),
        }
    }
}

/// How far apart two checkpoints are, of one run or of two.
pub fn distance(store: &Store, from: &Named, to: &Named) -> Result<distance::Distance, Error> {
    let ((_, before), (_, after)) = (from.sketches(store)?, to.sketches(store)?);
    let apart = distance::distance(&before, &after);
    if apart.tensors.is_empty() {
        return missing(
            "the two checkpoints have no tensor whose sketches compare: their names or shapes differ",
        );
    }
    Ok(apart)
}

/// How far a tensor is from those of its shape and type in the same checkpoint, the nearest first.
pub fn siblings(store: &Store, of: &Named, tensor: &str) -> Result<Vec<TensorDistance>, Error> {
    let (key, sketches) = of.sketches(store)?;
    if !sketches.contains_key(tensor) {
        return missing(format!("{key}: no sketch of a tensor called {tensor}"));
    }
    let Some(reading) = store.reading_without_bulk(&key)? else { return missing(format!("{key} is gone")) };
    let facts: Vec<_> = reading.tensors.into_iter().map(|tensor| tensor.facts).collect();
    Ok(distance::siblings(&sketches, &facts, tensor))
}

/// A run's way, and what is odd about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Way {
    /// The way.
    #[serde(flatten)]
    pub way: distance::Trajectory,
    /// Checkpoints that are not what their steps say.
    pub events: Vec<Event>,
}

/// The way of a run; of one attempt, or of all, one after the other.
pub fn way(store: &Store, run: &RunId, attempt: Option<u32>) -> Result<Way, Error> {
    let mut keys = store.keys(run);
    keys.retain(|key| attempt.is_none_or(|attempt| key.attempt == Attempt(attempt)));
    if keys.is_empty() {
        return missing(format!("run {run} is not in this store"));
    }
    let stride = keys.len().div_ceil(POINTS_MAX);
    // Counted from the newest, so that the newest is always there.
    let thinned: Vec<_> = keys.into_iter().rev().step_by(stride).collect();
    let mut points: Vec<distance::Point> = Vec::new();
    for key in thinned.into_iter().rev() {
        let Some(sketches) = store.sketches_of(&key)? else { continue };
        let Some(reading) = store.reading_without_bulk(&key)? else { continue };
        points.push((key, sketches, reading.tensors.into_iter().map(|tensor| tensor.facts).collect()));
    }
    let bare: Vec<_> = points.iter().map(|(key, sketches, _)| (key.clone(), sketches.clone())).collect();
    match distance::trajectory(&bare) {
        Some(way) => Ok(Way { way, events: distance::events(&points) }),
        None => missing("fewer than two checkpoints have sketches that compare"),
    }
}

/// A distance in words, the tensors that moved most first.
pub fn distance_text(apart: &distance::Distance) -> String {
    let mut tensors: Vec<&TensorDistance> = apart.tensors.iter().collect();
    tensors.sort_by(|left, right| right.relative.total_cmp(&left.relative));
    let mut text = format!(
        "distance {:.6} ± {:.6}, {:.3} % of the norm, cosine {:.6} ± {:.6}, {} tensors\n",
        apart.distance,
        apart.standard_error,
        apart.relative * 100.0,
        apart.cosine,
        apart.cosine_standard_error,
        tensors.len()
    );
    tensors.into_iter().take(TENSORS_SHOWN).for_each(|tensor| text.push_str(&tensor_line(tensor)));
    if !apart.not_compared.is_empty() {
        text.push_str(&format!("{} tensors that only one of them has\n", apart.not_compared.len()));
    }
    text
}

/// Siblings in words.
pub fn siblings_text(siblings: &[TensorDistance]) -> String {
    if siblings.is_empty() {
        return String::from("no other tensor has its shape and type\n");
    }
    siblings.iter().map(tensor_line).collect()
}

fn tensor_line(tensor: &TensorDistance) -> String {
    format!(
        "  {:8.3} %  {:.6} ± {:.6}  cosine {:.6} ± {:.6}  {}\n",
        tensor.relative * 100.0,
        tensor.distance,
        tensor.standard_error,
        tensor.cosine,
        tensor.cosine_standard_error,
        tensor.tensor
    )
}

/// A way in words.
pub fn way_text(answer: &Way) -> String {
    let way = &answer.way;
    let run = way.keys.first().map_or("", |key| key.run.as_str());
    // Every line is of the same run: it is named once.
    let step = |key: &ReadingKey| {
        let words = key.to_string();
        words.strip_prefix(run).unwrap_or(&words).trim_start().to_owned()
    };
    let (count, apart) = (way.keys.len(), way.end_to_end);
    let mut text = format!("{run}: {count} checkpoints, {apart:.6} from first to last");
    let travelled: f64 = way.moves.iter().sum();
    text.push_str(&format!(" on a way of {travelled:.6}\n"));
    if let (Some(exponent), Some(error)) = (way.diffusion_exponent, way.diffusion_standard_error) {
        let line = format!(
            "diffusion exponent {exponent:.3} ± {error:.3} (1 drifts, 0.5 wanders, below 0.3 is trapped)\n"
        );
        text.push_str(&line);
    }
    let moves = way.keys.iter().skip(1).zip(&way.moves).zip(&way.move_standard_errors);
    for (index, ((key, distance), error)) in moves.enumerate() {
        let [x, y] = way.coordinates[index + 1];
        text.push_str(&format!("  {}: moved {distance:.6} ± {error:.6}, at ({x:.4}, {y:.4})\n", step(key)));
    }
    for event in &answer.events {
        text.push_str(&format!("{}: {}\n", step(&event.key), oddity(&event.oddity)));
    }
    text
}

/// The first few of a list, and how many more there are.
fn listed(items: impl ExactSizeIterator<Item = String>, between: &str) -> String {
    let more = items.len().saturating_sub(ODD_SHOWN);
    let shown: Vec<String> = items.take(ODD_SHOWN).collect();
    let rest = if more == 0 { String::new() } else { format!("{between}and {more} more") };
    shown.join(between) + &rest
}

fn oddity(oddity: &Oddity) -> String {
    match oddity {
        Oddity::Again(key) => format!("this is {key} again"),
        Oddity::Swapped(swaps) => {
            let pairs = swaps.iter().map(|swap| format!("{} and {}", swap.tensor, swap.with));
            format!("these changed places: {}", listed(pairs, "; "))
        }
        Oddity::Copied(pairs) => {
            let pairs = pairs.iter().map(|(of, copy)| format!("{copy} is {of}"));
            format!("these became copies: {}", listed(pairs, "; "))
        }
        Oddity::WentBack { to, tensors } => {
            let names = tensors.iter().map(|name| name.to_string());
            format!("older than the rest, as of {to}: {}", listed(names, ", "))
        }
    }
}
