//! Looks at directories and files by name, size and time, and nothing else.
//!
//! A directory's listing is kept as long as its modification time stands: adding, removing and renaming
//! entries changes it, so that a run with hundreds of checkpoints costs one `stat` a look.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::json::problem;
use super::layouts::is_unfinished;
use crate::terms::{FileStamp, Problem, ProblemKind};

/// Entries of one directory that are looked at: a run with more checkpoints than this does not exist,
/// a directory of training samples may well.
pub(super) const ENTRIES_MAX: usize = 100_000;
/// Files of one checkpoint: 4096 ranks with 4 files each, and room.
const FILES_MAX: usize = 20_000;
/// Directories within a checkpoint's directory.
const DEPTH_MAX: usize = 4;
/// A listing younger than this after its directory's last change may have missed a change within the
/// same tick of the file system's clock.
const RACY_NS: i64 = 2_000_000_000;

/// What an entry of a directory is, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link that leads out of the watched directory, or nowhere.
    Outside,
    /// A pipe, socket or device.
    Special,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is, links followed.
    pub kind: Kind,
    /// Where it leads, if it is a link.
    pub link: Option<PathBuf>,
}

/// The entries of one directory, sorted by name. Names that are not UTF-8 are left out and counted.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The directory, absolute.
    pub path: PathBuf,
    /// Its entries.
    pub entries: Vec<Entry>,
    /// Entries that were left out: names that are not UTF-8, or beyond the limit.
    pub left_out: usize,
}

impl Listing {
    /// Entries that look like weights or checkpoints and are not looked into, and names left out.
    pub(super) fn refused(&self) -> Vec<Problem> {
        let is_link_out = |entry: &&Entry| entry.kind == Kind::Outside && entry.link.is_some();
        let odd = self.entries.iter().filter(|entry| entry.kind == Kind::Special || is_link_out(entry));
        let odd = odd.filter(|entry| !is_unfinished(&entry.name) && !entry.name.ends_with(".json"));
        let mut problems: Vec<Problem> =
            odd.filter_map(|entry| refused(&self.path.join(&entry.name), entry.kind)).collect();
        if self.left_out > 0 {
            let detail = format!(
                "{} entries are not looked at: their names are not UTF-8, or they are too many",
                self.left_out
            );
            problems.push(problem(
                ProblemKind::Hostile,
                &self.path,
                detail,
                "rename them, or watch the runs' own directories",
            ));
        }
        problems
    }

    /// The entry of that name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok().map(|at| &self.entries[at])
    }

    /// Names of the directories in it.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        self.of(Kind::Directory)
    }

    /// Names of the files in it.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.of(Kind::File)
    }

    /// True when that name is a file.
    pub fn has_file(&self, name: &str) -> bool {
        self.entry(name).is_some_and(|entry| entry.kind == Kind::File)
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(move |entry| entry.kind == kind).map(|entry| entry.name.as_str())
    }
}

/// Lists directories and remembers them.
#[derive(Debug, Default)]
pub(super) struct Disk {
    kept: HashMap<PathBuf, Kept>,
    round: u64,
}

#[derive(Debug)]
struct Kept {
    listing: Arc<Listing>,
    modified_ns: i64,
    listed_ns: i64,
    round: u64,
}

impl Disk {
    /// A new look: each directory is asked for its time once in it. Forgets what the last look did not
    /// come by.
    pub(super) fn begin(&mut self) {
        let last = self.round;
        self.kept.retain(|_, kept| kept.round == last);
        self.round += 1;
    }

    /// Reads this directory afresh the next time.
    pub(super) fn forget(&mut self, path: &Path) {
        self.kept.remove(path);
    }

    /// The entries of a directory. Links are followed where they stay within `boundary`; without one,
    /// everywhere.
    pub(super) fn list(&mut self, path: &Path, boundary: Option<&Path>) -> io::Result<Arc<Listing>> {
        let round = self.round;
        if let Some(kept) = self.kept.get(path)
            && kept.round == round
        {
            return Ok(kept.listing.clone());
        }
        let modified_ns = modified_ns(&fs::metadata(path)?);
        if let Some(kept) = self.kept.get_mut(path)
            && kept.modified_ns == modified_ns
            && kept.listed_ns - modified_ns > RACY_NS
        {
            kept.round = round;
            return Ok(kept.listing.clone());
        }
        let listed_ns = now_ns();
        let listing = Arc::new(read_directory(path, boundary)?);
        let kept = Kept { listing: listing.clone(), modified_ns, listed_ns, round };
        self.kept.insert(path.to_path_buf(), kept);
        Ok(listing)
    }
}

fn read_directory(path: &Path, boundary: Option<&Path>) -> io::Result<Listing> {
    let mut listing = Listing { path: path.to_path_buf(), ..Listing::default() };
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            listing.left_out += 1;
            continue;
        };
        if listing.entries.len() == ENTRIES_MAX {
            listing.left_out += 1;
            continue;
        }
        let kind = entry.file_type()?;
        let (kind, link) = match () {
            () if kind.is_file() => (Kind::File, None),
            () if kind.is_dir() => (Kind::Directory, None),
            () if kind.is_symlink() => follow(&entry.path(), boundary),
            () => (Kind::Special, None),
        };
        listing.entries.push(Entry { name, kind, link });
    }
    listing.entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

