//! One chunk of a tensor, while it is warm in the cache: everything that one look can tell of it.

use pulp::Arch;

use super::central::Central;
use super::change::{Change, Reach, RowChange, compare_row};
use super::codes::Codes;
use super::counter::{Counter, value};
use super::cut::{Cut, Depths};
use super::decode::to_f32;
use super::gather::{Found, Wanted};
use super::inventory::Special;
use super::lanes::{self, INFINITE, Range};
use super::quads::{Portable, Quads, Work, dispatch};
use super::sketch::{Recipe, Sketcher};
use crate::terms::Dtype;

/// What a thread keeps from chunk to chunk: the counts, and memory that is used again.
pub(super) struct Tables {
    arch: Arch,
    pub(super) raw: Counter,
    pub(super) codes: Codes,
    pub(super) normalized: Counter,
    now: Vec<f32>,
    before: Vec<f32>,
    row: Vec<f32>,
    wide: [Vec<f64>; 2],
}

/// Sums over a chunk, or over all chunks up to one.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) central: Central,
    pub(super) special: Special,
    pub(super) extremes: Option<(f32, f32)>,
    /// Of the rows divided by their rms.
    pub(super) normalized: Central,
    pub(super) normalized_extremes: Option<(f32, f32)>,
    pub(super) row_variance: Vec<f64>,
    pub(super) row_square: Vec<f64>,
    pub(super) column_square: Vec<f64>,
    pub(super) sketch: Option<Sketcher>,
    pub(super) change: Option<Change>,
}

impl Totals {
    /// Adds the next chunk. Chunks must come in order: that is what makes the result the same for any
    /// number of threads.
    pub(super) fn merge(&mut self, part: Totals) {
        self.central.merge(&part.central);
        self.normalized.merge(&part.normalized);
        self.special.nan += part.special.nan;
        self.special.inf += part.special.inf;
        self.special.zero += part.special.zero;
        self.extremes = wider(self.extremes, part.extremes);
        self.normalized_extremes = wider(self.normalized_extremes, part.normalized_extremes);
        self.row_variance.extend(part.row_variance);
        self.row_square.extend(part.row_square);
        if self.column_square.is_empty() {
            self.column_square = part.column_square;
        } else {
            self.column_square.iter_mut().zip(&part.column_square).for_each(|(sum, more)| *sum += more);
        }
        match (&mut self.sketch, part.sketch) {
            (Some(sketch), Some(more)) => sketch.merge(more),
            (none, more) => *none = more,
        }
        match (&mut self.change, part.change) {
            (Some(change), Some(more)) => change.merge(more),
            (none, more) => *none = more,
        }
    }
}

fn wider(a: Option<(f32, f32)>, b: Option<(f32, f32)>) -> Option<(f32, f32)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

/// What a chunk's bytes are, and what is asked of them.
pub(super) struct Chunk<'a> {
    pub(super) cut: &'a Cut,
    /// True where rows and columns are measured.
    pub(super) rows: bool,
    /// Index of its first element.
    pub(super) position: usize,
    pub(super) dtype: Dtype,
    pub(super) bytes: &'a [u8],
    /// The same elements in the previous checkpoint.
    pub(super) before: Option<(Dtype, &'a [u8])>,
    pub(super) reach: Option<Reach>,
    pub(super) recipe: Option<&'a Recipe>,
    pub(super) depths: Depths,
}

/// What the second look looks for.
#[derive(Default)]
pub(super) struct Wants {
    pub(super) raw: Option<Wanted>,
    pub(super) normalized: Option<Wanted>,
    /// Changes above this are spikes.
    pub(super) spikes: Option<f64>,
}

/// What a thread found in the second look.
#[derive(Default)]
pub(super) struct Finds {
    pub(super) raw: Found,
    pub(super) normalized: Found,
    /// Spikes, and rows with spikes.
    pub(super) spikes: (u64, u64),
}

impl Tables {
    /// Empty tables.
    pub(super) fn new() -> Self {
        Self {
            arch: Arch::new(),
            raw: Counter::new(),
            codes: Codes::new(),
            normalized: Counter::new(),
            now: Vec::new(),
            before: Vec::new(),
            row: Vec::new(),
            wide: [Vec::new(), Vec::new()],
        }
    }

    /// Empties the counts for the next tensor.
    pub(super) fn clear(&mut self) {
        self.raw.clear();
        self.codes.clear();
        self.normalized.clear();
    }

    /// Adds another thread's counts and empties them.
    pub(super) fn absorb(&mut self, other: &mut Self) {
        self.codes.absorb(&mut other.codes);
        rayon::join(|| self.raw.absorb(&mut other.raw), || self.normalized.absorb(&mut other.normalized));
    }

