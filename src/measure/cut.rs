//! How a tensor is cut into chunks, and what its first one tells of how to count the rest.

use super::central::Central;
use super::decode::to_f32;
use super::depth::Depth;
use super::lanes;
use super::quads::Portable;
use crate::terms::{Dtype, TensorInfo};

/// Elements of a chunk: 256 kB as f32, so that a chunk and the tables share a second-level cache of 1 MB.
const CHUNK: usize = 1 << 16;
/// Elements that are summed up together where there are no rows.
const PIECE: usize = 4096;

/// How a tensor is cut. Depends on its shape alone, so that the number of threads changes nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Elements of a row; of a piece where the tensor is no matrix.
    pub(super) row: usize,
    /// True when rows are rows.
    pub(super) matrix: bool,
    /// Elements of a chunk: whole rows.
    pub(super) chunk: usize,
    /// Chunks.
    pub(super) chunks: usize,
    /// Elements of the tensor.
    pub(super) elements: usize,
}

impl Cut {
    /// Cuts a tensor; `columns` where it is a matrix whose rows are kept apart.
    pub(super) fn new(info: &TensorInfo, columns: Option<usize>) -> Self {
        let row = columns.unwrap_or(PIECE);
        let chunk = row * (CHUNK / row).max(1);
        let elements = info.elements() as usize;
        Self { row, matrix: columns.is_some(), chunk, chunks: elements.div_ceil(chunk), elements }
    }

    /// Elements of that chunk.
    pub(super) fn range(&self, chunk: usize) -> std::ops::Range<usize> {
        chunk * self.chunk..((chunk + 1) * self.chunk).min(self.elements)
    }
}

/// By how many bits values are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Depths {
    pub(super) raw: Depth,
    pub(super) normalized: Depth,
}

impl Depths {
    /// Elements that tell whether a tensor is nearly normal. What this gets wrong costs time alone.
    const SAMPLE: usize = 1 << 14;
    /// Largest skewness and excess kurtosis, either way, of what is taken for nearly normal: below, D
    /// is so small that it may lie in many cells.
    const LIMIT: f64 = 0.25;

    /// Looks at the first rows of a tensor, in its first chunk.
    pub(super) fn of(cut: &Cut, dtype: Dtype, bytes: &[u8]) -> Self {
        let rows = (Self::SAMPLE / cut.row).max(1);
        let len = (rows * cut.row * dtype.bytes()).min(bytes.len());
        let mut decoded = Vec::new();
        let values = to_f32(dtype, &bytes[..len], &mut decoded);
        let (mut raw, mut normalized) = (Central::default(), Central::default());
        for row in values.chunks(cut.row) {
            let powers = lanes::powers::<_, false>(Portable, row, &mut []);
            let square = powers[1] / row.len() as f64;
            if square > 0.0 && square.is_finite() {
                let central = lanes::about_mean(Portable, row, powers);
                raw.merge(&central);
                normalized.merge(&central.divided(square.sqrt()));
            }
        }
        let depth = |applies: bool, central: &Central| {
            let moments = central.moments(f64::NEG_INFINITY, f64::INFINITY);
            let near = moments.skewness.abs() < Self::LIMIT && moments.excess_kurtosis.abs() < Self::LIMIT;
            if applies && near { Depth::nearly_normal(cut.elements) } else { Depth::Cells }
        };
        Self { raw: depth(dtype.bytes() > 2, &raw), normalized: depth(cut.matrix, &normalized) }
    }
}
