//! Damage, backups and upgrades through the command line and the daemon, as a user meets them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::flips::{copy, files};
use super::make::{finding, model_reading, open};
use super::upgrade::{fixtures, unpack};
use crate::util::Daemon;
use crate::util::daemon::binary;

const READINGS: u64 = 12;

/// Exit code, standard output, standard error. No panic ever shows.
fn ask(arguments: &[&str], store: &Path) -> (i32, String, String) {
    let output = Command::new(binary()).args(arguments).arg("--store").arg(store).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let answer = (output.status.code().unwrap(), text(output.stdout), text(output.stderr));
    assert!(!answer.2.contains("panicked"), "{arguments:?}: {}", answer.2);
    answer
}

fn fill(dir: &Path) {
    let store = open(dir);
    for step in 1..=READINGS {
        let reading = model_reading("r", step, 12, &["rms", "std", "ks_statistic"], 96);
        let findings = if step == 6 { vec![finding("r", 6, "f6")] } else { Vec::new() };
        store.commit(&reading, &findings, b"state").unwrap();
    }
}

fn lines(store: &Path) -> BTreeSet<String> {
    let (code, csv, error) = ask(&["history", "--metric", "rms"], store);
    assert_eq!(code, 0, "{error}");
    csv.lines().map(String::from).collect()
}

