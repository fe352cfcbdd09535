//! An optimizer that forgot its moments.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::pace::moving;
use crate::detect::panel::{Panel, median};
use crate::detect::view::{View, value};
use crate::terms::{Severity, Subject};

/// All matrices move faster for one interval, without a common direction.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "optimizer_state_lost",
        severity: Severity::Warning,
        proof: Proof::Temporal,
        summary: "all matrices moved faster for one interval, as after a loss of the optimizer's moments",
        what: "The median over all matrices of the natural logarithm of `update_rms` over learning-rate time \
               exceeds the largest of the six intervals before by at least `speed_min`, nine tenths of the \
               matrices are above theirs, and the shape of the update stayed (`update_excess_kurtosis` did not \
               fall). Without moments Adam's first steps have the full size of the learning rate in every \
               element. A harder or new kind of data also speeds a run up, but in a direction, which lowers the \
               excess kurtosis of the update: that is no fault. Not judged at the end of a decay, where rounding \
               and noise dominate. The trace is faint and gone at the next checkpoint.",
        cause: "A resume without the optimizer's file, or with one that did not match and was dropped silently.",
        remedy: "Resume from the same checkpoint with its optimizer state; if that is gone, warm the learning rate \
                 up again over a few hundred steps.",
        evidence: "update_rms, update_excess_kurtosis, learning rate",
        parameters: &[Parameter {
            name: "speed_min",
            default: 0.15,
            min: 0.01,
            max: 10.0,
            doc: "rise of the natural logarithm of the median speed; healthy runs stay below 0.11 unless the \
                  update has a direction",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Intervals that a rise is compared with.
const INTERVALS: usize = 6;
/// Fall of the update's excess kurtosis from which it has a direction.
const DIRECTED: f64 = -0.04;
/// Rise of the update's excess kurtosis from which a few elements make it (rounding, spikes).
const SPIKED: f64 = 0.5;
/// Intervals shorter than this share of the longest are the end of a decay, or a warm-up's first steps.
const SHORT: f64 = 0.2;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let longest = view.pace.intervals.iter().copied().fold(view.pace.now, f64::max);
    let short = view.pace.now < SHORT * longest;
    if !view.motion.normalised || short || view.readings() < 8 {
        return Vec::new();
    }
    let matrices = moving(&view.reading.tensors);
    let speeds =
        Panel::of_tensors(view, &matrices, "update_rms", true, |rms, interval| (rms / interval).ln());
    let Some(rise) = speeds.common_mode().rise_over(0, INTERVALS) else { return Vec::new() };
    let above = (0..matrices.len())
        .filter(|&series| speeds.rise_over(series, INTERVALS).is_some_and(|rise| rise > 0.0));
    if rise < parameters.get("speed_min") || 10 * above.count() < 9 * matrices.len() {
        return Vec::new();
    }
    let turn = median(matrices.iter().filter_map(|tensor| {
        let past =
            view.past(tensor, "update_excess_kurtosis").iter().rev().take(4).map(|&value| f64::from(value));
        Some(value(tensor, "update_excess_kurtosis")? - median(past)?)
    }));
    if turn.is_none_or(|turn| !(DIRECTED..SPIKED).contains(&turn)) {
        return Vec::new();
    }
    let times = rise.exp();
    let summary =
        format!("all matrices moved {times:.2} times as fast as in any of {INTERVALS} intervals before");
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.7;
    sign.evidence = vec![
        evidence(
            Subject::Model,
            "update_rms",
            Some(times),
            "at most 1.1 times the fastest of the intervals before",
        ),
        evidence(Subject::Model, "update_excess_kurtosis", turn, "a fall, if new data had caused the speed"),
    ];
    vec![sign]
}
