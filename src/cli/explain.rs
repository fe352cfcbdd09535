//! `weighbridge explain`: what a metric or a detector is, from its one definition.

use std::fmt::Write;

use anyhow::bail;
use clap::Args;

use super::{Exit, Run, output, terminal};
use crate::daemon;
use crate::detect::{self, DETECTORS};
use crate::measure::METRICS;
use crate::report::hung;
use crate::terms::MetricDef;

/// Explains one metric or detector; without a name, lists all.
#[derive(Debug, Args)]
pub struct Explain {
    /// Metric or detector
    name: Option<String>,
}

impl Run for Explain {
    const NAME: &'static str = "explain";
    const ABOUT: &'static str = "Explain a metric or a detector: what, formula, healthy range, what to do";

    fn run(self) -> anyhow::Result<Exit> {
        let Some(name) = self.name else {
            output::text(&list())?;
            return Ok(Exit::Done);
        };
        let metric = METRICS.iter().find(|metric| metric.name == name);
        let detector = entries().find(|entry| entry.id == name);
        let text = match (metric, detector) {
            (Some(metric), _) => metric_text(metric),
            (None, Some(entry)) => detector_text(entry),
            (None, None) => bail!("nothing is called {name:?}{}", nearest(&name)),
        };
        output::text(&text)?;
        Ok(Exit::Done)
    }
}

/// Everything that a finding may be called: the detectors, and what the daemon tells of its own store.
fn entries() -> impl Iterator<Item = &'static detect::Entry> {
    DETECTORS.iter().map(|detector| detector.entry()).chain([&daemon::STORE_DAMAGED])
}

/// A word and what there is to say of it, one beside the other; on a terminal what is long goes on there.
fn row(text: &mut String, word: &str, width: usize, value: &str) {
    let terminal = terminal();
    let line = format!("  {word:width$} {value}");
    let columns = terminal.rows.map_or(usize::MAX, |_| terminal.columns);
    let _ = writeln!(text, "{}", hung(&line, columns, width + 3));
}

fn list() -> String {
    let mut text = String::from("metrics\n");
    for metric in METRICS {
        row(&mut text, metric.name, 38, metric.help);
    }
    text.push_str("\ndetectors\n");
    for entry in entries() {
        row(&mut text, entry.id, 38, entry.summary);
    }
    text
}

fn metric_text(metric: &MetricDef) -> String {
    let rows = [
        ("formula", metric.formula),
        ("source", metric.source),
        ("healthy", metric.healthy),
        ("sick", metric.sick),
        ("cost", metric.cost),
        ("since", metric.since),
    ];
    let mut text = format!("{} (metric): {}\n\n", metric.name, metric.help);
    let (family, subject) = (word(&metric.family), word(&metric.subject));
    let (unit, tier) = (word(&metric.unit), word(&metric.tier));
    row(&mut text, "kind", 8, &format!("{family} of a {subject}, unit {unit}, tier {tier}"));
    for (word, value) in rows {
        row(&mut text, word, 8, value);
    }
    text
}

/// The word for a value of an enumeration, as JSON has it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn detector_text(entry: &detect::Entry) -> String {
    let mut text = format!("{} (detector, {}): {}\n\n", entry.id, entry.severity, entry.summary);
    for (word, value) in [("cause", entry.cause), ("what to do", entry.remedy), ("since", entry.since)] {
        row(&mut text, word, 10, value);
    }
    for parameter in entry.parameters {
        let (name, doc) = (parameter.name, parameter.doc);
        let value = format!("{name} = {} ({} to {}): {doc}", parameter.default, parameter.min, parameter.max);
        row(&mut text, "parameter", 10, &value);
    }
    text
}

/// Names that share a word with the one that was not found.
fn nearest(name: &str) -> String {
    let words: Vec<&str> = name.split('_').filter(|word| word.len() > 2).collect();
    let names = METRICS.iter().map(|metric| metric.name).chain(entries().map(|entry| entry.id));
    let near: Vec<&str> =
        names.filter(|known| words.iter().any(|word| known.contains(word))).take(6).collect();
    if near.is_empty() {
        String::from("; `weighbridge explain` without a name lists all")
    } else {
        format!("; do you mean {}?", near.join(", "))
    }
}
