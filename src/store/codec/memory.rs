//! Sketches, quantiles and spectra of all tensors of one reading: one value each, because they are large, are
//! written together and read together.

use super::planes::{read_f32s, write_f32s};
use super::{Malformed, Reader, Writer};
use crate::terms::Sketch;

const FORM: u8 = 1;

/// Writes one sketch a tensor, by place in the roster.
pub fn write_sketches<'a>(sketches: impl ExactSizeIterator<Item = Option<&'a Sketch>>) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(FORM);
    writer.varint(sketches.len() as u64);
    for sketch in sketches {
        writer.optional(sketch, |writer, sketch| {
            writer.varint(u64::from(sketch.version));
            writer.u8(u8::from(sketch.exact));
            write_f32s(writer, &sketch.values);
        });
    }
    writer.0
}

/// Reads one sketch a tensor, by place in the roster.
pub fn read_sketches(bytes: &[u8]) -> Result<Vec<Option<Sketch>>, Malformed> {
    let mut reader = Reader(bytes);
    reader.form(FORM)?;
    let sketches = reader.list(|reader| {
        reader.optional(|reader| {
            Ok(Sketch { version: reader.u32()?, exact: reader.flag()?, values: read_f32s(reader)? })
        })
    })?;
    reader.end()?;
    Ok(sketches)
}

/// Writes one list of numbers a tensor, its quantiles or its spectrum, by place in the roster; empty where it has none.
pub fn write_lists<'a>(lists: impl ExactSizeIterator<Item = &'a [f32]>) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(FORM);
    writer.varint(lists.len() as u64);
    lists.for_each(|values| write_f32s(&mut writer, values));
    writer.0
}

/// Reads one list of numbers a tensor, by place in the roster.
pub fn read_lists(bytes: &[u8]) -> Result<Vec<Vec<f32>>, Malformed> {
    let mut reader = Reader(bytes);
    reader.form(FORM)?;
    let lists = reader.list(read_f32s)?;
    reader.end()?;
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sketches_come_back(bits: Vec<Option<Vec<u32>>>, version: u32) {
            let sketches: Vec<Option<Sketch>> = bits
                .into_iter()
                .map(|bits| bits.map(|bits| Sketch {
                    version,
                    exact: bits.len() % 2 == 0,
                    values: bits.into_iter().map(f32::from_bits).collect(),
                }))
                .collect();
            let read = read_sketches(&write_sketches(sketches.iter().map(Option::as_ref))).unwrap();
            // Debug text rather than `==`: NaN is a value like any other here.
            prop_assert_eq!(format!("{read:?}"), format!("{sketches:?}"));
        }

        #[test]
        fn lists_come_back(bits: Vec<Vec<u32>>) {
            let lists: Vec<Vec<f32>> =
                bits.into_iter().map(|bits| bits.into_iter().map(f32::from_bits).collect()).collect();
            let read = read_lists(&write_lists(lists.iter().map(Vec::as_slice))).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{lists:?}"));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read_sketches(&bytes);
            let _ = read_lists(&bytes);
        }
    }
}
