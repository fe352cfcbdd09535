//! Large tensors of numbers that no f32 holds (64-bit floats, wide integers), or of more numbers than an
//! f32's table counts: read in chunks, look after look, in memory that does not grow with them.
//!
//! The first look finds the range, the second sums. Then values are counted by the top bits of their f64,
//! and cells that can still move a metric are split by ever more bits, until few enough values are left
//! in them to be collected. Rare enough in checkpoints that one thread does it, tensor by tensor.

use xxhash_rust::xxh3::Xxh3;

use super::cells::{Cell, Ranked, from_values};
use super::central::Central;
use super::change::{self, Change};
use super::cut::Cut;
use super::decode::to_f64;
use super::elements::Moments;
use super::inventory::Special;
use super::job::{Job, Outcome};
use super::ks::Search;
use super::refine::suspects;
use super::rows::Sums;
use super::sketch::Sketcher;
use super::{elements, inventory, moments, precision, rows, shape};
use crate::terms::{Reason, SourceError};

/// Low bits of a value that the first count does not tell apart: sign, exponent and 8 bits are left.
const SPAN: u32 = 44;
/// Entries of the table that splits cells: 16 MB.
const TABLE_MAX: usize = 1 << 20;
/// Values that are collected and sorted at once: 4 MB, and 16 MB as cells.
const COLLECTED_MAX: u64 = 1 << 19;
/// Looks after which what is still wide stays so; four are the rule.
const LOOKS_MAX: usize = 12;

/// Weighs one tensor.
pub(super) fn weigh(job: &Job<'_>) -> Result<Outcome, SourceError> {
    let mut stream = Stream::new(job);
    let range = Range::look(&mut stream)?;
    let (mut totals, moments) = Totals::look(&mut stream, &range)?;
    let mut out = Outcome::new(job);
    out.content_hash = range.hash;
    inventory::measure(job.info, range.special, &mut out.sheet);
    elements::measure(&moments, &mut out.sheet);
    let mut look = |see: &mut dyn FnMut(&[f64])| stream.each(&mut |_, _, row| see(row)).map(drop);
    let (cells, distance) = distribution(&moments, &mut look)?;
    let ranked = Ranked::new(&cells);
    shape::measure(&ranked, &moments, distance, &mut out.sheet);
    precision::measure(job, &ranked, &mut out.sheet);
    out.remember_quantiles(job, &ranked);
    match job.no_rows(&range.special) {
        Some(reason) => rows::lack(&reason, &mut out.sheet),
        None => measure_rows(&mut stream, &mut totals, &mut out)?,
    }
    if let (Some(mut change), Some(previous)) = (totals.change, &job.previous) {
        count_spikes(&mut stream, &mut change)?;
        change::measure(job.info, &mut change, &previous.interval, stream.cut.matrix, &mut out.sheet);
        out.change = Some((change.all.square, change.all.before));
    } else if job.previous.is_some() {
        change::lack(&Reason::NoPrevious, &mut out.sheet);
    }
    out.sketch = totals.sketch.map(Sketcher::finish);
    Ok(out)
}

fn measure_rows(stream: &mut Stream<'_>, totals: &mut Totals, out: &mut Outcome) -> Result<(), SourceError> {
    let square = std::mem::take(&mut totals.sums.row_square);
    let mut scaled = Vec::new();
    let mut look = |see: &mut dyn FnMut(&[f64])| {
        let mut index = 0;
        stream
            .each(&mut |_, _, row| {
                if square[index] > 0.0 {
                    scaled.clear();
                    scaled.extend(row.iter().map(|x| x / square[index].sqrt()));
                    see(&scaled);
                }
                index += 1;
            })
            .map(drop)
    };
    let mut ends = (f64::INFINITY, f64::NEG_INFINITY);
    let mut central = Central::default();
    look(&mut |row| {
        let finite: Vec<f64> = row.iter().copied().filter(|x| x.is_finite()).collect();
        ends = finite.iter().fold(ends, |(low, high), &x| (low.min(x), high.max(x)));
        central.merge(&central_of(&finite));
    })?;
    let moments = central.moments(ends.0, ends.1);
    let (cells, distance) = distribution(&moments, &mut look)?;
    totals.sums.row_square = square;
    let rows = totals.sums.row_square.len() as f64;
    totals.sums.column_square.iter_mut().for_each(|sum| *sum /= rows);
    rows::measure_sums(&mut totals.sums, &mut out.sheet);
    rows::measure_normalized(&Ranked::new(&cells), &moments, distance, &mut out.sheet);
    Ok(())
}

