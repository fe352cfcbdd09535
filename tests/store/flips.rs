//! One flipped bit, or a stretch of rubbish, at a random place of a random file of the store. Whatever it hits: no
//! panic reaches the caller, no value is wrong, and no reading is missing unless it was said which one.
//!
//! How many places is set by `WEIGHBRIDGE_FLIPS`; the tally is printed.

use std::fs;
use std::path::{Path, PathBuf};

use weighbridge::store::{Damage, Error, Store};
use weighbridge::terms::{Attempt, Catalog, Reading, ReadingKey, RunId, Subject, TensorReading};

use super::make::{Numbers, finding, key, model_reading, open, settings, with_spectra};

const FLIPS: u64 = 60;
const STRETCHES: u64 = 30;
/// Longer than a chunk of a record, shorter than a record.
const STRETCH_BYTES: u64 = 3000;
const METRICS: [&str; 4] = ["elements", "mean", "std", "ks_statistic"];
const READINGS: u64 = 20;

fn reading_key(index: u64) -> ReadingKey {
    key("r", 0, index * 100)
}

fn reading(index: u64) -> Reading {
    // An odd step for every second reading, so that all tensors have their turn.
    let mut reading = model_reading("r", index * 100, 12, &METRICS, 96);
    reading.key.step.0 = index;
    reading = with_spectra(reading);
    reading.key = reading_key(index);
    reading
}

fn fill(dir: &Path) {
    let store = open(dir);
    for index in 1..=READINGS {
        let findings =
            if index % 5 == 0 { vec![finding("r", index * 100, &format!("f{index}"))] } else { Vec::new() };
        store.commit(&reading(index), &findings, format!("state {index}").as_bytes()).unwrap();
    }
}

/// Every file of the store but the lock, which holds nothing.
pub fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if !path.ends_with("lock") {
            found.push(path);
        }
    }
    found.sort();
}

/// Copies a directory.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &to) } else { fs::copy(&path, &to).map(drop).unwrap() }
    }
}

/// What came of all places.
#[derive(Debug, Default)]
struct Tally {
    places: u64,
    /// Places whose damage was said, at opening or by `verify`; the others are bytes that nothing rests on.
    told: u64,
    /// Readings that came back whole, to the bit.
    whole: u64,
    /// Readings without their sketches, quantiles or spectra, said by name.
    without_bulk: u64,
    /// Readings that are gone, said by name or by the number of their commit.
    lost: u64,
    /// Places after which all readings were whole, and stayed so through `repair`.
    places_whole: u64,
}

/// Damages a store at random places, one at a time, and holds each to what is promised.
#[allow(clippy::print_stdout)]
fn damage_at_random(places: u64, damage: impl Fn(&mut [u8], &mut Numbers)) -> Tally {
    let origin = tempfile::tempdir().unwrap();
    fill(origin.path());
    let mut paths = Vec::new();
    files(origin.path(), &mut paths);
    let sizes: Vec<u64> = paths.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    let mut numbers = Numbers(places);
    let mut tally = Tally::default();
    for round in 0..places {
        // Two thirds by bytes; one third by file, or the small files would hardly ever be hit.
        let (file, at) = if round % 3 < 2 {
            let mut at = numbers.next() % sizes.iter().sum::<u64>();
            let mut file = 0;
            while at >= sizes[file] {
                at -= sizes[file];
                file += 1;
            }
            (file, at)
        } else {
            let file = numbers.next() as usize % paths.len();
            (file, numbers.next() % sizes[file].max(1))
        };
        if sizes[file] == 0 {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        copy(origin.path(), dir.path());
        let path = dir.path().join(paths[file].strip_prefix(origin.path()).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes[at as usize..], &mut numbers);
        fs::write(&path, bytes).unwrap();
        let place = format!("{} byte {at}", path.strip_prefix(dir.path()).unwrap().display());
        check(dir.path(), &place, &mut tally);
    }
    println!("{tally:?}");
    assert!(tally.places > places / 2);
    tally
}

/// How many places are tried: so many, or as many as the environment asks for.
fn places(usual: u64) -> u64 {
    std::env::var("WEIGHBRIDGE_FLIPS").ok().and_then(|places| places.parse().ok()).unwrap_or(usual)
}

#[test]
fn no_flipped_bit_goes_unsaid() {
    let tally = damage_at_random(places(FLIPS), |bytes, numbers| bytes[0] ^= 1 << (numbers.next() % 8));
    assert_eq!(tally.places_whole, tally.places, "parity brings back what one bit takes: {tally:?}");
}

/// More than parity can mend: now readings do lose something, and each of them must be named.
#[test]
fn no_damaged_stretch_goes_unsaid() {
    let tally = damage_at_random(places(STRETCHES), |bytes, numbers| {
        let length = (STRETCH_BYTES as usize).min(bytes.len());
        bytes[..length].iter_mut().for_each(|byte| *byte = numbers.next() as u8);
    });
    assert!(tally.without_bulk > 0, "nothing was lost, so nothing was tested: {tally:?}");
}

/// What became of one reading.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Whole,
    WithoutBulk,
    Lost,
}

