//! Stores that older versions wrote, opened by this one. Each lies under `tests/fixtures/stores/vN` as the
//! version wrote it, every file packed with gzip.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use weighbridge::store::Store;
use weighbridge::terms::{Attempt, Finding, Reading, RunId, Step};

use super::make::{finding, key, model_reading, open};

const METRICS: [&str; 4] = ["elements", "mean", "std", "ks_statistic"];

fn fixtures() -> PathBuf {
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
    let database = sled::open(dir.path().join("db")).unwrap();
    database.insert(b"zzz of a later program", b"not to be dropped").unwrap();
    drop(database);
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

fn unpack(from: &Path, to: &Path) {
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
    assert!(!versions.is_empty());
    for version in versions {
        let dir = tempfile::tempdir().unwrap();
        unpack(&version, dir.path());
        check(&open(dir.path()));
        // And again, now that it is of this version.
        check(&open(dir.path()));
    }
}
