//! sled behind a wall. Every call may panic inside sled where a file is damaged, so every call is caught;
//! opening runs on a thread of its own as well. Every value carries the number of the commit that wrote it
//! and a CRC over key, number and value: a value that is not what was written, or not under its own key,
//! is never taken for one. While sled is out of order, reads are answered by the [`Standby`].

use std::io::ErrorKind;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::Error;
use super::changes::{Change, Changes};
use super::codec::{Reader, Writer};
use super::quiet::{self, Inside};
use super::standby::Standby;

/// Tries to get sled's lock, and the pause between them: a second at most.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// The database of an open store: one tree, because only one tree's batch is atomic.
#[derive(Debug)]
pub struct Database {
    dir: PathBuf,
    cache_bytes: u64,
    /// None only while it is being replaced, or after that failed.
    tree: RwLock<Option<sled::Db>>,
    /// Answers reads in its place, where there is one.
    standby: RwLock<Option<Arc<Standby>>>,
    /// Lookups and scans so far.
    reads: AtomicU64,
}

/// A value as it was put.
#[derive(Clone, Debug)]
pub struct Value {
    /// Number of the commit that wrote it.
    pub number: u64,
    stored: sled::IVec,
    from: usize,
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.stored[self.from..]
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(0, &bytes)
    }
}

impl Value {
    /// A value that the commit of that number put.
    pub fn new(number: u64, bytes: &[u8]) -> Self {
        Self { number, stored: bytes.into(), from: 0 }
    }
}

/// Somewhere values can be looked up by key.
pub trait Lookup {
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Value>, Error>;
}

fn check(key: &[u8], rest: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&(key.len() as u64).to_le_bytes());
    crc.update(key);
    crc.update(rest);
    crc.finalize()
}

/// A value as it lies in the database: check, number, bytes.
fn wrap(key: &[u8], number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.0.extend([0; 4]);
    writer.varint(number);
    writer.0.extend_from_slice(bytes);
    let check = check(key, &writer.0[4..]);
    writer.0[..4].copy_from_slice(&check.to_le_bytes());
    writer.0
}

fn unwrap(key: &[u8], stored: sled::IVec) -> Result<Value, Error> {
    let damaged = || Error::damaged(format!("database entry {}", name(key)), "its check does not fit");
    let (found, rest) = stored.split_at_checked(4).ok_or_else(damaged)?;
    if found != check(key, rest).to_le_bytes() {
        return Err(damaged());
    }
    let mut reader = Reader(rest);
    let number = reader.varint().map_err(|_| damaged())?;
    let from = stored.len() - reader.0.len();
    Ok(Value { number, stored, from })
}

