//! What is known of the store without asking the database: which readings, runs, metrics and findings
//! there are. Some hundred bytes a reading; made at opening from the small entries and kept up by commits.

use std::collections::{BTreeMap, HashMap};

use super::changes::{Change, Changes};
use super::codec::{Malformed, Reader, Writer};
use super::keys::{self, Place};
use super::{Error, RunSummary};
use crate::terms::{Attempt, ReadingKey, RunId, Step};

/// One reading as the book knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// What is still there of it.
    pub kept: Kept,
}

/// Parts of a reading that retention may take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Sketches were there, and still are.
    pub sketches: bool,
    /// Quantiles were there, and still are.
    pub quantiles: bool,
    /// Spectra were there, and one of them is still the newest of its matrix.
    pub spectra: bool,
    /// Samples of each tier were not taken away.
    pub tiers: [bool; 3],
}

impl Kept {
    fn to_bits(self) -> u8 {
        let [one, two, three] = self.tiers;
        let flags = [self.sketches, self.quantiles, one, two, three, self.spectra];
        flags.into_iter().enumerate().map(|(bit, flag)| u8::from(flag) << bit).sum()
    }

    fn from_bits(bits: u8) -> Self {
        let flag = |bit: u8| bits >> bit & 1 == 1;
        let tiers = [flag(2), flag(3), flag(4)];
        Self { sketches: flag(0), quantiles: flag(1), spectra: flag(5), tiers }
    }
}

/// What one commit was: stored under its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manifest {
    /// A reading.
    Reading(Entry),
    /// Anything else: findings without a reading, marks, thinning.
    Other,
    /// Readings of a run that was forgotten; its number is not given again.
    Forgotten(u32),
}

/// The first form had no [`Kept`]: nothing was ever taken away, and there were no spectra.
const FORMS: [u8; 2] = [1, 2];
const ALL_BUT_SPECTRA: u8 = 0b1_1111;

impl Manifest {
    /// As bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(FORMS[1]);
        match self {
            Manifest::Reading(entry) => {
                writer.u8(0);
                writer.varint(u64::from(entry.place.run));
                writer.varint(u64::from(entry.place.attempt.0));
                writer.varint(entry.place.step.0);
                writer.f64(entry.timestamp_seconds);
                writer.u8(u8::from(entry.broken));
                writer.u64(entry.roster);
                writer.u8(entry.kept.to_bits());
            }
            Manifest::Other => writer.u8(1),
            Manifest::Forgotten(run) => {
                writer.u8(2);
                writer.varint(u64::from(run));
            }
        }
        writer.0
    }

    /// From bytes.
    pub fn from_bytes(number: u64, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let form = reader.u8()?;
        if !FORMS.contains(&form) {
            return Err(Malformed("written in a form that is not known"));
        }
        let manifest = match reader.u8()? {
            0 => Manifest::Reading(Entry {
                number,
                place: Place {
                    run: reader.u32()?,
                    attempt: Attempt(reader.u32()?),
                    step: Step(reader.varint()?),
                },
                timestamp_seconds: reader.f64()?,
                broken: reader.flag()?,
                roster: reader.u64()?,
                kept: Kept::from_bits(if form == FORMS[0] { ALL_BUT_SPECTRA } else { reader.u8()? }),
            }),
            1 => Manifest::Other,
            2 => Manifest::Forgotten(reader.u32()?),
            _ => return Err(Malformed("commit of an unknown kind")),
        };
        reader.end()?;
        Ok(manifest)
    }
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
    /// Every commit that is known, and its reading.
    commits: BTreeMap<u64, Option<ReadingKey>>,
    /// Commits that hold a reading of a run whose name is lost.
    nameless: Vec<u64>,
    /// Highest run number that was ever given.
    run_last: u32,
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
                    self.run_last = self.run_last.max(number);
                } else {
                    self.metrics.insert(name.to_owned(), number);
                }
            }
            keys::MANIFEST => {
                let number = keys::u64_at(key, 1).ok_or(bad(Malformed("short key")))?;
                self.take_manifest(number, Manifest::from_bytes(number, value).map_err(bad)?);
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

    /// Takes what a commit did.
    pub fn absorb(&mut self, changes: &Changes) -> Result<(), Error> {
        for change in &changes.0 {
            if let Change::RemoveAll(prefix) = change
                && prefix.first() == Some(&keys::HEAD)
                && let Some(run) = keys::u32_at(prefix, 1)
            {
                self.forget(run);
            }
        }
        for kind in KINDS {
            let of_kind = changes.puts().filter(|(key, _)| key.first() == Some(&kind));
            of_kind.into_iter().try_for_each(|(key, value)| self.take(key, value))?;
        }
        Ok(())
    }

    fn take_manifest(&mut self, number: u64, manifest: Manifest) {
        self.head = self.head.max(number);
        let old = self.commits.insert(number, None).flatten();
        match manifest {
            Manifest::Reading(entry) => {
                if let Some(key) = self.key(entry.place) {
                    self.readings.insert(key.clone(), entry);
                    self.commits.insert(number, Some(key));
                } else {
                    self.nameless.push(number);
                }
            }
            Manifest::Other => {}
            Manifest::Forgotten(run) => {
                self.run_last = self.run_last.max(run);
                old.and_then(|key| self.readings.remove(&key));
            }
        }
    }

    /// Takes a whole run out, as its removal from the database does.
    fn forget(&mut self, run: u32) {
        if let Some(name) = self.names.remove(&run) {
            self.runs.remove(&name);
        }
        self.findings.retain(|(of, _), _| *of != run);
        self.readings.retain(|_, entry| entry.place.run != run);
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

    /// A number that no run ever had.
    pub fn next_run(&self) -> u32 {
        self.run_last + 1
    }

    /// True when the commit of that number is known.
    pub fn knows(&self, number: u64) -> bool {
        self.commits.contains_key(&number)
    }

    /// Commits that hold a reading of a run whose name is lost.
    pub fn nameless(&self) -> &[u64] {
        &self.nameless
    }

    /// The reading of a commit.
    pub fn reading_of(&self, number: u64) -> Option<&ReadingKey> {
        self.commits.get(&number)?.as_ref()
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
