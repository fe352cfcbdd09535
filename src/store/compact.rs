//! Making the store smaller: `compact` and `forget`.

use std::ops::RangeInclusive;
use std::path::Path;

use super::book::Manifest;
use super::care::disk_bytes;
use super::changes::{Change, Changes};
use super::database::{Database, Lookup};
use super::journal::{self, Header, Kind, PARTS, Place};
use super::report::Compacted;
use super::{Error, Store, keys, recover};
use crate::terms::RunId;

/// Kinds of entries that belong to one run, the number of the run first in the key.
const OF_A_RUN: [u8; 8] = [
    keys::HEAD,
    keys::COLUMN,
    keys::ROSTER,
    keys::ABSENCES,
    keys::TAPE,
    keys::FINDING,
    keys::JUDGE,
    keys::ACKNOWLEDGED,
];
const FRESH: &str = "db.compact";
/// A smaller file is left as it is for now, so that the journal does not fall into crumbs.
const REWRITTEN_BYTES_MIN: u64 = 8 << 20;

impl Store {
    /// Takes away what retention does not keep, and gives the room on disk back. Commits wait, readers do not.
    pub fn compact(&self) -> Result<Compacted, Error> {
        let bytes_before = disk_bytes(&self.inner.dir);
        let told = self.thin()?;
        self.compact_journal(Files::All)?;
        self.compact_database()?;
        Ok(Compacted { bytes_before, bytes_after: disk_bytes(&self.inner.dir), ..told })
    }

    /// Forgets a run: readings, findings and all, and gives the room on disk back.
    pub fn forget(&self, run: &RunId) -> Result<Compacted, Error> {
        let bytes_before = disk_bytes(&self.inner.dir);
        self.write(&mut |draft, _| {
            let entries = self.entries(run);
            let Some(number) = self.book().run(run) else { return Err(Error::UnknownRun(run.clone())) };
            let kinds = OF_A_RUN.map(|kind| Change::RemoveAll(keys::of_run(kind, number)));
            draft.changes.0.extend(kinds);
            draft.changes.0.push(Change::Remove(keys::run(run.as_str())));
            for (_, entry) in &entries {
                let forgotten = Manifest::Forgotten(number).to_bytes();
                draft.changes.put(keys::manifest(entry.number), forgotten);
            }
            draft.manifest(Manifest::Forgotten(number));
            Ok(())
        })?;
        self.inner.shelf.forget();
        self.forget_said();
        self.compact_journal(Files::All)?;
        Ok(Compacted { bytes_before, bytes_after: disk_bytes(&self.inner.dir), ..Compacted::default() })
    }

    /// Rewrites each file of the journal without what was superseded, thinned or forgotten. Commits wait for
    /// one file at a time.
    pub(super) fn compact_journal(&self, files: Files) -> Result<(), Error> {
        let journal = &self.inner.journal;
        if files == Files::All || self.open_file_is_mostly_dead() {
            let _writing = self.writing();
            journal.close_file();
        }
        for path in journal.files()? {
            let mut tapes = self.writing();
            let of_file: Vec<Place> =
                journal.places().into_iter().filter(|place| place.file.path == path).collect();
            if journal.is_open(&path) || files == Files::MostlyDead && !self.is_mostly_dead(&of_file) {
                continue;
            }
            // What a rewritten file leaves out must be in the database first.
            self.inner.database.flush()?;
            tapes.clear();
            let records = self.records(&of_file);
            if records.iter().all(Result::is_ok) {
                let mut bytes = records.into_iter().map(|record| self.rewritten(record?));
                self.replace(&path, &mut bytes)?;
            }
        }
        Ok(())
    }

    /// What stays of a file, neighbours that were forgotten as one record.
    fn records(&self, of_file: &[Place]) -> Vec<Result<Record, Error>> {
        let mut gone: Option<RangeInclusive<u64>> = None;
        let mut records: Vec<Result<Record, Error>> = Vec::new();
        for place in of_file {
            match self.live(place) {
                // Damage is `repair`'s; a file that has some is left as it is.
                Err(error) => records.push(Err(error)),
                Ok(Live::Forgotten) => {
                    let numbers = place.found.header.number..=place.found.header.number_last;
                    gone = Some(match gone.take() {
                        Some(range) if range.end() + 1 == *numbers.start() => *range.start()..=*numbers.end(),
                        Some(range) => {
                            records.push(Ok(Record::Forgotten(range)));
                            numbers
                        }
                        None => numbers,
                    });
                }
                Ok(Live::Kept) => {
                    records.extend(gone.take().map(|range| Ok(Record::Forgotten(range))));
                    records.push(Ok(Record::Of(place.clone())));
                }
            }
        }
        records.extend(gone.take().map(|range| Ok(Record::Forgotten(range))));
        records
    }

    /// True where the file that is appended to is worth rewriting already.
    fn open_file_is_mostly_dead(&self) -> bool {
        let mut of_file = self.inner.journal.places();
        of_file.retain(|place| self.inner.journal.is_open(&place.file.path));
        let bytes: u64 = of_file.iter().map(|place| place.found.header.total()).sum();
        bytes >= REWRITTEN_BYTES_MIN && self.is_mostly_dead(&of_file)
    }

    /// True where more than half of a file's bytes are bulk that was taken away.
    fn is_mostly_dead(&self, of_file: &[Place]) -> bool {
        let total: u64 = of_file.iter().map(|place| place.found.header.total()).sum();
        let book = self.book();
        let dead = |place: &Place| {
            let header = place.found.header;
            let entry = book.reading_of(header.number).and_then(|key| book.entry(key));
            let bulk = |kept: bool, part: usize| if kept { 0 } else { header.parts[part].0 };
            bulk(entry.is_some_and(|entry| entry.kept.sketches), journal::SKETCHES)
                + bulk(entry.is_some_and(|entry| entry.kept.quantiles), journal::QUANTILES)
                + bulk(entry.is_some_and(|entry| entry.kept.spectra), journal::SPECTRA)
        };
        2 * of_file.iter().map(dead).sum::<u64>() > total
    }

