//! A part of a file as a stream, for parsers that want one.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;
use std::sync::Arc;

use super::Input;

/// Bytes that are read at once where less is asked for: the first headers of a chunk's archive, or its last
/// entries and its directory, fit.
pub const BLOCK_BYTES: usize = 1024;
/// Blocks that are kept: readers of archives go to and fro between their beginning and their end.
const BLOCKS: usize = 2;

/// A part of a file as a stream that can be read up to a budget.
pub struct Window {
    input: Arc<Input>,
    begin: u64,
    bytes: u64,
    position: u64,
    budget: Rc<Cell<u64>>,
    /// Where each block begins in the window, and what it holds; the oldest first.
    blocks: Vec<(u64, Vec<u8>)>,
}

impl Window {
    /// `bytes` of the file from `begin` on. Reads until `budget`, which the caller can refill, is used up.
    pub fn new(input: &Arc<Input>, begin: u64, bytes: u64, budget: Rc<Cell<u64>>) -> Self {
        Self { input: Arc::clone(input), begin, bytes, position: 0, budget, blocks: Vec::new() }
    }

    /// Reads from the file, which uses up the budget.
    fn fetch(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        let budget = self.budget.get().checked_sub(buffer.len() as u64);
        self.budget.set(budget.ok_or_else(|| io::Error::other("it is larger than the limit"))?);
        self.input.read_at(self.begin + position, buffer).map_err(io::Error::other)
    }

    /// The bytes from the position on to the end of a block that holds it.
    fn block(&mut self) -> io::Result<&[u8]> {
        let position = self.position;
        let holds =
            |&(begin, ref bytes): &(u64, Vec<u8>)| (begin..begin + bytes.len() as u64).contains(&position);
        let index = match self.blocks.iter().position(holds) {
            Some(index) => index,
            None => {
                // What lies near the end is read up to the end, together with what lies before it.
                let begin = position.min(self.bytes.saturating_sub(BLOCK_BYTES as u64));
                let mut block = vec![0; (self.bytes - begin).min(BLOCK_BYTES as u64) as usize];
                self.fetch(begin, &mut block)?;
                if self.blocks.len() == BLOCKS {
                    self.blocks.remove(0);
                }
                self.blocks.push((begin, block));
                self.blocks.len() - 1
            }
        };
        let (begin, bytes) = &self.blocks[index];
        Ok(&bytes[(position - begin) as usize..])
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.saturating_sub(self.position);
        let len = left.min(buffer.len() as u64) as usize;
        let read = if len == 0 {
            0
        } else if len > BLOCK_BYTES {
            self.fetch(self.position, &mut buffer[..len])?;
            len
        } else {
            let block = self.block()?;
            let read = len.min(block.len());
            buffer[..read].copy_from_slice(&block[..read]);
            read
        };
        self.position += read as u64;
        Ok(read)
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
