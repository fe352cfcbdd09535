//! OpenMetrics 1.0: the same families; counters lose `_total` in their headers, and the end is marked.

use std::fmt::Write;

use super::text::{Escaped, write_samples};
use super::{Families, ScrapeFormat, Settings, SnapshotCollector};
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

    fn render(&self, families: &Families) -> String {
        let mut text = String::with_capacity(families.text_bytes());
        for family in families.iter() {
            let name = family.name.as_str();
            let (header, kind) = if family.is_counter {
                (name.strip_suffix("_total").unwrap_or(name), "counter")
            } else {
                (name, "gauge")
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# TYPE {header} {kind}");
            let _ = writeln!(text, "# HELP {header} {}", Escaped(&family.help));
            write_samples(&mut text, families, family, Value);
        }
        text.push_str("# EOF\n");
        text
    }
}

/// A value as OpenMetrics spells it.
struct Value(f64);

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

/// The whole scrape, as [`super::prometheus_text`] has it.
pub fn openmetrics_text(
    snapshot: &Snapshot,
    catalog: &Catalog,
    own: &Counters,
    settings: &Settings,
) -> String {
    OpenMetricsText.render(&SnapshotCollector::new(snapshot, catalog, own, settings).families())
}
