//! What can go wrong with the store, said so that the user knows what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::terms::{ReadingKey, RunId};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the store open. Known at once, without waiting.
    #[error("{path}: the store is held by process {pid}{reach}", path = dir.display(), reach = reach(address.as_deref()))]
    Held {
        /// The store's directory.
        dir: PathBuf,
        /// The holder, or `unknown`.
        pid: String,
        /// Host and port at which the holder can be asked, where it said so.
        address: Option<String>,
    },
    /// A reading of that name is stored already; nothing is ever overwritten.
    #[error("a reading of {0} is stored already; nothing was changed")]
    Exists(ReadingKey),
    /// No such run.
    #[error("there is no run {0} in the store; `weighbridge store stats` lists those that are")]
    UnknownRun(RunId),
    /// A file or directory of the store could not be made, read or written.
    #[error("{path}: cannot {action}: {message}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried: `open`, `write`, ...
        action: &'static str,
        /// The system's message, with the remedy where it is known.
        message: String,
    },
    /// Too little room is left on the file system; nothing was written.
    #[error("{path}: only {free} bytes are free and {needed} must stay free; make room, then commits go on by themselves", path = dir.display())]
    NearlyFull {
        /// The store's directory.
        dir: PathBuf,
        /// Free bytes.
        free: u64,
        /// Bytes that must be free for the next write.
        needed: u64,
    },
    /// The store was written by a newer program.
    #[error("{path}: the store has schema version {found}, this program knows versions up to {known}: use a newer weighbridge", path = dir.display())]
    Newer {
        /// The store's directory.
        dir: PathBuf,
        /// Version found.
        found: u32,
        /// Newest version known here.
        known: u32,
    },
    /// Something stored does not read back: its checksum, number or form is wrong.
    #[error("{what}: {detail}; run `weighbridge store verify` and `store repair`")]
    Damaged {
        /// What it was: a reading, a finding, a file.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Something that had one copy only is gone, and no second look will bring it back.
    #[error("{what}: {detail}")]
    Lost {
        /// What it was.
        what: String,
        /// Why it is gone.
        detail: String,
    },
    /// The database could not write because the disk is full; nothing is lost, the journal has all of it.
    #[error("{path}: the disk is full: make room, then commits go on by themselves", path = dir.display())]
    DatabaseFull {
        /// The store's directory.
        dir: PathBuf,
    },
    /// The database under the store failed.
    #[error("{path}: database failed: {detail}", path = dir.display())]
    Database {
        /// The store's directory.
        dir: PathBuf,
        /// Its message, or that of the panic that was caught.
        detail: String,
    },
}

impl Error {
    pub(super) fn io(path: &Path, action: &'static str, error: &io::Error) -> Self {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => ": give this user write access, or name another store",
            io::ErrorKind::ReadOnlyFilesystem => {
                ": the file system is mounted read-only; remount it, or copy the store elsewhere"
            }
            io::ErrorKind::StorageFull => ": make room on the file system",
            _ => "",
        };
        Self::Io { path: path.to_owned(), action, message: format!("{error}{remedy}") }
    }

    pub(super) fn lost(what: impl Into<String>, detail: impl ToString) -> Self {
        Self::Lost { what: what.into(), detail: detail.to_string() }
    }

    pub(super) fn damaged(what: impl Into<String>, detail: impl ToString) -> Self {
        Self::Damaged { what: what.into(), detail: detail.to_string() }
    }
}

fn reach(address: Option<&str>) -> String {
    address.map(|address| format!(", which can be asked at {address}")).unwrap_or_default()
}
