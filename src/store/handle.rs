//! The store as the other rooms see it: opening and writing. `query` reads, `care` checks and mends.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::book::{Book, Manifest};
use super::care::disk_bytes;
use super::changes::Changes;
use super::database::Database;
use super::draft::Draft;
use super::journal::{Journal, Kind, PARTS};
use super::lock::Lock;
use super::read::Shelf;
use super::recover::{self, mended};
use super::standby::Standby;
use super::tape::Tapes;
use super::{Damage, Error, Settings, codec, migrate, schema};
use crate::terms::{Attempt, Catalog, Finding, Reading, RunId, Said, Tier};

/// Times that a database is made again while the store is open; more would only hide a dying disk.
const HEALS_MAX: u32 = 3;
/// Room that sled needs to open a database: a segment for its log, and its snapshot.
const OPENING_BYTES: u64 = 4 << 20;

/// An open store. Cheap to clone; all clones are the same store. The last one to go closes it.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) dir: PathBuf,
    pub(super) settings: Settings,
    pub(super) tiers: HashMap<&'static str, Tier>,
    pub(super) database: Database,
    pub(super) journal: Journal,
    pub(super) shelf: Shelf,
    book: RwLock<Book>,
    /// Held through a commit, so that there is one at a time; readers never wait for it.
    writing: Mutex<Tapes>,
    damage: Mutex<Vec<Damage>>,
    /// Why the database is behind the journal or closed, if it is.
    failing: Mutex<Option<Error>>,
    heals: AtomicU32,
    /// What people said about findings, once it was asked for.
    pub(super) said: Mutex<Option<Arc<Said>>>,
    /// Bytes that the last commit needed, where there was no room for them; else 0.
    refused_bytes: AtomicU64,
    /// Number of the newest commit when it was last looked at what may go.
    pub(super) tended: AtomicU64,
    /// Last, so that it is let go after the database is closed.
    lock: Lock,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store in `dir`, and makes it where there is none. A store of an older schema is brought to
    /// this one, and kept as it was beside it. Whatever became of its files, it opens with all that can be
    /// had; [`Store::damage`] tells what could not.
    pub fn open(dir: &Path, catalog: &Catalog, settings: &Settings) -> Result<Store, Error> {
        std::fs::create_dir_all(dir).map_err(|error| Error::io(dir, "create", &error))?;
        let lock = Lock::take(dir)?;
        migrate::bring_to_this_version(dir, settings)?;
        for def in catalog.iter() {
            // A catalogue beyond the limit only means that its names are kept twice.
            let _ = codec::intern(def.name);
        }
        let opened = recover::open(dir, settings)?;
        let tended = AtomicU64::new(opened.book.head());
        let inner = Inner {
            dir: dir.to_owned(),
            settings: settings.clone(),
            tiers: catalog.iter().map(|def| (def.name, def.tier)).collect(),
            database: opened.database,
            journal: opened.journal,
            shelf: Shelf::default(),
            book: RwLock::new(opened.book),
            writing: Mutex::default(),
            damage: Mutex::new(opened.damage),
            failing: Mutex::new(opened.failing),
            heals: AtomicU32::new(0),
            said: Mutex::default(),
            refused_bytes: AtomicU64::new(0),
            tended,
            lock,
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// Writes the address at which the holder can be asked beside the lock, for [`Error::Held`].
    pub fn announce(&self, address: &str) -> Result<(), Error> {
        self.inner.lock.announce(Some(address))
    }

    pub(super) fn book(&self) -> RwLockReadGuard<'_, Book> {
        self.inner.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn book_mut(&self) -> RwLockWriteGuard<'_, Book> {
        self.inner.book.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn writing(&self) -> MutexGuard<'_, Tapes> {
        locked(&self.inner.writing)
    }

    /// Keeps a reading, the findings it changed and the judge's state in one piece; on disk when it returns.
    pub fn commit(&self, reading: &Reading, findings: &[Finding], judge_state: &[u8]) -> Result<(), Error> {
        self.write(&mut |draft, tapes| {
            if self.book().entry(&reading.key).is_some() {
                return Err(Error::Exists(reading.key.clone()));
            }
            draft.reading(reading, tapes)?;
            draft.findings(&reading.key.run, reading.key.attempt, findings, judge_state);
            Ok(())
        })
    }

    /// Keeps findings that came without a reading, and the judge's state.
    pub fn record_findings(
        &self,
        run: &RunId,
        attempt: Attempt,
        findings: &[Finding],
        judge_state: &[u8],
    ) -> Result<(), Error> {
        self.write(&mut |draft, _| {
            draft.manifest(Manifest::Other);
            draft.findings(run, attempt, findings, judge_state);
            Ok(())
        })
    }

    /// Writes what belongs to no reading.
    pub(super) fn put(&self, changes: &Changes) -> Result<(), Error> {
        self.write(&mut |draft, _| {
            draft.manifest(Manifest::Other);
            draft.changes.0.extend(changes.0.iter().cloned());
            Ok(())
        })
    }

    /// Writes down that something was taken away. That makes room, so it may use the room that stays free
    /// otherwise.
    pub(super) fn put_thinning(&self, changes: &Changes) -> Result<(), Error> {
        self.write_beside(0, &mut |draft, _| {
            draft.manifest(Manifest::Other);
            draft.changes.0.extend(changes.0.iter().cloned());
            Ok(())
        })
    }

    /// One commit: filled, written to the journal, done in the database, taken into the book. From the second
    /// step on it is done; a database that fails then is brought up to it later.
    pub(super) fn write(
        &self,
        fill: &mut dyn FnMut(&mut Draft<'_>, &mut Tapes) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.write_beside(self.inner.settings.free_bytes_min, fill)
    }

    /// As [`Store::write`], with so many bytes that must stay free on the file system.
    fn write_beside(
        &self,
        free_min: u64,
        fill: &mut dyn FnMut(&mut Draft<'_>, &mut Tapes) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut tapes = self.writing();
        self.make_sure_of_room(free_min)?;
        self.take_up(&mut tapes)?;
        let filled = match self.fill(fill, &mut tapes) {
            Err(error) if is_of_database(&error) => {
                self.heal(&mut tapes, error)?;
                self.fill(fill, &mut tapes)
            }
            other => other,
        };
        let written = filled.and_then(|filled| self.write_down(filled, free_min));
        if written.is_err() {
            tapes.clear();
        }
        written
    }

    fn fill(
        &self,
        fill: &mut dyn FnMut(&mut Draft<'_>, &mut Tapes) -> Result<(), Error>,
        tapes: &mut Tapes,
    ) -> Result<Filled, Error> {
        let book = self.book();
        let number = book.head().max(self.inner.journal.head()) + 1;
        let mut draft = Draft::new(&book, &self.inner.database, number);
        fill(&mut draft, tapes)?;
        let Draft { changes, sketches, quantiles, spectra, .. } = draft;
        Ok(Filled { number, changes, bulk: [sketches, quantiles, spectra] })
    }

    fn write_down(&self, filled: Filled, free_min: u64) -> Result<(), Error> {
        let Filled { number, changes, bulk: [sketches, quantiles, spectra] } = filled;
        let bytes = changes.to_bytes();
        // Twice, because the changes go to the database as well, and that may rewrite what lies around them.
        let needed = 2 * (bytes.len() + sketches.len() + quantiles.len() + spectra.len()) as u64;
        self.inner.refused_bytes.store(needed, Ordering::Relaxed);
        self.make_sure_of_room(free_min.saturating_add(needed))?;
        let parts: [&[u8]; PARTS] = [&bytes, &sketches, &quantiles, &spectra];
        self.inner.journal.append(Kind::Commit, number..=number, &parts)?;
        self.inner.refused_bytes.store(0, Ordering::Relaxed);
        if let Err(error) = self.inner.database.apply(number, &changes) {
            *locked(&self.inner.failing) = Some(error);
        }
        self.book_mut().absorb(&changes)
    }

    /// Heals what failed at the last commit.
    fn take_up(&self, tapes: &mut Tapes) -> Result<(), Error> {
        let cause = locked(&self.inner.failing).take();
        cause.map_or(Ok(()), |cause| self.heal(tapes, cause))
    }

    /// Brings the database up again: as it is where only room was short, else made again from the journal and
    /// what still reads of it. Meanwhile, and for as long as that fails, reads are answered from the journal.
    fn heal(&self, tapes: &mut Tapes, cause: Error) -> Result<(), Error> {
        tapes.clear();
        let inner = &self.inner;
        inner.database.stand_by(|| Standby::of(&inner.journal));
        let anew = !matches!(cause, Error::DatabaseFull { .. });
        *locked(&inner.failing) = Some(cause);
        let size = if anew { disk_bytes(inner.database.dir()) } else { 0 };
        self.make_sure_of_room(size + OPENING_BYTES)?;
        if anew && inner.heals.fetch_add(1, Ordering::Relaxed) >= HEALS_MAX {
            return Err(Error::Database {
                dir: inner.dir.clone(),
                detail: "it failed again and again; see the disk, then restart".to_owned(),
            });
        }
        inner.database.close();
        let mut damage = Vec::new();
        let opened = recover::open_database(&inner.dir, &inner.journal, &inner.settings, anew, &mut damage);
        locked(&inner.damage).extend(damage);
        let (database, book) = opened?;
        *self.book_mut() = book;
        inner.database.adopt(database);
        *locked(&inner.failing) = None;
        Ok(())
    }

    /// Reads; where the database turns out to be damaged, makes it again and reads once more. Where it cannot
    /// be made again now, reads from the journal.
    pub(super) fn read_through<T>(&self, read: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        match read() {
            Err(error) if is_of_database(&error) => {
                let line = format!("{error}: the database was made again from the journal");
                let tells = !matches!(error, Error::DatabaseFull { .. });
                let mut tapes = self.writing();
                if self.heal(&mut tapes, error).is_ok() && tells {
                    locked(&self.inner.damage).push(mended(line));
                }
                drop(tapes);
                read()
            }
            other => other,
        }
    }

    /// What was found damaged since the store was opened, and what came back.
    pub fn damage(&self) -> Vec<Damage> {
        locked(&self.inner.damage).clone()
    }

    pub(super) fn set_damage(&self, damage: Vec<Damage>) {
        *locked(&self.inner.damage) = damage;
    }

    /// Why nothing new can be stored just now, if so; it goes away by itself once there is room.
    pub fn trouble(&self) -> Option<String> {
        let refused = self.inner.refused_bytes.load(Ordering::Relaxed);
        let needed = self.inner.settings.free_bytes_min.saturating_add(refused);
        if let Err(error) = self.make_sure_of_room(needed) {
            return Some(error.to_string());
        }
        // A commit that is under way takes up by itself.
        let healed = match self.inner.writing.try_lock() {
            Ok(mut tapes) => self.take_up(&mut tapes),
            Err(_) => Ok(()),
        };
        healed.err().map(|error| format!("{error}; what is stored is read from the journal meanwhile"))
    }

    /// So many bytes are free on the file system.
    fn make_sure_of_room(&self, needed: u64) -> Result<(), Error> {
        let dir = &self.inner.dir;
        let system = rustix::fs::statvfs(dir).map_err(|error| Error::io(dir, "look at", &error.into()))?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        if free < needed { Err(Error::NearlyFull { dir: dir.clone(), free, needed }) } else { Ok(()) }
    }

    /// Lookups and scans of the database since it was opened: an idle daemon makes none.
    pub fn reads(&self) -> u64 {
        self.inner.database.reads()
    }

    /// Version of the schema.
    pub fn schema(&self) -> u32 {
        schema::SCHEMA
    }
}

/// True for what a new database may cure.
fn is_of_database(error: &Error) -> bool {
    matches!(error, Error::Damaged { .. } | Error::Database { .. } | Error::DatabaseFull { .. })
}

/// A commit that is ready to be written.
struct Filled {
    number: u64,
    changes: Changes,
    /// Sketches, quantiles, spectra.
    bulk: [Vec<u8>; PARTS - 1],
}
