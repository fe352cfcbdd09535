//! Quantised blocks and how they unfold. Each function takes one block and gives its elements in the
//! order of the row; products and sums are rounded in the order of the reference, so that the values
//! are the same to the last bit.

use std::sync::Arc;

use half::f16;

use crate::tensor::Input;
use crate::terms::SourceError;

/// A kind of block.
#[derive(Debug)]
pub struct Kind {
    /// Its number in the file.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// Elements of one block, at most [`BLOCK_ELEMENTS_MAX`].
    pub elements: usize,
    /// Bytes of one block.
    pub bytes: usize,
    unfold: fn(&[u8], &mut [f32]),
}

const BLOCK_ELEMENTS_MAX: usize = 256;
/// Bytes of the file that are read at once.
const READ_BYTES: usize = 256 << 10;

#[rustfmt::skip]
static KINDS: &[Kind] = &[
    Kind { number: 2, name: "Q4_0", elements: 32, bytes: 18, unfold: q4_0 },
    Kind { number: 3, name: "Q4_1", elements: 32, bytes: 20, unfold: q4_1 },
    Kind { number: 6, name: "Q5_0", elements: 32, bytes: 22, unfold: q5_0 },
    Kind { number: 7, name: "Q5_1", elements: 32, bytes: 24, unfold: q5_1 },
    Kind { number: 8, name: "Q8_0", elements: 32, bytes: 34, unfold: q8_0 },
    Kind { number: 10, name: "Q2_K", elements: 256, bytes: 84, unfold: q2_k },
    Kind { number: 11, name: "Q3_K", elements: 256, bytes: 110, unfold: q3_k },
    Kind { number: 12, name: "Q4_K", elements: 256, bytes: 144, unfold: q4_k },
    Kind { number: 13, name: "Q5_K", elements: 256, bytes: 176, unfold: q5_k },
    Kind { number: 14, name: "Q6_K", elements: 256, bytes: 210, unfold: q6_k },
    Kind { number: 20, name: "IQ4_NL", elements: 32, bytes: 18, unfold: iq4_nl },
    Kind { number: 23, name: "IQ4_XS", elements: 256, bytes: 136, unfold: iq4_xs },
];

impl Kind {
    /// The kind of that number, if it is one that is read.
    pub fn of(number: u32) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.number == number)
    }
}

/// A tensor in blocks.
#[derive(Debug)]
pub struct Blocks {
    /// The file.
    pub input: Arc<Input>,
    /// Byte at which the first block begins.
    pub offset: u64,
    /// Their kind.
    pub kind: &'static Kind,
}

impl Blocks {
    /// Fills `buffer` with 32-bit floats from element `first` on.
    pub fn read(&self, first: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        let (elements, bytes) = (self.kind.elements, self.kind.bytes);
        let mut block = first / elements as u64;
        let mut ahead = (first % elements as u64) as usize;
        let (mut target, _) = buffer.as_chunks_mut::<4>();
        let mut raw = vec![0; READ_BYTES / bytes * bytes];
        let mut unfolded = [0.0; BLOCK_ELEMENTS_MAX];
        while !target.is_empty() {
            let wanted = (ahead + target.len()).div_ceil(elements) * bytes;
            let len = wanted.min(raw.len());
            self.input.read_at(self.offset + block * bytes as u64, &mut raw[..len])?;
            for chunk in raw[..len].chunks_exact(bytes) {
                (self.kind.unfold)(chunk, &mut unfolded[..elements]);
                let given = &unfolded[ahead..elements];
                let count = given.len().min(target.len());
                let (now, later) = target.split_at_mut(count);
                now.iter_mut().zip(given).for_each(|(slot, value)| *slot = value.to_le_bytes());
                target = later;
                ahead = 0;
                block += 1;
            }
        }
        Ok(())
    }
}

fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Low halves of 16 bytes are the first 16 elements, high halves the second.
fn nibble(bytes: &[u8], index: usize) -> u8 {
    if index < 16 { bytes[index] & 15 } else { bytes[index - 16] >> 4 }
}

/// The fifth bits of 32 elements.
fn fifth(bytes: &[u8], index: usize) -> u8 {
    (bytes[index / 8] >> (index % 8) & 1) << 4
}

fn q4_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    for (index, value) in out.iter_mut().enumerate() {
        *value = scale * (f32::from(nibble(&block[2..], index)) - 8.0);
    }
}

fn q4_1(block: &[u8], out: &mut [f32]) {
    let (scale, least) = (half(block, 0), half(block, 2));
    for (index, value) in out.iter_mut().enumerate() {
        *value = scale * f32::from(nibble(&block[4..], index)) + least;
    }
}

fn q5_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    for (index, value) in out.iter_mut().enumerate() {
        let bits = nibble(&block[6..], index) | fifth(&block[2..6], index);
        *value = scale * (f32::from(bits) - 16.0);
    }
}

