//! Which wide cells can still move a metric by more than its bound, and so are looked at again.

use super::cells::{Cell, Ranked, quantile_rank};
use super::lmoments::l_moments;
use super::precision::DISTINCT_MAX;
use super::shape::{MAD_TO_STD, OUTLIER_MADS, QUANTILES};
use super::tails::{hill_count, median_absolute_deviation, nearest};

/// Worst case of what the wide cells may do to the L-moment ratios; their bound is 1e-5 and more.
const L_SLACK: f64 = 8e-6;
/// Magnitudes from their 10 % to their 90 % quantile that span less than this (as a logarithm) are too
/// close together for a probability plot by wide cells.
const PLOT_SPAN_MIN: f64 = 0.05;

/// Marks the wide cells that must be split before [`super::shape::shape`] is within its bounds. D has its
/// own search, see [`super::ks::Search`].
pub(crate) fn suspects(ranked: &Ranked<'_>, mean: f64) -> Vec<bool> {
    let cells = ranked.cells();
    let mut marks = vec![false; cells.len()];
    if ranked.total() == 0 {
        return marks;
    }
    quantiles(ranked, &mut marks);
    deviation(ranked, &mut marks);
    tail(cells, &mut marks);
    spread(ranked, mean, &mut marks);
    coarse(ranked, &mut marks);
    format_ends(cells, &mut marks);
    for (mark, cell) in marks.iter_mut().zip(cells) {
        *mark &= cell.lo < cell.hi;
    }
    marks
}

/// Cells of the order statistics that quantiles interpolate between.
pub(crate) fn quantiles(ranked: &Ranked<'_>, marks: &mut [bool]) {
    let octiles = (1..8).map(|k| f64::from(k) / 8.0);
    for p in QUANTILES.iter().map(|(_, p)| *p).chain(octiles) {
        let (rank, share) = quantile_rank(p, ranked.total());
        marks[ranked.cell_of(rank)] = true;
        if share > 0.0 {
            marks[ranked.cell_of(rank + 1)] = true;
        }
    }
}

/// Cells at the median absolute deviation from the median, and at the limits of outliers.
///
/// Moving each value within its cell moves its distance from the median by at most its cell's width and
/// that of the median's cell; so does it move the order statistics of the distances.
fn deviation(ranked: &Ranked<'_>, marks: &mut [bool]) {
    let cells = ranked.cells();
    let median = ranked.quantile(0.5);
    let centre = cells[ranked.cell_of((ranked.total() - 1) / 2)].width();
    let near = nearest(cells, median, (ranked.total() - 1) / 2);
    let reach = 2.0 * (centre + near[0].width.max(near[1].width));
    let (low, high) = (near[0].distance - reach, near[1].distance + reach);
    mark_between(cells, median - high, median - low, marks);
    mark_between(cells, median + low, median + high, marks);
    let limit = OUTLIER_MADS * MAD_TO_STD * median_absolute_deviation(cells, ranked.total(), median);
    let reach = reach * OUTLIER_MADS * MAD_TO_STD;
    for side in [median - limit, median + limit] {
        mark_between(cells, side - reach, side + reach, marks);
    }
}

/// Cells of the magnitude that Hill's estimator divides by. Cells of both signs lie on one grid of
/// magnitudes, so counting inwards from both ends finds the place on that grid.
fn tail(cells: &[Cell], marks: &mut [bool]) {
    let total: u64 = cells.iter().filter(|cell| cell.mean != 0.0).map(|cell| cell.count).sum();
    let k = hill_count(total);
    let (mut left, mut right, mut seen) = (0, cells.len(), 0);
    while seen <= k && left < right {
        let (low, high) = (&cells[left], &cells[right - 1]);
        let from_left = -low.mean > high.mean;
        let cell = if from_left { low } else { high };
        if from_left {
            left += 1
        } else {
            right -= 1
        }
        seen += cell.count;
        if seen > k {
            let (near, far) = (cell.lo.abs().min(cell.hi.abs()), cell.lo.abs().max(cell.hi.abs()));
            mark_between(cells, near, far, marks);
            mark_between(cells, -far, -near, marks);
        }
    }
}

fn mark_between(cells: &[Cell], low: f64, high: f64, marks: &mut [bool]) {
    let from = cells.partition_point(|cell| cell.hi < low);
    let until = cells.partition_point(|cell| cell.lo <= high);
    for mark in marks.iter_mut().take(until).skip(from) {
        *mark = true;
    }
}

