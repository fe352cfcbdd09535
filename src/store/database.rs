//! sled behind a wall. Every call may panic inside sled where a file is damaged, so every call is caught;
//! opening runs on a thread of its own as well, because a panic while sled's threads start takes the
//! caller's stack with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::Error;
use super::changes::Changes;

/// The database of an open store: one tree, because only one tree's batch is atomic.
#[derive(Debug)]
pub struct Database {
    dir: PathBuf,
    tree: sled::Db,
}

impl Database {
    /// Opens it, or makes it where there is none.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self, Error> {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(cache_bytes)
            // Commits flush themselves; a flusher of sled's own would only wake the machine.
            .flush_every_ms(None);
        let opened = std::thread::Builder::new()
            .name("store-open".into())
            .spawn(move || config.open())
            .map_err(|error| Error::io(dir, "start a thread for", &error))?
            .join();
        match opened {
            Ok(Ok(tree)) => Ok(Self { dir: dir.to_owned(), tree }),
            Ok(Err(error)) => Err(failed(dir, error.to_string())),
            Err(panic) => Err(failed(dir, panic_text(&*panic))),
        }
    }

    fn guard<T>(&self, call: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failed(&self.dir, error.to_string())),
            Err(panic) => Err(failed(&self.dir, panic_text(&*panic))),
        }
    }

    /// The value under a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, Error> {
        self.guard(|| self.tree.get(key))
    }

    /// Shows every entry whose key starts with `prefix`, in order.
    pub fn scan(
        &self,
        prefix: &[u8],
        mut show: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut entries = self.guard(|| Ok(self.tree.scan_prefix(prefix)))?;
        while let Some((key, value)) = self.guard(|| entries.next().transpose())? {
            show(&key, &value)?;
        }
        Ok(())
    }

    /// The last entry whose key starts with `prefix`.
    pub fn last(&self, prefix: &[u8]) -> Result<Option<(sled::IVec, sled::IVec)>, Error> {
        self.guard(|| self.tree.scan_prefix(prefix).next_back().transpose())
    }

    /// Does all changes or none, and has them on disk when it returns.
    pub fn apply(&self, changes: &Changes) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        changes.puts.iter().for_each(|(key, value)| batch.insert(key.as_slice(), value.as_slice()));
        self.guard(|| {
            self.tree.apply_batch(batch)?;
            self.tree.flush().map(drop)
        })
    }
}

fn failed(dir: &Path, detail: String) -> Error {
    Error::Database { dir: dir.to_owned(), detail }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}
