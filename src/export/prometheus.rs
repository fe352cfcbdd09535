//! Prometheus' text format, version 0.0.4, byte for byte as the `prometheus` crate writes it.

use std::fmt::Write;

use prometheus::TEXT_FORMAT;

use super::text::{EscapedHelp, write_samples};
use super::{Families, ScrapeFormat, Settings, SnapshotCollector};
use crate::telemetry::Counters;
use crate::terms::{Catalog, Snapshot};

/// The format for clients that ask for nothing else.
pub(super) struct PrometheusText;

impl ScrapeFormat for PrometheusText {
    fn content_type(&self) -> &'static str {
        TEXT_FORMAT
    }

    fn is_wanted(&self, accept: &str) -> bool {
        accept.split(',').any(|range| range.trim_start().starts_with("text/plain"))
    }

    fn render(&self, families: &Families) -> String {
        let mut text = String::with_capacity(families.text_bytes());
        for family in families.iter() {
            let name = &family.name;
            // Writing to a string cannot fail.
            if !family.help.is_empty() {
                let _ = writeln!(text, "# HELP {name} {}", EscapedHelp(&family.help));
            }
            let _ = writeln!(text, "# TYPE {name} {}", if family.is_counter { "counter" } else { "gauge" });
            write_samples(&mut text, families, family, |value| value);
        }
        text
    }
}

/// The whole scrape: the weights of all runs, and our own counters.
pub fn prometheus_text(
    snapshot: &Snapshot,
    catalog: &Catalog,
    own: &Counters,
    settings: &Settings,
) -> String {
    PrometheusText.render(&SnapshotCollector::new(snapshot, catalog, own, settings).families())
}
