//! One element that outweighs its whole matrix.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, elements, is_matrix, subject, value};
use crate::terms::{Severity, TensorReading};

/// A single element carries a large part of the matrix's energy, and did not before.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "bit_flip",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "one element outweighs the rest of its matrix, as a flipped exponent bit does",
        what: "The square of `abs_max` is at least `energy_share` of the matrix's sum of squares, at least four \
               times the share in any earlier checkpoint, and the element is at least four times as large as any \
               before. Super weights of large models carry far less and are there in every checkpoint.",
        cause: "A flipped bit in memory, on disk or in transfer; a value written outside the optimizer.",
        remedy: "Read the file again and compare: if the hash differs, the disk or transport is at fault. Resume \
                 from the last good checkpoint and test the machine's memory.",
        evidence: "abs_max, rms",
        parameters: &[Parameter {
            name: "energy_share",
            default: 0.2,
            min: 0.01,
            max: 1.0,
            doc: "share of the sum of squares that one element may carry",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Matrices smaller than this have heavy elements by chance.
const ELEMENTS_MIN: u64 = 256;

fn share(abs_max: f64, rms: f64, count: u64) -> f64 {
    (abs_max / rms).powi(2) / count as f64
}

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("energy_share");
    let spike = |tensor: &TensorReading| -> Option<f64> {
        let count = elements(&tensor.facts);
        let (abs_max, rms) = (value(tensor, "abs_max")?, value(tensor, "rms").filter(|rms| *rms > 0.0)?);
        let now = share(abs_max, rms, count);
        let (maxima, spreads) = (view.past(tensor, "abs_max"), view.past(tensor, "rms"));
        let largest = maxima.iter().copied().filter(|value| value.is_finite()).fold(0.0, f32::max);
        let heaviest = maxima
            .iter()
            .zip(spreads)
            .map(|(&max, &rms)| share(f64::from(max), f64::from(rms), count))
            .filter(|share| share.is_finite())
            .fold(0.0, f64::max);
        let new = largest > 0.0 && abs_max >= 4.0 * f64::from(largest) && now >= 4.0 * heaviest;
        (count >= ELEMENTS_MIN && now >= limit && new).then_some(now)
    };
    let mut hit: Vec<_> = view
        .reading
        .tensors
        .iter()
        .filter(|tensor| is_matrix(&tensor.facts))
        .filter_map(|tensor| spike(tensor).map(|share| (tensor, share)))
        .collect();
    hit.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some((first, heaviest)) = hit.first() else { return Vec::new() };
    let abs_max = value(first, "abs_max").unwrap_or_default();
    let summary = format!(
        "one element of {} is {abs_max:.3e} and carries {:.0} % of the matrix's energy",
        first.facts.name,
        heaviest * 100.0
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.99;
    sign.tensors = hit.iter().map(|(tensor, _)| tensor.facts.name.to_string()).collect();
    sign.evidence = hit
        .iter()
        .map(|(tensor, _)| {
            let was = view.last(tensor, "abs_max").unwrap_or_default();
            let expected = format!("near {was:.3e}, as in the checkpoint before");
            evidence(subject(tensor), "abs_max", value(tensor, "abs_max"), expected)
        })
        .collect();
    vec![sign]
}