fn check(dir: &Path, place: &str, tally: &mut Tally) {
    let store =
        Store::open(dir, &Catalog::new([]), &settings()).unwrap_or_else(|error| panic!("{place}: {error}"));
    let fates: Vec<Fate> = (1..=READINGS).map(|index| fate(&store, index, place)).collect();
    check_series(&store, &fates, place);
    let ids: Vec<String> = store.findings(None).unwrap().into_iter().map(|finding| finding.id.0).collect();
    assert_eq!(ids, ["f5", "f10", "f15", "f20"], "{place}");
    let state = store.judge_state(&RunId::new("r"), Attempt(0)).unwrap();
    assert_eq!(state.as_deref(), Some(&b"state 20"[..]), "{place}");
    // The store goes on, whatever was hit.
    store.commit(&reading(READINGS + 1), &[], b"on").unwrap();
    let told = !store.damage().is_empty() || !store.verify().unwrap().damage.is_empty();
    let count = |fate| fates.iter().filter(|&&found| found == fate).count() as u64;
    assert!(told || count(Fate::Whole) == READINGS, "{place}: {fates:?}, and nothing is said");
    let repair = store.repair().unwrap();
    let after = store.verify().unwrap();
    assert!(after.damage.is_empty(), "{place}: still damaged after repair: {:?}", after.damage);
    drop(store);
    let again = open(dir);
    assert!(again.damage().is_empty(), "{place}: {:?}", again.damage());
    for (index, fate) in (1..).zip(&fates) {
        let found = again.reading(&reading_key(index)).unwrap();
        let is_right = match fate {
            Fate::Whole => found == Some(reading(index)),
            Fate::WithoutBulk => found.is_some_and(|found| is_left(found, index)),
            Fate::Lost => found.is_none(),
        };
        assert!(is_right, "{place}: step {index}00, {fate:?}: not so after repair");
        let written_off = repair.lost.iter().any(|damage| names(damage, index));
        assert_eq!(written_off, *fate != Fate::Whole, "{place}: step {index}, {fate:?}: {:?}", repair.lost);
    }
    tally.places += 1;
    tally.told += u64::from(told);
    tally.whole += count(Fate::Whole);
    tally.without_bulk += count(Fate::WithoutBulk);
    tally.lost += count(Fate::Lost);
    tally.places_whole += u64::from(count(Fate::Whole) == READINGS);
}

