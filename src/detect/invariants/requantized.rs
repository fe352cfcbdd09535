//! Exact zeros where there were none: weights that went through a coarse grid.
//!
//! Training in floating point practically never makes an element exactly 0. Rounding to a grid of 4 or 8
//! bits does it to every element within half a step of 0: of nearly normal values about 0.4 times the step
//! over their standard deviation, which is 1 % at 8 bits and 15 % at 4.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, elements, is_matrix, subject, value};
use crate::terms::{Severity, TensorReading};

/// Matrices that lost their fine values.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "requantized",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "matrices hold exact zeros all over, as after rounding to a few levels, under an unchanged dtype",
        what: "At least half of the matrices inside the layers that were not frozen hold exact zeros (`zero_elements`, without those of `zero_rows`) in at least `zero_share_min` of their elements, ten times the share of any earlier checkpoint, and at least eight of them each. Rounding to 4 or 8 bits leaves 1 to 20 %; training leaves none. Magnitude pruning of the whole model looks the same.",
        cause: "A quantised export (int8, int4, fp8) cast back and written over the training checkpoint; pruning that was applied to the checkpoint in place.",
        remedy: "Resume from the checkpoint before: what quantisation took away does not come back. Write exports to another directory.",
        evidence: "zero_elements, zero_rows",
        parameters: &[Parameter {
            name: "zero_share_min",
            default: 0.003,
            min: 0.00001,
            max: 1.0,
            doc: "share of exact zeros that rounding leaves; 8 bits over the range of a normal distribution leave 0.01",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Times the largest share of zeros of the past: masks and pruning that were there before are no news.
const NEWS: f64 = 10.0;
/// A handful of zeros is chance.
const ZEROS_MIN: f64 = 8.0;

/// Share of exact zeros, without whole rows of them: those are dead rows and another detector's matter.
fn zero_share(tensor: &TensorReading, zeros: f64, rows: f64) -> f64 {
    let row_length = tensor.facts.shape.last().copied().unwrap_or(1) as f64;
    (zeros - rows * row_length).max(0.0) / elements(&tensor.facts) as f64
}

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("zero_share_min");
    let inside = |tensor: &&TensorReading| {
        is_matrix(&tensor.facts)
            && tensor.facts.meaning.layer.is_some()
            && value(tensor, "identical_ratio").is_none_or(|ratio| ratio < 1.0)
    };
    let matrices: Vec<&TensorReading> = view.reading.tensors.iter().filter(inside).collect();
    let mut hit: Vec<(&TensorReading, f64, f64)> = Vec::new();
    for tensor in &matrices {
        let Some(zeros) = value(tensor, "zero_elements") else { continue };
        let share = zero_share(tensor, zeros, value(tensor, "zero_rows").unwrap_or(0.0));
        let trusted = |(index, zeros): (usize, &f32)| {
            (zeros.is_finite() && view.trusted(index, Some(&tensor.facts.name))).then_some(*zeros)
        };
        let past = view.past(tensor, "zero_elements").iter().enumerate().filter_map(trusted);
        let Some(most) = past.reduce(f32::max) else { continue };
        let before = zero_share(tensor, f64::from(most), 0.0);
        if share >= limit && share >= NEWS * before && share * elements(&tensor.facts) as f64 >= ZEROS_MIN {
            hit.push((tensor, share, before));
        }
    }
    if hit.is_empty() || 2 * hit.len() < matrices.len() {
        return Vec::new();
    }
    hit.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (first, share, _) = hit[0];
    let summary = format!(
        "{} of {} matrices hold exact zeros where they had none, {} in {:.1} % of its elements",
        hit.len(),
        matrices.len(),
        first.facts.name,
        share * 100.0
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.98;
    sign.tensors = hit.iter().map(|(tensor, ..)| tensor.facts.name.to_string()).collect();
    sign.evidence = hit
        .iter()
        .map(|(tensor, _, before)| {
            let expected =
                format!("at most {:.4} % of its elements, as in every checkpoint before", before * 100.0);
            evidence(subject(tensor), "zero_elements", value(tensor, "zero_elements"), expected)
        })
        .collect();
    if matrices.len() > hit.len() {
        sign.dissent.push(format!("{} matrices hold none", matrices.len() - hit.len()));
    }
    vec![sign]
}
