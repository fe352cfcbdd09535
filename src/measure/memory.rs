//! What a tensor has become since checkpoints whose files may be gone, from their sketches and spectra.
//!
//! Where it began, and whether it still goes the way it went: a cosine each. The sketches of three readings are
//! all it takes, so these cost nothing beside them and go on when rotation has deleted everything else.

use std::sync::Arc;

use super::matrices::drift;
use super::sheet::Sheet;
use crate::terms::{
    Family, MetricDef, MetricName, Reason, Sketch, Sketches, Spectra, Step, SubjectKind, TensorReading, Tier,
    Unit,
};

const MEMORY: MetricDef = MetricDef {
    name: "",
    family: Family::Change,
    subject: SubjectKind::Tensor,
    unit: Unit::One,
    tier: Tier::One,
    help: "",
    formula: "",
    source: "Singh et al. 2025 (arXiv 2403.07379); sketches: Kane and Nelson 2012",
    healthy: "",
    sick: "",
    cost: "three sketches of 1024 numbers",
    since: "0.1.0",
};

const TO_FIRST: MetricName = "cosine_to_first";
const OF_UPDATES: MetricName = "update_cosine";

/// This family's entries.
pub(super) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: TO_FIRST,
        help: "Cosine between the tensor now and in the run's first reading, from sketches",
        formula: "<S w, S w0> / (||S w|| ||S w0||); exact up to 1024 elements, else with a standard error of up to 0.03",
        healthy: "falls slowly and ever more slowly from 1",
        sick: "a sudden fall to near 0: the tensor was replaced, swapped or initialised again",
        ..MEMORY
    },
    MetricDef {
        name: OF_UPDATES,
        help: "Cosine between the last two changes of the tensor, from sketches",
        formula: "<S (w - w'), S (w' - w'')> / product of their norms; exact up to 1024 elements, else with a standard error of up to 0.03",
        healthy: "above 0: training goes on the way it went; near 0 where noise rules",
        sick: "below 0 for long: it oscillates, the learning rate is too high",
        ..MEMORY
    },
];

/// What earlier readings left that a reading is compared with; none where it was never had.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Sketches of the run's first reading.
    pub first: Option<Arc<Sketches>>,
    /// Of the reading before this one.
    pub previous: Option<Arc<Sketches>>,
    /// Of the reading before that.
    pub before_previous: Option<Arc<Sketches>>,
    /// Step of the reading itself.
    pub step: Step,
    /// See [`super::spectra_before`].
    pub spectra: Option<Spectra>,
}

/// Writes the family's values into the tensors of a reading that is about to be judged.
pub fn remember(tensors: &mut [TensorReading], past: &Past) {
    for tensor in tensors {
        drift::remember(tensor, past.step, past.spectra.as_ref());
        let of = |sketches: &'_ Option<Arc<Sketches>>| {
            sketches.as_ref().and_then(|sketches| sketches.get(&tensor.facts.name).cloned())
        };
        let (first, previous, before) = (of(&past.first), of(&past.previous), of(&past.before_previous));
        let now = tensor.sketch.as_ref();
        let mut sheet = Sheet::default();
        sheet.put_or(TO_FIRST, to_first(now, first.as_ref()));
        sheet.put_or(OF_UPDATES, of_updates(now, previous.as_ref(), before.as_ref()));
        for def in DEFS {
            tensor.absent.remove(def.name);
        }
        tensor.samples.extend(sheet.samples);
        tensor.absent.extend(sheet.absent);
    }
}

fn to_first(now: Option<&Sketch>, first: Option<&Sketch>) -> Result<f64, Reason> {
    let compared = now.zip(first).and_then(|(now, first)| first.compare(now)).ok_or(Reason::NoPrevious)?;
    compared.cosine().ok_or(Reason::AllZero)
}

