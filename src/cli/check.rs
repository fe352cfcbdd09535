//! `weighbridge check`: a gate for scripts.

use std::path::PathBuf;

use clap::Args;

use super::source::Source;
use super::{Exit, Run, inspect, output};
use crate::terms::{Severity, Tier};
use crate::{daemon, report};

/// Weighs a checkpoint and fails when something is found.
#[derive(Debug, Args)]
pub struct Check {
    /// Checkpoint: a file or a directory
    path: PathBuf,
    /// Earlier checkpoint to compare with
    #[arg(long, value_name = "PATH")]
    previous: Option<PathBuf>,
    /// Run in the store to compare it with: its name, as `weighbridge findings` shows it
    #[arg(long, value_name = "RUN", requires = "store")]
    baseline: Option<String>,
    /// Directory of the store that has the baseline
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Severity from which on it fails
    #[arg(long, value_parser = ["info", "warning", "critical"], default_value = "warning")]
    fail_on: String,
    /// Configuration file: its formats, limits, families and detectors are used
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Run for Check {
    const NAME: &'static str = "check";
    const ABOUT: &'static str = "Check one checkpoint: exit 1 when a finding stands";

    fn run(self) -> anyhow::Result<Exit> {
        let limit = Severity::from_name(&self.fail_on).unwrap_or(Severity::Warning);
        let weighing = inspect::weighing(self.config.as_deref(), Tier::Two, inspect::threads())?;
        let weighing = match &self.store {
            Some(store) => {
                daemon::with_baseline(&Source::at_rest(store)?, weighing, self.baseline.as_deref())?
            }
            None => weighing,
        };
        let judge = weighing.detect.clone();
        let reading = inspect::weigh(&self.path, self.previous.as_deref(), weighing.clone())?;
        let before = match &self.previous {
            Some(path) => Some(inspect::weigh(path, None, weighing)?),
            None => None,
        };
        let findings = daemon::judge_alone(before.as_ref(), &reading, &judge);
        if findings.is_empty() {
            let tensors = reading.tensors.len();
            output::text(&format!("{}: {tensors} tensors, nothing found\n", self.path.display()))?;
        } else {
            let newest = |_: &_| anyhow::Ok(Some(&reading));
            let beside = report::Beside::default().with_kinds(&findings, newest)?;
            output::prose(&report::findings_text(&findings, &beside))?;
        }
        let stands = findings.iter().any(|finding| finding.is_open() && finding.severity >= limit);
        Ok(if stands { Exit::Findings } else { Exit::Done })
    }
}
