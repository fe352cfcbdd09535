//! Series of siblings side by side, and how far the newest value of each leaves what is usual for all.
//!
//! A threshold per series would cry wolf: a thousand tensors with thirty metrics over two hundred
//! checkpoints give thousands of excursions beyond six own deviations. So a value counts as unusual only
//! when it is beyond `margin` times the *worst* excursion that any sibling had in the window, and beyond an
//! effect that matters by itself. Checkpoints with a known fault are left out of the past.

use crate::terms::{Subject, TensorReading};

use super::drift::{self, Drift};
use super::view::View;

/// Points of the past that are looked at. Long enough to know a run's habits, short enough to follow it.
const WINDOW: usize = 32;
/// Values that make the usual level or pace of a series.
const USUAL: usize = 5;
/// Fewer values than this have no usual.
const USUAL_MIN: usize = 3;

/// How a series is expected to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// It stays where it was.
    Level,
    /// It goes on at its pace in learning-rate time.
    Rate,
}

/// Series of one metric over the window, the newest value last. NaN where there is no value, or none to be
/// trusted.
pub struct Panel {
    rows: Vec<Vec<f64>>,
    clock: Vec<f64>,
}

/// How far the newest values are off, series by series.
pub struct Deviations {
    /// Newest value minus what was expected; NaN where nothing could be expected.
    pub now: Vec<f64>,
    /// Largest deviation of any series at any earlier point of the window.
    pub worst: f64,
    /// Points of the past that had deviations.
    pub points: usize,
}

impl Deviations {
    /// Deviation of a series in units of what would be unusual: `effect`, or `margin` times the worst past
    /// deviation of all siblings, whichever is more.
    pub fn score(&self, series: usize, effect: f64, margin: f64) -> f64 {
        self.now[series] / effect.max(margin * self.worst)
    }
}

impl Panel {
    /// The metric of `tensors`, each value passed through `transform` with the length of its interval in
    /// learning-rate time. `change` says that the metric compares with the checkpoint before.
    pub fn of_tensors(
        view: &View<'_>,
        tensors: &[&TensorReading],
        metric: &'static str,
        change: bool,
        transform: impl Fn(f64, f64) -> f64,
    ) -> Self {
        let lines = tensors.iter().map(|tensor| {
            let now = tensor.samples.get(metric).copied().unwrap_or(f64::NAN);
            (view.past(tensor, metric), now, Some(&*tensor.facts.name))
        });
        Self::build(view, lines, change, transform)
    }

    /// The metric of other subjects.
    pub fn of_subjects(
        view: &View<'_>,
        subjects: &[(Subject, f64)],
        metric: &'static str,
        transform: impl Fn(f64, f64) -> f64,
    ) -> Self {
        let lines =
            subjects.iter().map(|(subject, now)| (view.history.column(subject, metric), *now, None::<&str>));
        Self::build(view, lines, false, transform)
    }

