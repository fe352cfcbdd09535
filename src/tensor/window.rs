//! A part of a file as a stream, for parsers that want one.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;
use std::sync::Arc;

use super::Input;

/// A part of a file as a stream that can be read up to a budget.
pub struct Window {
    input: Arc<Input>,
    begin: u64,
    bytes: u64,
    position: u64,
    budget: Rc<Cell<u64>>,
}

impl Window {
    /// `bytes` of the file from `begin` on. Reads until `budget`, which the caller can refill, is used up.
    pub fn new(input: &Arc<Input>, begin: u64, bytes: u64, budget: Rc<Cell<u64>>) -> Self {
        Self { input: Arc::clone(input), begin, bytes, position: 0, budget }
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.saturating_sub(self.position);
        let len = left.min(buffer.len() as u64);
        let budget = self.budget.get().checked_sub(len);
        self.budget.set(budget.ok_or_else(|| io::Error::other("it is larger than the limit"))?);
        let buffer = &mut buffer[..len as usize];
        self.input.read_at(self.begin + self.position, buffer).map_err(io::Error::other)?;
        self.position += len;
        Ok(len as usize)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(ahead) => self.bytes.checked_add_signed(ahead),
            SeekFrom::Current(ahead) => self.position.checked_add_signed(ahead),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
