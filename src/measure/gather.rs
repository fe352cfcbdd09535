//! The second look: values of the wanted cells, exactly.
//!
//! Few values in wanted cells: they are collected and sorted. Many: the wanted cells are split by as many
//! of their low bits as a table of bounded size allows; what is still wanted of them is looked at again.
//!
//! Most cells are wanted for D, because it might lie there, and few of them are likely to hold it. The values of
//! the others are not collected: they are counted by some of their bits, which nearly always rules them out.

use super::cells::Cell;
use super::counter::{SPAN, key, value};
use super::depth::{Deep, FINE_SPLIT};
use super::ks::{PARTS, Search};
use super::plan::Progress;

/// Values that are collected at most in one look: 16 MB.
const COLLECTED_MAX: u64 = 1 << 22;
/// Entries of the table that splits cells: 4 MB.
const TABLE_MAX: usize = 1 << 20;

/// Values that are looked at before those kept are dealt with.
const PART: usize = 1024;
/// Room for them, and for one more that is written and not kept.
const BUFFER: usize = 2 * PART;

/// Collected values that are a piece of work.
const PIECE: usize = 1 << 16;

/// Tables by the top bits of a value: 1.3 MB, so they are used again.
#[derive(Default)]
pub(crate) struct Lookup {
    /// The filter: 1 for the top bits that lead to a wanted cell. A byte each, as a bit costs a shift more;
    /// a normal touches 12 kB of them.
    filter: Vec<u8>,
    /// Number of each of those among them.
    slots: Vec<u32>,
}

/// A cell or a piece of one that must be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    /// First key.
    pub(crate) start: u32,
    /// Values in it.
    pub(crate) count: u64,
    /// True where each value must be known; else counts of parts will do.
    pub(crate) each: bool,
}

/// What a look looks for: cells of 2^span keys.
pub(crate) struct Wanted {
    lookup: Lookup,
    /// For each part of 2^span keys of each slot, the wanted cell it is, plus 1; else 0.
    entries: Vec<u32>,
    /// The wanted cells, ascending.
    wants: Vec<Want>,
    /// Keys in a wanted cell, as a power of two.
    span: u32,
    /// Low bits that are told apart by a table; none where values are collected.
    split: Option<u32>,
    /// Where values are collected: of how many slots, the first ones, they are. The values of all slots are counted
    /// by their parts beside that, unless this is all slots.
    collected: u32,
    slots: u32,
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
    /// Wants these cells of 2^span keys, ascending, without doubles. None where there are none. Borrows the lookup
    /// until it is [released](Self::release).
    pub(crate) fn new(wants: Vec<Want>, span: u32, lookup: &mut Lookup) -> Option<Self> {
        if wants.is_empty() {
            return None;
        }
        // Cells share slots where they are narrower than those of the first look.
        let each = |want: &Want| want.each || span < SPAN;
        let values: u64 = wants.iter().filter(|want| each(want)).map(|want| want.count).sum();
        let table_bits = (TABLE_MAX / wants.len()).checked_ilog2().unwrap_or(0);
        let mut split = (values > COLLECTED_MAX && table_bits > 0).then(|| table_bits.min(span));
        // Nearly every cell is wanted: a table of all bit patterns is quicker than a filter.
        let direct = span == SPAN && split.is_some_and(|split| split <= FINE_SPLIT + 2);
        if direct {
            split = Some(FINE_SPLIT);
        }
        let Lookup { mut filter, mut slots } = std::mem::take(lookup);
        filter.resize(1 << (32 - SPAN), 0);
        slots.resize(1 << (32 - SPAN), 0);
        let (mut set, mut collected) = (0, 0);
        for first in [true, false] {
            for index in wants.iter().filter(|want| each(want) == first).map(|want| top(want.start)) {
                if filter[index] == 0 {
                    (filter[index], slots[index]) = (1, set);
                    set += 1;
                }
            }
            collected = if first { set } else { collected };
        }
        let entries = vec![0; (set as usize) << (SPAN - span)];
        let lookup = Lookup { filter, slots };
        let mut wanted = Self { lookup, entries, wants, span, split, collected, slots: set, direct };
        for index in 0..wanted.wants.len() {
            let part = wanted.part(value(wanted.wants[index].start).to_bits());
            wanted.entries[part] = index as u32 + 1;
        }
        Some(wanted)
    }

    /// Gives the lookup back, empty.
    pub(crate) fn release(self, lookup: &mut Lookup) {
        *lookup = self.lookup;
        self.wants.iter().map(|want| top(want.start)).for_each(|index| lookup.filter[index] = 0);
    }

