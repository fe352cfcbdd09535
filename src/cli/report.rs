//! `weighbridge report`: a run as one HTML file.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::source::{Source, StoreArg};
use super::{Exit, Run, output};
use crate::telemetry::now_seconds;
use crate::terms::RunId;
use crate::{daemon, measure, report};

/// Writes a run as one HTML file that opens from disk and needs nothing else.
#[derive(Debug, Args)]
pub struct Report {
    /// The run
    run: String,
    #[command(flatten)]
    store: StoreArg,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

impl Run for Report {
    const NAME: &'static str = "report";
    const ABOUT: &'static str = "Write a run as one HTML file: findings, the way so far, the newest weights";

    fn run(self) -> anyhow::Result<Exit> {
        let text = match Source::open(&self.store.store)? {
            Source::Store(store) => {
                let catalog = measure::catalog();
                let run = RunId::new(&self.run);
                report::report_html(&store, &run, &catalog, daemon::weights, now_seconds())?
            }
            Source::Daemon(daemon) => Some(daemon.get("/api/v1/report", &[("run", &self.run)])?),
        };
        let Some(text) = text else { bail!("run {} is not in this store", self.run) };
        std::fs::write(&self.output, text).with_context(|| format!("{}", self.output.display()))?;
        output::remark(&format!("weighbridge: wrote {}", self.output.display()));
        Ok(Exit::Done)
    }
}
