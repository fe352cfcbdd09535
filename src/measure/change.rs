//! What one checkpoint did to the tensor since the one before.
//!
//! The update is a more sensitive place than the value: of single flipped bits in a 16-bit weight, a look
//! at the values finds one in ten, a look at the update most.

use super::plan::Previous;
use super::sheet::Sheet;
use crate::terms::{
    Dtype, Family, LogPoint, MetricDef, Reason, Step, SubjectKind, TensorInfo, Tier, TrainerState, Unit,
};

const CHANGE: MetricDef = MetricDef {
    name: "",
    family: Family::Change,
    subject: SubjectKind::Tensor,
    unit: Unit::One,
    tier: Tier::One,
    help: "",
    formula: "",
    source: "",
    healthy: "",
    sick: "",
    cost: "the previous checkpoint is read beside this one",
    since: "0.1.0",
};

/// This family's entries.
pub(super) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "update_ratio",
        help: "Norm of the change since the previous checkpoint over the norm before",
        formula: "||w - w'|| / ||w'|| over the elements that are finite in both",
        source: "CS231n notes on update-to-weight ratios",
        healthy: "1e-3 to 1e-1 between checkpoints of small runs, falling with the learning rate",
        sick: "near 1 or above: replaced, swapped or initialised again; 0 with a learning rate above 0: frozen",
        ..CHANGE
    },
    MetricDef {
        name: "update_ratio_per_step",
        help: "update_ratio divided by the steps between the two checkpoints",
        formula: "||w - w'|| / ||w'|| / steps",
        source: "CS231n notes on update-to-weight ratios",
        healthy: "about 1e-3 early, falling with the learning rate",
        sick: "1e-2 or more: learning rate too high; 1e-6 or less with a learning rate above 0: not training",
        ..CHANGE
    },
    MetricDef {
        name: "cosine_to_previous",
        help: "Cosine between the tensor now and before",
        formula: "<w, w'> / (||w|| ||w'||) over the elements that are finite in both",
        source: "Singh et al. 2025 (arXiv 2403.07379)",
        healthy: "above 0.9 after warm-up, approaching 1",
        sick: "near 0: another tensor stands here (swap, initialised again, other run's file)",
        ..CHANGE
    },
    MetricDef {
        name: "identical_ratio",
        unit: Unit::Ratio,
        help: "Share of the elements whose bits did not change",
        formula: "mean [bits(w) = bits(w')], all NaN counting as one",
        source: "arXiv 2505.11711 for reinforcement learning; Zamirai et al. 2020 for bf16",
        healthy: "near 0 in f32 training; 0.02 to 0.9 in bf16 exports, falling with the distance in steps; 0.7-0.95 in reinforcement fine-tuning",
        sick: "1 with a learning rate above 0: frozen; flat with growing distance in bf16: updates are rounded away",
        ..CHANGE
    },
    MetricDef {
        name: "update_rms",
        unit: Unit::Weight,
        help: "Root mean square of the change since the previous checkpoint",
        formula: "sqrt(sum (w - w')^2 / n)",
        source: "Kingma and Ba 2015: Adam moves each weight by about the learning rate a step",
        healthy: "0.2 lr steps^0.5 to 0.2 lr steps^1 under Adam",
        sick: "a jump that the learning rate does not explain",
        ..CHANGE
    },
    MetricDef {
        name: "update_abs_max",
        unit: Unit::Weight,
        help: "Largest change of a single element since the previous checkpoint",
        formula: "max |w - w'|",
        source: "Kingma and Ba 2015",
        healthy: "3 to 15 update_rms",
        sick: "hundreds of update_rms: a flipped bit",
        ..CHANGE
    },
    MetricDef {
        name: "update_excess_kurtosis",
        help: "Excess kurtosis of the change, 0 for a normal",
        formula: "m4 / m2^2 - 3 of w - w' about its mean",
        source: "sign descent at Adam's first step: Bernstein et al. 2018",
        healthy: "0 to 10",
        sick: "near -2: every element moved by the same amount, as in Adam's first step: optimizer state was lost; thousands: single elements jumped",
        ..CHANGE
    },
    MetricDef {
        name: "update_spike_elements",
        unit: Unit::Count,
        help: "Elements whose change is more than 30 times the rms change",
        formula: "count of |w - w'| > 30 rms(w - w')",
        source: "silent data corruption: arXiv 2605.04213",
        healthy: "0 in dense training; rows of rare tokens in embeddings",
        sick: "one or a few: a flipped bit; a row or a tile full: an accelerator fault",
        cost: "a second look at both tensors, only where the largest change is that large",
        ..CHANGE
    },
    MetricDef {
        name: "update_spike_rows",
        unit: Unit::Count,
        help: "Rows that hold the elements counted by update_spike_elements",
        formula: "count of distinct rows (last axis) with a spike",
        source: "silent data corruption: arXiv 2605.04213",
        healthy: "0",
        sick: "1 row with many spikes: a damaged row; as many rows as spikes: scattered flips; a run of rows: a tile",
        cost: "none beside update_spike_elements",
        ..CHANGE
    },
    MetricDef {
        name: "update_rms_per_lr_time",
        help: "Root mean square of the change over the sum of the learning rates in between",
        formula: "rms(w - w') / sum lr",
        source: "displacement per unit of learning-rate time",
        healthy: "flat through warm-up and decay, because the schedule is divided out; 0.02-0.3 under Adam",
        sick: "a step that the schedule does not explain; above 1: not what Adam does",
        ..CHANGE
    },
    MetricDef {
        name: "displacement_ratio",
        help: "Root mean square change over that of a random walk of Adam steps at the logged learning rate",
        formula: "rms(w - w') / (sqrt((1 - b1) / (1 + b1)) sqrt(sum lr^2)), b1 = 0.9",
        source: "update rms of Adam: Su 2024, Moonlight (arXiv 2502.16982)",
        healthy: "0.3 to 5 sqrt(steps) under Adam and AdamW; below it under SGD",
        sick: "below 0.1: frozen, stalled or clipped to nothing; far above sqrt(steps): instability or a wrong learning rate",
        ..CHANGE
    },
    MetricDef {
        name: "impossible_update_elements",
        unit: Unit::Count,
        help: "Elements that moved further than Adam can move them at the logged learning rates",
        formula: "count of |w - w'| > sum lr (3.17 + 0.1 |w'|) + steps ulp(w') / 2, with 3.17 >= (1 - b1) / sqrt(1 - b2) at 0.9 and 0.999",
        source: "Kingma and Ba 2015, section 2.1",
        healthy: "0 under Adam and AdamW with weight decay up to 0.1; means nothing under SGD, Muon or LAMB",
        sick: "above 0 where it was 0: the optimizer did not make this: corruption, swap, initialised again, other run's file",
        ..CHANGE
    },
    MetricDef {
        name: "frozen_rows",
        unit: Unit::Count,
        help: "Rows whose bits did not change at all",
        formula: "count of rows with identical_ratio 1",
        source: "never-updated tokens: Land and Bartolo 2024 (arXiv 2405.05417)",
        healthy: "padding and reserved tokens in embeddings; 0 elsewhere",
        sick: "whole ranges of an embedding: tokens never seen; rows in feed forward: dead units without weight decay",
        ..CHANGE
    },
    MetricDef {
        name: "pure_decay_rows",
        unit: Unit::Count,
        help: "Rows whose only change is one factor below 1: weight decay without any gradient",
        formula: "count of rows with w = (1 - a) w' + e, a > 0, ||e|| <= 0.1 a ||w'||",
        source: "decoupled weight decay: Loshchilov and Hutter 2019",
        healthy: "0, or the never-used tokens of an embedding",
        sick: "rising in feed forward or heads: units die; the factor tells the true lr wd",
        ..CHANGE
    },
    MetricDef {
        name: "pure_decay_factor",
        help: "Median factor by which the rows of pure_decay_rows shrank",
        formula: "median (1 - a) over those rows",
        source: "decoupled weight decay: Loshchilov and Hutter 2019",
        healthy: "prod (1 - lr wd) over the steps in between",
        sick: "differs from the configured lr wd",
        ..CHANGE
    },
];

