//! Prometheus remote write, version 1: protobuf, compressed with snappy, with the checkpoints' own times.

use prometheus::proto::{MetricFamily, MetricType};
use prost::Message;

use super::ReadingWriter;
use super::notices::{Delivery, Needs};
use crate::terms::Reading;

/// POSTs one request a reading to the target's whole address.
pub(super) struct RemoteWrite;

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    /// 2 is a gauge.
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    family: String,
    #[prost(string, tag = "4")]
    help: String,
}

impl ReadingWriter for RemoteWrite {
    fn write(&self, reading: &Reading, families: &[MetricFamily]) -> Delivery {
        let timestamp_ms = (reading.checkpoint.timestamp_seconds * 1000.0) as i64;
        let mut request = WriteRequest::default();
        for family in families.iter().filter(|family| family.get_field_type() == MetricType::GAUGE) {
            let help = family.help().to_owned();
            request.metadata.push(Metadata { kind: 2, family: family.name().to_owned(), help });
            for metric in family.get_metric() {
                let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
                let own = metric.get_label().iter().filter(|pair| !pair.value().is_empty());
                let mut labels: Vec<Label> = own.map(|pair| label(pair.name(), pair.value())).collect();
                labels.push(label("__name__", family.name()));
                labels.push(label("job", "weighbridge"));
                // Receivers demand labels in order.
                labels.sort_by(|a, b| a.name.cmp(&b.name));
                let samples = vec![Sample { value: metric.get_gauge().get_value(), timestamp_ms }];
                request.series.push(TimeSeries { labels, samples });
            }
        }
        let bytes = request.encode_to_vec();
        // Snappy fails only beyond 4 GiB, a hundred thousand times what the cap on series allows.
        let body = snap::raw::Encoder::new().compress_vec(&bytes).unwrap_or_default();
        let headers = vec![
            ("content-type", "application/x-protobuf".to_owned()),
            ("content-encoding", "snappy".to_owned()),
            ("x-prometheus-remote-write-version", "0.1.0".to_owned()),
        ];
        Delivery::Post { path: "", headers, body }
    }

    fn needs(&self) -> Needs {
        Needs::Url
    }
}