    fn replace(
        &self,
        path: &Path,
        bytes: &mut dyn Iterator<Item = Result<Vec<u8>, Error>>,
    ) -> Result<(), Error> {
        match self.inner.journal.replace(path, bytes) {
            // Damage inside: the file stays as it is.
            Err(Error::Lost { .. }) => Ok(()),
            other => other,
        }
    }

    fn live(&self, place: &Place) -> Result<Live, Error> {
        let header = place.found.header;
        if header.kind == Kind::Forgotten {
            return Ok(Live::Forgotten);
        }
        if header.kind != Kind::Commit {
            return Ok(Live::Kept);
        }
        let manifest = self.inner.database.get(&keys::manifest(header.number))?;
        let manifest = manifest.map(|bytes| Manifest::from_bytes(header.number, &bytes));
        let own = self.inner.database.get(&keys::manifest(header.number))?.map(|value| value.number);
        match manifest {
            // A commit that forgot others stands for them; only theirs go.
            Some(Ok(Manifest::Forgotten(_))) if own != Some(header.number) => {
                let still = self.live_changes(place)?;
                Ok(if still.puts().next().is_some() { Live::Kept } else { Live::Forgotten })
            }
            _ => Ok(Live::Kept),
        }
    }

    /// The changes of a commit that still stand in the database.
    fn live_changes(&self, place: &Place) -> Result<Changes, Error> {
        let number = place.found.header.number;
        let bytes = place.part(journal::CHANGES)?;
        let changes = Changes::from_bytes(&bytes);
        let mut changes = changes.map_err(|error| Error::lost(format!("commit {number}"), error))?;
        let mut failed = None;
        changes.0.retain(|change| match change {
            Change::Put(key, _) => match self.inner.database.get(key) {
                // Names and lists are in several commits on purpose: all of these stay.
                Ok(value) => value.is_some_and(|value| value.number == number || is_shared(key)),
                Err(error) => {
                    failed = Some(error);
                    true
                }
            },
            // What it removed is not in the files before it any more, but may be in a copy of one.
            Change::Remove(_) | Change::RemoveAll(_) => true,
        });
        failed.map_or(Ok(changes), Err)
    }

    fn rewritten(&self, record: Record) -> Result<Vec<u8>, Error> {
        let place = match record {
            Record::Forgotten(numbers) => {
                let parts = [&[][..]; PARTS];
                return Ok(journal::encode(&Header::new(Kind::Forgotten, numbers, &parts), &parts));
            }
            Record::Of(place) => place,
        };
        let old = place.found.header;
        let decoded = place.read()?;
        let number = old.number;
        let damaged = || Error::lost(format!("commit {number}"), "its bytes changed on disk");
        let mut parts = decoded.parts.into_iter().map(|part| part.ok_or_else(damaged));
        let mut parts: Vec<Vec<u8>> = parts.by_ref().collect::<Result<_, _>>()?;
        if old.kind == Kind::Commit {
            parts[journal::CHANGES] = self.live_changes(&place)?.to_bytes();
            let book = self.book();
            let entry = book.reading_of(number).and_then(|key| book.entry(key));
            if !entry.is_some_and(|entry| entry.kept.sketches) {
                parts[journal::SKETCHES].clear();
            }
            if !entry.is_some_and(|entry| entry.kept.quantiles) {
                parts[journal::QUANTILES].clear();
            }
            if !entry.is_some_and(|entry| entry.kept.spectra) {
                parts[journal::SPECTRA].clear();
            }
        }
        let parts = std::array::from_fn(|part| parts[part].as_slice());
        let header = Header::new(old.kind, old.number..=old.number_last, &parts);
        Ok(journal::encode(&header, &parts))
    }

    /// Copies the database into a fresh one: sled gives room back slowly, and in parts only.
    fn compact_database(&self) -> Result<(), Error> {
        let _writing = self.writing();
        let fresh = self.inner.dir.join(FRESH);
        let io = |error: std::io::Error| Error::io(&fresh, "replace the database by", &error);
        if fresh.exists() {
            std::fs::remove_dir_all(&fresh).map_err(io)?;
        }
        {
            let copy = Database::open(&fresh, self.inner.settings.cache_bytes)?;
            recover::copy(&self.inner.database, &copy)?;
        }
        // Written in one go, sled's pages may come out larger than those that grew commit by commit.
        if disk_bytes(&fresh) >= disk_bytes(self.inner.database.dir()) {
            return std::fs::remove_dir_all(&fresh).map_err(io);
        }
        self.inner.database.reopen(|dir| {
            // Killed between the two, the store has no database, and makes it from the journal.
            std::fs::remove_dir_all(dir).map_err(io)?;
            std::fs::rename(&fresh, dir).map_err(io)
        })
    }
}

fn is_shared(key: &[u8]) -> bool {
    let kinds = [keys::RUN, keys::METRIC, keys::ROSTER, keys::ABSENCES];
    key.first().is_some_and(|kind| kinds.contains(kind))
}

/// Which files of the journal are rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// All of them.
    All,
    /// Those that are closed, and more than half of them taken away by retention.
    MostlyDead,
}

/// What becomes of a record.
enum Live {
    Kept,
    Forgotten,
}

enum Record {
    Of(Place),
    Forgotten(RangeInclusive<u64>),
}
