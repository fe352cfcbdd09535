//! The journal: every commit, once more and in full, in files that are only ever appended to.
//!
//! sled notices damage and then forgets what came after it. So a commit is first written here and
//! synced, and is done from that moment on; the database is what the journal says, in a form that can be
//! searched, and is made from it again where it is behind, damaged or gone. Sketches, quantiles and spectra, the bulk
//! of a commit, lie here only.

mod record;
mod segment;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use record::{CHANGES, Decoded, Header, Kind, PARTS, QUANTILES, SKETCHES, SPECTRA, encode};
pub use segment::{Found, scan};
use xxhash_rust::xxh3::xxh3_64;

use super::Error;

const SUFFIX: &str = ".journal";
/// A file is closed and the next begun beyond this size: compaction rewrites one file at a time, and needs
/// so much room for it.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// Where a commit lies.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub file: Arc<Segment>,
    /// Where in it.
    pub found: Found,
}

/// One file of the journal.
#[derive(Debug)]
pub struct Segment {
    /// Its path.
    pub path: PathBuf,
    file: File,
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    /// By number. Locked for moments only, so that readers never wait for a commit.
    places: RwLock<BTreeMap<u64, Place>>,
    /// The file that is appended to, and its length; none where the next commit begins one.
    active: Mutex<Option<(Arc<Segment>, u64)>>,
}

/// What opening noticed.
#[derive(Clone, Debug, Default)]
pub struct Noticed {
    /// Bytes that are no record: file, from, to.
    pub gaps: Vec<(PathBuf, u64, u64)>,
    /// Commits whose first header was damaged: had by the second.
    pub by_end: Vec<u64>,
    /// Bytes of a commit that was never finished: file, from, to.
    pub unfinished: Option<(PathBuf, u64, u64)>,
    /// Files that could not be read.
    pub unreadable: Vec<String>,
}

impl Segment {
    fn open(path: PathBuf) -> Result<Self, Error> {
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|error| Error::io(&path, "open", &error))?;
        Ok(Self { path, file })
    }

    fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| Error::io(&self.path, "read", &error))?;
        Ok(bytes)
    }
}

impl Place {
    /// All parts, mended where that can be.
    pub fn read(&self) -> Result<Decoded, Error> {
        let header = &self.found.header;
        Ok(record::decode(header, &self.file.read(self.found.offset, header.total())?))
    }

    /// One part; the whole record is looked at only where that part is damaged.
    pub fn part(&self, part: usize) -> Result<Vec<u8>, Error> {
        let header = &self.found.header;
        let (length, hash) = header.parts[part];
        let bytes = self.file.read(self.found.offset + header.part_offset(part), length)?;
        if xxh3_64(&bytes) == hash {
            return Ok(bytes);
        }
        let mended = self.read()?.parts[part].take();
        mended.ok_or_else(|| {
            let place = format!("commit {} at byte {}", header.number, self.found.offset);
            Error::lost(format!("{}: {place}", self.file.path.display()), "its bytes changed on disk")
        })
    }
}

impl Journal {
    /// Opens the journal in `dir`, and makes it where there is none.
    pub fn open(dir: &Path) -> Result<(Self, Noticed), Error> {
        fs::create_dir_all(dir).map_err(|error| Error::io(dir, "create", &error))?;
        let journal = Self { dir: dir.to_owned(), places: RwLock::default(), active: Mutex::default() };
        let mut noticed = Noticed::default();
        let paths = segments(dir)?;
        let last = paths.last().cloned();
        for path in paths {
            let is_last = Some(&path) == last.as_ref();
            if let Err(error) = journal.load(path, is_last, &mut noticed) {
                noticed.unreadable.push(error.to_string());
            }
        }
        Ok((journal, noticed))
    }

