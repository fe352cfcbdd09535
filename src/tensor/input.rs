//! One file of a checkpoint: opened without blocking, checked to be a plain file inside the root, read
//! by position. Files are never mapped: a file cut short while mapped kills the process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::Settings;
use super::found::{harms, tame};
use crate::terms::{Problem, ProblemKind, SourceError};

/// A plain file that was opened once and can be read at any position.
#[derive(Debug)]
pub struct Input {
    path: PathBuf,
    absolute: PathBuf,
    len: u64,
    identity: (u64, u64),
    /// None where too many files are open already: opened for each read.
    file: Option<File>,
    /// True where the pages that reading leaves in memory are handed back.
    hands_back: bool,
}

impl Input {
    /// Opens `relative` below `root`. Refuses what is not a plain file and what lies outside the root
    /// without ever waiting for it. `keep` tells whether the descriptor stays open.
    pub fn open(root: &Path, relative: &Path, keep: bool, settings: &Settings) -> Result<Arc<Self>, Problem> {
        let refuse = |kind, detail: String, remedy: &str| problem(relative, kind, detail, remedy);
        // Some formats name their files inside of a file: such a name is shown before it is found on the disk.
        let name = relative.to_string_lossy();
        if harms(&name) {
            let (shown, detail) = (tame(&name), "the file's name holds control characters or is too long");
            return Err(problem(Path::new(&shown), ProblemKind::Hostile, detail, "rename the file"));
        }
        if relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(refuse(
                ProblemKind::Hostile,
                "path leads out of the checkpoint".into(),
                "name files below the checkpoint's directory only",
            ));
        }
        let told = root.join(relative);
        let absolute = fs::canonicalize(&told).map_err(|error| cannot_open(relative, &error))?;
        let home = fs::canonicalize(root).map_err(|error| cannot_open(relative, &error))?;
        if !absolute.starts_with(&home) && !settings.follow_symlinks_out {
            return Err(refuse(
                ProblemKind::Hostile,
                format!("symbolic link leads out of the checkpoint, to {}", absolute.display()),
                "copy the file into the checkpoint, or allow links that lead out (follow_symlinks_out)",
            ));
        }
        let metadata = fs::symlink_metadata(&absolute).map_err(|error| cannot_open(relative, &error))?;
        if let Some(kind) = special(&metadata) {
            return Err(refuse(
                ProblemKind::Hostile,
                format!("is a {kind}, not a plain file; it was not opened"),
                "remove it from the checkpoint's directory",
            ));
        }
        let file = open_plain(&absolute).map_err(|error| cannot_open(relative, &error))?;
        let metadata = file.metadata().map_err(|error| cannot_open(relative, &error))?;
        if !metadata.is_file() {
            let detail = "was replaced by something that is not a plain file".to_owned();
            return Err(refuse(ProblemKind::Hostile, detail, "remove it from the checkpoint's directory"));
        }
        Ok(Arc::new(Self {
            path: relative.to_owned(),
            absolute,
            len: metadata.len(),
            identity: (metadata.dev(), metadata.ino()),
            hands_back: keep && settings.spare_page_cache && !is_in_memory(&file, metadata.len()),
            file: keep.then_some(file),
        }))
    }

    /// Path relative to the checkpoint's root, as it was told.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file when it was opened.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// Fills `buffer` from byte `offset` of the file on.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.told(offset, |file| fill(file, offset, buffer))
    }

    /// Fills all `places`, one after the other, from byte `offset` of the file on.
    pub fn read_spread_at(&self, offset: u64, places: &mut [IoSliceMut<'_>]) -> Result<(), SourceError> {
        self.told(offset, |file| fill_places(file, offset, places))
    }

    /// Calls `read` with the file and tells what it says of the file.
    fn told(&self, offset: u64, read: impl FnOnce(&File) -> io::Result<()>) -> Result<(), SourceError> {
        let done = match &self.file {
            Some(file) => read(file),
            None => self.reopen().and_then(|file| read(&file)),
        };
        done.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => {
                SourceError::Gone { path: self.path.clone(), offset }
            }
            _ => SourceError::Io { path: self.path.clone(), offset, message: error.to_string() },
        })
    }

    /// The bytes from `offset` on, at most `len`; fewer where the file ends. For headers only: the
    /// caller has checked `len` against a limit.
    pub fn read_vec(&self, offset: u64, len: u64) -> Result<Vec<u8>, Problem> {
        let len = len.min(self.len.saturating_sub(offset));
        let mut bytes = vec![0; len as usize];
        self.read_at(offset, &mut bytes).map_err(|error| {
            let kind = match error {
                SourceError::Gone { .. } => ProblemKind::Rotated,
                SourceError::Io { .. } | SourceError::Stopped => ProblemKind::Unreadable,
            };
            let mut problem =
                self.problem(kind, format!("cannot read: {error}"), "weigh the checkpoint again");
            problem.offset = Some(offset);
            problem
        })?;
        Ok(bytes)
    }

    /// Hands the file's pages in the system's cache back. Advice only: pages that are not written yet, or that
    /// somebody has mapped, stay where they are.
    pub fn hand_back(&self) {
        if let Some(file) = &self.file {
            let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
        }
    }

    /// A problem of this file.
    pub fn problem(
        &self,
        kind: ProblemKind,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        problem(&self.path, kind, detail, remedy)
    }

    fn reopen(&self) -> io::Result<File> {
        let file = open_plain(&self.absolute)?;
        let metadata = file.metadata()?;
        if (metadata.dev(), metadata.ino()) != self.identity || !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(file)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if self.hands_back {
            self.hand_back();
        }
    }
}

