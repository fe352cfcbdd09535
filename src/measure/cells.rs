//! A tensor's finite values in ascending order, in as few numbers as its metrics need.
//!
//! A [`Cell`] is a run of neighbours in the sorted order. A cell of width 0 holds one distinct value, so
//! a list of such cells *is* the sorted tensor: 65,536 of them at most for a 16-bit dtype, however many
//! elements there are. A wide cell knows its ends, its count and its exact mean; the f32 path keeps cells
//! wide wherever width cannot move a metric by more than its bound, and splits the others.

/// Neighbours in sorted order. `lo <= mean <= hi`, `count > 0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell {
    /// No value is below.
    pub(crate) lo: f64,
    /// No value is above.
    pub(crate) hi: f64,
    /// Mean of the values.
    pub(crate) mean: f64,
    /// How many there are.
    pub(crate) count: u64,
}

impl Cell {
    /// `count` copies of one value.
    pub(crate) const fn exact(value: f64, count: u64) -> Self {
        Self { lo: value, hi: value, mean: value, count }
    }

    /// Distance of the ends: 0 when the values are known exactly.
    pub(crate) fn width(&self) -> f64 {
        self.hi - self.lo
    }

    /// The `rank`-th smallest value of the cell, as if its values lay at equal distances; exact for
    /// width 0.
    fn value(&self, rank: u64) -> f64 {
        if self.lo == self.hi {
            return self.lo;
        }
        self.lo + (self.hi - self.lo) * (rank as f64 + 0.5) / self.count as f64
    }
}

/// Sorts `values` (all finite) and counts equal ones. -0 and 0 are one value.
pub(crate) fn from_values(values: &mut [f64]) -> Vec<Cell> {
    values.sort_unstable_by(f64::total_cmp);
    let mut cells: Vec<Cell> = Vec::new();
    for &value in &*values {
        match cells.last_mut() {
            Some(last) if last.lo == value => last.count += 1,
            _ => cells.push(Cell::exact(value, 1)),
        }
    }
    cells
}

/// Cells with the number of values before each, for looking values up by rank.
pub(crate) struct Ranked<'a> {
    cells: &'a [Cell],
    before: Vec<u64>,
    total: u64,
}

impl<'a> Ranked<'a> {
    /// Counts along.
    pub(crate) fn new(cells: &'a [Cell]) -> Self {
        let mut total = 0;
        let before = cells
            .iter()
            .map(|cell| {
                total += cell.count;
                total - cell.count
            })
            .collect();
        Self { cells, before, total }
    }

    /// How many values there are.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The cells.
    pub(crate) fn cells(&self) -> &'a [Cell] {
        self.cells
    }

    /// Values below the cell of that index.
    pub(crate) fn before(&self, index: usize) -> u64 {
        self.before[index]
    }

    /// Index of the cell that holds the `rank`-th smallest value, counted from 0.
    pub(crate) fn cell_of(&self, rank: u64) -> usize {
        self.before.partition_point(|&before| before <= rank).saturating_sub(1)
    }

    /// The `rank`-th smallest value, counted from 0. There must be at least one value.
    pub(crate) fn value(&self, rank: u64) -> f64 {
        let index = self.cell_of(rank.min(self.total - 1));
        self.cells[index].value(rank.min(self.total - 1) - self.before[index])
    }

    /// Quantile by linear interpolation between order statistics (numpy's default, Hyndman-Fan type 7).
    pub(crate) fn quantile(&self, p: f64) -> f64 {
        let (rank, share) = quantile_rank(p, self.total);
        let below = self.value(rank);
        if share == 0.0 {
            return below;
        }
        let above = self.value(rank + 1);
        // Two forms, so that neither end is overshot by rounding.
        if share < 0.5 { below + (above - below) * share } else { above - (above - below) * (1.0 - share) }
    }
}

/// Rank (from 0) below the quantile, and how far it lies towards the next one.
pub(crate) fn quantile_rank(p: f64, total: u64) -> (u64, f64) {
    let position = p * (total - 1) as f64;
    let rank = position.floor();
    (rank as u64, position - rank)
}
