//! A directory tree that a test writes step by step, with times of its own choosing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use weighbridge::checkpoint::{Candidate, Scan, Settings, scan};
use weighbridge::terms::{Problem, ProblemKind};

pub struct Tree {
    directory: tempfile::TempDir,
}

impl Tree {
    pub fn new() -> Self {
        Self { directory: tempfile::Builder::new().prefix("run").tempdir().unwrap() }
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// Writes a file, making its directories.
    pub fn write(&self, path: &str, content: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Sets a file's modification time, seconds since 1970.
    pub fn at(&self, path: &str, seconds: u64) -> &Self {
        let file = fs::File::options().write(true).open(self.path(path)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        self
    }

    pub fn remove(&self, path: &str) -> &Self {
        let path = self.path(path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        self
    }

    pub fn link(&self, target: impl AsRef<Path>, path: &str) -> &Self {
        std::os::unix::fs::symlink(target, self.path(path)).unwrap();
        self
    }

    /// A whole `checkpoint-N` of the Trainer below `run` (which may be empty or end in a slash).
    pub fn hf(&self, run: &str, step: u64) -> &Self {
        self.write(&format!("{run}checkpoint-{step}/config.json"), "{}");
        self.write(&format!("{run}checkpoint-{step}/model.safetensors"), "whole");
        self.write(&format!("{run}checkpoint-{step}/trainer_state.json"), &state(step))
    }

    pub fn scan(&self) -> Scan {
        scan(&[self.root().to_path_buf()], &Settings::default())
    }
}

pub fn state(step: u64) -> String {
    format!(r#"{{"global_step": {step}, "log_history": [{{"step": {step}, "loss": NaN}}]}}"#)
}

/// Stands for the tensor room: a file that says "short" is.
pub fn lengths(path: &Path) -> Option<Problem> {
    let short = fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"short"));
    short.then(|| Problem {
        kind: ProblemKind::Truncated,
        path: path.to_path_buf(),
        tensor: None,
        offset: Some(5),
        detail: "short".to_string(),
        remedy: "wait".to_string(),
    })
}

/// `run/layout@step` of every candidate, for comparing at one glance.
pub fn shown(scan: &Scan) -> Vec<String> {
    scan.candidates.iter().map(|c| format!("{} {} {}", c.run, c.layout, c.step)).collect()
}

/// The only candidate.
pub fn only(scan: &Scan) -> Candidate {
    assert_eq!(scan.candidates.len(), 1, "{:?}", shown(scan));
    Candidate::clone(&scan.candidates[0])
}
