//! A matrix that lies in a checkpoint, read in panels so that it never has to be in memory as a whole.

use crate::measure::decode;
use crate::terms::{BlockSource, Reason, SourceError, TensorInfo};

/// Elements of a panel: 2 MB as f64. Products of such panels run at full speed, and two threads with a
/// few panels each stay far below the memory that is promised.
const PANEL_ELEMENTS: usize = 256 * 1024;

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

    /// Reads `count` columns from `start` on, all rows, into `scratch.values`: rows × count.
    pub(super) fn read_columns(&self, start: usize, count: usize, scratch: &mut Scratch) -> Result<(), Halt> {
        if count == self.columns {
            return self.read_rows(0, self.rows, scratch);
        }
        let width = self.info.dtype.bytes();
        scratch.bytes.resize(count * self.rows * width, 0);
        for (row, piece) in scratch.bytes.chunks_exact_mut((count * width).max(1)).enumerate() {
            let offset = ((row * self.columns + start) * width) as u64;
            self.source.read(self.tensor, offset, piece)?;
        }
        self.decode(scratch);
        Ok(())
    }

    fn decode(&self, scratch: &mut Scratch) {
        scratch.values.clear();
        decode::to_f64(self.info.dtype, &scratch.bytes, &mut scratch.values);
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
        for start in (0..self.columns).step_by(panel) {
            let count = panel.min(self.columns - start);
            self.read_columns(start, count, scratch)?;
            visit(count, &mut scratch.values)?;
        }
        Ok(())
    }
}
