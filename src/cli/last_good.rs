//! `weighbridge last-good`: where a resume script should begin.

use anyhow::bail;
use clap::Args;

use super::source::{Source, StoreArg};
use super::{Exit, Run, output};
use crate::daemon;
use crate::terms::RunId;

/// Prints the path of the newest checkpoint with no finding at or above warning.
#[derive(Debug, Args)]
pub struct LastGood {
    #[command(flatten)]
    store: StoreArg,
    /// The run
    #[arg(long)]
    run: String,
}

impl Run for LastGood {
    const NAME: &'static str = "last-good";
    const ABOUT: &'static str = "Print the path of the newest checkpoint that nothing was found in";

    fn run(self) -> anyhow::Result<Exit> {
        let path = match Source::open(&self.store.store)? {
            Source::Store(store) => {
                let run = RunId::new(&self.run);
                let known = daemon::known(&store, &run)?;
                if known.is_empty() {
                    bail!("run {run} is not in this store");
                }
                let findings = store.findings(Some(&run))?;
                let good = daemon::last_good(&known, findings.iter());
                good.map(|known| known.checkpoint.path.to_string_lossy().into_owned())
            }
            Source::Daemon(daemon) => {
                let path = daemon.get("/api/v1/last-good", &[("run", self.run.as_str())])?;
                Some(path.trim().to_owned()).filter(|path| !path.is_empty())
            }
        };
        let Some(path) = path else { bail!("run {}: no checkpoint without a finding", self.run) };
        output::text(&format!("{path}\n"))?;
        Ok(Exit::Done)
    }
}
