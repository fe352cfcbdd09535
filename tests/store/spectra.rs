//! Spectra: the newest of each matrix is kept, through compaction, restarts, backups and a lost database.

use std::fs;

use weighbridge::store::{Settings, Store};
use weighbridge::terms::{Catalog, Memory, Reading, RunId};

use super::make::{key, model_reading, open, settings, with_spectra};
use super::upgrade::{fixtures, unpack};

/// Even steps have the spectra of the even tensors, odd steps those of the odd ones.
fn reading(run: &str, step: u64) -> Reading {
    with_spectra(model_reading(run, step, 4, &["mean"], 32))
}

/// Steps whose spectra are there, each as it was committed.
fn with_spectra_kept(store: &Store, run: &str) -> Vec<u64> {
    let mut steps = Vec::new();
    for key in store.keys(&RunId::new(run)) {
        let Some(spectra) = Memory::spectra(store, &key) else { continue };
        let committed = reading(run, key.step.0);
        let tensors: Vec<_> = committed.tensors.iter().filter(|tensor| !tensor.spectrum.is_empty()).collect();
        assert_eq!(spectra.len(), tensors.len(), "{key}");
        for tensor in tensors {
            let spectrum = &spectra[&tensor.facts.name];
            assert_eq!((spectrum.step, &spectrum.shape), (key.step, &tensor.facts.shape));
            assert_eq!(spectrum.shares, tensor.spectrum);
        }
        steps.push(key.step.0);
    }
    steps
}

#[test]
fn a_newer_spectrum_takes_the_place_of_an_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for step in 1..=12 {
        store.commit(&reading("r", step), &[], b"").unwrap();
    }
    // Another run's spectra take nobody's place.
    store.commit(&reading("other", 40), &[], b"").unwrap();
    // A reading without any, and one that comes late.
    store.commit(&model_reading("r", 14, 4, &["mean"], 32), &[], b"").unwrap();
    assert_eq!(with_spectra_kept(&store, "r"), (1..=12).collect::<Vec<_>>());
    let before = store.stats().unwrap().runs[1].spectra_bytes;
    let told = store.compact().unwrap();
    assert_eq!((told.spectra_thinned, told.sketches_thinned), (10, 0));
    assert_eq!(with_spectra_kept(&store, "r"), [11, 12]);
    assert_eq!(with_spectra_kept(&store, "other"), [40]);
    assert!(store.stats().unwrap().runs[1].spectra_bytes * 5 < before);
    assert!(store.verify().unwrap().damage.is_empty());
    let mut thinned = reading("r", 3);
    thinned.tensors.iter_mut().for_each(|tensor| tensor.spectrum.clear());
    assert_eq!(store.reading(&key("r", 0, 3)).unwrap(), Some(thinned));
    assert_eq!(store.reading(&key("r", 0, 11)).unwrap(), Some(reading("r", 11)));
    // Opened again, and with the database made from the journal again.
    drop(store);
    assert_eq!(with_spectra_kept(&open(dir.path()), "r"), [11, 12]);
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    let store = open(dir.path());
    assert_eq!(with_spectra_kept(&store, "r"), [11, 12]);
    assert_eq!(store.compact().unwrap().spectra_thinned, 0);
    store.commit(&reading("r", 15), &[], b"").unwrap();
    assert_eq!(store.compact().unwrap().spectra_thinned, 1);
    assert_eq!(with_spectra_kept(&store, "r"), [12, 15]);
}

#[test]
fn a_backup_holds_the_spectra() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("store"));
    (1..=4).for_each(|step| store.commit(&reading("r", step), &[], b"").unwrap());
    let file = dir.path().join("store.backup");
    store.backup(&file).unwrap();
    let none = Catalog::new([]);
    let restored = Store::restore(&file, &dir.path().join("new"), &none, &settings()).unwrap();
    assert_eq!(with_spectra_kept(&restored, "r"), [1, 2, 3, 4]);
    assert!(restored.verify().unwrap().damage.is_empty());
}

#[test]
fn a_store_from_before_there_were_spectra_has_none_and_takes_them() {
    for version in ["v1", "v2"] {
        let dir = tempfile::tempdir().unwrap();
        unpack(&fixtures().join(version), dir.path());
        let store = Store::open(dir.path(), &Catalog::new([]), &Settings { ..settings() }).unwrap();
        let keys = store.keys(&RunId::new("gpt2/first"));
        assert_eq!(keys.len(), 5, "{version}");
        assert!(keys.iter().all(|key| store.spectra_of(key).unwrap().is_none()), "{version}");
        store.commit(&reading("gpt2/first", 400), &[], b"").unwrap();
        assert_eq!(store.compact().unwrap().spectra_thinned, 0, "{version}");
        assert!(store.verify().unwrap().damage.is_empty(), "{version}");
        assert!(store.spectra_of(&key("gpt2/first", 0, 400)).unwrap().is_some(), "{version}");
    }
}
