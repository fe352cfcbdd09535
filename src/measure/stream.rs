//! Large tensors, chunk by chunk: a first look that counts and sums, and a second one, at few values, that
//! makes the counts exact where a metric needs it.
//!
//! A tensor that fits the held buffer is read once and looked at twice by one thread. A larger one is
//! looked at by all threads together and read twice; then the file must still be there.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use xxhash_rust::xxh3::Xxh3;

use super::cells::{Cell, Ranked};
use super::change;
use super::chunk::{Chunk, Cut, Finds, Fine, Tables, Totals, Wants, span_bits};
use super::counter::{SPAN, VALUES_MAX};
use super::decode::fits_f32;
use super::elements::Moments;
use super::gather::{Answer, Found, Wanted};
use super::job::{Job, Outcome};
use super::ks::Search;
use super::refine::suspects;
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
    /// Held by one thread.
    Held,
    /// By all threads together.
    Shared,
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
        } else if job.info.bytes() <= HELD_MAX {
            Way::Held
        } else {
            Way::Shared
        }
    }
}

/// One thread's tables and buffers, used for one tensor after the other.
pub(super) struct Worker {
    tables: Tables,
    bytes: Vec<u64>,
    before: Vec<u64>,
}

impl Worker {
    pub(super) fn new() -> Self {
        Self { tables: Tables::new(), bytes: Vec::new(), before: Vec::new() }
    }
}

/// `len` bytes of a buffer that is aligned for every element type.
fn room(buffer: &mut Vec<u64>, len: usize) -> &mut [u8] {
    if buffer.len() * 8 < len {
        buffer.resize(len.div_ceil(8), 0);
    }
    &mut bytemuck::cast_slice_mut(buffer)[..len]
}

/// What the looks at one tensor share.
struct Pass<'a> {
    job: &'a Job<'a>,
    cut: Cut,
    reach: Option<change::Reach>,
    /// False once the previous checkpoint could not be read.
    previous: AtomicBool,
    /// What the first chunk has told, before any chunk is counted.
    fine: OnceLock<Fine>,
}

impl<'a> Pass<'a> {
    fn new(job: &'a Job<'a>) -> Self {
        let columns = rows::no_rows(&job.info.shape, true, false).is_none().then(|| job.row_len());
        let cut = Cut::new(job.info, columns);
        let reach = job.previous.as_ref().and_then(|previous| previous.interval.reach(job.info.dtype));
        Self { job, cut, reach, previous: job.previous.is_some().into(), fine: OnceLock::new() }
    }

    /// To be called with the bytes of the first chunk.
    fn decide(&self, bytes: &[u8]) {
        self.fine.get_or_init(|| Fine::of(&self.cut, self.job.info.dtype, bytes));
    }

    fn place(&self, chunk: usize) -> (u64, usize) {
        let (range, width) = (self.cut.range(chunk), self.job.info.dtype.bytes());
        ((range.start * width) as u64, range.len() * width)
    }

    fn chunk<'b>(&'b self, index: usize, bytes: &'b [u8], before: &'b mut Vec<u64>) -> Chunk<'b> {
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
            position: range.start,
            dtype: self.job.info.dtype,
            bytes,
            before,
            reach: self.reach,
            recipe,
            fine: self.fine.get().copied().unwrap_or_default(),
        }
    }
}

/// Weighs a tensor that one thread holds.
pub(super) fn weigh_held(job: &Job<'_>, worker: &mut Worker) -> Result<Outcome, SourceError> {
    let pass = Pass::new(job);
    let Worker { tables, bytes, before } = worker;
    tables.clear();
    let held = room(bytes, job.info.bytes() as usize);
    let mut totals = Totals::default();
    for index in 0..pass.cut.chunks {
        let (offset, len) = pass.place(index);
        let part = &mut held[offset as usize..][..len];
        job.source.read(job.index, offset, part)?;
        job.progress.bytes(len as u64);
        pass.decide(part);
        totals.merge(tables.first(&pass.chunk(index, part, before)));
    }
    let hash = xxhash_rust::xxh3::xxh3_64(held);
    let held = &*held;
    let state = First::new(&pass, totals, hash, tables);
    state.finish(&pass, |wants, row_square| {
        let mut finds = Finds::default();
        for index in 0..pass.cut.chunks {
            let (offset, len) = pass.place(index);
            let chunk = pass.chunk(index, &held[offset as usize..][..len], before);
            tables.second(&chunk, wants, row_square, &mut finds);
        }
        Ok(vec![finds])
    })
}

/// Chunks are read and hashed in order, by whoever comes.
struct Order {
    next: usize,
    hash: Xxh3,
}

/// Sums are merged in order; who comes early waits for its turn, unless all is lost.
#[derive(Default)]
struct Merged {
    next: usize,
    totals: Totals,
    lost: Option<Lost>,
}