/// True where a reading is as it was committed, but for sketches, quantiles or spectra that are gone as a whole.
fn is_left(found: Reading, index: u64) -> bool {
    let expected = reading(index);
    let mut rest = expected.clone();
    let pairs = || found.tensors.iter().zip(&expected.tensors);
    let sketches = pairs().all(|(left, right)| left.sketch == right.sketch);
    let quantiles = pairs().all(|(left, right)| left.quantiles == right.quantiles);
    let spectra = pairs().all(|(left, right)| left.spectrum == right.spectrum);
    for tensor in &mut rest.tensors {
        if !spectra {
            tensor.spectrum = Vec::new();
        }
        if !sketches {
            tensor.sketch = None;
        }
        if !quantiles {
            tensor.quantiles = Vec::new();
        }
    }
    found == rest && !(sketches && quantiles && spectra)
}

/// True where the damage names this reading: by run and step, or by its commit's number, of which reading 7 has 7.
fn names(damage: &Damage, index: u64) -> bool {
    let key = reading_key(index);
    let numbers: Vec<u64> = damage.detail.split(' ').filter_map(|word| word.parse().ok()).collect();
    let by_number = match (damage.detail.split(' ').next(), numbers.as_slice()) {
        (Some("commit"), [number, ..]) => *number == index,
        (Some("commits"), [first, last, ..]) => (*first..=*last).contains(&index),
        _ => false,
    };
    !damage.mended && (damage.key.as_ref() == Some(&key) || damage.key.is_none() && by_number)
}

/// What became of a reading. Whatever is missing must have been said, of this very reading.
fn fate(store: &Store, index: u64, place: &str) -> Fate {
    let (expected, said) = (reading(index), store.damage());
    let key = &expected.key;
    let fate = match store.reading(key) {
        Ok(Some(found)) => {
            assert!(found == expected, "{place}: a wrong value in {key}");
            Fate::Whole
        }
        Ok(None) => {
            let named = said.iter().any(|damage| names(damage, index));
            assert!(named, "{place}: step {} is missing unsaid: {said:?}", key.step);
            Fate::Lost
        }
        Err(Error::Lost { what, .. }) => {
            assert!(what.ends_with(&key.to_string()), "{place}: {what} does not name {key}");
            let left = store.reading_without_bulk(key).unwrap().unwrap();
            assert!(is_left(left, index), "{place}: a wrong value beside the lost part of {key}");
            Fate::WithoutBulk
        }
        Err(other) => panic!("{place}: {other}"),
    };
    check_sketches(store, &expected, fate, place);
    check_spectra(store, &expected, fate, place);
    fate
}

/// The sketches by themselves: those that were committed, or an error that names their reading.
fn check_sketches(store: &Store, expected: &Reading, fate: Fate, place: &str) {
    match store.sketches_of(&expected.key) {
        Ok(Some(found)) => {
            assert_eq!(found.len(), expected.tensors.len(), "{place}: {}", expected.key);
            for (name, sketch) in found.iter() {
                let of_tensor = expected.tensor(name).and_then(|tensor| tensor.sketch.as_ref());
                assert_eq!(Some(sketch), of_tensor, "{place}: a wrong sketch");
            }
        }
        Ok(None) => assert_eq!(fate, Fate::Lost, "{place}: sketches of {} are missing unsaid", expected.key),
        Err(Error::Lost { what, .. }) => {
            assert_eq!(fate, Fate::WithoutBulk, "{place}: {what}");
            assert!(what.contains(&expected.key.to_string()), "{place}: {what} does not name its reading");
        }
        Err(other) => panic!("{place}: {other}"),
    }
}

/// The spectra by themselves, likewise.
fn check_spectra(store: &Store, expected: &Reading, fate: Fate, place: &str) {
    match store.spectra_of(&expected.key) {
        Ok(Some(found)) => {
            let with = expected.tensors.iter().filter(|tensor| !tensor.spectrum.is_empty());
            assert_eq!(found.len(), with.clone().count(), "{place}: {}", expected.key);
            let same = |tensor: &TensorReading| {
                found.get(&tensor.facts.name).is_some_and(|found| found.shares == tensor.spectrum)
            };
            assert!(with.into_iter().all(same), "{place}: a wrong spectrum");
        }
        Ok(None) => assert_eq!(fate, Fate::Lost, "{place}: spectra of {} are missing unsaid", expected.key),
        Err(Error::Lost { what, .. }) => {
            assert_eq!(fate, Fate::WithoutBulk, "{place}: {what}");
            assert!(what.contains(&expected.key.to_string()), "{place}: {what} does not name its reading");
        }
        Err(other) => panic!("{place}: {other}"),
    }
}

