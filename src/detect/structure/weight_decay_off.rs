//! Weight decay that acts no more.
//!
//! The size of a matrix that trains cannot tell: updates cover what a decay of a thousandth an interval does. But
//! rows that no gradient reaches (tokens that the data does not have, positions beyond its windows) change by
//! nothing else. While a decay acts, they shrink by one factor; from the moment it does not, they keep every bit.

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::marks::rows_of;
use crate::detect::pace::spacing;
use crate::detect::panel::median;
use crate::detect::schedule::lr_time;
use crate::detect::view::{View, is_matrix, subject, value};
use crate::terms::{Severity, TensorReading};

/// Rows that only shrank keep every bit now.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "weight_decay_off",
        severity: Severity::Warning,
        proof: Proof::Structure,
        summary: "weight decay has stopped acting",
        what: "In three trusted checkpoints in a row at least eight rows of a matrix were only shrunk (`pure_decay_rows`), all by one decay per unit of learning-rate time (`pure_decay_factor`, within a fifth); at this checkpoint and the one before, no more than a tenth of them shrank and at least nine tenths of them kept every bit (`frozen_rows`), while the rest of the matrix trains and the decay as it was would have moved every element by more than rounding can hide: above a millionth a step, and four spacings of the file's type an interval. Where every row gets a gradient (a tied embedding), or half precision rounds the decay away, weights do not show it and nothing is said.",
        cause: "An optimizer that was built again with other settings (a resume, a change of parameter groups), a schedule that multiplies the decay by 0.",
        remedy: "Compare the optimizer's parameter groups with those before; resume from the last good checkpoint with the old decay, or announce it under `expected`.",
        evidence: "pure_decay_rows, pure_decay_factor, frozen_rows, learning rate",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Fewer rows than this may be chance.
const ROWS_MIN: f64 = 8.0;
/// Checkpoints that tell the decay as it was.
const KNOWN: usize = 3;
/// How far their decays may lie apart.
const SPREAD: f64 = 0.2;
/// Decay of one step that rounding to single precision cannot hide: 8 times its half spacing.
const STEP_MIN: f64 = 1e-6;
/// Share of rows that stand still above which the matrix as a whole does, which is another fault.
const TRAINS_MAX: f64 = 0.95;
/// Decay of an interval that the file's own type cannot hide, in spacings.
const INTERVAL_MIN: f64 = 4.0;

struct Stopped {
    rows: f64,
    decay: f64,
}

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    if !view.pace.is_lr_time || view.history.points().len() < KNOWN + 2 {
        return Vec::new();
    }
    let matrices = view.reading.tensors.iter().filter(|tensor| is_matrix(&tensor.facts));
    let mut hit: Vec<(&TensorReading, Stopped)> =
        matrices.filter_map(|tensor| Some((tensor, stopped(view, tensor)?))).collect();
    hit.sort_by(|a, b| b.1.rows.total_cmp(&a.1.rows));
    let Some((first, known)) = hit.first() else { return Vec::new() };
    let summary = format!(
        "{:.0} rows of {} that only weight decay moved (about {:.3}) stand still although the matrix trains",
        known.rows, first.facts.name, known.decay
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.97;
    sign.tensors = hit.iter().map(|(tensor, _)| tensor.facts.name.to_string()).collect();
    for (tensor, known) in &hit {
        let were = format!("{:.0}, as in the checkpoints before", known.rows);
        sign.evidence.push(evidence(
            subject(tensor),
            "pure_decay_rows",
            value(tensor, "pure_decay_rows"),
            were,
        ));
        sign.evidence.push(evidence(
            subject(tensor),
            "frozen_rows",
            value(tensor, "frozen_rows"),
            "0, as before",
        ));
    }
    vec![sign]
}

fn stopped(view: &View<'_>, tensor: &TensorReading) -> Option<Stopped> {
    let (shrank, stood) = (view.past(tensor, "pure_decay_rows"), view.past(tensor, "frozen_rows"));
    let factors = view.past(tensor, "pure_decay_factor");
    // The newest point of the past is the first without decay; those before it tell how it was.
    let last = view.history.points().len().checked_sub(1)?;
    let name = Some(&*tensor.facts.name);
    let points = view.history.points();
    let step = |point: usize| points.get(point).map_or(view.schedule.step, |point| point.key.step.0);
    let time = |point: usize| lr_time(&view.trainer().log, step(point - 1), step(point));
    let (mut rows, mut decays, mut frozen) = (f64::INFINITY, Vec::new(), 0.0_f64);
    for point in last.checked_sub(KNOWN)?..last {
        let (row, factor) = (f64::from(*shrank.get(point)?), f64::from(*factors.get(point)?));
        if !view.trusted(point, name) || row.is_nan() || row < ROWS_MIN || point == 0 {
            return None;
        }
        rows = rows.min(row);
        frozen = frozen.max(f64::from(*stood.get(point)?));
        decays.push(-factor.ln() / time(point)?);
    }
    let decay = median(decays.iter().copied())?;
    let steady = decays.iter().all(|one| (one - decay).abs() <= SPREAD * decay);
    let all = rows_of(tensor);
    let stands = |shrank: f64, stood: f64| {
        shrank <= 0.1 * rows && stood - frozen >= 0.9 * rows && stood < TRAINS_MAX * all
    };
    // Would the decay as it was show in that interval?
    let shows = |point: usize| {
        let lost = decay * time(point).unwrap_or(0.0);
        let steps = step(point).saturating_sub(step(point - 1)).max(1) as f64;
        lost / steps > STEP_MIN && lost > INTERVAL_MIN * spacing(tensor.facts.dtype)
    };
    let before = stands(f64::from(*shrank.get(last)?), f64::from(*stood.get(last)?)) && shows(last);
    let now = stands(value(tensor, "pure_decay_rows")?, value(tensor, "frozen_rows")?) && shows(last + 1);
    (steady && before && now).then_some(Stopped { rows, decay })
}
