//! Finds the records of one journal file, whatever became of the file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::record::{HEADER, Header, MAGIC};
use crate::store::Error;

/// Bytes that a search looks at in one go.
const WINDOW: usize = 1 << 20;

/// A record as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its header.
    pub header: Header,
    /// True when only the header at its end was whole.
    pub by_end: bool,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Records in the order of the file.
    pub records: Vec<Found>,
    /// Stretches of bytes that are no record, with records after them.
    pub gaps: Vec<(u64, u64)>,
    /// Where the last record ends; what lies beyond was not finished.
    pub end: u64,
    /// Length of the file.
    pub length: u64,
}

/// Reads all headers of a file.
pub fn scan(file: &File, path: &Path) -> Result<Scan, Error> {
    let io = |error: std::io::Error| Error::io(path, "read", &error);
    let length = file.metadata().map_err(io)?.len();
    let mut scan = Scan { length, ..Scan::default() };
    let mut at = 0;
    while at < length {
        let next = match header_at(file, at).map_err(io)? {
            Some((header, false)) if at + header.total() <= length => {
                Some(Found { offset: at, header, by_end: false })
            }
            _ => search(file, at, length).map_err(io)?,
        };
        let Some(found) = next else { break };
        if found.offset > at {
            scan.gaps.push((at, found.offset));
        }
        at = found.offset + found.header.total();
        scan.end = at;
        scan.records.push(found);
    }
    Ok(scan)
}

fn header_at(file: &File, at: u64) -> std::io::Result<Option<(Header, bool)>> {
    let mut bytes = [0; HEADER];
    match file.read_exact_at(&mut bytes, at) {
        Ok(()) => Ok(Header::from_bytes(&bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first record that begins at or after `from`, known by either of its headers.
fn search(file: &File, from: u64, length: u64) -> std::io::Result<Option<Found>> {
    let mut window = vec![0; WINDOW];
    let mut at = from;
    while at + HEADER as u64 <= length {
        let size = WINDOW.min((length - at) as usize);
        file.read_exact_at(&mut window[..size], at)?;
        for place in 0..size.saturating_sub(HEADER - 1) {
            if !window[place..].starts_with(MAGIC) {
                continue;
            }
            let Some((header, at_end)) = Header::from_bytes(&window[place..]) else { continue };
            let here = at + place as u64;
            let begin = if at_end { (here + HEADER as u64).checked_sub(header.total()) } else { Some(here) };
            match begin {
                Some(offset) if offset >= from && offset + header.total() <= length => {
                    return Ok(Some(Found { offset, header, by_end: at_end }));
                }
                _ => {}
            }
        }
        // The last bytes are looked at again: a header may lie across the border.
        at += (size.saturating_sub(HEADER - 1)).max(1) as u64;
    }
    Ok(None)
}
