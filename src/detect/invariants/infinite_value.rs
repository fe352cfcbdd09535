//! Inf in a tensor.

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign};
use crate::detect::view::View;
use crate::terms::Severity;

use super::not_a_number::counted;

/// Any Inf in any tensor.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "infinite_value",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "a tensor holds Inf",
        what: "`inf_elements` is above 0 in at least one tensor.",
        cause: "Overflow: a weight or update beyond the largest number of its dtype (65,504 in fp16), or a \
                cast of large values to a narrower dtype while saving; memory or disk corruption.",
        remedy: "Resume from the last good checkpoint; train in bf16 or fp32, or clip gradients; check the cast \
                 in the code that saves.",
        evidence: "inf_elements",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    counted(view, "inf_elements", "Inf")
}