/// Cells that blur L-moments and the probability plot too much.
///
/// A wide cell's mean is known exactly. So a cell that holds the share `p` of all values errs in
/// `sum x P(u)` by at most `p * width / 2` times the change of the weight `P` over the cell, `p |P'(u)|`
/// and what its curvature adds.
fn spread(ranked: &Ranked<'_>, mean: f64, marks: &mut [bool]) {
    if narrow(ranked) {
        return marks.fill(true);
    }
    let (cells, n) = (ranked.cells(), ranked.total() as f64);
    // What a cell errs by, but for what does not depend on it.
    let error = |index: usize, cell: &Cell, tau4: f64| {
        let p = cell.count as f64 / n;
        let u = (ranked.before(index) as f64 + cell.count as f64 / 2.0) / n;
        let fourth = (60.0 * u * u - 60.0 * u + 12.0).abs() + 60.0 * p;
        p * p * cell.width() / 2.0 * (fourth + 2.0 * tau4)
    };
    // Nearly always all is well even where tau4 is as large as it can be.
    let most: f64 = cells.iter().enumerate().map(|(index, cell)| error(index, cell, 1.0)).sum();
    if most <= L_SLACK * l2_of_means(ranked, mean) {
        return;
    }
    let l = l_moments(cells, mean);
    if l.l2 <= 0.0 {
        return marks.fill(true);
    }
    let tau4 = (l.l4 / l.l2).abs();
    let errors = cells.iter().enumerate().map(|(index, cell)| (error(index, cell, tau4) / l.l2, index));
    let mut errors: Vec<(f64, usize)> = errors.filter(|(error, _)| *error > 0.0).collect();
    let mut total: f64 = errors.iter().map(|(error, _)| error).sum();
    if total > L_SLACK {
        errors.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    }
    for (error, index) in errors {
        if total <= L_SLACK {
            break;
        }
        marks[index] = true;
        total -= error;
    }
}

/// The second L-moment of values that all lie at their cell's mean: no more than that of the values.
fn l2_of_means(ranked: &Ranked<'_>, mean: f64) -> f64 {
    let n = ranked.total() as f64;
    let term = |(index, cell): (usize, &Cell)| {
        let count = cell.count as f64;
        count * (cell.mean - mean) * (2.0 * ranked.before(index) as f64 + count - n)
    };
    ranked.cells().iter().enumerate().map(term).sum::<f64>() / (n * (n - 1.0))
}

/// Cells that are wide against their own magnitude, as those of subnormal values are: their mean's
/// logarithm is no mean logarithm. So few that they move no slope by 1e-4 may stay, and so may those of the
/// smallest tenth of the magnitudes, which are not plotted.
fn coarse(ranked: &Ranked<'_>, marks: &mut [bool]) {
    let plotted = smallest_plotted(ranked.cells());
    let wide = |cell: &Cell| {
        let magnitude = cell.mean.abs();
        cell.width() > magnitude / 512.0 && magnitude >= plotted
    };
    let count: u64 = ranked.cells().iter().filter(|cell| wide(cell)).map(|cell| cell.count).sum();
    if count as f64 > 1e-5 * ranked.total() as f64 {
        for (mark, cell) in marks.iter_mut().zip(ranked.cells()) {
            *mark |= wide(cell);
        }
    }
}

/// A bound for the magnitudes below which a tenth of those that are not zero lie.
fn smallest_plotted(cells: &[Cell]) -> f64 {
    let (mut left, mut right) =
        (cells.partition_point(|cell| cell.mean < 0.0), cells.partition_point(|cell| cell.mean <= 0.0));
    let mut open: u64 = cells[..left].iter().chain(&cells[right..]).map(|cell| cell.count).sum::<u64>() / 10;
    loop {
        let below = left.checked_sub(1).map(|index| &cells[index]);
        let (cell, goes_left) = match (below, cells.get(right)) {
            (Some(low), Some(high)) if -low.mean <= high.mean => (low, true),
            (Some(low), None) => (low, true),
            (_, Some(high)) => (high, false),
            (None, None) => return 0.0,
        };
        if cell.count > open {
            return cell.mean.abs();
        }
        open -= cell.count;
        if goes_left { left -= 1 } else { right += 1 }
    }
}

/// Cells of the largest magnitudes of f32 and f64 and of their smallest, which are counted; and all where
/// there are so few that distinct values are counted.
fn format_ends(cells: &[Cell], marks: &mut [bool]) {
    if cells.len() < DISTINCT_MAX {
        marks.fill(true);
    }
    let ends = [f64::from(f32::MAX), f64::MAX];
    let at_end = |cell: &Cell| [cell.hi, -cell.lo].iter().any(|end| ends.contains(end));
    for (mark, cell) in marks.iter_mut().zip(cells) {
        *mark |= at_end(cell) || cell.lo == 0.0 || cell.hi == 0.0;
    }
}

/// True when the middle 80 % of the magnitudes lie too close together.
fn narrow(ranked: &Ranked<'_>) -> bool {
    let ends = [ranked.quantile(0.05), ranked.quantile(0.95)];
    ends[0] * ends[1] > 0.0 && (ends[1] / ends[0]).ln().abs() < PLOT_SPAN_MIN
}