    fn build<'a>(
        view: &View<'_>,
        lines: impl Iterator<Item = (&'a [f32], f64, Option<&'a str>)>,
        change: bool,
        transform: impl Fn(f64, f64) -> f64,
    ) -> Self {
        let points = view.history.points().len();
        let first = points.saturating_sub(WINDOW);
        let pace = &view.pace;
        let rows = lines
            .map(|(past, now, name)| {
                let mut row: Vec<f64> = (first..points)
                    .map(|index| {
                        let value = past.get(index).copied().map_or(f64::NAN, f64::from);
                        let fit = view.trusted(index, name)
                            && !(change && index > 0 && !view.trusted(index - 1, name));
                        if fit { transform(value, pace.intervals[index]) } else { f64::NAN }
                    })
                    .collect();
                let fit = !(change && name.is_some_and(|name| view.previous_tainted(name)));
                row.push(if fit { transform(now, pace.now) } else { f64::NAN });
                row
            })
            .collect();
        let mut clock: Vec<f64> = pace.clock[first..].to_vec();
        clock.push(pace.clock_now);
        Self { rows, clock }
    }

    /// Takes away, point by point, the median over all series: what moves all of them is not one's fault.
    pub fn without_common_mode(mut self) -> Self {
        for point in 0..self.clock.len() {
            let middle = median(self.rows.iter().map(|row| row[point]));
            if let Some(middle) = middle {
                self.rows.iter_mut().for_each(|row| row[point] -= middle);
            }
        }
        self
    }

    /// The same where there are enough series for a median to mean anything.
    pub fn without_common_mode_if(self, enough: bool) -> Self {
        if enough { self.without_common_mode() } else { self }
    }

    /// The median over all series, as a panel of one series.
    pub fn common_mode(&self) -> Self {
        let row = (0..self.clock.len())
            .map(|point| median(self.rows.iter().map(|row| row[point])).unwrap_or(f64::NAN));
        Self { rows: vec![row.collect()], clock: self.clock.clone() }
    }

    /// Newest value of a series.
    pub fn newest(&self, series: usize) -> f64 {
        self.rows[series].last().copied().unwrap_or(f64::NAN)
    }

    /// Newest value minus the median of the past.
    pub fn above_usual(&self, series: usize) -> f64 {
        let Some((newest, past)) = self.rows[series].split_last() else { return f64::NAN };
        newest - median(past.iter().copied()).unwrap_or(f64::NAN)
    }

    /// Largest value of a series in the window.
    pub fn most(&self, series: usize) -> f64 {
        self.rows[series].iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Newest value minus the one before it that can be trusted.
    pub fn step(&self, series: usize) -> f64 {
        let (newest, past) = match self.rows[series].split_last() {
            Some((newest, past)) => (*newest, past),
            None => return f64::NAN,
        };
        past.iter().rev().find(|value| value.is_finite()).map_or(f64::NAN, |before| newest - before)
    }

    /// Newest value minus the one `back` trusted values before it.
    pub fn step_over(&self, series: usize, back: usize) -> f64 {
        let Some((newest, past)) = self.rows[series].split_last() else { return f64::NAN };
        let mut trusted = past.iter().rev().filter(|value| value.is_finite());
        trusted.nth(back.saturating_sub(1)).map_or(f64::NAN, |before| newest - before)
    }

    /// Newest value minus the largest of the `back` trusted values before it; none with fewer of them.
    pub fn rise_over(&self, series: usize, back: usize) -> Option<f64> {
        let (newest, past) = self.rows[series].split_last()?;
        let trusted: Vec<f64> =
            past.iter().rev().copied().filter(|value| value.is_finite()).take(back).collect();
        let largest = trusted.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (newest.is_finite() && trusted.len() == back).then_some(newest - largest)
    }

    /// How many times in a row, up to the newest one, a value was above the one before.
    pub fn rises(&self, series: usize) -> usize {
        self.rows[series].windows(2).rev().take_while(|pair| pair[1] > pair[0]).count()
    }

    /// How far the larger of the newest two values lies below the least of the `back` trusted values before them;
    /// none with fewer of them.
    pub fn fall_of_two(&self, series: usize, back: usize) -> Option<f64> {
        let (newest, past) = self.rows[series].split_last()?;
        let mut trusted = past.iter().rev().copied().filter(|value| value.is_finite());
        let before = trusted.next()?;
        let usual: Vec<f64> = trusted.take(back).collect();
        let least = usual.iter().copied().fold(f64::INFINITY, f64::min);
        (newest.is_finite() && usual.len() == back).then_some(newest.max(before) - least)
    }

    /// What has added up in each series, in one direction; see [`drift::cusum`].
    pub fn drifts(&self, direction: f64) -> Vec<Drift> {
        drift::cusum(&self.rows, &self.clock, direction)
    }

    /// How far each series is off.
    pub fn deviations(&self, habit: Habit) -> Deviations {
        let shortest = self.shortest_interval();
        let last = self.clock.len() - 1;
        let (mut now, mut worst, mut points) = (Vec::with_capacity(self.rows.len()), 0.0_f64, 0);
        let mut usual = Vec::with_capacity(USUAL);
        for row in &self.rows {
            let mut own_points = 0;
            for point in USUAL_MIN..last {
                let deviation = self.deviation(row, point, habit, shortest, &mut usual);
                if deviation.is_finite() {
                    worst = worst.max(deviation.abs());
                    own_points += 1;
                }
            }
            points = points.max(own_points);
            now.push(self.deviation(row, last, habit, shortest, &mut usual));
        }
        Deviations { now, worst, points }
    }

    /// Intervals much shorter than usual (the end of a decay) would turn rounding into speed.
    fn shortest_interval(&self) -> f64 {
        let lengths = self.clock.windows(2).map(|pair| pair[1] - pair[0]);
        0.1 * median(lengths).unwrap_or(0.0)
    }

    fn deviation(&self, row: &[f64], point: usize, habit: Habit, shortest: f64, usual: &mut Vec<f64>) -> f64 {
        usual.clear();
        let here = row[point];
        if !here.is_finite() {
            return f64::NAN;
        }
        let last = self.clock.len() - 1;
        let mut later: Option<(f64, f64)> = None;
        let mut base = None;
        let mut earliest = self.clock[point];
        let mut shorter = 0;
        for index in (0..point).rev().filter(|&index| row[index].is_finite()) {
            let (value, time) = (row[index], self.clock[index]);
            base.get_or_insert((value, time));
            earliest = time;
            match habit {
                Habit::Level => usual.push(value),
                Habit::Rate => {
                    if let Some((after, when)) = later.replace((value, time)) {
                        usual.push((after - value) / (when - time).max(shortest));
                        let newest = base.map_or(time, |(_, newest)| newest);
                        shorter += usize::from(2.0 * (when - time) < self.clock[point] - newest);
                    }
                }
            }
            if usual.len() == USUAL {
                break;
            }
        }
        let (Some((value, time)), true) = (base, usual.len() >= USUAL_MIN) else { return f64::NAN };
        let (middle, count) = (middle_of(usual), usual.len());
        match habit {
            Habit::Level => here - middle,
            Habit::Rate => {
                let (interval, learnt) = (self.clock[point] - time, time - earliest);
                let (moved, off) = (here - value, here - value - middle * interval);
                if point < last || 2 * shorter <= count {
                    return off;
                }
                // A pace that was learnt in intervals much shorter than this one, as before a restart of the schedule,
                // is no sure one: the value must have left its old place too, and counts by what is known.
                let least = if moved * off <= 0.0 { 0.0 } else { off.signum() * moved.abs().min(off.abs()) };
                least * (learnt / interval).min(1.0)
            }
        }
    }
}

/// Median of the finite values; none where there is none.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    (!values.is_empty()).then(|| middle_of(&mut values))
}

fn middle_of(values: &mut [f64]) -> f64 {
    let half = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    if odd {
        return *middle;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (lower + *middle) / 2.0
}
