//! `weighbridge overlay`: several runs on one axis.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use super::source::{Remote, Source, StoreArg};
use super::{Exit, Run, output, terminal};
use crate::measure;
use crate::report::figures::run::{self as figures, OVERLAY_RUNS_MAX};
use crate::report::{self, gather};
use crate::store::Store;
use crate::terms::RunId;

/// Lays runs over each other: one line each, the median where a metric has many subjects.
#[derive(Debug, Args)]
pub struct Overlay {
    /// Runs; without any, the first eight of the store
    runs: Vec<String>,
    #[command(flatten)]
    store: StoreArg,
    /// Metric, as `weighbridge explain` lists them, or loss, learning_rate or grad_norm as the trainer logged them
    #[arg(long, default_value = "loss")]
    metric: String,
    /// Write an HTML file that opens from disk, instead of rows in the terminal
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Run for Overlay {
    const NAME: &'static str = "overlay";
    const ABOUT: &'static str = "Lay several runs over each other: loss or any metric on one axis";

    fn run(self) -> anyhow::Result<Exit> {
        if self.runs.len() > OVERLAY_RUNS_MAX {
            bail!("{} runs are too many to tell apart; name at most {OVERLAY_RUNS_MAX}", self.runs.len());
        }
        let figure = match Source::open(&self.store.store)? {
            Source::Store(store) => self.drawn(&store)?,
            Source::Daemon(daemon) => self.asked(&daemon)?,
        };
        match &self.output {
            Some(file) => {
                let text = report::overlay_html(&figure);
                std::fs::write(file, text).with_context(|| format!("{}", file.display()))?;
                output::remark(&format!("weighbridge: wrote {}", file.display()));
            }
            None => output::text(&report::overlay_text(&figure, &terminal()))?,
        }
        Ok(Exit::Done)
    }
}

impl Overlay {
    fn drawn(&self, store: &Store) -> anyhow::Result<Value> {
        let known: Vec<RunId> = store.runs().into_iter().map(|summary| summary.run).collect();
        let named = self.runs.iter().map(RunId::new).collect::<Vec<_>>();
        if let Some(missing) = named.iter().find(|run| !known.contains(run)) {
            bail!("run {missing} is not in this store");
        }
        let runs = if named.is_empty() { known.into_iter().take(OVERLAY_RUNS_MAX).collect() } else { named };
        let catalog = measure::catalog();
        let mut found = Vec::new();
        for run in runs {
            let log = gather::log(&store.checkpoint_facts(&run)?);
            let columns = match (figures::logged(&self.metric, &log), catalog.get(&self.metric)) {
                (Some(columns), _) => columns,
                (None, Some(def)) => {
                    let wanted = |subject: &crate::terms::Subject| subject.kind() == def.subject;
                    gather::columns(store.series(&run, &self.metric, &wanted)?, None)
                }
                (None, None) => {
                    bail!("no metric is called {:?}; `weighbridge explain` lists them", self.metric)
                }
            };
            found.push((run.to_string(), columns));
        }
        Ok(serde_json::to_value(figures::overlay(&self.metric, &found))?)
    }

    fn asked(&self, daemon: &Remote) -> anyhow::Result<Value> {
        let state: Value = serde_json::from_str(&daemon.get("/api/v1/state", &[("limit", "1000")])?)?;
        let items = state["runs"]["items"].as_array().into_iter().flatten();
        let mut known: Vec<String> = items.filter_map(|run| Some(run["run"].as_str()?.to_owned())).collect();
        known.sort();
        if let Some(missing) = self.runs.iter().find(|run| !known.contains(run)) {
            bail!("run {missing} is not in this store");
        }
        known.truncate(OVERLAY_RUNS_MAX);
        let runs = if self.runs.is_empty() { known } else { self.runs.clone() };
        // Names are parted by commas there.
        let runs: Vec<String> = runs.iter().map(|run| run.replace(',', "%2C")).collect();
        let query = [("runs", runs.join(",")), ("metric", self.metric.clone())];
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Ok(serde_json::from_str(&daemon.get("/api/v1/overlay", &query)?)?)
    }
}
