//! Debugger's SimilarAcrossRuns.

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, subject, value};
use crate::terms::Severity;

/// Tensors that equal those of another run.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "similar_across_runs",
        severity: Severity::Warning,
        proof: Proof::Compatibility,
        summary: "as SimilarAcrossRuns of SageMaker Debugger: tensors equal those of another run at the same step",
        what: "Only where `detect.baseline` (or `--baseline`) names a stored run, which stands for Debugger's `other_trials`: tensors that are not constant have bit for bit the content that the stored run's had at the same step. `include_regex` has no counterpart; `expected` leaves tensors out.",
        cause: "A seed that was not changed, a run that was copied, or parts that are frozen in both.",
        remedy: "Look whether the runs were meant to differ.",
        evidence: "content hashes of both, std",
        parameters: &[],
        enabled: false,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    let Some(baseline) = view.baseline else { return Vec::new() };
    let mut equal = baseline.equal(view.reading);
    equal.retain(|tensor| value(tensor, "std").is_some_and(|std| std > 0.0));
    let Some(first) = equal.first() else { return Vec::new() };
    let (count, run, name) = (equal.len(), &baseline.run, &first.facts.name);
    let summary = format!("{count} tensors equal those of {run} at this step bit for bit, {name} among them");
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.tensors = equal.iter().map(|tensor| tensor.facts.name.to_string()).collect();
    let expected = format!("other content than in {run}");
    sign.evidence = equal
        .iter()
        .map(|tensor| evidence(subject(tensor), "content_hash", None, expected.clone()))
        .collect();
    vec![sign]
}
