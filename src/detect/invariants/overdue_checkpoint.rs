//! No checkpoint for long. [`crate::detect::overdue()`] opens it; a reading can only end it.

use crate::detect::entry::{Entry, Parameter, Proof, Rule};
use crate::terms::Severity;

/// The entry; it sees nothing in a reading.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "overdue_checkpoint",
        severity: Severity::Warning,
        proof: Proof::Invariant,
        summary: "no new checkpoint for much longer than usual",
        what: "The time since the newest checkpoint exceeds `intervals` times the median interval between the \
               run's last 20 checkpoints, and `seconds_min`. Needs at least 3 checkpoints; a run whose trainer \
               has reached its last planned step is finished, not overdue. Only the daemon can tell: replay has \
               no clock.",
        cause: "The job was stopped, preempted or hangs (a stuck collective, a dead data loader); the disk is \
                full; checkpoints go to another place now.",
        remedy: "Look at the job and its log; free disk space; point weighbridge at the new directory.",
        evidence: "modification times of the checkpoints",
        parameters: &[
            Parameter {
                name: "intervals",
                default: 3.0,
                min: 1.5,
                max: 1000.0,
                doc: "times the usual interval without a checkpoint",
            },
            Parameter {
                name: "seconds_min",
                default: 600.0,
                min: 0.0,
                max: 31_536_000.0,
                doc: "never before this many seconds without a checkpoint",
            },
        ],
        enabled: true,
        since: "0.1.0",
    },
    look: |_, _| Vec::new(),
};
