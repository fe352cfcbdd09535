//! The built-in rules of SageMaker Debugger that weights and log can feed, under the names and with the
//! parameters of its SDK, for those who come from there.
//!
//! They are off by default: they know no schedule, no siblings and no past, and call on healthy runs. Where
//! one is switched on it opens findings of its own, and changes nothing about what the other detectors say.

pub mod all_zero;
pub mod exploding_tensor;
pub mod loss_not_decreasing;
pub mod poor_weight_initialization;
pub mod similar_across_runs;
pub mod stalled_training_rule;
pub mod tensor_variance;
pub mod unchanged_tensor;
pub mod weight_update_ratio;

use super::entry::{Sign, evidence};
use super::view::subject;
use crate::terms::{MetricName, Severity, TensorReading};

/// One sign for the tensors that a rule hit, each with the value that was beyond the limit.
fn fired(
    hit: &[(&TensorReading, f64)],
    metric: MetricName,
    expected: &str,
    fault: impl Fn(&TensorReading, f64) -> String,
) -> Vec<Sign> {
    let Some(&(first, value)) = hit.first() else { return Vec::new() };
    let others = match hit.len() {
        1 => String::new(),
        count => format!("; {count} tensors in all"),
    };
    let mut sign = Sign::sure(Severity::Warning, format!("{}{others}", fault(first, value)));
    // The rules' own authors give no rate of false alarms; on healthy runs there are some.
    sign.confidence = 0.5;
    sign.tensors = hit.iter().map(|(tensor, _)| tensor.facts.name.to_string()).collect();
    sign.evidence =
        hit.iter().map(|(tensor, value)| evidence(subject(tensor), metric, Some(*value), expected)).collect();
    vec![sign]
}