/// A change of more than so many times the rms is a spike.
pub(super) const SPIKE_RMS: f64 = 30.0;

/// Sums over the elements of one row, or of a piece of it, that are finite in both checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RowChange {
    /// Elements whose bits are equal.
    pub(crate) identical: u64,
    /// Elements.
    pub(crate) elements: u64,
    /// Sum of squares before.
    pub(crate) before: f64,
    /// Sum of squares of the change.
    pub(crate) square: f64,
    /// Sum of change times value before.
    pub(crate) cross: f64,
}

impl RowChange {
    pub(crate) fn add(&mut self, other: &RowChange) {
        self.identical += other.identical;
        self.elements += other.elements;
        self.before += other.before;
        self.square += other.square;
        self.cross += other.cross;
    }

    /// How much the row shrank, if shrinking explains 99 % of its change's energy.
    fn pure_decay(&self) -> Option<f64> {
        let shrink = -self.cross / self.before;
        (shrink > 0.0 && self.square * self.before <= 1.01 * self.cross * self.cross).then_some(1.0 - shrink)
    }
}

/// Sums over a tensor, or a piece of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    /// Over all rows.
    pub(crate) all: RowChange,
    /// Elements that are finite in both.
    pub(crate) finite: u64,
    /// Sum of the change and of its third and fourth power.
    pub(crate) sums: [f64; 3],
    /// Largest change.
    pub(crate) abs_max: f64,
    /// Elements beyond what Adam can do.
    pub(crate) impossible: u64,
    /// Rows that did not change.
    pub(crate) frozen_rows: u64,
    /// Factors of the rows that only shrank.
    pub(crate) decay: Vec<f64>,
    /// Elements that are spikes, and rows that hold them.
    pub(crate) spikes: (u64, u64),
}

