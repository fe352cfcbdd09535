//! Numbers out: Prometheus and whatever else takes them.
//!
//! Everything here starts from one published [`Snapshot`](crate::terms::Snapshot) or from the store, and
//! knows nothing of how the numbers were made. A scrape makes fresh samples each time: a run that was
//! forgotten is gone from the next one. The number of series is kept within a budget (`collector`):
//! what a run always has, the tensors that findings name, quantiles a role for all other metrics, then
//! the chosen short list of every tensor, then heads, until the hard cap.
//!
//! One file an exporter and one line in [`EXPORTERS`].

mod collector;
mod families;
pub mod notices;
mod openmetrics;
mod prometheus;
mod readings;
mod remote_write;
mod senders;
mod settings;
mod tensorboard;
mod text;
mod weights;

pub use collector::SnapshotCollector;
pub use families::Families;
pub use notices::{Needs, Secret, Target, TargetError};
pub use openmetrics::openmetrics_text;
pub use prometheus::prometheus_text;
pub use senders::{Senders, start_senders};
pub use settings::{Error, Settings};

use self::prometheus::PrometheusText;
use crate::export::openmetrics::OpenMetricsText;
use crate::terms::Reading;

/// Prefix of every series.
pub const PREFIX: &str = "weighbridge_";

/// One way out.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Name, as in the configuration.
    pub name: &'static str,
    /// What it does, in one sentence without a full stop.
    pub summary: &'static str,
    /// First version that had it.
    pub since: &'static str,
    /// What it does its work on.
    pub kind: Kind,
}

/// What an exporter turns into bytes.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Families of a scrape, answered over HTTP.
    Scrape(&'static dyn ScrapeFormat),
    /// Steps in the lives of findings, sent to receivers.
    Notify(&'static dyn notices::Notifier),
    /// Readings with their checkpoints' own times, sent to receivers.
    Readings(&'static dyn ReadingWriter),
}

/// A format of `/metrics`.
pub trait ScrapeFormat: Sync {
    /// The `Content-Type` of the answer.
    fn content_type(&self) -> &'static str;

    /// True where a client that sends this `Accept` header prefers this format to plain text.
    fn is_wanted(&self, accept: &str) -> bool;

    /// The families as text.
    fn render(&self, families: &Families) -> String;
}

/// Writes readings in the form that one kind of receiver takes.
pub trait ReadingWriter: Sync {
    /// The delivery that hands over one reading. `families` are its samples, as a scrape has them.
    fn write(&self, reading: &Reading, families: &[::prometheus::proto::MetricFamily]) -> notices::Delivery;

    /// How the target is reached.
    fn needs(&self) -> Needs;
}

/// Every way out. The last scrape format is the one for clients that ask for nothing.
pub static EXPORTERS: &[Entry] = &[
    Entry {
        name: "openmetrics",
        summary: "/metrics for clients that ask for OpenMetrics",
        since: "0.1.0",
        kind: Kind::Scrape(&OpenMetricsText),
    },
    Entry {
        name: "prometheus",
        summary: "/metrics in Prometheus' text format",
        since: "0.1.0",
        kind: Kind::Scrape(&PrometheusText),
    },
    Entry {
        name: "alertmanager",
        summary: "findings to Alertmanager's API v2, without Prometheus in between",
        since: "0.1.0",
        kind: Kind::Notify(&notices::Alertmanager),
    },
    Entry {
        name: "webhook",
        summary: "findings as JSON to any HTTP receiver",
        since: "0.1.0",
        kind: Kind::Notify(&notices::Webhook),
    },
    Entry {
        name: "slack",
        summary: "findings to Slack and to chats that take its JSON",
        since: "0.1.0",
        kind: Kind::Notify(&notices::Slack),
    },
    Entry {
        name: "command",
        summary: "findings to a command of the operator",
        since: "0.1.0",
        kind: Kind::Notify(&notices::Command),
    },
    Entry {
        name: "remote_write",
        summary: "readings with their own times to Prometheus, Mimir, Thanos, VictoriaMetrics",
        since: "0.1.0",
        kind: Kind::Readings(&remote_write::RemoteWrite),
    },
    Entry {
        name: "tensorboard",
        summary: "readings as scalars and histograms into TensorBoard's event files",
        since: "0.1.0",
        kind: Kind::Readings(&tensorboard::TensorBoard),
    },
];

/// The format for that `Accept` header.
pub fn negotiate(accept: &str) -> &'static dyn ScrapeFormat {
    EXPORTERS
        .iter()
        .filter_map(|entry| match entry.kind {
            Kind::Scrape(format) => Some(format),
            Kind::Notify(_) | Kind::Readings(_) => None,
        })
        .find(|format| format.is_wanted(accept))
        .unwrap_or(&PrometheusText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_what_the_client_asks_for() {
        let of = |accept| negotiate(accept).content_type().split(';').next().unwrap_or_default();
        assert_eq!(of(""), "text/plain");
        assert_eq!(of("*/*"), "text/plain");
        assert_eq!(of("text/html,application/xhtml+xml"), "text/plain");
        // What Prometheus 2.42 sends.
        assert_eq!(
            of(
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
            ),
            "application/openmetrics-text"
        );
    }
}
