//! `weighbridge history`: one metric over the checkpoints of every run.

use anyhow::bail;
use clap::{Args, ValueEnum};
use globset::Glob;

use super::source::{Source, StoreArg};
use super::{Exit, Run, output};
use crate::store::{Series, Store};
use crate::terms::{RunId, Subject};
use crate::{measure, report};

/// Writes the series of one metric.
#[derive(Debug, Args)]
pub struct History {
    #[command(flatten)]
    store: StoreArg,
    /// Metric, as `weighbridge explain` lists them
    #[arg(long)]
    metric: String,
    /// Only tensors whose names match, for example '*.attn.*'
    #[arg(long, value_name = "GLOB")]
    tensor: Option<String>,
    /// Only this run
    #[arg(long)]
    run: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = report::HistoryFormat::Csv)]
    format: report::HistoryFormat,
}

impl Run for History {
    const NAME: &'static str = "history";
    const ABOUT: &'static str = "Write the series of one metric, for scripts, spreadsheets or promtool";

    fn run(self) -> anyhow::Result<Exit> {
        let catalog = measure::catalog();
        let Some(metric) = catalog.get(&self.metric) else {
            bail!("no metric is called {:?}; `weighbridge explain` lists them", self.metric);
        };
        let text = match Source::open(&self.store.store)? {
            Source::Store(store) => report::history(&self.series(&store)?, metric, self.format),
            Source::Daemon(daemon) => {
                let format = self.format.to_possible_value().map(|value| value.get_name().to_owned());
                let mut query = vec![("metric", self.metric.as_str())];
                query.extend(self.tensor.as_deref().map(|glob| ("tensor", glob)));
                query.extend(self.run.as_deref().map(|run| ("run", run)));
                query.extend(format.as_deref().map(|format| ("format", format)));
                daemon.get("/api/v1/history", &query)?
            }
        };
        output::text(&text)?;
        Ok(Exit::Done)
    }
}

impl History {
    fn series(&self, store: &Store) -> anyhow::Result<Vec<(RunId, Series)>> {
        let glob = self.tensor.as_deref().map(Glob::new).transpose()?.map(|glob| glob.compile_matcher());
        let wanted = |subject: &Subject| match (&glob, subject) {
            (None, _) => true,
            (Some(glob), Subject::Tensor(name)) => glob.is_match(&**name),
            (Some(_), _) => false,
        };
        if let Some(run) =
            self.run.as_deref().filter(|&run| store.runs().iter().all(|at| at.run.as_str() != run))
        {
            bail!("run {run} is not in this store");
        }
        let mut all = Vec::new();
        for summary in store.runs() {
            if self.run.as_deref().is_none_or(|run| run == summary.run.as_str()) {
                let series = store.series(&summary.run, &self.metric, &wanted)?;
                all.extend(series.into_iter().map(|series| (summary.run.clone(), series)));
            }
        }
        Ok(all)
    }
}
