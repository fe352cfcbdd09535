//! How the measure room sees a checkpoint's tensors, whatever format they lie in.

use std::path::PathBuf;
use std::sync::Arc;

use super::Dtype;

/// One tensor as the headers describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Full name as in the file.
    pub name: Arc<str>,
    /// Type of the elements that [`BlockSource::read`] delivers.
    pub dtype: Dtype,
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Vec<u64>,
    /// File that holds it, relative to the checkpoint.
    pub file: PathBuf,
}

impl TensorInfo {
    /// Product of the dimensions (1 for a scalar). Headers were checked: it cannot overflow.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Bytes that [`BlockSource::read`] delivers in all.
    pub fn bytes(&self) -> u64 {
        self.elements() * self.dtype.bytes() as u64
    }
}

/// An opened checkpoint: headers are checked, data is read by position into the caller's buffer.
///
/// Data is the tensor's elements in row-major order, little-endian, without gaps, whatever the format
/// does with strides, chunks or shards. Implementations never map files and never keep data.
pub trait BlockSource: Send + Sync {
    /// All tensors, in file order; the index is the handle for [`BlockSource::read`].
    fn tensors(&self) -> &[TensorInfo];

    /// Fills `buffer` with the bytes from `offset` (bytes from the tensor's first element) on.
    /// `offset + buffer.len()` must not exceed [`TensorInfo::bytes`].
    fn read(&self, tensor: usize, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError>;
}

/// Reading a checked tensor failed: the file changed or the disk did.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// The file ended early or went away: rotated or rewritten while it was read.
    #[error("{path}: file ended or went away at byte {offset} while it was read", path = path.display())]
    Gone {
        /// The file.
        path: PathBuf,
        /// Offset in the file.
        offset: u64,
    },
    /// The daemon is draining: the checkpoint is left for the next start.
    #[error("reading was stopped")]
    Stopped,
    /// The operating system refused.
    #[error("{path}: cannot read at byte {offset}: {message}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Offset in the file.
        offset: u64,
        /// The system's message.
        message: String,
    },
}
