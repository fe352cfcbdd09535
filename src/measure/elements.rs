//! Location and scale: moments of the finite elements.

use super::sheet::Sheet;
use crate::terms::{Family, MetricDef, MetricName, Reason, SubjectKind, Tier, Unit};

const ELEMENTS: MetricDef = MetricDef {
    name: "",
    family: Family::Elements,
    subject: SubjectKind::Tensor,
    unit: Unit::Weight,
    tier: Tier::One,
    help: "",
    formula: "",
    source: "classical moments; Pébay 2008 for pivoted sums",
    healthy: "",
    sick: "",
    cost: "4 multiply-adds an element, in the one pass",
    since: "0.1.0",
};

/// This family's entries.
pub(super) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "mean",
        help: "Mean of the finite elements",
        formula: "sum w / n",
        healthy: "within 5 std / sqrt(n) of 0 for matrices; near 1 for norm gains (PyTorch initialisations, small GPT-2, Llama, BERT runs)",
        sick: "the mean of a whole matrix moves away: a bias leaks into it, or the gradient lost its balance",
        ..ELEMENTS
    },
    MetricDef {
        name: "std",
        help: "Population standard deviation of the finite elements",
        formula: "sqrt(sum (w - mean)^2 / n)",
        healthy: "0.02 at a GPT-2 initialisation, drifting smoothly with the learning rate after that",
        sick: "more than 10 % up between two checkpoints late in training; falling like exp(-lr wd t): weight decay without gradient",
        ..ELEMENTS
    },
    MetricDef {
        name: "rms",
        help: "Root mean square of the finite elements",
        formula: "sqrt(sum w^2 / n)",
        healthy: "under AdamW of the order of sqrt(lr / (2 wd)) at equilibrium (Kosson et al. 2024)",
        sick: "growth without a plateau: weight decay off or learning rate too high; shrinking embeddings unsettle early layers",
        ..ELEMENTS
    },
    MetricDef {
        name: "min",
        help: "Smallest finite element",
        formula: "min w",
        healthy: "a few std below the mean, moving slowly",
        sick: "a jump in one checkpoint: a flipped bit or an overflow",
        ..ELEMENTS
    },
    MetricDef {
        name: "max",
        help: "Largest finite element",
        formula: "max w",
        healthy: "a few std above the mean, moving slowly",
        sick: "a jump in one checkpoint: a flipped bit or an overflow",
        ..ELEMENTS
    },
    MetricDef {
        name: "abs_max",
        help: "Largest magnitude among the finite elements",
        formula: "max |w|",
        healthy: "4.9 std for a normal of a million elements, 5 to 50 std in trained matrices; one to six persistent larger weights are normal in early down projections of large models (arXiv 2411.07191)",
        sick: "beyond 1e30, or twofold in one checkpoint: a flipped exponent bit",
        ..ELEMENTS
    },
    MetricDef {
        name: "skewness",
        unit: Unit::One,
        help: "Skewness of the finite elements, biased",
        formula: "mean z^3 with z = (w - mean) / std",
        healthy: "0 within 0.1 for matrices at initialisation and later",
        sick: "a jump: few elements on one side",
        ..ELEMENTS
    },
    MetricDef {
        name: "excess_kurtosis",
        unit: Unit::One,
        help: "Excess kurtosis of the finite elements, biased, 0 for a normal",
        formula: "mean z^4 - 3 with z = (w - mean) / std",
        healthy: "0 at a normal initialisation, rising early in training, slow after that; t with 7 degrees of freedom has 2.1",
        sick: "a sudden jump comes from few elements (spike, bit flip, outlier channel); read l_kurtosis for the body",
        source: "Fisher's g2; robust alternatives: Kim and White 2004",
        ..ELEMENTS
    },
];

/// Needs at least one finite element.
const PLAIN: &[MetricName] = &["mean", "std", "rms", "min", "max", "abs_max"];
/// Need spread as well.
const HIGHER: &[MetricName] = &["skewness", "excess_kurtosis"];

/// Fewest elements for metrics of shape: below, order statistics say nothing.
pub(super) const SHAPE_ELEMENTS_MIN: u64 = 8;

/// Moments of the finite elements.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    /// How many there are.
    pub(crate) count: u64,
    /// Mean.
    pub(crate) mean: f64,
    /// Population standard deviation; exactly 0 when all are equal.
    pub(crate) std: f64,
    /// Root mean square.
    pub(crate) rms: f64,
    /// Smallest.
    pub(crate) min: f64,
    /// Largest.
    pub(crate) max: f64,
    /// Biased skewness; 0 where std is 0.
    pub(crate) skewness: f64,
    /// Biased excess kurtosis; 0 where std is 0.
    pub(crate) excess_kurtosis: f64,
}

impl Moments {
    /// Why metrics of shape cannot be had, if so.
    pub(crate) fn no_shape(&self) -> Option<Reason> {
        if self.count < SHAPE_ELEMENTS_MIN {
            Some(Reason::TooFew { needs: SHAPE_ELEMENTS_MIN })
        } else if self.min == self.max {
            Some(Reason::Constant)
        } else if !self.std.is_finite() || self.std == 0.0 {
            Some(Reason::Overflow)
        } else {
            None
        }
    }
}

/// Writes the family's values.
pub(super) fn measure(moments: &Moments, sheet: &mut Sheet) {
    if moments.count == 0 {
        sheet.lack_all(PLAIN, &Reason::TooFew { needs: 1 });
        sheet.lack_all(HIGHER, &Reason::TooFew { needs: SHAPE_ELEMENTS_MIN });
        return;
    }
    sheet.put("mean", moments.mean);
    sheet.put("std", moments.std);
    sheet.put("rms", moments.rms);
    sheet.put("min", moments.min);
    sheet.put("max", moments.max);
    sheet.put("abs_max", moments.max.max(-moments.min));
    if let Some(reason) = moments.no_shape() {
        sheet.lack_all(HIGHER, &reason);
        return;
    }
    sheet.put("skewness", moments.skewness);
    sheet.put("excess_kurtosis", moments.excess_kurtosis);
}
