//! A distribution that leaves its own past.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::marks::{has_past, marked, unusual};
use crate::detect::panel::{Habit, Panel};
use crate::detect::view::{View, is_matrix, subject, value};
use crate::terms::{Severity, TensorReading};

/// Shape statistics of a tensor leave what they were, beyond all siblings.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "non_gaussian_drift",
        severity: Severity::Warning,
        proof: Proof::Structure,
        summary: "the distribution of a matrix's values leaves its own past",
        what: "`ks_statistic` and `l_kurtosis` of a matrix both leave their own pace in the same direction, each by more than its effect and more than `margin` times the worst excursion of any matrix of the run; or the matrix moved as training does not move it and the movement itself has heavy tails (`update_excess_kurtosis` above `tails_min`). What all matrices of a role share is taken away where there are three of them, and what is left must be in the matrix's own values too. Weights need not be Gaussian: only leaving one's own past counts, and only in a matrix that has not shrunk to a thousandth of its former size.",
        cause: "Heavy-tailed noise in the updates (bad gradients from low precision or a broken kernel), a few runaway rows, clipping that was switched off.",
        remedy: "Look at the histogram and the rows of the tensor; compare gradient clipping and precision with before; resume from the last good checkpoint if it goes on.",
        evidence: "ks_statistic, l_kurtosis, update_excess_kurtosis",
        parameters: &[
            Parameter {
                name: "ks_effect",
                default: 0.01,
                min: 0.0001,
                max: 1.0,
                doc: "change of ks_statistic beyond its own pace",
            },
            Parameter {
                name: "l_kurtosis_effect",
                default: 0.01,
                min: 0.0001,
                max: 1.0,
                doc: "change of l_kurtosis beyond its own pace",
            },
            Parameter {
                name: "margin",
                default: 1.5,
                min: 1.0,
                max: 100.0,
                doc: "times the worst excursion of any matrix of the run",
            },
            Parameter {
                name: "tails_min",
                default: 20.0,
                min: 1.0,
                max: 1000000000.0,
                doc: "excess kurtosis of the update of a tensor that moved unusually",
            },
        ],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Points with a usual pace before drift is judged.
const POINTS_MIN: usize = 5;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("tails_min");
    let heavy = heavy_updates(view, limit);
    let mut hit = heavy.clone();
    for tensor in drifted(view, parameters) {
        if !hit.iter().any(|other| other.facts.name == tensor.facts.name) {
            hit.push(tensor);
        }
    }
    let Some(&first) = hit.first() else { return Vec::new() };
    let before = |tensor: &TensorReading, metric| {
        let before = view.last(tensor, metric).unwrap_or_default();
        format!("near {before:.4}, as in the checkpoint before")
    };
    let mut signs = if heavy.is_empty() {
        marked(&hit, RULE.entry.severity, "ks_statistic", |tensor| before(tensor, "ks_statistic"))
    } else {
        marked(&hit, RULE.entry.severity, "update_excess_kurtosis", |_| {
            format!("below {limit} in a tensor that moves unusually")
        })
    };
    for sign in &mut signs {
        sign.summary = if heavy.is_empty() {
            format!("the distribution of {} leaves its own past", first.facts.name)
        } else {
            format!("a few elements carry the movement of {}", first.facts.name)
        };
        sign.confidence = 0.9;
        for metric in ["ks_statistic", "l_kurtosis"] {
            let known = sign.evidence.first().is_some_and(|first| first.metric == metric);
            if let Some(now) = value(first, metric).filter(|_| !known) {
                sign.evidence.push(evidence(subject(first), metric, Some(now), before(first, metric)));
            }
        }
    }
    signs
}

/// Matrices that moved unusually by an update with heavy tails.
fn heavy_updates<'a>(view: &View<'a>, limit: f64) -> Vec<&'a TensorReading> {
    let heavy = |tensor: &&TensorReading| {
        is_matrix(&tensor.facts) && value(tensor, "update_excess_kurtosis").is_some_and(|tails| tails > limit)
    };
    unusual(view).into_iter().filter(heavy).collect()
}

/// Matrices whose shape statistics both left their pace in the same direction.
fn drifted<'a>(view: &View<'a>, parameters: &Parameters<'_>) -> Vec<&'a TensorReading> {
    let by_role = view.roles();
    let margin = parameters.get("margin");
    let mut hit: Vec<(&TensorReading, f64)> = Vec::new();
    for siblings in by_role.values() {
        let siblings: Vec<&TensorReading> =
            siblings.iter().copied().filter(|tensor| is_matrix(&tensor.facts)).collect();
        // A matrix must leave its own past and not only its siblings': when most of them move, the one that stays has
        // left the median and nothing else.
        let of = |metric: &'static str, shared: bool| {
            let panel = Panel::of_tensors(view, &siblings, metric, false, |value, _| value);
            panel.without_common_mode_if(shared && siblings.len() >= 3).deviations(Habit::Rate)
        };
        let (distance, tails) = (of("ks_statistic", true), of("l_kurtosis", true));
        let own = [of("ks_statistic", false), of("l_kurtosis", false)];
        if distance.points < POINTS_MIN || tails.points < POINTS_MIN {
            continue;
        }
        for (series, tensor) in siblings.iter().enumerate() {
            let a = distance.score(series, parameters.get("ks_effect"), margin);
            let b = tails.score(series, parameters.get("l_kurtosis_effect"), margin);
            let [c, d] =
                [(&own[0], a, "ks_effect"), (&own[1], b, "l_kurtosis_effect")].map(|(own, side, effect)| {
                    (own.now[series] * side.signum() / parameters.get(effect)).max(0.0)
                });
            let score = a.abs().min(b.abs()).min(c).min(d);
            if score >= 1.0 && !view.previous_tainted(&tensor.facts.name) && has_past(view, tensor) {
                hit.push((tensor, score));
            }
        }
    }
    hit.sort_by(|a, b| b.1.total_cmp(&a.1));
    hit.into_iter().map(|(tensor, _)| tensor).collect()
}
