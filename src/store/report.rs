//! What the store tells about what it holds.

use serde::Serialize;

use crate::terms::{ReadingKey, RunId, Subject};

/// One run in the store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// Readings of all attempts.
    pub readings: u64,
    /// Readings of broken checkpoints among them.
    pub broken: u64,
    /// Attempts that have a reading.
    pub attempts: u32,
    /// The reading that was committed last.
    pub newest: Option<ReadingKey>,
    /// Findings ever opened.
    pub findings: u64,
}

/// Values of one metric of one subject, in the order of attempt and step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// What the values are about.
    pub subject: Subject,
    /// Reading, its time in seconds since 1970, value.
    pub points: Vec<(ReadingKey, f64, f64)>,
}

/// What a full check of the store found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verify {
    /// Readings that were checked.
    pub readings: u64,
    /// Findings that were checked.
    pub findings: u64,
    /// What does not read back, in words.
    pub damage: Vec<Damage>,
}

/// Something that the store once held and cannot give back as it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Damage {
    /// The reading it touches, where that is known.
    pub key: Option<ReadingKey>,
    /// What is damaged or lost, and what was done about it: lowercase, no full stop.
    pub detail: String,
    /// True when nothing is lost: it came back from the second copy.
    pub mended: bool,
}

/// Sizes of the store.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Schema version.
    pub schema: u32,
    /// Readings of all runs.
    pub readings: u64,
    /// Findings of all runs.
    pub findings: u64,
    /// Bytes of all files of the store.
    pub disk_bytes: u64,
}
