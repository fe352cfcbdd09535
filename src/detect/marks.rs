//! Small tools that detectors of known faults share.

use crate::terms::{Severity, TensorReading};

use super::entry::{Sign, evidence};
use super::panel::median;
use super::view::{View, subject, value};

/// Tensors that moved as training does not move them, most unusual first; without matrices that do so by habit.
pub fn unusual<'a>(view: &View<'a>) -> Vec<&'a TensorReading> {
    let unusual = view.motion.unusual(&view.reading.tensors).into_iter().map(|(_, tensor)| tensor);
    unusual.filter(|tensor| !is_restless(view, tensor)).collect()
}

/// A matrix that turns away from its past again and again: under plain SGD at a high learning rate, what weight
/// decay has shrunk turns at will, and one more turn proves nothing.
fn is_restless(view: &View<'_>, tensor: &TensorReading) -> bool {
    /// Checkpoints that tell how a matrix usually turns.
    const RECENT: usize = 8;
    /// A turn away from the past.
    const TURN_MAX: f64 = 0.5;
    /// Turns among them that are a habit.
    const TURNS_MIN: usize = 2;
    /// Usual cosine below which nothing can be told from one more turn. Matrices of healthy runs under optimizers
    /// that normalise their steps stayed above 0.77; under SGD, those that turned at will stayed below 0.60.
    const USUAL_MIN: f64 = 0.65;
    let past = view.past(tensor, "cosine_to_previous").iter().enumerate();
    let trusted = past.filter(|(point, _)| view.trusted(*point, Some(&tensor.facts.name)));
    let cosines = trusted.map(|(_, cosine)| f64::from(*cosine)).filter(|cosine| cosine.is_finite());
    let past: Vec<f64> = cosines.collect();
    let recent = &past[past.len().saturating_sub(RECENT)..];
    recent.iter().filter(|cosine| **cosine < TURN_MAX).count() >= TURNS_MIN
        || median(recent.iter().copied()).is_some_and(|usual| usual < USUAL_MIN)
}

/// A matrix that has shrunk to a thousandth of what it was multiplies next to nothing; what is left of it may have
/// any shape and any rank.
pub fn has_faded(view: &View<'_>, tensor: &TensorReading) -> bool {
    let most = view.past(tensor, "rms").iter().copied().fold(0.0, f32::max);
    value(tensor, "rms").is_some_and(|rms| rms * 1000.0 < f64::from(most))
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
