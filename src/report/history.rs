//! Series of one metric as CSV, JSON or OpenMetrics text.

use std::fmt::Write;

use clap::ValueEnum;
use serde_json::json;

use crate::store::Series;
use crate::terms::{MetricDef, ReadingKey, RunId, Subject};

/// How a history is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// One line a value, for spreadsheets
    Csv,
    /// One array, for scripts
    Json,
    /// With the checkpoints' own times, for `promtool tsdb create-blocks-from openmetrics`
    Openmetrics,
}

/// The series of one metric, run by run.
pub fn history(series: &[(RunId, Series)], metric: &MetricDef, format: HistoryFormat) -> String {
    match format {
        HistoryFormat::Csv => csv(series, metric),
        HistoryFormat::Json => format!("{}\n", history_json(series, metric)),
        HistoryFormat::Openmetrics => openmetrics(series, metric),
    }
}

/// The same as one JSON array: an object a series, its points as (attempt, step, time, value).
pub fn history_json(series: &[(RunId, Series)], metric: &MetricDef) -> serde_json::Value {
    let point = |(key, time, value): &(ReadingKey, f64, f64)| json!([key.attempt, key.step, time, value]);
    let of = |(run, series): &(RunId, Series)| {
        json!({
            "run": run, "metric": metric.name, "subject": series.subject,
            "points": series.points.iter().map(point).collect::<Vec<_>>(),
        })
    };
    series.iter().map(of).collect()
}

fn csv(series: &[(RunId, Series)], metric: &MetricDef) -> String {
    let mut out = String::from("run,attempt,step,timestamp_seconds,subject,metric,value\n");
    for (run, series) in series {
        let (run, subject) = (quoted(run.as_str()), quoted(&subject_words(&series.subject)));
        for (key, time, value) in &series.points {
            let _ =
                writeln!(out, "{run},{},{},{time},{subject},{},{value}", key.attempt, key.step, metric.name);
        }
    }
    out
}

/// A subject as one word: a tensor's name, `layer 3 head 5`, `layer 3`, `model`.
pub fn subject_words(subject: &Subject) -> String {
    match subject {
        Subject::Tensor(name) => name.to_string(),
        Subject::Head { layer, head } => format!("layer {layer} head {head}"),
        Subject::Layer(layer) => format!("layer {layer}"),
        Subject::Model => "model".to_owned(),
    }
}

/// A CSV field. One that a spreadsheet would run as a formula gets an apostrophe before it.
fn quoted(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn openmetrics(series: &[(RunId, Series)], metric: &MetricDef) -> String {
    let kind = |subject: &Subject| match subject {
        Subject::Tensor(_) => "tensor",
        Subject::Head { .. } => "head",
        Subject::Layer(_) => "layer",
        Subject::Model => "model",
    };
    let mut out = String::new();
    for word in ["tensor", "head", "layer", "model"] {
        let mut of_kind = series.iter().filter(|(_, series)| kind(&series.subject) == word).peekable();
        let name = format!("weighbridge_{word}_{}", metric.name);
        if of_kind.peek().is_some() {
            let _ = writeln!(out, "# TYPE {name} gauge\n# HELP {name} {}", metric.help);
        }
        for (run, series) in of_kind {
            let labels = labels(run, &series.subject);
            let mut points: Vec<_> = series.points.iter().collect();
            // A restarted run comes back to old steps; time alone goes forward.
            points.sort_by(|a, b| a.1.total_cmp(&b.1));
            for (_, time, value) in points {
                let _ = writeln!(out, "{name}{{{labels}}} {value} {time}");
            }
        }
    }
    out.push_str("# EOF\n");
    out
}

fn labels(run: &RunId, subject: &Subject) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let run = escape(run.as_str());
    match subject {
        Subject::Tensor(name) => format!("run=\"{run}\",tensor=\"{}\"", escape(name)),
        Subject::Head { layer, head } => format!("run=\"{run}\",layer=\"{layer}\",head=\"{head}\""),
        Subject::Layer(layer) => format!("run=\"{run}\",layer=\"{layer}\""),
        Subject::Model => format!("run=\"{run}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_break_out() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("=cmd()"), "'=cmd()");
        assert_eq!(quoted("wte.weight"), "wte.weight");
    }

    #[test]
    fn labels_are_escaped() {
        let labels = labels(&RunId::new("a\"b"), &Subject::Tensor("x\\y\n".into()));
        assert_eq!(labels, "run=\"a\\\"b\",tensor=\"x\\\\y\\n\"");
    }
}
