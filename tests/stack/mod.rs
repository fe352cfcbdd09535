//! The whole stack on loopback: the daemon, a real Prometheus, a real Alertmanager, a real HTTP receiver,
//! and a training run that falls sick; each of them killed in the middle.

mod alerts;
mod dashboards;
mod gauges;
mod history;
mod notices;
mod remote_write;

use std::path::Path;

use crate::util::golden::fixture;
use crate::util::{Daemon, TrainingRun};

/// A matrix of the toy model.
const MATRIX: &str = "transformer.h.1.mlp.c_fc.weight";

/// Directories of one test, gone with it.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("runs")).unwrap();
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn runs(&self) -> std::path::PathBuf {
        self.path().join("runs")
    }

    fn run(&self) -> TrainingRun {
        TrainingRun::new(&self.runs(), "toy", 7)
    }

    fn daemon(&self, arguments: &[&str]) -> Daemon {
        Daemon::start(&[&self.runs()], &self.path().join("store"), arguments)
    }

    /// Writes a file and gives its path as text.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }
}

/// A file of `deploy/`.
fn shipped(path: &str) -> String {
    let path = fixture("../../deploy").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A Prometheus configuration that scrapes `address` every second as the job that the rules know.
fn scraping(address: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
         scrape_configs:\n- job_name: weighbridge\n  static_configs: [{{targets: ['{address}']}}]\n"
    )
}
