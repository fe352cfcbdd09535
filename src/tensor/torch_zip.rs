//! torch's zip archives (`.pt`, `.pth`, `.bin`, `.ckpt`): a pickle `data.pkl` and one entry a storage.
//!
//! The pickle is read by our own machine, which runs nothing; the storages are stored without
//! compression and read in place. `candle-core` has a reader too, but it loads whole storages and brings
//! a tensor library with it.

use std::sync::Arc;

use super::archive::{Archive, Entry, MAGIC};
use super::pickle::{self, Pickle};
use super::{Format, Found, Input, torch};
use crate::terms::{Problem, ProblemKind};

/// The format.
pub struct TorchZip;

impl Format for TorchZip {
    fn name(&self) -> &'static str {
        "torch zip"
    }

    fn summary(&self) -> &'static str {
        "state dicts, nested or wrapped by a trainer, and modules saved whole; strides and shared storages; \
         sparse and quantised tensors are listed as skipped; optimizer states are looked into"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["pt", "pth", "ckpt", "bin"]
    }

    fn sniff(&self, head: &[u8], _file: &Input) -> bool {
        head.starts_with(MAGIC)
    }

    fn collect(&self, file: &Arc<Input>, found: &mut Found) {
        if let Err(problem) = collect(file, found) {
            found.problem(problem);
        }
    }

    fn check_lengths(&self, file: &Arc<Input>) -> Option<Problem> {
        match Archive::open(file, 0, file.bytes()) {
            Ok(mut archive) => {
                let no_pickle = torch::pickle_name(&archive).is_none().then(|| no_pickle(file));
                archive.problems.pop().or(no_pickle)
            }
            Err(problem) => Some(problem),
        }
    }
}

fn collect(file: &Arc<Input>, found: &mut Found) -> Result<(), Problem> {
    let archive = TorchArchive::open(file, found)?;
    torch::add_tensors(file, &archive.pickle, &|key| archive.storage(key), &|_| false, found);
    Ok(())
}

/// An archive whose pickle was read.
pub struct TorchArchive {
    archive: Archive,
    prefix: String,
    /// Its objects.
    pub pickle: Pickle,
}

impl TorchArchive {
    /// Reads directory and pickle; tells what is wrong with entries and what the pickle tried.
    pub fn open(file: &Arc<Input>, found: &mut Found) -> Result<Self, Problem> {
        let mut archive = Archive::open(file, 0, file.bytes())?;
        std::mem::take(&mut archive.problems).into_iter().for_each(|problem| found.problem(problem));
        let name = torch::pickle_name(&archive).ok_or_else(|| no_pickle(file))?.to_owned();
        let prefix = name.strip_suffix("data.pkl").unwrap_or("").to_owned();
        if let Some(order) = archive.entries.get(&format!("{prefix}byteorder"))
            && archive.read(order)?.starts_with(b"big")
        {
            let detail = "was written on a machine that puts the big end first";
            return Err(file.problem(
                ProblemKind::Malformed,
                detail,
                "save it again on a little-endian machine",
            ));
        }
        let entry = archive.entries[&name];
        let content = archive.read(&entry)?;
        let pickle =
            pickle::parse(&content).map_err(|error| torch::pickle_problem(file, entry.offset, error))?;
        torch::accuse(file, &pickle, entry.offset, found);
        Ok(Self { archive, prefix, pickle })
    }

    /// Where a storage lies.
    pub fn storage(&self, key: &str) -> Option<Entry> {
        self.archive.entries.get(&format!("{}data/{key}", self.prefix)).copied()
    }
}

fn no_pickle(file: &Input) -> Problem {
    let detail = "the archive has no data.pkl: torch did not write it";
    file.problem(ProblemKind::Malformed, detail, "point at the weights' files only")
}
