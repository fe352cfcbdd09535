//! Laws of the spectrum's drift, its values where they are known, and what is said where there is none.

use std::sync::Mutex;

use faer::Mat;
use proptest::prelude::*;

use super::drift::{DRIFT, STEPS};
use super::tests::Memory as Checkpoint;
use crate::measure::kernels::noise::gaussian;
use crate::measure::kernels::spectrum::{shares, total_variation};
use crate::measure::{Past, Plan, Previous, remember, spectra_before, weigh};
use crate::terms::{
    Attempt, Memory, ReadingKey, Reason, Role, RunId, Sketches, Spectra, Spectrum, Step, TensorReading,
    TrainerState,
};

fn checkpoint(rows: usize, columns: usize, values: &[f64]) -> Checkpoint {
    let mut checkpoint = Checkpoint::default();
    checkpoint.push(Role::MlpUp, Some(0), &[rows as u64, columns as u64], values);
    checkpoint
}

/// The matrix now, with the one of 20 steps before.
fn weighed(now: &Checkpoint, before: Option<&Checkpoint>) -> TensorReading {
    let previous = before.map(|source| Previous { step: Step(10), source });
    let trainer = TrainerState { global_step: Some(30), ..TrainerState::default() };
    let plan = Plan { threads: 2, spectra_of_previous: true, ..Plan::default() };
    let mut weighed = weigh(now, &now.map(), previous, &trainer, &plan, &());
    assert_eq!(weighed.problems, []);
    weighed.tensors.remove(0)
}

fn drift(rows: usize, columns: usize, now: &[f64], before: &[f64]) -> f64 {
    let tensor = weighed(&checkpoint(rows, columns, now), Some(&checkpoint(rows, columns, before)));
    assert_eq!(tensor.samples.get(STEPS), Some(&20.0), "{:?}", tensor.absent);
    assert!(!tensor.absent.contains_key(DRIFT) && !tensor.absent.contains_key(STEPS));
    tensor.samples[DRIFT]
}

/// An orthogonal matrix from the left.
fn turned(rows: usize, columns: usize, values: &[f64]) -> Vec<f64> {
    let noise = gaussian(rows * rows, 77);
    let q = Mat::from_fn(rows, rows, |i, j| noise[i * rows + j]).qr().compute_Q();
    let turned = q * Mat::from_fn(rows, columns, |i, j| values[i * columns + j]);
    (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).map(|place| turned[place]).collect()
}

fn diagonal(n: usize, value: impl Fn(usize) -> f64) -> Vec<f64> {
    (0..n * n).map(|at| if at / n == at % n { value(at / n) } else { 0.0 }).collect()
}

/// What f32 leaves of a distance: twice what one side's rounding can do.
const ROUNDING: f64 = 1.2e-7;

#[test]
fn scaling_and_turning_are_no_drift() {
    for (rows, columns) in [(90, 70), (40, 150), (20, 30)] {
        let values = gaussian(rows * columns, 5);
        assert_eq!(drift(rows, columns, &values, &values), 0.0);
        let scaled: Vec<f64> = values.iter().map(|x| -3.7 * x).collect();
        assert!(drift(rows, columns, &scaled, &values) < ROUNDING);
        let turned = turned(rows, columns, &values);
        assert!(drift(rows, columns, &turned, &values) < ROUNDING);
        let other = gaussian(rows * columns, 6);
        assert_eq!(drift(rows, columns, &other, &values), drift(rows, columns, &values, &other));
    }
}

#[test]
fn drifts_that_are_known_come_out() {
    // Both ways to singular values: of the matrix itself, and of its Gram matrix.
    for n in [48, 80] {
        let (identity, one) = (diagonal(n, |_| 2.0), diagonal(n, |i| if i == 3 { 5.0 } else { 0.0 }));
        assert!((drift(n, n, &identity, &one) - (1.0 - 1.0 / n as f64)).abs() < ROUNDING);
        // Half of the directions die.
        let half = diagonal(n, |i| if i % 2 == 0 { 2.0 } else { 0.0 });
        assert!((drift(n, n, &half, &identity) - 0.5).abs() < ROUNDING);
    }
}

#[test]
fn two_draws_of_noise_are_about_one_over_the_short_side_apart() {
    for (n, seed) in [(64, 1), (128, 2), (256, 3)] {
        let apart = drift(n, n, &gaussian(n * n, seed), &gaussian(n * n, seed + 10)) * n as f64;
        assert!((0.4..1.6).contains(&apart), "{n}: {apart}");
    }
}

#[test]
fn what_cannot_be_compared_says_why() {
    let values = gaussian(30 * 40, 8);
    let now = checkpoint(30, 40, &values);
    let reason = |before: Option<&Checkpoint>| weighed(&now, before).absent[DRIFT].clone();
    assert_eq!(reason(None), Reason::NoPrevious);
    assert_eq!(reason(Some(&checkpoint(40, 30, &values))), Reason::NoPrevious);
    for bad in [0.0, f64::NAN] {
        let before = checkpoint(30, 40, &vec![bad; 30 * 40]);
        assert!(matches!(reason(Some(&before)), Reason::NotApplicable(_)), "{bad}");
        assert_eq!(weighed(&now, Some(&before)).absent[STEPS], reason(Some(&before)));
    }
    let zero = checkpoint(30, 40, &[0.0; 30 * 40]);
    assert_eq!(weighed(&zero, Some(&now)).absent[DRIFT], Reason::AllZero);
    assert!(weighed(&zero, Some(&now)).spectrum.is_empty());
}

