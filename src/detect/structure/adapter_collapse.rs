//! Low-rank adapters that fall to one direction.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::panel::{Panel, median};
use crate::detect::view::{View, subject, value};
use crate::terms::{Severity, TensorReading};

/// Most pairs lose directions at once, or have one left where they had more.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "adapter_collapse",
        severity: Severity::Warning,
        proof: Proof::Structure,
        summary: "the low-rank adapters fall to a single direction",
        what: "Over all LoRA pairs of rank 2 and more, four at least: the median natural logarithm of `lora_effective_rank` fell by more than `fall_min` in one interval, in three quarters of the pairs, and that of `lora_stable_rank` fell with it; or the median pair works in at most 1.1 directions at this checkpoint and the one before, by both measurements, where it worked in at least 1.5 within the last 32. The level alone says nothing: `lora_stable_rank` is 1.0 in pairs of healthy adapters that learn one thing, and single pairs have come down to 1.1 by `lora_effective_rank`. That a factor alpha was changed does not show in the weights at all (sixteen times the factor in the middle of a run: no measurement left its past).",
        cause: "A penalty or projection on the adapters, gradients that have passed through one direction, adapters merged or truncated by code, a learning rate that is too high for them.",
        remedy: "Resume from the last good checkpoint; compare the pair's spectrum before and after, lower the adapters' learning rate, or take a smaller rank if one direction is all that the data asks for.",
        evidence: "lora_effective_rank, lora_stable_rank",
        parameters: &[Parameter {
            name: "fall_min",
            default: 0.3,
            min: 0.01,
            max: 10.0,
            doc: "fall of the median natural logarithm of lora_effective_rank in one interval; in healthy runs it fell by at most 0.18",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Fewer pairs than this are no majority.
const PAIRS_MIN: usize = 4;
/// Median directions that are one.
const ONE: f64 = 1.1;
/// Median directions that were surely more.
const MORE: f64 = 1.5;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let pairs: Vec<&TensorReading> = view
        .reading
        .tensors
        .iter()
        .filter(|tensor| value(tensor, "lora_effective_rank").is_some())
        .filter(|tensor| tensor.facts.shape.iter().all(|&length| length > 1))
        .collect();
    if pairs.len() < PAIRS_MIN {
        return Vec::new();
    }
    let panel = |metric| Panel::of_tensors(view, &pairs, metric, false, |rank, _| rank.ln());
    let (effective, stable) = (panel("lora_effective_rank"), panel("lora_stable_rank"));
    let limit = parameters.get("fall_min");
    let steps: Vec<f64> = (0..pairs.len()).map(|pair| effective.step(pair)).collect();
    let fallen = steps.iter().filter(|step| **step < -limit / 2.0).count();
    let Some(step) = median(steps.iter().copied()) else { return Vec::new() };
    let together = stable.common_mode().step(0) < 0.0;
    let sudden = together && step < -limit && 4 * fallen >= 3 * pairs.len();
    let (all, all_stable) = (effective.common_mode(), stable.common_mode());
    let before = all.newest(0) - all.step(0);
    let one = all.newest(0).max(before).max(all_stable.newest(0)) <= ONE.ln() && all.most(0) >= MORE.ln();
    if !sudden && !one {
        return Vec::new();
    }
    let rank = all.newest(0).exp();
    let summary = format!(
        "the median of {} adapters works in {rank:.2} directions, {:.2} in the checkpoint before",
        pairs.len(),
        before.exp()
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.95;
    let mut worst: Vec<(usize, f64)> = steps.iter().copied().enumerate().collect();
    worst.sort_by(|a, b| a.1.total_cmp(&b.1));
    for (pair, _) in worst {
        let tensor = pairs[pair];
        let expected =
            format!("near {:.2}, as before", view.last(tensor, "lora_effective_rank").unwrap_or_default());
        sign.tensors.push(tensor.facts.name.to_string());
        sign.evidence.push(evidence(
            subject(tensor),
            "lora_effective_rank",
            value(tensor, "lora_effective_rank"),
            expected,
        ));
    }
    vec![sign]
}