fn count_spikes(stream: &mut Stream<'_>, change: &mut Change) -> Result<(), SourceError> {
    let limit = change::SPIKE_RMS * change.rms();
    if change.abs_max > limit {
        stream.each(&mut |_, before, row| {
            if let Some(before) = before {
                change.count_spikes(row, before, limit);
            }
        })?;
    }
    Ok(())
}

/// Takes the position of a row, the same row before, and the row.
type Seen<'a> = dyn FnMut(u64, Option<&[f64]>, &[f64]) + 'a;

/// The tensor, and the one before, row by row.
struct Stream<'a> {
    job: &'a Job<'a>,
    cut: Cut,
    bytes: Vec<u8>,
    now: Vec<f64>,
    before: Vec<f64>,
    /// False once the previous checkpoint could not be read.
    previous: bool,
}

impl<'a> Stream<'a> {
    fn new(job: &'a Job<'a>) -> Self {
        let columns = rows::no_rows(&job.info.shape, true, false).is_none().then(|| job.row_len());
        let cut = Cut::new(job.info, columns);
        let previous = job.previous.is_some();
        Self { job, cut, bytes: Vec::new(), now: Vec::new(), before: Vec::new(), previous }
    }

    /// Reads the tensor once and hands over position, the same row before, and the row.
    fn each(&mut self, see: &mut Seen<'_>) -> Result<u64, SourceError> {
        let mut hash = Xxh3::new();
        let job = self.job;
        for chunk in 0..self.cut.chunks {
            job.progress.piece();
            let range = self.cut.range(chunk);
            let width = job.info.dtype.bytes();
            self.bytes.resize(range.len() * width, 0);
            job.source.read(job.index, (range.start * width) as u64, &mut self.bytes)?;
            hash.update(&self.bytes);
            self.now.clear();
            to_f64(job.info.dtype, &self.bytes, &mut self.now);
            if let Some(previous) = job.previous.as_ref().filter(|_| self.previous) {
                let width = previous.info.dtype.bytes();
                self.bytes.resize(range.len() * width, 0);
                let offset = (range.start * width) as u64;
                self.previous = previous.source.read(previous.index, offset, &mut self.bytes).is_ok();
                self.before.clear();
                to_f64(previous.info.dtype, &self.bytes, &mut self.before);
            }
            for (index, row) in self.now.chunks(self.cut.row).enumerate() {
                let from = index * self.cut.row;
                let before = self.previous.then(|| &self.before[from..from + row.len()]);
                see((range.start + from) as u64, before, row);
            }
        }
        Ok(hash.digest())
    }
}

/// What the first look tells.
struct Range {
    special: Special,
    min: f64,
    max: f64,
    hash: u64,
}

impl Range {
    fn look(stream: &mut Stream<'_>) -> Result<Self, SourceError> {
        let (mut special, mut min, mut max) = (Special::default(), f64::INFINITY, f64::NEG_INFINITY);
        let (progress, width) = (stream.job.progress, stream.job.info.dtype.bytes());
        let hash = stream.each(&mut |_, _, row| {
            progress.bytes((row.len() * width) as u64);
            for &x in row {
                special.nan += u64::from(x.is_nan());
                special.inf += u64::from(x.is_infinite());
                special.zero += u64::from(x == 0.0);
                if x.is_finite() {
                    (min, max) = (min.min(x), max.max(x));
                }
            }
        })?;
        Ok(Self { special, min, max, hash })
    }
}

/// What the second look adds up.
#[derive(Default)]
struct Totals {
    sums: Sums,
    change: Option<Change>,
    sketch: Option<Sketcher>,
}