/// A store of spectra that knows which readings were asked for.
#[derive(Default)]
struct Shelf {
    spectra: Vec<(ReadingKey, Spectra)>,
    asked: Mutex<Vec<u64>>,
}

impl Memory for Shelf {
    fn sketches(&self, _key: &ReadingKey) -> Option<std::sync::Arc<Sketches>> {
        None
    }

    fn spectra(&self, key: &ReadingKey) -> Option<Spectra> {
        self.asked.lock().unwrap().push(key.step.0);
        self.spectra.iter().find(|(of, _)| of == key).map(|(_, spectra)| spectra.clone())
    }
}

fn key(step: u64) -> ReadingKey {
    ReadingKey { run: RunId::new("r"), attempt: Attempt(0), step: Step(step) }
}

fn spectrum(step: u64, tensor: &TensorReading) -> Spectra {
    let shape = tensor.facts.shape.clone();
    let spectrum = Spectrum { step: Step(step), shape, shares: tensor.spectrum.clone() };
    [(tensor.facts.name.clone(), spectrum)].into()
}

/// Spectra are had in turns: the one before is some readings back, and the search ends with it.
#[test]
fn a_remembered_spectrum_is_as_good_as_the_file() {
    let (now, before) = (gaussian(40 * 60, 11), gaussian(40 * 60, 12));
    let (now, before) = (checkpoint(40, 60, &now), checkpoint(40, 60, &before));
    let direct = weighed(&now, Some(&before)).samples[DRIFT];
    let shelf = Shelf {
        spectra: vec![
            (key(50), Spectra::new()),
            (key(30), spectrum(30, &weighed(&before, None))),
            (key(20), spectrum(20, &weighed(&now, None))),
        ],
        ..Shelf::default()
    };
    let mut tensors = [weighed(&now, None)];
    let earlier = [key(50), key(40), key(30), key(20), key(10)];
    let past =
        Past { step: Step(60), spectra: spectra_before(&tensors, &earlier, &shelf), ..Past::default() };
    remember(&mut tensors, &past);
    assert_eq!(tensors[0].samples[DRIFT], direct);
    assert_eq!(tensors[0].samples[STEPS], 30.0);
    assert!(!tensors[0].absent.contains_key(DRIFT) && !tensors[0].absent.contains_key(STEPS));
    assert_eq!(*shelf.asked.lock().unwrap(), [50, 40, 30]);
}

#[test]
fn without_a_remembered_spectrum_the_reason_is_told() {
    let now = checkpoint(40, 60, &gaussian(40 * 60, 11));
    let reasons = |earlier: &[ReadingKey], shelf: &Shelf| {
        let mut tensors = [weighed(&now, None)];
        let spectra = spectra_before(&tensors, earlier, shelf);
        remember(&mut tensors, &Past { step: Step(60), spectra, ..Past::default() });
        assert!(!tensors[0].samples.contains_key(DRIFT));
        assert_eq!(tensors[0].absent[DRIFT], tensors[0].absent[STEPS]);
        tensors[0].absent[DRIFT].to_string()
    };
    assert_eq!(reasons(&[], &Shelf::default()), "no earlier checkpoint to compare with");
    let kept = "not applicable: no spectrum of it from an earlier checkpoint is kept";
    assert_eq!(reasons(&[key(50)], &Shelf::default()), kept);
    let mut other = spectrum(50, &weighed(&now, None));
    other.values_mut().for_each(|spectrum| spectrum.shape = vec![40, 61]);
    let shelf = Shelf { spectra: vec![(key(50), other)], ..Shelf::default() };
    assert_eq!(reasons(&[key(50)], &shelf), "not applicable: its shape changed since its last spectrum");
    // A matrix whose turn it is not keeps its own reason, and nothing is looked up for it.
    let mut waiting = [weighed(&checkpoint(40, 60, &[0.0; 2400]), None)];
    let shelf = Shelf::default();
    let past = Past { spectra: spectra_before(&waiting, &[key(50)], &shelf), ..Past::default() };
    remember(&mut waiting, &past);
    assert_eq!(waiting[0].absent[DRIFT], Reason::AllZero);
    assert!(shelf.asked.lock().unwrap().is_empty());
}

fn any_spectrum() -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(1e-9..1e9f64, 12).prop_map(|mut singular| {
        singular.sort_by(|a, b| b.total_cmp(a));
        singular
    })
}

proptest! {
    #[test]
    fn the_distance_is_a_metric_that_scaling_leaves(a in any_spectrum(), b in any_spectrum(), c in any_spectrum(), by in 1e-6..1e6f64) {
        let of = |singular: &[f64]| shares(singular).unwrap();
        let apart = |a: &[f64], b: &[f64]| total_variation(&of(a), &of(b)).unwrap();
        prop_assert_eq!(apart(&a, &a), 0.0);
        prop_assert_eq!(apart(&a, &b), apart(&b, &a));
        // Sorted, all begin with their largest: two of n places never share less than 1/n.
        prop_assert!((0.0..=1.0 - 1.0 / 12.0 + ROUNDING).contains(&apart(&a, &b)));
        prop_assert!(apart(&a, &c) <= apart(&a, &b) + apart(&b, &c) + 1e-12);
        let scaled: Vec<f64> = a.iter().map(|s| s * by).collect();
        prop_assert!(apart(&a, &scaled) < ROUNDING);
        let plain = |s: &[f64]| s.iter().sum::<f64>();
        let want = 0.5 * a.iter().zip(&b).map(|(x, y)| (x / plain(&a) - y / plain(&b)).abs()).sum::<f64>();
        prop_assert!((apart(&a, &b) - want).abs() <= 6e-8);
    }
}
