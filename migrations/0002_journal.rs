//! From schema 1 to 2: a journal beside the database.
//!
//! The first schema kept everything in the database, values without a check. The second writes each commit to
//! a journal as well, moves sketches and quantiles there, and gives each value a check and the number of
//! its commit. Entries of kinds that neither knows are carried over as they are.

use std::collections::HashSet;
use std::path::Path;

use super::Migration;
use super::names::{DATABASE, JOURNAL};
use crate::store::book::{Entry, Kept, Manifest};
use crate::store::changes::Changes;
use crate::store::codec::{self, Reader};
use crate::store::database::Database;
use crate::store::journal::{Journal, Kind};
use crate::store::{Error, Settings, keys};

/// The step.
pub const MIGRATION: Migration =
    Migration { from: 1, to: 2, summary: "each commit also in a journal, each value with a check", run };

/// Bytes of values that go into one commit where they belong to no reading.
const COMMIT_BYTES: usize = 4 << 20;

fn run(old: &Path, new: &Path, settings: &Settings) -> Result<(), Error> {
    let source = Database::open(&old.join(DATABASE), settings.cache_bytes)?;
    let target = Database::open(&new.join(DATABASE), settings.cache_bytes)?;
    let (journal, _) = Journal::open(&new.join(JOURNAL))?;
    let mut carry = Carry { source, target, journal, done: HashSet::new() };
    let mut manifests = Vec::new();
    let mut metrics = std::collections::HashMap::new();
    carry.source.scan_raw(|key, value| {
        match key.first() {
            Some(&keys::MANIFEST) => {
                manifests.extend(keys::u64_at(key, 1).map(|number| (number, value.to_vec())))
            }
            Some(&keys::METRIC) => {
                let number =
                    Reader(value).u32().map_err(|error| Error::damaged("number of a metric", error))?;
                metrics.insert(key[1..].to_vec(), number);
            }
            _ => {}
        }
        Ok(())
    })?;
    for (number, value) in &manifests {
        let manifest = Manifest::from_bytes(*number, value);
        match manifest.map_err(|error| Error::damaged(format!("commit {number}"), error))? {
            Manifest::Reading(entry) => {
                let columns = |name: &str| metrics.get(name.as_bytes()).copied();
                carry.reading(entry, &columns)?;
            }
            other => carry.commit(*number, other, Changes::default(), [&[], &[]])?,
        }
        carry.done.insert(keys::manifest(*number));
    }
    carry.done.insert(keys::meta("schema"));
    carry.rest(manifests.last().map_or(1, |(number, _)| number + 1))?;
    carry.target.flush()
}

struct Carry {
    source: Database,
    target: Database,
    journal: Journal,
    /// Keys that are in the new store.
    done: HashSet<Vec<u8>>,
}

impl Carry {
    fn commit(
        &self,
        number: u64,
        manifest: Manifest,
        mut changes: Changes,
        bulk: [&[u8]; 2],
    ) -> Result<(), Error> {
        changes.put(keys::manifest(number), manifest.to_bytes());
        self.journal.append(Kind::Commit, number..=number, &[&changes.to_bytes(), bulk[0], bulk[1], &[]])?;
        self.target.stage_all(number, &changes)
    }

    fn take(&mut self, key: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        let value = self.source.get_raw(&key)?;
        self.done.insert(key);
        Ok(value)
    }

    fn reading(&mut self, entry: Entry, metric: &dyn Fn(&str) -> Option<u32>) -> Result<(), Error> {
        let mut changes = Changes::default();
        let head_key = keys::of_reading(keys::HEAD, entry.place);
        if let Some(head) = self.take(head_key.clone())? {
            let read = codec::read_head(&head);
            let read = read.map_err(|error| Error::damaged(format!("commit {}", entry.number), error))?;
            changes.put(head_key, head);
            for number in read.metrics.iter().filter_map(|name| metric(name)) {
                let key = keys::column(number, entry.place);
                if let Some(column) = self.take(key.clone())? {
                    changes.put(key, column);
                }
            }
        }
        let sketches = self.take(keys::of_reading(keys::SKETCHES, entry.place))?;
        let quantiles = self.take(keys::of_reading(keys::QUANTILES, entry.place))?;
        let kept = Kept {
            sketches: sketches.is_some(),
            quantiles: quantiles.is_some(),
            spectra: false,
            tiers: [true; 3],
        };
        let bulk = [sketches.as_deref().unwrap_or_default(), quantiles.as_deref().unwrap_or_default()];
        self.commit(entry.number, Manifest::Reading(Entry { kept, ..entry }), changes, bulk)
    }

    /// Everything else: names, lists of tensors, logs, findings, and what is not known.
    fn rest(&mut self, first: u64) -> Result<(), Error> {
        let mut number = first;
        let mut bytes = 0;
        let mut changes = Changes::default();
        let (source, done) = (&self.source, &self.done);
        source.scan_raw(|key, value| {
            if done.contains(key) {
                return Ok(());
            }
            bytes += key.len() + value.len();
            changes.put(key.to_vec(), value.to_vec());
            if bytes >= COMMIT_BYTES {
                self.commit(number, Manifest::Other, std::mem::take(&mut changes), [&[], &[]])?;
                (number, bytes) = (number + 1, 0);
            }
            Ok(())
        })?;
        if changes.0.is_empty() { Ok(()) } else { self.commit(number, Manifest::Other, changes, [&[], &[]]) }
    }
}
