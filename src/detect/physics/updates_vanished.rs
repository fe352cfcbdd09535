//! Updates that shrink to nothing while the learning rate does not.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::marks::{rows_of, untouched_rows};
use crate::detect::pace::moving;
use crate::detect::panel::{Panel, median};
use crate::detect::view::{View, value};
use crate::terms::{Severity, Subject, TensorReading};

/// All matrices move a small part of what they used to.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "updates_vanished",
        severity: Severity::Warning,
        proof: Proof::Temporal,
        summary: "all matrices all but stopped moving, and the learning rate did not fall",
        what: "At this checkpoint and the one before, `update_rms` over learning-rate time is below one part in `fall_min` of its least in six intervals before, in nine tenths of the matrices; where weight decay goes on, it counts as well that 95 % of a matrix's rows, and once less than half, only shrank by one factor (`pure_decay_rows`). Speeds at the end of a decay, in intervals shorter than a fifth of the longest, are not judged. Plain SGD moves in proportion to the gradient, so that a gradient clipped to nothing shows at once; Adam's steps have the size of the learning rate whatever the gradient, and show nothing until the gradient is as small as its epsilon. Where the logged gradient norm (which is taken before clipping) stayed, the finding says so: then the gradient is lost between the backward pass and the step.",
        cause: "Gradients clipped to a tiny norm, divided twice by the accumulation steps or the world size, a loss scaled down, gradients that vanish.",
        remedy: "Check `max_grad_norm`, the accumulation's divisor and the loss scale; compare the logged gradient norm before and after clipping.",
        evidence: "update_rms, frozen_rows, pure_decay_rows, grad_norm, learning rate",
        parameters: &[Parameter {
            name: "fall_min",
            default: 20.0,
            min: 2.0,
            max: 1000000.0,
            doc: "times that the speed must be below its least; healthy runs fall by less than 3 times",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Intervals that tell the usual speed.
const INTERVALS: usize = 6;
/// Share of rows without a gradient from which a matrix gets none, and below which it surely got one.
const DEAD_MIN: f64 = 0.95;
/// See [`DEAD_MIN`].
const ALIVE_MAX: f64 = 0.5;
/// Share of rows that kept every bit above which the interval was too short to tell.
const FROZEN_MAX: f64 = 0.05;
/// Fewer matrices than this are no model.
const MATRICES_MIN: usize = 4;
/// Intervals shorter than this share of the longest are the end of a decay, or a warm-up's first steps.
const SHORT: f64 = 0.2;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let longest = view.pace.intervals.iter().copied().fold(view.pace.now, f64::max);
    let last = view.pace.intervals.last().copied().unwrap_or(0.0);
    if view.schedule.from_step.is_none() || !view.schedule.trains() {
        return Vec::new();
    }
    let is_short = view.pace.now.min(last) < SHORT * longest;
    let matrices = moving(&view.reading.tensors);
    let limit = -parameters.get("fall_min").ln();
    let speeds = Panel::of_tensors(view, &matrices, "update_rms", true, |rms, interval| {
        (rms.max(1e-30) / interval).ln()
    });
    let falls: Vec<Option<f64>> =
        (0..matrices.len()).map(|series| speeds.fall_of_two(series, INTERVALS)).collect();
    let stopped = |tensor: &TensorReading| {
        let rows = untouched_rows(view, tensor);
        rows.is_some_and(|(now, before, least)| now.min(before) >= DEAD_MIN && least < ALIVE_MAX)
            && value(tensor, "frozen_rows").is_some_and(|rows| rows <= FROZEN_MAX * rows_of(tensor))
    };
    let gone = matrices.iter().zip(&falls);
    let gone = gone
        .filter(|(tensor, fall)| fall.is_some_and(|fall| !is_short && fall <= limit || stopped(tensor)))
        .count();
    // Momentum lets the pace run out over several intervals, so that the newest of the past are no measure of it.
    let Some(fall) = median((0..matrices.len()).map(|series| speeds.above_usual(series))) else {
        return Vec::new();
    };
    if 10 * gone < 9 * matrices.len() || gone < MATRICES_MIN || fall > -std::f64::consts::LN_2 {
        return Vec::new();
    }
    let times = (-fall).exp();
    let summary = format!(
        "{gone} of {} matrices all but stand still; the median one moves one part in {times:.0} of what it did",
        matrices.len()
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.95;
    let expected = "near 1 times its median in the past".to_owned();
    sign.evidence = vec![evidence(Subject::Model, "update_rms", Some(fall.exp()), expected)];
    sign.evidence.extend(gradient(view));
    vec![sign]
}

/// What became of the logged gradient norm over the same time, as evidence.
fn gradient(view: &View<'_>) -> Option<crate::terms::Evidence> {
    let points = view.history.points();
    let onset = points.len().checked_sub(2).and_then(|index| points.get(index))?.key.step.0;
    let of = |after: bool| {
        let log = view.trainer().log.iter().filter(move |point| (point.step > onset) == after);
        median(log.filter_map(|point| point.grad_norm))
    };
    let share = of(true)? / of(false)?;
    let words =
        if share > 0.2 { "the same fall, if the gradient had vanished" } else { "1, if it had not vanished" };
    Some(evidence(Subject::Model, "grad_norm", Some(share), words))
}
