//! Second moments that jumped: gradients exploded between two checkpoints.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::panel::median;
use crate::detect::view::View;
use crate::terms::{Severity, Subject};

/// The root of the mean second moment is many times what it was.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "optimizer_state_blowup",
        severity: Severity::Warning,
        proof: Proof::Temporal,
        summary: "the optimizer's second moments are many times what they were",
        what: "`optimizer_second_moment_rms` is at least `ratio_min` times its median over the last eight \
               readings, of which there must be three.",
        cause: "Gradients exploded: a poisoned batch, a learning rate beyond the edge of stability, missing \
                clipping, a loss scale that went wrong. Adam then hardly moves for as long as the moments remember.",
        remedy: "Look at the gradient norm of the steps since the checkpoint before. Resume from that one with \
                 gradient clipping or without the batch at fault.",
        evidence: "optimizer_second_moment_rms",
        parameters: &[Parameter {
            name: "ratio_min",
            default: 30.0,
            min: 2.0,
            max: 1e6,
            doc: "how many times its past; not yet compared with recorded runs",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

const METRIC: &str = "optimizer_second_moment_rms";
/// Readings that the past is taken from.
const READINGS: usize = 8;
/// Readings that there must be.
const READINGS_MIN: usize = 3;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let past = view.history.column(&Subject::Model, METRIC).iter().rev();
    let past: Vec<f64> =
        past.map(|&value| f64::from(value)).filter(|value| *value > 0.0).take(READINGS).collect();
    if past.len() < READINGS_MIN {
        return Vec::new();
    }
    let (Some(now), Some(usual)) = (view.model(METRIC), median(past.into_iter())) else { return Vec::new() };
    let (ratio, limit) = (now / usual, parameters.get("ratio_min"));
    // Half the limit keeps an open finding open.
    if ratio < 0.5 * limit {
        return Vec::new();
    }
    let summary =
        format!("the optimizer's second moments are {ratio:.0} times as large as they were, as roots");
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.score = (ratio / limit).min(1.0);
    sign.confidence = 0.9;
    sign.evidence = vec![evidence(Subject::Model, METRIC, Some(now), format!("near {usual:.3e}, as before"))];
    vec![sign]
}
