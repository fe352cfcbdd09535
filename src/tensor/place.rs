//! Where a tensor's elements lie, and how they are delivered in row-major order.

use std::sync::Arc;

use super::gguf::Blocks;
use super::inflated::Inflated;
use super::input::Input;
use super::view::View;
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
    /// With strides, or in chunks.
    View(View),
    /// In one piece of a compressed entry.
    Inflated(Inflated),
    /// In blocks that unfold to 32-bit floats.
    Blocks(Blocks),
}

impl Place {
    /// Fills `buffer` with the tensor's bytes from `offset` on.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        match self {
            Place::Plain { input, offset: start } => input.read_at(start + offset, buffer),
            Place::View(view) => in_whole_elements(view.element_bytes, offset, buffer, |element, buffer| {
                view.read(element, buffer)
            }),
            Place::Inflated(inflated) => inflated.read(offset, buffer),
            Place::Blocks(blocks) => {
                in_whole_elements(4, offset, buffer, |element, buffer| blocks.read(element, buffer))
            }
        }
    }
}

/// Calls `read` with a whole number of elements, also where `buffer` begins or ends inside of one.
fn in_whole_elements(
    element_bytes: u64,
    offset: u64,
    buffer: &mut [u8],
    read: impl FnOnce(u64, &mut [u8]) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let ahead = offset % element_bytes;
    let end = offset + buffer.len() as u64;
    if ahead == 0 && end.is_multiple_of(element_bytes) {
        return read(offset / element_bytes, buffer);
    }
    let whole = end.next_multiple_of(element_bytes) - (offset - ahead);
    let mut scratch = vec![0; whole as usize];
    read(offset / element_bytes, &mut scratch)?;
    buffer.copy_from_slice(&scratch[ahead as usize..][..buffer.len()]);
    Ok(())
}
