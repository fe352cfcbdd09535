//! Large tensors, chunk by chunk: a first look that counts and sums, and a second one, at few values, that
//! makes the counts exact where a metric needs it.
//!
//! A tensor that fits the held buffer is read once; a larger one once a look, and then the file must still be
//! there. One thread does it all, or, for the first look at the largest, all threads together (`together`).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use xxhash_rust::xxh3::Xxh3;

use super::cells::{Cell, Ranked};
use super::change;
use super::chunk::{Chunk, Finds, Tables, Totals, Wants, span_bits};
use super::counter::{Counter, SPAN, VALUES_MAX};
use super::cut::{Cut, Depths};
use super::decode::fits_f32;
use super::elements::Moments;
use super::gather::{Answer, Found, Lookup, Want, Wanted};
use super::job::{Job, Outcome};
use super::ks::Search;
use super::plan::Progress;
use super::refine::{quantiles, suspects};
use super::rows::Sums;
use super::{elements, inventory, precision, rows, shape};
use crate::terms::{Reason, SourceError};

/// Below so many elements a tensor is sorted.
const STREAMED_MIN: u64 = 1 << 16;
/// The same for what no f32 holds: sorting takes some 100 bytes an element.
const WIDE_MIN: u64 = 1 << 18;
/// Largest tensor that one thread holds in memory while it looks twice.
const HELD_MAX: u64 = 16 << 20;
/// Looks after which what is still open stays as it is; two are the rule.
const LOOKS_MAX: usize = 4;

/// How a tensor is to be weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Read whole, decoded to f64 and sorted.
    Sorted,
    /// Chunk by chunk as f32, in two looks.
    Streamed,
    /// Chunk by chunk as f64, in many looks.
    Wide,
}

impl Way {
    pub(super) fn of(job: &Job<'_>) -> Self {
        let elements = job.info.elements();
        let comparable = job.previous.as_ref().is_none_or(|previous| fits_f32(previous.info.dtype));
        let narrow = fits_f32(job.info.dtype) && comparable && elements <= VALUES_MAX;
        if elements < if narrow { STREAMED_MIN } else { WIDE_MIN } {
            Way::Sorted
        } else if !narrow {
            Way::Wide
        } else {
            Way::Streamed
        }
    }
}

/// One thread's tables and buffers, used for one tensor after the other.
pub(super) struct Worker {
    pub(super) tables: Tables,
    pub(super) bytes: Vec<u64>,
    pub(super) before: Vec<u64>,
    /// For the second looks at raw and at normalized values.
    lookups: [Lookup; 2],
}

impl Worker {
    pub(super) fn new() -> Self {
        Self { tables: Tables::new(), bytes: Vec::new(), before: Vec::new(), lookups: Default::default() }
    }
}

/// `len` bytes of a buffer that is aligned for every element type.
pub(super) fn room(buffer: &mut Vec<u64>, len: usize) -> &mut [u8] {
    if buffer.len() * 8 < len {
        buffer.resize(len.div_ceil(8), 0);
    }
    &mut bytemuck::cast_slice_mut(buffer)[..len]
}

/// What the looks at one tensor share.
pub(super) struct Pass<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) cut: Cut,
    reach: Option<change::Reach>,
    /// False once the previous checkpoint could not be read.
    previous: AtomicBool,
    /// What the first chunk has told, before any chunk is counted.
    depths: OnceLock<Depths>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        let columns = rows::no_rows(&job.info.shape, true, false).is_none().then(|| job.row_len());
        let cut = Cut::new(job.info, columns);
        let reach = job.previous.as_ref().and_then(|previous| previous.interval.reach(job.info.dtype));
        Self { job, cut, reach, previous: job.previous.is_some().into(), depths: OnceLock::new() }
    }

    /// To be called with the bytes of the first chunk.
    pub(super) fn decide(&self, bytes: &[u8]) {
        self.depths.get_or_init(|| Depths::of(&self.cut, self.job.info.dtype, bytes));
    }

    /// Where a chunk's bytes are, and how many.
    pub(super) fn place(&self, chunk: usize) -> (u64, usize) {
        let (range, width) = (self.cut.range(chunk), self.job.info.dtype.bytes());
        ((range.start * width) as u64, range.len() * width)
    }

    /// Reads a chunk for the first time.
    pub(super) fn read(&self, chunk: usize, bytes: &mut [u8]) -> Result<(), SourceError> {
        self.job.source.read(self.job.index, self.place(chunk).0, bytes)?;
        self.job.progress.bytes(bytes.len() as u64);
        Ok(())
    }

    pub(super) fn chunk<'b>(&'b self, index: usize, bytes: &'b [u8], before: &'b mut Vec<u64>) -> Chunk<'b> {
        let range = self.cut.range(index);
        let before = self.job.previous.as_ref().filter(|_| self.previous.load(Ordering::Relaxed)).and_then(
            |previous| {
                let width = previous.info.dtype.bytes();
                let bytes = room(before, range.len() * width);
                if previous.source.read(previous.index, (range.start * width) as u64, bytes).is_ok() {
                    return Some((previous.info.dtype, &*bytes));
                }
                self.previous.store(false, Ordering::Relaxed);
                None
            },
        );
        let recipe = (self.job.sketch_len > 0).then_some(self.job.recipe);
        Chunk {
            cut: &self.cut,
            rows: self.cut.matrix && self.job.rows,
            position: range.start,
            dtype: self.job.info.dtype,
            bytes,
            before,
            reach: self.reach,
            recipe,
            depths: self.depths.get().copied().unwrap_or_default(),
        }
    }
}

