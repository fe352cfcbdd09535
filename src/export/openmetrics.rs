//! OpenMetrics 1.0: the same families; counters lose `_total` in their headers, and the end is marked.

use std::fmt::Write;

use prometheus::core::Collector;
use prometheus::proto::{LabelPair, MetricFamily, MetricType};

use super::{ScrapeFormat, Settings, SnapshotCollector};
use crate::telemetry::Counters;
use crate::terms::{Catalog, Snapshot};

/// The format for clients that ask for it.
pub(super) struct OpenMetricsText;

impl ScrapeFormat for OpenMetricsText {
    fn content_type(&self) -> &'static str {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    }

    fn is_wanted(&self, accept: &str) -> bool {
        accept.split(',').any(|range| range.trim_start().starts_with("application/openmetrics-text"))
    }

    fn render(&self, families: &[MetricFamily]) -> String {
        let mut text = String::new();
        for family in families {
            // Writing to a string cannot fail.
            let _ = write_family(&mut text, family);
        }
        text.push_str("# EOF\n");
        text
    }
}

fn write_family(text: &mut String, family: &MetricFamily) -> std::fmt::Result {
    let is_counter = family.get_field_type() == MetricType::COUNTER;
    let name = family.name();
    let header = if is_counter { name.strip_suffix("_total").unwrap_or(name) } else { name };
    writeln!(text, "# TYPE {header} {}", if is_counter { "counter" } else { "gauge" })?;
    writeln!(text, "# HELP {header} {}", Escaped(family.help()))?;
    for metric in family.get_metric() {
        text.push_str(name);
        write_labels(text, metric.get_label())?;
        let value =
            if is_counter { metric.get_counter().get_value() } else { metric.get_gauge().get_value() };
        writeln!(text, " {}", Value(value))?;
    }
    Ok(())
}

fn write_labels(text: &mut String, labels: &[LabelPair]) -> std::fmt::Result {
    for (index, label) in labels.iter().enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        write!(text, "{before}{}=\"{}\"", label.name(), Escaped(label.value()))?;
    }
    if labels.is_empty() { Ok(()) } else { text.write_char('}') }
}

/// A value as OpenMetrics spells it.
pub(super) struct Value(pub f64);

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            value if value.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            value => write!(f, "{value}"),
        }
    }
}

/// Text with backslash, quote and line feed escaped.
pub(super) struct Escaped<'a>(pub &'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// The whole scrape, as [`super::prometheus_text`] has it.
pub fn openmetrics_text(
    snapshot: &Snapshot,
    catalog: &Catalog,
    own: &Counters,
    settings: &Settings,
) -> String {
    OpenMetricsText.render(&SnapshotCollector::new(snapshot, catalog, own, settings).collect())
}
