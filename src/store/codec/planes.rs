//! Floats byte plane by byte plane. The values of one metric over sibling tensors, and the numbers of one
//! sketch, share sign and exponent more or less, so their high bytes take few different values: such a
//! plane needs 4 bits a value, or none. The low bytes are noise, which no compressor shrinks; they are
//! copied, which is why this is about as fast as copying all of it.

use super::{Malformed, Reader, Writer};

const ONE: u8 = 0;
const NIBBLES: u8 = 1;
const RAW: u8 = 2;

/// Writes values of `W` bytes each (little-endian bits). The count is not written.
pub fn write_planes<const W: usize>(writer: &mut Writer, values: &[[u8; W]]) {
    for plane in 0..W {
        let bytes = values.iter().map(|value| value[plane]);
        let mut palette: Vec<u8> = Vec::with_capacity(17);
        for byte in bytes.clone() {
            if palette.len() <= 16 && !palette.contains(&byte) {
                palette.push(byte);
            }
        }
        match palette.len() {
            0 => {}
            1 => {
                writer.u8(ONE);
                writer.u8(palette[0]);
            }
            // Below 35 values the palette costs more than it saves.
            2..=16 if palette.len() + 1 + values.len().div_ceil(2) < values.len() => {
                write_nibbles(writer, &palette, bytes);
            }
            _ => {
                writer.u8(RAW);
                writer.0.extend(bytes);
            }
        }
    }
}

fn write_nibbles(writer: &mut Writer, palette: &[u8], bytes: impl Iterator<Item = u8>) {
    writer.u8(NIBBLES);
    writer.bytes(palette);
    let mut low = None;
    for byte in bytes {
        let place = palette.iter().position(|&known| known == byte).unwrap_or(0) as u8;
        match low.take() {
            None => low = Some(place),
            Some(low) => writer.u8(low | place << 4),
        }
    }
    if let Some(low) = low {
        writer.u8(low);
    }
}

/// Reads `count` values back.
pub fn read_planes<const W: usize>(reader: &mut Reader<'_>, count: usize) -> Result<Vec<[u8; W]>, Malformed> {
    // A plane of equal bytes takes two bytes however many values there are, so the caller's count is not
    // bounded by what is left to read; this bound is far beyond any checkpoint and keeps a bad count cheap.
    if count > COUNT_MAX {
        return Err(Malformed("too many values"));
    }
    let mut values = vec![[0; W]; count];
    if count == 0 {
        return Ok(values);
    }
    for plane in 0..W {
        match reader.u8()? {
            ONE => {
                let byte = reader.u8()?;
                values.iter_mut().for_each(|value| value[plane] = byte);
            }
            NIBBLES => {
                let palette = reader.bytes()?;
                let packed = reader.take(count.div_ceil(2))?;
                for (index, value) in values.iter_mut().enumerate() {
                    let nibble = packed[index / 2] >> (index % 2 * 4) & 15;
                    let byte = palette.get(nibble as usize);
                    value[plane] = *byte.ok_or(Malformed("beyond the palette"))?;
                }
            }
            RAW => {
                let bytes = reader.take(count)?;
                values.iter_mut().zip(bytes).for_each(|(value, &byte)| value[plane] = byte);
            }
            _ => return Err(Malformed("plane of an unknown form")),
        }
    }
    Ok(values)
}

/// Most values of one block: one metric of a checkpoint of 4 million tensors.
const COUNT_MAX: usize = 1 << 22;

/// Writes floats with their count.
pub fn write_f32s(writer: &mut Writer, values: &[f32]) {
    writer.varint(values.len() as u64);
    let bits: Vec<[u8; 4]> = values.iter().map(|value| value.to_bits().to_le_bytes()).collect();
    write_planes(writer, &bits);
}

/// Reads what [`write_f32s`] wrote.
pub fn read_f32s(reader: &mut Reader<'_>) -> Result<Vec<f32>, Malformed> {
    let count = usize::try_from(reader.varint()?).map_err(|_| Malformed("too many values"))?;
    Ok(read_planes(reader, count)?.into_iter().map(f32::from_le_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn planes_round_trip(values: Vec<[u8; 4]>, narrow in proptest::collection::vec(0u8..9, 0..300)) {
            let narrow: Vec<[u8; 4]> = narrow.into_iter().map(|byte| [byte, 7, byte / 3, byte]).collect();
            for values in [values, narrow] {
                let mut writer = Writer::default();
                write_planes(&mut writer, &values);
                let mut reader = Reader(&writer.0);
                prop_assert_eq!(read_planes::<4>(&mut reader, values.len()), Ok(values));
                prop_assert_eq!(reader.end(), Ok(()));
            }
        }
    }

    #[test]
    fn narrow_planes_take_half() {
        let values: Vec<[u8; 4]> =
            (0..1000).map(|i| [i as u8, (i * 7) as u8, 60 + (i % 9) as u8, 188]).collect();
        let mut writer = Writer::default();
        write_planes(&mut writer, &values);
        assert_eq!(writer.0.len(), 1001 + 1001 + (2 + 9 + 500) + 2);
    }
}
