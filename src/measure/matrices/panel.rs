//! A matrix that lies in a checkpoint, read in panels so that it never has to be in memory as a whole.

use crate::measure::decode;
use crate::terms::{BlockSource, Reason, SourceError, TensorInfo};

/// Elements of a panel: 2 MB as f64. Products of such panels run at full speed, and two threads with a
/// few panels each stay far below the memory that is promised.
const PANEL_ELEMENTS: usize = 256 * 1024;

/// Bytes that are read at once where panels are columns: in the file these are a short piece of each row, and each
/// piece is a read of its own. So several panels' pieces are read in one, and decoded panel by panel.
const SLAB_BYTES: usize = 4 << 20;

/// Why a matrix's metrics stop: the file went away, or the numbers do not allow them.
#[derive(Debug)]
pub(super) enum Halt {
    /// Reading failed; it becomes a problem of the checkpoint.
    Source(SourceError),
    /// The metrics have no value.
    Reason(Reason),
}

impl From<SourceError> for Halt {
    fn from(error: SourceError) -> Self {
        Halt::Source(error)
    }
}

impl From<Reason> for Halt {
    fn from(reason: Reason) -> Self {
        Halt::Reason(reason)
    }
}

/// A two-dimensional tensor of a source. Values are divided by `scale` as they are read.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    source: &'a dyn BlockSource,
    tensor: usize,
    info: &'a TensorInfo,
    /// Length of the first axis.
    pub(super) rows: usize,
    /// Length of the second axis.
    pub(super) columns: usize,
    /// What values are divided by, so that their squares neither overflow nor vanish; mostly 1.
    pub(super) scale: f64,
}

/// Buffers that one thread uses again and again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    /// Elements of the panel that was read last, row by row.
    pub(super) values: Vec<f64>,
}

impl<'a> Matrix<'a> {
    /// The tensor of that index, if it has two axes.
    pub(super) fn of(source: &'a dyn BlockSource, tensor: usize) -> Option<Self> {
        let info = source.tensors().get(tensor)?;
        let &[rows, columns] = info.shape.as_slice() else { return None };
        Some(Self { source, tensor, info, rows: rows as usize, columns: columns as usize, scale: 1.0 })
    }

    /// The tensor of that index as a matrix: as it is if it has two axes, else its first axis against
    /// all others together (an expert stack, a convolution kernel).
    pub(super) fn flattened(source: &'a dyn BlockSource, tensor: usize) -> Option<Self> {
        let info = source.tensors().get(tensor)?;
        let (&rows, others) = info.shape.split_first()?;
        let columns: u64 = others.iter().product();
        Some(Self { source, tensor, info, rows: rows as usize, columns: columns as usize, scale: 1.0 })
    }

    /// Length of the shorter axis.
    pub(super) fn short(&self) -> usize {
        self.rows.min(self.columns)
    }

    /// Length of the longer axis.
    pub(super) fn long(&self) -> usize {
        self.rows.max(self.columns)
    }

    /// Rows that fit into a panel; at least 1.
    pub(super) fn rows_of_panel(&self) -> usize {
        (PANEL_ELEMENTS / self.columns.max(1)).clamp(1, self.rows.max(1))
    }

    /// Columns that fit into a panel; at least 1.
    pub(super) fn columns_of_panel(&self) -> usize {
        (PANEL_ELEMENTS / self.rows.max(1)).clamp(1, self.columns.max(1))
    }

    /// Reads `count` whole rows from `start` on into `scratch.values`.
    pub(super) fn read_rows(&self, start: usize, count: usize, scratch: &mut Scratch) -> Result<(), Halt> {
        let width = self.info.dtype.bytes();
        scratch.bytes.resize(count * self.columns * width, 0);
        let offset = (start * self.columns * width) as u64;
        self.source.read(self.tensor, offset, &mut scratch.bytes)?;
        self.decode(scratch);
        Ok(())
    }

    /// Reads `count` elements from the `start`-th on, in the order of the file.
    pub(super) fn read_elements(
        &self,
        start: usize,
        count: usize,
        scratch: &mut Scratch,
    ) -> Result<(), Halt> {
        let width = self.info.dtype.bytes();
        scratch.bytes.resize(count * width, 0);
        self.source.read(self.tensor, (start * width) as u64, &mut scratch.bytes)?;
        self.decode(scratch);
        Ok(())
    }

