//! Debugger's LossNotDecreasing.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::View;
use crate::terms::{Severity, Subject};

/// A loss that did not fall.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "loss_not_decreasing",
        severity: Severity::Warning,
        proof: Proof::Compatibility,
        summary: "as LossNotDecreasing of SageMaker Debugger: the logged loss does not fall",
        what: "The newest logged loss is not at least `diff_percent` percent below the newest one that was logged `num_steps` steps or more earlier. A rise of more than `increase_threshold_percent` is called one. The noise of single batches is enough for it; near the end of any run it is told.",
        cause: "A learning rate that is too high or too low, a plateau, or noise: the loss of a batch.",
        remedy: "Look at the loss over hundreds of steps; `num_steps` of the run's logging interval times ten or more tells less noise.",
        evidence: "loss of the trainer's log",
        parameters: &[
            Parameter {
                name: "num_steps",
                default: 10.0,
                min: 1.0,
                max: 1e9,
                doc: "steps between the losses that are compared, at least",
            },
            Parameter {
                name: "diff_percent",
                default: 0.1,
                min: 0.0,
                max: 100.0,
                doc: "percent by which the loss must fall in them",
            },
            Parameter {
                name: "increase_threshold_percent",
                default: 5.0,
                min: 0.0,
                max: 100.0,
                doc: "percent of a rise beyond which the finding calls it one",
            },
        ],
        enabled: false,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    told(view, parameters).into_iter().collect()
}

fn told(view: &View<'_>, parameters: &Parameters<'_>) -> Option<Sign> {
    let mut losses = view.trainer().log.iter().rev().filter_map(|point| Some((point.step, point.loss?)));
    let (step, now) = losses.find(|(step, loss)| *step <= view.schedule.step && loss.is_finite())?;
    let latest = step.checked_sub(parameters.get("num_steps") as u64)?;
    let (since, before) = losses.find(|(step, loss)| *step <= latest && loss.is_finite())?;
    let fall = 100.0 * (before - now) / before.abs().max(f64::MIN_POSITIVE);
    let least = parameters.get("diff_percent");
    // A checkpoint that brought no new line of the log says nothing new.
    let is_new = view.schedule.from_step.is_none_or(|from| step > from);
    if fall >= least || !is_new {
        return None;
    }
    let verb = match fall {
        fall if -fall > parameters.get("increase_threshold_percent") => "rose",
        _ => "did not fall",
    };
    let summary = format!("the loss {verb} between steps {since} and {step}: {before:.4} and {now:.4}");
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.5;
    let expected = format!("at least {least} % below {before:.4}");
    sign.evidence = vec![evidence(Subject::Model, "loss", Some(now), expected)];
    Some(sign)
}
