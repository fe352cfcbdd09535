//! `weighbridge diff`: what changed between two checkpoints.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::distance::Format;
use super::{Exit, Run, inspect, output};
use crate::report;
use crate::terms::{Reading, Tier};

/// Tells what changed between two checkpoints, tensor by tensor.
#[derive(Debug, Args)]
pub struct Diff {
    /// Earlier checkpoint: a file or a directory
    before: PathBuf,
    /// Later checkpoint
    after: PathBuf,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Configuration file: its formats, limits and families are used
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Run for Diff {
    const NAME: &'static str = "diff";
    const ABOUT: &'static str = "Tell what changed between two checkpoints, tensor by tensor";

    fn run(self) -> anyhow::Result<Exit> {
        let weighing = inspect::weighing(self.config.as_deref(), Tier::One, inspect::threads())?;
        let before = readable(inspect::weigh(&self.before, None, weighing.clone())?)?;
        let after = readable(inspect::weigh(&self.after, Some(&self.before), weighing)?)?;
        let differences = report::diff(&before, &after);
        output::text(&match self.format {
            Format::Text => report::diff_text(&differences, &super::terminal()),
            Format::Json => format!("{}\n", report::diff_json(&differences)),
        })?;
        Ok(Exit::Done)
    }
}

/// The reading, its faults told; an error where there is nothing to compare.
fn readable(reading: Reading) -> anyhow::Result<Reading> {
    inspect::tell_problems(&reading);
    if reading.tensors.is_empty() {
        bail!("{}: no tensor could be read", reading.checkpoint.path.display());
    }
    Ok(reading)
}