enum Lost {
    Read(SourceError),
    Panic(Box<dyn std::any::Any + Send>),
}

/// Weighs a tensor with all threads of the pool that this is called in. `workers` has one entry a thread.
pub(super) fn weigh_shared(job: &Job<'_>, workers: &[Mutex<Worker>]) -> Result<Outcome, SourceError> {
    let pass = Pass::new(job);
    let order = Mutex::new(Order { next: 0, hash: Xxh3::new() });
    let merged = Mutex::new(Merged::default());
    let turn = Condvar::new();
    rayon::broadcast(|context| {
        let mut worker = locked(&workers[context.index() % workers.len()]);
        let Worker { tables, bytes, before } = &mut *worker;
        tables.clear();
        loop {
            let mut order = locked(&order);
            let index = order.next;
            if index >= pass.cut.chunks {
                break;
            }
            let (offset, len) = pass.place(index);
            let part = room(bytes, len);
            let read = job.source.read(job.index, offset, part);
            order.next = if read.is_ok() { index + 1 } else { pass.cut.chunks };
            order.hash.update(part);
            pass.decide(part);
            drop(order);
            // A panic must not leave the others waiting for this chunk's turn.
            let sums = match read {
                Err(error) => Err(Lost::Read(error)),
                Ok(()) => {
                    job.progress.bytes(len as u64);
                    let first = AssertUnwindSafe(|| tables.first(&pass.chunk(index, part, before)));
                    catch_unwind(first).map_err(Lost::Panic)
                }
            };
            let mut state = match &sums {
                Ok(_) => turn
                    .wait_while(locked(&merged), |state| state.next != index && state.lost.is_none())
                    .unwrap_or_else(PoisonError::into_inner),
                Err(_) => locked(&merged),
            };
            match sums {
                Ok(sums) => state.totals.merge(sums),
                Err(lost) => state.lost = Some(lost),
            }
            state.next = index + 1;
            let lost = state.lost.is_some();
            drop(state);
            turn.notify_all();
            if lost {
                break;
            }
        }
    });
    let Merged { totals, lost, .. } = merged.into_inner().unwrap_or_else(PoisonError::into_inner);
    match lost {
        Some(Lost::Read(error)) => return Err(error),
        Some(Lost::Panic(panic)) => resume_unwind(panic),
        None => {}
    }
    let hash = order.into_inner().unwrap_or_else(PoisonError::into_inner).hash.digest();
    let first = {
        let mut first = locked(&workers[0]);
        for other in &workers[1..] {
            let mut other = locked(other);
            first.tables.raw.absorb(&mut other.tables.raw);
            first.tables.normalized.absorb(&mut other.tables.normalized);
            first.tables.codes.absorb(&mut other.tables.codes);
        }
        First::new(&pass, totals, hash, &mut first.tables)
    };
    first.finish(&pass, |wants, row_square| look_again(&pass, wants, row_square, workers))
}

/// The second look of all threads together.
fn look_again(
    pass: &Pass<'_>,
    wants: &Wants,
    row_square: &[f64],
    workers: &[Mutex<Worker>],
) -> Result<Vec<Finds>, SourceError> {
    let next = AtomicUsize::new(0);
    let results: Vec<Result<Finds, SourceError>> = rayon::broadcast(|context| {
        let mut worker = locked(&workers[context.index() % workers.len()]);
        let Worker { tables, bytes, before } = &mut *worker;
        let mut finds = Finds::default();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= pass.cut.chunks {
                return Ok(finds);
            }
            let (offset, len) = pass.place(index);
            let part = room(bytes, len);
            pass.job.source.read(pass.job.index, offset, part)?;
            tables.second(&pass.chunk(index, part, before), wants, row_square, &mut finds);
        }
    });
    results.into_iter().collect()
}

/// A panic elsewhere has been told already; tables are cleared before use.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sorted values with what is still to be looked at.
struct Open {
    cells: Vec<Cell>,
    keys: Vec<u32>,
    marks: Vec<bool>,
    search: Option<Search>,
    /// Keys of what is still wide and wanted, as a power of two.
    span: Option<u32>,
    moments: Moments,
}

impl Open {
    /// Cells from counts of f32 come with their keys, others are exact. `fine` are the same values by more
    /// bits, where they were counted so.
    fn new(mut cells: Vec<Cell>, mut keys: Vec<u32>, moments: Moments, fine: Option<&[u32]>) -> Self {
        if moments.count > 0 && moments.min == moments.max {
            (cells, keys) = (vec![Cell::exact(moments.min, moments.count)], Vec::new());
        }
        let span = (!keys.is_empty()).then_some(SPAN);
        let search = span.filter(|_| moments.no_shape().is_none());
        let search = search.map(|_| Search::new(&Ranked::new(&cells), &keys, moments.mean, moments.std));
        let mut open = Self { cells, keys, marks: Vec::new(), search, span, moments };
        if let (Some(fine), Some(cells)) = (fine, open.wanted_cells())
            && let Some(wanted) = Wanted::of_fine(cells)
        {
            open.answered(&wanted, Answer::told(fine));
        }
        open
    }

