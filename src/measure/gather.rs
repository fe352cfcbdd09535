//! The second look: values of the wanted cells, exactly.
//!
//! Few values in wanted cells: they are collected and sorted. Many: the wanted cells are split by as many
//! of their low bits as a table of bounded size allows; what is still wanted of them is looked at again.

use std::borrow::Cow;

use super::cells::Cell;
use super::counter::{FINE_SPLIT, SPAN, key, value};
use super::ks::{Piece, Search};

/// Values that are collected at most in one look: 16 MB.
const COLLECTED_MAX: u64 = 1 << 22;
/// Entries of the table that splits cells: 4 MB.
const TABLE_MAX: usize = 1 << 20;

const BUFFER: usize = 1024;

/// Tables by the top bits of a value: 1.3 MB, so they are used again.
#[derive(Default)]
pub(crate) struct Lookup {
    /// The filter: 1 for the top bits that lead to a wanted cell. A byte each, as a bit costs a shift more;
    /// a normal touches 12 kB of them.
    filter: Vec<u8>,
    /// Number of each of those among them.
    slots: Vec<u32>,
}

/// What a look looks for: cells of 2^span keys.
pub(crate) struct Wanted {
    lookup: Lookup,
    /// For each part of 2^span keys of each slot, the wanted cell it is, plus 1; else 0.
    entries: Vec<u32>,
    /// First keys of the wanted cells, ascending.
    starts: Vec<u32>,
    /// Values in each wanted cell.
    counts: Vec<u64>,
    /// Keys in a wanted cell, as a power of two.
    span: u32,
    /// Low bits that are told apart by a table; none where values are collected.
    split: Option<u32>,
    /// True where the table is indexed by the values' bits themselves, without a filter.
    direct: bool,
}

/// Top bits of a key's value.
fn top(key: u32) -> usize {
    (value(key).to_bits() >> SPAN) as usize
}

/// What one thread found.
#[derive(Default)]
pub(crate) struct Found {
    keys: Vec<u32>,
    table: Vec<u32>,
}

impl Wanted {
    /// Wants the cells of 2^span keys that start at those keys and hold so many values. Ascending,
    /// without doubles. None where there are none. Borrows the lookup until it is [released](Self::release).
    pub(crate) fn new(cells: Vec<(u32, u64)>, span: u32, lookup: &mut Lookup) -> Option<Self> {
        if cells.is_empty() {
            return None;
        }
        let values: u64 = cells.iter().map(|(_, count)| count).sum();
        let (starts, counts): (Vec<u32>, Vec<u64>) = cells.into_iter().unzip();
        let table_bits = (TABLE_MAX / starts.len().max(1)).checked_ilog2().unwrap_or(0);
        let mut split = (values > COLLECTED_MAX && table_bits > 0).then(|| table_bits.min(span));
        // Nearly every cell is wanted: a table of all bit patterns is quicker than a filter.
        let direct = span == SPAN && split.is_some_and(|split| split <= FINE_SPLIT + 2);
        if direct {
            split = Some(FINE_SPLIT);
        }
        let Lookup { mut filter, mut slots } = std::mem::take(lookup);
        filter.resize(1 << (32 - SPAN), 0);
        slots.resize(1 << (32 - SPAN), 0);
        let mut set = 0;
        for index in starts.iter().copied().map(top) {
            if filter[index] == 0 {
                (filter[index], slots[index]) = (1, set);
                set += 1;
            }
        }
        let entries = vec![0; (set as usize) << (SPAN - span)];
        let lookup = Lookup { filter, slots };
        let mut wanted = Self { lookup, entries, starts, counts, span, split, direct };
        for index in 0..wanted.starts.len() {
            let part = wanted.part(value(wanted.starts[index]).to_bits());
            wanted.entries[part] = index as u32 + 1;
        }
        Some(wanted)
    }

    /// Gives the lookup back, empty.
    pub(crate) fn release(self, lookup: &mut Lookup) {
        *lookup = self.lookup;
        self.starts.into_iter().map(top).for_each(|index| lookup.filter[index] = 0);
    }