/// What a link leads to.
fn follow(path: &Path, boundary: Option<&Path>) -> (Kind, Option<PathBuf>) {
    let Ok(target) = fs::canonicalize(path) else {
        return (Kind::Outside, None);
    };
    let inside = boundary.is_none_or(|boundary| target.starts_with(boundary));
    let kind = match fs::metadata(&target) {
        Ok(metadata) if inside && metadata.is_file() => Kind::File,
        Ok(metadata) if inside && metadata.is_dir() => Kind::Directory,
        Ok(_) if inside => Kind::Special,
        _ => Kind::Outside,
    };
    (kind, Some(target))
}

/// The files of one checkpoint.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// Relative to the root, sorted by path.
    pub(super) files: Vec<FileStamp>,
    /// Hash over size, times, inode of every file: changes when anything about them does.
    pub(super) identity: u64,
    /// Links out of the watched directory, pipes, too many files.
    pub(super) problems: Vec<Problem>,
}

/// Looks at every file below the directory `root`.
pub(super) fn collect_directory(root: &Path, boundary: Option<&Path>) -> io::Result<Collected> {
    let mut collected = Collected::default();
    let mut identities = Vec::new();
    let mut todo = vec![(PathBuf::new(), 0)];
    while let Some((below, depth)) = todo.pop() {
        let listing = match read_directory(&root.join(&below), boundary) {
            Err(error) if depth > 0 && error.kind() == io::ErrorKind::NotFound => continue,
            listing => listing?,
        };
        for entry in &listing.entries {
            let path = below.join(&entry.name);
            let counts = entry.name == ".metadata" || !is_unfinished(&entry.name);
            match entry.kind {
                _ if !counts => {}
                Kind::Directory if depth < DEPTH_MAX && entry.link.is_none() => todo.push((path, depth + 1)),
                Kind::Directory => {}
                Kind::File if collected.files.len() == FILES_MAX => {
                    let detail = format!("more than {FILES_MAX} files; the rest is not looked at");
                    collected.problems.push(problem(
                        ProblemKind::Hostile,
                        &below,
                        detail,
                        "check what wrote them",
                    ));
                    break;
                }
                Kind::File => collected.add(root, path, &mut identities),
                kind => collected.problems.extend(refused(&path, kind)),
            }
        }
    }
    collected.finish(identities);
    Ok(collected)
}

/// Looks at these files of the directory `root`. Those that went away are left out.
pub(super) fn collect_files(root: &Path, names: &[String]) -> Collected {
    let mut collected = Collected::default();
    let mut identities = Vec::new();
    for name in names {
        collected.add(root, PathBuf::from(name), &mut identities);
    }
    collected.finish(identities);
    collected
}

impl Collected {
    fn add(&mut self, root: &Path, path: PathBuf, identities: &mut Vec<(PathBuf, [i64; 5])>) {
        // A file that went away between listing and looking is not there: the next look tells the rest.
        let Ok(metadata) = fs::metadata(root.join(&path)) else { return };
        let changed_ns = metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec();
        let modified_ns = modified_ns(&metadata);
        let numbers =
            [metadata.len() as i64, modified_ns, changed_ns, metadata.ino() as i64, metadata.dev() as i64];
        identities.push((path.clone(), numbers));
        self.files.push(FileStamp { path, bytes: metadata.len(), modified_ns });
    }

    fn finish(&mut self, mut identities: Vec<(PathBuf, [i64; 5])>) {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        identities.sort();
        let mut hasher = DefaultHasher::new();
        identities.hash(&mut hasher);
        self.identity = hasher.finish();
    }

    /// Newest modification time, seconds since 1970; 0 where there are no files.
    pub(super) fn timestamp_seconds(&self) -> f64 {
        self.files.iter().map(|file| file.modified_ns).max().unwrap_or(0) as f64 / 1e9
    }
}

/// Weights, indexes and state files that are no files are worth a word; anything else is passed over.
fn refused(path: &Path, kind: Kind) -> Option<Problem> {
    let ending = path.extension()?.to_str()?;
    ["safetensors", "bin", "pt", "pth", "ckpt", "json", "distcp", "gguf"]
        .iter()
        .find(|end| **end == ending)?;
    let (detail, remedy) = match kind {
        Kind::Outside => (
            "a link that leads out of the watched directory or nowhere; it is not followed",
            "put the file itself here, or watch the directory that it lies in",
        ),
        _ => ("not a regular file; it is not opened", "remove it from the checkpoint"),
    };
    Some(problem(ProblemKind::Hostile, path, detail.to_string(), remedy))
}

fn modified_ns(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// Modification time, size and place of one file beside a checkpoint; none where it is not there.
pub(super) fn witness(path: &Path) -> Option<(u64, i64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.len(), modified_ns(&metadata)))
}

/// True where file events cannot be relied on: NFS, SMB, Lustre, FUSE and their like. A path that
/// cannot be asked is taken as local.
pub fn is_network_file_system(path: &Path) -> bool {
    // The magic numbers of statfs(2); FUSE covers sshfs, s3fs, gcsfuse, GlusterFS and JuiceFS.
    const NETWORK: [u32; 14] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x6573_5546, // FUSE
        0x0bd0_0bd0, // Lustre
        0x4750_4653, // GPFS
        0x00c3_6400, // Ceph
        0x1983_0326, // BeeGFS
        0x7461_636f, // OCFS2
        0x0116_1970, // GFS2
        0x5346_414f, // AFS
        0x0102_1997, // 9P
        0x786f_4256, // VirtualBox shared folder
    ];
    rustix::fs::statfs(path).is_ok_and(|stat| NETWORK.contains(&(stat.f_type as u32)))
}
