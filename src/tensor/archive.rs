//! Zip archives as torch and numpy write them: what is in them and where its bytes lie. Nothing is ever
//! unpacked to disk; stored entries are read in place, deflated ones as a stream.
//!
//! The `zip` crate reads the directory, with its reading capped; whether the entries are sane is
//! checked here.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use super::Input;
use super::found::tame;
use super::inflated::Inflated;
use super::limits::{ARCHIVE_DIRECTORY_BYTES_MAX, UNFOLDED_BYTES_MAX, UNFOLDED_RATIO_MAX};
use super::place::Place;
use super::window::{BLOCK_BYTES, Window};
use crate::terms::{Problem, ProblemKind};

const SAVE_AGAIN: &str = "save the checkpoint again; if it is still being written, wait for the trainer";
const DISTRUST: &str = "no trainer writes this: find out where the file comes from before anything loads it";

/// The first bytes of every zip archive that is not empty.
pub const MAGIC: &[u8] = b"PK\x03\x04";

/// One entry that passed the checks.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Byte in the file at which its data begins.
    pub offset: u64,
    /// Bytes in the file.
    pub packed: u64,
    /// Bytes that it unfolds to.
    pub bytes: u64,
    /// True when it lies there as it is.
    pub stored: bool,
}

/// The directory of an archive.
pub struct Archive {
    input: Arc<Input>,
    /// Entries by name, in the order of the directory.
    pub entries: IndexMap<String, Entry>,
    /// Entries that were refused.
    pub problems: Vec<Problem>,
}

impl Archive {
    /// Reads the directory of the archive that takes `bytes` bytes of the file from `begin` on.
    pub fn open(input: &Arc<Input>, begin: u64, bytes: u64) -> Result<Self, Problem> {
        let budget = Rc::new(Cell::new(ARCHIVE_DIRECTORY_BYTES_MAX));
        let window = Window::new(input, begin, bytes, Rc::clone(&budget));
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let mut zip = ZipArchive::with_config(config, window).map_err(|error| {
            let detail = format!("the archive's directory cannot be read: {error}");
            // The directory stands at the end: without it the file was most likely cut.
            input.problem(ProblemKind::Truncated, detail, SAVE_AGAIN)
        })?;
        let mut archive = Self { input: Arc::clone(input), entries: IndexMap::new(), problems: Vec::new() };
        if zip.has_duplicate_names() {
            let detail = "the archive has two entries of one name; the last one was taken";
            archive.problems.push(input.problem(ProblemKind::Hostile, detail, DISTRUST));
        }
        // The directory bounds how many local headers there are; one may reach into a second block.
        budget.set(zip.len() as u64 * BLOCK_BYTES as u64 * 2);
        for index in 0..zip.len() {
            archive.add(&mut zip, index, begin, bytes);
        }
        archive.refuse_overlaps();
        Ok(archive)
    }

    fn add(&mut self, zip: &mut ZipArchive<Window>, index: usize, begin: u64, bytes: u64) {
        let file = match zip.by_index_raw(index) {
            Ok(file) => file,
            Err(error) => {
                let detail = format!("entry {index} of the archive cannot be read: {error}");
                return self.problems.push(self.input.problem(ProblemKind::Malformed, detail, SAVE_AGAIN));
            }
        };
        let name = file.name().map(|name| name.into_owned()).unwrap_or_default();
        let offset = file.data_start().unwrap_or(u64::MAX);
        let entry = Entry {
            offset: begin.saturating_add(offset),
            packed: file.compressed_size(),
            bytes: file.size(),
            stored: file.compression() == CompressionMethod::Stored,
        };
        let fault = if !(is_plain(&name) || file.enclosed_name().is_some())
            || name.starts_with('/')
            || name.contains('\\')
            || file.is_symlink()
        {
            Some((
                ProblemKind::Hostile,
                "names a place outside of the archive; nothing was written".to_owned(),
                DISTRUST,
            ))
        } else if file.encrypted() {
            Some((ProblemKind::Malformed, "is encrypted".to_owned(), "save it without a password"))
        } else if !entry.stored && file.compression() != CompressionMethod::Deflated {
            let detail = format!("is compressed with {:?}, which is not read", file.compression());
            Some((ProblemKind::Malformed, detail, "save it without compression"))
        } else if offset.checked_add(entry.packed).is_none_or(|end| end > bytes) {
            let detail = format!("reaches past the archive's end at byte {}", begin + bytes);
            Some((ProblemKind::Truncated, detail, SAVE_AGAIN))
        } else if (entry.stored && entry.packed != entry.bytes)
            || entry.bytes > entry.packed.saturating_mul(UNFOLDED_RATIO_MAX)
        {
            let detail = format!("claims to unfold from {} to {} bytes", entry.packed, entry.bytes);
            Some((ProblemKind::Hostile, detail, DISTRUST))
        } else {
            None
        };
        match fault {
            None => {
                self.entries.insert(name, entry);
            }
            Some((kind, detail, remedy)) => {
                let mut problem = self.input.problem(kind, format!("entry {} {detail}", tame(&name)), remedy);
                problem.offset = Some(begin.saturating_add(file.header_start()));
                self.problems.push(problem);
            }
        }
    }

    /// Entries that share bytes are how a small archive claims to hold a large one.
    fn refuse_overlaps(&mut self) {
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_by_key(|&index| (self.entries[index].offset, self.entries[index].packed));
        let mut reached = 0;
        let mut refused = Vec::new();
        for index in order {
            let entry = &self.entries[index];
            if entry.offset < reached && entry.packed > 0 {
                refused.push(index);
            }
            reached = reached.max(entry.offset + entry.packed);
        }
        refused.sort_unstable();
        for index in refused.into_iter().rev() {
            if let Some((name, entry)) = self.entries.shift_remove_index(index) {
                let detail = format!("entry {} shares its bytes with another one", tame(&name));
                let mut problem = self.input.problem(ProblemKind::Hostile, detail, DISTRUST);
                problem.offset = Some(entry.offset);
                self.problems.push(problem);
            }
        }
    }

    /// The whole content of a small entry, unfolded.
    pub fn read(&self, entry: &Entry) -> Result<Vec<u8>, Problem> {
        if entry.bytes > UNFOLDED_BYTES_MAX {
            let detail = format!("an entry of {} bytes is too large to be read at once", entry.bytes);
            return Err(self.input.problem(ProblemKind::Hostile, detail, DISTRUST));
        }
        if entry.stored {
            return self.input.read_vec(entry.offset, entry.bytes);
        }
        let mut content = vec![0; entry.bytes as usize];
        entry
            .place(&self.input, 0)
            .read(0, &mut content)
            .map_err(|error| self.input.problem(ProblemKind::Malformed, error.to_string(), SAVE_AGAIN))?;
        Ok(content)
    }
}

/// True of names that honest writers give: most others are honest too, but need a longer look.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

impl Entry {
    /// The place of what lies `skip` bytes into the entry.
    pub fn place(&self, input: &Arc<Input>, skip: u64) -> Place {
        let input = Arc::clone(input);
        if self.stored {
            Place::Plain { input, offset: self.offset + skip }
        } else {
            Place::Inflated(Inflated::new(input, self.offset, self.packed, skip))
        }
    }
}