/// Weighs a tensor by one thread.
pub(super) fn weigh_streamed(job: &Job<'_>, worker: &mut Worker) -> Result<Outcome, SourceError> {
    let pass = Pass::new(job);
    worker.tables.clear();
    let held = job.info.bytes() <= HELD_MAX;
    let Worker { tables, bytes, before, .. } = worker;
    let (mut totals, mut hash) = (Totals::default(), Xxh3::new());
    let buffer = room(bytes, if held { job.info.bytes() as usize } else { pass.place(0).1 });
    for index in 0..pass.cut.chunks {
        job.progress.piece();
        let (offset, len) = pass.place(index);
        let part = &mut buffer[if held { offset as usize } else { 0 }..][..len];
        pass.read(index, part)?;
        hash.update(part);
        pass.decide(part);
        totals.merge(tables.first(&pass.chunk(index, part, before)));
    }
    let first = First::new(&pass, totals, hash.digest(), tables);
    first.finish(&pass, worker, held)
}

/// Sorted values with what is still to be looked at.
struct Open {
    cells: Vec<Cell>,
    keys: Vec<u32>,
    marks: Vec<bool>,
    /// What `wanted_cells` said last, while it still holds.
    asked: Option<Vec<Want>>,
    search: Option<Search>,
    /// Keys of what is still wide and wanted, as a power of two.
    span: Option<u32>,
    moments: Moments,
}

impl Open {
    /// Cells that are all exact.
    fn exact(cells: Vec<Cell>, moments: Moments) -> Self {
        Self { cells, keys: Vec::new(), marks: Vec::new(), asked: None, search: None, span: None, moments }
    }

    /// Cells from counts of f32, and what counts by more bits tell of them already.
    fn counted(counter: &mut Counter, moments: Moments) -> Self {
        if moments.count > 0 && moments.min == moments.max {
            return Self::exact(vec![Cell::exact(moments.min, moments.count)], moments);
        }
        let (cells, keys) = counter.merged_cells(moments.count);
        let mut open = Self { cells, keys, span: Some(SPAN), ..Self::exact(Vec::new(), moments) };
        let mut marks = vec![false; open.cells.len()];
        if moments.count > 0 {
            quantiles(&Ranked::new(&open.cells), &mut marks);
        }
        open.take_apart(counter, &marks);
        open.settle(counter);
        if let Some(deep) = counter.deep()
            && let Some(wanted) = open.wanted_cells().and_then(|wants| Wanted::of_deep(wants, &deep))
        {
            open.answered(&wanted, Answer::told(deep), &());
        }
        open
    }

    /// Begins the search for D, and takes merged cells apart until none is wanted.
    fn settle(&mut self, counter: &Counter) {
        let Moments { mean, std, .. } = self.moments;
        let shape = self.moments.no_shape().is_none();
        loop {
            self.search = shape.then(|| Search::new(&Ranked::new(&self.cells), &self.keys, mean, std));
            let wanted = self.wanted_cells().unwrap_or_default();
            let is_wanted = |key| wanted.binary_search_by_key(key, |want| want.start).is_ok();
            let marks: Vec<bool> = self
                .cells
                .iter()
                .zip(&self.keys)
                .map(|(cell, key)| is_merged(cell) && is_wanted(key))
                .collect();
            if !self.take_apart(counter, &marks) {
                self.asked = Some(wanted);
                return;
            }
        }
    }

