//! How far a matrix is from the size at which weight decay and learning hold each other.
//!
//! No checkpoint says what the weight decay is. Rows that no gradient reached do: they shrank by it and by nothing
//! else (`pure_decay_factor`). One such row anywhere, as of a token that never occurred, is enough for the model.

use super::change::Interval;
use super::rows::sides;
use crate::terms::{Family, MetricDef, Reason, SubjectKind, TensorReading, Tier, Unit};

/// This family's entries.
pub(super) const DEFS: &[MetricDef] = &[MetricDef {
    name: "equilibrium_ratio",
    family: Family::Change,
    subject: SubjectKind::Tensor,
    unit: Unit::One,
    tier: Tier::One,
    help: "rms over the size at which AdamW's steps and the weight decay balance, where rows that only shrank tell the decay",
    formula: "rms / sqrt(lr / (2 wd)); lr: mean of the interval; wd: -ln(median pure_decay_factor) / sum of the learning rate",
    source: "Kosson et al. 2024 (arXiv 2305.17212)",
    healthy: "moves towards a constant of the order of 1 within 1 / (lr wd) steps, which a short run never reaches",
    sick: "past its plateau and growing: no weight decay acts on this matrix; falling far below its siblings: too much of it",
    cost: "none beside pure_decay_factor",
    since: "0.1.0",
}];

const NAME: &str = DEFS[0].name;

/// Writes the family's value into every tensor, from what all of them have found.
pub(super) fn measure(tensors: &mut [TensorReading], interval: Option<&Interval>) {
    let size = interval.ok_or(Reason::NoPrevious).and_then(|interval| size(tensors, interval));
    for tensor in tensors {
        let rms = tensor.samples.get("rms").copied();
        let value = match (sides(&tensor.facts.shape), rms, &size) {
            (None, ..) => Err(Reason::NotMatrix),
            (_, None, _) => Err(Reason::TooFew { needs: 1 }),
            (_, _, Err(reason)) => Err(reason.clone()),
            (_, Some(rms), Ok(size)) => Ok(rms / size),
        };
        match value {
            Ok(value) if value.is_finite() => drop(tensor.samples.insert(NAME, value)),
            Ok(_) => drop(tensor.absent.insert(NAME, Reason::Overflow)),
            Err(reason) => drop(tensor.absent.insert(NAME, reason)),
        }
    }
}

/// Root mean square of a matrix in equilibrium.
fn size(tensors: &[TensorReading], interval: &Interval) -> Result<f64, Reason> {
    let no_rate = Reason::NotApplicable("the trainer logged no learning rate above 0");
    let lr_sum = interval.lr_sum.filter(|sum| *sum > 0.0).ok_or(no_rate)?;
    let mut factors: Vec<f64> =
        tensors.iter().filter_map(|tensor| tensor.samples.get("pure_decay_factor").copied()).collect();
    factors.sort_unstable_by(f64::total_cmp);
    let decay = factors.get(factors.len() / 2).map_or(0.0, |factor| -factor.ln() / lr_sum);
    if decay.is_finite() && decay > 0.0 {
        Ok((lr_sum / interval.steps as f64 / (2.0 * decay)).sqrt())
    } else {
        Err(Reason::NotApplicable("no row only shrank, so nothing tells the weight decay"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{InMemory, Random, weighed};
    use super::*;

    #[test]
    fn one_row_that_only_shrank_tells_the_decay() {
        let (rate, decay, steps) = (1e-3f64, 10.0, 10);
        let before = Random(3).normals(64 * 8, 0.5);
        let mut now: Vec<f32> = before.iter().map(|x| x + 0.01).collect();
        let factor = (1.0 - rate * decay).powi(steps) as f32;
        now[..8].iter_mut().zip(&before).for_each(|(now, before)| *now = before * factor);
        let (now, before) = (InMemory::f32(&[64, 8], &now), InMemory::f32(&[64, 8], &before));
        let got = weighed(&now, Some(&before), 1).tensors.remove(0);
        let want = got.samples["rms"] / (rate / (2.0 * decay)).sqrt();
        // (1 - x)^n is not exp(-n x): half of x = 0.01 in the decay, a quarter in its root.
        assert!((got.samples[NAME] / want - 1.0).abs() < 0.003, "{} {want}", got.samples[NAME]);
        assert_eq!(weighed(&now, None, 1).tensors[0].absent[NAME], Reason::NoPrevious);
    }
}
