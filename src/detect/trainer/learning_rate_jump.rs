//! A learning rate that jumps.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::View;
use crate::terms::{Severity, Subject};

/// The logged learning rate rises above anything before, after its peak.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "learning_rate_jump",
        severity: Severity::Warning,
        proof: Proof::Announced,
        summary: "the learning rate jumped above its own peak",
        what: "After the logged learning rate had passed its peak it rose, from one log line to the next, by at least `ratio_min` times and to more than one and a half times that peak. A restart up to the old peak is shown as information: a planned one looks the same.",
        cause: "A scheduler rebuilt with another base rate on a resume, a changed configuration, a scheduler that counts steps per process.",
        remedy: "If it was planned, announce it under `expected`; else restore the scheduler's state and resume from the last good checkpoint.",
        evidence: "learning_rate of the trainer's log",
        parameters: &[Parameter {
            name: "ratio_min",
            default: 1.8,
            min: 1.01,
            max: 1000.0,
            doc: "rise from one log line to the next",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("ratio_min");
    let since = view.schedule.from_step.unwrap_or(0);
    let rates: Vec<(u64, f64)> = view
        .trainer()
        .log
        .iter()
        .filter(|point| point.step <= view.schedule.step)
        .filter_map(|point| {
            point.learning_rate.filter(|rate| rate.is_finite()).map(|rate| (point.step, rate))
        })
        .collect();
    let (mut peak, mut past_peak) = (0.0_f64, false);
    for pair in rates.windows(2) {
        let [(_, before), (step, now)] = *pair else { continue };
        peak = peak.max(before);
        // A rate that is level or falls ends the warm-up.
        past_peak |= now <= before;
        if step <= since || !past_peak || before <= 0.0 || now < limit * before {
            continue;
        }
        let above = now > 1.5 * peak;
        let severity = if above { RULE.entry.severity } else { Severity::Info };
        let summary = format!("the learning rate rose from {before:.2e} to {now:.2e} by step {step}");
        let mut sign = Sign::sure(severity, summary);
        let expected = format!("at most {peak:.2e}, its peak so far");
        sign.evidence = vec![evidence(Subject::Model, "learning_rate", Some(now), expected)];
        return vec![sign];
    }
    Vec::new()
}