    /// What the fine table of the first look answers already; see [`Answer::told`].
    pub(crate) fn of_fine(cells: Vec<(u32, u64)>) -> Option<Self> {
        let (starts, counts): (Vec<u32>, Vec<u64>) = cells.into_iter().unzip();
        (!starts.is_empty()).then_some(Self {
            lookup: Lookup::default(),
            entries: Vec::new(),
            starts,
            counts,
            span: SPAN,
            split: Some(FINE_SPLIT),
            direct: true,
        })
    }

    /// Place in `entries` of a value that passes the filter.
    #[inline(always)]
    fn part(&self, bits: u32) -> usize {
        let slot = self.lookup.slots[(bits >> SPAN) as usize] << (SPAN - self.span);
        (slot | ((bits & ((1 << SPAN) - 1)) >> self.span)) as usize
    }

    /// Looks at some values.
    #[inline(always)]
    pub(crate) fn look(&self, values: &[f32], found: &mut Found) {
        if let Some(split) = self.split
            && found.table.is_empty()
        {
            let entries =
                if self.direct { 1 << (32 - self.span + split) } else { self.starts.len() << split };
            found.table = vec![0; entries];
        }
        if let (true, Some(split)) = (self.direct, self.split) {
            let shift = self.span - split;
            let table = &mut found.table[..];
            for value in values {
                table[(value.to_bits() >> shift) as usize] += 1;
            }
            // Zeros have a cell of their own.
            for sign in [0, 0x8000_0000] {
                let zeros = values.iter().map(|value| u32::from(value.to_bits() == sign)).sum::<u32>();
                table[(sign >> shift) as usize] -= zeros;
            }
            return;
        }
        if self.split.is_none() && found.keys.capacity() == 0 {
            // One thread may find them all. What is not used is never touched.
            found.keys.reserve_exact(self.counts.iter().sum::<u64>() as usize);
        }
        let filter = &self.lookup.filter[..1 << (32 - SPAN)];
        let mut buffer = [0u32; BUFFER];
        for part in values.chunks(BUFFER) {
            let mut kept = 0;
            for value in part {
                let bits = value.to_bits();
                buffer[kept & (BUFFER - 1)] = bits;
                kept += usize::from(filter[(bits >> SPAN) as usize]);
            }
            self.keep(&buffer[..kept], found);
        }
    }

    #[inline(always)]
    fn keep(&self, bits: &[u32], found: &mut Found) {
        if self.split.is_none() && self.span == SPAN {
            found.keys.extend(bits.iter().map(|&bits| key(bits)));
            return;
        }
        for &bits in bits {
            let entry = self.entries[self.part(bits)];
            if entry == 0 || bits << 1 == 0 {
                continue;
            }
            let key = key(bits);
            match self.split {
                None => found.keys.push(key),
                Some(split) => {
                    let low = (key & ((1 << self.span) - 1)) >> (self.span - split);
                    found.table[((entry as usize - 1) << split) + low as usize] += 1;
                }
            }
        }
    }