/// Bytes of a file between two places that are asked whether they are in memory.
const PROBE_BYTES: u64 = 1 << 20;
/// Most places that are asked.
const PROBES_MAX: u64 = 32;

/// True where the file lies in the page cache, as far as some places in it tell: the job that wrote it has left it
/// there. False where the file system cannot tell.
fn is_in_memory(file: &File, bytes: u64) -> bool {
    let Some(last) = bytes.checked_sub(1) else { return true };
    let probes = (bytes / PROBE_BYTES).clamp(1, PROBES_MAX);
    let mut byte = [0];
    // From the end on: whoever looked at the header has brought the begin in.
    (0..probes).all(|probe| {
        let offset = last - probe * (bytes / probes);
        let places = &mut [IoSliceMut::new(&mut byte)];
        matches!(rustix::io::preadv2(file, places, offset, rustix::io::ReadWriteFlags::NOWAIT), Ok(1))
    })
}

const PAGE_BYTES: usize = 4096;
/// Where the buffer lies fewer bytes than this above the file's bytes, counted within a page, some processors copy
/// out of the page cache five times slower than otherwise: the loads seem to depend on the stores just before them.
/// Large buffers begin 16 bytes after a page, so a tensor that begins with a page falls into it.
const ALIASED_BYTES: usize = 48;
/// Piece that is read elsewhere and copied then: stays in the nearest caches.
const DETOUR_BYTES: usize = 64 << 10;

/// True where a buffer that begins at that address takes the bytes from `offset` on slowly.
pub fn is_aliased(address: usize, offset: u64) -> bool {
    (1..ALIASED_BYTES).contains(&(address.wrapping_sub(offset as usize) % PAGE_BYTES))
}

/// Room for `bytes` bytes that lies half a page away from those of the file from `offset` on.
pub fn away_from(offset: u64, room: &mut Vec<u8>, bytes: usize) -> &mut [u8] {
    room.resize(room.len().max(bytes + PAGE_BYTES), 0);
    let distance = room.as_ptr().addr().wrapping_sub(offset as usize) % PAGE_BYTES;
    let begin = (PAGE_BYTES + PAGE_BYTES / 2 - distance) % PAGE_BYTES;
    &mut room[begin..begin + bytes]
}

/// Fills the buffer from byte `offset` of the file on, by a detour where the straight way is slow.
fn fill(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    if buffer.len() < DETOUR_BYTES || !is_aliased(buffer.as_ptr().addr(), offset) {
        return file.read_exact_at(buffer, offset);
    }
    let mut detour = Vec::new();
    let mut from = offset;
    for piece in buffer.chunks_mut(DETOUR_BYTES) {
        let read = away_from(from, &mut detour, piece.len());
        file.read_exact_at(read, from)?;
        piece.copy_from_slice(read);
        from += piece.len() as u64;
    }
    Ok(())
}

/// Most places that the system takes in one call.
const PLACES_MAX: usize = 1024;

