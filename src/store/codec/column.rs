//! One metric of one checkpoint over all its subjects: the unit in which samples are stored, because a
//! chart and a judge look at one metric of many tensors over many checkpoints.

use super::planes::{read_planes, write_planes};
use super::{Malformed, Reader, Writer};

const FORM: u8 = 1;

const EQUAL: u8 = 0;
const WHOLE: u8 = 1;
const SINGLE: u8 = 2;
const DOUBLE: u8 = 3;

/// Values by place in the roster, ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Place of the subject in the roster, and its value.
    pub values: Vec<(u32, f64)>,
}

/// Writes a column of a roster of `subjects` subjects.
pub fn write_column(column: &Column, subjects: usize) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(FORM);
    write_places(&mut writer, &column.values, subjects);
    write_values(&mut writer, column.values.iter().map(|&(_, value)| value).collect());
    writer.0
}

/// Reads a column of a roster of `subjects` subjects.
pub fn read_column(bytes: &[u8], subjects: usize) -> Result<Column, Malformed> {
    let mut reader = Reader(bytes);
    reader.form(FORM)?;
    let places = read_places(&mut reader, subjects)?;
    let values = read_values(&mut reader, places.len())?;
    reader.end()?;
    Ok(Column { values: places.into_iter().zip(values).collect() })
}

/// How many values a column holds, without reading them.
pub fn column_len(bytes: &[u8]) -> Result<u64, Malformed> {
    let mut reader = Reader(bytes);
    reader.form(FORM)?;
    let mut values = 0u64;
    for _ in 0..reader.count()? {
        reader.u32()?;
        values += u64::from(reader.u32()?);
    }
    Ok(values)
}

/// Runs of (gap, length): a metric that all tensors have takes two bytes.
fn write_places(writer: &mut Writer, values: &[(u32, f64)], subjects: usize) {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &(place, _) in values {
        match runs.last_mut() {
            Some((start, length)) if *start + *length == place => *length += 1,
            _ => runs.push((place, 1)),
        }
    }
    debug_assert!(values.last().is_none_or(|&(place, _)| (place as usize) < subjects));
    let mut end = 0;
    writer.list(&runs, |writer, &(start, length)| {
        writer.varint(u64::from(start - end));
        writer.varint(u64::from(length));
        end = start + length;
    });
}

fn read_places(reader: &mut Reader<'_>, subjects: usize) -> Result<Vec<u32>, Malformed> {
    let mut places = Vec::new();
    let mut end = 0u32;
    for _ in 0..reader.count()? {
        let start = end.checked_add(reader.u32()?).ok_or(Malformed("place beyond the roster"))?;
        end = start.checked_add(reader.u32()?).ok_or(Malformed("place beyond the roster"))?;
        if end as usize > subjects {
            return Err(Malformed("place beyond the roster"));
        }
        places.extend(start..end);
    }
    Ok(places)
}

fn as_whole(value: f64) -> Option<u64> {
    let whole = value as u64;
    ((whole as f64).to_bits() == value.to_bits() && whole < 1 << 53).then_some(whole)
}

fn is_single(value: f64) -> bool {
    f64::from(value as f32).to_bits() == value.to_bits()
}

/// The shortest of four forms: one value for all, whole numbers, f32 where that is exact, f64.
fn write_values(writer: &mut Writer, values: Vec<f64>) {
    let first = values.first().map_or(0, |value| value.to_bits());
    if values.iter().all(|value| value.to_bits() == first) {
        writer.u8(EQUAL);
        writer.u64(first);
    } else if let Some(whole) = values.iter().map(|&value| as_whole(value)).collect::<Option<Vec<_>>>() {
        writer.u8(WHOLE);
        whole.into_iter().for_each(|value| writer.varint(value));
    } else if values.iter().all(|&value| is_single(value)) {
        writer.u8(SINGLE);
        let bits: Vec<_> = values.iter().map(|&value| (value as f32).to_le_bytes()).collect();
        write_planes(writer, &bits);
    } else {
        writer.u8(DOUBLE);
        let bits: Vec<_> = values.iter().map(|value| value.to_le_bytes()).collect();
        write_planes(writer, &bits);
    }
}

fn read_values(reader: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, Malformed> {
    match reader.u8()? {
        EQUAL => Ok(vec![reader.f64()?; count]),
        WHOLE => (0..count).map(|_| Ok(reader.varint()? as f64)).collect(),
        SINGLE => {
            let bits = read_planes(reader, count)?;
            Ok(bits.into_iter().map(|four| f64::from(f32::from_le_bytes(four))).collect())
        }
        DOUBLE => Ok(read_planes(reader, count)?.into_iter().map(f64::from_le_bytes).collect()),
        _ => Err(Malformed("values of an unknown form")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(column: &Column) -> Vec<(u32, u64)> {
        column.values.iter().map(|&(place, value)| (place, value.to_bits())).collect()
    }

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            (0u64..1 << 53).prop_map(|whole| whole as f64),
            any::<f32>().prop_map(f64::from),
            Just(-0.0),
            Just(0.0),
        ]
    }

    proptest! {
        #[test]
        fn every_bit_comes_back(values in proptest::collection::btree_map(0u32..200, any_value(), 0..200)) {
            let column = Column { values: values.into_iter().collect() };
            let read = read_column(&write_column(&column, 200), 200).unwrap();
            prop_assert_eq!(bits(&read), bits(&column));
        }

        #[test]
        fn whole_numbers_come_back(values in proptest::collection::vec(0u64..1 << 60, 1..50)) {
            let values = values.into_iter().enumerate().map(|(i, v)| (i as u32, v as f64)).collect();
            let column = Column { values };
            let read = read_column(&write_column(&column, 50), 50).unwrap();
            prop_assert_eq!(bits(&read), bits(&column));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read_column(&bytes, 1000);
        }
    }

    #[test]
    fn a_count_that_is_zero_everywhere_is_small() {
        let column = Column { values: (0..148).map(|place| (place, 0.0)).collect() };
        assert!(write_column(&column, 148).len() <= 14);
    }
}