impl Totals {
    fn look(stream: &mut Stream<'_>, range: &Range) -> Result<(Self, Moments), SourceError> {
        let (job, matrix) = (stream.job, stream.cut.matrix);
        let scale = moments::scale_of(range.max.max(-range.min));
        let mut totals = Self::default();
        if matrix {
            totals.sums.column_square = vec![0.0; stream.cut.row];
        }
        totals.sketch = (job.sketch_len > 0).then(|| Sketcher::new(job.recipe));
        totals.change = job.previous.is_some().then(Change::default);
        let reach = job.previous.as_ref().and_then(|previous| previous.interval.reach(job.info.dtype));
        let (mut central, mut finite, mut narrow) = (Central::default(), Vec::new(), Vec::new());
        stream.each(&mut |position, before, row| {
            finite.clear();
            finite.extend(row.iter().filter(|x| x.is_finite()).map(|x| x * scale));
            central.merge(&central_of(&finite));
            if matrix {
                totals.sums.add_row(row);
            }
            if let Some(sketch) = &mut totals.sketch {
                narrow.clear();
                narrow.extend(row.iter().map(|&x| x as f32));
                sketch.push(job.recipe, position, &narrow);
            }
            match (&mut totals.change, before) {
                (Some(change), Some(before)) => {
                    let row = change::compare_row(row, before, reach, change);
                    change.close_row(&row);
                }
                (change, _) => *change = None,
            }
        })?;
        let n = central.count as f64;
        let [m2, m3, m4] = central.powers.map(|power| power / n);
        let mean = if range.min == range.max { range.min * scale } else { central.mean };
        let rms = (m2 + mean * mean).sqrt() / scale;
        let ends = (range.min, range.max);
        let moments = if central.count == 0 {
            Moments::default()
        } else {
            moments::from_central(central.count, [mean, m2, m3, m4], scale, rms, ends)
        };
        Ok((totals, moments))
    }
}

impl Sums {
    fn add_row(&mut self, row: &[f64]) {
        let n = row.len() as f64;
        let mean = row.iter().sum::<f64>() / n;
        self.row_variance.push(row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n);
        self.row_square.push(row.iter().map(|x| x * x).sum::<f64>() / n);
        self.column_square.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * x);
    }
}

fn central_of(values: &[f64]) -> Central {
    if values.is_empty() {
        return Central::default();
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let mean = mean + values.iter().map(|x| x - mean).sum::<f64>() / n;
    let powers = values.iter().fold([0.0; 3], |[a, b, c], x| {
        let d = x - mean;
        let q = d * d;
        [a + q, b + q * d, c + q * q]
    });
    Central { count: values.len() as u64, mean, powers }
}

/// Hands all values over, some at a time.
type Look<'a> = dyn FnMut(&mut dyn FnMut(&[f64])) -> Result<(), SourceError> + 'a;

/// The finite values in ascending order, wide only where that moves no metric, and D.
fn distribution(moments: &Moments, look: &mut Look<'_>) -> Result<(Vec<Cell>, Option<f64>), SourceError> {
    if moments.count == 0 {
        return Ok((Vec::new(), None));
    }
    if moments.min == moments.max {
        return Ok((vec![Cell::exact(moments.min, moments.count)], None));
    }
    let everything = Part { start: 0, bits: 64, count: moments.count };
    let mut parts = split(&[everything], 64 - SPAN, look)?;
    let shaped = moments.no_shape().is_none();
    let mut distance = None;
    for _ in 0..LOOKS_MAX {
        let cells: Vec<Cell> = parts.iter().map(|(_, cell)| *cell).collect();
        let ranked = Ranked::new(&cells);
        let mut marks = suspects(&ranked, moments.mean);
        if shaped {
            let indices: Vec<u32> = (0..cells.len() as u32).collect();
            let search = Search::new(&ranked, &indices, moments.mean, moments.std);
            search.open.iter().for_each(|piece| marks[piece.start as usize] = true);
            distance = Some(search.best);
        }
        let wanted: Vec<Part> =
            parts.iter().zip(&marks).filter(|(_, mark)| **mark).map(|((part, _), _)| *part).collect();
        if wanted.is_empty() {
            break;
        }
        let few = wanted.iter().map(|part| part.count).sum::<u64>() <= COLLECTED_MAX;
        let more = if few {
            collect(&wanted, look)?
        } else {
            let bits = (TABLE_MAX / wanted.len()).checked_ilog2().unwrap_or(0).max(1);
            split(&wanted, bits, look)?
        };
        parts = parts.into_iter().zip(marks).filter(|(_, mark)| !mark).map(|(part, _)| part).collect();
        parts.extend(more);
        parts.sort_unstable_by_key(|(part, _)| part.start);
    }
    Ok((parts.into_iter().map(|(_, cell)| cell).collect(), distance))
}

/// Keys of a cell: those from `start` that share all but the low `bits`.
#[derive(Clone, Copy)]
struct Part {
    start: u64,
    bits: u32,
    count: u64,
}

/// Bits in an order that is the order of the values. -0 and 0 are one.
fn key(x: f64) -> u64 {
    let bits = (x + 0.0).to_bits();
    bits ^ (((bits as i64 >> 63) as u64) | 1 << 63)
}

fn value(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 0 { !key } else { key ^ 1 << 63 })
}

