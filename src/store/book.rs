//! What is known of the store without asking the database: which readings, runs, metrics and findings
//! there are. Some hundred bytes a reading; made at opening from the small entries and kept up by commits.

use std::collections::{BTreeMap, HashMap};

use super::codec::{Malformed, Reader, Writer};
use super::keys::{self, Place};
use super::{Error, RunSummary};
use crate::terms::{Attempt, ReadingKey, RunId, Step};

/// What one commit was: stored under its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manifest {
    /// A reading.
    Reading {
        /// Where.
        place: Place,
        /// Checkpoint time, seconds since 1970.
        timestamp_seconds: f64,
        /// True when the files had problems.
        broken: bool,
        /// Hash of its roster.
        roster: u64,
    },
    /// Findings without a reading.
    Findings,
}

const FORM: u8 = 1;

impl Manifest {
    pub fn to_bytes(self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(FORM);
        match self {
            Manifest::Reading { place, timestamp_seconds, broken, roster } => {
                writer.u8(0);
                writer.varint(u64::from(place.run));
                writer.varint(u64::from(place.attempt.0));
                writer.varint(place.step.0);
                writer.f64(timestamp_seconds);
                writer.u8(u8::from(broken));
                writer.u64(roster);
            }
            Manifest::Findings => writer.u8(1),
        }
        writer.0
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        reader.form(FORM)?;
        let manifest = match reader.u8()? {
            0 => Manifest::Reading {
                place: Place {
                    run: reader.u32()?,
                    attempt: Attempt(reader.u32()?),
                    step: Step(reader.varint()?),
                },
                timestamp_seconds: reader.f64()?,
                broken: reader.flag()?,
                roster: reader.u64()?,
            },
            1 => Manifest::Findings,
            _ => return Err(Malformed("commit of an unknown kind")),
        };
        reader.end()?;
        Ok(manifest)
    }
}

/// One reading as the book knows it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Number of the commit.
    pub number: u64,
    /// Where.
    pub place: Place,
    /// Checkpoint time, seconds since 1970.
    pub timestamp_seconds: f64,
    /// True when the files had problems.
    pub broken: bool,
    /// Hash of its roster.
    pub roster: u64,
}

/// The index in memory.
#[derive(Debug, Default)]
pub struct Book {
    runs: BTreeMap<RunId, u32>,
    names: HashMap<u32, RunId>,
    metrics: HashMap<String, u32>,
    readings: BTreeMap<ReadingKey, Entry>,
    /// Order of opening by run number and id.
    findings: HashMap<(u32, String), u64>,
    /// Number of the newest commit; 0 before the first.
    head: u64,
    /// Manifests of runs that no entry names: shown by verify.
    orphans: Vec<u64>,
}

/// Kinds of entries that the book is made of, in the order in which they must be taken.
pub const KINDS: [u8; 4] = [keys::RUN, keys::METRIC, keys::MANIFEST, keys::FINDING];

impl Book {
    /// Takes one entry of the database; others than [`KINDS`] are passed over.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let bad = |error: Malformed| Error::damaged("index entry", error);
        let Some((&kind, rest)) = key.split_first() else { return Ok(()) };
        match kind {
            keys::RUN | keys::METRIC => {
                let name = std::str::from_utf8(rest).map_err(|error| Error::damaged("name", error))?;
                let number = Reader(value).u32().map_err(bad)?;
                if kind == keys::RUN {
                    self.runs.insert(RunId::new(name), number);
                    self.names.insert(number, RunId::new(name));
                } else {
                    self.metrics.insert(name.to_owned(), number);
                }
            }
            keys::MANIFEST => {
                let number = keys::u64_at(key, 1).ok_or(bad(Malformed("short key")))?;
                self.take_manifest(number, Manifest::from_bytes(value).map_err(bad)?);
            }
            keys::FINDING => {
                let run = keys::u32_at(key, 1).ok_or(bad(Malformed("short key")))?;
                let id = String::from_utf8_lossy(&key[5..]).into_owned();
                let order = Reader(value).u64().map_err(bad)?;
                self.findings.insert((run, id), order);
            }
            _ => {}
        }
        Ok(())
    }

    fn take_manifest(&mut self, number: u64, manifest: Manifest) {
        self.head = self.head.max(number);
        if let Manifest::Reading { place, timestamp_seconds, broken, roster } = manifest {
            match self.key(place) {
                Some(key) => {
                    let entry = Entry { number, place, timestamp_seconds, broken, roster };
                    self.readings.insert(key, entry);
                }
                None => self.orphans.push(number),
            }
        }
    }

    fn key(&self, place: Place) -> Option<ReadingKey> {
        let run = self.names.get(&place.run)?.clone();
        Some(ReadingKey { run, attempt: place.attempt, step: place.step })
    }

    /// Number of the newest commit.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The run's number.
    pub fn run(&self, run: &RunId) -> Option<u32> {
        self.runs.get(run).copied()
    }

    /// A number that no run has yet.
    pub fn next_run(&self) -> u32 {
        self.names.keys().max().map_or(1, |number| number + 1)
    }

    /// The metric's number.
    pub fn metric(&self, name: &str) -> Option<u32> {
        self.metrics.get(name).copied()
    }

    /// Numbers of all metrics.
    pub fn metric_numbers(&self) -> impl Iterator<Item = u32> {
        self.metrics.values().copied()
    }

    /// The reading of that name.
    pub fn entry(&self, key: &ReadingKey) -> Option<Entry> {
        self.readings.get(key).copied()
    }

    /// Readings of a run, by attempt and step.
    pub fn of_run<'a>(
        &'a self,
        run: &'a RunId,
    ) -> impl DoubleEndedIterator<Item = (&'a ReadingKey, &'a Entry)> {
        let from = ReadingKey { run: run.clone(), attempt: Attempt(0), step: Step(0) };
        let to = ReadingKey { run: run.clone(), attempt: Attempt(u32::MAX), step: Step(u64::MAX) };
        self.readings.range(from..=to)
    }

    /// All readings.
    pub fn readings(&self) -> impl Iterator<Item = (&ReadingKey, &Entry)> {
        self.readings.iter()
    }

    /// Order of opening of a finding.
    pub fn finding(&self, run: u32, id: &str) -> Option<u64> {
        self.findings.get(&(run, id.to_owned())).copied()
    }

    /// Number of findings.
    pub fn findings(&self) -> u64 {
        self.findings.len() as u64
    }

    /// Runs by name.
    pub fn summaries(&self) -> Vec<RunSummary> {
        let summary = |(run, &number): (&RunId, &u32)| {
            let entries: Vec<_> = self.of_run(run).collect();
            let attempts: std::collections::BTreeSet<_> =
                entries.iter().map(|(key, _)| key.attempt).collect();
            RunSummary {
                run: run.clone(),
                readings: entries.len() as u64,
                broken: entries.iter().filter(|(_, entry)| entry.broken).count() as u64,
                attempts: attempts.len() as u32,
                newest: entries.iter().max_by_key(|(_, entry)| entry.number).map(|(key, _)| (*key).clone()),
                findings: self.findings.keys().filter(|(run, _)| *run == number).count() as u64,
            }
        };
        self.runs.iter().map(summary).collect()
    }
}
