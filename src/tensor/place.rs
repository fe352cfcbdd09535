//! Where a tensor's elements lie, and how they are delivered in row-major order.

use std::sync::Arc;

use super::input::Input;
use crate::terms::SourceError;

/// Where a tensor's elements lie. The formats have checked that all of it is inside the file.
pub enum Place {
    /// In one piece, as they are delivered.
    Plain {
        /// The file.
        input: Arc<Input>,
        /// Byte in the file at which the first element begins.
        offset: u64,
    },
}

impl Place {
    /// Fills `buffer` with the tensor's bytes from `offset` on.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        match self {
            Place::Plain { input, offset: start } => input.read_at(start + offset, buffer),
        }
    }
}