    /// The first look.
    pub(super) fn first(&mut self, chunk: &Chunk<'_>) -> Totals {
        let (mut now, mut before) = (std::mem::take(&mut self.now), std::mem::take(&mut self.before));
        let values = to_f32(chunk.dtype, chunk.bytes, &mut now);
        let old = chunk.before.map(|(dtype, bytes)| to_f32(dtype, bytes, &mut before));
        let totals = dispatch(self.arch, First { tables: self, chunk, values, old });
        (self.now, self.before) = (now, before);
        totals
    }

    #[inline(always)]
    fn first_look<Q: Quads>(
        &mut self,
        quads: Q,
        chunk: &Chunk<'_>,
        values: &[f32],
        old: Option<&[f32]>,
    ) -> Totals {
        let cut = chunk.cut;
        let mut totals = Totals::default();
        if chunk.rows {
            totals.column_square = vec![0.0; cut.row];
        }
        if chunk.dtype.bytes() <= 2 {
            self.codes.push(chunk.bytes, chunk.dtype.bytes());
        } else {
            self.raw.push(values, chunk.depths.raw);
        }
        for row in values.chunks(cut.row) {
            let range = lanes::range(row);
            if range.abs_max >= INFINITE {
                self.broken_row(row, &mut totals);
            } else {
                self.row(quads, row, &range, chunk.rows.then_some(chunk.depths), &mut totals);
            }
        }
        if let Some(recipe) = chunk.recipe {
            let mut sketcher = Sketcher::new(recipe);
            sketcher.push(recipe, chunk.position as u64, values);
            totals.sketch = Some(sketcher);
        }
        if let Some(old) = old {
            let mut change = Change::default();
            for (now, before) in values.chunks(cut.row).zip(old.chunks(cut.row)) {
                self.pair(quads, now, before, chunk.reach, &mut change);
            }
            totals.change = Some(change);
        }
        totals
    }

    /// A row of finite values; `matrix` where rows are measured.
    #[inline(always)]
    fn row<Q: Quads>(
        &mut self,
        quads: Q,
        row: &[f32],
        range: &Range,
        matrix: Option<Depths>,
        totals: &mut Totals,
    ) {
        let n = row.len() as f64;
        let (low, high) = range.extremes;
        let powers = match matrix {
            Some(_) => lanes::powers::<Q, true>(quads, row, &mut totals.column_square),
            None => lanes::powers::<Q, false>(quads, row, &mut []),
        };
        let central = if low == high {
            Central { count: row.len() as u64, mean: f64::from(low), powers: [0.0; 3] }
        } else {
            lanes::about_mean(quads, row, powers)
        };
        totals.central.merge(&central);
        totals.special.zero += u64::from(range.zeros);
        totals.extremes = wider(totals.extremes, Some((low, high)));
        self.raw.cover(range);
        let Some(depths) = matrix else { return };
        let square = powers[1] / n;
        totals.row_variance.push(central.powers[0] / n);
        totals.row_square.push(square);
        if square == 0.0 {
            return;
        }
        normalize(row, square, &mut self.row);
        let scaled = |bits: u32| normalize_one(f32::from_bits(bits), square).to_bits();
        let (abs_max, abs_min) = (scaled(range.abs_max), scaled(range.abs_min));
        // Where the smallest vanishes there are more zeros than before.
        let covered =
            if abs_min == 0 { lanes::range(&self.row) } else { Range { abs_max, abs_min, ..*range } };
        self.normalized.cover(&covered);
        self.normalized.push(&self.row, depths.normalized);
        totals.normalized.merge(&central.divided(square.sqrt()));
        let ends = (normalize_one(low, square), normalize_one(high, square));
        totals.normalized_extremes = wider(totals.normalized_extremes, Some(ends));
    }

    /// A row that holds NaN or Inf: what is finite in it counts; as a row it does not.
    #[cold]
    #[inline(never)]
    fn broken_row(&mut self, row: &[f32], totals: &mut Totals) {
        totals.special.nan += row.iter().filter(|x| x.is_nan()).count() as u64;
        totals.special.inf += row.iter().filter(|x| x.is_infinite()).count() as u64;
        let finite: Vec<f32> = row.iter().copied().filter(|x| x.is_finite()).collect();
        if !finite.is_empty() {
            let range = lanes::range(&finite);
            self.row(Portable, &finite, &range, None, totals);
        }
    }

