//! Counts f32 values by their top bits.
//!
//! One table: for each of the 2^18 values of sign, exponent and 9 bits of mantissa a count, and the sum of
//! the other 14 bits. Within such a cell a value is linear in its bits, so count and sum give its mean
//! exactly. Both lie in one u64, so a value costs one addition, of all its bits: what is too much is known
//! from the count. A normal occupies some 12,500 cells, which share a core's second-level cache with the
//! chunk. Counts and sums are integers, so neither the order of the values nor the number of threads can
//! change them.
//!
//! Where values are nearly normal, D may lie in nearly every cell. Counting them by more bits at once spares a
//! second look at most of them: by 2 more bits in the same table, or, where they are more than a packed entry can
//! count and D is smaller still, by 4 more bits in a second one. See [`Depth`].

use super::cells::Cell;
use super::depth::{Deep, Depth, FINE_SPLIT, QUARTERS};
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
/// Values after which packed entries are emptied into wide ones.
const PACKED_MAX: usize = 31 << 20;
/// What a value adds to its packed entry beside its bits: more than the low bits of `PACKED_MAX` values are together.
/// So many times this and 32 bits fit a u64.
const ONE: u64 = (PACKED_MAX as u64) << SPAN;
const _: () = assert!((PACKED_MAX as u64).checked_mul(ONE + u32::MAX as u64).is_some());
const FINE: usize = CELLS << FINE_SPLIT;
const PACKED: usize = CELLS << QUARTERS;

/// Most values in one tensor: the fine counts are u32.
pub(crate) const VALUES_MAX: u64 = u32::MAX as u64;

