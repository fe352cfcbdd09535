//! Few distinct values where there were many: weights that went through integers.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, elements, is_matrix, subject, value};
use crate::terms::{Dtype, Severity, TensorReading};

/// Matrices that lost their fine values.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "requantized",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "matrices hold only a few distinct values under an unchanged dtype",
        what: "`distinct_values` of a floating-point matrix is at most `distinct_max`, at most an eighth of what \
               an earlier checkpoint had, and far below its number of elements.",
        cause: "A quantised export (int8, int4, fp8) cast back and written over the training checkpoint.",
        remedy: "Resume from the checkpoint before: what quantisation took away does not come back. Write exports \
                 to another directory.",
        evidence: "distinct_values",
        parameters: &[Parameter {
            name: "distinct_max",
            default: 256.0,
            min: 2.0,
            max: 4096.0,
            doc: "distinct values in a matrix that 8-bit numbers can have at most",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("distinct_max");
    let coarse = |tensor: &&TensorReading| {
        let facts = &tensor.facts;
        // A constant or all-zero tensor has one value and is another detector's matter.
        let distinct = value(tensor, "distinct_values").filter(|&distinct| distinct > 1.0);
        let wide = facts.dtype.is_float() && !matches!(facts.dtype, Dtype::F8_E4M3 | Dtype::F8_E5M2);
        let best = view.past(tensor, "distinct_values").iter().copied().fold(0.0, f32::max);
        is_matrix(facts)
            && wide
            && distinct.is_some_and(|distinct| {
                distinct <= limit
                    && distinct * 8.0 <= f64::from(best)
                    && distinct * 8.0 <= elements(facts) as f64
            })
    };
    let hit: Vec<_> = view.reading.tensors.iter().filter(coarse).collect();
    let Some(first) = hit.first() else { return Vec::new() };
    let distinct = value(first, "distinct_values").unwrap_or_default();
    let summary = match hit.len() {
        1 => format!("{} holds only {distinct} distinct values", first.facts.name),
        count => format!("{count} matrices hold only a few distinct values, {} {distinct}", first.facts.name),
    };
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.tensors = hit.iter().map(|tensor| tensor.facts.name.to_string()).collect();
    sign.evidence = hit
        .iter()
        .map(|tensor| {
            let was = view.last(tensor, "distinct_values").unwrap_or_default();
            let expected = format!("more than {limit}; the checkpoint before had {was}");
            evidence(subject(tensor), "distinct_values", value(tensor, "distinct_values"), expected)
        })
        .collect();
    vec![sign]
}
