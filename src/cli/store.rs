//! `weighbridge store …`: the store itself.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::source::{Source, StoreArg};
use super::{Exit, Run, output};
use crate::store::{self, Store};
use crate::terms::RunId;
use crate::{config, measure};

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
    /// Make both copies whole again as far as either has what the other lost
    Repair(StoreArg),
    /// Sizes, by run and kind
    Stats(StoreArg),
    /// Take away what the retention of the configuration does not keep, and give the room back
    Compact(Kept),
    /// Forget a run for good
    Forget {
        /// The run
        run: String,
        #[command(flatten)]
        store: StoreArg,
    },
    /// Write everything into one new file
    Backup {
        /// The file; it must not be there yet
        file: PathBuf,
        #[command(flatten)]
        store: StoreArg,
    },
    /// Make a store from a backup
    Restore {
        /// The backup
        file: PathBuf,
        /// Directory of the store; it must be empty or not there yet
        #[arg(long, value_name = "DIR")]
        store: PathBuf,
    },
    /// Bring the store to this program's schema, as opening it does
    Migrate {
        #[command(flatten)]
        store: StoreArg,
        /// Only say what would be done, and how much room it needs
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
struct Kept {
    #[command(flatten)]
    store: StoreArg,
    /// Configuration whose `keep.retention` says what is kept; else the defaults
    #[arg(long, value_name = "FILE", conflicts_with = "small")]
    config: Option<PathBuf>,
    /// Keep sketches and quantiles of few checkpoints only: 500 of a 148-tensor model in less than 80 MB
    #[arg(long)]
    small: bool,
}

impl Run for StoreCommand {
    const NAME: &'static str = "store";
    const ABOUT: &'static str = "Verify, repair, measure, shrink, back up or migrate a store";

    fn run(self) -> anyhow::Result<Exit> {
        match self.deed {
            Deed::Verify(arg) => {
                let store = Source::at_rest(&arg.store)?;
                let mut verified = store.verify()?;
                // What opening came upon is damage too, although it is mended by now.
                verified.damage.splice(..0, store.damage());
                print(&verified)?;
                Ok(if verified.damage.is_empty() { Exit::Done } else { Exit::Failed })
            }
            Deed::Repair(arg) => print(&Source::at_rest(&arg.store)?.repair()?),
            Deed::Stats(arg) => match Source::open(&arg.store)? {
                Source::Store(store) => print(&store.stats()?),
                Source::Daemon(daemon) => {
                    output::text(&daemon.get("/api/v1/store", &[])?)?;
                    Ok(Exit::Done)
                }
            },
            Deed::Compact(kept) => compact(&kept),
            Deed::Forget { run, store } => print(&Source::at_rest(&store.store)?.forget(&RunId::new(run))?),
            Deed::Backup { file, store } => match Source::open(&store.store)? {
                Source::Store(store) => print(&store.backup(&file)?),
                Source::Daemon(daemon) => {
                    daemon.save("/api/v1/store/backup", &file)?;
                    print(&Store::check_backup(&file)?)
                }
            },
            Deed::Restore { file, store } => {
                let settings = store::Settings::default();
                print(&Store::restore(&file, &store, &measure::catalog(), &settings)?.verify()?)
            }
            Deed::Migrate { store, dry_run } => {
                let plan = store::migration_plan(&store.store)?;
                if !dry_run {
                    drop(Source::at_rest(&store.store)?);
                }
                print(&plan)
            }
        }
    }
}

fn compact(kept: &Kept) -> anyhow::Result<Exit> {
    let settings = match &kept.config {
        Some(file) => config::load(file)?.store,
        None if kept.small => {
            store::Settings { retention: store::Retention::small(), ..store::Settings::default() }
        }
        None => store::Settings::default(),
    };
    // Checks that there is a store, and that no daemon has it.
    drop(Source::at_rest(&kept.store.store)?);
    print(&Store::open(&kept.store.store, &measure::catalog(), &settings)?.compact()?)
}

fn print(answer: &impl Serialize) -> anyhow::Result<Exit> {
    output::text(&format!("{}\n", serde_json::to_string_pretty(answer)?))?;
    Ok(Exit::Done)
}
