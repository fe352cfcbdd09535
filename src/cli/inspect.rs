//! `weighbridge inspect`: everything about one checkpoint, at once.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::progress::Bar;
use super::{Exit, Run, output};
use crate::config::{self, Config};
use crate::daemon::{self, Weighing};
use crate::terms::{Reading, Tier};
use crate::{checkpoint, measure, report};

/// Weighs one checkpoint and shows everything about it.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Checkpoint: a file or a directory
    path: PathBuf,
    /// Earlier checkpoint to compare with
    #[arg(long, value_name = "PATH")]
    previous: Option<PathBuf>,
    /// Highest tier of metrics: 1 one pass, 2 spectra's top and heads, 3 everything
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=3), default_value_t = 3)]
    tier: u8,
    /// Elements and spectra alone: norms, ranks and power laws of the matrices; no rows, no components, no heads
    #[arg(long)]
    spectra: bool,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// File to write to instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Configuration file: its formats, limits and families are used
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Threads
    #[arg(long, default_value_t = threads())]
    threads: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for people
    Text,
    /// One JSON object
    Json,
    /// One self-contained page with pictures
    Html,
}

/// Enough for small histograms and for the tails of quantile plots.
const QUANTILES: usize = 64;

impl Run for Inspect {
    const NAME: &'static str = "inspect";
    const ABOUT: &'static str = "Weigh one checkpoint and show everything about it";

    fn run(self) -> anyhow::Result<Exit> {
        let tier = match self.tier {
            1 => Tier::One,
            2 => Tier::Two,
            _ => Tier::Three,
        };
        let mut weighing = weighing(self.config.as_deref(), tier, self.threads)?;
        weighing.plan.quantiles = QUANTILES;
        weighing.plan.spectra_alone = self.spectra;
        weighing.plan.rows &= !self.spectra;
        weighing.plan.spectra_of_previous = true;
        let reading = weigh(&self.path, self.previous.as_deref(), weighing)?;
        let failed = reading.tensors.is_empty() && !reading.problems.is_empty();
        if failed && self.format == Format::Text {
            tell_problems(&reading);
            return Ok(Exit::Failed);
        }
        let answers = report::answers(&reading);
        let catalog = measure::catalog();
        let text = match self.format {
            Format::Json => {
                let value = report::inspect_json(&reading, &catalog, &answers);
                format!("{}\n", serde_json::to_string(&value)?)
            }
            Format::Text => {
                let terminal =
                    if self.output.is_none() { super::terminal() } else { report::Terminal::default() };
                report::inspect_text(&reading, &catalog, &answers, &terminal)
            }
            Format::Html => report::inspect_html(&reading, &catalog, &answers, daemon::weights(&reading)),
        };
        match &self.output {
            Some(file) => std::fs::write(file, text).with_context(|| format!("{}", file.display()))?,
            None => output::text(&text)?,
        }
        tell_problems(&reading);
        Ok(if failed { Exit::Failed } else { Exit::Done })
    }
}

/// What could not be read is told, whatever the format.
pub fn tell_problems(reading: &Reading) {
    for problem in &reading.problems {
        output::remark(&format!("weighbridge: {problem}; {}", problem.remedy));
    }
}

/// Weighs a checkpoint for a command, with a bar on a terminal.
pub fn weigh(path: &Path, previous: Option<&Path>, weighing: Weighing) -> anyhow::Result<Reading> {
    let candidate = checkpoint::candidate_at(path, &weighing.checkpoint)?;
    let bar = Bar::new(candidate.files.iter().map(|file| file.bytes).sum());
    bar.say(format!("weighing step {}", candidate.step));
    let reading = daemon::single(path, previous, &weighing, &bar);
    bar.clear();
    Ok(reading?)
}

/// How a single checkpoint is weighed: by the configuration, everything of that tier, without memories. What it
/// leaves in the page cache stays there, as after any other command: it is often asked for twice.
pub fn weighing(config: Option<&Path>, tier: Tier, threads: usize) -> anyhow::Result<Weighing> {
    let mut weighing = config.map_or_else(|| Ok(Config::default()), config::load)?.weighing;
    weighing.tensor.spare_page_cache = false;
    weighing.plan =
        measure::Plan { tier, threads, sketch_len: 0, quantiles: 0, spectra_budget: None, ..weighing.plan };
    Ok(weighing)
}

/// As many as there are processors.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
