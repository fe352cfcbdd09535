//! A learning rate under which the weights run away.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::panel::median;
use crate::detect::view::{View, is_matrix, value};
use crate::terms::{Role, Severity, Subject, TensorReading};

/// Steps as large as the weights, weights that multiply, scores that saturate.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "divergence",
        severity: Severity::Critical,
        proof: Proof::Physics,
        summary: "the weights run away: steps are of the size of the weights themselves",
        what: "The learning rate is at least `step_share` of the median rms of the matrices (an optimizer that normalises its steps then replaces the weights within tens of steps), the median rms has at least doubled since the first checkpoint, and the attention scores saturate (`qk_logit_std` of a head above `logit_std_max`); where heads are not known, the median rms has grown fivefold.",
        cause: "A learning rate that is far too high, a missing warm-up, a wrong scale of initialisation.",
        remedy: "Stop the run and begin again with a learning rate ten times lower.",
        evidence: "learning rate, rms of all matrices, qk_logit_std",
        parameters: &[
            Parameter {
                name: "step_share",
                default: 0.22,
                min: 0.01,
                max: 10.0,
                doc: "learning rate over the median rms of the matrices; healthy small models stay below 0.2",
            },
            Parameter {
                name: "logit_std_max",
                default: 8.0,
                min: 1.0,
                max: 1000000.0,
                doc: "spread of attention scores beyond which softmax saturates; healthy models lie between 0.1 and 5",
            },
        ],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let Some(rate) = view.schedule.learning_rate.filter(|_| view.motion.normalised) else {
        return Vec::new();
    };
    let matrices: Vec<&TensorReading> = view
        .reading
        .tensors
        .iter()
        .filter(|tensor| is_matrix(&tensor.facts))
        .filter(|tensor| !matches!(tensor.facts.meaning.role, Role::LoraA | Role::LoraB))
        .collect();
    let first_rms = |tensor: &TensorReading| {
        let past = view.past(tensor, "rms").iter().find(|value| value.is_finite() && **value > 0.0);
        past.map(|&value| f64::from(value))
    };
    let rms = median(matrices.iter().filter_map(|tensor| value(tensor, "rms")));
    let growth =
        median(matrices.iter().filter_map(|tensor| Some(value(tensor, "rms")? / first_rms(tensor)?)));
    let (Some(rms), Some(growth)) = (rms.filter(|rms| *rms > 0.0), growth) else { return Vec::new() };
    let logit = view
        .reading
        .subjects
        .iter()
        .filter_map(|subject| subject.samples.get("qk_logit_std").copied())
        .filter(|value| value.is_finite())
        .reduce(f64::max);
    let share = rate / rms;
    let saturated = logit.map_or(growth >= 5.0, |logit| logit >= parameters.get("logit_std_max"));
    if share < parameters.get("step_share") || growth < 2.0 || !saturated {
        return Vec::new();
    }
    let summary = format!(
        "the learning rate is {:.0} % of the weights' own size, which has grown {growth:.1} times",
        share * 100.0
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.9;
    sign.evidence = vec![evidence(
        Subject::Model,
        "rms",
        Some(rms),
        format!("well above the learning rate of {rate:.1e}"),
    )];
    if let Some(logit) = logit {
        sign.evidence.push(evidence(
            Subject::Model,
            "qk_logit_std",
            Some(logit),
            "at most 5 in healthy models",
        ));
    }
    vec![sign]
}
