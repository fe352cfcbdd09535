//! Counts f32 values by their top bits.
//!
//! One table: for each of the 2^18 values of sign, exponent and 9 bits of mantissa a count, and the sum of
//! the other 14 bits. Within such a cell a value is linear in its bits, so count and sum give its mean
//! exactly. Both lie in one u64, so a value costs one addition; a normal occupies some 12,500 cells, which
//! share a core's second-level cache with the chunk. Counts and sums are integers, so neither the order of
//! the values nor the number of threads can change them.
//!
//! Where values are nearly normal, D may lie in nearly every cell. Such values are also counted by 4 more
//! bits, at once, which spares a second look at all of them.

use super::cells::Cell;
use super::lanes::{INFINITE, Range};

/// Low bits that a cell does not tell apart.
pub(crate) const SPAN: u32 = 14;
const CELLS: usize = 1 << (32 - SPAN);
const LOW: u32 = (1 << SPAN) - 1;
/// Cells of one sign and exponent.
const BLOCK: usize = 1 << (23 - SPAN);
/// Place of the count in a packed entry; the sum of the low bits is below.
const COUNT_SHIFT: u32 = 40;
/// Values after which packed entries are emptied into wide ones. Sums stay below 2^37, counts below 2^24.
const PACKED_MAX: usize = 1 << 23;
/// Bits of each cell that the fine table tells apart.
pub(crate) const FINE_SPLIT: u32 = 4;
const FINE: usize = CELLS << FINE_SPLIT;

/// Most values in one tensor: the fine counts are u32.
pub(crate) const VALUES_MAX: u64 = u32::MAX as u64;

/// The tables, and what is known of the values beside them.
pub(crate) struct Counter {
    packed: Box<[u64; CELLS]>,
    /// Values in `packed`.
    pending: usize,
    /// Count and sum of each cell, from packed entries that were full; empty until it is needed.
    wide: Vec<[u64; 2]>,
    /// Counts by more bits; empty until it is needed.
    fine: Vec<u32>,
    has_fine: bool,
    range: Range,
    zeros: u64,
    negative_zeros: u64,
}

const NOTHING: Range = Range { abs_max: 0, abs_min: u32::MAX, zeros: 0, negative_zeros: 0 };

/// An array on the heap that never was on the stack.
pub(super) fn boxed<T: Clone + Default, const N: usize>() -> Box<[T; N]> {
    match vec![T::default(); N].try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("the vector has N elements"),
    }
}

impl Counter {
    /// Empty tables: 2 MB, of which only the pages that are used are ever touched.
    pub(crate) fn new() -> Self {
        Self {
            packed: boxed(),
            pending: 0,
            wide: Vec::new(),
            fine: Vec::new(),
            has_fine: false,
            range: NOTHING,
            zeros: 0,
            negative_zeros: 0,
        }
    }

    /// Widens the range that is known to be occupied. Must cover every finite value that is counted
    /// before the next are.
    pub(crate) fn cover(&mut self, range: &Range) {
        self.range.abs_max = self.range.abs_max.max(range.abs_max);
        self.range.abs_min = self.range.abs_min.min(range.abs_min);
        self.zeros += u64::from(range.zeros);
        self.negative_zeros += u64::from(range.negative_zeros);
    }

    /// Counts values, `fine` by more bits as well. NaN and Inf are counted where nobody looks.
    #[inline(always)]
    pub(crate) fn push(&mut self, values: &[f32], fine: bool) {
        for part in values.chunks(PACKED_MAX) {
            if self.pending + part.len() > PACKED_MAX {
                self.flush();
            }
            self.pending += part.len();
            for value in part {
                let bits = value.to_bits();
                self.packed[(bits >> SPAN) as usize] += 1 << COUNT_SHIFT | u64::from(bits & LOW);
            }
        }
        if fine {
            self.push_fine(values);
        }
    }

    #[inline(always)]
    fn push_fine(&mut self, values: &[f32]) {
        if self.fine.is_empty() {
            self.fine = vec![0; FINE];
        }
        self.has_fine = true;
        let fine = &mut self.fine[..FINE];
        for value in values {
            fine[(value.to_bits() >> (SPAN - FINE_SPLIT)) as usize] += 1;
        }
    }

    /// Cells that may be occupied, as ranges of one sign.
    fn occupied(&self) -> std::ops::Range<usize> {
        let high = self.range.abs_max.min(INFINITE - 1);
        let low = if self.zeros > 0 { 0 } else { self.range.abs_min.min(high) };
        (low >> SPAN) as usize..(high >> SPAN) as usize + 1
    }

    /// Empties the packed entries into the wide ones.
    #[cold]
    #[inline(never)]
    fn flush(&mut self) {
        if self.wide.is_empty() {
            self.wide = vec![[0; 2]; CELLS];
        }
        for sign in [0, CELLS / 2] {
            for index in shifted(self.occupied(), sign) {
                let [count, sum] = unpacked(self.packed[index]);
                self.wide[index][0] += count;
                self.wide[index][1] += sum;
            }
        }
        self.clear_packed();
    }