    /// Reads the bytes of `count` columns from `start` on, all rows, into `scratch.bytes`: rows × count.
    fn read_column_bytes(&self, start: usize, count: usize, scratch: &mut Scratch) -> Result<(), Halt> {
        let width = self.info.dtype.bytes();
        scratch.bytes.resize(count * self.rows * width, 0);
        if count == self.columns {
            self.source.read(self.tensor, 0, &mut scratch.bytes)?;
            return Ok(());
        }
        for (row, piece) in scratch.bytes.chunks_exact_mut((count * width).max(1)).enumerate() {
            let offset = ((row * self.columns + start) * width) as u64;
            self.source.read(self.tensor, offset, piece)?;
        }
        Ok(())
    }

    fn decode(&self, scratch: &mut Scratch) {
        scratch.values.clear();
        decode::to_f64(self.info.dtype, &scratch.bytes, &mut scratch.values);
        self.rescale(scratch);
    }

    /// Decodes `count` of the `columns` columns that were read, from the `start`-th of these on: rows × count.
    fn decode_columns(&self, start: usize, count: usize, columns: usize, scratch: &mut Scratch) {
        let width = self.info.dtype.bytes();
        scratch.values.clear();
        for row in scratch.bytes.chunks_exact((columns * width).max(1)) {
            let piece = &row[start * width..(start + count) * width];
            decode::to_f64(self.info.dtype, piece, &mut scratch.values);
        }
        self.rescale(scratch);
    }

    fn rescale(&self, scratch: &mut Scratch) {
        if self.scale != 1.0 {
            scratch.values.iter_mut().for_each(|value| *value /= self.scale);
        }
    }

    /// Calls `visit(first row, rows of the panel × columns)` for all rows in order.
    pub(super) fn each_row_panel(
        &self,
        scratch: &mut Scratch,
        visit: impl FnMut(usize, &mut [f64]) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        self.each_row_panel_of(self.rows_of_panel(), scratch, visit)
    }

    /// The same with panels of that many rows.
    pub(super) fn each_row_panel_of(
        &self,
        panel: usize,
        scratch: &mut Scratch,
        mut visit: impl FnMut(usize, &mut [f64]) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        for start in (0..self.rows).step_by(panel) {
            self.read_rows(start, panel.min(self.rows - start), scratch)?;
            visit(start, &mut scratch.values)?;
        }
        Ok(())
    }

    /// Calls `visit(columns in the panel, rows × columns of the panel)` for all columns in order.
    pub(super) fn each_column_panel(
        &self,
        panel: usize,
        scratch: &mut Scratch,
        mut visit: impl FnMut(usize, &mut [f64]) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let fitting = SLAB_BYTES / (self.rows * self.info.dtype.bytes()).max(1);
        let slab = (fitting / panel * panel).max(panel);
        for first in (0..self.columns).step_by(slab) {
            let columns = slab.min(self.columns - first);
            self.read_column_bytes(first, columns, scratch)?;
            for start in (0..columns).step_by(panel) {
                let count = panel.min(columns - start);
                self.decode_columns(start, count, columns, scratch);
                visit(count, &mut scratch.values)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::measure::testing::{InMemory, Random};
    use crate::terms::Dtype;

    /// Panels that divide neither slab nor matrix, of a matrix of several slabs, and of one that is read whole.
    #[test]
    fn columns_come_in_order_and_are_read_once() {
        for (rows, columns, panel) in [(3000, 3100, 87), (7, 30, 4), (5, 3, 8), (1, 100, 100)] {
            let mut random = Random(rows as u64);
            let bytes: Vec<u8> = (0..rows * columns).map(|_| random.bits() as u8).collect();
            let source = InMemory::one(Dtype::U8, &[rows as u64, columns as u64], bytes.clone());
            let matrix = Matrix { scale: 2.0, ..Matrix::of(&source, 0).unwrap() };
            let (mut first, mut largest) = (0, 0);
            let visit = |count: usize, values: &mut [f64]| {
                assert_eq!(values.len(), rows * count);
                for (row, piece) in values.chunks_exact(count).enumerate() {
                    let want = &bytes[row * columns + first..][..count];
                    assert!(piece.iter().zip(want).all(|(got, want)| *got == f64::from(*want) / 2.0));
                }
                (first, largest) = (first + count, largest.max(count));
                Ok(())
            };
            matrix.each_column_panel(panel, &mut Scratch::default(), visit).unwrap();
            assert_eq!((first, largest), (columns, panel.min(columns)));
            assert_eq!(source.read.load(Ordering::Relaxed), (rows * columns) as u64);
        }
    }
}
