//! What the judge remembers between checkpoints, beside the history.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::terms::{Attempt, Evidence, Finding, FindingId, RunId, Severity, Step, Subject};

/// Version of the bytes. A new field with `#[serde(default)]` needs no new version; a changed meaning does.
const VERSION: u32 = 1;

/// Why a state could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not our bytes, or damaged.
    #[error("detector state is damaged: {0}; findings that were open start anew")]
    Damaged(String),
    /// Written by a newer program.
    #[error("detector state has version {found}, this program knows up to {VERSION}; use the newer program")]
    Version {
        /// Version found.
        found: u32,
    },
}

/// Memory of the judge for one attempt of one run. `Default` is a fresh one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Attempt it is about; none before the first reading.
    pub(super) attempt: Option<u32>,
    /// Findings that are open.
    pub(super) open: Vec<Case>,
    /// Cases that were resolved, newest last: their aftermath is not a second fault.
    pub(super) closed: Vec<Case>,
    /// Newest step with nothing at or above warning open.
    pub(super) last_good_step: Option<u64>,
    /// Readings judged so far in this attempt.
    pub(super) readings: u64,
    /// Steps at which a tensor's values were not to be trusted: left out of baselines. `*` stands for all.
    pub(super) tainted: BTreeMap<String, Vec<u64>>,
}

/// One finding in the state: all of it, and its life so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Case {
    pub id: String,
    pub run: String,
    pub attempt: u32,
    pub detector: String,
    pub step: u64,
    pub severity: u8,
    pub tensors: Vec<String>,
    /// How many of them, from the first on, were named before the newest reading.
    #[serde(default)]
    pub named_before: usize,
    pub summary: String,
    pub cause: String,
    pub remedy: String,
    pub evidence: Vec<Exhibit>,
    pub dissent: Vec<String>,
    pub confidence: f64,
    pub opened_at: f64,
    pub resolved_step: Option<u64>,
    pub last_good_step: Option<u64>,
    /// Readings since the opening.
    pub age: u32,
    /// Readings in a row without a sign.
    pub quiet: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Exhibit {
    pub subject: Place,
    pub metric: String,
    pub value: Option<f64>,
    pub expected: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Place {
    Tensor(String),
    Head(u32, u32),
    Layer(u32),
    Model,
}

impl State {
    /// Bytes for the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        // Strings, numbers and maps with string keys only: this cannot fail.
        serde_json::to_writer(&mut bytes, self).unwrap_or_default();
        bytes
    }

    /// Reads what [`State::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (head, body) =
            bytes.split_first_chunk::<4>().ok_or_else(|| Error::Damaged("too short".to_owned()))?;
        let found = u32::from_le_bytes(*head);
        if found > VERSION {
            return Err(Error::Version { found });
        }
        serde_json::from_slice(body).map_err(|error| Error::Damaged(error.to_string()))
    }

    /// Findings that are open, in order of opening.
    pub fn open(&self) -> Vec<Finding> {
        self.open.iter().map(Case::finding).collect()
    }
}

impl Case {
    pub fn severity(&self) -> Severity {
        match self.severity {
            0 => Severity::Info,
            1 => Severity::Warning,
            _ => Severity::Critical,
        }
    }

    pub fn finding(&self) -> Finding {
        Finding {
            id: FindingId(self.id.clone()),
            run: RunId::new(&self.run),
            attempt: Attempt(self.attempt),
            step: Step(self.step),
            severity: self.severity(),
            detector: self.detector.clone(),
            tensors: self.tensors.clone(),
            summary: self.summary.clone(),
            cause: self.cause.clone(),
            remedy: self.remedy.clone(),
            evidence: self.evidence.iter().map(Exhibit::evidence).collect(),
            dissent: self.dissent.clone(),
            confidence: self.confidence,
            opened_at: self.opened_at,
            resolved_step: self.resolved_step.map(Step),
            last_good_step: self.last_good_step.map(Step),
        }
    }
}

impl Exhibit {
    pub fn new(evidence: &Evidence) -> Self {
        let subject = match &evidence.subject {
            Subject::Tensor(name) => Place::Tensor(name.to_string()),
            Subject::Head { layer, head } => Place::Head(*layer, *head),
            Subject::Layer(layer) => Place::Layer(*layer),
            Subject::Model => Place::Model,
        };
        Self {
            subject,
            metric: evidence.metric.clone(),
            value: evidence.value.filter(|value| value.is_finite()),
            expected: evidence.expected.clone(),
        }
    }

    fn evidence(&self) -> Evidence {
        let subject = match &self.subject {
            Place::Tensor(name) => Subject::Tensor(name.as_str().into()),
            Place::Head(layer, head) => Subject::Head { layer: *layer, head: *head },
            Place::Layer(layer) => Subject::Layer(*layer),
            Place::Model => Subject::Model,
        };
        Evidence { subject, metric: self.metric.clone(), value: self.value, expected: self.expected.clone() }
    }
}