/// Fills the places one after the other from byte `offset` of the file on, many of them a call.
fn fill_places(file: &File, mut offset: u64, mut places: &mut [IoSliceMut<'_>]) -> io::Result<()> {
    // The first call may end anywhere: inside of a place, or after some of them.
    while !places.is_empty() {
        let count = places.len().min(PLACES_MAX);
        match rustix::io::preadv(file, &mut places[..count], offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                IoSliceMut::advance_slices(&mut places, read);
                offset += read as u64;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Opens for reading and never waits: O_NONBLOCK keeps a FIFO that slipped in from blocking.
fn open_plain(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC).bits();
    OpenOptions::new().read(true).custom_flags(flags as i32).open(path)
}

fn special(metadata: &fs::Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("directory"),
        () if kind.is_fifo() => Some("named pipe"),
        () if kind.is_socket() => Some("socket"),
        () if kind.is_char_device() || kind.is_block_device() => Some("device"),
        () => Some("special file"),
    }
}

fn cannot_open(path: &Path, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound => problem(
            path,
            ProblemKind::Missing,
            "file is not there",
            "restore it or save the checkpoint again",
        ),
        io::ErrorKind::PermissionDenied => problem(
            path,
            ProblemKind::Unreadable,
            format!("cannot open: {error}"),
            "let the user that runs weighbridge read it",
        ),
        _ => problem(
            path,
            ProblemKind::Unreadable,
            format!("cannot open: {error}"),
            "check the disk and the path, then weigh the checkpoint again",
        ),
    }
}

/// A problem of a file that has no tensor and no offset yet.
pub fn problem(
    path: &Path,
    kind: ProblemKind,
    detail: impl Into<String>,
    remedy: impl Into<String>,
) -> Problem {
    Problem {
        kind,
        path: path.to_owned(),
        tensor: None,
        offset: None,
        detail: detail.into(),
        remedy: remedy.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wherever the buffer lies against the file's pages, by the straight way or the detour.
    #[test]
    fn a_buffer_is_filled_at_every_distance() {
        let directory = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..4 * DETOUR_BYTES as u32)
            .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        fs::write(directory.path().join("a"), &content).unwrap();
        let input = Input::open(directory.path(), Path::new("a"), true, &Settings::default()).unwrap();
        let mut room = vec![0; content.len()];
        let page = room.as_ptr().addr() % PAGE_BYTES;
        for distance in 0..ALIASED_BYTES + 2 {
            for (offset, len) in
                [(PAGE_BYTES, DETOUR_BYTES), (PAGE_BYTES + 5, 2 * DETOUR_BYTES + 7), (3, 100)]
            {
                let begin = (2 * PAGE_BYTES + offset + distance - page) % PAGE_BYTES;
                let buffer = &mut room[begin..begin + len];
                assert_eq!((buffer.as_ptr().addr() - offset) % PAGE_BYTES, distance);
                buffer.fill(0xa5);
                input.read_at(offset as u64, buffer).unwrap();
                assert!(buffer == &content[offset..offset + len], "{distance} {offset} {len}");
            }
        }
        let past = content.len() as u64 - 10;
        let gone = input.read_at(past, &mut room[..2 * DETOUR_BYTES]);
        assert!(matches!(gone, Err(SourceError::Gone { .. })));
    }

    /// More places than one call takes, of uneven lengths; and a file that ends inside of one.
    #[test]
    fn many_places_are_filled_one_after_the_other() {
        let directory = tempfile::tempdir().unwrap();
        let content: Vec<u8> =
            (0..300_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        fs::write(directory.path().join("a"), &content).unwrap();
        for keep in [true, false] {
            let input = Input::open(directory.path(), Path::new("a"), keep, &Settings::default()).unwrap();
            let mut room = vec![0xa5; 100 * (PLACES_MAX * 2 + 3)];
            let length = |index: usize| 1 + index % 100;
            let places = room.chunks_mut(100).enumerate();
            let mut places: Vec<_> =
                places.map(|(index, place)| IoSliceMut::new(&mut place[..length(index)])).collect();
            input.read_spread_at(7, &mut places).unwrap();
            let mut from = 7;
            for (index, place) in room.chunks(100).enumerate() {
                let (filled, rest) = place.split_at(length(index));
                assert!(filled == &content[from..from + filled.len()], "{index}");
                assert!(rest.iter().all(|&byte| byte == 0xa5), "{index}");
                from += filled.len();
            }
            let mut places: Vec<_> = room.chunks_mut(100).map(IoSliceMut::new).collect();
            let gone = input.read_spread_at(content.len() as u64 - 150, &mut places);
            assert!(matches!(gone, Err(SourceError::Gone { .. })));
        }
    }
}
