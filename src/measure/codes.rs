//! Counts 8-bit and 16-bit elements by their bits: however many there are, 65,536 counts tell everything.

use super::cells::Cell;
use super::counter::boxed;
use super::decode::to_f64;
use crate::terms::Dtype;

const CODES: usize = 1 << 16;

/// How often each bit pattern occurs.
pub(crate) struct Codes {
    counts: Box<[u32; CODES]>,
}

impl Codes {
    /// All zero.
    pub(crate) fn new() -> Self {
        Self { counts: boxed() }
    }

    /// Counts little-endian elements of `width` bytes, 1 or 2.
    #[inline(always)]
    pub(crate) fn push(&mut self, bytes: &[u8], width: usize) {
        // Of a known length, so that no index needs a check.
        let counts = &mut *self.counts;
        if width == 1 {
            for &byte in bytes {
                counts[usize::from(byte)] += 1;
            }
        } else {
            // Four elements by one load.
            let (fours, rest) = bytes.as_chunks::<8>();
            for four in fours {
                let four = u64::from_le_bytes(*four);
                for shift in [0, 16, 32, 48] {
                    counts[usize::from((four >> shift) as u16)] += 1;
                }
            }
            for pair in rest.as_chunks::<2>().0 {
                counts[usize::from(u16::from_le_bytes(*pair))] += 1;
            }
        }
    }

    /// Adds another thread's counts and empties them.
    pub(crate) fn absorb(&mut self, other: &mut Codes) {
        for (sum, count) in self.counts.iter_mut().zip(&mut *other.counts) {
            *sum += std::mem::take(count);
        }
    }

    /// Empties the table.
    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
    }

    /// The finite values in ascending order, and the number of bit patterns that occur.
    pub(crate) fn cells(&self, dtype: Dtype) -> (Vec<Cell>, u64) {
        let width = dtype.bytes();
        let codes = if width == 1 { 1 << 8 } else { CODES };
        let half = codes / 2;
        let signed = !matches!(dtype, Dtype::BOOL | Dtype::U8 | Dtype::U16);
        // Negative floats ascend with falling bits, negative integers with rising ones.
        let negative =
            (half..codes).rev().map(|code| if dtype.is_float() { code } else { half + codes - 1 - code });
        let order: Vec<usize> = if signed { negative.chain(0..half).collect() } else { (0..codes).collect() };
        let (mut cells, mut distinct): (Vec<Cell>, u64) = (Vec::new(), 0);
        let mut decoded = Vec::with_capacity(1);
        for code in order {
            let count = u64::from(self.counts[code]);
            if count == 0 {
                continue;
            }
            distinct += 1;
            decoded.clear();
            to_f64(dtype, &(code as u16).to_le_bytes()[..width], &mut decoded);
            let value = decoded[0];
            match cells.last_mut() {
                _ if !value.is_finite() => {}
                Some(last) if last.lo == value => last.count += count,
                _ => cells.push(Cell::exact(value, count)),
            }
        }
        (cells, distinct)
    }
}
