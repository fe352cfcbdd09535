//! Findings told to people and their machines without Prometheus in between.
//!
//! A notice is one step in the life of one finding: opened, raised, told again after a silence, resolved. What
//! is silenced or acknowledged is not told. What each target must
//! still get follows from the stored findings and from what the store says the target has taken
//! ([`courier`]), so `kill -9` loses nothing; a notice may arrive twice, under the same id, by which the
//! receiver drops the repeat. A [`Notifier`] only writes the request; the courier carries it, retries
//! with growing pauses and keeps to the rate that was set.

mod alertmanager;
mod carrier;
mod command;
mod courier;
mod slack;
mod target;
mod webhook;

pub use alertmanager::Alertmanager;
pub use carrier::{Carrier, Failure, Line};
pub use command::Command;
pub use courier::{Courier, Ledger};
pub use slack::Slack;
pub use target::{Needs, Secret, Target, TargetError};
pub use webhook::Webhook;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::terms::{Finding, Severity};

/// A step in a finding's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new to the target.
    Opened,
    /// It grew graver than it was when the target last heard of it.
    Raised {
        /// How grave it was then.
        from: Severity,
    },
    /// The target heard of it before, and must be told again lest it thinks it over.
    Standing,
    /// It stands and calls nobody for now: only a receiver that would go on calling by itself hears of it.
    Quieted,
    /// It was quiet, still stands, and calls again.
    Again {
        /// Names the quiet time that is over.
        after: u64,
    },
    /// It is over.
    Resolved,
}

impl Change {
    /// The word in messages and ids.
    pub const fn name(self) -> &'static str {
        match self {
            Change::Opened => "opened",
            Change::Raised { .. } => "raised",
            Change::Standing => "standing",
            Change::Quieted => "quieted",
            Change::Again { .. } => "again",
            Change::Resolved => "resolved",
        }
    }
}

/// What a target is told.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// The finding as it is now.
    pub finding: &'a Finding,
    /// What happened to it.
    pub change: Change,
    /// Address of the page, where one is set: `https://host/`.
    pub page: Option<&'a str>,
    /// Labels that the operator puts on everything.
    pub labels: &'a BTreeMap<String, String>,
}

impl Notice<'_> {
    /// Names this notice for good: a receiver that has seen it drops the repeat.
    pub fn id(&self) -> String {
        match self.change {
            Change::Raised { .. } => format!("{}/raised/{}", self.finding.id, self.finding.severity),
            Change::Again { after } => format!("{}/again/{after:016x}", self.finding.id),
            change => format!("{}/{}", self.finding.id, change.name()),
        }
    }

    /// `critical: run gpt2, step 4000: …` in one line.
    pub fn headline(&self) -> String {
        let finding = self.finding;
        let state = match self.change {
            Change::Resolved => "resolved",
            _ => finding.severity.name(),
        };
        format!("{state}: run {}, step {}: {}", finding.run, finding.step, finding.summary)
    }

    /// Tensors for a message: the first few, and how many more there are.
    pub fn tensors(&self) -> String {
        let names = &self.finding.tensors;
        let mut text = names.iter().take(TENSORS_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        if names.len() > TENSORS_MAX {
            text += &format!(" and {} more", names.len() - TENSORS_MAX);
        }
        text
    }
}

/// Tensors named in a message: enough to see which layers, short enough for a chat.
const TENSORS_MAX: usize = 8;

/// What is to be carried to a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// An HTTP POST to the target's address.
    Post {
        /// Added to the target's address.
        path: &'static str,
        /// Headers beside the token.
        headers: Vec<(&'static str, String)>,
        /// As the headers say.
        body: Vec<u8>,
    },
    /// Bytes at the end of a file below the target's directory.
    Append {
        /// File, relative to the directory.
        file: PathBuf,
        /// What the file begins with where it is new.
        head: Vec<u8>,
        /// What is appended.
        bytes: Vec<u8>,
    },
    /// The target's own command.
    Run {
        /// Environment beside our own.
        environment: Vec<(&'static str, String)>,
        /// Standard input.
        input: String,
    },
}

/// A POST of JSON.
fn post_json(path: &'static str, headers: Vec<(&'static str, String)>, body: &serde_json::Value) -> Delivery {
    let kind = ("content-type", "application/json".to_owned());
    Delivery::Post { path, headers: [vec![kind], headers].concat(), body: body.to_string().into_bytes() }
}

/// Writes notices in the form that one kind of receiver takes.
pub trait Notifier: Sync {
    /// The delivery that tells all of these, at `now_seconds` since 1970. `notices` is neither empty nor
    /// longer than [`Notifier::batch_max`].
    fn write(&self, notices: &[Notice<'_>], now_seconds: f64) -> Delivery;

    /// Notices that fit one delivery.
    fn batch_max(&self) -> usize {
        1
    }

    /// True where the receiver forgets what it is not told again and again.
    fn forgets(&self) -> bool {
        false
    }

    /// How the target is reached.
    fn needs(&self) -> Needs {
        Needs::Url
    }
}

#[cfg(test)]
pub(super) mod testing {
    use crate::terms::{Attempt, Evidence, Finding, FindingId, RunId, Severity, Step, Subject};

    /// A finding with every field filled.
    pub fn finding(id: &str, severity: Severity) -> Finding {
        Finding {
            id: FindingId(id.into()),
            run: RunId::new("team/gpt2"),
            attempt: Attempt(0),
            step: Step(4000),
            severity,
            detector: "not_a_number".into(),
            tensors: (0..10).map(|layer| format!("h.{layer}.attn.c_attn.weight")).collect(),
            summary: "10 tensors hold NaN since step 4000 <&>".into(),
            cause: "an update overflowed".into(),
            remedy: "resume from the last good checkpoint".into(),
            evidence: vec![Evidence {
                subject: Subject::Tensor("h.0.attn.c_attn.weight".into()),
                metric: "nan_elements".into(),
                value: Some(3.0),
                expected: "0".into(),
            }],
            dissent: vec![],
            confidence: 1.0,
            opened_at: 1_700_000_000.0,
            resolved_step: None,
            last_good_step: Some(Step(3000)),
        }
    }
}
