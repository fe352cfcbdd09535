//! The set of tensors, their shapes and their types, which must not change during a run.

use std::collections::BTreeSet;

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, subject};
use crate::terms::{Severity, TensorFacts, TensorReading};

use super::file_problems::weights_are_broken;

/// After so many checkpoints without a tensor the smaller model is the normal one.
const MEMORY_POINTS: usize = 4;

/// A tensor that was there is gone.
pub static MISSING_TENSOR: Rule = Rule {
    entry: Entry {
        id: "missing_tensor",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "a tensor that earlier checkpoints had is gone",
        what: "A name that the last four whole checkpoints had is not in this one, although no file is broken. \
               After four checkpoints without it the smaller model counts as the normal one.",
        cause: "A state dict filtered by mistake, a tied or renamed parameter left out on saving, a shard that \
                was saved under another run's index.",
        remedy: "Do not resume from this checkpoint: the loader would initialise the tensor anew. Check the code \
                 that saves.",
        evidence: "names against the last four whole checkpoints",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: missing_tensor,
};

/// A tensor that was never there.
pub static NEW_TENSOR: Rule = Rule {
    entry: Entry {
        id: "new_tensor",
        severity: Severity::Warning,
        proof: Proof::Invariant,
        summary: "a tensor that no earlier checkpoint had",
        what: "A name is in this checkpoint and in none of the run's earlier ones. Not judged in the first \
               checkpoint, nor while files are broken.",
        cause: "The model was changed during the run (a new head, an adapter), or two runs write to one \
                directory.",
        remedy: "If it was planned, announce it under `expected`; else look for a second job that writes here.",
        evidence: "names against all earlier checkpoints",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: new_tensor,
};

/// Another shape under the same name.
pub static SHAPE_CHANGED: Rule = Rule {
    entry: Entry {
        id: "shape_changed",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "a tensor has another shape than before",
        what: "The shape under the same name differs from the newest whole checkpoint's.",
        cause: "A resized vocabulary, a checkpoint of another model in the same directory, a transposed save.",
        remedy: "If it was planned, announce it under `expected`; else do not resume from this checkpoint.",
        evidence: "shapes against the newest whole checkpoint",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: |view, _| {
        changed(view, SHAPE_CHANGED.entry.severity, "shape", |facts| format!("{:?}", facts.shape))
    },
};

/// Another element type under the same name.
pub static DTYPE_CHANGED: Rule = Rule {
    entry: Entry {
        id: "dtype_changed",
        severity: Severity::Warning,
        proof: Proof::Invariant,
        summary: "a tensor has another element type than before",
        what: "The dtype under the same name differs from the newest whole checkpoint's.",
        cause: "Another precision for saving after a resume, an export written over a training checkpoint.",
        remedy: "If it was planned, announce it under `expected`; else resume from an earlier checkpoint: \
                 precision that was cut does not come back.",
        evidence: "dtypes against the newest whole checkpoint",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: |view, _| changed(view, DTYPE_CHANGED.entry.severity, "dtype", |facts| facts.dtype.to_string()),
};

fn whole_points<'a>(view: &View<'a>) -> impl Iterator<Item = &'a [TensorFacts]> {
    let points = view.history.points().iter().rev();
    points.filter(|point| !point.broken && !point.tensors.is_empty()).map(|point| &point.tensors[..])
}

fn missing_tensor(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    if weights_are_broken(view, parameters) || view.reading.tensors.is_empty() {
        return Vec::new();
    }
    let skipped: BTreeSet<&str> = view.reading.skipped.iter().map(|tensor| tensor.name.as_str()).collect();
    let mut lost = BTreeSet::new();
    for facts in whole_points(view).take(MEMORY_POINTS).flatten() {
        if view.tensor(&facts.name).is_none() && !skipped.contains(&*facts.name) {
            lost.insert(&*facts.name);
        }
    }
    let Some(first) = lost.first() else { return Vec::new() };
    let summary = match lost.len() {
        1 => format!("{first} is gone from the checkpoint"),
        count => format!("{count} tensors are gone from the checkpoint, {first} among them"),
    };
    let mut sign = Sign::sure(MISSING_TENSOR.entry.severity, summary);
    sign.tensors = lost.iter().map(|&name| name.to_owned()).collect();
    sign.dissent.push(format!("{} tensors are still there", view.reading.tensors.len()));
    vec![sign]
}

fn new_tensor(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    if weights_are_broken(view, parameters) || view.newest_whole().is_none() {
        return Vec::new();
    }
    let mut new: BTreeSet<&str> = view
        .reading
        .tensors
        .iter()
        .map(|tensor| &*tensor.facts.name)
        .filter(|name| !view.before().contains_key(name))
        .collect();
    if new.is_empty() {
        return Vec::new();
    }
    for facts in view.history.points().iter().flat_map(|point| &point.tensors) {
        new.remove(&*facts.name);
    }
    let Some(first) = new.first() else { return Vec::new() };
    let mut sign =
        Sign::sure(NEW_TENSOR.entry.severity, format!("{} new tensors, {first} among them", new.len()));
    sign.tensors = new.iter().map(|&name| name.to_owned()).collect();
    vec![sign]
}

/// One sign for all tensors whose `property` differs from the newest whole checkpoint's. The way back
/// after a fault is no second fault.
fn changed(
    view: &View<'_>,
    severity: Severity,
    word: &str,
    property: fn(&TensorFacts) -> String,
) -> Vec<Sign> {
    let differs = |tensor: &&TensorReading| {
        let name = &*tensor.facts.name;
        view.before().get(name).is_some_and(|before| property(before) != property(&tensor.facts))
            && !view.previous_tainted(name)
    };
    let hit: Vec<_> = view.reading.tensors.iter().filter(differs).collect();
    let Some(first) = hit.first() else { return Vec::new() };
    let was = view.before().get(&*first.facts.name).map(|facts| property(facts)).unwrap_or_default();
    let now = property(&first.facts);
    let name = &first.facts.name;
    let more = match hit.len() {
        1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    let mut sign = Sign::sure(severity, format!("{word} of {name} was {was} and is {now}{more}"));
    sign.tensors = hit.iter().map(|tensor| tensor.facts.name.to_string()).collect();
    sign.evidence = hit.iter().map(|tensor| evidence(subject(tensor), word, None, was.clone())).collect();
    if hit.len() < view.reading.tensors.len() {
        sign.dissent.push(format!("{} tensors kept theirs", view.reading.tensors.len() - hit.len()));
    }
    vec![sign]
}
