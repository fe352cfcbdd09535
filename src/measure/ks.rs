//! Kolmogorov-Smirnov distance to the normal of the same mean and standard deviation:
//! `D = sup |F_n(x) - Phi((x - mean) / std)|`.
//!
//! At the ends of a wide cell both functions are known, so each cell gives a lower and an upper bound for
//! D. Cells whose upper bound is above the best lower bound are looked at again, in ever narrower pieces,
//! until their values are known one by one. The narrower the pieces, the fewer are left.

use super::cells::{Cell, Ranked};
use super::counter::value;
use super::normal::Normal;

/// D may fall short of the supremum by this much; its bound is 1e-6.
const SLACK: f64 = 4e-7;
/// Most that Phi may bend within a piece that is taken for straight; the bend widens the bounds.
const BEND_MAX: f64 = 1e-6;

/// D from cells that are all exact.
pub(crate) fn ks_statistic(ranked: &Ranked<'_>, mean: f64, std: f64) -> f64 {
    let search =
        Search { normal: Normal::new(), mean, std, total: ranked.total(), best: 0.0, open: Vec::new() };
    ranked.cells().iter().enumerate().fold(0.0, |distance, (index, cell)| {
        let cdf = search.cdf(cell.lo);
        let [low, high] =
            [ranked.before(index), ranked.before(index) + cell.count].map(|rank| search.share(rank));
        distance.max(cdf - low).max(high - cdf)
    })
}

/// A run of keys in which the supremum may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// First key.
    pub(crate) start: u32,
    /// Values below it.
    pub(crate) before: u64,
    /// Values in it.
    pub(crate) count: u64,
    /// True where the supremum lies here, unless its values lie much unlike equal distances.
    pub(crate) likely: bool,
}

/// Parts of which a piece that is not likely is counted.
pub(crate) const PARTS: u32 = 4;

/// The search for D.
pub(crate) struct Search {
    normal: Normal,
    mean: f64,
    std: f64,
    total: u64,
    /// Largest distance found so far.
    pub(crate) best: f64,
    /// Pieces that may hold a larger one, ascending.
    pub(crate) open: Vec<Piece>,
}

impl Search {
    /// Starts from wide cells and their first keys.
    pub(crate) fn new(ranked: &Ranked<'_>, keys: &[u32], mean: f64, std: f64) -> Self {
        let normal = Normal::new();
        let mut search = Self { normal, mean, std, total: ranked.total(), best: 0.0, open: Vec::new() };
        let cells = ranked.cells();
        let mut upper = Vec::with_capacity(cells.len());
        let mut low = cells.first().map_or(0.0, |cell| search.cdf(cell.lo));
        for (index, cell) in cells.iter().enumerate() {
            // Neighbours touch, save for gaps: then the next cell's end is no use.
            let next = cells.get(index + 1);
            let next_low = next.map_or(1.0, |next| search.cdf(next.lo));
            let touches = next.is_some_and(|next| next.lo - cell.hi <= cell.width());
            let high = if touches { next_low } else { search.cdf(cell.hi) };
            upper.push(search.bound(low, high, ranked.before(index), cell.count));
            low = next_low;
        }
        for (index, upper) in upper.into_iter().enumerate() {
            let cell = &cells[index];
            if upper > search.best + SLACK && cell.lo < cell.hi {
                let ends = [search.cdf(cell.lo), search.cdf(cell.hi)];
                let (before, count) = (ranked.before(index), cell.count);
                if search.balanced(cell, ends, before) > search.best + SLACK {
                    let likely = search.expected(ends, before, count) > search.best;
                    search.open.push(Piece { start: keys[index], before, count, likely });
                }
            }
        }
        search
    }

    fn cdf(&self, x: f64) -> f64 {
        self.normal.cdf((x - self.mean) / self.std)
    }

    fn share(&self, rank: u64) -> f64 {
        rank as f64 / self.total as f64
    }

