//! The running daemon and what trainers do to it: each case happens on disk while it watches.

mod attempts;
mod baseline;
mod commands;
mod expect;
mod idle;
mod inside;
mod last_good;
mod memory;
mod neighbour;
mod refusals;
mod said;
mod service;
mod settling;
mod spectra;

use std::path::Path;

use crate::util::{Daemon, metric};

/// A watched directory and a store beside it.
struct Place {
    _root: tempfile::TempDir,
    runs: std::path::PathBuf,
    store: std::path::PathBuf,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (runs, store) = (root.path().join("runs"), root.path().join("store"));
        std::fs::create_dir_all(&runs).unwrap();
        Self { _root: root, runs, store }
    }

    fn watch(&self) -> Daemon {
        Daemon::watch(&self.runs, &self.store)
    }

    /// Watches with this configuration.
    fn watch_with(&self, config: &str) -> Daemon {
        let file = self.store.with_extension("yaml");
        std::fs::write(&file, config).unwrap();
        Daemon::start(&[&self.runs], &self.store, &["--config", file.to_str().unwrap()])
    }
}

/// Waits until the run's newest reading is of this step.
#[track_caller]
fn wait_for_step(daemon: &Daemon, run: &str, step: u64) {
    daemon.wait_for(&format!("step {step} of {run}; it said:\n{}", daemon.said()), |scrape| {
        (metric("run_step").label("run", run).of(scrape)? == step as f64).then_some(())
    });
}

/// Waits until so many checkpoints of the run have a reading.
#[track_caller]
fn wait_for_total(daemon: &Daemon, run: &str, total: u64) {
    daemon.wait_for(&format!("{total} readings of {run}; it said:\n{}", daemon.said()), |scrape| {
        (metric("checkpoints_total").label("run", run).of(scrape)? == total as f64).then_some(())
    });
}

/// Readings of the run now; 0 where it is not known yet.
fn total(daemon: &Daemon, run: &str) -> f64 {
    metric("checkpoints_total").label("run", run).of(&daemon.scrape()).unwrap_or(0.0)
}

/// Severity-weighted: findings that stand for a run and detector.
fn active(scrape: &str, run: &str, detector: &str) -> f64 {
    metric("findings_active").label("run", run).label("detector", detector).all(scrape).iter().sum()
}

/// Long enough for two scans and a weighing: what has not happened by then was not going to.
fn a_while() {
    std::thread::sleep(std::time::Duration::from_millis(2500));
}

/// What a command prints, with its exit code.
fn command(arguments: &[&str]) -> (i32, String, String) {
    let output = std::process::Command::new(crate::util::daemon::binary()).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
