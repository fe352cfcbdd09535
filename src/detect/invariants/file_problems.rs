//! Faults of the files, as the rooms below reported them: one detector a kind.

use std::collections::BTreeSet;

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::View;
use crate::terms::{Problem, ProblemKind, Severity, Subject};

/// A file cannot be opened or read.
pub static UNREADABLE: Rule = Rule {
    entry: Entry {
        id: "unreadable_file",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "a file of the checkpoint cannot be read",
        what: "Opening or reading a file of the checkpoint failed: the operating system's message is in the \
               finding.",
        cause: "Missing permission, a failing disk or network file system, or a file that went away.",
        remedy: "Give weighbridge read permission; check the disk; save the checkpoint again.",
        evidence: "the system's error, with file and byte offset",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: |view, _| of_kind(view, &UNREADABLE.entry, &[ProblemKind::Unreadable]),
};

/// A file is shorter or longer than its header says.
pub static TRUNCATED: Rule = Rule {
    entry: Entry {
        id: "truncated_file",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "a file is shorter or longer than its own header says",
        what: "The lengths in the header and the size of the file differ, after the checkpoint was complete by \
               its layout's own sign.",
        cause: "The disk filled up or the job was killed while it was saving; a copy or upload broke off.",
        remedy: "Do not resume from this checkpoint; free disk space and save again, or copy the file again.",
        evidence: "header lengths against file size",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: |view, _| of_kind(view, &TRUNCATED.entry, &[ProblemKind::Truncated]),
};

/// A header, index or state file does not parse.
pub static MALFORMED: Rule = Rule {
    entry: Entry {
        id: "malformed_file",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "a header, index or state file does not parse or contradicts itself",
        what: "A file does not follow its format, or breaks a limit that no honest trainer breaks. Weights \
               files are critical, files beside them a warning.",
        cause: "A partial write, a wrong file under the right name, or a file made by hand.",
        remedy: "Do not resume from this checkpoint; save it again.",
        evidence: "the parser's message, with file and byte offset",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: |view, _| of_kind(view, &MALFORMED.entry, &[ProblemKind::Malformed, ProblemKind::Hostile]),
};

/// A file that the index names is not there.
pub static MISSING: Rule = Rule {
    entry: Entry {
        id: "missing_file",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "a file or tensor that the index names is not there",
        what: "The checkpoint's index names a shard or tensor that does not exist, after the checkpoint was \
               complete by its layout's own sign.",
        cause: "A rank failed to save its shard; an upload skipped a file; a clean-up took too much.",
        remedy: "Do not resume from this checkpoint; save again and check that every rank reaches the save.",
        evidence: "the index against the directory",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: |view, _| of_kind(view, &MISSING.entry, &[ProblemKind::Missing]),
};

/// The program itself failed on a checkpoint.
pub static BUG: Rule = Rule {
    entry: Entry {
        id: "weighing_failed",
        severity: Severity::Warning,
        proof: Proof::Log,
        summary: "weighbridge itself failed on this checkpoint",
        what: "A panic was caught while the checkpoint was weighed. It says nothing about the run.",
        cause: "A fault in weighbridge.",
        remedy: "Report it with the message; `weighbridge inspect` on the checkpoint shows whether it repeats.",
        evidence: "the caught panic",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: |view, _| of_kind(view, &BUG.entry, &[ProblemKind::Bug]),
};

/// True for faults that cost weights, false for those of files beside them.
pub(super) fn costs_weights(problem: &Problem) -> bool {
    let name = problem.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    !name.ends_with(".json") || name.ends_with(".index.json")
}

fn of_kind(view: &View<'_>, entry: &Entry, kinds: &[ProblemKind]) -> Vec<Sign> {
    let problems: Vec<&Problem> =
        view.reading.problems.iter().filter(|problem| kinds.contains(&problem.kind)).collect();
    let tensors = touched(view, &problems);
    // One file that is gone is one fact, however many tensors it held.
    let mut told = BTreeSet::new();
    let problems: Vec<&Problem> =
        problems.into_iter().filter(|problem| told.insert(problem.to_string())).collect();
    let Some(first) = problems.first() else { return Vec::new() };
    let grave = problems.iter().any(|problem| costs_weights(problem));
    let severity = if grave { entry.severity } else { Severity::Warning };
    let more = match problems.len() {
        1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    let mut sign = Sign::sure(severity, format!("{first}{more}"));
    sign.tensors = tensors;
    sign.evidence = problems
        .iter()
        .map(|problem| {
            evidence(Subject::Model, "file", problem.offset.map(|at| at as f64), problem.to_string())
        })
        .collect();
    sign.remedy = Some(first.remedy.clone()).filter(|remedy| !remedy.is_empty());
    vec![sign]
}

/// Tensors that the problems name, else those that the newest whole checkpoint had and this one lost.
fn touched(view: &View<'_>, problems: &[&Problem]) -> Vec<String> {
    let named: BTreeSet<&str> = problems.iter().filter_map(|problem| problem.tensor.as_deref()).collect();
    if !named.is_empty() {
        return named.into_iter().map(str::to_owned).collect();
    }
    if view.reading.tensors.is_empty() || !problems.iter().any(|problem| costs_weights(problem)) {
        return Vec::new();
    }
    let lost: BTreeSet<&str> =
        view.before().keys().copied().filter(|name| view.tensor(name).is_none()).collect();
    lost.into_iter().map(str::to_owned).collect()
}

/// Does one problem of the reading cost weights? Then missing tensors are explained.
pub(super) fn weights_are_broken(view: &View<'_>, _: &Parameters<'_>) -> bool {
    view.reading.problems.iter().any(costs_weights)
}