    /// A row now and before.
    #[inline(always)]
    fn pair<Q: Quads>(
        &mut self,
        quads: Q,
        now: &[f32],
        before: &[f32],
        reach: Option<Reach>,
        change: &mut Change,
    ) {
        let limit = reach.unwrap_or(Reach { fixed: f64::INFINITY, relative: 0.0 });
        let pairs = lanes::pairs(quads, now, before, limit);
        // Squares of finite values do not overflow: a sum that is not finite has met a value that is not.
        if !(pairs.before + pairs.powers[1]).is_finite() {
            let [a, b] = &mut self.wide;
            widen(now, a);
            widen(before, b);
            let row = compare_row(a, b, reach, change);
            return change.close_row(&row);
        }
        change.finite += now.len() as u64;
        change.abs_max = change.abs_max.max(pairs.abs_max);
        change.impossible += pairs.beyond;
        change.sums[0] += pairs.powers[0];
        change.sums[1] += pairs.powers[2];
        change.sums[2] += pairs.powers[3];
        change.close_row(&RowChange {
            identical: pairs.identical,
            elements: now.len() as u64,
            before: pairs.before,
            square: pairs.powers[1],
            cross: pairs.cross,
        });
    }

    /// The second look. `row_square` are the mean squares of all rows of the tensor.
    pub(super) fn second(&mut self, chunk: &Chunk<'_>, wants: &Wants, row_square: &[f64], finds: &mut Finds) {
        let (mut now, mut before) = (std::mem::take(&mut self.now), std::mem::take(&mut self.before));
        let values = to_f32(chunk.dtype, chunk.bytes, &mut now);
        // A tensor without rows has no mean squares.
        let rows = row_square.get(chunk.position / chunk.cut.row..).unwrap_or_default();
        dispatch(
            self.arch,
            Second { row: &mut self.row, columns: chunk.cut.row, values, wants, rows, finds },
        );
        if let (Some(limit), Some((dtype, bytes))) = (wants.spikes, chunk.before) {
            let old = to_f32(dtype, bytes, &mut before);
            let mut change = Change::default();
            for (now, before) in values.chunks(chunk.cut.row).zip(old.chunks(chunk.cut.row)) {
                let [a, b] = &mut self.wide;
                widen(now, a);
                widen(before, b);
                change.count_spikes(a, b, limit);
            }
            finds.spikes.0 += change.spikes.0;
            finds.spikes.1 += change.spikes.1;
        }
        (self.now, self.before) = (now, before);
    }
}

/// The first look at one chunk.
struct First<'a> {
    tables: &'a mut Tables,
    chunk: &'a Chunk<'a>,
    values: &'a [f32],
    old: Option<&'a [f32]>,
}

impl Work for First<'_> {
    type Output = Totals;

    #[inline(always)]
    fn run<Q: Quads>(self, quads: Q) -> Totals {
        self.tables.first_look(quads, self.chunk, self.values, self.old)
    }
}

/// The second look at one chunk.
struct Second<'a> {
    row: &'a mut Vec<f32>,
    columns: usize,
    values: &'a [f32],
    wants: &'a Wants,
    /// Mean squares of the chunk's rows and those after.
    rows: &'a [f64],
    finds: &'a mut Finds,
}

impl Work for Second<'_> {
    type Output = ();

    #[inline(always)]
    fn run<Q: Quads>(self, _: Q) {
        if let Some(wanted) = &self.wants.raw {
            wanted.look(self.values, &mut self.finds.raw);
        }
        if let Some(wanted) = &self.wants.normalized {
            for (row, &square) in self.values.chunks(self.columns).zip(self.rows) {
                if square > 0.0 {
                    normalize(row, square, self.row);
                    wanted.look(self.row, &mut self.finds.normalized);
                }
            }
        }
    }
}

fn widen(values: &[f32], wide: &mut Vec<f64>) {
    wide.clear();
    wide.extend(values.iter().map(|&x| f64::from(x)));
}

/// Divides a row by its rms. Must do the same in every look.
#[inline(always)]
fn normalize(row: &[f32], square: f64, out: &mut Vec<f32>) {
    out.clear();
    let inverse = (1.0 / square.sqrt()) as f32;
    if usable(inverse) {
        out.extend(row.iter().map(|x| x * inverse));
    } else {
        out.extend(row.iter().map(|&x| normalize_one(x, square)));
    }
}

#[inline(always)]
fn normalize_one(x: f32, square: f64) -> f32 {
    let inverse = (1.0 / square.sqrt()) as f32;
    if usable(inverse) { x * inverse } else { (f64::from(x) / square.sqrt()) as f32 }
}

/// A factor that is a normal number, so that no precision is lost to it.
#[inline(always)]
fn usable(inverse: f32) -> bool {
    (1e-30..1e30).contains(&inverse)
}

/// Number of keys that a cell spans, as a power of two.
pub(super) fn span_bits(lo: f64, hi: f64) -> u32 {
    let keys =
        super::counter::key((hi as f32).to_bits()).wrapping_sub(super::counter::key((lo as f32).to_bits()));
    debug_assert_eq!(f64::from(value(super::counter::key((lo as f32).to_bits()))), lo);
    32 - keys.leading_zeros()
}
