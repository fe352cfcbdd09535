//! `weighbridge check-config`: is this configuration right, and what are the defaults.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Run, output};
use crate::config;

/// Checks a configuration file, or prints the defaults.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct CheckConfig {
    /// File to check
    file: Option<PathBuf>,
    /// Print every key at its default
    #[arg(long)]
    defaults: bool,
}

impl Run for CheckConfig {
    const NAME: &'static str = "check-config";
    const ABOUT: &'static str = "Check a configuration file, or print every key at its default";

    fn run(self) -> anyhow::Result<Exit> {
        match self.file {
            Some(file) => {
                config::load(&file)?.access.keys()?;
                output::text(&format!("{}: good\n", file.display()))?;
            }
            None => output::text(&config::reference_yaml())?,
        }
        Ok(Exit::Done)
    }
}
