//! `weighbridge distance`: how far apart checkpoints and tensors are, from the stored sketches.

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::source::{Source, StoreArg};
use super::{Exit, Run, output};
use crate::report::distances::{self, Named};
use crate::store::Store;
use crate::terms::RunId;

/// Tells the distance of two checkpoints, whether their files are still there or not.
#[derive(Debug, Args)]
pub struct Distance {
    /// The run
    run: String,
    /// Step of the one checkpoint
    from: u64,
    /// Step of the other; with --siblings there is no other
    #[arg(required_unless_present = "siblings")]
    to: Option<u64>,
    #[command(flatten)]
    store: StoreArg,
    /// Run that the other checkpoint is of, with tensors of the same shapes; else the same run
    #[arg(long, value_name = "RUN", conflicts_with = "siblings")]
    with: Option<String>,
    /// Instead of two checkpoints: this tensor and those of its shape in the one checkpoint
    #[arg(long, value_name = "TENSOR", conflicts_with = "to")]
    siblings: Option<String>,
    /// Attempt that both belong to; else the newest that has the step
    #[arg(long)]
    attempt: Option<u32>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Forms of a short answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

impl Run for Distance {
    const NAME: &'static str = "distance";
    const ABOUT: &'static str = "Tell how far apart two checkpoints are, from stored sketches";

    fn run(self) -> anyhow::Result<Exit> {
        let source = Source::open(&self.store.store)?;
        let from = Named { run: RunId::new(&self.run), attempt: self.attempt, step: self.from };
        let mut query = vec![("run", self.run.clone()), ("from", self.from.to_string())];
        query.extend(self.attempt.map(|attempt| ("attempt", attempt.to_string())));
        if let Some(tensor) = &self.siblings {
            query.push(("tensor", tensor.clone()));
            let text = |siblings: &Vec<_>| distances::siblings_text(siblings);
            return answer(&source, self.format, "/api/v1/siblings", query, text, |store| {
                Ok(distances::siblings(store, &from, tensor)?)
            });
        }
        let Some(step) = self.to else { bail!("name a second step, or a tensor with --siblings") };
        let run = RunId::new(self.with.as_ref().unwrap_or(&self.run));
        let to = Named { run, attempt: self.attempt, step };
        query.push(("to", step.to_string()));
        query.extend(self.with.clone().map(|run| ("with", run)));
        answer(&source, self.format, "/api/v1/distance", query, distances::distance_text, |store| {
            Ok(distances::distance(store, &from, &to)?)
        })
    }
}

/// Prints what the store or the daemon that has it answers.
pub fn answer<T: Serialize>(
    source: &Source,
    format: Format,
    path: &str,
    query: Vec<(&str, String)>,
    words: impl FnOnce(&T) -> String,
    look: impl FnOnce(&Store) -> anyhow::Result<T>,
) -> anyhow::Result<Exit> {
    let text = match source {
        Source::Store(store) => {
            let found = look(store)?;
            match format {
                Format::Text => words(&found),
                Format::Json => format!("{}\n", serde_json::to_string_pretty(&found)?),
            }
        }
        Source::Daemon(daemon) => {
            let mut query: Vec<(&str, &str)> =
                query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            query.push(("format", if format == Format::Text { "text" } else { "json" }));
            daemon.get(path, &query)?
        }
    };
    match format {
        Format::Text => output::prose(&text)?,
        Format::Json => output::text(&text)?,
    }
    Ok(Exit::Done)
}