/// A chart's way to the same values: every reading that is not lost, none twice, none else.
fn check_series(store: &Store, fates: &[Fate], place: &str) {
    let left = (1..).zip(fates).filter(|(_, fate)| **fate != Fate::Lost);
    let expected: Vec<Reading> = left.map(|(index, _)| reading(index)).collect();
    let run = RunId::new("r");
    let keys: Vec<_> = expected.iter().map(|reading| reading.key.clone()).collect();
    assert_eq!(store.keys(&run), keys, "{place}");
    for series in store.series(&run, "std", &|subject| matches!(subject, Subject::Tensor(_))).unwrap() {
        let Subject::Tensor(name) = &series.subject else { unreachable!("only tensors were asked for") };
        let value = |reading: &Reading| reading.tensor(name).unwrap().samples["std"];
        let points: Vec<f64> = series.points.iter().map(|(_, _, value)| *value).collect();
        assert_eq!(points, expected.iter().map(value).collect::<Vec<_>>(), "{place}: {name}");
    }
}

#[test]
fn what_both_copies_lose_is_said() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    // The journal's file is gone altogether: samples are in the database, sketches are not.
    let mut paths = Vec::new();
    files(&dir.path().join("journal"), &mut paths);
    paths.iter().for_each(|path| fs::remove_file(path).unwrap());
    let store = open(dir.path());
    assert_eq!(store.damage().iter().filter(|damage| !damage.mended).count() as u64, READINGS);
    let key = reading(3).key;
    assert!(matches!(store.reading(&key), Err(Error::Lost { .. })));
    let small = store.reading_without_bulk(&key).unwrap().unwrap();
    assert_eq!(small.tensors[2].samples, reading(3).tensors[2].samples);
    let repair = store.repair().unwrap();
    assert_eq!((repair.restored, repair.lost.len() as u64), (READINGS, 0));
    drop(store);
    // And now the database is gone: everything but sketches and quantiles is in the journal again.
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    let store = open(dir.path());
    assert!(store.damage().iter().all(|damage| damage.mended), "{:?}", store.damage());
    assert_eq!(store.reading(&key).unwrap(), Some(small));
    assert_eq!(store.findings(None).unwrap().len(), 4);
    assert!(store.verify().unwrap().damage.is_empty());
}

#[test]
fn a_damaged_store_without_either_copy_of_a_commit_says_which_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    let mut paths = Vec::new();
    files(&dir.path().join("journal"), &mut paths);
    // A kilobyte in the middle of the journal: more than parity can mend.
    let mut bytes = fs::read(&paths[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0xa5);
    fs::write(&paths[0], bytes).unwrap();
    let store = open(dir.path());
    let there = store.keys(&RunId::new("r")).len() as u64;
    assert!((READINGS - 4..READINGS).contains(&there), "{there}");
    let said = store.damage().iter().filter(|damage| !damage.mended).count() as u64;
    assert!(said >= READINGS - there, "{:?}", store.damage());
    for key in store.keys(&RunId::new("r")) {
        match store.reading(&key) {
            Ok(found) => {
                let mut found = found.unwrap();
                let expected = reading(key.step.0 / 100);
                // Log lines that came with a lost commit are lost; the newest ones are there.
                assert!(expected.trainer.log.ends_with(&found.trainer.log));
                found.trainer.log = expected.trainer.log.clone();
                assert_eq!(found, expected);
            }
            Err(error) => assert!(matches!(error, Error::Lost { .. }), "{error}"),
        }
    }
    store.repair().unwrap();
    assert!(store.verify().unwrap().damage.is_empty());
}
