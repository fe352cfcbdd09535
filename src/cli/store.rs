//! `weighbridge store …`: the store itself.

use clap::{Args, Subcommand};

use super::source::{Source, StoreArg};
use super::{Exit, Run, output};

/// Looks after a store.
#[derive(Debug, Args)]
pub struct StoreCommand {
    #[command(subcommand)]
    deed: Deed,
}

#[derive(Debug, Subcommand)]
enum Deed {
    /// Read everything and say what does not read back: exit 2 when something does not
    Verify(StoreArg),
    /// Sizes
    Stats(StoreArg),
}

impl Run for StoreCommand {
    const NAME: &'static str = "store";
    const ABOUT: &'static str = "Verify and measure a store";

    fn run(self) -> anyhow::Result<Exit> {
        match self.deed {
            Deed::Verify(arg) => {
                let verified = Source::at_rest(&arg.store)?.verify()?;
                output::text(&format!("{}\n", serde_json::to_string_pretty(&verified)?))?;
                Ok(if verified.damage.is_empty() { Exit::Done } else { Exit::Failed })
            }
            Deed::Stats(arg) => {
                let text = match Source::open(&arg.store)? {
                    Source::Store(store) => format!("{}\n", serde_json::to_string_pretty(&store.stats()?)?),
                    Source::Daemon(daemon) => daemon.get("/api/v1/store", &[])?,
                };
                output::text(&text)?;
                Ok(Exit::Done)
            }
        }
    }
}