    fn clear_packed(&mut self) {
        let infinite = (INFINITE >> SPAN) as usize;
        for sign in [0, CELLS / 2] {
            let occupied = shifted(self.occupied(), sign);
            self.packed[occupied].fill(0);
            // The exponent of NaN and Inf.
            self.packed[infinite + sign..infinite + sign + BLOCK].fill(0);
        }
        self.pending = 0;
    }

    /// Adds another thread's counts and empties them.
    pub(crate) fn absorb(&mut self, other: &mut Counter) {
        self.flush();
        other.flush();
        if other.has_fine {
            self.push_fine(&[]);
        }
        for sign in [0, CELLS / 2] {
            let occupied = shifted(other.occupied(), sign);
            for index in occupied.clone() {
                self.wide[index][0] += other.wide[index][0];
                self.wide[index][1] += other.wide[index][1];
            }
            if other.has_fine {
                let fine = fine_of(occupied);
                let counts = self.fine[fine.clone()].iter_mut().zip(&other.fine[fine]);
                counts.for_each(|(sum, count)| *sum += count);
            }
        }
        let range = Range { zeros: 0, negative_zeros: 0, ..other.range };
        self.cover(&range);
        self.zeros += other.zeros;
        self.negative_zeros += other.negative_zeros;
        other.clear();
    }

    /// Empties the tables.
    pub(crate) fn clear(&mut self) {
        let infinite = (INFINITE >> SPAN) as usize;
        for sign in [0, CELLS / 2] {
            let occupied = shifted(self.occupied(), sign);
            if !self.wide.is_empty() {
                self.wide[occupied.clone()].fill([0; 2]);
            }
            if self.has_fine {
                self.fine[fine_of(occupied)].fill(0);
                self.fine[fine_of(infinite + sign..infinite + sign + BLOCK)].fill(0);
            }
        }
        self.clear_packed();
        (self.range, self.zeros, self.negative_zeros, self.has_fine) = (NOTHING, 0, 0, false);
    }

    /// The occupied cells in ascending order, with the first key of each (see [`key`]).
    pub(crate) fn cells(&self, cells: &mut Vec<Cell>, keys: &mut Vec<u32>) {
        cells.clear();
        keys.clear();
        for index in self.occupied().rev() {
            self.cell(index + CELLS / 2, self.negative_zeros, cells, keys);
        }
        if self.zeros > 0 {
            cells.push(Cell::exact(0.0, self.zeros));
            keys.push(key(0));
        }
        for index in self.occupied() {
            self.cell(index, self.zeros - self.negative_zeros, cells, keys);
        }
    }

    /// Counts by the top 22 bits, zeros left out, where all values were counted so.
    pub(crate) fn fine(&mut self) -> Option<&[u32]> {
        if !self.has_fine {
            return None;
        }
        let negative = std::mem::take(&mut self.negative_zeros);
        let positive = std::mem::take(&mut self.zeros) - negative;
        self.fine[0] -= positive as u32;
        self.fine[FINE / 2] -= negative as u32;
        // Still to be cleared.
        self.range.abs_min = if positive + negative > 0 { 0 } else { self.range.abs_min };
        Some(&self.fine)
    }

    fn cell(&self, index: usize, zeros: u64, cells: &mut Vec<Cell>, keys: &mut Vec<u32>) {
        let [mut count, mut sum] = unpacked(self.packed[index]);
        if let Some([more, more_sum]) = self.wide.get(index) {
            count += more;
            sum += more_sum;
        }
        if index.is_multiple_of(CELLS / 2) {
            count -= zeros;
        }
        if count == 0 {
            return;
        }
        let bits = (index as u32) << SPAN;
        let value = |low: u32| f64::from(f32::from_bits(bits | low));
        // One value, or all at one end, as where numbers of fewer bits were widened.
        let exact = match sum {
            low if count == 1 => Some(value(low as u32)),
            0 => Some(value(0)),
            sum if sum == count * u64::from(LOW) => Some(value(LOW)),
            _ => None,
        };
        let (near, far) = exact.map_or_else(|| (value(0), value(LOW)), |value| (value, value));
        let mean = near + (far - near) * (sum as f64 / count as f64 / f64::from(LOW));
        let negative = index >= CELLS / 2;
        let (lo, hi) = if negative { (far, near) } else { (near, far) };
        cells.push(Cell { lo, hi, mean: mean.clamp(lo, hi), count });
        keys.push(key(if negative { bits | LOW } else { bits }));
    }
}

/// Count and sum of a packed entry.
fn unpacked(entry: u64) -> [u64; 2] {
    [entry >> COUNT_SHIFT, entry & ((1 << COUNT_SHIFT) - 1)]
}

fn shifted(range: std::ops::Range<usize>, by: usize) -> std::ops::Range<usize> {
    range.start + by..range.end + by
}

fn fine_of(cells: std::ops::Range<usize>) -> std::ops::Range<usize> {
    cells.start << FINE_SPLIT..cells.end << FINE_SPLIT
}

/// Bits in an order that is the order of the values.
#[inline(always)]
pub(crate) fn key(bits: u32) -> u32 {
    bits ^ (((bits as i32 >> 31) as u32) | 0x8000_0000)
}

/// The value of a key.
#[inline(always)]
pub(crate) fn value(key: u32) -> f32 {
    let negative = key & 0x8000_0000 == 0;
    f32::from_bits(if negative { !key } else { key ^ 0x8000_0000 })
}
