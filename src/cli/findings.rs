//! `weighbridge findings`: what the judge said.

use clap::{Args, ValueEnum};

use super::source::{Source, StoreArg};
use super::{Exit, Run, output};
use crate::report;
use crate::telemetry::now_seconds;
use crate::terms::RunId;

/// Lists findings in the order in which they were opened.
#[derive(Debug, Args)]
pub struct Findings {
    #[command(flatten)]
    store: StoreArg,
    /// Only this run
    #[arg(long)]
    run: Option<String>,
    /// How they are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Jsonl,
}

impl Run for Findings {
    const NAME: &'static str = "findings";
    const ABOUT: &'static str = "List what was found in the runs of a store";

    fn run(self) -> anyhow::Result<Exit> {
        let run = self.run.as_deref().map(RunId::new);
        let text = match Source::open(&self.store.store)? {
            Source::Store(store) => {
                let findings = store.findings(run.as_ref())?;
                let beside = report::Beside::of(&store, &findings, now_seconds())?;
                match self.format {
                    Format::Text => report::findings_text(&findings, &beside),
                    Format::Jsonl => report::findings_jsonl(&findings, &beside),
                }
            }
            Source::Daemon(daemon) => {
                let format = match self.format {
                    Format::Text => "text",
                    Format::Jsonl => "jsonl",
                };
                let run = self.run.as_deref().map(|run| ("run", run));
                let query: Vec<_> = [("format", format)].into_iter().chain(run).collect();
                daemon.get("/api/v1/findings", &query)?
            }
        };
        match self.format {
            Format::Text => output::prose(&text)?,
            Format::Jsonl => output::text(&text)?,
        }
        Ok(Exit::Done)
    }
}
