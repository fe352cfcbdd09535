//! What kind of training a run is, and that nothing is said where nothing tells.

use weighbridge::detect::{RunKind, run_kind};
use weighbridge::terms::{Dtype, Reading, Role};

use super::synthetic::Series;

fn with(change: impl FnOnce(&mut Reading)) -> Option<RunKind> {
    let mut reading = Series::default().reading(9);
    change(&mut reading);
    run_kind(&reading)
}

#[test]
fn the_first_loss_tells_fresh_weights_from_trained_ones() {
    assert_eq!(with(|_| ()), Some(RunKind::Pretraining));
    let lower =
        |reading: &mut Reading| reading.trainer.log.iter_mut().for_each(|point| point.loss = Some(2.0));
    assert_eq!(with(lower), Some(RunKind::FineTuning));
    // Between the two, without a log, and where the log begins late, nothing tells.
    let between =
        |reading: &mut Reading| reading.trainer.log.iter_mut().for_each(|point| point.loss = Some(4.0));
    assert_eq!(with(between), None);
    assert_eq!(with(|reading| reading.trainer.log.clear()), None);
    assert_eq!(with(|reading| reading.trainer.log.retain(|point| point.step > 100)), None);
}

#[test]
fn adapters_are_told_whatever_the_loss() {
    let adapted = |reading: &mut Reading| reading.tensors[5].facts.meaning.role = Role::LoraB;
    assert_eq!(with(adapted), Some(RunKind::Adapters));
}

#[test]
fn tiny_rates_with_most_elements_standing_still_are_like_reinforcement_learning() {
    let tiny = |reading: &mut Reading, identical: f64, rate: f64| {
        for tensor in &mut reading.tensors {
            tensor.facts.dtype = Dtype::BF16;
            tensor.samples.insert("identical_ratio", identical);
        }
        reading.trainer.log.iter_mut().for_each(|point| point.learning_rate = Some(rate));
    };
    assert_eq!(with(|reading| tiny(reading, 0.9, 1e-6)), Some(RunKind::ReinforcementLike));
    // All of them equal is a frozen run, half of them a supervised one; and so is a larger rate.
    assert_eq!(with(|reading| tiny(reading, 1.0, 1e-6)), Some(RunKind::Pretraining));
    assert_eq!(with(|reading| tiny(reading, 0.5, 1e-6)), Some(RunKind::Pretraining));
    assert_eq!(with(|reading| tiny(reading, 0.9, 1e-4)), Some(RunKind::Pretraining));
}
