//! What can be told of two checkpoints from their sketches alone: how far apart they are, and how surely.
//!
//! A sketch of `m` numbers keeps inner products: those of two sketches estimate those of the tensors. The
//! estimate of a squared norm has relative standard deviation `sqrt(2 / m)`, so that of a distance
//! `1 / sqrt(2 m)`; a correlation `r` has `(1 - r²) / sqrt(m)`. A tensor no longer than the sketch is kept
//! whole, and its distance is exact.

mod events;
mod path;
mod places;

use std::sync::Arc;

use serde::Serialize;

pub use events::{Event, Oddity, Point, events};
pub use path::{Trajectory, trajectory};
pub use places::{Nearest, Swap, TensorAge, ages, copies, nearest, siblings, swaps};

use super::{Sketch, Sketches};

/// Relative rounding of the stored numbers: a distance below this share of the norms cannot be told from 0.
pub const ROUNDING: f64 = 1.2e-7;

/// How far apart two checkpoints are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Distance {
    /// Euclidean distance over all tensors that both have.
    pub distance: f64,
    /// Distance over the norm of the first.
    pub relative: f64,
    /// Cosine of the angle between them.
    pub cosine: f64,
    /// Standard error of `distance`; 0 where every tensor is kept whole.
    pub standard_error: f64,
    /// Standard error of `cosine`.
    pub cosine_standard_error: f64,
    /// The same for each tensor, in the order of names.
    pub tensors: Vec<TensorDistance>,
    /// Tensors that only one has, or whose sketches do not compare (other length or recipe).
    pub not_compared: Vec<Arc<str>>,
}

/// How far apart two versions of one tensor are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorDistance {
    /// Its name.
    pub tensor: Arc<str>,
    /// Euclidean distance.
    pub distance: f64,
    /// Distance over the norm of the first version; 0 where both are 0.
    pub relative: f64,
    /// Cosine of the angle between them; 1 where they are equal.
    pub cosine: f64,
    /// Standard error of `distance`; 0 where the tensor is kept whole.
    pub standard_error: f64,
    /// Standard error of `cosine`.
    pub cosine_standard_error: f64,
}

/// Inner products of two versions of a tensor, as far as their sketches tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Products {
    before: f64,
    after: f64,
    both: f64,
    difference: f64,
    /// Numbers in the sketch; infinite where the tensor is kept whole.
    length: f64,
}

impl Products {
    /// Of two sketches of the same recipe and length; none where they do not compare.
    fn of(before: &Sketch, after: &Sketch) -> Option<Self> {
        let comparable = before.version == after.version
            && before.exact == after.exact
            && before.values.len() == after.values.len();
        if !comparable {
            return None;
        }
        let length = if before.exact { f64::INFINITY } else { before.values.len() as f64 };
        let mut products = Self { length, ..Self::default() };
        for (&before, &after) in before.values.iter().zip(&after.values) {
            let (before, after) = (f64::from(before), f64::from(after));
            // A tensor kept whole may hold NaN or Inf: those are counted elsewhere, not spread.
            if before.is_finite() && after.is_finite() {
                products.before += before * before;
                products.after += after * after;
                products.both += before * after;
                products.difference += (after - before) * (after - before);
            }
        }
        Some(products)
    }

    /// Square of the distance below which rounding is all there is.
    fn rounding(&self) -> f64 {
        ROUNDING * ROUNDING * (self.before + self.after)
    }

    fn cosine(&self) -> f64 {
        if self.difference == 0.0 {
            return 1.0;
        }
        let norms = (self.before * self.after).sqrt();
        if norms > 0.0 { (self.both / norms).clamp(-1.0, 1.0) } else { 0.0 }
    }

    fn relative(&self) -> f64 {
        relative(self.difference, self.before)
    }
}

fn relative(difference: f64, before: f64) -> f64 {
    match (difference > 0.0, before > 0.0) {
        (false, _) => 0.0,
        (true, true) => (difference / before).sqrt(),
        (true, false) => f64::INFINITY,
    }
}

/// Distance and cosine of two checkpoints, in all and tensor by tensor.
pub fn distance(before: &Sketches, after: &Sketches) -> Distance {
    let mut tensors = Vec::new();
    let mut not_compared: Vec<Arc<str>> =
        after.keys().filter(|name| !before.contains_key(*name)).cloned().collect();
    let mut total = Products::default();
    // Variance of the squared distance, and of the inner product in units of the norms.
    let (mut variance, mut weights, mut weights_squared) = (0.0, 0.0, 0.0);
    for (name, first) in before {
        let Some(products) = after.get(name).and_then(|second| Products::of(first, second)) else {
            not_compared.push(name.clone());
            continue;
        };
        tensors.push(one(name.clone(), &products));
        total.before += products.before;
        total.after += products.after;
        total.both += products.both;
        total.difference += products.difference;
        if products.length.is_finite() {
            let square = products.difference * products.difference;
            variance += 2.0 * square / products.length + products.rounding().powi(2);
        }
        let norms = (products.before * products.after).sqrt();
        weights += norms;
        weights_squared += norms * norms / products.length;
    }
    let distance = total.difference.sqrt();
    let cosine = total.cosine();
    Distance {
        distance,
        relative: total.relative(),
        cosine,
        standard_error: if distance > 0.0 { variance.sqrt() / (2.0 * distance) } else { 0.0 },
        cosine_standard_error: if weights > 0.0 {
            (1.0 - cosine * cosine) * weights_squared.sqrt() / weights
        } else {
            0.0
        },
        tensors,
        not_compared,
    }
}

fn one(tensor: Arc<str>, products: &Products) -> TensorDistance {
    let distance = products.difference.sqrt();
    let cosine = products.cosine();
    let spread = distance / (2.0 * products.length).sqrt();
    TensorDistance {
        tensor,
        distance,
        relative: products.relative(),
        cosine,
        standard_error: if products.length.is_finite() {
            spread.hypot(products.rounding().sqrt())
        } else {
            0.0
        },
        cosine_standard_error: (1.0 - cosine * cosine) / products.length.sqrt(),
    }
}

#[cfg(test)]
mod tests;
