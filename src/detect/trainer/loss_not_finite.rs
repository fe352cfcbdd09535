//! A loss that is no number.

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::View;
use crate::terms::{Severity, Subject};

/// NaN or Inf in the logged loss or gradient norm.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "loss_not_finite",
        severity: Severity::Warning,
        proof: Proof::Log,
        summary: "the trainer logged a loss or gradient norm that is NaN or Inf",
        what: "A log line since the checkpoint before holds NaN or Inf as loss or gradient norm. Many trainers filter NaN losses out of the log, so that its absence proves nothing.",
        cause: "Overflow in the forward or backward pass; with loss scaling a single one now and then is part of finding the scale.",
        remedy: "Look whether the weights are still finite; lower the learning rate or switch to bf16 if it repeats.",
        evidence: "loss and grad_norm of the trainer's log",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    let since = view.schedule.from_step.unwrap_or(0);
    let lines =
        view.trainer().log.iter().filter(|point| point.step > since && point.step <= view.schedule.step);
    let sick: Vec<_> = lines
        .filter(|point| [point.loss, point.grad_norm].into_iter().flatten().any(|value| !value.is_finite()))
        .collect();
    let Some(first) = sick.first() else { return Vec::new() };
    let summary = format!("{} log lines hold NaN or Inf, the first at step {}", sick.len(), first.step);
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.evidence = vec![evidence(Subject::Model, "loss", first.loss, "a finite number")];
    vec![sign]
}
