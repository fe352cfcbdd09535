//! What changed between two checkpoints, tensor by tensor.

use std::cmp::Ordering;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::number::short;
use super::terminal::{Terminal, tail};
use crate::terms::{Reading, Samples, TensorFacts, TensorReading};

/// What is shown of each tensor that is in both, beside what happened to it, with its short name for narrow
/// terminals; the last ones go first where there is no room.
const METRICS: [(&str, &str); 6] = [
    ("update_ratio", "update"),
    ("cosine_to_previous", "cosine"),
    ("identical_ratio", "same"),
    ("update_abs_max", "max"),
    ("rms", "rms"),
    ("nan_elements", "NaN"),
];
/// A column of a narrow table, with the space before it.
const NARROW: usize = 10;

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
                    let had = METRICS
                        .iter()
                        .filter_map(|&(name, _)| Some((name.to_owned(), json!(samples.get(name)?))));
                    object.extend(had);
                }
                Change::Gone | Change::New | Change::Same => {}
            }
            Value::Object(object)
        })
        .collect();
    json!({"counts": counts(differences), "tensors": tensors})
}

/// How wide a table's parts are, and how many metrics it has.
struct Layout {
    name: usize,
    metric: usize,
    metrics: usize,
    short: bool,
}

impl Layout {
    /// A pipe takes all; on a terminal no line is longer than it is wide.
    fn of(differences: &[Difference<'_>], terminal: &Terminal) -> Self {
        let wide = Self { name: 44, metric: 19, metrics: METRICS.len(), short: false };
        let all = wide.name + "change".len() + 2 + wide.metric * METRICS.len();
        if terminal.rows.is_none() || terminal.columns >= all {
            return wide;
        }
        let longest = differences.iter().map(|d| d.name.chars().count()).max().unwrap_or(0);
        let name = longest.min(terminal.columns * 2 / 5).max(16);
        let room = terminal.columns.saturating_sub(name + "change".len() + 2) / NARROW;
        Self { name, metric: NARROW, metrics: room.clamp(1, METRICS.len()), short: true }
    }
}

/// A table, and a line of counts.
pub fn diff_text(differences: &[Difference<'_>], terminal: &Terminal) -> String {
    let layout = Layout::of(differences, terminal);
    let (name_width, width) = (layout.name, layout.metric);
    let metrics = &METRICS[..layout.metrics];
    let mut text = format!("{:name_width$} {:6}", "tensor", "change");
    for (name, short) in metrics {
        let _ = write!(text, "{:>width$}", if layout.short { short } else { name });
    }
    text.push('\n');
    for difference in differences {
        let _ = write!(text, "{:name_width$} {:6}", tail(difference.name, name_width), difference.word());
        match &difference.what {
            Change::Recast(old, new) => {
                let _ = write!(text, " {} {:?} is now {} {:?}", old.dtype, old.shape, new.dtype, new.shape);
            }
            Change::Moved(samples) => {
                for (name, _) in metrics {
                    let value = samples.get(name).map_or_else(|| "–".to_owned(), |&value| short(value));
                    let _ = write!(text, "{value:>width$}");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_the_terminal() {
        let samples = Samples::from([("update_ratio", 0.25), ("rms", 1.5), ("nan_elements", 0.0)]);
        let name = "gpt_neox.layers.2.attention.query_key_value.weight".repeat(2);
        let differences = [Difference { name: &name, what: Change::Moved(&samples) }];
        for (columns, metrics) in [(60, 2), (80, 4), (100, 5), (140, 6)] {
            let text = diff_text(&differences, &Terminal { columns, rows: Some(40), colours: false });
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(columns), "{text}");
            let shown = METRICS.iter().filter(|(_, short)| text.contains(&format!(" {short}"))).count();
            assert_eq!(shown, metrics, "{text}");
        }
        let piped = diff_text(&differences, &Terminal::default());
        assert!(METRICS.iter().all(|(name, _)| piped.contains(name)), "{piped}");
    }
}
