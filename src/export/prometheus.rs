//! Prometheus' text format, version 0.0.4.

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{TEXT_FORMAT, TextEncoder};

use super::{ScrapeFormat, Settings, SnapshotCollector};
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

    fn render(&self, families: &[MetricFamily]) -> String {
        // It fails only for families without a name or without samples, and the collector makes neither.
        TextEncoder::new().encode_to_string(families).unwrap_or_default()
    }
}

/// The whole scrape: the weights of all runs, and our own counters.
pub fn prometheus_text(
    snapshot: &Snapshot,
    catalog: &Catalog,
    own: &Counters,
    settings: &Settings,
) -> String {
    PrometheusText.render(&SnapshotCollector::new(snapshot, catalog, own, settings).collect())
}
