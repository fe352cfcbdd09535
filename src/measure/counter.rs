//! Counts f32 values by their top bits.
//!
//! Two tables. *Fine*: a u32 count for each of the 2^20 values of sign, exponent and 11 bits of mantissa;
//! a normal occupies some 50,000 of them, which fits a core's second-level cache. *Coarse*: for each of
//! the 2^16 values of the top 16 bits, the sum of the low 16 bits, which makes the mean of each coarse
//! group exact, because within a group value is linear in bits. Counts are integers, so neither the order
//! of the values nor the number of threads can change them.

use super::cells::Cell;
use super::lanes::{INFINITE, Range};

/// Low bits that the fine table does not tell apart.
pub(crate) const FINE_SHIFT: u32 = 12;
const FINE: usize = 1 << (32 - FINE_SHIFT);
/// Low bits that the coarse table adds up.
const COARSE_SHIFT: u32 = 16;
const COARSE: usize = 1 << (32 - COARSE_SHIFT);
/// Fine cells of one sign and exponent.
const BLOCK: usize = 1 << (23 - FINE_SHIFT);
/// Values that are counted in both tables before the next: they stay in the first-level cache.
const STRIDE: usize = 4096;

/// Most values in one tensor: the fine counts are u32.
pub(crate) const VALUES_MAX: u64 = u32::MAX as u64;

/// The two tables, and what is known of the values beside them.
pub(crate) struct Counter {
    fine: Box<[u32; FINE]>,
    coarse: Box<[u64; COARSE]>,
    range: Range,
    zeros: u64,
    negative_zeros: u64,
}

const NOTHING: Range = Range { abs_max: 0, abs_min: u32::MAX, zeros: 0, negative_zeros: 0 };

/// An array on the heap that never was on the stack.
fn boxed<T: Clone + Default, const N: usize>() -> Box<[T; N]> {
    match vec![T::default(); N].try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("the vector has N elements"),
    }
}

impl Counter {
    /// Empty tables: 4.5 MB, of which only the pages that are used are ever touched.
    pub(crate) fn new() -> Self {
        Self { fine: boxed(), coarse: boxed(), range: NOTHING, zeros: 0, negative_zeros: 0 }
    }

    /// Widens the range that is known to be occupied. Must cover every finite value that is counted.
    pub(crate) fn cover(&mut self, range: &Range) {
        self.range.abs_max = self.range.abs_max.max(range.abs_max);
        self.range.abs_min = self.range.abs_min.min(range.abs_min);
        self.zeros += u64::from(range.zeros);
        self.negative_zeros += u64::from(range.negative_zeros);
    }

    /// Counts values. NaN and Inf are counted where nobody looks.
    #[inline(always)]
    pub(crate) fn push(&mut self, values: &[f32]) {
        for part in values.chunks(STRIDE) {
            for value in part {
                self.fine[(value.to_bits() >> FINE_SHIFT) as usize] += 1;
            }
            for value in part {
                let bits = value.to_bits();
                self.coarse[(bits >> COARSE_SHIFT) as usize] += u64::from(bits & 0xffff);
            }
        }
    }

    /// Fine cells that may be occupied, as ranges of one sign.
    fn occupied(&self) -> std::ops::Range<usize> {
        let high = self.range.abs_max.min(INFINITE - 1);
        let low = self.range.abs_min.min(high);
        let low = if self.zeros > 0 { 0 } else { low };
        // Whole coarse groups.
        let group = 1 << (COARSE_SHIFT - FINE_SHIFT);
        let low = (low >> FINE_SHIFT) as usize / group * group;
        low..((high >> FINE_SHIFT) as usize / group + 1) * group
    }

    /// Adds another thread's counts and empties them.
    pub(crate) fn absorb(&mut self, other: &mut Counter) {
        for sign in [0, FINE / 2] {
            for index in shifted(other.occupied(), sign) {
                self.fine[index] += other.fine[index];
            }
            for index in shifted(coarse_of(other.occupied()), sign >> (COARSE_SHIFT - FINE_SHIFT)) {
                self.coarse[index] += other.coarse[index];
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
        let infinite = (INFINITE >> FINE_SHIFT) as usize;
        let group = COARSE_SHIFT - FINE_SHIFT;
        let occupied = self.occupied();
        for sign in [0, FINE / 2] {
            self.fine[shifted(occupied.clone(), sign)].fill(0);
            self.coarse[shifted(coarse_of(occupied.clone()), sign >> group)].fill(0);
            // The exponent of NaN and Inf.
            let special = infinite + sign..infinite + sign + BLOCK;
            self.fine[special.clone()].fill(0);
            self.coarse[special.start >> group..special.end >> group].fill(0);
        }
        (self.range, self.zeros, self.negative_zeros) = (NOTHING, 0, 0);
    }

    /// The occupied cells in ascending order, with the first key of each (see [`key`]).
    pub(crate) fn cells(&self, cells: &mut Vec<Cell>, keys: &mut Vec<u32>) {
        cells.clear();
        keys.clear();
        let groups = coarse_of(self.occupied());
        for group in groups.clone().rev() {
            self.group_cells(group + COARSE / 2, self.negative_zeros, cells, keys);
        }
        if self.zeros > 0 {
            cells.push(Cell::exact(0.0, self.zeros));
            keys.push(key(0));
        }
        for group in groups {
            self.group_cells(group, self.zeros - self.negative_zeros, cells, keys);
        }
    }

    /// Cells of one coarse group. Each has its own count; their means are the middles, moved alike until
    /// they give the group's exact sum.
    fn group_cells(&self, group: usize, zeros: u64, cells: &mut Vec<Cell>, keys: &mut Vec<u32>) {
        const SUBS: usize = 1 << (COARSE_SHIFT - FINE_SHIFT);
        const SPAN: f64 = (1 << FINE_SHIFT) as f64;
        let negative = group >= COARSE / 2;
        let mut counts = [0u64; SUBS];
        let (mut total, mut middles) = (0u64, 0f64);
        for (sub, count) in counts.iter_mut().enumerate() {
            *count = u64::from(self.fine[group * SUBS + sub]);
            if sub == 0 && group.is_multiple_of(COARSE / 2) {
                *count -= zeros;
            }
            total += *count;
            middles += *count as f64 * (sub as f64 * SPAN + (SPAN - 1.0) / 2.0);
        }
        if total == 0 {
            return;
        }
        let move_by = (self.coarse[group] as f64 - middles) / total as f64;
        let mut push = |sub: usize| {
            if counts[sub] == 0 {
                return;
            }
            let bits = ((group * SUBS + sub) as u32) << FINE_SHIFT;
            let near = f64::from(f32::from_bits(bits));
            let far = f64::from(f32::from_bits(bits | ((1 << FINE_SHIFT) - 1)));
            let share = ((SPAN - 1.0) / 2.0 + move_by).clamp(0.0, SPAN - 1.0) / (SPAN - 1.0);
            let mean = near + (far - near) * share;
            let (lo, hi) = if negative { (far, near) } else { (near, far) };
            cells.push(Cell { lo, hi, mean: mean.clamp(lo, hi), count: counts[sub] });
            keys.push(if negative { key(bits | ((1 << FINE_SHIFT) - 1)) } else { key(bits) });
        };
        if negative { (0..SUBS).rev().for_each(&mut push) } else { (0..SUBS).for_each(&mut push) }
    }
}

fn shifted(range: std::ops::Range<usize>, by: usize) -> std::ops::Range<usize> {
    range.start + by..range.end + by
}

fn coarse_of(fine: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let group = COARSE_SHIFT - FINE_SHIFT;
    fine.start >> group..fine.end >> group
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
