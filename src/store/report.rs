//! What the store tells about what it holds.

use std::fmt;

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
    /// Commits of the journal that were checked, bit by bit.
    pub commits: u64,
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
    /// True when nothing is lost: it came back from the second copy, or can by `repair`.
    pub mended: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

/// What a repair came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Repair {
    /// Commits of the journal that were damaged and are whole again, bit by bit.
    pub mended: u64,
    /// Commits whose changes came back from the database.
    pub restored: u64,
    /// What is gone for good; it will not be told again.
    pub lost: Vec<Damage>,
}

/// What compaction and forgetting came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Compacted {
    /// Bytes of all files of the store before.
    pub bytes_before: u64,
    /// Bytes of all files of the store after.
    pub bytes_after: u64,
    /// Readings whose sketches went by the retention that is set.
    pub sketches_thinned: u64,
    /// Readings whose quantiles went by the retention that is set.
    pub quantiles_thinned: u64,
    /// Readings whose spectra went because newer ones of the same matrices took their place.
    pub spectra_thinned: u64,
    /// Readings that lost the samples of a tier by the retention that is set.
    pub samples_thinned: u64,
}

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Backup {
    /// Commits in it.
    pub commits: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// What could not go into it because it is damaged.
    pub damage: Vec<Damage>,
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
    /// Bytes of the journal's files.
    pub journal_bytes: u64,
    /// Bytes of the database's files.
    pub database_bytes: u64,
    /// Bytes of copies that a migration or a repair kept aside.
    pub aside_bytes: u64,
    /// Sizes by run, sorted by name.
    pub runs: Vec<RunStats>,
}

/// Sizes of one run, in bytes as encoded, by kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunStats {
    /// The run.
    pub run: RunId,
    /// Readings.
    pub readings: u64,
    /// Readings that still have sketches.
    pub with_sketches: u64,
    /// Single values of all metrics.
    pub samples: u64,
    /// Samples, in the database; the journal has them once more.
    pub samples_bytes: u64,
    /// Heads: files, problems, hashes; lists of tensors, absences.
    pub facts_bytes: u64,
    /// Trainer logs.
    pub log_bytes: u64,
    /// Findings and judge's state.
    pub findings_bytes: u64,
    /// Sketches, in the journal.
    pub sketches_bytes: u64,
    /// Quantiles, in the journal.
    pub quantiles_bytes: u64,
    /// Spectra, in the journal.
    pub spectra_bytes: u64,
}
