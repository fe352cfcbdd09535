//! `weighbridge replay`: a finished directory, weighed as the daemon would have.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::progress::Bar;
use super::{Exit, Run, output};
use crate::config::{self, Config};
use crate::daemon::{self, Pipeline};
use crate::store::Store;
use crate::telemetry::now_seconds;
use crate::terms::{Finding, Reading, Severity};
use crate::{measure, report};

/// Weighs finished runs in step order into a store.
#[derive(Debug, Args)]
pub struct Replay {
    /// Directories that hold runs
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Directory of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run in the store to compare the others with: its name, as `weighbridge findings` shows it
    #[arg(long, value_name = "RUN")]
    baseline: Option<String>,
    /// Write at the end what was found, one JSON object a line, as `findings` does
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Fail when a finding at or above this severity was opened
    #[arg(long, value_parser = ["info", "warning", "critical"])]
    fail_on: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One JSON object a line
    Jsonl,
}

impl Run for Replay {
    const NAME: &'static str = "replay";
    const ABOUT: &'static str = "Weigh finished runs in step order, exactly as the daemon would have";

    fn run(self) -> anyhow::Result<Exit> {
        let config = self.config.as_deref().map_or_else(|| Ok(Config::default()), config::load)?;
        let roots = self.dirs.iter().map(|dir| daemon::check_root(dir)).collect::<Result<Vec<_>, _>>()?;
        let store = Store::open(&self.store, &measure::catalog(), &config.store)?;
        let stop = Arc::new(AtomicBool::new(false));
        let weighing = daemon::with_baseline(&store, config.weighing, self.baseline.as_deref())?;
        let checkpoint = weighing.checkpoint.clone();
        let runs_in_memory = config.daemon.runs_in_memory;
        let mut pipeline = Pipeline::open(store, weighing, stop, runs_in_memory)?;
        let bar = Bar::new(0);
        let mut worst: Option<Severity> = None;
        let mut told = |reading: &Reading, findings: &[Finding]| {
            bar.say(format!("{} step {}", reading.key.run, reading.key.step));
            worst = worst.max(findings.iter().map(|finding| finding.severity).max());
            if self.format.is_none() {
                findings.iter().for_each(|finding| bar.above(&report::finding_line(finding)));
            }
        };
        let replayed = daemon::replay(&mut pipeline, &roots, &checkpoint, &bar, &mut told)?;
        bar.clear();
        if replayed.runs == 0 {
            bail!("no checkpoint below {}: nothing to weigh", display(&self.dirs));
        }
        if self.format.is_some() {
            let findings = pipeline.store().findings(None)?;
            let beside = report::Beside::of(pipeline.store(), &findings, now_seconds())?;
            output::text(&report::findings_jsonl(&findings, &beside))?;
        }
        output::remark(&format!(
            "{} runs, {} checkpoints weighed, {} known before, {} went away",
            replayed.runs, replayed.weighed, replayed.known, replayed.lost
        ));
        let limit = self.fail_on.as_deref().and_then(Severity::from_name);
        let failed = limit.is_some_and(|limit| worst.is_some_and(|worst| worst >= limit));
        Ok(if failed { Exit::Findings } else { Exit::Done })
    }
}

fn display(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
}
