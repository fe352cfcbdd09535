//! Going on, and going back: a resume and a restart from an older step are no faults.

use weighbridge::detect::{Settings, State, judge};
use weighbridge::terms::{Attempt, Finding, History, Severity, Step};

use super::synthetic::{Remembered, Series};

/// Judges checkpoints by their index and attempt, with a new history for every attempt as the store gives
/// it, and the state written and read between them.
fn alerts(series: &Series, order: &[(usize, u32)]) -> Vec<Finding> {
    let (mut history, mut state) = (History::new(History::POINTS_MAX), State::default());
    let memory = Remembered::default();
    let (mut all, mut attempt) = (Vec::new(), 0);
    for &(index, number) in order {
        let mut reading = series.reading(index);
        reading.key.attempt = Attempt(number);
        if number != attempt {
            attempt = number;
            history = History::new(History::POINTS_MAX);
            reading.previous = None;
            let compared = ["update", "cosine", "identical"];
            for tensor in &mut reading.tensors {
                tensor.samples.retain(|name, _| !compared.iter().any(|start| name.starts_with(start)));
            }
        }
        all.extend(judge(&history, &reading, &memory, &mut state, &Settings::default()));
        state = State::from_bytes(&state.to_bytes()).unwrap();
        memory.keep(&reading);
        history.push(&reading);
    }
    all.into_iter().filter(|finding| finding.severity >= Severity::Warning).collect()
}

#[test]
fn a_restart_from_an_older_step_is_no_fault() {
    let series = Series::default();
    let first = (0..16).map(|index| (index, 0));
    // The same weights again from the tenth checkpoint on: equal to what an older attempt had, bit for bit.
    let second = (9..24).map(|index| (index, 1));
    let found = alerts(&series, &first.chain(second).collect::<Vec<_>>());
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_resume_after_a_gap_is_no_fault() {
    let series = Series::default();
    let mut order: Vec<(usize, u32)> = (0..24).map(|index| (index, 0)).collect();
    order.remove(12);
    let found = alerts(&series, &order);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_new_attempt_closes_what_the_old_one_left_open() {
    let series = Series::default();
    let (mut history, mut state) = (History::new(History::POINTS_MAX), State::default());
    let memory = Remembered::default();
    let mut sick = series.reading(10);
    for tensor in &mut sick.tensors {
        tensor.samples.insert("nan_elements", 3.0);
    }
    for reading in (0..10).map(|index| series.reading(index)).chain([sick]) {
        judge(&history, &reading, &memory, &mut state, &Settings::default());
        history.push(&reading);
    }
    assert_eq!(state.open().len(), 1);
    let mut again = series.reading(8);
    again.key.attempt = Attempt(1);
    let history = History::new(History::POINTS_MAX);
    let changed = judge(&history, &again, &memory, &mut state, &Settings::default());
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].resolved_step, Some(Step(again.key.step.0)));
    assert!(state.open().is_empty());
}
