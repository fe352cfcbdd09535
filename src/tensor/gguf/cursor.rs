//! The header of a GGUF file, read from the front with a limit on everything.

use std::cell::Cell;
use std::io::{BufReader, ErrorKind, Read};
use std::rc::Rc;
use std::sync::Arc;

use crate::tensor::Input;
use crate::tensor::limits::{GGUF_HEADER_BYTES_MAX, GGUF_NESTING_MAX, PICKLE_LINE_BYTES_MAX};
use crate::tensor::window::Window;
use crate::terms::SourceError;

/// Why the header could not be read.
pub enum Trouble {
    Ended,
    Malformed(String),
    Limit(String),
    Disk(String),
}

/// Number of the kind `u32` among the kinds of values.
pub const U32: u32 = 4;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Reads values one after the other.
pub struct Cursor {
    stream: BufReader<Window>,
    position: u64,
}

impl Cursor {
    pub fn new(file: &Arc<Input>) -> Self {
        let budget = Rc::new(Cell::new(GGUF_HEADER_BYTES_MAX));
        let stream = BufReader::with_capacity(64 << 10, Window::new(file, 0, file.bytes(), budget));
        Self { stream, position: 0 }
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Trouble> {
        self.stream.read_exact(buffer).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Trouble::Ended,
            _ if error.get_ref().is_some_and(|inner| inner.is::<SourceError>()) => {
                Trouble::Disk(error.to_string())
            }
            _ => Trouble::Limit(error.to_string()),
        })?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    pub fn u32(&mut self) -> Result<u32, Trouble> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub fn u64(&mut self) -> Result<u64, Trouble> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub fn text(&mut self) -> Result<String, Trouble> {
        let length = self.u64()?;
        if length > PICKLE_LINE_BYTES_MAX as u64 {
            return Err(Trouble::Limit(format!("a name of {length} bytes")));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub fn skip(&mut self, bytes: u64) -> Result<(), Trouble> {
        let mut unwanted = [0; 4096];
        let mut left = bytes;
        while left > 0 {
            let len = left.min(unwanted.len() as u64);
            self.fill(&mut unwanted[..len as usize])?;
            left -= len;
        }
        Ok(())
    }

    pub fn skip_value(&mut self, kind: u32) -> Result<(), Trouble> {
        self.skip_values(kind, 1, GGUF_NESTING_MAX)
    }

    fn skip_values(&mut self, kind: u32, count: u64, nesting: usize) -> Result<(), Trouble> {
        if let Some(width) = width(kind) {
            let bytes = count.checked_mul(width).filter(|&bytes| bytes <= GGUF_HEADER_BYTES_MAX);
            return self.skip(bytes.ok_or_else(|| Trouble::Limit(format!("an array of {count} values")))?);
        }
        if nesting == 0 {
            return Err(Trouble::Limit("arrays are nested too deeply".into()));
        }
        // Each value takes at least its length, so the budget bounds the count.
        for _ in 0..count {
            match kind {
                TEXT => {
                    let length = self.u64()?;
                    self.skip(length)?;
                }
                ARRAY => {
                    let (kind, count) = (self.u32()?, self.u64()?);
                    self.skip_values(kind, count, nesting - 1)?;
                }
                _ => return Err(Trouble::Malformed(format!("a value of kind {kind}"))),
            }
        }
        Ok(())
    }
}

fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        U32 | 5 | 6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
