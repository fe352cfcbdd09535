//! Weights that all shrink at once.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::panel::{Habit, Panel};
use crate::detect::view::{View, is_matrix};
use crate::terms::{Severity, Subject, TensorReading};

/// Most matrices shrink faster than their own past and any usual decay.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "weight_decay_too_strong",
        severity: Severity::Warning,
        proof: Proof::Structure,
        summary: "all matrices begin to shrink faster than any usual weight decay shrinks them",
        what: "The median over all matrices inside the layers of the change of the natural logarithm of rms fell by more than `fall_min` below its own pace and by more than three times its worst excursion so far, at least three quarters of the matrices fell below theirs, and the decay that this implies per unit of learning-rate time is above `decay_min`.",
        cause: "Weight decay or an L2 penalty raised by mistake (a factor 10, a change of units, decay applied twice), a learning rate that multiplies a decoupled decay.",
        remedy: "Compare the optimizer's settings with those before; resume from the last good checkpoint with the old decay.",
        evidence: "rms of all matrices, learning rate",
        parameters: &[
            Parameter {
                name: "fall_min",
                default: 0.01,
                min: 0.0001,
                max: 1.0,
                doc: "fall of the natural logarithm of rms in one interval, beyond its own pace",
            },
            Parameter {
                name: "decay_min",
                default: 1.0,
                min: 0.0,
                max: 1000000.0,
                doc: "implied decay per unit of learning-rate time; settings in use lie between 0.01 and 0.3",
            },
        ],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Points with a usual pace that are needed.
const POINTS_MIN: usize = 5;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let matrices: Vec<&TensorReading> = view
        .reading
        .tensors
        .iter()
        .filter(|tensor| is_matrix(&tensor.facts) && tensor.facts.meaning.layer.is_some())
        .collect();
    if matrices.len() < 4 {
        return Vec::new();
    }
    let panel = Panel::of_tensors(view, &matrices, "rms", false, |rms, _| rms.ln());
    let each = panel.deviations(Habit::Rate);
    let common = panel.common_mode();
    let all = common.deviations(Habit::Rate);
    let fallen = each.now.iter().filter(|deviation| **deviation < 0.0).count();
    let step = common.step(0);
    let score = -all.score(0, parameters.get("fall_min"), 3.0);
    let decay = -step / view.pace.now;
    let usual = view.pace.is_lr_time && decay < parameters.get("decay_min");
    if all.points < POINTS_MIN
        || score.is_nan()
        || score < 0.5
        || step >= 0.0
        || usual
        || 4 * fallen < 3 * matrices.len()
    {
        return Vec::new();
    }
    let shrunk = (1.0 - step.exp()) * 100.0;
    let summary = format!(
        "{fallen} of {} matrices shrink: the median one by {shrunk:.1} % in one interval",
        matrices.len()
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.score = score;
    sign.confidence = 0.9;
    let expected =
        format!("within {:.2} % of its own pace", 100.0 * (3.0 * all.worst).max(parameters.get("fall_min")));
    sign.evidence = vec![evidence(Subject::Model, "rms", Some(step), expected)];
    vec![sign]
}
