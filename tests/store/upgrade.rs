//! Stores that older versions wrote, opened by this one. Each lies under `tests/fixtures/stores/vN` as the
//! version wrote it, every file packed with gzip.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use weighbridge::store::{Store, migration_plan};
use weighbridge::terms::{Attempt, Finding, Reading, RunId, Step};

use super::make::{finding, key, model_reading, open};

const METRICS: [&str; 4] = ["elements", "mean", "std", "ks_statistic"];

const UNKNOWN: &[u8] = b"zzz of a later program";
const NOT_DROPPED: &[u8] = b"not to be dropped";

/// Where the stored stores lie.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stores")
}

/// What every stored fixture holds, in the order of commits.
fn contents() -> Vec<(Reading, Vec<Finding>, Vec<u8>)> {
    let mut contents = Vec::new();
    for (attempt, step) in [(0, 100), (0, 200), (0, 300), (1, 200), (1, 300)] {
        let mut reading = model_reading("gpt2/first", step, 6, &METRICS, 16);
        reading.key = key("gpt2/first", attempt, step);
        let mut found = finding("gpt2/first", 300, "drift-of-one");
        found.resolved_step = (attempt == 1).then_some(Step(step));
        let findings = if step == 300 { vec![found] } else { Vec::new() };
        contents.push((reading, findings, format!("state {attempt} {step}").into_bytes()));
    }
    let mut broken = model_reading("lora", 5, 0, &METRICS, 0);
    broken.remarks.push("head count of the config does not divide the width".into());
    contents.push((broken, vec![finding("lora", 5, "unreadable")], b"lora".to_vec()));
    contents
}

fn check(store: &Store) {
    for (reading, _, _) in contents() {
        assert_eq!(store.reading(&reading.key).unwrap(), Some(reading));
    }
    let summaries = store.runs();
    assert_eq!(summaries.iter().map(|run| run.readings).collect::<Vec<_>>(), [5, 1]);
    let findings = store.findings(None).unwrap();
    assert_eq!(findings, [contents()[4].1[0].clone(), contents()[5].1[0].clone()]);
    let state = store.judge_state(&RunId::new("gpt2/first"), Attempt(1)).unwrap();
    assert_eq!(state.as_deref(), Some(&b"state 1 300"[..]));
    assert!(store.verify().unwrap().damage.is_empty());
}

/// Writes the fixture of this version: `cargo test --test main write_a_store -- --ignored`, once a schema.
#[test]
#[ignore = "writes a fixture; run once when the schema changes"]
fn write_a_store_of_this_version() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (reading, findings, state) in contents() {
        store.commit(&reading, &findings, &state).unwrap();
    }
    check(&store);
    let schema = store.stats().unwrap().schema;
    drop(store);
    if schema == 1 {
        // Later versions check every value; this one took any.
        let database = sled::open(dir.path().join("db")).unwrap();
        database.insert(UNKNOWN, NOT_DROPPED).unwrap();
    }
    pack(dir.path(), &fixtures().join(format!("v{schema}")));
}

fn pack(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            pack(&entry.path(), &to.join(name));
        } else if name != "lock" {
            let file = fs::File::create(to.join(format!("{name}.gz"))).unwrap();
            let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::best());
            packer.write_all(&fs::read(entry.path()).unwrap()).unwrap();
            packer.finish().unwrap();
        }
    }
}

/// Unpacks a stored store.
pub fn unpack(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            unpack(&entry.path(), &to.join(name));
        } else {
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(fs::File::open(entry.path()).unwrap())
                .read_to_end(&mut bytes)
                .unwrap();
            fs::write(to.join(name.strip_suffix(".gz").unwrap()), bytes).unwrap();
        }
    }
}

#[test]
fn every_published_version_opens() {
    let mut versions: Vec<_> = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    assert!(versions.len() >= 2);
    for version in versions {
        let dir = tempfile::tempdir().unwrap();
        unpack(&version, dir.path());
        check(&open(dir.path()));
        // And again, now that it is of this version.
        check(&open(dir.path()));
    }
}

#[test]
fn a_migration_tells_what_it_would_do_and_keeps_the_old_store() {
    let dir = tempfile::tempdir().unwrap();
    unpack(&fixtures().join("v1"), dir.path());
    let before = fs::read(dir.path().join("db/db")).unwrap();
    let plan = migration_plan(dir.path()).unwrap();
    assert_eq!((plan.found, plan.steps.len()), (Some(1), 1));
    assert_eq!(fs::read(dir.path().join("db/db")).unwrap(), before, "a plan changes nothing");
    check(&open(dir.path()));
    assert!(migration_plan(dir.path()).unwrap().steps.is_empty());
    assert!(plan.kept_at.unwrap().join("db/db").exists());
    let database = sled::open(dir.path().join("db")).unwrap();
    let unknown = database.get(UNKNOWN).unwrap().unwrap();
    assert!(unknown.ends_with(NOT_DROPPED), "an entry that this version does not know was dropped");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &to) } else { fs::copy(&path, &to).map(drop).unwrap() }
    }
}

/// A migration that was killed: before the new store was complete, before the first rename, between two.
#[test]
fn a_killed_migration_is_taken_up_again() {
    let done = tempfile::tempdir().unwrap();
    unpack(&fixtures().join("v1"), done.path());
    check(&open(done.path()));
    for stage in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        unpack(&fixtures().join("v1"), dir.path());
        let new = dir.path().join("migrating");
        copy(&done.path().join("db"), &new.join("db"));
        match stage {
            0 => fs::remove_file(new.join("db/conf")).unwrap(),
            1 => copy(&done.path().join("journal"), &new.join("journal")),
            _ => copy(&done.path().join("journal"), &dir.path().join("journal")),
        }
        if stage > 0 {
            fs::write(new.join("complete"), "1 2\n").unwrap();
        }
        check(&open(dir.path()));
        assert!(!new.exists());
        assert!(dir.path().join("kept/v1/db/db").exists(), "stage {stage}");
    }
}