    /// What the counts of the first look answer already; see [`Answer::told`].
    pub(crate) fn of_deep(wants: Vec<Want>, deep: &Deep<'_>) -> Option<Self> {
        (!wants.is_empty()).then_some(Self {
            lookup: Lookup::default(),
            entries: Vec::new(),
            wants,
            span: SPAN,
            split: Some(deep.split()),
            collected: 0,
            slots: 0,
            direct: true,
        })
    }

    /// True where some values are not collected but counted by their parts.
    #[inline(always)]
    fn counts_parts(&self) -> bool {
        self.split.is_none() && self.collected < self.slots
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
        if found.table.is_empty() {
            let entries = match self.split {
                Some(split) if self.direct => 1 << (32 - self.span + split),
                Some(split) => self.wants.len() << split,
                None if self.counts_parts() => (self.slots as usize) << PARTS,
                None => 0,
            };
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
            found.keys.reserve_exact(self.collected_values() as usize);
        }
        let mut buffer = [0u32; BUFFER];
        for part in values.chunks(PART) {
            let kept = self.filter(part, &mut buffer);
            self.keep(&mut buffer, kept, found);
        }
    }

    /// Writes the bits of what passes the filter to the front of the buffer, and returns how many. Few values pass, so
    /// that it is quicker to note which of some they are than to write each; one in 32 or so, so that those that are
    /// the first few of their 32 are written without asking whether there are so many. A function of its own, for the
    /// oldest machine: the newer instructions make this loop a fifth slower.
    #[inline(never)]
    fn filter(&self, part: &[f32], buffer: &mut [u32; BUFFER]) -> usize {
        const GROUP: usize = u32::BITS as usize;
        const UNASKED: usize = 3;
        let filter = &self.lookup.filter[..1 << (32 - SPAN)];
        let passes = |value: &f32| filter[(value.to_bits() >> SPAN) as usize];
        let mut kept = 0;
        let mut put = |value: f32, is_kept: bool| {
            buffer[kept & (BUFFER - 1)] = value.to_bits();
            kept += usize::from(is_kept);
        };
        let (groups, rest) = part.as_chunks::<GROUP>();
        for group in groups {
            let mut passing = 0u32;
            for (index, value) in group.iter().enumerate() {
                passing |= u32::from(passes(value)) << index;
            }
            for _ in 0..UNASKED {
                put(group[passing.trailing_zeros() as usize % GROUP], passing != 0);
                passing &= passing.wrapping_sub(1);
            }
            while passing != 0 {
                put(group[passing.trailing_zeros() as usize % GROUP], true);
                passing &= passing - 1;
            }
        }
        rest.iter().for_each(|value| put(*value, passes(value) > 0));
        kept
    }