impl Change {
    /// Closes a row whose sums are complete.
    pub(crate) fn close_row(&mut self, row: &RowChange) {
        self.all.add(row);
        if row.elements > 0 && row.identical == row.elements {
            self.frozen_rows += 1;
        } else if let Some(factor) = row.pure_decay() {
            self.decay.push(factor);
        }
    }

    /// Adds the rows that follow.
    pub(crate) fn merge(&mut self, more: Change) {
        self.all.add(&more.all);
        self.finite += more.finite;
        self.sums.iter_mut().zip(more.sums).for_each(|(sum, more)| *sum += more);
        self.abs_max = self.abs_max.max(more.abs_max);
        self.impossible += more.impossible;
        self.frozen_rows += more.frozen_rows;
        self.decay.extend(more.decay);
        self.spikes.0 += more.spikes.0;
        self.spikes.1 += more.spikes.1;
    }

    /// Root mean square of the change.
    pub(crate) fn rms(&self) -> f64 {
        if self.finite == 0 { 0.0 } else { (self.all.square / self.finite as f64).sqrt() }
    }

    fn excess_kurtosis(&self) -> f64 {
        let n = self.finite as f64;
        let mean = self.sums[0] / n;
        let [s2, s3, s4] = [self.all.square / n, self.sums[1] / n, self.sums[2] / n];
        let m2 = s2 - mean * mean;
        let m4 = s4 - 4.0 * mean * s3 + 6.0 * mean * mean * s2 - 3.0 * mean.powi(4);
        m4 / (m2 * m2) - 3.0
    }
}

/// What the trainer's log says about the time between two checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Interval {
    /// Steps from the earlier to the later one; 0 where it does not lie earlier.
    pub(crate) steps: u64,
    /// Sum of the learning rates, where logged.
    pub(crate) lr_sum: Option<f64>,
    /// Sum of their squares.
    pub(crate) lr_square_sum: Option<f64>,
}

