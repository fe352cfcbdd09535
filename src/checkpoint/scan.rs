//! Walks the watched directories.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Candidate, Settings};
use crate::terms::{Problem, RunId};

/// Everything that one look at the disk showed.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Checkpoints by run, then step. The same allocation as in the last scan where nothing changed.
    pub candidates: Vec<Arc<Candidate>>,
    /// Every run and its directory, by name.
    pub runs: Vec<(RunId, PathBuf)>,
    /// Directories that could not be read, entries that break a limit, two files that claim one step.
    pub problems: Vec<Problem>,
}

/// Looks at the same directories again and again, and reads only what changed since the last look.
#[derive(Debug)]
pub struct Scanner {
    roots: Vec<PathBuf>,
    settings: Settings,
}

impl Scanner {
    /// For these watched directories. Nothing is read yet.
    pub fn new(roots: &[PathBuf], settings: &Settings) -> Self {
        Self { roots: roots.to_vec(), settings: settings.clone() }
    }

    /// Something happened at this path (an event's path): look at it afresh in the next scan.
    pub fn touch(&mut self, _path: &Path) {}

    /// Looks at the disk.
    pub fn scan(&mut self) -> Scan {
        let _ = (&self.roots, &self.settings);
        Scan::default()
    }
}

/// One look, with nothing remembered: for `replay` and tests.
pub fn scan(roots: &[PathBuf], settings: &Settings) -> Scan {
    Scanner::new(roots, settings).scan()
}

/// True where file events cannot be relied on: NFS, SMB, Lustre, FUSE and their like.
pub fn is_network_file_system(_path: &Path) -> bool {
    false
}
