//! Small tools that detectors of known faults share.

use crate::terms::{Evidence, Severity, TensorReading};

use super::drift::{steps_to_limit, trend};
use super::entry::{Sign, evidence};
use super::view::{View, elements, subject, value};

/// Checkpoints that tell the pace of a slow fault, the newest among them.
const PACE_POINTS: usize = 8;
/// Standard deviations from which a series has a trend. Chance gives that once in some fifty series: it only
/// adds to a finding that has its own proof.
const TREND_MIN: f64 = 2.3;

/// Tensors that moved as training does not move them, most unusual first; without matrices that do so by habit.
pub fn unusual<'a>(view: &View<'a>) -> Vec<&'a TensorReading> {
    let unusual = view.motion.unusual(&view.reading.tensors).into_iter().map(|(_, tensor)| tensor);
    unusual.filter(|tensor| !is_restless(view, tensor)).collect()
}

/// True for a matrix with a past of its own, which its shape and its rank can leave.
pub fn has_past(view: &View<'_>, tensor: &TensorReading) -> bool {
    !has_faded(view, tensor) && !is_restless(view, tensor)
}

/// A matrix that has turned far from its past before: under plain SGD at a high learning rate, what weight decay
/// has shrunk turns at will, and one more turn proves nothing.
fn is_restless(view: &View<'_>, tensor: &TensorReading) -> bool {
    /// Checkpoints that tell how a matrix turns.
    const RECENT: usize = 8;
    /// Cosine to the checkpoint before below which a matrix has turned far. Matrices of healthy runs under optimizers
    /// that normalise their steps stayed above 0.77 (seeds 1 to 5 of docs/detection.md); under SGD, one that had come
    /// down to 0.66 turned at will from then on.
    const STEADY_MIN: f64 = 0.7;
    let past = view.past(tensor, "cosine_to_previous").iter().enumerate();
    let trusted = past.filter(|(point, _)| view.trusted(*point, Some(&tensor.facts.name)));
    trusted.rev().take(RECENT).any(|(_, cosine)| f64::from(*cosine) < STEADY_MIN)
}

/// A matrix that has shrunk to a thousandth of what it was multiplies next to nothing; what is left of it may have
/// any shape and any rank.
fn has_faded(view: &View<'_>, tensor: &TensorReading) -> bool {
    let most = view.past(tensor, "rms").iter().copied().fold(0.0, f32::max);
    value(tensor, "rms").is_some_and(|rms| rms * 1000.0 < f64::from(most))
}

/// Change of the natural logarithm of a positive metric since the newest value of the past.
pub fn log_step(view: &View<'_>, tensor: &TensorReading, metric: &'static str) -> Option<f64> {
    let (now, before) = (value(tensor, metric)?, view.last(tensor, metric)?);
    Some((now / before).ln()).filter(|step| step.is_finite())
}

/// Rows of a matrix, or of all matrices of a stack.
pub fn rows_of(tensor: &TensorReading) -> f64 {
    (elements(&tensor.facts) / tensor.facts.shape.last().copied().unwrap_or(1).max(1)) as f64
}

/// Share of a matrix's rows that no gradient touched, because they kept every bit or only shrank by one factor: now,
/// at the point before, and the least of the past.
pub fn untouched_rows(view: &View<'_>, tensor: &TensorReading) -> Option<(f64, f64, f64)> {
    let rows = rows_of(tensor);
    let now = value(tensor, "frozen_rows")? + value(tensor, "pure_decay_rows")?;
    let (frozen, decayed) = (view.past(tensor, "frozen_rows"), view.past(tensor, "pure_decay_rows"));
    let past: Vec<f64> = frozen.iter().zip(decayed).map(|(a, b)| f64::from(a + b) / rows).collect();
    let least = past.iter().copied().filter(|share| share.is_finite()).reduce(f64::min)?;
    Some((now / rows, *past.last()?, least))
}

/// Where a tensor's metric is going, as evidence: Mann and Kendall's trend over the newest checkpoints, and how
/// many steps it takes to the limit at the median of its slopes. None for no trend, or one that leads away.
pub fn pace_to_limit(
    view: &View<'_>,
    tensor: &TensorReading,
    metric: &'static str,
    limit: f64,
) -> Option<Evidence> {
    let past = view.history.points().iter().zip(view.past(tensor, metric));
    let past = past.map(|(point, &value)| (point.key.step.0 as f64, f64::from(value)));
    steps_at_pace(past, (view.schedule.step as f64, value(tensor, metric)?), limit)
        .map(|words| evidence(subject(tensor), metric, value(tensor, metric), words))
}

/// The same in words, for any series of (step, value), oldest first.
pub fn steps_at_pace(
    past: impl DoubleEndedIterator<Item = (f64, f64)>,
    now: (f64, f64),
    limit: f64,
) -> Option<String> {
    let mut points: Vec<(f64, f64)> = vec![now];
    points.extend(past.rev().filter(|(_, value)| value.is_finite()).take(PACE_POINTS - 1));
    points.reverse();
    let score = trend(&points.iter().map(|(_, value)| *value).collect::<Vec<_>>());
    if score.abs() < TREND_MIN {
        return None;
    }
    let steps = steps_to_limit(&points, limit)?;
    let count = points.len();
    Some(format!(
        "no trend; it has one of {score:.1} standard deviations over {count} checkpoints, and at this pace reaches \
         {limit} in about {steps:.0} steps"
    ))
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
