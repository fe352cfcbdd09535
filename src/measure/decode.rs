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

/// True for the dtypes whose every value is an f32.
pub(crate) const fn fits_f32(dtype: Dtype) -> bool {
    !matches!(dtype, Dtype::U32 | Dtype::I32 | Dtype::U64 | Dtype::I64 | Dtype::F64)
}

/// The elements as f32: `bytes` themselves where they are that, else decoded into `out`.
///
/// `bytes` of f32 must be aligned to 4 bytes; others need no alignment.
pub(crate) fn to_f32<'a>(dtype: Dtype, bytes: &'a [u8], out: &'a mut Vec<f32>) -> &'a [f32] {
    out.clear();
    let pairs = || bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    match dtype {
        Dtype::F32 => match bytemuck::try_cast_slice(bytes) {
            Ok(values) => return values,
            Err(_) => out.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
        },
        Dtype::BF16 => out.extend(pairs().map(|bits| f32::from_bits(u32::from(bits) << 16))),
        Dtype::F16 => {
            out.resize(bytes.len() / 2, 0.0);
            match bytemuck::try_cast_slice::<u8, u16>(bytes) {
                Ok(halves) => {
                    use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
                    halves.reinterpret_cast::<half::f16>().convert_to_f32_slice(out);
                }
                Err(_) => {
                    out.iter_mut()
                        .zip(pairs())
                        .for_each(|(x, bits)| *x = half::f16::from_bits(bits).to_f32());
                }
            }
        }
        Dtype::U16 => out.extend(pairs().map(f32::from)),
        Dtype::I16 => out.extend(pairs().map(|bits| f32::from(bits as i16))),
        Dtype::BOOL => out.extend(bytes.iter().map(|&b| f32::from(u8::from(b != 0)))),
        Dtype::U8 => out.extend(bytes.iter().map(|&b| f32::from(b))),
        Dtype::I8 => out.extend(bytes.iter().map(|&b| f32::from(b as i8))),
        Dtype::F8_E4M3 => out.extend(bytes.iter().map(|&b| float8::F8E4M3::from_bits(b).to_f32())),
        Dtype::F8_E5M2 => out.extend(bytes.iter().map(|&b| float8::F8E5M2::from_bits(b).to_f32())),
        Dtype::U32 | Dtype::I32 | Dtype::U64 | Dtype::I64 | Dtype::F64 => {
            let mut wide = Vec::new();
            to_f64(dtype, bytes, &mut wide);
            out.extend(wide.iter().map(|&x| x as f32));
        }
    }
    out
}