    /// Adds up what all threads found.
    pub(crate) fn join(&self, found: Found) -> Answer<'static> {
        let mut ends: Vec<usize> = Vec::new();
        let mut keys = Vec::new();
        if self.split.is_none() {
            // Bucket by bucket: counts are known, so each key has its place at once.
            let mut next = 0;
            for &count in &self.counts {
                ends.push(next);
                next += count as usize;
            }
            keys = vec![0u32; next];
        }
        for key in found.keys {
            let bits = value(key).to_bits();
            // Zeros have a cell of their own.
            if bits << 1 == 0 {
                continue;
            }
            let entry = self.entries[self.part(bits)] as usize;
            let end = &mut ends[entry - 1];
            keys[*end] = key;
            *end += 1;
        }
        Answer { keys, ends, table: found.table.into(), parts: Vec::new() }
    }

    /// Keys of the cells that are left wide by a split, as a power of two; none where nothing is left.
    pub(crate) fn span_left(&self) -> Option<u32> {
        Some(self.span - self.split?).filter(|span| *span > 0)
    }

    /// Puts what was found in the place of the marked cells.
    pub(crate) fn replace(
        &self,
        answer: &mut Answer<'_>,
        marks: &[bool],
        cells: &mut Vec<Cell>,
        keys: &mut Vec<u32>,
    ) {
        let (mut new_cells, mut new_keys) = (Vec::new(), Vec::new());
        let mut wanted = 0;
        for ((cell, &start), mark) in cells.iter().zip(&*keys).zip(marks) {
            if !*mark {
                new_cells.push(*cell);
                new_keys.push(start);
                continue;
            }
            while self.starts[wanted] < start {
                wanted += 1;
            }
            self.split_cell(wanted, answer, &mut new_cells, &mut new_keys);
        }
        (*cells, *keys) = (new_cells, new_keys);
    }

    fn split_cell(&self, wanted: usize, answer: &mut Answer<'_>, cells: &mut Vec<Cell>, keys: &mut Vec<u32>) {
        let Some(split) = self.split else {
            let bucket = answer.bucket(wanted);
            bucket.sort_unstable();
            for same in bucket.chunk_by(|a, b| a == b) {
                cells.push(Cell::exact(f64::from(value(same[0])), same.len() as u64));
                keys.push(same[0]);
            }
            return;
        };
        let span = self.span - split;
        for (low, &count) in answer.counts(self, wanted, split).iter().enumerate() {
            if count > 0 {
                let first = self.starts[wanted] + ((low as u32) << span);
                let (lo, hi) = (f64::from(value(first)), f64::from(value(first + ((1 << span) - 1))));
                cells.push(Cell { lo, hi, mean: lo + (hi - lo) / 2.0, count: u64::from(count) });
                keys.push(first);
            }
        }
    }

    /// Carries the search for D on.
    pub(crate) fn search(&self, answer: &mut Answer<'_>, search: &mut Search) {
        let pieces = std::mem::take(&mut search.open);
        let mut wanted = 0;
        let mut parts = Vec::new();
        for piece in pieces {
            let Piece { start, .. } = piece;
            while self.starts[wanted] < start {
                wanted += 1;
            }
            match self.split {
                None => search.settle(piece, answer.bucket(wanted), self.span),
                Some(split) => {
                    search.split(piece, answer.counts(self, wanted, split), self.span - split, &mut parts)
                }
            }
        }
        search.go_on(parts);
    }
}

/// What all threads found.
pub(crate) struct Answer<'a> {
    keys: Vec<u32>,
    ends: Vec<usize>,
    table: Cow<'a, [u32]>,
    /// Counts that were asked for last.
    parts: Vec<u32>,
}

impl<'a> Answer<'a> {
    /// What a table of all bit patterns, indexed by their top bits, tells.
    pub(crate) fn told(table: &'a [u32]) -> Self {
        Self { keys: Vec::new(), ends: Vec::new(), table: table.into(), parts: Vec::new() }
    }

    fn bucket(&mut self, wanted: usize) -> &mut [u32] {
        let start = wanted.checked_sub(1).map_or(0, |before| self.ends[before]);
        &mut self.keys[start..self.ends[wanted]]
    }

    /// Counts of a wanted cell's parts, in the order of their keys.
    fn counts(&mut self, wanted: &Wanted, index: usize, split: u32) -> &[u32] {
        let len = 1usize << split;
        if !wanted.direct {
            return self.table.get(index * len..(index + 1) * len).unwrap_or_default();
        }
        let first = wanted.starts[index];
        // Negative values ascend with falling bits.
        let bits = value(first).to_bits() >> (wanted.span - split);
        let negative = first & 0x8000_0000 == 0;
        let from = if negative { bits as usize + 1 - len } else { bits as usize };
        self.parts.clear();
        self.parts.extend_from_slice(self.table.get(from..from + len).unwrap_or_default());
        if negative {
            self.parts.reverse();
        }
        &self.parts
    }
}