    /// Takes the merged ones among the marked cells apart; false where there are none.
    fn take_apart(&mut self, counter: &Counter, marks: &[bool]) -> bool {
        if !self.cells.iter().zip(marks).any(|(cell, mark)| *mark && is_merged(cell)) {
            return false;
        }
        let (cells, keys) = (std::mem::take(&mut self.cells), std::mem::take(&mut self.keys));
        let mut out = (Vec::with_capacity(cells.len()), Vec::with_capacity(cells.len()));
        for ((cell, key), mark) in cells.into_iter().zip(keys).zip(marks) {
            if *mark && is_merged(&cell) {
                counter.narrow(&cell, &mut out);
            } else {
                out.0.push(cell);
                out.1.push(key);
            }
        }
        (self.cells, self.keys) = out;
        true
    }

    /// What must be looked at again.
    fn wanted(&mut self, lookup: &mut Lookup) -> Option<Wanted> {
        Wanted::new(self.wanted_cells()?, self.span?, lookup)
    }

    /// First keys and counts of the cells and pieces that are still too wide.
    fn wanted_cells(&mut self) -> Option<Vec<Want>> {
        let span = self.span?;
        if let Some(asked) = self.asked.take() {
            return Some(asked);
        }
        self.marks = suspects(&Ranked::new(&self.cells), self.moments.mean);
        if span < SPAN {
            for (mark, cell) in self.marks.iter_mut().zip(&self.cells) {
                *mark &= span_bits(cell.lo, cell.hi) == span;
            }
        }
        let marked = self.marks.iter().zip(&self.keys).zip(&self.cells).filter(|((mark, _), _)| **mark);
        let marked = marked.map(|((_, &start), cell)| Want { start, count: cell.count, each: true });
        let pieces = self.search.iter().flat_map(|search| &search.open);
        let pieces = pieces.map(|piece| Want { start: piece.start, count: piece.count, each: piece.likely });
        let mut wanted: Vec<Want> = marked.chain(pieces).collect();
        wanted.sort_unstable_by_key(|want| (want.start, !want.each));
        wanted.dedup_by_key(|want| want.start);
        Some(wanted)
    }

    fn replace(
        &mut self,
        wanted: Option<Wanted>,
        found: Found,
        lookup: &mut Lookup,
        progress: &dyn Progress,
    ) {
        if let Some(wanted) = wanted {
            self.answered(&wanted, wanted.join(found, progress), progress);
            wanted.release(lookup);
        }
    }

    fn answered(&mut self, wanted: &Wanted, mut answer: Answer<'_>, progress: &dyn Progress) {
        if let Some(search) = &mut self.search {
            wanted.search(&mut answer, search, progress);
        }
        wanted.replace(&mut answer, &self.marks, &mut self.cells, &mut self.keys, progress);
        let open = self.search.as_ref().is_some_and(|search| !search.open.is_empty());
        self.span = wanted.span_left(open);
    }

    /// D, where a search has found it.
    fn distance(&self) -> Option<f64> {
        self.search.as_ref().map(|search| search.best)
    }
}

/// True for what [`Counter::merged_cells`] made of several cells.
fn is_merged(cell: &Cell) -> bool {
    cell.lo < cell.hi && span_bits(cell.lo, cell.hi) > SPAN
}

/// What the first look has told.
pub(super) struct First {
    totals: Totals,
    hash: u64,
    raw: Open,
    normalized: Option<Open>,
}

impl First {
    pub(super) fn new(pass: &Pass<'_>, totals: Totals, hash: u64, tables: &mut Tables) -> Self {
        let dtype = pass.job.info.dtype;
        let moments = moments_of(&totals.central, totals.extremes);
        let rows = pass.cut.matrix && totals.special.nan + totals.special.inf == 0;
        let normalized = (rows && totals.normalized.count > 0)
            .then(|| moments_of(&totals.normalized, totals.normalized_extremes));
        let Tables { raw, codes, normalized: normalized_counts, .. } = tables;
        // Where a thread has nothing to do it helps.
        let (raw, normalized) = rayon::join(
            || {
                if dtype.bytes() <= 2 {
                    Open::exact(codes.cells(dtype).0, moments)
                } else {
                    Open::counted(raw, moments)
                }
            },
            || normalized.map(|moments| Open::counted(normalized_counts, moments)),
        );
        Self { raw, normalized, totals, hash }
    }