fn journal(dir: &Path) -> std::path::PathBuf {
    let mut paths = Vec::new();
    files(&dir.join("journal"), &mut paths);
    paths.remove(0)
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn zero(bytes: &mut [u8], from: usize, count: usize) {
    let end = (from + count).min(bytes.len());
    bytes[from.min(end)..end].fill(0);
}

type Damage = fn(&Path);

const DAMAGES: &[(&str, Damage)] = &[
    ("a flipped bit in the database", |dir| change(&dir.join("db/db"), |bytes| bytes[5000] ^= 8)),
    ("a zeroed block of the database", |dir| change(&dir.join("db/db"), |bytes| zero(bytes, 4096, 4096))),
    ("a database of zeros", |dir| change(&dir.join("db/db"), |bytes| bytes.fill(0))),
    ("a database cut in half", |dir| change(&dir.join("db/db"), |bytes| bytes.truncate(bytes.len() / 2))),
    ("a database of nothing", |dir| change(&dir.join("db/db"), Vec::clear)),
    ("a database without its configuration", |dir| fs::remove_file(dir.join("db/conf")).unwrap()),
    ("no database", |dir| fs::remove_dir_all(dir.join("db")).unwrap()),
    ("a flipped bit in the journal", |dir| {
        change(&journal(dir), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
    }),
    ("zeroed blocks of the journal", |dir| {
        change(&journal(dir), |bytes| {
            let middle = bytes.len() / 2;
            zero(bytes, middle, 16 << 10);
        });
    }),
    ("a journal cut in half", |dir| change(&journal(dir), |bytes| bytes.truncate(bytes.len() / 2))),
    ("a journal of zeros", |dir| change(&journal(dir), |bytes| bytes.fill(0))),
    ("no journal", |dir| fs::remove_dir_all(dir.join("journal")).unwrap()),
    ("no schema", |dir| fs::remove_file(dir.join("schema")).unwrap()),
    ("no database, and zeroed blocks of the journal", |dir| {
        fs::remove_dir_all(dir.join("db")).unwrap();
        change(&journal(dir), |bytes| {
            let middle = bytes.len() / 2;
            zero(bytes, middle, 16 << 10);
        });
    }),
    ("both of zeros", |dir| {
        change(&dir.join("db/db"), |bytes| bytes.fill(0));
        change(&journal(dir), |bytes| bytes.fill(0));
    }),
];

#[test]
fn after_any_damage_the_daemon_comes_up_with_what_can_be_had_and_says_what_cannot() {
    let place = tempfile::tempdir().unwrap();
    let origin = place.path().join("origin");
    fill(&origin);
    let whole = lines(&origin);
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for (index, (name, damage)) in DAMAGES.iter().enumerate() {
        let dir = place.path().join(format!("store{index}"));
        copy(&origin, &dir);
        damage(&dir);
        let daemon = Daemon::watch(&empty, &dir);
        let said = daemon.said();
        assert!(!said.contains("panicked"), "{name}: {said}");
        daemon.terminate();
        let there = lines(&dir);
        assert!(there.is_subset(&whole), "{name}: a wrong value");
        let (code, told, _) = ask(&["store", "verify"], &dir);
        let loses = told.contains("\"mended\": false");
        assert_eq!(code, if told.contains("\"detail\"") { 2 } else { 0 }, "{name}: {told}");
        if there != whole {
            assert!(loses || said.contains("store: "), "{name}: readings are missing unsaid: {told}");
        }
        // A loss of a run that is still there is a finding of it.
        let findings = ask(&["findings", "--format", "jsonl"], &dir).1;
        if loses && there.len() > 1 {
            assert!(findings.contains("store_damaged"), "{name}: {told}\n{findings}");
        }
        assert_eq!(ask(&["store", "repair"], &dir).0, 0, "{name}");
        let (code, told, _) = ask(&["store", "verify"], &dir);
        assert_eq!(code, 0, "{name}: still damaged after repair: {told}");
        assert_eq!(lines(&dir), there, "{name}: repair changed what reads");
    }
}

#[test]
fn what_the_daemon_says_of_its_store_is_explained() {
    let output = Command::new(binary()).args(["explain", "store_damaged"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("store repair"), "{text}");
}

#[test]
fn a_backup_is_restored_by_command_and_a_changed_one_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let (store, file) = (place.path().join("store"), place.path().join("a.backup"));
    fill(&store);
    let name = file.to_str().unwrap();
    assert_eq!(ask(&["store", "backup", name], &store).0, 0);
    let restored = place.path().join("restored");
    assert_eq!(ask(&["store", "restore", name], &restored).0, 0);
    assert_eq!(lines(&restored), lines(&store));
    assert_eq!(ask(&["findings"], &restored), ask(&["findings"], &store));
    assert_eq!(ask(&["store", "restore", name], &restored).0, 2, "a store is never overwritten");
    change(&file, |bytes| {
        let middle = bytes.len() / 2;
        zero(bytes, middle, 9000);
    });
    let third = place.path().join("third");
    let (code, _, error) = ask(&["store", "restore", name], &third);
    assert!(code == 2 && error.lines().count() == 1, "{error}");
    assert!(!third.exists(), "nothing was written");
}

#[test]
fn a_migration_is_told_killed_and_taken_up_again() {
    let place = tempfile::tempdir().unwrap();
    let old = place.path().join("old");
    unpack(&fixtures().join("v1"), &old);
    let before = fs::read(old.join("db/db")).unwrap();
    let (code, plan, _) = ask(&["store", "migrate", "--dry-run"], &old);
    assert!(code == 0 && plan.contains("\"found\": 1") && plan.contains("needed_bytes"), "{plan}");
    assert_eq!(fs::read(old.join("db/db")).unwrap(), before);
    assert!(!old.join("journal").exists(), "a plan changes nothing");
    let whole = {
        let done = place.path().join("done");
        copy(&old, &done);
        assert_eq!(ask(&["store", "migrate"], &done).0, 0);
        assert!(done.join("kept/v1/db/db").exists());
        (ask(&["history", "--metric", "std"], &done), ask(&["findings"], &done))
    };
    assert!(whole.0.1.lines().count() > 1);
    for round in 0..25u64 {
        let dir = place.path().join(format!("killed{round}"));
        copy(&old, &dir);
        let mut child = Command::new(binary())
            .args(["store", "migrate", "--store"])
            .arg(&dir)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(round * 3));
        child.kill().unwrap();
        child.wait().unwrap();
        let answers = (ask(&["history", "--metric", "std"], &dir), ask(&["findings"], &dir));
        assert_eq!(answers, whole, "killed after {} ms", round * 3);
        assert_eq!(ask(&["store", "verify"], &dir).0, 0);
    }
}

#[test]
fn a_newer_store_is_refused_in_one_line_by_every_command() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("store");
    drop(open(&dir));
    let line = "weighbridge store, schema 99";
    let check = crc32fast::hash(line.as_bytes());
    fs::write(dir.join("schema"), format!("{line}, check {check:08x}\n")).unwrap();
    for arguments in
        [&["store", "verify"][..], &["store", "migrate", "--dry-run"], &["findings"], &["store", "stats"]]
    {
        let (code, _, error) = ask(arguments, &dir);
        assert!(code == 2 && error.lines().count() == 1 && error.contains("newer"), "{arguments:?}: {error}");
    }
}
