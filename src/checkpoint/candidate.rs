//! Something on disk that looks like a checkpoint.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::terms::{FileStamp, Problem, RunId, Step, StepSource};

/// What the layout says about completeness. File lengths are checked beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The trainer's last-written file is there and fits.
    Complete,
    /// The trainer is not done; the text says what is missing.
    NotYet(String),
    /// Nothing says whether the trainer is done (its last-written file was never there, as when only
    /// the weights were copied): complete once nothing changed for a while. The text says what is missing.
    Unsure(String),
}

/// One checkpoint as the scan saw it: a directory or a file, with all files that belong to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The run it belongs to.
    pub run: RunId,
    /// The run's directory, absolute.
    pub run_directory: PathBuf,
    /// The checkpoint itself: absolute path of a directory or a file.
    pub path: PathBuf,
    /// What `weights` are relative to: `path` itself, or its parent where `path` is a file.
    pub root: PathBuf,
    /// Name of the layout that recognised it.
    pub layout: &'static str,
    /// Its step. With [`StepSource::Sequence`] it is the place among its siblings by time;
    /// [`super::recognise`] gives the final number.
    pub step: Step,
    /// Where the step was learnt.
    pub step_source: StepSource,
    /// Newest modification time of its files, seconds since 1970.
    pub timestamp_seconds: f64,
    /// Every file that counts for "did it change", relative to `run_directory`, sorted by path.
    pub files: Vec<FileStamp>,
    /// Hash over size, times and inode of every file: differs where anything about them does, also
    /// what [`FileStamp`] does not keep. Only two looks of one process compare.
    pub identity: u64,
    /// The files that hold weights, relative to `root`, in the order of their shards.
    pub weights: Vec<PathBuf>,
    /// What the layout says about completeness.
    pub written: Written,
    /// Faults that can be seen from outside: shards that the index names and that are not there,
    /// state files that do not parse.
    pub problems: Vec<Problem>,
}

impl Candidate {
    /// Absolute paths of the files that hold weights.
    pub fn weight_paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.weights.iter().map(|file| self.root.join(file))
    }

    /// Files that hold states of optimizers beside the weights, relative to `root`: `optimizer.pt`,
    /// `optimizer_1.bin`, `distrib_optim.pt`, and the distributed ones in `optimizer_0/`. Formats that keep
    /// both in one file have them in `weights`.
    pub fn optimizer_files(&self) -> Vec<PathBuf> {
        if self.root == self.path.parent().unwrap_or(&self.path) {
            return Vec::new();
        }
        let below = self.root.strip_prefix(&self.run_directory).unwrap_or(&self.root);
        let files = self.files.iter().filter_map(|file| file.path.strip_prefix(below).ok());
        files
            .filter(|path| is_optimizer(path) && !self.weights.iter().any(|weight| weight == path))
            .map(Into::into)
            .collect()
    }

    /// Stamps of the files that hold weights, in the order of `weights`.
    pub fn weight_stamps(&self) -> impl Iterator<Item = &FileStamp> + '_ {
        let below = self.root.strip_prefix(&self.run_directory).unwrap_or(&self.root);
        self.weights.iter().filter_map(move |weight| {
            let path = below.join(weight);
            self.files.iter().find(|file| file.path == path)
        })
    }
}

fn is_optimizer(path: &Path) -> bool {
    let text = |part: Option<&OsStr>| part.and_then(OsStr::to_str).unwrap_or_default().to_owned();
    let (name, folder) = (text(path.file_name()), text(path.parent().and_then(Path::file_name)));
    let is_torch = name.ends_with(".pt") || name.ends_with(".bin") || name.ends_with(".pth");
    let of_folder = folder.starts_with("optimizer_") && (name == ".metadata" || name.ends_with(".distcp"));
    of_folder || is_torch && (name.starts_with("optimizer") || name.starts_with("distrib_optim"))
}

/// A path that cannot be taken as a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing, or it may not be read.
    #[error("{path}: cannot be read; check the path and its permissions", path = path.display())]
    Unreadable {
        /// The path asked for.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// It is there, and holds no weights that any layout knows.
    #[error("{path}: no checkpoint: {detail}", path = path.display())]
    NotACheckpoint {
        /// The path asked for.
        path: PathBuf,
        /// What was looked for.
        detail: String,
    },
}