    /// Looks again while something is open, then writes the values. `held`: the worker's buffer has the tensor.
    pub(super) fn finish(
        mut self,
        pass: &Pass<'_>,
        worker: &mut Worker,
        held: bool,
    ) -> Result<Outcome, SourceError> {
        let limit =
            self.totals.change.as_ref().map(|change| (change.abs_max, change::SPIKE_RMS * change.rms()));
        let mut spikes = limit.filter(|(most, limit)| most > limit).map(|(_, limit)| limit);
        for _ in 1..LOOKS_MAX {
            let [raw_lookup, normalized_lookup] = &mut worker.lookups;
            let raw = self.raw.wanted(raw_lookup);
            let normalized = self.normalized.as_mut().and_then(|open| open.wanted(normalized_lookup));
            if raw.is_none() && normalized.is_none() && spikes.is_none() {
                break;
            }
            let wants = Wants { raw, normalized, spikes: spikes.take() };
            let finds = look_again(pass, &wants, &self.totals.row_square, worker, held)?;
            if let Some(change) = &mut self.totals.change {
                change.spikes.0 += finds.spikes.0;
                change.spikes.1 += finds.spikes.1;
            }
            let [raw_lookup, normalized_lookup] = &mut worker.lookups;
            let progress = pass.job.progress;
            self.raw.replace(wants.raw, finds.raw, raw_lookup, progress);
            if let Some(open) = &mut self.normalized {
                open.replace(wants.normalized, finds.normalized, normalized_lookup, progress);
            }
        }
        Ok(self.write(pass))
    }

    fn write(self, pass: &Pass<'_>) -> Outcome {
        let Self { totals, hash, raw, normalized } = self;
        let job = pass.job;
        let mut out = Outcome::new(job);
        out.content_hash = hash;
        inventory::measure(job.info, totals.special, &mut out.sheet);
        elements::measure(&raw.moments, &mut out.sheet);
        let ranked = Ranked::new(&raw.cells);
        shape::measure(&ranked, &raw.moments, raw.distance(), &mut out.sheet);
        precision::measure(job, &ranked, &mut out.sheet);
        out.remember_quantiles(job, &ranked);
        match job.no_rows(&totals.special) {
            Some(reason) => rows::lack(&reason, &mut out.sheet),
            None => {
                let rows = totals.row_square.len() as f64;
                let column_square = totals.column_square.iter().map(|sum| sum / rows).collect();
                let mut sums =
                    Sums { row_variance: totals.row_variance, row_square: totals.row_square, column_square };
                rows::measure_sums(&mut sums, &mut out.sheet);
                if let Some(open) = normalized {
                    let ranked = Ranked::new(&open.cells);
                    rows::measure_normalized(&ranked, &open.moments, open.distance(), &mut out.sheet);
                }
            }
        }
        if let (Some(mut sums), Some(previous)) = (totals.change, &job.previous) {
            if pass.previous.load(Ordering::Relaxed) {
                change::measure(job.info, &mut sums, &previous.interval, pass.cut.matrix, &mut out.sheet);
                out.change = Some((sums.all.square, sums.all.before));
            } else {
                change::lack(&Reason::NoPrevious, &mut out.sheet);
            }
        }
        out.sketch = totals.sketch.map(super::sketch::Sketcher::finish);
        out
    }
}

/// The second look at all chunks; what is not held is read again.
fn look_again(
    pass: &Pass<'_>,
    wants: &Wants,
    row_square: &[f64],
    worker: &mut Worker,
    held: bool,
) -> Result<Finds, SourceError> {
    let Worker { tables, bytes, before, .. } = worker;
    let mut finds = Finds::default();
    for index in 0..pass.cut.chunks {
        pass.job.progress.piece();
        let (offset, len) = pass.place(index);
        let part = if held {
            &bytemuck::cast_slice(bytes)[offset as usize..][..len]
        } else {
            let part = room(bytes, len);
            pass.job.source.read(pass.job.index, offset, part)?;
            &*part
        };
        tables.second(&pass.chunk(index, part, before), wants, row_square, &mut finds);
    }
    Ok(finds)
}

fn moments_of(central: &super::central::Central, extremes: Option<(f32, f32)>) -> Moments {
    let (min, max) = extremes.unwrap_or((0.0, 0.0));
    central.moments(f64::from(min), f64::from(max))
}