impl Interval {
    /// Reads the log between the two steps. The rate is taken as linear between two logged points and as
    /// constant beyond the outermost.
    pub(crate) fn new(previous: &Previous<'_>, trainer: &TrainerState) -> Self {
        let Some(now) = trainer.global_step.or_else(|| trainer.log.last().map(|point| point.step)) else {
            return Self::default();
        };
        let Step(from) = previous.step;
        let steps = now.saturating_sub(from);
        let mut rates: Vec<(u64, f64)> = trainer
            .log
            .iter()
            .filter_map(|LogPoint { step, learning_rate, .. }| Some((*step, (*learning_rate)?)))
            .filter(|(_, rate)| rate.is_finite())
            .collect();
        rates.sort_by_key(|(step, _)| *step);
        if steps == 0 || rates.is_empty() || steps > STEPS_MAX {
            return Self { steps, ..Self::default() };
        }
        let (mut sum, mut square) = (0.0, 0.0);
        for step in from + 1..=now {
            let rate = rate_at(&rates, step);
            sum += rate;
            square += rate * rate;
        }
        Self { steps, lr_sum: Some(sum), lr_square_sum: Some(square) }
    }

    /// Furthest that Adam moves an element of value `before` in this time.
    pub(crate) fn reach(&self, dtype: Dtype) -> Option<Reach> {
        let lr_sum = self.lr_sum.filter(|sum| *sum > 0.0)?;
        let ulp = match dtype {
            Dtype::BF16 => 2f64.powi(-8),
            Dtype::F16 => 2f64.powi(-11),
            Dtype::F32 => 2f64.powi(-24),
            Dtype::F64 => 2f64.powi(-53),
            _ => return None,
        };
        Some(Reach { fixed: lr_sum * ADAM_STEP_MAX, relative: lr_sum * DECAY_MAX + self.steps as f64 * ulp })
    }
}

/// Longest interval whose learning rates are added step by step.
const STEPS_MAX: u64 = 10_000_000;
/// Adam's largest step in learning rates: (1 - 0.9) / sqrt(1 - 0.999), rounded up.
const ADAM_STEP_MAX: f64 = 3.17;
/// Weight decay that is taken for possible.
const DECAY_MAX: f64 = 0.1;

/// `|w - w'| <= fixed + relative |w'|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reach {
    pub(crate) fixed: f64,
    pub(crate) relative: f64,
}

impl Reach {
    /// True where a change of that value leads further.
    #[inline(always)]
    pub(crate) fn is_exceeded(&self, change: f64, before: f64) -> bool {
        change.abs() > self.fixed + self.relative * before.abs()
    }
}

fn rate_at(rates: &[(u64, f64)], step: u64) -> f64 {
    let after = rates.partition_point(|(at, _)| *at < step);
    match (after.checked_sub(1).and_then(|i| rates.get(i)), rates.get(after)) {
        (Some(&(a, x)), Some(&(b, y))) => x + (y - x) * (step - a) as f64 / (b - a) as f64,
        (Some(&(_, x)), None) | (None, Some(&(_, x))) => x,
        (None, None) => 0.0,
    }
}

/// Writes that none of the family's metrics can be had.
pub(super) fn lack(reason: &Reason, sheet: &mut Sheet) {
    for def in DEFS {
        sheet.lack(def.name, reason.clone());
    }
}