    fn read_places(&self) -> RwLockReadGuard<'_, BTreeMap<u64, Place>> {
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_places(&self) -> RwLockWriteGuard<'_, BTreeMap<u64, Place>> {
        self.places.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn active(&self) -> MutexGuard<'_, Option<(Arc<Segment>, u64)>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self, path: PathBuf, is_last: bool, noticed: &mut Noticed) -> Result<(), Error> {
        let segment = Arc::new(Segment::open(path.clone())?);
        let scan = segment::scan(&segment.file, &path)?;
        for found in scan.records {
            if found.by_end {
                noticed.by_end.push(found.header.number);
            }
            self.write_places().insert(found.header.number, Place { file: segment.clone(), found });
        }
        noticed.gaps.extend(scan.gaps.iter().map(|&(from, to)| (path.clone(), from, to)));
        if scan.end < scan.length {
            if is_last {
                noticed.unfinished = Some((path, scan.end, scan.length));
            } else {
                noticed.gaps.push((path, scan.end, scan.length));
            }
        }
        if is_last {
            *self.active() = Some((segment, scan.end));
        }
        Ok(())
    }

    /// Number of the newest commit; 0 before the first.
    pub fn head(&self) -> u64 {
        self.read_places().values().map(|place| place.found.header.number_last).max().unwrap_or(0)
    }

    /// Commits, by number.
    pub fn places(&self) -> Vec<Place> {
        self.read_places().values().cloned().collect()
    }

    /// The commit of that number.
    pub fn place(&self, number: u64) -> Option<Place> {
        let places = self.read_places();
        let (_, place) = places.range(..=number).next_back()?;
        (place.found.header.number_last >= number).then(|| place.clone())
    }

    /// Numbers up to `head` that no record stands for.
    pub fn missing(&self, head: u64) -> Vec<(u64, u64)> {
        let mut missing = Vec::new();
        let mut next = 1;
        for place in self.read_places().values() {
            let header = &place.found.header;
            if header.number > next {
                missing.push((next, header.number - 1));
            }
            next = next.max(header.number_last + 1);
        }
        if next <= head {
            missing.push((next, head));
        }
        missing
    }

    /// Appends a commit and has it on disk when it returns. After an error nothing was appended.
    pub fn append(
        &self,
        kind: Kind,
        numbers: std::ops::RangeInclusive<u64>,
        parts: &[&[u8]; PARTS],
    ) -> Result<(), Error> {
        let header = Header::new(kind, numbers, parts);
        let bytes = encode(&header, parts);
        let mut active = self.active();
        let (segment, offset) = self.writable(active.take(), header.number)?;
        let io = |error: std::io::Error| Error::io(&segment.path, "write", &error);
        let written = segment.file.write_all_at(&bytes, offset).and_then(|()| segment.file.sync_data());
        if let Err(error) = written {
            // What stands there now is no record; cut it, so that the next commit follows the last one.
            let _ = segment.file.set_len(offset);
            let error = io(error);
            *active = Some((segment, offset));
            return Err(error);
        }
        let found = Found { offset, header, by_end: false };
        self.write_places().insert(header.number, Place { file: segment.clone(), found });
        *active = Some((segment, offset + bytes.len() as u64));
        Ok(())
    }

    /// The file to append to; what an unfinished commit left behind in it is cut off.
    fn writable(
        &self,
        active: Option<(Arc<Segment>, u64)>,
        number: u64,
    ) -> Result<(Arc<Segment>, u64), Error> {
        if let Some((segment, length)) = active
            && length < SEGMENT_BYTES
        {
            let io = |error: std::io::Error| Error::io(&segment.path, "write", &error);
            if segment.file.metadata().map_err(io)?.len() > length {
                segment.file.set_len(length).map_err(io)?;
            }
            return Ok((segment, length));
        }
        let path = self.dir.join(format!("{number:016}{SUFFIX}"));
        let io = |error: std::io::Error| Error::io(&path, "create", &error);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(io)?;
        // Empty, but where a damaged file of that name was found: its bytes are left as they are.
        let length = file.metadata().map_err(io)?.len();
        sync_dir(&self.dir)?;
        Ok((Arc::new(Segment::open(path)?), length))
    }

    /// A path in the journal for records that are put back, the first of them `number`.
    pub fn path_for_repaired(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:016}-repaired{SUFFIX}"))
    }

    /// True for the file that the next commit goes to.
    pub fn is_open(&self, path: &Path) -> bool {
        self.active()
            .as_ref()
            .is_some_and(|(segment, length)| segment.path == path && *length < SEGMENT_BYTES)
    }

    /// The next commit begins a new file, so that all others can be rewritten.
    pub fn close_file(&self) {
        *self.active() = None;
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        let paths = segments(&self.dir).unwrap_or_default();
        paths.iter().filter_map(|path| fs::metadata(path).ok()).map(|data| data.len()).sum()
    }

    /// Its files, oldest first.
    pub fn files(&self) -> Result<Vec<PathBuf>, Error> {
        segments(&self.dir)
    }

    /// Puts `records` in the place of a file's records: written beside it, synced, renamed over it. The file
    /// must not be the one that is appended to; it may be a new one.
    pub fn replace(
        &self,
        path: &Path,
        records: &mut dyn Iterator<Item = Result<Vec<u8>, Error>>,
    ) -> Result<(), Error> {
        let new = path.with_extension("new");
        let io = |error: std::io::Error| Error::io(&new, "write", &error);
        let file = File::create(&new).map_err(io)?;
        let mut length = 0;
        for record in records {
            let record = record?;
            file.write_all_at(&record, length).map_err(io)?;
            length += record.len() as u64;
        }
        file.sync_all().map_err(io)?;
        fs::rename(&new, path).map_err(|error| Error::io(path, "replace", &error))?;
        sync_dir(&self.dir)?;
        let segment = Arc::new(Segment::open(path.to_owned())?);
        let scan = segment::scan(&segment.file, path)?;
        let mut places = self.write_places();
        places.retain(|_, place| place.file.path != path);
        for found in scan.records {
            places.insert(found.header.number, Place { file: segment.clone(), found });
        }
        Ok(())
    }
}

/// The commits of one file that stands by itself.
pub fn places_of(path: &Path, scan: &segment::Scan) -> Result<Vec<Place>, Error> {
    let file = File::open(path).map_err(|error| Error::io(path, "open", &error))?;
    let file = Arc::new(Segment { path: path.to_owned(), file });
    Ok(scan.records.iter().map(|&found| Place { file: file.clone(), found }).collect())
}

fn segments(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(dir).map_err(|error| Error::io(dir, "list", &error))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(SUFFIX));
    paths.sort();
    Ok(paths)
}

/// Makes a new or renamed name durable.
pub fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::io(dir, "sync", &error))
}

#[cfg(test)]
mod tests;
