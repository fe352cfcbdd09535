//! Elements from bytes.

use crate::terms::Dtype;

/// Appends the elements of `bytes` as `f64`, as numpy would convert them. Trailing bytes that do not
/// fill an element are left out.
pub(crate) fn to_f64(dtype: Dtype, bytes: &[u8], out: &mut Vec<f64>) {
    macro_rules! each {
        ($width:literal, $convert:expr) => {
            out.extend(bytes.chunks_exact($width).map(|chunk| {
                let mut raw = [0u8; $width];
                raw.copy_from_slice(chunk);
                $convert(raw)
            }))
        };
    }
    match dtype {
        Dtype::BOOL => each!(1, |b: [u8; 1]| f64::from(u8::from(b[0] != 0))),
        Dtype::U8 => each!(1, |b: [u8; 1]| f64::from(b[0])),
        Dtype::I8 => each!(1, |b| f64::from(i8::from_le_bytes(b))),
        Dtype::F8_E4M3 => each!(1, |b: [u8; 1]| float8::F8E4M3::from_bits(b[0]).to_f64()),
        Dtype::F8_E5M2 => each!(1, |b: [u8; 1]| float8::F8E5M2::from_bits(b[0]).to_f64()),
        Dtype::U16 => each!(2, |b| f64::from(u16::from_le_bytes(b))),
        Dtype::I16 => each!(2, |b| f64::from(i16::from_le_bytes(b))),
        Dtype::F16 => each!(2, |b| half::f16::from_le_bytes(b).to_f64()),
        Dtype::BF16 => each!(2, |b| half::bf16::from_le_bytes(b).to_f64()),
        Dtype::U32 => each!(4, |b| f64::from(u32::from_le_bytes(b))),
        Dtype::I32 => each!(4, |b| f64::from(i32::from_le_bytes(b))),
        Dtype::F32 => each!(4, |b| f64::from(f32::from_le_bytes(b))),
        Dtype::U64 => each!(8, |b| u64::from_le_bytes(b) as f64),
        Dtype::I64 => each!(8, |b| i64::from_le_bytes(b) as f64),
        Dtype::F64 => each!(8, f64::from_le_bytes),
    }
}
