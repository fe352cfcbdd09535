//! Small tools that detectors of known faults share.

use crate::terms::{Severity, TensorReading};

use super::entry::{Sign, evidence};
use super::view::{View, subject, value};

/// Tensors that moved as training does not move them, most unusual first.
pub fn unusual<'a>(view: &View<'a>) -> Vec<&'a TensorReading> {
    view.motion.unusual(&view.reading.tensors).into_iter().map(|(_, tensor)| tensor).collect()
}

/// Change of the natural logarithm of a positive metric since the newest value of the past.
pub fn log_step(view: &View<'_>, tensor: &TensorReading, metric: &'static str) -> Option<f64> {
    let (now, before) = (value(tensor, metric)?, view.last(tensor, metric)?);
    Some((now / before).ln()).filter(|step| step.is_finite())
}

/// One sign for the tensors that carry a mark, with the metric of each as evidence; none for no tensor.
pub fn marked(
    tensors: &[&TensorReading],
    severity: Severity,
    metric: &'static str,
    expected: impl Fn(&TensorReading) -> String,
) -> Vec<Sign> {
    if tensors.is_empty() {
        return Vec::new();
    }
    let mut sign = Sign::sure(severity, String::new());
    sign.confidence = 0.98;
    sign.tensors = tensors.iter().map(|tensor| tensor.facts.name.to_string()).collect();
    sign.evidence = tensors
        .iter()
        .map(|tensor| evidence(subject(tensor), metric, value(tensor, metric), expected(tensor)))
        .collect();
    vec![sign]
}