/// Looks values up among cells.
struct Finder<'a> {
    parts: &'a [Part],
    /// First part whose end is not below the keys of these top bits.
    first: Vec<u32>,
}

impl<'a> Finder<'a> {
    fn new(parts: &'a [Part]) -> Self {
        let tops = 1u64 << (64 - SPAN);
        let mut next = 0;
        let first = (0..tops).map(|top| {
            while parts.get(next).is_some_and(|part| last(part) < top << SPAN) {
                next += 1;
            }
            next as u32
        });
        Self { parts, first: first.collect() }
    }

    fn find(&self, key: u64) -> Option<usize> {
        let mut index = self.first[(key >> SPAN) as usize] as usize;
        if self.parts.get(index).is_none_or(|part| part.start > key) {
            return None;
        }
        // Cells of the first count lie alone; narrower ones are searched for.
        if last(&self.parts[index]) < key {
            index += self.parts[index..].partition_point(|part| last(part) < key);
        }
        self.parts.get(index).filter(|part| part.start <= key).map(|_| index)
    }
}

fn last(part: &Part) -> u64 {
    part.start | u64::MAX.checked_shr(64 - part.bits).unwrap_or(0)
}

/// Splits cells by so many bits each.
fn split(wanted: &[Part], bits: u32, look: &mut Look<'_>) -> Result<Vec<(Part, Cell)>, SourceError> {
    let finder = Finder::new(wanted);
    // Count, and sum of the bits that the new cells do not tell apart.
    let mut table = vec![(0u64, 0f64); wanted.len() << bits];
    let left = |part: &Part| part.bits.saturating_sub(bits);
    look(&mut |values| {
        for &x in values.iter().filter(|x| x.is_finite()) {
            let key = key(x);
            if let Some(index) = finder.find(key) {
                let (part, left) = (&wanted[index], left(&wanted[index]));
                let low = key - part.start;
                let entry = &mut table[(index << bits) + (low >> left) as usize];
                entry.0 += 1;
                entry.1 += (low & ((1 << left) - 1)) as f64;
            }
        }
    })?;
    let mut parts = Vec::new();
    for (index, part) in wanted.iter().enumerate() {
        let left = left(part);
        for (sub, &(count, sum)) in table[index << bits..(index + 1) << bits].iter().enumerate() {
            if count > 0 {
                let new = Part { start: part.start + ((sub as u64) << left), bits: left, count };
                parts.push((new, cell(&new, sum)));
            }
        }
    }
    Ok(parts)
}

/// The cell of `part`, the sum of whose values' low bits is `sum`.
fn cell(part: &Part, sum: f64) -> Cell {
    let most = ((1u64 << part.bits) - 1) as f64;
    if part.bits == 0 || part.count == 1 {
        return Cell::exact(value(part.start + sum as u64), part.count);
    }
    let (lo, hi) = (value(part.start), value(part.start + ((1 << part.bits) - 1)));
    // Zero's own cell holds subnormals too; all at its end are zeros.
    if sum == 0.0 || sum == most * part.count as f64 {
        return Cell::exact(if sum == 0.0 { lo } else { hi }, part.count);
    }
    let mean = lo + (hi - lo) * (sum / part.count as f64 / most);
    Cell { lo, hi, mean: mean.clamp(lo, hi), count: part.count }
}

/// Collects the values of cells.
fn collect(wanted: &[Part], look: &mut Look<'_>) -> Result<Vec<(Part, Cell)>, SourceError> {
    let finder = Finder::new(wanted);
    let mut found = Vec::new();
    look(&mut |values| {
        let finite = values.iter().copied().filter(|x| x.is_finite());
        found.extend(finite.filter(|&x| finder.find(key(x)).is_some()));
    })?;
    found.iter_mut().for_each(|x| *x += 0.0);
    let cells = from_values(&mut found);
    Ok(cells.into_iter().map(|c| (Part { start: key(c.lo), bits: 0, count: c.count }, c)).collect())
}
