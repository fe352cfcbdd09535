//! Counts f32 values by their top bits.
//!
//! One table: for each of the 2^18 values of sign, exponent and 9 bits of mantissa a count, and the sum of
//! the other 14 bits. Within such a cell a value is linear in its bits, so count and sum give its mean
//! exactly. Both lie in one u64, so a value costs one addition, of all its bits: what is too much is known
//! from the count. A normal occupies some 12,500 cells, which share a core's second-level cache with the
//! chunk. Counts and sums are integers, so neither the order of the values nor the number of threads can
//! change them.
//!
//! Where values are nearly normal, D may lie in nearly every cell. Such values are also counted by 4 more
//! bits, at once, which spares a second look at all of them.

use super::cells::Cell;
use super::lanes::{INFINITE, Range};

/// Low bits that a cell does not tell apart.
pub(crate) const SPAN: u32 = 14;
const CELLS: usize = 1 << (32 - SPAN);
const LOW: u32 = (1 << SPAN) - 1;
/// First cell of the negative values.
const NEGATIVE: usize = CELLS / 2;
/// Most of the values that may lie in merged cells: the metrics of magnitudes leave out the smallest tenth.
const MERGED_MAX: f64 = 0.08;
/// Cells of one sign and exponent.
const BLOCK: usize = 1 << (23 - SPAN);
/// What a value adds to its packed entry beside its bits: more than all the low bits of an entry are together.
const ONE: u64 = 1 << 40;
/// Values after which packed entries are emptied into wide ones. So many times `ONE` and 32 bits fit a u64.
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

