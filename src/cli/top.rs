//! `weighbridge top`: runs live in the terminal.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::{Exit, Run, output};
use crate::report;
use crate::telemetry::now_seconds;

/// Shows the runs of a daemon, drawn anew every few seconds.
#[derive(Debug, Args)]
pub struct Top {
    /// Address of the daemon
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:10190")]
    listen: String,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// Look once and end; always so when the output is not a terminal
    #[arg(long)]
    once: bool,
}

/// An answer that takes longer than this means that the daemon hangs.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Cursor to the top left, everything below it gone: less flicker than clearing first.
const HOME: &str = "\u{1b}[H\u{1b}[J";

impl Run for Top {
    const NAME: &'static str = "top";
    const ABOUT: &'static str = "Show the runs of a daemon live in the terminal";

    fn run(self) -> anyhow::Result<Exit> {
        let live = std::io::stdout().is_terminal() && !self.once;
        loop {
            // Windows change their size while one looks.
            let terminal = if live { super::terminal() } else { report::Terminal::default() };
            let text = report::top_text(&self.state()?, now_seconds(), &terminal);
            output::text(&if live { format!("{HOME}{text}") } else { text })?;
            if !live {
                return Ok(Exit::Done);
            }
            std::thread::sleep(Duration::from_secs(self.every));
        }
    }
}

impl Top {
    fn state(&self) -> anyhow::Result<serde_json::Value> {
        let url = format!("http://{}/api/v1/state?limit=1000", self.listen);
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_MAX)).build();
        let mut answer = ureq::Agent::new_with_config(config).get(&url).call().with_context(|| {
            format!("no daemon answers at {}; name its address with --listen", self.listen)
        })?;
        Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
    }
}
