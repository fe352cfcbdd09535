//! Makes a commit: one reading, the findings it changed and the judge's state, as changes to the database.

use std::collections::{BTreeMap, HashMap};

use xxhash_rust::xxh3::xxh3_64;

use super::Error;
use super::book::{Book, Entry, Kept, Manifest};
use super::changes::Changes;
use super::codec::{self, Absences, Column, Head, Roster, Writer};
use super::database::{Database, Lookup};
use super::keys::{self, Place};
use super::tape::Tapes;
use crate::terms::{Attempt, Finding, MetricName, Reading, RunId};

/// Most findings of one commit: the low bits of a finding's order of opening.
const FINDINGS_BITS: u32 = 20;

/// Every so many commits, names and lists that other commits rest on are written once more: some 12 kB.
const SHARED_EVERY: u64 = 32;

/// A commit in the making.
#[derive(Debug)]
pub struct Draft<'a> {
    book: &'a Book,
    database: &'a Database,
    /// Number of the commit.
    pub number: u64,
    /// What it does.
    pub changes: Changes,
    /// Sketches of the reading, as bytes.
    pub sketches: Vec<u8>,
    /// Quantiles of the reading, as bytes.
    pub quantiles: Vec<u8>,
    /// Spectra of the reading, as bytes.
    pub spectra: Vec<u8>,
    runs: HashMap<RunId, u32>,
    metrics: HashMap<MetricName, u32>,
    metrics_next: u32,
}

impl<'a> Draft<'a> {
    /// Begins the commit of that number.
    pub fn new(book: &'a Book, database: &'a Database, number: u64) -> Self {
        Self {
            book,
            database,
            number,
            changes: Changes::default(),
            sketches: Vec::new(),
            quantiles: Vec::new(),
            spectra: Vec::new(),
            runs: HashMap::new(),
            metrics: HashMap::new(),
            metrics_next: book.metric_numbers().max().map_or(1, |number| number + 1),
        }
    }

    /// The run's number; a new run gets one.
    pub fn run(&mut self, run: &RunId) -> u32 {
        if let Some(number) = self.runs.get(run) {
            return *number;
        }
        let known = self.book.run(run);
        if let Some(number) = known.filter(|_| !self.puts_shared_again()) {
            return number;
        }
        let number = known.unwrap_or_else(|| self.book.next_run() + self.runs.len() as u32);
        self.runs.insert(run.clone(), number);
        self.changes.put(keys::run(run.as_str()), small(number));
        number
    }

    /// What many readings rest on is written again now and then, so that no single lost commit costs them.
    fn puts_shared_again(&self) -> bool {
        self.number.is_multiple_of(SHARED_EVERY)
    }

    fn metric(&mut self, name: MetricName) -> u32 {
        let known = self.book.metric(name).or_else(|| self.metrics.get(name).copied());
        if let Some(number) = known.filter(|_| !self.puts_shared_again()) {
            return number;
        }
        let number = known.unwrap_or(self.metrics_next);
        self.metrics_next = self.metrics_next.max(number + 1);
        self.metrics.insert(name, number);
        self.changes.put(keys::metric(name), small(number));
        number
    }

    /// Adds a reading.
    pub fn reading(&mut self, reading: &Reading, tapes: &mut Tapes) -> Result<(), Error> {
        let run = self.run(&reading.key.run);
        let place = Place { run, attempt: reading.key.attempt, step: reading.key.step };
        let roster = codec::write_roster(&Roster::of(reading));
        let roster = self.shared(keys::ROSTER, run, roster)?;
        let absences = self.shared(keys::ABSENCES, run, codec::write_absences(&absences(reading)))?;
        let columns = columns(reading);
        let subjects = reading.tensors.len() + reading.subjects.len();
        let metrics = columns.keys().copied().collect();
        for (name, column) in columns {
            let metric = self.metric(name);
            self.changes.put(keys::column(metric, place), codec::write_column(&column, subjects));
        }
        let log = tapes.place(run, &reading.trainer.log, self.database, &mut self.changes)?;
        let head = Head::of(reading, log, roster, absences, metrics);
        if head.sketches {
            let sketches = reading.tensors.iter().map(|tensor| tensor.sketch.as_ref());
            self.sketches = codec::write_sketches(sketches);
        }
        if head.quantiles {
            let quantiles = reading.tensors.iter().map(|tensor| tensor.quantiles.as_slice());
            self.quantiles = codec::write_lists(quantiles);
        }
        if head.spectra {
            let spectra = reading.tensors.iter().map(|tensor| tensor.spectrum.as_slice());
            self.spectra = codec::write_lists(spectra);
        }
        self.changes.put(keys::of_reading(keys::HEAD, place), codec::write_head(&head));
        self.manifest(Manifest::Reading(Entry {
            number: self.number,
            place,
            timestamp_seconds: reading.checkpoint.timestamp_seconds,
            broken: !reading.problems.is_empty(),
            roster,
            kept: Kept {
                sketches: head.sketches,
                quantiles: head.quantiles,
                spectra: head.spectra,
                tiers: [true; 3],
            },
        }));
        Ok(())
    }

    /// Adds what the commit is; its last act but the findings.
    pub fn manifest(&mut self, manifest: Manifest) {
        self.changes.put(keys::manifest(self.number), manifest.to_bytes());
    }

    /// Adds new versions of findings, and the judge's state.
    pub fn findings(&mut self, run: &RunId, attempt: Attempt, findings: &[Finding], judge_state: &[u8]) {
        for (index, finding) in findings.iter().enumerate() {
            let run = self.run(&finding.run);
            let order = self.book.finding(run, &finding.id.0);
            let order = order.unwrap_or(self.number << FINDINGS_BITS | index as u64);
            let mut value = Writer::default();
            value.u64(order);
            value.0.extend(codec::write_finding(finding));
            self.changes.put(keys::finding(run, &finding.id.0), value.0);
        }
        let run = self.run(run);
        self.changes.put(keys::judge(run, attempt), judge_state.to_vec());
    }

    /// Puts a value under the hash of its bytes, where it is not there yet.
    fn shared(&mut self, kind: u8, run: u32, value: Vec<u8>) -> Result<u64, Error> {
        let hash = xxh3_64(&value);
        let key = keys::shared(kind, run, hash);
        if self.puts_shared_again() || self.database.get(&key)?.is_none() {
            self.changes.put(key, value);
        }
        Ok(hash)
    }
}

fn small(number: u32) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.varint(u64::from(number));
    writer.0
}

fn columns(reading: &Reading) -> BTreeMap<MetricName, Column> {
    let tensors = reading.tensors.iter().map(|tensor| &tensor.samples);
    let others = reading.subjects.iter().map(|subject| &subject.samples);
    let mut columns: BTreeMap<MetricName, Column> = BTreeMap::new();
    for (place, samples) in tensors.chain(others).enumerate() {
        for (&metric, &value) in samples {
            columns.entry(metric).or_default().values.push((place as u32, value));
        }
    }
    columns
}

fn absences(reading: &Reading) -> Absences {
    let tensors = reading.tensors.iter().map(|tensor| &tensor.absent);
    let others = reading.subjects.iter().map(|subject| &subject.absent);
    let mut absences = Absences::new();
    for (place, absent) in tensors.chain(others).enumerate() {
        for (&metric, reason) in absent {
            absences.entry((metric, reason.into())).or_default().push(place as u32);
        }
    }
    absences
}
