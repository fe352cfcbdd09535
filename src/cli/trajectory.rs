//! `weighbridge trajectory`: a run's way through weight space, from the stored sketches.

use clap::Args;

use super::distance::{Format, answer};
use super::source::{Source, StoreArg};
use super::{Exit, Run};
use crate::report::distances;
use crate::terms::RunId;

/// Tells how a run moved, and where a checkpoint is not what its step says.
#[derive(Debug, Args)]
pub struct Trajectory {
    /// The run
    run: String,
    #[command(flatten)]
    store: StoreArg,
    /// Only this attempt; else all of them, one after the other
    #[arg(long)]
    attempt: Option<u32>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Run for Trajectory {
    const NAME: &'static str = "trajectory";
    const ABOUT: &'static str = "Tell how a run moved through weight space, from stored sketches";

    fn run(self) -> anyhow::Result<Exit> {
        let source = Source::open(&self.store.store)?;
        let mut query = vec![("run", self.run.clone())];
        query.extend(self.attempt.map(|attempt| ("attempt", attempt.to_string())));
        answer(&source, self.format, "/api/v1/trajectory", query, distances::way_text, |store| {
            Ok(distances::way(store, &RunId::new(&self.run), self.attempt)?)
        })
    }
}
