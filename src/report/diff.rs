//! What changed between two checkpoints, tensor by tensor.

use std::cmp::Ordering;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::number::short;
use super::terminal::tail;
use crate::terms::{Reading, Samples, TensorFacts, TensorReading};

/// What is shown of each tensor that is in both, beside what happened to it.
const METRICS: [&str; 6] =
    ["update_ratio", "cosine_to_previous", "identical_ratio", "update_abs_max", "rms", "nan_elements"];

/// One tensor of two checkpoints.
#[derive(Debug)]
pub struct Difference<'a> {
    /// Name, as in the files.
    pub name: &'a str,
    /// What happened to it.
    pub what: Change<'a>,
}

/// What happened to a tensor from the one checkpoint to the other.
#[derive(Debug)]
pub enum Change<'a> {
    /// Only in the first.
    Gone,
    /// Only in the second.
    New,
    /// Another shape or dtype.
    Recast(&'a TensorFacts, &'a TensorFacts),
    /// Bit for bit what it was.
    Same,
    /// Other values: those of the second against the first.
    Moved(&'a Samples),
}

/// Every tensor of either: first what came, went or was recast, then by `update_ratio`, largest first.
/// `after` was weighed against `before`.
pub fn diff<'a>(before: &'a Reading, after: &'a Reading) -> Vec<Difference<'a>> {
    let gone = before.tensors.iter().filter(|old| after.tensor(&old.facts.name).is_none());
    let mut all: Vec<Difference<'a>> =
        gone.map(|old| Difference { name: &old.facts.name, what: Change::Gone }).collect();
    all.extend(after.tensors.iter().map(|new| {
        let what = before.tensor(&new.facts.name).map_or(Change::New, |old| change(old, new));
        Difference { name: &new.facts.name, what }
    }));
    all.sort_by(|a, b| b.rank().partial_cmp(&a.rank()).unwrap_or(Ordering::Equal));
    all
}

fn change<'a>(old: &'a TensorReading, new: &'a TensorReading) -> Change<'a> {
    if old.facts.shape != new.facts.shape || old.facts.dtype != new.facts.dtype {
        Change::Recast(&old.facts, &new.facts)
    } else if old.facts.content_hash == new.facts.content_hash {
        Change::Same
    } else {
        Change::Moved(&new.samples)
    }
}

impl Difference<'_> {
    fn rank(&self) -> f64 {
        match &self.what {
            Change::Gone | Change::New | Change::Recast(..) => f64::INFINITY,
            // Without a ratio (the tensor was zero, or is not finite any more) it is looked at before others.
            Change::Moved(samples) => samples.get("update_ratio").copied().unwrap_or(f64::MAX),
            Change::Same => -1.0,
        }
    }

    fn word(&self) -> &'static str {
        match self.what {
            Change::Gone => "gone",
            Change::New => "new",
            Change::Recast(..) => "recast",
            Change::Same => "same",
            Change::Moved(_) => "moved",
        }
    }
}

/// One object: counts by what happened, and the tensors in the order of [`diff`].
pub fn diff_json(differences: &[Difference<'_>]) -> Value {
    let tensors: Vec<Value> = differences
        .iter()
        .map(|difference| {
            let mut object = Map::from_iter([
                ("tensor".to_owned(), json!(difference.name)),
                ("change".to_owned(), json!(difference.word())),
            ]);
            match &difference.what {
                Change::Recast(old, new) => {
                    object.insert("before".into(), json!({"dtype": old.dtype, "shape": old.shape}));
                    object.insert("after".into(), json!({"dtype": new.dtype, "shape": new.shape}));
                }
                Change::Moved(samples) => {
                    let had =
                        METRICS.iter().filter_map(|&name| Some((name.to_owned(), json!(samples.get(name)?))));
                    object.extend(had);
                }
                Change::Gone | Change::New | Change::Same => {}
            }
            Value::Object(object)
        })
        .collect();
    json!({"counts": counts(differences), "tensors": tensors})
}

/// A table, and a line of counts.
pub fn diff_text(differences: &[Difference<'_>]) -> String {
    let mut text = format!("{:44} {:7}", "tensor", "change");
    for name in METRICS {
        let _ = write!(text, " {name:>18}");
    }
    text.push('\n');
    for difference in differences {
        let _ = write!(text, "{:44} {:7}", tail(difference.name, 44), difference.word());
        match &difference.what {
            Change::Recast(old, new) => {
                let _ = write!(text, " {} {:?} is now {} {:?}", old.dtype, old.shape, new.dtype, new.shape);
            }
            Change::Moved(samples) => {
                for name in METRICS {
                    let value = samples.get(name).map_or_else(|| "–".to_owned(), |&value| short(value));
                    let _ = write!(text, " {value:>18}");
                }
            }
            Change::Gone | Change::New | Change::Same => {}
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    let counts = counts(differences);
    let words: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let _ = writeln!(text, "{} tensors: {}", differences.len(), words.join(", "));
    text
}

fn counts(differences: &[Difference<'_>]) -> std::collections::BTreeMap<&'static str, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for difference in differences {
        *counts.entry(difference.word()).or_default() += 1;
    }
    counts
}
