//! Values that are had in turns: a checkpoint's budget may hold the full spectra of some tensors only, and the others'
//! stay as they were when it last was their turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checkpoint::Known;
use crate::measure;
use crate::store::{self, Store};
use crate::terms::{Attempt, Carried, Catalog, Reading, Reason, TensorReading, Tier};

/// Readings that are looked through for the last turns when a run is taken up again; whose turn was longer ago
/// starts anew.
const READINGS_MAX: usize = 64;

/// By tensor.
pub type Turns = BTreeMap<Arc<str>, Carried>;

/// The turns after a reading; none where its budget held everything.
pub fn after(turns: &Turns, reading: &Reading) -> Turns {
    if !reading.tensors.iter().any(waits) {
        return Turns::new();
    }
    let catalog = measure::catalog();
    let turn = |tensor: &TensorReading| {
        let name = &tensor.facts.name;
        if waits(tensor) {
            return Some((Arc::clone(name), turns.get(name)?.clone()));
        }
        let samples = tensor.samples.iter().filter(|(metric, _)| in_turns(&catalog, metric));
        let samples = samples.map(|(metric, value)| (*metric, *value)).collect();
        Some((Arc::clone(name), Carried { step: reading.key.step, samples }))
    };
    reading.tensors.iter().filter(|tensor| tensor.facts.shape.len() == 2).filter_map(turn).collect()
}

/// The turns as the store remembers them, for the attempt of `latest`.
pub fn remembered(
    store: &Store,
    known: &[Known],
    attempt: Attempt,
    latest: Option<&Reading>,
) -> Result<Turns, store::Error> {
    let mut turns = Turns::new();
    if !latest.is_some_and(|latest| latest.tensors.iter().any(waits)) {
        return Ok(turns);
    }
    let mut keys: Vec<_> =
        known.iter().map(|known| &known.key).filter(|key| key.attempt == attempt).collect();
    keys.sort_by_key(|key| key.step);
    for key in &keys[keys.len().saturating_sub(READINGS_MAX)..] {
        if let Some(reading) = store.reading_without_bulk(key)? {
            turns = after(&turns, &reading);
        }
    }
    Ok(turns)
}

/// True where some of a tensor's values were not in the budget.
fn waits(tensor: &TensorReading) -> bool {
    tensor.absent.values().any(|reason| *reason == Reason::OverBudget)
}

/// Metrics that a budget can put off.
fn in_turns(catalog: &Catalog, metric: &str) -> bool {
    catalog.get(metric).is_some_and(|def| def.tier >= Tier::Two)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::{
        Category, CheckpointFacts, Dtype, Meaning, ReadingKey, Role, RunId, Step, StepSource, TensorFacts,
        TrainerState,
    };

    const METRIC: &str = "effective_rank";

    fn tensor(name: &str, value: Option<f64>) -> TensorReading {
        let mut tensor = TensorReading {
            facts: TensorFacts {
                name: name.into(),
                dtype: Dtype::F32,
                shape: vec![8, 8],
                meaning: Meaning {
                    role: Role::Other,
                    category: Category::Other,
                    layer: None,
                    guessed: false,
                    inputs_first: false,
                },
                content_hash: 0,
            },
            samples: [("rms", 1.0)].into(),
            absent: BTreeMap::new(),
            sketch: None,
            quantiles: Vec::new(),
            spectrum: Vec::new(),
        };
        match value {
            Some(value) => tensor.samples.insert(METRIC, value),
            None => {
                tensor.absent.insert(METRIC, Reason::OverBudget);
                None
            }
        };
        tensor
    }

    fn reading(step: u64, tensors: [Option<f64>; 2]) -> Reading {
        let [a, b] = tensors;
        Reading {
            key: ReadingKey { run: RunId::new("r"), attempt: Attempt(0), step: Step(step) },
            checkpoint: CheckpointFacts {
                path: Default::default(),
                layout: String::new(),
                step_source: StepSource::Name,
                timestamp_seconds: 0.0,
                files: Vec::new(),
            },
            previous: None,
            family: String::new(),
            remarks: Vec::new(),
            tensors: vec![tensor("a", a), tensor("b", b)],
            subjects: Vec::new(),
            skipped: Vec::new(),
            problems: Vec::new(),
            tied: Vec::new(),
            trainer: TrainerState::default(),
        }
    }

    #[test]
    fn each_tensor_keeps_the_values_of_its_last_turn() {
        let turns = after(&Turns::new(), &reading(10, [Some(3.0), None]));
        assert_eq!(turns.keys().map(|name| &**name).collect::<Vec<_>>(), ["a"], "b had no turn yet");
        let turns = after(&turns, &reading(20, [None, Some(5.0)]));
        assert_eq!((turns["a"].step, turns["a"].samples[METRIC]), (Step(10), 3.0));
        assert_eq!((turns["b"].step, turns["b"].samples[METRIC]), (Step(20), 5.0));
        assert!(!turns["a"].samples.contains_key("rms"), "what every checkpoint has is not carried");
        assert_eq!(after(&turns, &reading(30, [Some(1.0), Some(1.0)])), Turns::new());
    }
}
