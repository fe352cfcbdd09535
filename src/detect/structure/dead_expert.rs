//! An expert of a mixture that gets no tokens.
//!
//! What gets no token gets no gradient: a row of it either keeps every bit, where the optimizer passes over it,
//! or is only shrunk by the weight decay (`pure_decay_rows`). No live row does either, so that an expert whose
//! rows all do is dead, however seldom the others are chosen.

use std::collections::BTreeMap;

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::marks::untouched_rows;
use crate::detect::view::{View, subject, value};
use crate::terms::{Role, Severity, Subject, TensorReading};

/// All matrices of an expert stand still but for the weight decay, and other experts of its layer train.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "dead_expert",
        severity: Severity::Warning,
        proof: Proof::Structure,
        summary: "an expert of a mixture gets no tokens any more",
        what: "In every matrix of the expert, at this checkpoint and the one before, at least 95 % of the rows either kept every bit (`frozen_rows`) or were only shrunk by one factor (`pure_decay_rows`), although the learning rate was above 0; in an earlier checkpoint less than half of them did, and another expert of the layer still trains. Where all experts lie in one tensor, the untouched rows must fill up one expert more than ever before, in all of the layer's tensors alike. In half precision a decay is rounded away or not, row by row, and only experts that keep every bit are found. Where the optimizer passes over what has no gradient, `frozen_tensor` tells the same at the first checkpoint.",
        cause: "A router that collapsed onto the other experts (no balancing loss, a bias or a row that ran away), a capacity limit that drops all its tokens, a rank of the expert-parallel group that gets none.",
        remedy: "Look at the router's rows and biases of that layer (`router_norm_max_over_median`); raise the balancing loss, or reset the router's row and go on from the last good checkpoint.",
        evidence: "frozen_rows, pure_decay_rows, learning rate",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Share of untouched rows from which a matrix gets no gradient.
const DEAD_MIN: f64 = 0.95;
/// Share below which it surely gets one.
const ALIVE_MAX: f64 = 0.5;

/// Is that a matrix of an expert, or of all experts of a layer?
pub(super) fn is_expert(role: Role) -> bool {
    matches!(role, Role::ExpertUp | Role::ExpertGate | Role::ExpertDown)
}

/// The part of a name that all matrices of one expert share; none where all experts lie in one tensor.
pub(super) fn expert_of(tensor: &TensorReading) -> Option<&str> {
    let name = &*tensor.facts.name;
    let mut numbers = name.split('.').filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let last = numbers.clone().next_back().filter(|_| numbers.nth(1).is_some())?;
    let after = name.rfind(&format!(".{last}."))? + 1 + last.len();
    (tensor.facts.shape.len() == 2).then(|| &name[..after])
}

fn look(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    if !view.schedule.trains() || view.schedule.from_step.is_none() {
        return Vec::new();
    }
    let mut layers: BTreeMap<u32, Vec<&TensorReading>> = BTreeMap::new();
    for tensor in view.reading.tensors.iter().filter(|tensor| is_expert(tensor.facts.meaning.role)) {
        if let Some(layer) = tensor.facts.meaning.layer.filter(|_| tensor.facts.shape.len() >= 2) {
            layers.entry(layer).or_default().push(tensor);
        }
    }
    let dead: Vec<&TensorReading> = layers
        .values()
        .flat_map(|tensors| {
            let each = one_by_one(view, tensors);
            if each.is_empty() { in_one_tensor(view, tensors) } else { each }
        })
        .collect();
    let Some(first) = dead.first() else { return Vec::new() };
    let place = expert_of(first).unwrap_or(&first.facts.name);
    let more = match dead.len() {
        0..=3 => String::new(),
        count => format!(", {count} matrices of dead experts in all"),
    };
    let summary =
        format!("no gradient reaches an expert of {place}: its rows stand still or only decay{more}");
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.confidence = 0.97;
    sign.tensors = dead.iter().map(|tensor| tensor.facts.name.to_string()).collect();
    sign.evidence = dead
        .iter()
        .flat_map(|tensor| {
            ["pure_decay_rows", "frozen_rows"].map(|metric| {
                evidence(subject(tensor), metric, value(tensor, metric), "0 in an expert that trains")
            })
        })
        .collect();
    if let Some(layer) = first.facts.meaning.layer {
        let skew = view.reading.tensors.iter().find(|tensor| {
            tensor.facts.meaning.layer == Some(layer) && tensor.facts.meaning.role == Role::Router
        });
        let skew = skew.and_then(|router| value(router, "router_norm_max_over_median"));
        let subject = Subject::Layer(layer);
        sign.evidence
            .extend(skew.map(|skew| evidence(subject, "router_norm_max_over_median", Some(skew), "1 to 2")));
    }
    vec![sign]
}

/// The matrices of dead experts of a layer in which every expert has tensors of its own.
fn one_by_one<'a>(view: &View<'_>, tensors: &[&'a TensorReading]) -> Vec<&'a TensorReading> {
    let mut experts: BTreeMap<&str, Vec<&TensorReading>> = BTreeMap::new();
    for tensor in tensors {
        if let Some(expert) = expert_of(tensor) {
            experts.entry(expert).or_default().push(tensor);
        }
    }
    let all = |expert: &[&TensorReading], is: fn((f64, f64, f64)) -> bool| {
        expert.len() > 1 && expert.iter().all(|tensor| untouched_rows(view, tensor).is_some_and(is))
    };
    if !experts.values().any(|expert| all(expert, |(now, before, _)| now.max(before) < ALIVE_MAX)) {
        return Vec::new();
    }
    let dead = experts.into_values().filter(|expert| {
        all(expert, |(now, before, least)| now.min(before) >= DEAD_MIN && least < ALIVE_MAX)
    });
    dead.flatten().collect()
}

/// A layer's tensors that hold all experts, where one more of these is dead.
fn in_one_tensor<'a>(view: &View<'_>, tensors: &[&'a TensorReading]) -> Vec<&'a TensorReading> {
    let stacked: Vec<&TensorReading> =
        tensors.iter().copied().filter(|tensor| tensor.facts.shape.len() == 3).collect();
    let more = stacked.iter().all(|tensor| {
        let experts = tensor.facts.shape[0] as f64;
        untouched_rows(view, tensor).is_some_and(|(now, before, least)| {
            let dead = |share: f64| (share * experts + 1.0 - DEAD_MIN).floor();
            dead(now.min(before)) > dead(least) && now < 1.0 - 0.5 / experts
        })
    });
    if stacked.len() > 1 && more { stacked } else { Vec::new() }
}
