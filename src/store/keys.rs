//! Keys of the database: one letter for the kind, then numbers in big-endian, so that what is read
//! together lies together and in order.
//!
//! | key | value |
//! |---|---|
//! | `m` name | a fact about the store itself |
//! | `n` commit | manifest of that commit |
//! | `r` run's name | the run's number |
//! | `d` metric's name | the metric's number |
//! | `h` run attempt step | head of a reading |
//! | `c` run metric attempt step | one metric of a reading over all its subjects |
//! | `t` run hash | roster |
//! | `a` run hash | absences |
//! | `l` run tape line | piece of a trainer log that begins at that line |
//! | `f` run id | newest version of a finding |
//! | `j` run attempt | the judge's state |
//! | `o` target NUL key | what that receiver has taken |
//! | `k` run id | that somebody knows of a finding |
//! | `z` id | a silence |
//! | `e` id | what is expected of a run: an announcement |
//!
//! Sketches and quantiles are not in the database but in the journal, under the commit's number. The first
//! schema had them here, under `s` and `q` with run, attempt and step.

use crate::terms::{Attempt, Step};

pub const META: u8 = b'm';
pub const MANIFEST: u8 = b'n';
pub const RUN: u8 = b'r';
pub const METRIC: u8 = b'd';
pub const HEAD: u8 = b'h';
pub const COLUMN: u8 = b'c';
pub const ROSTER: u8 = b't';
pub const ABSENCES: u8 = b'a';
pub const TAPE: u8 = b'l';
pub const FINDING: u8 = b'f';
pub const JUDGE: u8 = b'j';
pub const OUTBOX: u8 = b'o';
pub const ACKNOWLEDGED: u8 = b'k';
pub const SILENCE: u8 = b'z';
pub const ANNOUNCED: u8 = b'e';
pub const SKETCHES: u8 = b's';
pub const QUANTILES: u8 = b'q';

/// A reading's place within the store: run number, attempt, step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub run: u32,
    pub attempt: Attempt,
    pub step: Step,
}

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind];
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub fn meta(name: &str) -> Vec<u8> {
    key(META, &[name.as_bytes()])
}

pub fn manifest(number: u64) -> Vec<u8> {
    key(MANIFEST, &[&number.to_be_bytes()])
}

pub fn run(name: &str) -> Vec<u8> {
    key(RUN, &[name.as_bytes()])
}

pub fn metric(name: &str) -> Vec<u8> {
    key(METRIC, &[name.as_bytes()])
}

/// Head of a reading; its sketches or quantiles in the first schema.
pub fn of_reading(kind: u8, place: Place) -> Vec<u8> {
    key(kind, &[&place.run.to_be_bytes(), &place.attempt.0.to_be_bytes(), &place.step.0.to_be_bytes()])
}

/// Everything that a receiver has taken begins so.
pub fn outbox(target: &str) -> Vec<u8> {
    key(OUTBOX, &[target.as_bytes(), &[0]])
}

pub fn column(metric: u32, place: Place) -> Vec<u8> {
    let prefix = column_prefix(place.run, metric);
    key(prefix[0], &[&prefix[1..], &place.attempt.0.to_be_bytes(), &place.step.0.to_be_bytes()])
}

pub fn column_prefix(run: u32, metric: u32) -> Vec<u8> {
    key(COLUMN, &[&run.to_be_bytes(), &metric.to_be_bytes()])
}

/// Roster or absences.
pub fn shared(kind: u8, run: u32, hash: u64) -> Vec<u8> {
    key(kind, &[&run.to_be_bytes(), &hash.to_be_bytes()])
}

pub fn tape(run: u32, tape: u32, from: u64) -> Vec<u8> {
    let prefix = tape_prefix(run, tape);
    key(prefix[0], &[&prefix[1..], &from.to_be_bytes()])
}

pub fn tape_prefix(run: u32, tape: u32) -> Vec<u8> {
    key(TAPE, &[&run.to_be_bytes(), &tape.to_be_bytes()])
}

pub fn of_run(kind: u8, run: u32) -> Vec<u8> {
    key(kind, &[&run.to_be_bytes()])
}

pub fn finding(run: u32, id: &str) -> Vec<u8> {
    key(FINDING, &[&run.to_be_bytes(), id.as_bytes()])
}

pub fn acknowledged(run: u32, id: &str) -> Vec<u8> {
    key(ACKNOWLEDGED, &[&run.to_be_bytes(), id.as_bytes()])
}

pub fn silence(id: &str) -> Vec<u8> {
    key(SILENCE, &[id.as_bytes()])
}

pub fn announced(id: &str) -> Vec<u8> {
    key(ANNOUNCED, &[id.as_bytes()])
}

pub fn judge(run: u32, attempt: Attempt) -> Vec<u8> {
    key(JUDGE, &[&run.to_be_bytes(), &attempt.0.to_be_bytes()])
}

/// The big-endian number at `from` of a key, where it is long enough.
pub fn u32_at(key: &[u8], from: usize) -> Option<u32> {
    Some(u32::from_be_bytes(key.get(from..from + 4)?.try_into().ok()?))
}

/// The big-endian number at `from` of a key, where it is long enough.
pub fn u64_at(key: &[u8], from: usize) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(from..from + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_sort_as_run_metric_attempt_step(left: (u32, u32, u32, u64), right: (u32, u32, u32, u64)) {
            let key = |(run, metric, attempt, step): (u32, u32, u32, u64)| {
                column(metric, Place { run, attempt: Attempt(attempt), step: Step(step) })
            };
            prop_assert_eq!(key(left).cmp(&key(right)), left.cmp(&right));
        }

        #[test]
        fn heads_sort_as_run_attempt_step(left: (u32, u32, u64), right: (u32, u32, u64)) {
            let key = |(run, attempt, step): (u32, u32, u64)| {
                of_reading(HEAD, Place { run, attempt: Attempt(attempt), step: Step(step) })
            };
            prop_assert_eq!(key(left).cmp(&key(right)), left.cmp(&right));
        }
    }
}
