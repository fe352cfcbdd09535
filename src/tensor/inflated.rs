//! Tensors inside compressed entries of an archive. A compressed stream can only be read from its
//! beginning; the state of the last reader is kept, so that reading block after block costs one pass.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};

use super::input::Input;
use crate::terms::SourceError;

/// Bytes of the file that are read at once.
const INPUT_BYTES: usize = 64 << 10;
/// Readers of one tensor whose state is kept: two passes may overlap.
const CURSORS_MAX: usize = 2;

/// A range of what a deflated entry unfolds to.
pub struct Inflated {
    input: Arc<Input>,
    /// Byte in the file at which the compressed data begins.
    offset: u64,
    /// Its compressed bytes.
    compressed: u64,
    /// Unfolded bytes before the range.
    skip: u64,
    cursors: Mutex<Vec<Cursor>>,
}

impl fmt::Debug for Inflated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflated").field("offset", &self.offset).field("skip", &self.skip).finish()
    }
}

struct Cursor {
    state: Decompress,
    /// Bytes taken from the entry, and unfolded bytes given out.
    taken: u64,
    given: u64,
    waiting: Vec<u8>,
    used: usize,
}

impl Inflated {
    pub fn new(input: Arc<Input>, offset: u64, compressed: u64, skip: u64) -> Self {
        Self { input, offset, compressed, skip, cursors: Mutex::default() }
    }

    /// Fills `buffer` from byte `offset` of the range on.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        let wanted = self.skip + offset;
        let mut cursor = self.nearest(wanted);
        let mut unwanted = [0; 4096];
        while cursor.given < wanted {
            let len = (wanted - cursor.given).min(unwanted.len() as u64) as usize;
            self.fill(&mut cursor, &mut unwanted[..len])?;
        }
        self.fill(&mut cursor, buffer)?;
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if cursors.len() == CURSORS_MAX {
            cursors.remove(0);
        }
        cursors.push(cursor);
        Ok(())
    }

    /// The reader that is least far before `wanted`, or a new one.
    fn nearest(&self, wanted: u64) -> Cursor {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let before = cursors.iter().enumerate().filter(|(_, cursor)| cursor.given <= wanted);
        match before.max_by_key(|(_, cursor)| cursor.given).map(|(index, _)| index) {
            Some(index) => cursors.remove(index),
            None => {
                Cursor { state: Decompress::new(false), taken: 0, given: 0, waiting: Vec::new(), used: 0 }
            }
        }
    }

    fn fill(&self, cursor: &mut Cursor, buffer: &mut [u8]) -> Result<(), SourceError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let (before_in, before_out) = (cursor.state.total_in(), cursor.state.total_out());
            let waiting = &cursor.waiting[cursor.used..];
            let status = cursor.state.decompress(waiting, &mut buffer[filled..], FlushDecompress::None);
            let taken = cursor.state.total_in() - before_in;
            let given = cursor.state.total_out() - before_out;
            cursor.used += taken as usize;
            cursor.given += given;
            filled += given as usize;
            match status {
                _ if filled == buffer.len() => {}
                Ok(Status::Ok | Status::BufError) if cursor.used == cursor.waiting.len() && given == 0 => {
                    // All that was read is used and unfolded: only more of the file helps.
                    self.refill(cursor)?;
                }
                Ok(Status::Ok) if taken > 0 || given > 0 => {}
                _ => return Err(self.damaged(cursor)),
            }
        }
        Ok(())
    }

    fn refill(&self, cursor: &mut Cursor) -> Result<(), SourceError> {
        let len = (self.compressed - cursor.taken).min(INPUT_BYTES as u64);
        if len == 0 {
            return Err(self.damaged(cursor));
        }
        cursor.waiting.resize(len as usize, 0);
        self.input.read_at(self.offset + cursor.taken, &mut cursor.waiting)?;
        cursor.taken += len;
        cursor.used = 0;
        Ok(())
    }

    fn damaged(&self, cursor: &Cursor) -> SourceError {
        let offset = self.offset + cursor.taken;
        let message = "the compressed data is damaged".to_owned();
        SourceError::Io { path: self.input.path().to_owned(), offset, message }
    }
}