    /// What must be looked at again.
    fn wanted(&mut self) -> Option<Wanted> {
        Wanted::new(self.wanted_cells()?, self.span?)
    }

    /// First keys and counts of the cells and pieces that are still too wide.
    fn wanted_cells(&mut self) -> Option<Vec<(u32, u64)>> {
        let span = self.span?;
        self.marks = suspects(&Ranked::new(&self.cells), self.moments.mean);
        if span < SPAN {
            for (mark, cell) in self.marks.iter_mut().zip(&self.cells) {
                *mark &= span_bits(cell.lo, cell.hi) == span;
            }
        }
        let marked = self.marks.iter().zip(&self.keys).zip(&self.cells).filter(|((mark, _), _)| **mark);
        let mut wanted: Vec<(u32, u64)> = marked.map(|((_, &key), cell)| (key, cell.count)).collect();
        wanted.extend(
            self.search.iter().flat_map(|search| &search.open).map(|piece| (piece.start, piece.count)),
        );
        wanted.sort_unstable();
        wanted.dedup();
        Some(wanted)
    }

    fn replace(&mut self, wanted: Option<&Wanted>, found: Vec<Found>) {
        if let Some(wanted) = wanted {
            self.answered(wanted, wanted.join(found));
        }
    }

    fn answered(&mut self, wanted: &Wanted, mut answer: Answer<'_>) {
        if let Some(search) = &mut self.search {
            wanted.search(&mut answer, search);
        }
        wanted.replace(&mut answer, &self.marks, &mut self.cells, &mut self.keys);
        self.span = wanted.span_left();
    }

    /// D, where a search has found it.
    fn distance(&self) -> Option<f64> {
        self.search.as_ref().map(|search| search.best)
    }
}

/// What the first look has told.
struct First {
    totals: Totals,
    hash: u64,
    raw: Open,
    normalized: Option<Open>,
}

impl First {
    fn new(pass: &Pass<'_>, totals: Totals, hash: u64, tables: &mut Tables) -> Self {
        let dtype = pass.job.info.dtype;
        let (mut cells, mut keys) = (Vec::new(), Vec::new());
        if dtype.bytes() <= 2 {
            cells = tables.codes.cells(dtype).0;
        } else {
            tables.raw.cells(&mut cells, &mut keys);
        }
        let moments = moments_of(&totals.central, totals.extremes);
        let rows = pass.cut.matrix && totals.special.nan + totals.special.inf == 0;
        let normalized = (rows && totals.normalized.count > 0).then(|| {
            let (mut cells, mut keys) = (Vec::new(), Vec::new());
            tables.normalized.cells(&mut cells, &mut keys);
            let moments = moments_of(&totals.normalized, totals.normalized_extremes);
            Open::new(cells, keys, moments, tables.normalized.fine())
        });
        Self { raw: Open::new(cells, keys, moments, tables.raw.fine()), normalized, totals, hash }
    }

    /// Looks again while something is open, then writes the values.
    fn finish(
        mut self,
        pass: &Pass<'_>,
        mut look: impl FnMut(&Wants, &[f64]) -> Result<Vec<Finds>, SourceError>,
    ) -> Result<Outcome, SourceError> {
        let limit =
            self.totals.change.as_ref().map(|change| (change.abs_max, change::SPIKE_RMS * change.rms()));
        let mut spikes = limit.filter(|(most, limit)| most > limit).map(|(_, limit)| limit);
        for _ in 1..LOOKS_MAX {
            let raw = self.raw.wanted();
            let normalized = self.normalized.as_mut().and_then(Open::wanted);
            if raw.is_none() && normalized.is_none() && spikes.is_none() {
                break;
            }
            let wants = Wants { raw, normalized, spikes: spikes.take() };
            let (mut raw, mut normalized) = (Vec::new(), Vec::new());
            for finds in look(&wants, &self.totals.row_square)? {
                raw.push(finds.raw);
                normalized.push(finds.normalized);
                if let Some(change) = &mut self.totals.change {
                    change.spikes.0 += finds.spikes.0;
                    change.spikes.1 += finds.spikes.1;
                }
            }
            self.raw.replace(wants.raw.as_ref(), raw);
            if let Some(open) = &mut self.normalized {
                open.replace(wants.normalized.as_ref(), normalized);
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
        let finite = totals.special.nan + totals.special.inf == 0;
        match rows::no_rows(&job.info.shape, finite, totals.special.zero == job.info.elements()) {
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

fn moments_of(central: &super::central::Central, extremes: Option<(f32, f32)>) -> Moments {
    let (min, max) = extremes.unwrap_or((0.0, 0.0));
    central.moments(f64::from(min), f64::from(max))
}