fn of_updates(
    now: Option<&Sketch>,
    previous: Option<&Sketch>,
    before: Option<&Sketch>,
) -> Result<f64, Reason> {
    let (Some(now), Some(previous), Some(before)) = (now, previous, before) else {
        return Err(Reason::NoPrevious);
    };
    // That all of them compare, and what their numbers' rounding hides.
    let compared = previous.compare(now).zip(before.compare(previous)).ok_or(Reason::NoPrevious)?;
    if [compared.0, compared.1].iter().any(|pair| pair.relative().unwrap_or(0.0) < MOVED_MIN) {
        return Err(Reason::NotApplicable("it hardly moved in one of the two intervals"));
    }
    let (mut product, mut squares) = (0.0, [0.0, 0.0]);
    for ((&now, &previous), &before) in now.values.iter().zip(&previous.values).zip(&before.values) {
        let [now, previous, before] = [now, previous, before].map(f64::from);
        let (last, earlier) = (now - previous, previous - before);
        product += last * earlier;
        squares[0] += last * last;
        squares[1] += earlier * earlier;
    }
    Ok((product / (squares[0] * squares[1]).sqrt()).clamp(-1.0, 1.0))
}

/// Change over norm below which the f32 numbers of a sketch hold less than two digits of the change.
const MOVED_MIN: f64 = 1e-5;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::testing::{InMemory, Random, weighed};
    use super::*;

    /// A reading of a tensor, and its sketches.
    fn read(values: &[f32]) -> (TensorReading, Arc<Sketches>) {
        let reading =
            weighed(&InMemory::f32(&[values.len() as u64 / 64, 64], values), None, 1).tensors.remove(0);
        let sketch = reading.sketch.clone().expect("a sketch");
        (reading.clone(), Arc::new(BTreeMap::from([(Arc::clone(&reading.facts.name), sketch)])))
    }

    fn cosine(a: &[f32], b: &[f32]) -> f64 {
        let dot =
            |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    /// Small tensors are remembered whole, so their cosines are exact; those of large ones have their error.
    #[test]
    fn cosines_are_those_of_the_tensors() {
        // Sketches of 256 numbers here: a standard error of 0.05 of the larger one.
        for (len, bound) in [(256, 1e-6), (64 * 1024, 0.2)] {
            let mut random = Random(7);
            let start = random.normals(len, 1.0);
            let way = random.normals(len, 0.01);
            let step = |from: &[f32], noise: &[f32]| -> Vec<f32> {
                from.iter().zip(&way).zip(noise).map(|((x, way), noise)| x + way + noise).collect()
            };
            let before = step(&start, &random.normals(len, 0.01));
            let previous = step(&before, &random.normals(len, 0.01));
            let now = step(&previous, &random.normals(len, 0.01));
            let (mut reading, _) = read(&now);
            assert_eq!(reading.absent[TO_FIRST], Reason::NoPrevious);
            let past = Past {
                first: Some(read(&start).1),
                previous: Some(read(&previous).1),
                before_previous: Some(read(&before).1),
                ..Past::default()
            };
            remember(std::slice::from_mut(&mut reading), &past);
            let change = |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
            let want = cosine(&change(&now, &previous), &change(&previous, &before));
            assert!(
                (reading.samples[OF_UPDATES] - want).abs() < bound,
                "{} {want}",
                reading.samples[OF_UPDATES]
            );
            assert!((reading.samples[TO_FIRST] - cosine(&now, &start)).abs() < bound);
            assert!(!reading.absent.contains_key(OF_UPDATES));
        }
    }

    #[test]
    fn what_stands_still_has_no_direction() {
        let values = Random(8).normals(512, 1.0);
        let (mut reading, same) = read(&values);
        let (first, previous) = (Some(Arc::clone(&same)), Some(Arc::clone(&same)));
        let past = Past { first, previous, ..Past::default() };
        remember(std::slice::from_mut(&mut reading), &past);
        assert_eq!(reading.absent[OF_UPDATES], Reason::NoPrevious);
        remember(std::slice::from_mut(&mut reading), &Past { before_previous: Some(same), ..past });
        assert!(matches!(reading.absent[OF_UPDATES], Reason::NotApplicable(_)));
        assert_eq!(reading.samples[TO_FIRST], 1.0);
    }
}
