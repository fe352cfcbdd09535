//! From the schema a store was written in to the one of this program, step by step.
//!
//! A step writes a whole new store beside the old one, so that it can be killed at any time: what is not
//! complete is thrown away and begun again. A complete one is swapped in by renames, each of which can be done
//! or not yet done; the old files end up under `kept/vN`, untouched, until the user removes them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::care::disk_bytes;
use super::lock::Lock;
use super::{Error, Settings, journal, recover, schema};

#[path = "../../migrations/0002_journal.rs"]
mod journal_beside_the_database;

/// Old versions of a store are kept under this name.
pub const KEPT: &str = "kept";
const NEW: &str = "migrating";
const COMPLETE: &str = "complete";

/// One step.
pub struct Migration {
    /// Version it starts from.
    pub from: u32,
    /// Version it comes to.
    pub to: u32,
    /// What changes, in one line.
    pub summary: &'static str,
    /// Writes the new store into an empty directory from the old one's directory.
    pub run: fn(old: &Path, new: &Path, settings: &Settings) -> Result<(), Error>,
}

/// All steps, oldest first.
pub static MIGRATIONS: &[Migration] = &[journal_beside_the_database::MIGRATION];

/// What a migration would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Version found; none where there is no store.
    pub found: Option<u32>,
    /// Version of this program.
    pub target: u32,
    /// One line a step.
    pub steps: Vec<String>,
    /// Bytes of the store now.
    pub bytes: u64,
    /// Bytes that the steps need at most while they run: the old store stays until the new one is complete.
    pub needed_bytes: u64,
    /// Where the old files will be kept.
    pub kept_at: Option<PathBuf>,
}

/// What opening the store in `dir` would migrate; changes nothing.
pub fn plan(dir: &Path) -> Result<Plan, Error> {
    if !dir.is_dir() {
        return Ok(Plan {
            found: None,
            target: schema::SCHEMA,
            steps: Vec::new(),
            bytes: 0,
            needed_bytes: 0,
            kept_at: None,
        });
    }
    let _lock = Lock::take(dir)?;
    let found = schema::found(dir)?;
    refuse_newer(dir, found)?;
    let steps: Vec<String> = found.map_or(Vec::new(), |found| {
        let steps = MIGRATIONS.iter().filter(|step| step.from >= found);
        steps.map(|step| format!("{} to {}: {}", step.from, step.to, step.summary)).collect()
    });
    let bytes = disk_bytes(dir) - disk_bytes(&dir.join(KEPT));
    let kept_at = found.filter(|_| !steps.is_empty()).map(|found| kept(dir, found));
    let needed_bytes = if steps.is_empty() { 0 } else { bytes * 3 / 2 };
    Ok(Plan { found, target: schema::SCHEMA, steps, bytes, needed_bytes, kept_at })
}

fn kept(dir: &Path, version: u32) -> PathBuf {
    dir.join(KEPT).join(format!("v{version}"))
}

fn refuse_newer(dir: &Path, found: Option<u32>) -> Result<(), Error> {
    match found {
        Some(found) if found > schema::SCHEMA => {
            Err(Error::Newer { dir: dir.to_owned(), found, known: schema::SCHEMA })
        }
        _ => Ok(()),
    }
}

/// Does every step that is needed; the caller holds the lock.
pub fn bring_to_this_version(dir: &Path, settings: &Settings) -> Result<(), Error> {
    loop {
        swap_in(dir)?;
        let found = schema::found(dir)?;
        refuse_newer(dir, found)?;
        let step = found.and_then(|found| MIGRATIONS.iter().find(|step| step.from == found));
        let Some(step) = step else { return schema::note(dir) };
        let new = dir.join(NEW);
        let io = |error: std::io::Error| Error::io(&new, "migrate into", &error);
        if new.exists() {
            fs::remove_dir_all(&new).map_err(io)?;
        }
        fs::create_dir(&new).map_err(io)?;
        (step.run)(dir, &new, settings)?;
        fs::write(new.join(COMPLETE), format!("{} {}\n", step.from, step.to)).map_err(io)?;
        fs::File::open(new.join(COMPLETE)).and_then(|file| file.sync_all()).map_err(io)?;
        journal::sync_dir(&new)?;
    }
}

/// Puts a complete new store in the place of the old one, from wherever that was left.
fn swap_in(dir: &Path) -> Result<(), Error> {
    let new = dir.join(NEW);
    let Ok(text) = fs::read_to_string(new.join(COMPLETE)) else { return Ok(()) };
    let mut versions = text.split_whitespace().map(str::parse::<u32>);
    let (Some(Ok(from)), Some(Ok(to))) = (versions.next(), versions.next()) else { return Ok(()) };
    let kept = kept(dir, from);
    let io = |error: std::io::Error| Error::io(&new, "swap in", &error);
    fs::create_dir_all(&kept).map_err(io)?;
    for entry in fs::read_dir(&new).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        if name == COMPLETE {
            continue;
        }
        // As long as the new one is still here, what has its name in the store is the old one.
        if dir.join(&name).exists() {
            fs::rename(dir.join(&name), kept.join(&name)).map_err(io)?;
        }
        fs::rename(new.join(&name), dir.join(&name)).map_err(io)?;
    }
    journal::sync_dir(&kept)?;
    journal::sync_dir(dir)?;
    schema::write(dir, to)?;
    fs::remove_dir_all(&new).map_err(io)
}

/// Names of the directories that steps make.
pub mod names {
    pub use super::recover::{DATABASE, JOURNAL};
}