/// The tables, and what is known of the values beside them.
pub(crate) struct Counter {
    /// Of cells; of their quarters where these are told apart.
    packed: Box<[u64; PACKED]>,
    quarters: bool,
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
    /// Empty tables: 8 MB, of which only the pages that are used are ever touched.
    pub(crate) fn new() -> Self {
        Self {
            packed: boxed(),
            quarters: false,
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

    /// Counts values; all of one tensor by the same depth. NaN and Inf are counted where nobody looks.
    #[inline(always)]
    pub(crate) fn push(&mut self, values: &[f32], depth: Depth) {
        if depth == Depth::Quarters {
            self.quarters = true;
            return self.push_packed::<{ SPAN - QUARTERS }>(values);
        }
        for part in values.chunks(PACKED_MAX) {
            if self.pending + part.len() > PACKED_MAX {
                self.flush();
            }
            self.push_packed::<SPAN>(part);
        }
        if depth == Depth::Sixteenths {
            self.push_fine(values);
        }
    }

    #[inline(always)]
    fn push_packed<const SHIFT: u32>(&mut self, values: &[f32]) {
        self.pending += values.len();
        // Kept apart from `self`, so that its place is not read again for each value.
        let packed: &mut [u64; PACKED] = &mut self.packed;
        for value in values {
            let bits = value.to_bits();
            packed[(bits >> SHIFT) as usize] += ONE + u64::from(bits);
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
                let [count, sum] = unpacked(index, SPAN, self.packed[index]);
                self.wide[index][0] += count;
                self.wide[index][1] += sum;
            }
        }
        self.clear_packed();
    }

    fn clear_packed(&mut self) {
        let infinite = (INFINITE >> SPAN) as usize;
        for sign in [0, NEGATIVE] {
            let occupied = self.packed_of(shifted(self.occupied(), sign));
            self.packed[occupied].fill(0);
            // The exponent of NaN and Inf.
            let infinite = self.packed_of(infinite + sign..infinite + sign + BLOCK);
            self.packed[infinite].fill(0);
        }
        self.pending = 0;
    }

    /// Packed entries of some cells.
    fn packed_of(&self, cells: std::ops::Range<usize>) -> std::ops::Range<usize> {
        parts_of(cells, if self.quarters { QUARTERS } else { 0 })
    }

    /// Adds another thread's counts and empties them.
    pub(crate) fn absorb(&mut self, other: &mut Counter) {
        // As many values as are counted by quarters fit packed entries.
        let quarters = self.quarters || other.quarters;
        (self.quarters, other.quarters) = (quarters, quarters);
        if quarters {
            self.pending += other.pending;
        } else {
            self.flush();
        }
        if other.has_fine {
            self.push_fine(&[]);
        }
        for index in [0, NEGATIVE].into_iter().flat_map(|sign| shifted(other.occupied(), sign)) {
            if quarters {
                for part in other.packed_of(index..index + 1) {
                    self.packed[part] += other.packed[part];
                }
                continue;
            }
            let [count, sum] = other.entry(index);
            if count == 0 {
                continue;
            }
            self.wide[index][0] += count;
            self.wide[index][1] += sum;
            if other.has_fine {
                let parts = parts_of(index..index + 1, FINE_SPLIT);
                let counts = self.fine[parts.clone()].iter_mut().zip(&other.fine[parts]);
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
                self.fine[parts_of(occupied, FINE_SPLIT)].fill(0);
                self.fine[parts_of(infinite + sign..infinite + sign + BLOCK, FINE_SPLIT)].fill(0);
            }
        }
        self.clear_packed();
        (self.range, self.zeros, self.negative_zeros) = (NOTHING, 0, 0);
        (self.quarters, self.has_fine) = (false, false);
    }

    /// The occupied cells of `finite` values in ascending order, with the first key of each (see [`key`]). Neighbours
    /// near zero are one cell: each binade below a limit has half as many cells as the one above, so that all are
    /// about equally wide. [`Counter::narrow`] takes such a cell apart.
    pub(crate) fn merged_cells(&self, finite: u64) -> (Vec<Cell>, Vec<u32>) {
        self.cells_below(self.merge_limit(finite - self.zeros))
    }

    /// Cells, merged below a binade.
    fn cells_below(&self, limit: usize) -> (Vec<Cell>, Vec<u32>) {
        let occupied = self.occupied();
        let mut groups = Vec::new();
        let mut next = occupied.start;
        while next < occupied.end {
            let binade = next / BLOCK;
            let step = 1 << limit.saturating_sub(binade.max(1)).min(BLOCK.ilog2() as usize);
            let end = (next / step + 1) * step;
            groups.push(next..end.min(occupied.end));
            next = end;
        }
        let mut out = (Vec::with_capacity(2 * groups.len() + 1), Vec::with_capacity(2 * groups.len() + 1));
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

    /// The binade below which at most [`MERGED_MAX`] of the values lie, of which there are `total` beside zeros.
    fn merge_limit(&self, total: u64) -> usize {
        let occupied = self.occupied();
        let count = |index: usize| self.count(index) + self.count(index + NEGATIVE);
        let mut below = total;
        // From above, as most of the binades lie below the limit.
        for binade in (occupied.start / BLOCK..(occupied.end - 1) / BLOCK + 1).rev() {
            below -= (binade * BLOCK..(binade + 1) * BLOCK).map(count).sum::<u64>();
            if below as f64 <= MERGED_MAX * total as f64 {
                return binade;
            }
        }
        0
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
        // Entries of a cell's quarters add up to what its own would be.
        let packed = self.packed[self.packed_of(index..index + 1)].iter().sum();
        let [mut count, mut sum] = unpacked(index, SPAN, packed);
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
        let negative = group.start >= NEGATIVE;
        let last = group.end - 1;
        let ascending = group.clone().map(|index| if negative { group.start + last - index } else { index });
        let mut cells = ascending.filter_map(|index| self.one(index));
        let Some((first, key)) = cells.next() else { return };
        let (mut all, mut sum) = (first, first.mean * first.count as f64);
        for (cell, _) in cells {
            all.hi = cell.hi;
            all.count += cell.count;
            sum += cell.mean * cell.count as f64;
        }
        if all.count > first.count {
            all.mean = (sum / all.count as f64).clamp(all.lo, all.hi);
        }
        out.0.push(all);
        out.1.push(key);
    }

    /// Counts by more bits, zeros left out, where values were counted so.
    pub(crate) fn deep(&mut self) -> Option<Deep<'_>> {
        if !self.quarters && !self.has_fine {
            return None;
        }
        let negative = std::mem::take(&mut self.negative_zeros);
        let positive = std::mem::take(&mut self.zeros) - negative;
        // Still to be cleared.
        self.range.abs_min = if positive + negative > 0 { 0 } else { self.range.abs_min };
        if self.quarters {
            self.packed[0] -= positive * ONE;
            self.packed[PACKED / 2] -= negative * (ONE + (1 << 31));
            return Some(Deep::Quarters(&self.packed[..]));
        }
        self.fine[0] -= positive as u32;
        self.fine[FINE / 2] -= negative as u32;
        Some(Deep::Sixteenths(&self.fine))
    }

    fn cell(&self, index: usize, (cells, keys): &mut (Vec<Cell>, Vec<u32>)) {
        if let Some((cell, key)) = self.one(index) {
            cells.push(cell);
            keys.push(key);
        }
    }

    /// A cell and its first key; none where it holds nothing.
    fn one(&self, index: usize) -> Option<(Cell, u32)> {
        let [all, sum] = self.entry(index);
        let count = all - self.zeros_in(index);
        if count == 0 {
            return None;
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
        Some((
            Cell { lo, hi, mean: mean.clamp(lo, hi), count },
            key(if negative { bits | LOW } else { bits }),
        ))
    }
}

/// Count and sum of the low bits of a packed entry, of which there are `span`.
pub(super) fn unpacked(index: usize, span: u32, entry: u64) -> [u64; 2] {
    let each = ONE + ((index as u64) << span);
    [entry / each, entry % each]
}

fn shifted(range: std::ops::Range<usize>, by: usize) -> std::ops::Range<usize> {
    range.start + by..range.end + by
}

/// Parts of some cells, of which `split` bits are told apart.
fn parts_of(cells: std::ops::Range<usize>, split: u32) -> std::ops::Range<usize> {
    cells.start << split..cells.end << split
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
        counter.push(&values, Depth::Cells);
        counter.cover(&lanes::range(&values));
        let (narrow, narrow_keys) = counter.cells_below(0);
        let (merged, keys) = counter.merged_cells(values.len() as u64);
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

    fn counted(values: &[f32], depth: Depth) -> Counter {
        let mut counter = Counter::new();
        for part in values.chunks(1000) {
            counter.push(part, depth);
            counter.cover(&lanes::range(part));
        }
        counter
    }

    #[test]
    fn depth_and_threads_change_no_cell() {
        let mut values = Random(6).normals(20_000, 1.0);
        values[..4].copy_from_slice(&[0.0, -0.0, 0.0, -1e-42]);
        let cells = counted(&values, Depth::Cells).merged_cells(values.len() as u64);
        for depth in [Depth::Cells, Depth::Quarters, Depth::Sixteenths] {
            let (left, right) = values.split_at(7000);
            let [mut counter, mut other, mut idle] = [left, right, &[]].map(|part| counted(part, depth));
            idle.absorb(&mut counter);
            idle.absorb(&mut other);
            assert_eq!(idle.merged_cells(values.len() as u64), cells, "{depth:?}");
            assert!(counter.packed.iter().all(|&entry| entry == 0), "{depth:?}: is not emptied");
        }
    }

    #[test]
    fn parts_of_cells_are_counted_without_zeros() {
        let mut values = Random(7).normals(20_000, 1.0);
        values[..3].copy_from_slice(&[0.0, -0.0, 0.0]);
        for depth in [Depth::Quarters, Depth::Sixteenths] {
            let mut counter = counted(&values, depth);
            let deep = counter.deep().expect("it was counted so");
            let shift = SPAN - deep.split();
            for sign in [0, 1u32 << 31] {
                let first = (sign | 0.5f32.to_bits()) >> shift;
                for parts in [first..first + 64, sign >> shift..(sign >> shift) + 2] {
                    let plain = parts.clone().map(|part| {
                        let inside = |x: &&f32| x.to_bits() >> shift == part && **x != 0.0;
                        values.iter().filter(inside).count() as u32
                    });
                    let mut counts = Vec::new();
                    deep.counts(parts.start as usize..parts.end as usize, &mut counts);
                    assert_eq!(counts, plain.collect::<Vec<_>>(), "{depth:?}");
                }
            }
        }
        assert!(counted(&values, Depth::Cells).deep().is_none());
    }
}
