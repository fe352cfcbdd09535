//! Keeps the last good checkpoint from rotation: hard links to its files in a directory of the user's choice.
//!
//! A link costs no bytes until the trainer deletes the checkpoint, and nothing is ever copied: where links
//! cannot be made, as across file systems, nothing is kept and that is said. A kept checkpoint is made
//! under another name first and gets its own when all of it is there, so that it is whole or absent.
//! `latest` in a run's directory is a symbolic link to the newest one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::checkpoint::Known;
use crate::terms::{FileStamp, RunId};

/// What is kept, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Where; on the same file system as the checkpoints and outside every watched directory. None keeps nothing.
    pub directory: Option<PathBuf>,
    /// Good checkpoints of a run that are kept; older ones are let go.
    pub checkpoints_max: usize,
    /// Most bytes of all kept checkpoints together, 0 for no limit. They take room once the originals are deleted.
    pub bytes_max: u64,
}

impl Default for Keeping {
    /// One checkpoint is enough to go back to.
    fn default() -> Self {
        Self { directory: None, checkpoints_max: 1, bytes_max: 0 }
    }
}

/// Files of one checkpoint. A sharded checkpoint of the largest models has some ten thousand.
const FILES_MAX: usize = 100_000;
/// Name of the link to the newest kept checkpoint.
const LATEST: &str = "latest";
/// Ending of a checkpoint that is not whole yet.
const PART: &str = ".part";

impl Keeping {
    /// Why this directory cannot be used beside these watched ones.
    pub fn check(&self, roots: &[PathBuf]) -> Result<(), String> {
        let Some(directory) = &self.directory else { return Ok(()) };
        fs::create_dir_all(directory)
            .map_err(|error| format!("last_good.directory {}: {error}", directory.display()))?;
        let directory = directory.canonicalize().map_err(|error| error.to_string())?;
        match roots.iter().find(|root| directory.starts_with(root) || root.starts_with(&directory)) {
            None => Ok(()),
            Some(root) => Err(format!(
                "last_good.directory {} and the watched directory {} lie in each other; what is kept would be \
                 weighed again, so choose one beside it",
                directory.display(),
                root.display()
            )),
        }
    }

    /// Keeps this checkpoint of the run in `run_directory`. True when it was not kept before.
    pub fn keep(&self, run: &RunId, run_directory: &Path, good: &Known) -> Result<bool, String> {
        let Some(directory) = &self.directory else { return Ok(false) };
        let home = directory.join(plain(run)?);
        let path = &good.checkpoint.path;
        let name = path.file_name().ok_or("the checkpoint has no name")?.to_owned();
        let kept = home.join(&name);
        let files = files_of(path, run_directory, &good.checkpoint.files)?;
        if is_kept(&kept, &files) {
            return Ok(false);
        }
        let bytes = files.iter().map(|file| file.bytes).sum();
        self.make_room(directory, &home, bytes)?;
        let said = |what: &str, error: io::Error| {
            format!(
                "{what}: {error}{}",
                if error.kind() == io::ErrorKind::CrossesDevices { CROSSES } else { "" }
            )
        };
        let mut part = name.clone();
        part.push(PART);
        let part = home.join(part);
        remove(&part).map_err(|error| said("cannot clear what an earlier try left", error))?;
        link_all(&files, &part).map_err(|error| {
            let _ = remove(&part);
            said("cannot link", error)
        })?;
        if !is_unchanged(run_directory, &good.checkpoint.files) {
            let _ = remove(&part);
            return Err(String::from("its files changed or went away meanwhile"));
        }
        remove(&kept)
            .and_then(|()| fs::rename(&part, &kept))
            .map_err(|error| said("cannot rename", error))?;
        point_to(&home, &name).map_err(|error| said("cannot point to it", error))?;
        let _ = fs::File::open(&home).and_then(|directory| directory.sync_all());
        self.let_go(&home, &kept);
        Ok(true)
    }

    /// Lets older checkpoints go until the new one fits the budget, the run's own first.
    fn make_room(&self, directory: &Path, home: &Path, bytes: u64) -> Result<(), String> {
        if self.bytes_max == 0 {
            return Ok(());
        }
        let mut all = used(directory);
        let mut kept = by_age(home);
        while all.saturating_add(bytes) > self.bytes_max && !kept.is_empty() {
            let oldest = kept.remove(0);
            let freed = used(&oldest);
            // The newest one is all that the run has: it goes only when the new one fits then.
            if kept.is_empty() && (all - freed).saturating_add(bytes) > self.bytes_max {
                break;
            }
            let _ = remove(&oldest);
            all -= freed;
        }
        if all.saturating_add(bytes) <= self.bytes_max {
            return Ok(());
        }
        Err(format!(
            "its {bytes} bytes do not fit into last_good.gibibytes_max, {all} bytes are kept already"
        ))
    }

