//! How many families of measurements agree about a suspect: a fault that shows in size, spectrum and movement
//! at once is surer than one that a single number tells.
//!
//! It is told and decides nothing: detectors have their own proof, and a dead head shows in few families.

use crate::terms::{Evidence, TensorReading};

use super::entry::evidence;
use super::view::{View, subject, value};

/// Families that are independent of each other to a degree, each with the metrics that speak for it.
const FAMILIES: [(&str, [&str; 2]); 4] = [
    ("size", ["rms", "abs_max"]),
    ("shape", ["ks_statistic", "l_kurtosis"]),
    ("spectrum", ["effective_rank", "stable_rank"]),
    ("movement", ["update_rms", "cosine_to_previous"]),
];
/// Changes of the past that tell what is usual.
const WINDOW: usize = 16;
/// Fewer tell nothing.
const CHANGES_MIN: usize = 5;
/// A change beyond this many times the largest of the past is none of its kind.
const MARGIN: f64 = 1.5;

/// Evidence that counts the families which leave their own past in a tensor; none where no family does.
pub fn vote(view: &View<'_>, tensor: &TensorReading) -> Option<Evidence> {
    let judged = FAMILIES.iter().filter_map(|(family, metrics)| {
        let leaves: Vec<bool> = metrics.iter().filter_map(|metric| leaves(view, tensor, metric)).collect();
        (!leaves.is_empty()).then(|| (*family, leaves.contains(&true)))
    });
    let (agree, quiet): (Vec<_>, Vec<_>) = judged.partition(|(_, leaves)| *leaves);
    let count = agree.len() + quiet.len();
    // A slow fault leaves no family's past at once, and a dead head shows in the heads: then there is no vote.
    if agree.is_empty() {
        return None;
    }
    let words = |families: &[(&str, bool)]| match families {
        [] => "none".to_owned(),
        _ => families.iter().map(|(family, _)| *family).collect::<Vec<_>>().join(", "),
    };
    let expected = format!(
        "0 of {count} families of measurements; these leave their own past: {}, these do not: {}",
        words(&agree),
        words(&quiet)
    );
    Some(evidence(subject(tensor), "metric_families", Some(agree.len() as f64), expected))
}

/// Families that left their own past between the checkpoint before the last one and the last, far more than the tensor or
/// any of its siblings (of its role and shape, among those matrices) ever changed, and are as far from it now. The last checkpoint must not be tainted.
pub fn gone_twice(
    view: &View<'_>,
    tensor: &TensorReading,
    matrices: &[&TensorReading],
    margin: f64,
) -> Vec<&'static str> {
    let gone = |metric: &&'static str| stays_away(view, tensor, matrices, metric, margin) == Some(true);
    let families = FAMILIES.iter().filter(|(_, metrics)| metrics.iter().any(gone));
    families.map(|(name, _)| *name).collect()
}

fn stays_away(
    view: &View<'_>,
    tensor: &TensorReading,
    matrices: &[&TensorReading],
    metric: &'static str,
    margin: f64,
) -> Option<bool> {
    let now = value(tensor, metric)?;
    let (last, past) = view.past(tensor, metric).split_last()?;
    let own = trusted(view, tensor, past);
    let base = *own.last()?;
    let (first, second) = (f64::from(*last) - base, now - base);
    let least = first.abs().min(second.abs());
    // It is one of its own siblings, so that nearly always they need not be asked: each asks all.
    if largest_change(&own).is_some_and(|largest| least <= margin * largest) {
        return Some(false);
    }
    let facts = &tensor.facts;
    let siblings = matrices
        .iter()
        .filter(|other| other.facts.meaning.role == facts.meaning.role && other.facts.shape == facts.shape);
    let changes = siblings.map(|other| {
        let past = view.past(other, metric).split_last()?.1;
        largest_change(&trusted(view, other, past))
    });
    let largest = changes.flatten().reduce(f64::max)?;
    let limit = (margin * largest).max(f64::from(f32::EPSILON) * base.abs());
    Some(least > limit && first * second > 0.0)
}

/// The last values of a series that can be trusted, oldest first: as many as the window's changes need.
fn trusted(view: &View<'_>, tensor: &TensorReading, past: &[f32]) -> Vec<f64> {
    let name = Some(&*tensor.facts.name);
    let points = past.iter().enumerate().rev();
    let known = points.filter(|(point, value)| value.is_finite() && view.trusted(*point, name));
    let mut values: Vec<f64> = known.take(WINDOW + 1).map(|(_, &value)| f64::from(value)).collect();
    values.reverse();
    values
}

/// The largest change from one value to the next; none with too few.
fn largest_change(values: &[f64]) -> Option<f64> {
    let changes = values.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    (values.len() > CHANGES_MIN).then(|| changes.fold(0.0, f64::max))
}

/// Did a metric change by more than it ever did of late? None with too short a past.
fn leaves(view: &View<'_>, tensor: &TensorReading, metric: &'static str) -> Option<bool> {
    let now = value(tensor, metric)?;
    let recent = trusted(view, tensor, view.past(tensor, metric));
    let largest = largest_change(&recent)?;
    // The past is kept in single precision: what is less than its rounding is no change.
    let last = *recent.last()?;
    let rounding = f64::from(f32::EPSILON) * last.abs();
    Some((now - last).abs() > (MARGIN * largest).max(rounding))
}
