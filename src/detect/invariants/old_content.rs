//! Contents that come back from an older checkpoint.

use std::collections::BTreeMap;

use crate::detect::entry::{Entry, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, is_matrix, subject};
use crate::terms::{Severity, Subject, TensorReading};

/// The whole checkpoint is an older one.
pub static ROLLBACK: Rule = Rule {
    entry: Entry {
        id: "rollback",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "the checkpoint holds the weights of an older step",
        what: "Every matrix that has moved since equals, bit for bit, its content at one older checkpoint of the \
               same attempt. A planned restart from an older step is a new attempt and no fault.",
        cause: "The wrong directory was loaded or copied; a cache or sync tool put an old file back.",
        remedy: "Find out which process wrote the file; resume from the newest checkpoint that is really new.",
        evidence: "content hashes against every checkpoint in memory",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: |view, _| old_content(view, true),
};

/// Part of the checkpoint is an older one.
pub static STALE_SHARD: Rule = Rule {
    entry: Entry {
        id: "stale_shard",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "part of the checkpoint holds the weights of an older step",
        what: "Some matrices equal, bit for bit, their content at an older checkpoint and not at the newest one, \
               while the others are new: a checkpoint of mixed steps.",
        cause: "One shard of a sharded checkpoint was not rewritten (a failed rank, a skipped upload) and an \
                old file of the same name was kept.",
        remedy: "Do not resume from this checkpoint; save again and check that every rank writes its shard.",
        evidence: "content hashes against every checkpoint in memory",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: |view, _| old_content(view, false),
};

/// Tensors that equal an older checkpoint and differ from the newest, by that checkpoint's step.
fn by_older_step<'a>(view: &View<'a>) -> BTreeMap<u64, Vec<&'a TensorReading>> {
    let mut found: BTreeMap<u64, Vec<&TensorReading>> = BTreeMap::new();
    let Some(newest) = view.newest_whole() else { return found };
    let tensors = &view.reading.tensors;
    let mut open: Vec<bool> = tensors
        .iter()
        .map(|tensor| {
            let before = view.before().get(&*tensor.facts.name);
            is_matrix(&tensor.facts)
                && before.is_some_and(|facts| facts.content_hash != tensor.facts.content_hash)
        })
        .collect();
    for point in view.history.points()[..newest].iter().rev() {
        for (index, facts) in point.tensors.iter().enumerate() {
            // Checkpoints list their tensors in the same order nearly always.
            let same = tensors.get(index).is_some_and(|tensor| tensor.facts.name == facts.name);
            let index = if same { Some(index) } else { view.position(&facts.name) };
            let Some(index) = index.filter(|&index| open[index]) else { continue };
            if tensors[index].facts.content_hash == facts.content_hash {
                open[index] = false;
                found.entry(point.key.step.0).or_default().push(&tensors[index]);
            }
        }
    }
    found
}

fn old_content(view: &View<'_>, whole: bool) -> Vec<Sign> {
    let found = by_older_step(view);
    let Some((&step, old)) = found.iter().max_by_key(|(_, tensors)| tensors.len()) else {
        return Vec::new();
    };
    let moved = |tensor: &&TensorReading| {
        let before = view.before().get(&*tensor.facts.name);
        is_matrix(&tensor.facts)
            && before.is_some_and(|facts| facts.content_hash != tensor.facts.content_hash)
    };
    // The way back from a fault in the checkpoint before is no second fault.
    if old.iter().all(|tensor| view.previous_tainted(&tensor.facts.name)) {
        return Vec::new();
    }
    let others = view.reading.tensors.iter().filter(moved).count() - old.len();
    if whole != (others == 0) {
        return Vec::new();
    }
    if whole {
        let summary =
            format!("the checkpoint of step {} holds the weights of step {step}", view.schedule.step);
        let mut sign = Sign::sure(ROLLBACK.entry.severity, summary);
        let expected = format!("new content; all {} moved matrices equal those of step {step}", old.len());
        sign.evidence = vec![evidence(Subject::Model, "content_hash", None, expected)];
        return vec![sign];
    }
    let summary = format!(
        "{} matrices, {} among them, hold the weights of step {step}; {others} others are new",
        old.len(),
        old[0].facts.name
    );
    let mut sign = Sign::sure(STALE_SHARD.entry.severity, summary);
    sign.tensors = old.iter().map(|tensor| tensor.facts.name.to_string()).collect();
    sign.evidence = old
        .iter()
        .map(|tensor| evidence(subject(tensor), "content_hash", None, format!("other than at step {step}")))
        .collect();
    sign.dissent.push(format!("{others} matrices have new content"));
    vec![sign]
}
