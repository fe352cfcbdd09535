//! States of the optimizer that no optimizer can have.

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::View;
use crate::terms::{Severity, Subject};

/// NaN, Inf or negative squares in Adam's moments; moments that are zero after steps were taken.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "optimizer_state_broken",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "the optimizer's state beside the weights holds what no optimizer can have",
        what: "`optimizer_nan_elements`, `optimizer_inf_elements` or `optimizer_negative_elements` (below zero in \
               a second moment, which is a mean of squares) is above 0, or every second moment is zero in every \
               element though the optimizer has counted steps.",
        cause: "A NaN or infinite gradient that reached the moments: the weights are next, at the first step that \
                uses them; moments that were not saved, or were saved before they were loaded; corruption of \
                the file or of memory.",
        remedy: "Do not resume from this checkpoint with its optimizer: resume from an earlier one, or from these \
                 weights with a fresh optimizer and a new warm-up.",
        evidence: "optimizer_nan_elements, optimizer_inf_elements, optimizer_negative_elements, \
                   optimizer_second_moment_rms, optimizer_steps",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

const COUNTS: [(&str, &str); 3] = [
    ("optimizer_nan_elements", "NaN"),
    ("optimizer_inf_elements", "Inf"),
    ("optimizer_negative_elements", "squares below zero"),
];

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    let value = |metric| view.model(metric);
    let counts = COUNTS.iter().filter_map(|&(metric, word)| Some((metric, word, value(metric)?)));
    let held: Vec<_> = counts.filter(|&(.., count)| count > 0.0).collect();
    let all_zero = value("optimizer_second_moment_rms") == Some(0.0);
    let forgotten = all_zero && value("optimizer_steps").is_some_and(|steps| steps > 0.0);
    let summary = match (held.as_slice(), forgotten) {
        ([], false) => return Vec::new(),
        ([], true) => "all second moments of the optimizer are zero".to_owned(),
        (held, _) => {
            let words: Vec<String> = held.iter().map(|(_, word, count)| format!("{count} {word}")).collect();
            format!("the optimizer's state holds {}", words.join(", "))
        }
    };
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.evidence = held
        .iter()
        .map(|&(metric, _, count)| evidence(Subject::Model, metric, Some(count), "0 in every checkpoint"))
        .collect();
    if forgotten {
        let steps = value("optimizer_steps");
        sign.evidence.push(evidence(Subject::Model, "optimizer_steps", steps, "0 where no moment is set"));
    }
    vec![sign]
}
