//! One flipped bit at a random place of a random file of the store. Whatever it hits: no panic reaches the
//! caller, no value is wrong, and nothing is missing without being said.
//!
//! How many places is set by `WEIGHBRIDGE_FLIPS`; the tally is printed.

use std::fs;
use std::path::{Path, PathBuf};

use weighbridge::store::{Error, Store};
use weighbridge::terms::{Catalog, Reading, RunId};

use super::make::{Numbers, finding, model_reading, open, settings};

const FLIPS: u64 = 100;
const METRICS: [&str; 4] = ["elements", "mean", "std", "ks_statistic"];
const READINGS: u64 = 20;

fn reading(index: u64) -> Reading {
    model_reading("r", index * 100, 12, &METRICS, 96)
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

#[derive(Debug, Default)]
struct Tally {
    places: u64,
    told: u64,
    whole: u64,
    readings: u64,
    lost: u64,
    whole_after_repair: u64,
}

#[test]
fn no_flipped_bit_goes_unsaid() {
    let flips = std::env::var("WEIGHBRIDGE_FLIPS").ok().and_then(|flips| flips.parse().ok()).unwrap_or(FLIPS);
    let origin = tempfile::tempdir().unwrap();
    fill(origin.path());
    let mut paths = Vec::new();
    files(origin.path(), &mut paths);
    let sizes: Vec<u64> = paths.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    let mut numbers = Numbers(flips);
    let mut tally = Tally::default();
    for round in 0..flips {
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
        bytes[at as usize] ^= 1 << (numbers.next() % 8);
        fs::write(&path, bytes).unwrap();
        let place = format!("{} byte {at}", path.strip_prefix(dir.path()).unwrap().display());
        check(dir.path(), &place, &mut tally);
    }
    println!("{tally:?}");
    assert!(tally.places > flips / 2);
}

fn check(dir: &Path, place: &str, tally: &mut Tally) {
    let store =
        Store::open(dir, &Catalog::new([]), &settings()).unwrap_or_else(|error| panic!("{place}: {error}"));
    tally.places += 1;
    let mut lost = 0;
    for index in 1..=READINGS {
        let expected = reading(index);
        match store.reading(&expected.key) {
            Ok(Some(found)) => assert_eq!(found, expected, "{place}: a wrong value"),
            Ok(None) => {
                let said = store.damage();
                assert!(
                    said.iter().any(|damage| !damage.mended),
                    "{place}: step {index} is missing unsaid: {said:?}"
                );
                lost += 1;
            }
            Err(Error::Lost { .. }) => lost += 1,
            Err(other) => panic!("{place}: {other}"),
        }
        let memory = store.memory().sketches(&expected.key);
        for (name, sketch) in memory.iter().flat_map(|sketches| sketches.iter()) {
            let of_tensor = expected.tensor(name).and_then(|tensor| tensor.sketch.as_ref());
            assert_eq!(Some(sketch), of_tensor, "{place}: a wrong sketch");
        }
    }
    let ids: Vec<String> = store.findings(None).unwrap().into_iter().map(|finding| finding.id.0).collect();
    assert_eq!(ids, ["f5", "f10", "f15", "f20"], "{place}");
    let state = store.judge_state(&RunId::new("r"), weighbridge::terms::Attempt(0)).unwrap();
    assert_eq!(state.as_deref(), Some(&b"state 20"[..]), "{place}");
    // The store goes on, whatever was hit.
    store.commit(&reading(READINGS + 1), &[], b"on").unwrap();
    let told = !store.damage().is_empty() || !store.verify().unwrap().damage.is_empty();
    tally.told += u64::from(told);
    tally.whole += u64::from(lost == 0);
    tally.readings += READINGS - lost;
    tally.lost += lost;
    store.repair().unwrap();
    let after = store.verify().unwrap();
    assert!(after.damage.is_empty(), "{place}: still damaged after repair: {:?}", after.damage);
    drop(store);
    let again = open(dir);
    assert!(again.damage().is_empty(), "{place}: {:?}", again.damage());
    assert_eq!(again.keys(&RunId::new("r")).len() as u64, READINGS + 1, "{place}");
    tally.whole_after_repair += u64::from((1..=READINGS).all(|index| {
        let expected = reading(index);
        again.reading(&expected.key).unwrap() == Some(expected)
    }));
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
