//! The weights themselves, while their files exist: for pictures that stored numbers cannot draw.

use std::sync::Arc;

use crate::terms::{BlockSource, Dtype, ModelMap, SourceError, TensorInfo};

/// An opened checkpoint with what is known of its tensors.
#[derive(Clone)]
pub struct Weights {
    /// Reads the tensors.
    pub source: Arc<dyn BlockSource>,
    /// What they are, in the same order.
    pub map: ModelMap,
}

/// Part of a matrix, decoded: `rows × columns` values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Values; NaN and Inf as they are in the file.
    pub values: Vec<f32>,
}

impl Matrix {
    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// One column, copied.
    pub fn column(&self, column: usize) -> Vec<f32> {
        self.values.iter().skip(column).step_by(self.columns.max(1)).copied().collect()
    }
}

impl Weights {
    /// Largest tensor that is decoded whole for a picture: 64 Mi elements are 256 MiB as `f32`, the most
    /// that a page view may cost beside a training run.
    pub const ELEMENTS_MAX: u64 = 64 << 20;

    /// Index and facts of the tensor of that name.
    pub fn find(&self, name: &str) -> Option<(usize, &TensorInfo)> {
        self.source.tensors().iter().enumerate().find(|(_, info)| &*info.name == name)
    }

    /// A whole tensor as a matrix: the first dimension is rows, the others are columns; a vector is one
    /// row. None where it is larger than [`Weights::ELEMENTS_MAX`].
    pub fn matrix(&self, index: usize) -> Result<Option<Matrix>, SourceError> {
        let info = &self.source.tensors()[index];
        let (rows, columns) = rows_columns(&info.shape);
        if info.elements() > Self::ELEMENTS_MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; info.bytes() as usize];
        self.source.read(index, 0, &mut bytes)?;
        Ok(Some(Matrix {
            rows: rows as usize,
            columns: columns as usize,
            values: decode(info.dtype, &bytes),
        }))
    }

    /// `count` elements from element `first` on, in row-major order.
    pub fn elements(&self, index: usize, first: u64, count: usize) -> Result<Vec<f32>, SourceError> {
        let dtype = self.source.tensors()[index].dtype;
        let mut bytes = vec![0; count * dtype.bytes()];
        self.source.read(index, first * dtype.bytes() as u64, &mut bytes)?;
        Ok(decode(dtype, &bytes))
    }
}

/// A shape as rows × columns: the first dimension against all others; a vector is one row.
pub fn rows_columns(shape: &[u64]) -> (u64, u64) {
    match shape {
        [] => (1, 1),
        [columns] => (1, *columns),
        [rows, rest @ ..] => (*rows, rest.iter().product()),
    }
}

/// Little-endian elements as `f32`: exact for the small types, rounded for the wide ones, which is all
/// that a picture needs.
pub fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|&chunk| value(chunk)).collect()
    }
    match dtype {
        Dtype::BOOL | Dtype::U8 => each(bytes, |b: [u8; 1]| f32::from(b[0])),
        Dtype::I8 => each(bytes, |b: [u8; 1]| f32::from(b[0] as i8)),
        Dtype::F8_E4M3 => each(bytes, |b: [u8; 1]| float8::F8E4M3::from_bits(b[0]).to_f32()),
        Dtype::F8_E5M2 => each(bytes, |b: [u8; 1]| float8::F8E5M2::from_bits(b[0]).to_f32()),
        Dtype::U16 => each(bytes, |b| f32::from(u16::from_le_bytes(b))),
        Dtype::I16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
        Dtype::F16 => each(bytes, |b| half::f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => each(bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
        Dtype::U32 => each(bytes, |b| u32::from_le_bytes(b) as f32),
        Dtype::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::U64 => each(bytes, |b| u64::from_le_bytes(b) as f32),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_by_dtype() {
        assert_eq!(decode(Dtype::F32, &1.5f32.to_le_bytes()), [1.5]);
        assert_eq!(decode(Dtype::BF16, &half::bf16::from_f32(-2.0).to_le_bytes()), [-2.0]);
        assert_eq!(decode(Dtype::I8, &[0xff]), [-1.0]);
        assert_eq!(decode(Dtype::F8_E4M3, &[0x38]), [1.0]);
        assert_eq!(decode(Dtype::F64, &0.25f64.to_le_bytes()), [0.25]);
    }

    #[test]
    fn shapes_become_matrices() {
        assert_eq!(rows_columns(&[]), (1, 1));
        assert_eq!(rows_columns(&[7]), (1, 7));
        assert_eq!(rows_columns(&[2, 3, 4]), (2, 12));
    }
}