    /// How far Phi between two keys of a cell is from a straight line at most: its second derivative is
    /// below 1/4.
    fn bend(&self, first: u32, last: u32) -> f64 {
        let width = (f64::from(value(last)) - f64::from(value(first))) / self.std;
        width * width / 32.0
    }

    /// Takes note of the distances that are there for sure, and returns the largest that may be.
    fn bound(&mut self, low: f64, high: f64, before: u64, count: u64) -> f64 {
        let [below, above] = [self.share(before), self.share(before + count)];
        self.best = self.best.max(above - high).max(low - below);
        (above - low).max(high - below)
    }

    /// The largest distance that may be in a cell whose mean is known: values at one end must be balanced by others
    /// at the other end. At the place `t`, counted from 0 to 1 over the cell, at most the share `(1 - m) / (1 - t)`
    /// of the values lies at or below, and at least `1 - m / t` (Markov's inequality); both distances are convex in
    /// `t`, so their largest values are at the ends and at the mean `m`.
    fn balanced(&self, cell: &Cell, [low, high]: [f64; 2], before: u64) -> f64 {
        let m = (cell.mean - cell.lo) / cell.width();
        let [below, above] = [self.share(before), self.share(before + cell.count)];
        let (share, at_mean) = (above - below, low + (high - low) * m);
        let over = (below + share * (1.0 - m) - low).max(above - at_mean);
        let under = (at_mean - below).max(high - below - share * (1.0 - m));
        over.max(under) + (cell.width() / self.std).powi(2) / 32.0
    }

    /// The largest distance that is likely where the ends' are known, and what counts of the parts leave open. In
    /// between, values at random are further off by more than `2 sqrt(count) / total` in one piece of 3,000
    /// (exp(-2 x^2), Kolmogorov's bound).
    fn expected(&self, [low, high]: [f64; 2], before: u64, count: u64) -> f64 {
        let ends = (self.share(before) - low).abs().max((self.share(before + count) - high).abs());
        ends + (2.0 * (count as f64).sqrt() + count as f64 / f64::from(1u32 << PARTS)) / self.total as f64
    }

    /// Goes through the counts of a piece's 2^split parts of 2^span keys, and keeps the parts that may
    /// hold the supremum. A piece lies within one cell, where values are linear in keys.
    pub(crate) fn split(&mut self, piece: Piece, counts: &[u32], span: u32, parts: &mut Vec<(f64, Piece)>) {
        let keys = (counts.len() as u32) << span;
        let (first, last) = (piece.start, piece.start + (keys - 1));
        let [low, high] = [first, last].map(|key| self.cdf(f64::from(value(key))));
        let bend = self.bend(first, last);
        let exact = bend > if span == 0 { 0.0 } else { BEND_MAX };
        let slope = (high - low) / f64::from(keys - 1);
        let mut before = piece.before;
        for (part, &count) in counts.iter().enumerate() {
            if count == 0 {
                continue;
            }
            let offset = (part as u32) << span;
            let ends = [offset, offset + ((1 << span) - 1)];
            let (ends, bend) = if exact {
                (ends.map(|offset| self.cdf(f64::from(value(piece.start + offset)))), 0.0)
            } else {
                (ends.map(|offset| low + slope * f64::from(offset)), bend)
            };
            let upper = self.bound(ends[0] - bend, ends[1] + bend, before, u64::from(count));
            if span > 0 && upper > self.best + SLACK {
                let (start, count) = (piece.start + offset, u64::from(count));
                parts.push((upper, Piece { start, before, count, likely: true }));
            }
            before += u64::from(count);
        }
    }

    /// Goes on with the parts that can still hold the supremum.
    pub(crate) fn go_on(&mut self, parts: Vec<(f64, Piece)>) {
        let limit = self.best + SLACK;
        self.open = parts.into_iter().filter(|(upper, _)| *upper > limit).map(|(_, piece)| piece).collect();
    }