fn q5_1(block: &[u8], out: &mut [f32]) {
    let (scale, least) = (half(block, 0), half(block, 2));
    for (index, value) in out.iter_mut().enumerate() {
        let bits = nibble(&block[8..], index) | fifth(&block[4..8], index);
        *value = scale * f32::from(bits) + least;
    }
}

fn q8_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    for (value, &byte) in out.iter_mut().zip(&block[2..]) {
        *value = f32::from(byte as i8) * scale;
    }
}

fn q2_k(block: &[u8], out: &mut [f32]) {
    let (scales, bits) = (&block[..16], &block[16..80]);
    let (scale, least) = (half(block, 80), half(block, 82));
    for (index, value) in out.iter_mut().enumerate() {
        let (part, inner) = (index / 128, index % 128);
        let two = bits[part * 32 + inner % 32] >> (inner / 32 * 2) & 3;
        let packed = scales[index / 16];
        *value = scale * f32::from(packed & 15) * f32::from(two) - least * f32::from(packed >> 4);
    }
}

fn q3_k(block: &[u8], out: &mut [f32]) {
    let (mask, bits, scales, scale) = (&block[..32], &block[32..96], &block[96..108], half(block, 108));
    for (index, value) in out.iter_mut().enumerate() {
        let (part, inner) = (index / 128, index % 128);
        let two = bits[part * 32 + inner % 32] >> (inner / 32 * 2) & 3;
        let absent = mask[index % 32] >> (index / 32) & 1 == 0;
        let group = index / 16;
        let low = scales[group % 8] >> (group / 8 * 4) & 15;
        let high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
        let group_scale = f32::from(low | high << 4) - 32.0;
        *value = scale * group_scale * (f32::from(two) - if absent { 4.0 } else { 0.0 });
    }
}

/// Six-bit scale and minimum of a group of 32, packed in 12 bytes.
fn scale_and_least(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, least) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let shared = packed[group + 4];
        (shared & 15 | packed[group - 4] >> 6 << 4, shared >> 4 | packed[group] >> 6 << 4)
    };
    (f32::from(scale), f32::from(least))
}

fn q4_k(block: &[u8], out: &mut [f32]) {
    let (scale, least, packed, bits) = (half(block, 0), half(block, 2), &block[4..16], &block[16..144]);
    for (group, values) in out.chunks_exact_mut(32).enumerate() {
        let (group_scale, group_least) = scale_and_least(packed, group);
        for (index, value) in values.iter_mut().enumerate() {
            let four = bits[group / 2 * 32 + index] >> (group % 2 * 4) & 15;
            *value = scale * group_scale * f32::from(four) - least * group_least;
        }
    }
}

fn q5_k(block: &[u8], out: &mut [f32]) {
    let (scale, least, packed) = (half(block, 0), half(block, 2), &block[4..16]);
    let (high, bits) = (&block[16..48], &block[48..176]);
    for (group, values) in out.chunks_exact_mut(32).enumerate() {
        let (group_scale, group_least) = scale_and_least(packed, group);
        for (index, value) in values.iter_mut().enumerate() {
            let four = bits[group / 2 * 32 + index] >> (group % 2 * 4) & 15;
            let five = four | (high[index] >> group & 1) << 4;
            *value = scale * group_scale * f32::from(five) - least * group_least;
        }
    }
}

fn q6_k(block: &[u8], out: &mut [f32]) {
    let (low, high, scales, scale) = (&block[..128], &block[128..192], &block[192..208], half(block, 208));
    for (index, value) in out.iter_mut().enumerate() {
        let (part, inner) = (index / 128, index % 128);
        let four = low[part * 64 + inner % 64] >> (inner / 64 * 4) & 15;
        let two = high[part * 32 + inner % 32] >> (inner / 32 * 2) & 3;
        let group_scale = f32::from(scales[index / 16] as i8);
        *value = scale * group_scale * (f32::from(four | two << 4) - 32.0);
    }
}

/// The 16 values of the non-linear four-bit kinds.
const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

fn iq4_nl(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    for (index, value) in out.iter_mut().enumerate() {
        *value = scale * f32::from(LEVELS[usize::from(nibble(&block[2..], index))]);
    }
}

fn iq4_xs(block: &[u8], out: &mut [f32]) {
    let (scale, high, low) = (half(block, 0), u16::from_le_bytes([block[2], block[3]]), &block[4..8]);
    for (group, values) in out.chunks_exact_mut(32).enumerate() {
        let four = low[group / 2] >> (group % 2 * 4) & 15;
        let two = (high >> (group * 2) & 3) as u8;
        let group_scale = scale * (f32::from(four | two << 4) - 32.0);
        for (index, value) in values.iter_mut().enumerate() {
            *value = group_scale * f32::from(LEVELS[usize::from(nibble(&block[8 + group * 16..], index))]);
        }
    }
}