/// Writes the family's values.
pub(super) fn measure(
    info: &TensorInfo,
    change: &mut Change,
    interval: &Interval,
    matrix: bool,
    sheet: &mut Sheet,
) {
    lack(&Reason::TooFew { needs: 1 }, sheet);
    let all = info.elements();
    if all == 0 {
        return;
    }
    let put = |sheet: &mut Sheet, name, value: Result<f64, Reason>| {
        sheet.absent.remove(name);
        sheet.put_or(name, value);
    };
    let finite = |value: f64| if change.finite > 0 { Ok(value) } else { Err(Reason::TooFew { needs: 1 }) };
    let RowChange { before, square, cross, .. } = change.all;
    let now = before + 2.0 * cross + square;
    let ratio = if before > 0.0 { Ok((square / before).sqrt()) } else { Err(Reason::AllZero) };
    put(sheet, "update_ratio", ratio.clone());
    put(sheet, "identical_ratio", Ok(change.all.identical as f64 / all as f64));
    let cosine = if before > 0.0 && now > 0.0 {
        Ok(((before + cross) / (before.sqrt() * now.sqrt())).clamp(-1.0, 1.0))
    } else {
        Err(Reason::AllZero)
    };
    put(sheet, "cosine_to_previous", cosine);
    let rms = change.rms();
    put(sheet, "update_rms", finite(rms));
    put(sheet, "update_abs_max", finite(change.abs_max));
    put(sheet, "update_spike_elements", finite(change.spikes.0 as f64));
    put(sheet, "update_spike_rows", finite(change.spikes.1 as f64));
    let kurtosis = if rms == 0.0 { Err(Reason::Constant) } else { finite(change.excess_kurtosis()) };
    put(sheet, "update_excess_kurtosis", kurtosis);
    let no_step =
        Reason::NotApplicable("the trainer's state names no later step than the previous checkpoint's");
    let per_step =
        if interval.steps > 0 { ratio.map(|ratio| ratio / interval.steps as f64) } else { Err(no_step) };
    put(sheet, "update_ratio_per_step", per_step);
    let no_rate = Reason::NotApplicable("the trainer logged no learning rate above 0");
    let positive = |sum: Option<f64>| sum.filter(|sum| *sum > 0.0).ok_or(no_rate.clone());
    put(sheet, "update_rms_per_lr_time", positive(interval.lr_sum).map(|sum| rms / sum));
    let expected = positive(interval.lr_square_sum).map(|square| (0.1f64 / 1.9).sqrt() * square.sqrt());
    put(sheet, "displacement_ratio", expected.map(|expected| rms / expected));
    let reach = interval.reach(info.dtype).ok_or(no_rate.clone());
    put(sheet, "impossible_update_elements", reach.map(|_| change.impossible as f64));
    let rows = |count: usize| if matrix { Ok(count as f64) } else { Err(Reason::NotMatrix) };
    put(sheet, "frozen_rows", rows(change.frozen_rows as usize));
    put(sheet, "pure_decay_rows", rows(change.decay.len()));
    change.decay.sort_unstable_by(f64::total_cmp);
    let middle = change.decay.get(change.decay.len() / 2).copied();
    let none = if matrix { Reason::NotApplicable("no row only shrank") } else { Reason::NotMatrix };
    put(sheet, "pure_decay_factor", middle.ok_or(none));
}

/// Compares one row, or a piece of it: values as numpy would convert them.
pub(crate) fn compare_row(
    now: &[f64],
    before: &[f64],
    reach: Option<Reach>,
    change: &mut Change,
) -> RowChange {
    let mut row = RowChange { elements: now.len() as u64, ..RowChange::default() };
    for (&now, &before) in now.iter().zip(before) {
        let same = now.to_bits() == before.to_bits() || (now.is_nan() && before.is_nan());
        row.identical += u64::from(same);
        if !now.is_finite() || !before.is_finite() {
            continue;
        }
        let d = now - before;
        change.finite += 1;
        change.abs_max = change.abs_max.max(d.abs());
        row.before += before * before;
        row.square += d * d;
        row.cross += d * before;
        change.sums[0] += d;
        change.sums[1] += d * d * d;
        change.sums[2] += (d * d) * (d * d);
        if let Some(reach) = reach {
            change.impossible += u64::from(reach.is_exceeded(d, before));
        }
    }
    row
}

impl Change {
    /// Counts the spikes of one row: changes above `limit`.
    pub(crate) fn count_spikes(&mut self, now: &[f64], before: &[f64], limit: f64) {
        let spikes = now.iter().zip(before).filter(|(now, before)| {
            let d = (*now - *before).abs();
            d.is_finite() && d > limit
        });
        let spikes = spikes.count() as u64;
        self.spikes.0 += spikes;
        self.spikes.1 += u64::from(spikes > 0);
    }
}
