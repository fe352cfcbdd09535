//! The bytes of a pickle, taken from the front and never past the end.

use super::machine::PickleError;
use crate::tensor::limits::PICKLE_LINE_BYTES_MAX;

/// A cursor over the stream.
pub struct Stream<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Stream<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub fn position(&self) -> u64 {
        self.position as u64
    }

    pub fn take(&mut self, len: u64) -> Result<&'a [u8], PickleError> {
        let left = &self.bytes[self.position..];
        let len = usize::try_from(len).ok().filter(|&len| len <= left.len()).ok_or(PickleError::Ended)?;
        self.position += len;
        Ok(&left[..len])
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let bytes = self.take(N as u64)?;
        bytes.first_chunk().copied().ok_or(PickleError::Ended)
    }

    pub fn u8(&mut self) -> Result<u8, PickleError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, PickleError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, PickleError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, PickleError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Up to the next newline, which is taken too.
    pub fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let left = &self.bytes[self.position..];
        let window = &left[..left.len().min(PICKLE_LINE_BYTES_MAX)];
        match window.iter().position(|&byte| byte == b'\n') {
            Some(len) => {
                self.position += len + 1;
                Ok(&left[..len])
            }
            None if window.len() < left.len() => Err(PickleError::Limit("a line is too long")),
            None => Err(PickleError::Ended),
        }
    }

    pub fn text_line(&mut self) -> Result<&'a str, PickleError> {
        std::str::from_utf8(self.line()?).map_err(|_| PickleError::Malformed("a line is not text"))
    }
}