    /// Looks at all values of a piece of 2^span keys. Within so narrow a piece Phi hardly bends, so most
    /// of it is told by counts of 64 parts.
    pub(crate) fn settle(&mut self, piece: Piece, keys: &[u32], span: u32) {
        const PARTS: u32 = 6;
        let narrow = span.saturating_sub(PARTS);
        let ends = [piece.start, piece.start + ((1 << span) - 1)].map(|key| self.cdf(f64::from(value(key))));
        let upper = self.bound(ends[0], ends[1], piece.before, piece.count);
        if upper <= self.best + SLACK {
            return;
        }
        let part_of = |key: u32| ((key - piece.start) >> narrow) as usize & ((1 << PARTS) - 1);
        let mut counts = [0u32; 1 << PARTS];
        for key in keys {
            counts[part_of(*key)] += 1;
        }
        let slope = (ends[1] - ends[0]) / f64::from(1u32 << PARTS);
        let bend = self.bend(piece.start, piece.start + ((1 << span) - 1));
        let upper = |search: &Self, part: usize, before: u64, after: u64| {
            let low = ends[0] + slope * part as f64;
            (search.share(after) - low).max(low + slope - search.share(before)) + bend
        };
        // The values of all parts that may hold a larger distance, sorted.
        let (mut wanted, mut before) = (0u64, piece.before);
        for (part, &count) in counts.iter().enumerate() {
            let after = before + u64::from(count);
            let open = count > 0 && upper(self, part, before, after) > self.best + SLACK;
            wanted |= u64::from(open) << part;
            before = after;
        }
        let mut inside: Vec<u32> =
            keys.iter().copied().filter(|&key| wanted >> part_of(key) & 1 == 1).collect();
        inside.sort_unstable();
        let (mut inside, mut before) = (&inside[..], piece.before);
        for (part, &count) in counts.iter().enumerate() {
            let after = before + u64::from(count);
            if wanted >> part & 1 == 1 {
                let (values, rest) = inside.split_at(count as usize);
                inside = rest;
                if upper(self, part, before, after) > self.best + SLACK {
                    self.settle_sorted(before, values);
                }
            }
            before = after;
        }
    }

    fn settle_sorted(&mut self, mut before: u64, keys: &[u32]) {
        for same in keys.chunk_by(|a, b| a == b) {
            let cdf = self.cdf(f64::from(value(same[0])));
            self.bound(cdf, cdf, before, same.len() as u64);
            before += same.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;

    /// Whatever the values of a cell are: D within it is below the bound that their mean gives, and that is below
    /// the one without.
    #[test]
    fn a_known_mean_bounds_the_distance() {
        let mut random = Random(14);
        for round in 0..2000 {
            let count = 1 + random.bits() % 5;
            let ends = [random.uniform(), 1.0 + random.uniform()];
            let place = |random: &mut Random| match random.bits() % 3 {
                0 => ends[0],
                1 => ends[1],
                _ => ends[0] + (ends[1] - ends[0]) * random.uniform(),
            };
            let mut values: Vec<f64> = (0..count).map(|_| place(&mut random)).collect();
            values.sort_unstable_by(f64::total_cmp);
            let mean = values.iter().sum::<f64>() / count as f64;
            let cell = Cell { lo: ends[0], hi: ends[1], mean: mean.clamp(ends[0], ends[1]), count };
            let (before, total) = (random.bits() % 20, 30);
            let (normal, best, open) = (Normal::new(), 0.0, Vec::new());
            let mut search = Search { normal, mean: 0.3, std: 1.3, total, best, open };
            let at = values.iter().enumerate().map(|(index, &value)| {
                let rank = before + index as u64;
                (search.cdf(value) - search.share(rank)).max(search.share(rank + 1) - search.cdf(value))
            });
            let most = at.fold(0.0, f64::max);
            let edges = ends.map(|end| search.cdf(end));
            let bound = search.balanced(&cell, edges, before);
            let bend = (cell.width() / search.std).powi(2) / 32.0;
            assert!(most <= bound + 1e-12, "round {round}: {values:?} {most} {bound}");
            assert!(bound <= search.bound(edges[0], edges[1], before, count) + bend + 1e-12, "round {round}");
        }
    }
}
