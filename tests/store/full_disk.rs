//! A disk that is really full: a small tmpfs, where this process may mount one; elsewhere these tests say so
//! and pass.

use std::fs;
use std::path::Path;

use weighbridge::store::{Error, Settings, Store};
use weighbridge::terms::{Attempt, Catalog, Reading, RunId};

use super::make::{model_reading, settings};
use crate::util::Tmpfs;

fn reading(step: u64) -> Reading {
    model_reading("r", step, 20, &["mean", "std", "ks_statistic"], 256)
}

fn open(dir: &Path, free_bytes_min: u64) -> Store {
    Store::open(dir, &Catalog::new([]), &Settings { free_bytes_min, ..settings() }).unwrap()
}

/// Commits until the store refuses; gives the number that were taken, and the refusal.
fn fill(store: &Store, from: u64) -> (u64, Error) {
    for step in from.. {
        if let Err(error) = store.commit(&reading(step), &[], b"state") {
            return (step - 1, error);
        }
    }
    unreachable!("steps do not end")
}

fn check(store: &Store, newest: u64) {
    let steps: Vec<u64> = store.keys(&RunId::new("r")).iter().map(|key| key.step.0).collect();
    assert_eq!(steps, (1..=newest).collect::<Vec<_>>());
    for step in [1, newest.div_ceil(2), newest] {
        assert_eq!(store.reading(&reading(step).key).unwrap(), Some(reading(step)));
    }
}

#[test]
fn a_filling_disk_stops_commits_in_good_time_and_room_starts_them_again() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_tmpfs) = Tmpfs::mount(&dir.path().join("small"), 24) else { return };
    let root = dir.path().join("small");
    // Something else takes most of the disk.
    fs::write(root.join("filler"), vec![0; 8 << 20]).unwrap();
    let store = open(&root.join("store"), 4 << 20);
    let (newest, refused) = fill(&store, 1);
    assert!(matches!(refused, Error::NearlyFull { .. }), "{refused}");
    assert!(newest > 5);
    assert!(store.trouble().is_some());
    check(&store, newest);
    fs::remove_file(root.join("filler")).unwrap();
    assert_eq!(store.trouble(), None);
    store.commit(&reading(newest + 1), &[], b"on").unwrap();
    check(&store, newest + 1);
}

/// Everything that is read of a store on a full disk, from several threads at a time.
fn check_all(store: &Store, committed: &[Reading]) {
    let run = RunId::new("r");
    let count = committed.len();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for reading in committed {
                assert_eq!(store.reading(&reading.key).unwrap().as_ref(), Some(reading));
            }
        });
        scope.spawn(|| {
            let series = store.series(&run, "std", &|_| true).unwrap();
            assert_eq!((series.len(), series[0].points.len()), (20, count));
            assert_eq!(store.checkpoint_facts(&run).unwrap().len(), count);
        });
        assert_eq!(store.judge_state(&run, Attempt(0)).unwrap().as_deref(), Some(&b"state"[..]));
        assert!(store.findings(None).unwrap().is_empty());
        assert!(store.taken("nobody").unwrap().is_empty());
    });
}

#[test]
fn a_disk_full_to_the_last_byte_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tmpfs) = Tmpfs::mount(&dir.path().join("small"), 12) else { return };
    let root = dir.path().join("small");
    let store = open(&root.join("store"), 0);
    let (newest, refused) = fill(&store, 1);
    assert!(newest > 5, "{refused}");
    let mut committed: Vec<Reading> = (1..=newest).map(reading).collect();
    check_all(&store, &committed);
    let refused = store.commit(&reading(newest + 1), &[], b"state").unwrap_err().to_string();
    assert!(store.trouble().is_some(), "{refused}");
    check_all(&store, &committed);
    // Not even a start needs room: it says that nothing can be stored, and tells what is.
    drop(store);
    let store = open(&root.join("store"), 0);
    check_all(&store, &committed);
    store.commit(&reading(newest + 1), &[], b"state").unwrap_err();
    // Room comes, and the same open store goes on.
    tmpfs.remount("size=32m");
    assert_eq!(store.trouble(), None);
    store.commit(&reading(newest + 1), &[], b"state").unwrap();
    committed.push(reading(newest + 1));
    check_all(&store, &committed);
    drop(store);
    let store = open(&root.join("store"), 0);
    check_all(&store, &committed);
    assert!(store.damage().iter().all(|damage| damage.mended), "{:?}", store.damage());
    assert!(store.verify().unwrap().damage.is_empty());
}

#[test]
fn a_read_only_store_says_so_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tmpfs) = Tmpfs::mount(&dir.path().join("small"), 24) else { return };
    let root = dir.path().join("small/store");
    let store = open(&root, 0);
    store.commit(&reading(1), &[], b"").unwrap();
    drop(store);
    tmpfs.remount("ro");
    let refused = Store::open(&root, &Catalog::new([]), &settings()).unwrap_err().to_string();
    assert!(refused.contains("read-only") && !refused.contains('\n'), "{refused}");
    tmpfs.remount("rw");
    check(&open(&root, 0), 1);
}