    #[inline(always)]
    fn keep(&self, buffer: &mut [u32; BUFFER], mut kept: usize, found: &mut Found) {
        if self.counts_parts() {
            kept = self.count_parts(buffer, kept, found);
        }
        let bits = &buffer[..kept];
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

    /// Counts the parts of those values, and leaves those in the buffer that are to be collected. Collected ones are
    /// counted as well, as there is no telling them apart ahead.
    #[inline(never)]
    fn count_parts(&self, buffer: &mut [u32; BUFFER], kept: usize, found: &mut Found) -> usize {
        let (slots, table) = (&self.lookup.slots[..1 << (32 - SPAN)], &mut found.table[..]);
        let mut collected = 0;
        for index in 0..kept {
            let bits = buffer[index & (BUFFER - 1)];
            // Zeros have a cell of their own.
            if bits << 1 == 0 {
                continue;
            }
            let slot = slots[(bits >> SPAN) as usize];
            let part = (key(bits) & ((1 << SPAN) - 1)) >> (SPAN - PARTS);
            table[((slot << PARTS) | part) as usize] += 1;
            buffer[collected & (BUFFER - 1)] = bits;
            collected += usize::from(slot < self.collected);
        }
        collected
    }

    /// True where each value of a wanted cell is collected.
    fn is_collected(&self, want: &Want) -> bool {
        self.split.is_none() && self.lookup.slots[top(want.start)] < self.collected
    }

    fn collected_values(&self) -> u64 {
        self.wants.iter().filter(|want| self.is_collected(want)).map(|want| want.count).sum()
    }

    /// Adds up what all threads found.
    pub(crate) fn join(&self, found: Found, progress: &dyn Progress) -> Answer<'static> {
        let mut ends: Vec<usize> = Vec::new();
        let mut keys = Vec::new();
        if self.split.is_none() {
            // Bucket by bucket: counts are known, so each key has its place at once.
            let mut next = 0;
            for want in &self.wants {
                ends.push(next);
                next += if self.is_collected(want) { want.count as usize } else { 0 };
            }
            keys = vec![0u32; next];
        }
        for part in found.keys.chunks(PIECE) {
            progress.piece();
            for &key in part {
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
        }
        Answer { keys, ends, table: Table::Found(found.table), parts: Vec::new() }
    }

    /// Keys of the cells that are left wide by a split, as a power of two; none where nothing is left. `open` where
    /// the search for D is not over.
    pub(crate) fn span_left(&self, open: bool) -> Option<u32> {
        // Where values are collected, only the search was told by parts.
        let parts = (self.counts_parts() && open).then_some(PARTS);
        Some(self.span - self.split.or(parts)?).filter(|span| *span > 0)
    }

    /// Puts what was found in the place of the marked cells.
    pub(crate) fn replace(
        &self,
        answer: &mut Answer<'_>,
        marks: &[bool],
        cells: &mut Vec<Cell>,
        keys: &mut Vec<u32>,
        progress: &dyn Progress,
    ) {
        let (mut new_cells, mut new_keys) = (Vec::new(), Vec::new());
        let mut wanted = 0;
        for ((cell, &start), mark) in cells.iter().zip(&*keys).zip(marks) {
            if !*mark {
                new_cells.push(*cell);
                new_keys.push(start);
                continue;
            }
            while self.wants[wanted].start < start {
                wanted += 1;
            }
            progress.piece();
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
                let first = self.wants[wanted].start + ((low as u32) << span);
                let (lo, hi) = (f64::from(value(first)), f64::from(value(first + ((1 << span) - 1))));
                cells.push(Cell { lo, hi, mean: lo + (hi - lo) / 2.0, count: u64::from(count) });
                keys.push(first);
            }
        }
    }

    /// Carries the search for D on.
    pub(crate) fn search(&self, answer: &mut Answer<'_>, search: &mut Search, progress: &dyn Progress) {
        let (mut wanted, mut parts) = (0, Vec::new());
        for piece in std::mem::take(&mut search.open) {
            while self.wants[wanted].start < piece.start {
                wanted += 1;
            }
            match self.split {
                None if self.is_collected(&self.wants[wanted]) => {
                    progress.piece();
                    search.settle(piece, answer.bucket(wanted), self.span);
                }
                split => {
                    let split = split.unwrap_or(PARTS);
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
    table: Table<'a>,
    /// Counts that were asked for last.
    parts: Vec<u32>,
}

/// Counts.
enum Table<'a> {
    /// Of a look.
    Found(Vec<u32>),
    /// Of all bit patterns, by their top bits.
    Deep(Deep<'a>),
}

impl Table<'_> {
    fn counts(&self, parts: std::ops::Range<usize>, out: &mut Vec<u32>) {
        match self {
            Self::Found(table) => out.extend_from_slice(table.get(parts).unwrap_or_default()),
            Self::Deep(deep) => deep.counts(parts, out),
        }
    }
}

impl<'a> Answer<'a> {
    /// What the first look's counts by more bits tell.
    pub(crate) fn told(deep: Deep<'a>) -> Self {
        Self { keys: Vec::new(), ends: Vec::new(), table: Table::Deep(deep), parts: Vec::new() }
    }

    fn bucket(&mut self, wanted: usize) -> &mut [u32] {
        let start = wanted.checked_sub(1).map_or(0, |before| self.ends[before]);
        &mut self.keys[start..self.ends[wanted]]
    }

    /// Counts of a wanted cell's parts, in the order of their keys.
    fn counts(&mut self, wanted: &Wanted, index: usize, split: u32) -> &[u32] {
        let len = 1usize << split;
        self.parts.clear();
        if !wanted.direct {
            let index = match wanted.split {
                Some(_) => index,
                None => wanted.lookup.slots[top(wanted.wants[index].start)] as usize,
            };
            self.table.counts(index * len..(index + 1) * len, &mut self.parts);
            return &self.parts;
        }
        let first = wanted.wants[index].start;
        // Negative values ascend with falling bits.
        let bits = value(first).to_bits() >> (wanted.span - split);
        let negative = first & 0x8000_0000 == 0;
        let from = if negative { bits as usize + 1 - len } else { bits as usize };
        self.table.counts(from..from + len, &mut self.parts);
        if negative {
            self.parts.reverse();
        }
        &self.parts
    }
}
