//! The second look: values of the marked cells, exactly.
//!
//! Few values in marked cells: they are collected and sorted. Many: the marked cells are split by as many
//! of their low bits as a table of bounded size allows; when that is all of them, nothing is left open.

use super::cells::Cell;
use super::counter::{FINE_SHIFT, key, value};

/// Values that are collected at most in one look: 16 MB.
const COLLECTED_MAX: u64 = 1 << 22;
/// Entries of the table that splits cells: 16 MB.
const TABLE_MAX: usize = 1 << 22;

const WORDS: usize = 1 << (32 - FINE_SHIFT - 5);
const BUFFER: usize = 1024;

/// What a look looks for.
pub(crate) struct Wanted {
    /// One bit a fine cell of the counter, indexed by the values' top bits.
    bits: Vec<u32>,
    /// First keys of the wanted cells, ascending.
    starts: Vec<u32>,
    /// Keys in a wanted cell, as a power of two.
    span_bits: u32,
    /// Low bits that are told apart by a table; none where values are collected.
    split_bits: Option<u32>,
}

/// What one thread found.
#[derive(Default)]
pub(crate) struct Found {
    keys: Vec<u32>,
    table: Vec<u32>,
}

impl Wanted {
    /// Wants the marked cells, all of which span `2^span_bits` keys. None where no cell is marked.
    pub(crate) fn new(cells: &[Cell], keys: &[u32], marks: &[bool], span_bits: u32) -> Option<Self> {
        let marked = || marks.iter().zip(keys).zip(cells).filter(|((mark, _), _)| **mark);
        let starts: Vec<u32> = marked().map(|((_, key), _)| *key).collect();
        if starts.is_empty() {
            return None;
        }
        let values: u64 = marked().map(|(_, cell)| cell.count).sum();
        let mut bits = vec![0u32; WORDS];
        for &start in &starts {
            let index = value(start).to_bits() >> FINE_SHIFT;
            bits[(index >> 5) as usize] |= 1 << (index & 31);
        }
        let table_bits = (TABLE_MAX / starts.len()).checked_ilog2().unwrap_or(0);
        let split_bits = (values > COLLECTED_MAX && table_bits > 0).then(|| table_bits.min(span_bits));
        Some(Self { bits, starts, span_bits, split_bits })
    }

    /// Looks at some values.
    #[inline(always)]
    pub(crate) fn look(&self, values: &[f32], found: &mut Found) {
        let mut buffer = [0u32; BUFFER];
        for part in values.chunks(BUFFER) {
            let mut kept = 0;
            for value in part {
                let bits = value.to_bits();
                let word = self.bits[(bits >> (FINE_SHIFT + 5)) as usize & (WORDS - 1)];
                buffer[kept & (BUFFER - 1)] = bits;
                kept += (word >> ((bits >> FINE_SHIFT) & 31)) as usize & 1;
            }
            self.keep(&buffer[..kept], found);
        }
    }

    #[inline(never)]
    fn keep(&self, bits: &[u32], found: &mut Found) {
        if self.split_bits.is_none() && self.span_bits == FINE_SHIFT {
            found.keys.extend(bits.iter().map(|&bits| key(bits)));
            return;
        }
        for &bits in bits {
            let key = key(bits);
            let Some(cell) = self.cell_of(key) else { continue };
            match self.split_bits {
                None => found.keys.push(key),
                Some(split) => {
                    if found.table.is_empty() {
                        found.table = vec![0; self.starts.len() << split];
                    }
                    let low = (key - self.starts[cell]) >> (self.span_bits - split);
                    found.table[(cell << split) + low as usize] += 1;
                }
            }
        }
    }

    fn cell_of(&self, key: u32) -> Option<usize> {
        let cell = self.starts.partition_point(|&start| start <= key).checked_sub(1)?;
        (key - self.starts[cell] < 1 << self.span_bits).then_some(cell)
    }

    /// Puts what all threads found in the place of the marked cells. Returns the span of the cells that
    /// are still wide, if there are such.
    pub(crate) fn replace(
        &self,
        found: Vec<Found>,
        marks: &[bool],
        cells: &mut Vec<Cell>,
        keys: &mut Vec<u32>,
    ) -> Option<u32> {
        let (mut new_cells, mut new_keys) = (Vec::new(), Vec::new());
        let mut wanted = Refined::new(self, found);
        for ((cell, key), mark) in cells.iter().zip(&*keys).zip(marks) {
            if *mark {
                wanted.next(&mut new_cells, &mut new_keys);
            } else {
                new_cells.push(*cell);
                new_keys.push(*key);
            }
        }
        (*cells, *keys) = (new_cells, new_keys);
        let span = self.span_bits - self.split_bits.unwrap_or(self.span_bits);
        (span > 0).then_some(span)
    }
}

/// The split cells, one wanted cell after the other.
struct Refined<'a> {
    wanted: &'a Wanted,
    keys: Vec<u32>,
    table: Vec<u32>,
    cell: usize,
    taken: usize,
}

impl<'a> Refined<'a> {
    fn new(wanted: &'a Wanted, found: Vec<Found>) -> Self {
        let (mut keys, mut table): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for mut more in found {
            keys.append(&mut more.keys);
            if table.is_empty() {
                table = more.table;
            } else {
                table.iter_mut().zip(&more.table).for_each(|(sum, count)| *sum += count);
            }
        }
        keys.sort_unstable();
        Self { wanted, keys, table, cell: 0, taken: 0 }
    }

    fn next(&mut self, cells: &mut Vec<Cell>, keys: &mut Vec<u32>) {
        let start = self.wanted.starts[self.cell];
        match self.wanted.split_bits {
            None => {
                let end = u64::from(start) + (1 << self.wanted.span_bits);
                let from = self.taken;
                while self.keys.get(self.taken).is_some_and(|&key| u64::from(key) < end) {
                    let same = self.keys[self.taken];
                    let until = self.keys[self.taken..].partition_point(|&key| key == same) + self.taken;
                    cells.push(Cell::exact(f64::from(value(same)), (until - self.taken) as u64));
                    keys.push(same);
                    self.taken = until;
                }
                debug_assert!(self.taken > from);
            }
            Some(split) => {
                let span = self.wanted.span_bits - split;
                let counts = self.cell << split..(self.cell + 1) << split;
                for (low, &count) in self.table.get(counts).unwrap_or_default().iter().enumerate() {
                    if count > 0 {
                        let first = start + ((low as u32) << span);
                        let (lo, hi) = (value(first), value(first + ((1 << span) - 1)));
                        let (lo, hi) = (f64::from(lo), f64::from(hi));
                        cells.push(Cell { lo, hi, mean: lo + (hi - lo) / 2.0, count: u64::from(count) });
                        keys.push(first);
                    }
                }
            }
        }
        self.cell += 1;
    }
}
