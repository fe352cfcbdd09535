//! The store as the other rooms see it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::book::{self, Book, Entry, Manifest};
use super::database::Database;
use super::draft::Draft;
use super::lock::Lock;
use super::read::{self, Parts, Shelf, Wanted};
use super::tape::Tapes;
use super::{Damage, Error, RunSummary, Series, Settings, Stats, Verify};
use super::{codec, keys, tape};
use crate::terms::{
    Attempt, Catalog, CheckpointFacts, Finding, FindingId, History, LogPoint, Memory, Reading, ReadingKey,
    RunId, Sketches, Subject,
};

/// Version of the keys and values that this program writes.
pub const SCHEMA: u32 = 1;

/// An open store. Cheap to clone; all clones are the same store. The last one to go closes it.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    settings: Settings,
    database: Database,
    book: RwLock<Book>,
    shelf: Shelf,
    /// Held through a commit, so that there is one at a time; readers never wait for it.
    writing: Mutex<Tapes>,
    /// Last, so that it is let go after the database is closed.
    lock: Lock,
}

impl Store {
    /// Opens the store in `dir`, and makes it where there is none.
    pub fn open(dir: &Path, catalog: &Catalog, settings: &Settings) -> Result<Store, Error> {
        std::fs::create_dir_all(dir).map_err(|error| Error::io(dir, "create", &error))?;
        let lock = Lock::take(dir)?;
        for def in catalog.iter() {
            // A catalogue beyond the limit only means that its names are kept twice.
            let _ = codec::intern(def.name);
        }
        let database = Database::open(&dir.join("db"), settings.cache_bytes)?;
        check_schema(dir, &database)?;
        let mut book = Book::default();
        for kind in book::KINDS {
            database.scan(&[kind], |key, value| book.take(key, value))?;
        }
        let inner = Inner {
            dir: dir.to_owned(),
            settings: settings.clone(),
            database,
            book: RwLock::new(book),
            shelf: Shelf::default(),
            writing: Mutex::default(),
            lock,
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// Writes the address at which the holder can be asked beside the lock, for [`Error::Held`].
    pub fn announce(&self, address: &str) -> Result<(), Error> {
        self.inner.lock.announce(Some(address))
    }

    fn book(&self) -> RwLockReadGuard<'_, Book> {
        self.inner.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, Tapes> {
        self.inner.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a reading, the findings it changed and the judge's state in one piece; on disk when it returns.
    pub fn commit(&self, reading: &Reading, findings: &[Finding], judge_state: &[u8]) -> Result<(), Error> {
        let mut tapes = self.writing();
        let book = self.book();
        if book.entry(&reading.key).is_some() {
            return Err(Error::Exists(reading.key.clone()));
        }
        self.make_sure_of_room()?;
        let mut draft = Draft::new(&book, &self.inner.database);
        draft.reading(reading, &mut tapes)?;
        draft.findings(&reading.key.run, reading.key.attempt, findings, judge_state);
        let changes = draft.changes;
        drop(book);
        self.apply(changes, &mut tapes)
    }

    /// Keeps findings that came without a reading, and the judge's state.
    pub fn record_findings(
        &self,
        run: &RunId,
        attempt: Attempt,
        findings: &[Finding],
        judge_state: &[u8],
    ) -> Result<(), Error> {
        let mut tapes = self.writing();
        self.make_sure_of_room()?;
        let book = self.book();
        let mut draft = Draft::new(&book, &self.inner.database);
        draft.manifest(Manifest::Findings);
        draft.findings(run, attempt, findings, judge_state);
        let changes = draft.changes;
        drop(book);
        self.apply(changes, &mut tapes)
    }

    pub(super) fn database(&self) -> &Database {
        &self.inner.database
    }

    /// Writes what belongs to no reading.
    pub(super) fn put(&self, changes: super::changes::Changes) -> Result<(), Error> {
        self.apply(changes, &mut self.writing())
    }

    fn apply(&self, changes: super::changes::Changes, tapes: &mut Tapes) -> Result<(), Error> {
        if let Err(error) = self.inner.database.apply(&changes) {
            tapes.clear();
            return Err(error);
        }
        let mut book = self.inner.book.write().unwrap_or_else(PoisonError::into_inner);
        for kind in book::KINDS {
            let of_kind = changes.puts.iter().filter(|(key, _)| key.first() == Some(&kind));
            for (key, value) in of_kind {
                book.take(key, value)?;
            }
        }
        Ok(())
    }

    /// Every run that has a reading or a finding, by name.
    pub fn runs(&self) -> Vec<RunSummary> {
        self.book().summaries()
    }

    /// Every reading of the run, by attempt and step.
    pub fn keys(&self, run: &RunId) -> Vec<ReadingKey> {
        self.book().of_run(run).map(|(key, _)| key.clone()).collect()
    }

    /// True when a reading of that name is stored.
    pub fn contains(&self, key: &ReadingKey) -> bool {
        self.book().entry(key).is_some()
    }

    fn read(
        &self,
        key: &ReadingKey,
        entry: Entry,
        parts: Parts,
        tape: Option<(u32, &[LogPoint])>,
    ) -> Result<Reading, Error> {
        let metric = |name: &str| self.book().metric(name);
        let wanted =
            Wanted { database: &self.inner.database, key, place: entry.place, metric: &metric, tape };
        self.inner.shelf.reading(&wanted, parts)
    }

    /// The reading as it was committed.
    pub fn reading(&self, key: &ReadingKey) -> Result<Option<Reading>, Error> {
        let entry = self.book().entry(key);
        entry.map(|entry| self.read(key, entry, Parts::All, None)).transpose()
    }

    /// The reading of the run with the highest attempt and step.
    pub fn latest(&self, run: &RunId) -> Result<Option<Reading>, Error> {
        let newest = self.book().of_run(run).next_back().map(|(key, _)| key.clone());
        newest.map_or(Ok(None), |key| self.reading(&key))
    }

    fn entries(&self, run: &RunId) -> Vec<(ReadingKey, Entry)> {
        self.book().of_run(run).map(|(key, entry)| (key.clone(), *entry)).collect()
    }

    /// Of every reading of the run, by attempt and step: what it was made from, and its trainer log.
    pub fn checkpoint_facts(
        &self,
        run: &RunId,
    ) -> Result<Vec<(ReadingKey, CheckpointFacts, Vec<LogPoint>)>, Error> {
        let mut tapes: BTreeMap<u32, Vec<LogPoint>> = BTreeMap::new();
        let mut facts = Vec::new();
        for (key, entry) in self.entries(run) {
            let head = self.inner.shelf.head(&self.inner.database, &key, entry.place)?;
            let lines = match tapes.entry(head.log.tape) {
                std::collections::btree_map::Entry::Occupied(lines) => lines.into_mut(),
                std::collections::btree_map::Entry::Vacant(slot) => {
                    slot.insert(tape::lines(entry.place.run, head.log.tape, &self.inner.database)?)
                }
            };
            facts.push((key, head.checkpoint, read::cut(lines, head.log)?));
        }
        Ok(facts)
    }

    /// The attempt's past as the judge had it: readings in the order in which they were committed.
    pub fn history(&self, run: &RunId, attempt: Attempt, points_max: usize) -> Result<History, Error> {
        let mut entries = self.entries(run);
        entries.retain(|(key, _)| key.attempt == attempt);
        entries.sort_by_key(|(_, entry)| entry.number);
        let mut history = History::new(points_max);
        let newest = entries.split_off(entries.len().saturating_sub(points_max));
        for (key, entry) in newest {
            history.push(&self.read(&key, entry, Parts::Small, None)?);
        }
        Ok(history)
    }

    /// Findings of one run or of all, newest version of each, in the order in which they were opened.
    pub fn findings(&self, run: Option<&RunId>) -> Result<Vec<Finding>, Error> {
        let prefix = match run {
            None => vec![keys::FINDING],
            Some(run) => match self.book().run(run) {
                Some(number) => keys::of_run(keys::FINDING, number),
                None => return Ok(Vec::new()),
            },
        };
        let mut findings = Vec::new();
        self.inner.database.scan(&prefix, |key, value| {
            findings.push(read::finding(key, value)?);
            Ok(())
        })?;
        findings.sort_by_key(|(order, _)| *order);
        Ok(findings.into_iter().map(|(_, finding)| finding).collect())
    }

    /// One finding by its name.
    pub fn finding(&self, run: &RunId, id: &FindingId) -> Result<Option<Finding>, Error> {
        let Some(number) = self.book().run(run) else { return Ok(None) };
        let key = keys::finding(number, &id.0);
        let value = self.inner.database.get(&key)?;
        Ok(value.map(|value| read::finding(&key, &value)).transpose()?.map(|(_, finding)| finding))
    }

    /// The judge's state of the attempt, as it was last committed.
    pub fn judge_state(&self, run: &RunId, attempt: Attempt) -> Result<Option<Vec<u8>>, Error> {
        let Some(number) = self.book().run(run) else { return Ok(None) };
        Ok(self.inner.database.get(&keys::judge(number, attempt))?.map(|value| value.to_vec()))
    }

    /// One metric of the run over all readings, for the subjects that `wanted` picks, in the order of subjects.
    pub fn series(
        &self,
        run: &RunId,
        metric: &str,
        wanted: &dyn Fn(&Subject) -> bool,
    ) -> Result<Vec<Series>, Error> {
        let book = self.book();
        let (Some(run_number), Some(metric)) = (book.run(run), book.metric(metric)) else {
            return Ok(Vec::new());
        };
        drop(book);
        let mut columns: BTreeMap<Vec<u8>, sled::IVec> = BTreeMap::new();
        self.inner.database.scan(&keys::column_prefix(run_number, metric), |key, value| {
            columns.insert(key[9..].to_vec(), value.into());
            Ok(())
        })?;
        let mut series: BTreeMap<Subject, Series> = BTreeMap::new();
        for (key, entry) in self.entries(run) {
            let Some(column) = columns.get(&keys::column(metric, entry.place)[9..]) else { continue };
            let roster = self.inner.shelf.roster(&self.inner.database, run_number, entry.roster)?;
            let column = codec::read_column(column, roster.len());
            let column = column.map_err(|error| Error::damaged(key.to_string(), error))?;
            for (place, value) in column.values {
                let Some(subject) = roster.subject(place).filter(|subject| wanted(subject)) else { continue };
                let slot =
                    series.entry(subject.clone()).or_insert_with(|| Series { subject, points: Vec::new() });
                slot.points.push((key.clone(), entry.timestamp_seconds, value));
            }
        }
        Ok(series.into_values().collect())
    }

    /// The sketches, for judge and measure.
    pub fn memory(&self) -> Arc<dyn Memory> {
        Arc::new(self.clone())
    }

    /// Reads everything that is stored and says what does not read back.
    pub fn verify(&self) -> Result<Verify, Error> {
        let entries: Vec<_> = self.book().readings().map(|(key, entry)| (key.clone(), *entry)).collect();
        let mut verify = Verify::default();
        for (key, entry) in entries {
            verify.readings += 1;
            if let Err(error) = self.read(&key, entry, Parts::All, None) {
                verify.damage.push(Damage { key: Some(key), detail: error.to_string(), mended: false });
            }
        }
        self.inner.database.scan(&[keys::FINDING], |key, value| {
            verify.findings += 1;
            if let Err(error) = read::finding(key, value) {
                verify.damage.push(Damage { key: None, detail: error.to_string(), mended: false });
            }
            Ok(())
        })?;
        Ok(verify)
    }

    /// Sizes.
    pub fn stats(&self) -> Result<Stats, Error> {
        let book = self.book();
        Ok(Stats {
            schema: SCHEMA,
            readings: book.readings().count() as u64,
            findings: book.findings(),
            disk_bytes: disk_bytes(&self.inner.dir),
        })
    }

    /// What was found damaged when the store was opened, and what came back.
    pub fn damage(&self) -> Vec<Damage> {
        Vec::new()
    }

    /// Why nothing new can be stored just now, if so.
    pub fn trouble(&self) -> Option<String> {
        self.make_sure_of_room().err().map(|error| error.to_string())
    }

    fn make_sure_of_room(&self) -> Result<(), Error> {
        let dir = &self.inner.dir;
        let system = rustix::fs::statvfs(dir).map_err(|error| Error::io(dir, "look at", &error.into()))?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let needed = self.inner.settings.free_bytes_min;
        if free < needed { Err(Error::NearlyFull { dir: dir.clone(), free, needed }) } else { Ok(()) }
    }
}

fn check_schema(dir: &Path, database: &Database) -> Result<(), Error> {
    let key = keys::meta("schema");
    let Some(value) = database.get(&key)? else {
        let mut changes = super::changes::Changes::default();
        changes.put(key, SCHEMA.to_be_bytes().to_vec());
        return database.apply(&changes);
    };
    let found = keys::u32_at(&value, 0).ok_or_else(|| Error::damaged("schema version", "is not a number"))?;
    if found > SCHEMA {
        return Err(Error::Newer { dir: dir.to_owned(), found, known: SCHEMA });
    }
    Ok(())
}

fn disk_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => disk_bytes(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

impl Memory for Store {
    fn sketches(&self, key: &ReadingKey) -> Option<Arc<Sketches>> {
        let entry = self.book().entry(key)?;
        let metric = |name: &str| self.book().metric(name);
        let wanted =
            Wanted { database: &self.inner.database, key, place: entry.place, metric: &metric, tape: None };
        self.inner.shelf.sketches(&wanted).ok().flatten().map(Arc::new)
    }
}
