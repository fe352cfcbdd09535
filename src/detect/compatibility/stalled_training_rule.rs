//! Debugger's StalledTrainingRule. [`crate::detect::overdue()`] opens it; a reading can only end it.

use crate::detect::entry::{Entry, Parameter, Proof, Rule};
use crate::terms::Severity;

/// The entry; it sees nothing in a reading.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "stalled_training_rule",
        severity: Severity::Warning,
        proof: Proof::Compatibility,
        summary: "as StalledTrainingRule of SageMaker Debugger: no new checkpoint for a fixed time",
        what: "The newest checkpoint is older than `threshold` seconds, whatever the usual interval is. A run whose trainer has reached its last planned step is finished, not stalled. Nothing is stopped. Only the daemon can tell: replay has no clock.",
        cause: "The job was stopped, preempted or hangs; or checkpoints are rarer than the threshold.",
        remedy: "Look at the job and its log; `overdue_checkpoint` knows the run's own rhythm.",
        evidence: "modification time of the newest checkpoint",
        parameters: &[Parameter {
            name: "threshold",
            default: 1800.0,
            min: 0.0,
            max: 31_536_000.0,
            doc: "seconds without a checkpoint",
        }],
        enabled: false,
        since: "0.1.0",
    },
    look: |_, _| Vec::new(),
};