const NOTHING: Range =
    Range { abs_max: 0, abs_min: u32::MAX, zeros: 0, negative_zeros: 0, extremes: (0.0, 0.0) };

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
            // Kept apart from `self`, so that its place is not read again for each value.
            let packed: &mut [u64; CELLS] = &mut self.packed;
            for value in part {
                let bits = value.to_bits();
                packed[(bits >> SPAN) as usize] += ONE + u64::from(bits);
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
        for sign in [0, NEGATIVE] {
            for index in shifted(self.occupied(), sign) {
                let [count, sum] = unpacked(index, self.packed[index]);
                self.wide[index][0] += count;
                self.wide[index][1] += sum;
            }
        }
        self.clear_packed();
    }

    fn clear_packed(&mut self) {
        let infinite = (INFINITE >> SPAN) as usize;
        for sign in [0, NEGATIVE] {
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
        for sign in [0, NEGATIVE] {
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
        for sign in [0, NEGATIVE] {
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
    ///
    /// Where it is `merged`, neighbours near zero are one cell: each binade below a limit has half as many cells
    /// as the one above, so that all are about equally wide. [`Counter::narrow`] takes such a cell apart.
    pub(crate) fn cells(&self, merged: bool) -> (Vec<Cell>, Vec<u32>) {
        let mut out = (Vec::new(), Vec::new());
        let occupied = self.occupied();
        let limit = if merged { self.merge_limit() } else { 0 };
        let mut groups = Vec::new();
        let mut next = occupied.start;
        while next < occupied.end {
            let binade = next / BLOCK;
            let step = 1 << limit.saturating_sub(binade.max(1)).min(BLOCK.ilog2() as usize);
            let end = (next / step + 1) * step;
            groups.push(next..end.min(occupied.end));
            next = end;
        }
        for group in groups.iter().rev() {
            self.group(shifted(group.clone(), NEGATIVE), &mut out);
        }
        if self.zeros > 0 {
            out.0.push(Cell::exact(0.0, self.zeros));
            out.1.push(key(0));
        }
        for group in groups {
            self.group(group, &mut out);
        }
        out
    }

    /// The binade below which at most [`MERGED_MAX`] of the values that are not zero lie.
    fn merge_limit(&self) -> usize {
        let occupied = self.occupied();
        let count = |index: usize| self.count(index) + self.count(index + NEGATIVE);
        let total: u64 = occupied.clone().map(count).sum();
        let mut below = 0;
        let binades = occupied.start / BLOCK..(occupied.end - 1) / BLOCK + 1;
        for binade in binades.clone() {
            below += (binade * BLOCK..(binade + 1) * BLOCK).map(count).sum::<u64>();
            if below as f64 > MERGED_MAX * total as f64 {
                return binade;
            }
        }
        binades.end
    }

    /// Values of a cell, zeros left out.
    fn count(&self, index: usize) -> u64 {
        self.entry(index)[0] - self.zeros_in(index)
    }

    fn zeros_in(&self, index: usize) -> u64 {
        match index {
            0 => self.zeros - self.negative_zeros,
            NEGATIVE => self.negative_zeros,
            _ => 0,
        }
    }

    fn entry(&self, index: usize) -> [u64; 2] {
        let [mut count, mut sum] = unpacked(index, self.packed[index]);
        if let Some([more, more_sum]) = self.wide.get(index) {
            count += more;
            sum += more_sum;
        }
        [count, sum]
    }

    /// The cells of which a merged one is made.
    pub(crate) fn narrow(&self, merged: &Cell, out: &mut (Vec<Cell>, Vec<u32>)) {
        let [a, b] = [merged.lo, merged.hi].map(|end| ((end as f32).to_bits() >> SPAN) as usize);
        if a > b {
            (b..=a).rev().for_each(|index| self.cell(index, out));
        } else {
            (a..=b).for_each(|index| self.cell(index, out));
        }
    }

    /// The cells of a group as one, unless there is only one.
    fn group(&self, group: std::ops::Range<usize>, out: &mut (Vec<Cell>, Vec<u32>)) {
        if group.len() == 1 {
            return self.cell(group.start, out);
        }
        let from = out.0.len();
        if group.start >= NEGATIVE {
            group.rev().for_each(|index| self.cell(index, out));
        } else {
            group.for_each(|index| self.cell(index, out));
        }
        if let [first, .., last] = out.0[from..] {
            let count = out.0[from..].iter().map(|cell| cell.count).sum();
            let sum: f64 = out.0[from..].iter().map(|cell| cell.mean * cell.count as f64).sum();
            let mean = (sum / count as f64).clamp(first.lo, last.hi);
            out.0.truncate(from);
            out.1.truncate(from + 1);
            out.0.push(Cell { lo: first.lo, hi: last.hi, mean, count });
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

    fn cell(&self, index: usize, (cells, keys): &mut (Vec<Cell>, Vec<u32>)) {
        let [all, sum] = self.entry(index);
        let count = all - self.zeros_in(index);
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
        let negative = index >= NEGATIVE;
        let (lo, hi) = if negative { (far, near) } else { (near, far) };
        cells.push(Cell { lo, hi, mean: mean.clamp(lo, hi), count });
        keys.push(key(if negative { bits | LOW } else { bits }));
    }
}

/// Count and sum of the low bits of a packed entry.
fn unpacked(index: usize, entry: u64) -> [u64; 2] {
    let each = ONE + ((index as u64) << SPAN);
    [entry / each, entry % each]
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

#[cfg(test)]
mod tests {
    use super::super::lanes;
    use super::super::testing::Random;
    use super::*;

    #[test]
    fn merged_cells_hold_few_values_and_come_apart_again() {
        let mut values = Random(5).normals(200_000, 1.0);
        (values[0], values[1], values[2]) = (0.0, -0.0, -1e-42);
        let mut counter = Counter::new();
        counter.push(&values, false);
        counter.cover(&lanes::range(&values));
        let (narrow, narrow_keys) = counter.cells(false);
        let (merged, keys) = counter.cells(true);
        let is_merged = |cell: &Cell| !narrow.contains(cell);
        let values_merged: u64 = merged.iter().filter(|cell| is_merged(cell)).map(|cell| cell.count).sum();
        assert!(values_merged > 0 && values_merged as f64 <= MERGED_MAX * values.len() as f64);
        assert!(merged.len() < narrow.len());
        let sum = |cells: &[Cell]| cells.iter().map(|cell| cell.mean * cell.count as f64).sum::<f64>();
        assert!((sum(&merged) - sum(&narrow)).abs() < 1e-9);
        let mut apart = (Vec::new(), Vec::new());
        for (cell, key) in merged.iter().zip(keys) {
            if is_merged(cell) {
                counter.narrow(cell, &mut apart);
            } else {
                apart.0.push(*cell);
                apart.1.push(key);
            }
        }
        assert_eq!(apart, (narrow, narrow_keys));
    }
}