/// A key as text: its letter and the rest as it can be shown.
fn name(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

impl Database {
    /// Opens it, or makes it where there is none.
    ///
    /// The caller holds the store's own lock, so sled's can only be held by a child process that this one is
    /// just starting, for a moment: that is waited for.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self, Error> {
        let tree = open_tree(dir, cache_bytes)?;
        let tree = RwLock::new(Some(tree));
        Ok(Self {
            dir: dir.to_owned(),
            cache_bytes,
            tree,
            standby: RwLock::default(),
            reads: AtomicU64::new(0),
        })
    }

    /// One that is closed, with something that answers in its place.
    pub fn closed(dir: &Path, cache_bytes: u64, standby: Standby) -> Self {
        let standby = RwLock::new(Some(Arc::new(standby)));
        Self { dir: dir.to_owned(), cache_bytes, tree: RwLock::default(), standby, reads: AtomicU64::new(0) }
    }

    fn standby(&self) -> Option<Arc<Standby>> {
        self.standby.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on reads are answered by the standby.
    pub fn stand_by(&self, make: impl FnOnce() -> Standby) {
        let mut standby = self.standby.write().unwrap_or_else(PoisonError::into_inner);
        standby.get_or_insert_with(|| Arc::new(make()));
    }

    /// Closes it.
    pub fn close(&self) {
        let old = self.tree.write().unwrap_or_else(PoisonError::into_inner).take();
        let_go(old);
    }

    /// Goes on with another database, which is open in the same directory; the standby has done its work.
    pub fn adopt(&self, other: Database) {
        let tree = other.tree.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.tree.write().unwrap_or_else(PoisonError::into_inner) = tree;
        *self.standby.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn guard<T>(&self, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Error> {
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        let tree = tree.as_ref().ok_or_else(|| failed(&self.dir, "it is closed".to_owned()))?;
        let inside = Inside::new();
        let answer = catch_unwind(AssertUnwindSafe(|| call(tree)));
        drop(inside);
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if is_full(&error) => Err(Error::DatabaseFull { dir: self.dir.clone() }),
            Ok(Err(error)) => Err(failed(&self.dir, error.to_string())),
            Err(panic) => Err(failed(&self.dir, panic_text(&*panic))),
        }
    }

    /// Shows every entry whose key starts with `prefix`, in order.
    pub fn scan(
        &self,
        prefix: &[u8],
        mut show: impl FnMut(&[u8], &Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.scan_any(prefix, |key, value| show(key, &value?))
    }

    /// As [`Database::scan`], but an entry whose check does not fit is shown as such.
    pub fn scan_any(
        &self,
        prefix: &[u8],
        mut show: impl FnMut(&[u8], Result<Value, Error>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if let Some(standby) = self.standby() {
            return standby.scan(prefix, &mut show);
        }
        let mut entries = self.guard(|tree| Ok(tree.scan_prefix(prefix)))?;
        while let Some((key, stored)) = self.guard(|_| entries.next().transpose())? {
            show(&key, unwrap(&key, stored))?;
        }
        Ok(())
    }

    /// Shows every entry as it lies there, unchecked: for stores of the first schema.
    pub fn scan_raw(&self, mut show: impl FnMut(&[u8], &[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let mut entries = self.guard(|tree| Ok(tree.iter()))?;
        while let Some((key, stored)) = self.guard(|_| entries.next().transpose())? {
            show(&key, &stored)?;
        }
        Ok(())
    }

    /// The value as it lies there, unchecked: for stores of the first schema.
    pub fn get_raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.guard(|tree| tree.get(key))?.map(|stored| stored.to_vec()))
    }

    /// The last key that starts with `prefix`.
    pub fn last_key(&self, prefix: &[u8]) -> Result<Option<sled::IVec>, Error> {
        if let Some(standby) = self.standby() {
            return standby.last_key(prefix);
        }
        self.guard(|tree| Ok(tree.scan_prefix(prefix).next_back().transpose()?.map(|(key, _)| key)))
    }

    /// Does all changes of a commit or none, and has them on disk when it returns.
    pub fn apply(&self, number: u64, changes: &Changes) -> Result<(), Error> {
        self.stage(number, changes, &|_| true)?;
        self.flush()
    }

    /// Does all changes of a commit; not flushed.
    pub fn stage_all(&self, number: u64, changes: &Changes) -> Result<(), Error> {
        self.stage(number, changes, &|_| true)
    }

    /// Does the changes of a commit where nothing newer stands; not flushed.
    pub fn merge(&self, number: u64, changes: &Changes) -> Result<(), Error> {
        // An entry that does not check out counts as older than any.
        let is_older = |key: &[u8]| !matches!(self.get(key), Ok(Some(value)) if value.number >= number);
        self.stage(number, changes, &is_older)
    }

    fn stage(&self, number: u64, changes: &Changes, wanted: &dyn Fn(&[u8]) -> bool) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for change in &changes.0 {
            match change {
                Change::Put(key, value) if wanted(key) => {
                    batch.insert(key.as_slice(), wrap(key, number, value));
                }
                Change::Remove(key) if wanted(key) => batch.remove(key.as_slice()),
                Change::Put(..) | Change::Remove(_) => {}
                Change::RemoveAll(prefix) => {
                    let mut keys = Vec::new();
                    self.scan_any(prefix, |key, _| {
                        keys.push(key.to_vec());
                        Ok(())
                    })?;
                    keys.into_iter().filter(|key| wanted(key)).for_each(|key| batch.remove(key));
                }
            }
        }
        self.guard(|tree| tree.apply_batch(batch))
    }

    /// Lookups and scans since it was opened.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Has everything on disk when it returns.
    pub fn flush(&self) -> Result<(), Error> {
        self.guard(|tree| tree.flush().map(drop))
    }

    /// Closes it, lets `change` work on its directory, and opens what is there then. Readers wait.
    pub fn reopen(&self, change: impl FnOnce(&Path) -> Result<(), Error>) -> Result<(), Error> {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let_go(tree.take());
        let changed = change(&self.dir);
        *tree = Some(open_tree(&self.dir, self.cache_bytes)?);
        changed
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Lookup for Database {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if let Some(standby) = self.standby() {
            return standby.get(key);
        }
        let stored = self.guard(|tree| tree.get(key))?;
        stored.map(|stored| unwrap(key, stored)).transpose()
    }
}

fn open_tree(dir: &Path, cache_bytes: u64) -> Result<sled::Db, Error> {
    for _ in 0..LOCK_TRIES {
        match open_once(dir, cache_bytes) {
            Err(Error::Held { .. }) => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    open_once(dir, cache_bytes)
}

fn open_once(dir: &Path, cache_bytes: u64) -> Result<sled::Db, Error> {
    let config = sled::Config::new()
        .path(dir)
        .cache_capacity(cache_bytes)
        // Commits flush themselves; a flusher of sled's own would only wake the machine.
        .flush_every_ms(None);
    let opened = std::thread::Builder::new()
        .name(quiet::OPENING.into())
        .spawn(move || config.open())
        .map_err(|error| Error::io(dir, "start a thread for", &error))?
        .join();
    match opened {
        Ok(Ok(tree)) => Ok(tree),
        Ok(Err(sled::Error::Io(error))) => Err(io_failed(dir, &error)),
        Ok(Err(error)) => Err(failed(dir, error.to_string())),
        Err(panic) => Err(failed(dir, panic_text(&*panic))),
    }
}

/// Told apart: the system refuses (damage has nothing to do with it), or the files do not make sense.
fn io_failed(dir: &Path, error: &std::io::Error) -> Error {
    use ErrorKind as K;
    if error.kind() == K::StorageFull {
        return Error::DatabaseFull { dir: dir.to_owned() };
    }
    let refused = matches!(error.kind(), K::PermissionDenied | K::ReadOnlyFilesystem);
    let text = error.to_string();
    if text.contains("acquire lock") {
        return Error::Held { dir: dir.to_owned(), pid: "unknown".into(), address: None };
    }
    if refused || error.raw_os_error() == Some(rustix::io::Errno::ROFS.raw_os_error()) {
        return Error::io(dir, "open", error);
    }
    failed(dir, text)
}

/// Closing writes, and may fail like anything else.
fn let_go(tree: Option<sled::Db>) {
    let _inside = Inside::new();
    let _ = catch_unwind(AssertUnwindSafe(move || drop(tree)));
}

fn is_full(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.kind() == ErrorKind::StorageFull)
}

fn failed(dir: &Path, detail: String) -> Error {
    Error::Database { dir: dir.to_owned(), detail }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}
