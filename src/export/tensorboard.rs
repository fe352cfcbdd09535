//! TensorBoard's event files: scalars, and histograms from the stored quantiles.
//!
//! An event file is a sequence of records: length, checksum of the length, a protobuf message, checksum
//! of the message. Checksums are CRC-32C, rotated and shifted so that a checksum of checksums is no
//! trap (TensorFlow `core/lib/io/record_writer`, `core/lib/hash/crc32c.h`).

use std::path::PathBuf;

use prometheus::proto::MetricFamily;
use prost::Message;

use super::notices::{Delivery, Needs};
use super::{PREFIX, ReadingWriter};
use crate::terms::{Reading, TensorReading};

/// Appends to `<run>/events.out.tfevents.weighbridge` below the target's directory.
pub(super) struct TensorBoard;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "5")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(double, tag = "1")]
    min: f64,
    #[prost(double, tag = "2")]
    max: f64,
    #[prost(double, tag = "3")]
    count: f64,
    #[prost(double, tag = "4")]
    sum: f64,
    #[prost(double, tag = "5")]
    sum_squares: f64,
    #[prost(double, repeated, tag = "6")]
    limits: Vec<f64>,
    #[prost(double, repeated, tag = "7")]
    buckets: Vec<f64>,
}

impl ReadingWriter for TensorBoard {
    fn write(&self, reading: &Reading, families: &[MetricFamily]) -> Delivery {
        let wall_time = reading.checkpoint.timestamp_seconds;
        let version = Event { wall_time, file_version: Some("brain.Event:2".into()), ..Event::default() };
        let mut values: Vec<Value> = families.iter().flat_map(scalars).collect();
        values.extend(reading.tensors.iter().filter_map(histogram));
        let step = i64::try_from(reading.key.step.0).unwrap_or(i64::MAX);
        let event = Event { wall_time, step, file_version: None, summary: Some(Summary { values }) };
        // A run's name is a path below a watched directory and never leaves it.
        let file = PathBuf::from(reading.key.run.as_str()).join("events.out.tfevents.weighbridge");
        Delivery::Append {
            file,
            head: record(&version.encode_to_vec()),
            bytes: record(&event.encode_to_vec()),
        }
    }

    fn needs(&self) -> Needs {
        Needs::Directory
    }
}

/// One scalar a sample: `tensor_rms/transformer.h.0.attn.c_attn.weight`.
fn scalars(family: &MetricFamily) -> Vec<Value> {
    let name = family.name().trim_start_matches(PREFIX);
    let shown = ["tensor", "head", "q", "detector"];
    let of = |metric: &prometheus::proto::Metric| {
        let labels = metric.get_label();
        let is_tensor = labels.iter().any(|pair| pair.name() == "tensor");
        let parts = labels.iter().filter(|pair| {
            shown.contains(&pair.name()) || (!is_tensor && matches!(pair.name(), "layer" | "role"))
        });
        let words: Vec<&str> = parts.map(|pair| pair.value()).collect();
        let tag =
            if words.is_empty() { format!("run/{name}") } else { format!("{name}/{}", words.join("/")) };
        Value { tag, simple_value: Some(metric.get_gauge().get_value() as f32), histogram: None }
    };
    family.get_metric().iter().map(of).collect()
}

/// A tensor's distribution from its quantiles at (i + 1/2) / n: equal counts between unequal limits.
fn histogram(tensor: &TensorReading) -> Option<Value> {
    let quantiles = &tensor.quantiles;
    let sample = |name: &str| tensor.samples.get(name).copied();
    let count = tensor.facts.shape.iter().product::<u64>() as f64;
    let (min, max, mean, rms) = (sample("min")?, sample("max")?, sample("mean")?, sample("rms")?);
    if quantiles.is_empty() {
        return None;
    }
    let mut limits: Vec<f64> = quantiles.iter().map(|&value| f64::from(value)).collect();
    limits.push(max.max(limits[limits.len() - 1]));
    let share = count / quantiles.len() as f64;
    let mut buckets = vec![share; limits.len()];
    buckets[0] = share / 2.0;
    buckets[limits.len() - 1] = share / 2.0;
    let (sum, sum_squares) = (mean * count, rms * rms * count);
    let histogram = Histogram { min, max, count, sum, sum_squares, limits, buckets };
    let tag = format!("weights/{}", tensor.facts.name);
    Some(Value { tag, simple_value: None, histogram: Some(histogram) })
}

fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), message, &masked(message).to_le_bytes()].concat()
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: event files are kilobytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4, and the check value of CRC-32C.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }
}
