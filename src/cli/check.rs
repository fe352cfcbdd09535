//! `weighbridge check`: a gate for scripts.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Run, inspect, output};
use crate::terms::{Severity, Tier};
use crate::{daemon, detect, report};

/// Weighs a checkpoint and fails when something is found.
#[derive(Debug, Args)]
pub struct Check {
    /// Checkpoint: a file or a directory
    path: PathBuf,
    /// Earlier checkpoint to compare with
    #[arg(long, value_name = "PATH")]
    previous: Option<PathBuf>,
    /// Severity from which on it fails
    #[arg(long, value_parser = ["info", "warning", "critical"], default_value = "warning")]
    fail_on: String,
}

impl Run for Check {
    const NAME: &'static str = "check";
    const ABOUT: &'static str = "Check one checkpoint: exit 1 when a finding stands";

    fn run(self) -> anyhow::Result<Exit> {
        let limit = Severity::from_name(&self.fail_on).unwrap_or(Severity::Warning);
        let threads = inspect::threads();
        let reading = inspect::weigh(&self.path, self.previous.as_deref(), Tier::Two, threads)?;
        let before = match &self.previous {
            Some(path) => Some(inspect::weigh(path, None, Tier::Two, threads)?),
            None => None,
        };
        let findings = daemon::judge_alone(before.as_ref(), &reading, &detect::Settings::default());
        if findings.is_empty() {
            let tensors = reading.tensors.len();
            output::text(&format!("{}: {tensors} tensors, nothing found\n", self.path.display()))?;
        } else {
            output::text(&report::findings_text(&findings))?;
        }
        let stands = findings.iter().any(|finding| finding.is_open() && finding.severity >= limit);
        Ok(if stands { Exit::Findings } else { Exit::Done })
    }
}