    fn let_go(&self, home: &Path, newest: &Path) {
        let kept = by_age(home);
        let spare = kept.len().saturating_sub(self.checkpoints_max.max(1));
        for old in kept.iter().filter(|path| path.as_path() != newest).take(spare) {
            let _ = remove(old);
        }
    }
}

/// Said where links would have to cross file systems.
const CROSSES: &str =
    "; last_good.directory must lie on the file system of the checkpoints, nothing is copied";

/// One file to link.
struct Piece {
    from: PathBuf,
    /// Below the kept checkpoint; empty where the checkpoint is one bare file.
    to: PathBuf,
    bytes: u64,
    identity: (u64, u64),
}

impl Piece {
    /// Its place in the checkpoint that is kept as `kept`.
    fn below(&self, kept: &Path) -> PathBuf {
        if self.to.as_os_str().is_empty() { kept.to_owned() } else { kept.join(&self.to) }
    }
}

/// A run's name as one directory's: runs may lie in each other, and one must not count as the other's checkpoint.
fn plain(run: &RunId) -> Result<String, String> {
    let name = run.as_str().replace('%', "%25").replace('/', "%2F");
    let mut parts = Path::new(&name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) => Ok(name),
        _ => Err(format!("run name {name:?} is no name for a directory")),
    }
}

/// Everything in the checkpoint's directory; where that is the run's own, only what belongs to it.
fn files_of(path: &Path, run_directory: &Path, stamps: &[FileStamp]) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    if path.is_dir() && path != run_directory {
        walk(path, Path::new(""), &mut pieces)?;
    } else {
        for stamp in stamps {
            let from = run_directory.join(&stamp.path);
            let below = from.strip_prefix(path).unwrap_or(Path::new(&stamp.path)).to_owned();
            let to = if from == path { PathBuf::new() } else { below };
            pieces.push(piece(&from, to)?);
        }
    }
    if pieces.is_empty() { Err(String::from("it has no files any more")) } else { Ok(pieces) }
}

fn walk(directory: &Path, below: &Path, pieces: &mut Vec<Piece>) -> Result<(), String> {
    let fault = |error: io::Error| format!("{}: {error}", directory.display());
    for entry in fs::read_dir(directory).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let (from, to) = (entry.path(), below.join(entry.file_name()));
        let kind = entry.file_type().map_err(fault)?;
        // A link to a directory may lead anywhere, in circles too; a link to a file is followed once.
        match kind.is_dir() {
            true => walk(&from, &to, pieces)?,
            false if kind.is_file() || kind.is_symlink() && from.is_file() => pieces.push(piece(&from, to)?),
            false => {}
        }
        if pieces.len() > FILES_MAX {
            return Err(format!("more than {FILES_MAX} files"));
        }
    }
    Ok(())
}

fn piece(from: &Path, to: PathBuf) -> Result<Piece, String> {
    let fault = |error: io::Error| format!("{}: {error}", from.display());
    // A link is made to the file itself: a linked symbolic link would dangle after the rotation.
    let from = from.canonicalize().map_err(fault)?;
    let metadata = fs::metadata(&from).map_err(fault)?;
    Ok(Piece { bytes: metadata.len(), identity: (metadata.dev(), metadata.ino()), from, to })
}

fn link_all(files: &[Piece], part: &Path) -> io::Result<()> {
    for file in files {
        let to = file.below(part);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::hard_link(&file.from, to)?;
    }
    Ok(())
}

/// True when the very same files are kept under this name.
fn is_kept(kept: &Path, files: &[Piece]) -> bool {
    files.iter().all(|file| {
        fs::metadata(file.below(kept)).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == file.identity)
    })
}

/// True when the files are those that were weighed.
fn is_unchanged(run_directory: &Path, stamps: &[FileStamp]) -> bool {
    stamps.iter().all(|stamp| {
        fs::metadata(run_directory.join(&stamp.path)).is_ok_and(|metadata| {
            let modified = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
            (metadata.len(), modified) == (stamp.bytes, stamp.modified_ns)
        })
    })
}

fn point_to(home: &Path, name: &std::ffi::OsStr) -> io::Result<()> {
    let fresh = home.join(format!("{LATEST}{PART}"));
    let _ = fs::remove_file(&fresh);
    std::os::unix::fs::symlink(name, &fresh)?;
    fs::rename(&fresh, home.join(LATEST))
}

/// Kept checkpoints of a run, the one kept longest first.
fn by_age(home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(home).into_iter().flatten().flatten();
    let mut kept: Vec<_> = entries
        .filter(|entry| {
            let name = entry.file_name();
            name != LATEST && !name.to_string_lossy().ends_with(PART)
        })
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            // The time of the entry's own change: for a directory, when it was put together and named.
            Some(((metadata.ctime(), metadata.ctime_nsec()), entry.path()))
        })
        .collect();
    kept.sort();
    kept.into_iter().map(|(_, path)| path).collect()
}

/// Bytes of all files below.
fn used(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(metadata) if metadata.is_dir() => {
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| used(&entry.path())).sum()
        }
        _ => 0,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
